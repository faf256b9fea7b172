/*
 * xa.h - XA transactions, put into commit order: what a group changes is kept
 * in a file (xa_file.h) from its XA PREPARE on, appended to the relay as one
 * transaction at XA COMMIT, and removed at XA ROLLBACK.  Followers know nothing
 * of XA.  One thread, the receiver's.
 */
#ifndef WEIR_RECEIVE_XA_H
#define WEIR_RECEIVE_XA_H

#include "receive/internal.h"

struct xa *xa_new(const char *dir, int64_t max_transaction);
void       xa_free(struct xa **x);
/* Removes what an earlier run had committed; says how many there are. */
enum weir_status xa_resume(struct receiver *r, struct weir_err *err);
/* Removes what was committed for good; syncs the relay first. */
enum weir_status xa_tick(struct receiver *r, struct weir_err *err);

/* Of the open transaction, if it is a group: its rows, a statement, and that
 * it has rows of a table that is not kept. */
enum weir_status xa_row(struct receiver *r, const struct known_table *t,
                        const struct binlog_event *ev, struct weir_err *err);
enum weir_status xa_statement(struct receiver *r,
                              const struct binlog_event *ev,
                              struct weir_err *err);
enum weir_status xa_left_out(struct receiver *r, const struct known_table *t,
                             struct weir_err *err);
/* What was gathered: thrown away; appended, since it is committed at once. */
void             xa_discard(struct receiver *r);
enum weir_status xa_append_open(struct receiver *r, struct weir_err *err);
/* XA PREPARE, and later in a transaction of its own XA COMMIT or ROLLBACK; these
 * end the transaction.  XIDs in the servers' form. */
enum weir_status xa_prepare(struct receiver *r, const char *xid,
                            struct weir_err *err);
enum weir_status xa_commit(struct receiver *r, struct weir_str xid,
                           struct weir_err *err);
enum weir_status xa_rollback(struct receiver *r, struct weir_str xid,
                             struct weir_err *err);

#endif
