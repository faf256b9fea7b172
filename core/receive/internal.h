/* internal.h - the receiver as its own files see it. */
#ifndef WEIR_RECEIVE_INTERNAL_H
#define WEIR_RECEIVE_INTERNAL_H

#include "base/arena.h"
#include "binlog/event.h"
#include "binlog/gtid.h"
#include "binlog/rows.h"
#include "receive/receiver.h"
#include "schema/ddl.h"
#include "schema/statement.h"
#include "schema/table.h"

/* Names of a table's columns as the server had them, or why there are none. */
struct known_definition {
    struct known_definition *next;
    struct arena             arena;
    struct weir_str          schema, name;
    struct definition       *def;    /* NULL: see reason */
    const char              *reason;
    bool                     assumed; /* needs no proof, as the user said */
    bool                     provisional; /* not proved by the stream yet */
    bool                     followed; /* through DDL, or from the relay: what
                                          doesn't fit is asked for again */
    bool                     added, ended; /* while a hold is active: what it
                                              takes to go back (hold.c) */
};

/* A table id of the stream, and what was made of its TABLE_MAP. */
struct known_table {
    uint64_t  id;
    bool      used, wanted;
    bool      mark; /* a transaction that begins with it is left out */
    struct buf body;    /* of the TABLE_MAP, to see it change */
    struct buf payload; /* of its table frame; empty until it is needed */
    uint64_t  segment, frame; /* where its table frame stands, if segment is
                                 the present one */
    char     *schema, *name;
};

struct transaction {
    bool     open;    /* between GTID or BEGIN and its end */
    bool     begun;   /* rows and statements may follow until COMMIT */
    bool     skip;    /* executed before */
    bool     mapped;  /* its first table is known */
    bool     left_out; /* which is a mark: nothing of it is kept */
    bool     written; /* has frames in the relay */
    bool     not_done; /* a statement that does nothing here */
    bool     xa; /* a group that ends with XA PREPARE: xa.h */
    char     gtid[96];
    int64_t  commit_usec, received_usec;
    uint32_t server_id, thread_id;
    uint64_t start;            /* source offset of its first event */
    uint64_t head, segment;    /* of its head frame */
    uint64_t rows; /* events in the relay */
};

struct position { /* where the source stands */
    struct gtid_set *gtids;
    struct gtid_set *told;   /* of them those that frames, or the header of the
                                first segment, tell: what left no frame is told
                                by the next HEARTBEAT */
    struct buf       file;
    uint64_t         offset; /* 64 bits, of the end of the last event */
};

/* Table definitions that were read from the server are true from a position on
 * that the stream has not reached yet: nothing is published before.  hold.c */
struct hold {
    bool            active;
    struct buf      file; /* proved when the stream is there */
    uint64_t        offset;
    int64_t         deadline; /* steady clock */
    struct position before;   /* to go back to */
    struct refusal *refusals;
    struct arena    arena; /* of refusals */
};

/* A definition that can't be had of a table before that place: what was read
 * from the server was changed there. */
struct refusal {
    struct refusal *next;
    struct weir_str schema, name, file;
    uint64_t        offset;
    const char     *reason;
};

/* A temporary table of a session's, between two places of the log. */
struct temporary {
    struct temporary *next;
    uint32_t          thread;
    char             *schema, *name, *from_file, *to_file; /* no end: NULL */
    uint64_t          from, to;
};

struct receiver {
    struct receiver_settings set;
    struct relay            *relay;
    struct binlog_stream     stream;
    struct binlog_inflater  *inflater;
    struct buf               inflated, payload;
    struct arena             call; /* reset for each event */

    struct buf      server_id, server_version;
    struct xa      *xa;
    struct savepoints *savepoints; /* savepoint.c */
    struct buf      halves; /* names of tables that DDL of the open transaction
                               was followed for; "schema\0name\0" each */
    struct position at;        /* now, in the stream */
    struct transaction txn;
    struct hold     hold;
    struct buf      floor_file; /* where the present connection began */
    uint64_t        floor_offset;
    bool            positioned; /* the source has said where it begins */
    bool            need_origin; /* executed set unknown: take the file's */
    bool            moved; /* to another server, and not noted yet */
    char           *dir, *page_path; /* the relay's, for its reading end */
    bool            full;
    bool            reread; /* taken back, with more known than before */
    bool            behind; /* a definition could not be proved in time: those
                               that can be done without are not asked for */
    uint64_t        bad_offset; /* of the last damaged event */
    unsigned        bad_tries;  /* at that one */
    int64_t         heartbeat_at, retain_at; /* steady clock */
    uint64_t        retain_offset; /* or as soon as the relay reaches that */

    struct known_table      *tables; /* open addressing, by id */
    size_t                   ntables, tables_room;
    struct known_definition *definitions;
    struct known_definition *describing; /* during describe() */
    uint32_t                 describe_room; /* for columns of that one */
    struct temporary        *temporaries; /* the last one first */
};

/* transaction.c */
enum weir_status transaction_begin(struct receiver *r, const char *gtid,
                                   const struct binlog_event *ev,
                                   int64_t commit_usec, uint32_t thread_id,
                                   struct weir_err *err);
enum weir_status transaction_commit(struct receiver *r, struct weir_err *err);
/* Its rows never happened. */
enum weir_status transaction_rollback(struct receiver *r,
                                      struct weir_err *err);
enum weir_status transaction_rows(struct receiver *r,
                                  const struct binlog_event *ev,
                                  struct weir_err *err);
enum weir_status transaction_ddl(struct receiver *r,
                                 const struct binlog_event *ev,
                                 struct weir_err *err);

/* A table of rows that are put into the relay, and where its frame stands. */
struct row_table {
    struct weir_str payload;
    uint64_t       *segment, *frame;
    uint8_t         flags;
};
/* Events with their header. */
enum weir_status transaction_put_row(struct receiver *r,
                                     const struct row_table *t,
                                     struct weir_str event,
                                     struct weir_err *err);
enum weir_status transaction_put_ddl(struct receiver *r, struct weir_str event,
                                     struct weir_err *err);
/* An event's header with the length that it has without a checksum. */
void transaction_copy_header(const struct binlog_event *ev, uint8_t *out);

/* statements.c: a QUERY event; an XA_PREPARE event. */
enum weir_status statement_event(struct receiver *r,
                                 const struct binlog_event *ev,
                                 struct weir_err *err);
enum weir_status statement_xa_prepare(struct receiver *r,
                                      const struct binlog_event *ev,
                                      struct weir_err *err);

/* savepoint.c: what a transaction took back by itself. */
void savepoints_begin(struct receiver *r);
void savepoints_end(struct receiver *r);
void savepoints_free(struct receiver *r);
/* An event with rows of a table that is kept: whether it is kept, too. */
bool savepoints_keep_row(struct receiver *r);
/* SAVEPOINT, ROLLBACK TO, RELEASE. */
enum weir_status savepoints_statement(struct receiver *r,
                                      const struct statement *s,
                                      struct weir_err *err);
/* At the end.  RETRY: it has to be read again; nothing of it counts. */
enum weir_status savepoints_settle(struct receiver *r, struct weir_err *err);

/* tables.c */
enum weir_status tables_map(struct receiver *r, const struct binlog_event *ev,
                            struct weir_err *err);
struct known_table *tables_find(struct receiver *r, uint64_t id);
void tables_forget_ids(struct receiver *r);
void tables_forget(struct receiver *r, struct weir_str schema,
                   struct weir_str name); /* no name: all of the schema; no
                                             schema: all */
/* Of exactly that name; without one, what is known of the schema itself. */
void tables_forget_one(struct receiver *r, struct weir_str schema,
                       struct weir_str name);
bool tables_kept(const struct receiver *r, struct weir_str schema,
                 struct weir_str name);
/* Makes the payload of its table frame, asking the server for names. */
enum weir_status tables_prepare(struct receiver *r, struct known_table *t,
                                struct weir_err *err);
/* The frames of tables may have been cut: each is written again. */
void tables_unwritten(struct receiver *r);
void tables_free(struct receiver *r);
/* Table frames of this schema say its default, which has changed. */
void tables_resave(struct receiver *r, struct weir_str schema);
/* The definition, or NULL; of a schema where there is no name. */
struct known_definition *tables_known(struct receiver *r,
                                      struct weir_str schema,
                                      struct weir_str name);
struct known_definition *tables_new(struct receiver *r, struct weir_str schema,
                                    struct weir_str name);
void tables_define_index(void *arg, struct weir_str name, bool unique,
                         bool partial, size_t n, const uint32_t *columns);
void tables_define_defaults(void *arg, struct weir_str of_table,
                            struct weir_str of_schema);
/* The end of a hold: what it ended is gone for good, or is there again. */
void tables_settle(struct receiver *r);
void tables_undo(struct receiver *r);
void tables_define(void *arg, struct weir_str name, struct weir_str sql_type,
                   struct weir_str collation, unsigned facets);
void tables_define_key(void *arg, size_t n, const uint32_t *columns);
void tables_define_at(void *arg, struct weir_str gtid_set,
                      struct weir_str file, uint64_t offset);

/* follow.c: what is known is changed by a statement; nothing known of what it
 * names, if it can't be followed or `done` is false.  Both of a statement in
 * the stream, and of one in the relay. */
struct followed { /* what a statement changes, until it is in the relay */
    struct ddl_changes changes;
    struct statement   statement;
};
void follow_statement(struct receiver *r, const struct binlog_query *query,
                      const struct statement *s, struct followed *out);
void follow_apply(struct receiver *r, const struct followed *f, bool done);
/* What was followed in the open transaction, which never happened: nothing is
 * known of those tables. */
void follow_undo(struct receiver *r);
/* What is known, for the header of a segment that begins; and back. */
void follow_save(const struct receiver *r, struct buf *out);
void follow_load(struct receiver *r, struct weir_str saved);
/* False: malformed; then the statement may have changed any table. */
bool follow_read(struct arena *a, struct weir_str event,
                 struct binlog_query *query, struct statement *out);
/* In which a statement ran; of the server that was reached last. */
struct ddl_session follow_session(struct receiver *r,
                                  const struct binlog_query *query);
/* A DDL frame's event. */
void follow_frame(struct receiver *r, struct weir_str event);
/* A table frame. */
void follow_table(struct receiver *r, struct weir_str payload);

/* given.c: after the relay's last segment was read, from `base` on, and its last
 * frame ended at `end`: what was given there and is in no header yet. */
enum weir_status given_resume(struct receiver *r, uint64_t base, uint64_t end,
                              struct weir_err *err);

/* temporary.c: which names stand for a session's own tables.  A log with
 * statements has these; what is done to one looks like what is done to another
 * table of that name. */
void temporary_note(struct receiver *r, uint32_t thread,
                    const struct statement *s);
/* Whether it is done to one of those. */
bool temporary_is(struct receiver *r, uint32_t thread,
                  const struct statement *s);
void temporary_end_all(struct receiver *r); /* the server has started anew */
void temporary_free(struct receiver *r);

/* hold.c */
void             hold_until(struct receiver *r, struct weir_str file,
                            uint64_t offset);
/* After each transaction and heartbeat. */
enum weir_status hold_check(struct receiver *r, struct weir_err *err);
/* A statement may have changed tables (no name: all of the schema; no schema:
 * any): their definitions are refused if they are unproved.  OK: none was. */
enum weir_status hold_conflict(struct receiver *r, struct weir_str schema,
                               struct weir_str name, struct weir_str verb,
                               struct weir_err *err);
enum weir_status hold_abandon(struct receiver *r, struct weir_err *err);
/* Why it is of no use to ask for this definition here, or NULL. */
const char      *hold_refused(const struct receiver *r, struct weir_str schema,
                              struct weir_str name);
void             hold_forget_refusals(struct receiver *r);
/* Of places in the log files of one server: <0, 0, >0. */
int place_compare(struct weir_str file, uint64_t offset, struct weir_str other,
                  uint64_t other_offset);

/* resume.c: a dump by GTID may begin in an old file, before what was read. */
void floor_set(struct receiver *r);
bool floor_is_above(const struct receiver *r);
void floor_restore(struct receiver *r);

/* server.c: whom the source has reached; and, once the position is known, a
 * segment of its own for what another server sends. */
enum weir_status server_feed(void *arg, struct weir_str id,
                             struct weir_str version, struct weir_err *err);
enum weir_status server_feed_host(void *arg, struct weir_str name,
                                  struct weir_str id, struct weir_str version,
                                  bool covers, struct weir_err *err);
enum weir_status server_settle(struct receiver *r, struct weir_err *err);

/* diverged.c: FATAL, with what the relay has and that server lacks. */
enum weir_status diverged_feed(void *arg, struct weir_str name,
                               struct weir_str executed,
                               struct weir_err *err);

/* receiver.c */
void position_copy(struct position *to, const struct position *from);
void position_free(struct position *p);
/* Frames tell all that was executed. */
void position_told(struct position *p);
enum weir_status receiver_publish(struct receiver *r, struct weir_err *err);
/* A heartbeat frame: all up to there, and what was executed, has been read.
 * FRAME_HELD: that does not prove what is held. */
enum weir_status receiver_mark(struct receiver *r, uint64_t offset,
                               uint8_t flags, struct weir_err *err);

#endif
