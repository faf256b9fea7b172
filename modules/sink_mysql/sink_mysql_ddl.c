/*
 * sink_mysql_ddl.c - a statement of the source, alone in its batch.  It commits
 * by itself, so the checkpoint can't be in one unit with it: first it is noted
 * which statement comes, then it is run, then the checkpoint moves.  A start in
 * between runs it again, and takes "is already so" for an answer.
 */
#include "sink_mysql.h"

#include <mysqld_error.h>

static bool
is_so_already(unsigned code)
{
    switch (code) {
    case ER_DB_CREATE_EXISTS:
    case ER_DB_DROP_EXISTS:
    case ER_TABLE_EXISTS_ERROR:
    case ER_BAD_TABLE_ERROR:
    case ER_NO_SUCH_TABLE:
    case ER_BAD_FIELD_ERROR:
    case ER_DUP_FIELDNAME:
    case ER_DUP_KEYNAME:
    case ER_MULTIPLE_PRI_KEY:
    case ER_CANT_DROP_FIELD_OR_KEY:
        return true;
    default:
        return false;
    }
}

/* ---- The session that it was run in */

/* Bits of sql_mode that both flavours have and mean the same by.  What else a
 * source may have set changes no definition, but for ORACLE. */
#define COMMON_MODES 0xeffc00cfULL
enum { MARIADB_ORACLE = 512, NO_FOREIGN_KEYS = 1 << 26 /* of flags2 */ };

static void
add_session(const struct sink *s, struct text *sql, const struct weir_ddl *d)
{
    const uint64_t modes =
        s->link.mariadb ? COMMON_MODES | MARIADB_ORACLE : COMMON_MODES;

    text_put(sql, "SET SESSION sql_mode = ");
    text_u64(sql, d->sql_mode & modes);
    text_put(sql, d->flags2 & NO_FOREIGN_KEYS ? ", foreign_key_checks = 0"
                                              : ", foreign_key_checks = 1");
    if (d->time_zone.len > 0) {
        text_put(sql, ", time_zone = ");
        text_quote(sql, d->time_zone);
    }
}

/* The default collations of its session.  One that this server doesn't know is
 * left at ours: what a statement says itself is refused if it can't be had. */
static enum weir_status
set_collation(struct sink *s, const char *variable, struct weir_str collation,
              struct weir_err *err)
{
    struct text *sql = &s->sql;

    if (collation.len == 0) {
        return WEIR_OK;
    }
    sql->len = 0;
    text_put(sql, "SET SESSION ");
    text_put(sql, variable);
    text_put(sql, " = ");
    text_quote(sql, collation);
    const enum weir_status st =
        link_run(s, variable, (struct weir_str){ sql->data, sql->len }, NULL,
                 err);
    return st == WEIR_REJECT &&
                   mysql_errno(s->link.mysql) == ER_UNKNOWN_COLLATION
               ? WEIR_OK
               : st;
}

static enum weir_status
enter(struct sink *s, const struct weir_ddl *d, struct weir_err *err)
{
    struct text     *sql = &s->sql;
    enum weir_status st;

    sql->len = 0;
    if (d->schema.len > 0) {
        text_put(sql, "USE ");
        text_name(sql, d->schema);
        st = link_run(s, "USE", (struct weir_str){ sql->data, sql->len }, NULL,
                      err);
        /* Of CREATE DATABASE it is the one that comes. */
        if (st != WEIR_OK && !(st == WEIR_REJECT &&
                               mysql_errno(s->link.mysql) == ER_BAD_DB_ERROR)) {
            return st;
        }
    }
    sql->len = 0;
    add_session(s, sql, d);
    st = link_run(s, "the statement's session",
                  (struct weir_str){ sql->data, sql->len }, NULL, err);
    if (st == WEIR_OK) {
        st = set_collation(s, "collation_server", d->server_collation, err);
    }
    return st == WEIR_OK ? set_collation(s, "collation_connection",
                                         d->connection_collation, err)
                         : st;
}

static enum weir_status
refuse(struct sink *s, const struct weir_ddl *d, const char *why,
       struct weir_err *err)
{
    return weir_fail(err, WEIR_REJECT, "%s: %s; the statement is: %.*s",
                     s->where, why, d->text.len < 250 ? (int)d->text.len : 250,
                     d->text.data);
}

/* Names a statement wherever it is read from: a relay may be fetched again. */
static uint64_t
number_of(const struct weir_event *ev)
{
    const struct weir_str parts[] = { ev->txn->gtid, ev->txn->file,
                                      ev->ddl ? ev->ddl->text
                                              : ev->table->name };
    uint64_t h = 0xcbf29ce484222325ULL;

    for (size_t p = ev->txn->gtid.len > 0 ? 0 : 1; p < 3; p++) {
        if (p == 1 && ev->txn->gtid.len > 0) {
            continue;
        }
        for (size_t i = 0; i < parts[p].len; i++) {
            h = (h ^ (unsigned char)parts[p].data[i]) * 0x100000001b3ULL;
        }
    }
    if (ev->txn->gtid.len == 0) {
        h = (h ^ ev->txn->offset) * 0x100000001b3ULL;
    }
    return h | 1;
}

/* One statement: none of its bytes makes it two. */
static enum weir_status
run_statement(struct sink *s, const struct weir_ddl *d, struct weir_err *err)
{
    enum weir_status st = enter(s, d, err);

    if (st == WEIR_OK &&
        mysql_set_server_option(s->link.mysql,
                                MYSQL_OPTION_MULTI_STATEMENTS_OFF) != 0) {
        st = link_fail(s, "one statement at a time", err);
    }
    return st == WEIR_OK ? link_run(s, "apply a statement", d->text, NULL, err)
                         : st;
}

/* With its note: "exists already" would else be taken for done, next time. */
static enum weir_status
refuse_noted(struct sink *s, struct weir_batch *b, struct weir_err *err)
{
    const struct weir_ddl *d = b->events[0]->ddl;
    const struct weir_err  why = *err;
    bool                   again;
    enum weir_status       st = link_open(s, err);

    if (st == WEIR_OK) {
        st = checkpoint_intend(s, &b->checkpoint, 0, &again, err);
    }
    return st == WEIR_OK
               ? weir_fail(err, WEIR_REJECT,
                           "%.250s; the statement is: %.*s", why.text,
                           d->text.len < 250 ? (int)d->text.len : 250,
                           d->text.data)
               : st;
}

static enum weir_status
apply(struct sink *s, struct weir_batch *b, struct weir_err *err)
{
    const struct weir_event *ev = b->events[0];
    bool                     again = false;
    enum weir_status         st = link_open_patient(s, err);

    if (st == WEIR_OK) {
        st = checkpoint_intend(s, &b->checkpoint, number_of(ev), &again, err);
    }
    if (st == WEIR_OK) {
        st = run_statement(s, ev->ddl, err);
        family_statements(s->family, true);
    }
    if (st == WEIR_REJECT && again && is_so_already(mysql_errno(s->link.mysql))) {
        weir_log(s->in, WEIR_INFO, "%s: a statement was applied before the "
                 "last stop: %.200s", s->where, err->text);
        st = WEIR_OK;
    }
    /* The session was the statement's: rows need their own. */
    link_close(s);
    if (st == WEIR_REJECT) {
        return refuse_noted(s, b, err);
    }
    return st == WEIR_OK ? link_open(s, err) : st;
}

/* ---- TRUNCATE */

static enum weir_status
run_on_table(struct sink *s, const char *statement, const struct target *t,
             struct weir_err *err)
{
    struct text *sql = &s->sql;

    sql->len = 0;
    text_put(sql, statement);
    text_add(sql, t->name.data, t->name.len);
    return link_run(s, "truncate", (struct weir_str){ sql->data, sql->len },
                    NULL, err);
}

/* Within a transaction: one that has begun, or one that has to bear a mark. */
static enum weir_status
delete_all(struct sink *s, struct weir_batch *b, struct weir_err *err)
{
    enum weir_status st =
        s->link.in_txn ? WEIR_OK : checkpoint_begin(s, &b->checkpoint, err);

    if (st == WEIR_OK) {
        s->uncommitted = true;
        st = run_on_table(s, "DELETE FROM ", b->slots[0], err);
    }
    return st;
}

/* Twice is once, since it stands alone between rows; but it is not for a Weir
 * that the checkpoint was taken from. */
static enum weir_status
truncate_table(struct sink *s, struct weir_batch *b, struct weir_err *err)
{
    const struct target *t = b->slots[0];
    bool                 again;

    if (!t) {
        return WEIR_OK;
    }
    if (s->link.in_txn || s->conf->two_way) {
        return delete_all(s, b, err);
    }
    enum weir_status st = link_open_patient(s, err);
    if (st == WEIR_OK) {
        st = checkpoint_intend(s, &b->checkpoint, number_of(b->events[0]),
                               &again, err);
    }
    if (st == WEIR_OK) {
        st = run_on_table(s, "TRUNCATE TABLE ", t, err);
    }
    if (st == WEIR_REJECT &&
        mysql_errno(s->link.mysql) == ER_TRUNCATE_ILLEGAL_FK) {
        st = delete_all(s, b, err);
    }
    return st;
}

enum weir_status
ddl_write(struct sink *s, struct weir_batch *b, struct weir_err *err)
{
    const struct weir_event *ev = b->events[0];

    if (ev->op == WEIR_TRUNCATE) {
        return truncate_table(s, b, err);
    }
    switch (s->conf->ddl) {
    case DDL_APPLY:
        /* It would commit what can't be committed yet. */
        return s->link.in_txn
                   ? refuse(s, ev->ddl, "it stands within a transaction that "
                            "is larger than a batch: raise events and bytes",
                            err)
                   : apply(s, b, err);
    case DDL_IGNORE:
        return WEIR_OK;
    default:
        return refuse(s, ev->ddl, "ddl = stop, and the source's definition "
                      "changed: do the same here, then resume", err);
    }
}
