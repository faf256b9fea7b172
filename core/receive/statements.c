/*
 * statements.c - QUERY events: transaction control, DDL, and what should not be
 * there (data changed by a statement).
 */
#include "receive/internal.h"

#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "receive/xa.h"

static bool
is_named(const struct statement *s, const struct known_definition *d)
{
    if (s->kind == STATEMENT_DATABASE && str_eq_nocase(d->schema, s->name)) {
        return true;
    }
    for (size_t i = 0; i < s->ntables; i++) {
        if (str_eq_nocase(d->schema, s->tables[i].schema) &&
            str_eq_nocase(d->name, s->tables[i].name)) {
            return true;
        }
    }
    return false;
}

static bool
is_kept(const struct receiver *r, const struct statement *s)
{
    if (s->unsure || s->kind == STATEMENT_DATABASE) {
        return true;
    }
    for (size_t i = 0; i < s->ntables; i++) {
        if (tables_kept(r, s->tables[i].schema, s->tables[i].name)) {
            return true;
        }
    }
    /* In another spelling of its name, where the server folds them. */
    for (const struct known_definition *d = r->definitions; d; d = d->next) {
        if (!d->ended && d->name.len > 0 && is_named(s, d) &&
            tables_kept(r, d->schema, d->name)) {
            return true;
        }
    }
    return false;
}

/* What was read from the server holds from a position on that lies behind this
 * statement, and what it was before can't be known. */
static enum weir_status
check_hold(struct receiver *r, const struct statement *s, struct weir_err *err)
{
    if (s->kind == STATEMENT_DML || s->kind == STATEMENT_TRUNCATE ||
        !r->hold.active) {
        return WEIR_OK;
    }
    enum weir_status st = WEIR_OK;
    for (size_t i = 0; i < s->ntables && st == WEIR_OK; i++) {
        st = hold_conflict(r, s->tables[i].schema, s->tables[i].name, s->verb,
                           err);
    }
    if (st == WEIR_OK && (s->unsure || s->kind == STATEMENT_DATABASE)) {
        st = hold_conflict(r, s->unsure ? STR("") : s->name, STR(""), s->verb,
                           err);
    }
    return st;
}

static void
warn_of_silence(const struct receiver *r, const struct statement *s)
{
    if (s->silent && s->ntables > 0 && !r->txn.skip) {
        log_warn("%.*s.%.*s: a statement at %.*s:%llu (DROP, TRUNCATE, "
                 "EXCHANGE or CONVERT PARTITION, IMPORT or DISCARD TABLESPACE) "
                 "changed rows without row events: sinks still have the rows "
                 "as they were before; copy the table anew",
                 STR_ARG(s->tables[0].schema), STR_ARG(s->tables[0].name),
                 STR_ARG(buf_view(&r->at.file)),
                 (unsigned long long)r->at.offset);
    }
}

/* What is known of tables changes when the statement is in the relay, before its
 * COMMIT, which may stand in a segment of its own whose header says what is
 * known; and not at all if everything was taken back. */
static enum weir_status
on_ddl(struct receiver *r, const struct binlog_event *ev,
       const struct binlog_query *query, const struct statement *s,
       struct weir_err *err)
{
    struct followed f;

    if (r->txn.not_done || ((ev->flags & BINLOG_F_THREAD_SPECIFIC) &&
                            temporary_is(r, query->thread_id, s))) {
        return r->txn.begun ? WEIR_OK : transaction_commit(r, err);
    }
    const bool held = r->hold.active;
    const bool follow =
        !r->txn.skip && s->kind != STATEMENT_DML &&
        s->kind != STATEMENT_TRUNCATE;

    enum weir_status st =
        r->txn.skip ? WEIR_OK : check_hold(r, s, err);
    if (st != WEIR_OK) {
        return st;
    }
    if (follow) {
        follow_statement(r, query, s, &f);
    }
    if (is_kept(r, s)) {
        warn_of_silence(r, s);
        st = transaction_ddl(r, ev, err);
    }
    if (st == WEIR_OK && follow) {
        follow_apply(r, &f, true);
    }
    if (st == WEIR_OK && !r->txn.begun) {
        st = transaction_commit(r, err);
    }
    const bool taken_back = held && !r->hold.active;
    if (st != WEIR_OK && follow && !taken_back) {
        follow_apply(r, &f, false);
    }
    return st;
}

static enum weir_status
on_xa_end(struct receiver *r, const struct statement *s, struct weir_err *err)
{
    if (s->kind == STATEMENT_XA_ROLLBACK) {
        return xa_rollback(r, s->name, err);
    }
    return s->one_phase ? transaction_commit(r, err)
                        : xa_commit(r, s->name, err);
}

static enum weir_status
on_statement(struct receiver *r, const struct binlog_event *ev,
             const struct binlog_query *query, const struct statement *s,
             struct weir_err *err)
{
    switch (s->kind) {
    case STATEMENT_COMMIT:
        return transaction_commit(r, err);
    case STATEMENT_ROLLBACK:
        return transaction_rollback(r, err);
    case STATEMENT_SAVEPOINT:
    case STATEMENT_ROLLBACK_TO:
    case STATEMENT_RELEASE:
        return savepoints_statement(r, s, err);
    case STATEMENT_XA_END:
        return WEIR_OK;
    case STATEMENT_XA_COMMIT:
    case STATEMENT_XA_ROLLBACK:
        return on_xa_end(r, s, err);
    default:
        break;
    }
    if (s->kind != STATEMENT_OTHER) {
        return on_ddl(r, ev, query, s, err);
    }
    if (s->temporary != TEMPORARY_NONE) {
        temporary_note(r, query->thread_id, s);
    }
    return r->txn.begun ? WEIR_OK : transaction_commit(r, err);
}

enum weir_status
statement_event(struct receiver *r, const struct binlog_event *ev,
                struct weir_err *err)
{
    struct binlog_query query;
    struct statement    s;

    enum weir_status st = binlog_query_parse(ev, &r->call, &query, err);
    if (st != WEIR_OK) {
        return weir_wrap(err, WEIR_FATAL, "QUERY event");
    }
    statement_parse(&r->call, statement_text(&r->call, &query), query.schema,
                    query.sql_mode, &s);
    if (!r->txn.open) { /* no GTIDs in this log */
        st = transaction_begin(r, "", ev, 0, query.thread_id, err);
        if (st != WEIR_OK) {
            return st;
        }
    }
    if (r->txn.thread_id == 0) {
        r->txn.thread_id = query.thread_id;
    }
    if (s.kind == STATEMENT_BEGIN || s.kind == STATEMENT_XA_START) {
        r->txn.begun = true;
        r->txn.xa = s.kind == STATEMENT_XA_START;
        return WEIR_OK;
    }
    return on_statement(r, ev, &query, &s, err);
}

enum weir_status
statement_xa_prepare(struct receiver *r, const struct binlog_event *ev,
                     struct weir_err *err)
{
    bool one_phase;
    char xid[512];

    enum weir_status st =
        binlog_xa_parse(ev, &one_phase, xid, sizeof xid, err);
    if (st != WEIR_OK) {
        return weir_wrap(err, WEIR_FATAL, "XA_PREPARE event");
    }
    st = savepoints_settle(r, err);
    if (st != WEIR_OK) {
        return st;
    }
    return one_phase ? transaction_commit(r, err) : xa_prepare(r, xid, err);
}
