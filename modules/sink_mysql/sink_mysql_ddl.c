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

static void
add_session(struct text *sql, const struct weir_ddl *d)
{
    text_put(sql, "SET SESSION sql_mode = ");
    text_u64(sql, d->sql_mode);
    if (d->time_zone.len > 0) {
        text_put(sql, ", time_zone = ");
        text_quote(sql, d->time_zone);
    }
    if (d->connection_collation.len > 0) {
        text_put(sql, ", collation_connection = ");
        text_quote(sql, d->connection_collation);
    }
}

/* sql_mode's bits are the flavour's own; what one lacks, its server refuses. */
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
        if (st != WEIR_OK) {
            return st;
        }
    }
    sql->len = 0;
    add_session(sql, d);
    return link_run(s, "the statement's session",
                    (struct weir_str){ sql->data, sql->len }, NULL, err);
}

static enum weir_status
refuse(struct sink *s, const struct weir_ddl *d, const char *why,
       struct weir_err *err)
{
    return weir_fail(err, WEIR_REJECT, "%s: %s; the statement is: %.*s",
                     s->where, why, d->text.len < 250 ? (int)d->text.len : 250,
                     d->text.data);
}

static enum weir_status
apply(struct sink *s, struct weir_batch *b, struct weir_err *err)
{
    const struct weir_event *ev = b->events[0];
    bool                     again = false;

    enum weir_status st = checkpoint_intend(s, &b->checkpoint, ev->seq, &again,
                                            err);
    if (st == WEIR_OK) {
        st = enter(s, ev->ddl, err);
    }
    if (st == WEIR_OK) {
        st = link_run(s, "apply a statement", ev->ddl->text, NULL, err);
    }
    if (st == WEIR_REJECT && again && is_so_already(mysql_errno(s->link.mysql))) {
        weir_log(s->in, WEIR_INFO, "%s: a statement was applied before the "
                 "last stop: %.200s", s->where, err->text);
        st = WEIR_OK;
    }
    /* The session was the statement's: rows need their own. */
    if (st == WEIR_REJECT) {
        const struct weir_err why = *err;
        link_close(s);
        return refuse(s, ev->ddl, why.text, err);
    }
    if (st == WEIR_OK) {
        link_close(s);
        st = link_open(s, err);
    }
    return st;
}

/* ---- TRUNCATE */

/* Twice is once, since it stands alone between rows: no note is needed. */
static enum weir_status
truncate_table(struct sink *s, const struct target *t, struct weir_err *err)
{
    struct text *sql = &s->sql;

    sql->len = 0;
    text_put(sql, "TRUNCATE TABLE ");
    text_add(sql, t->name.data, t->name.len);
    enum weir_status st = link_run(
        s, "truncate", (struct weir_str){ sql->data, sql->len }, NULL, err);
    if (st != WEIR_REJECT ||
        mysql_errno(s->link.mysql) != ER_TRUNCATE_ILLEGAL_FK) {
        return st;
    }
    sql->len = 0;
    text_put(sql, "DELETE FROM ");
    text_add(sql, t->name.data, t->name.len);
    return link_run(s, "truncate by DELETE",
                    (struct weir_str){ sql->data, sql->len }, NULL, err);
}

enum weir_status
ddl_write(struct sink *s, struct weir_batch *b, struct weir_err *err)
{
    const struct weir_event *ev = b->events[0];

    if (ev->op == WEIR_TRUNCATE) {
        return truncate_table(s, b->slots[0], err);
    }
    switch (s->conf->ddl) {
    case DDL_APPLY:
        return apply(s, b, err);
    case DDL_IGNORE:
        return WEIR_OK;
    default:
        return refuse(s, ev->ddl, "ddl = stop, and the source's definition "
                      "changed: do the same here, then resume", err);
    }
}
