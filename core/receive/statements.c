/*
 * statements.c - QUERY events: transaction control, DDL, and what should not be
 * there (data changed by a statement, two-phase XA).
 */
#include "receive/internal.h"

#include "base/err.h"
#include "base/str.h"

enum { PASSED_XIDS_MAX = 1 << 20 };

static enum weir_status
on_ddl(struct receiver *r, const struct binlog_event *ev,
       const struct statement *s, struct weir_err *err)
{
    bool kept = s->unsure || s->kind == STATEMENT_DATABASE;

    for (size_t i = 0; i < s->ntables; i++) {
        const struct statement_table *t = &s->tables[i];
        kept |= tables_kept(r, t->schema, t->name);
        if (s->kind == STATEMENT_DML || r->txn.skip) {
            continue;
        }
        const enum weir_status st =
            hold_conflict(r, t->schema, t->name, s->verb, err);
        if (st != WEIR_OK) {
            return st;
        }
        tables_forget(r, t->schema, t->name);
    }
    if (r->txn.skip || s->kind == STATEMENT_DML) {
        return kept ? transaction_ddl(r, ev, err) : WEIR_OK;
    }
    if (s->unsure || s->kind == STATEMENT_DATABASE) {
        const struct weir_str schema = s->unsure ? STR("") : s->name;
        const enum weir_status st =
            hold_conflict(r, schema, STR(""), s->verb, err);
        if (st != WEIR_OK) {
            return st;
        }
        tables_forget(r, schema, STR(""));
    }
    return kept ? transaction_ddl(r, ev, err) : WEIR_OK;
}

static enum weir_status
on_savepoint(struct receiver *r, const struct statement *s,
             struct weir_err *err)
{
    if (s->kind == STATEMENT_SAVEPOINT) {
        r->txn.savepoint_rows = r->txn.rows;
    } else if (s->kind == STATEMENT_ROLLBACK_TO &&
               r->txn.rows != r->txn.savepoint_rows) {
        return weir_fail(
            err, WEIR_FATAL,
            "%.*s:%llu: ROLLBACK TO SAVEPOINT %.*s in the log, behind rows of "
            "tables that are kept: a transaction that also changed a "
            "non-transactional table.  Begin anew behind it, or leave those "
            "tables out",
            STR_ARG(buf_view(&r->at.file)), (unsigned long long)r->at.offset,
            STR_ARG(s->name));
    }
    return WEIR_OK;
}

/* An XA group without rows of kept tables is passed over, and so will be its
 * COMMIT, which is all of it that may come much later. */
static void
pass_xid(struct receiver *r, const char *xid)
{
    if (r->passed_xids.len < PASSED_XIDS_MAX) {
        buf_text(&r->passed_xids, xid);
        buf_byte(&r->passed_xids, '\n');
    }
}

/* Whether it was passed over; no longer, then. */
static bool
take_xid(struct receiver *r, struct weir_str xid)
{
    char *at = r->passed_xids.data;
    char *end = at ? at + r->passed_xids.len : NULL;

    while (at && at < end) {
        char *next = memchr(at, '\n', (size_t)(end - at));
        next++;
        if (str_eq(xid, (struct weir_str){ at, (size_t)(next - at) - 1 })) {
            memmove(at, next, (size_t)(end - next));
            r->passed_xids.len -= (size_t)(next - at);
            return true;
        }
        at = next;
    }
    return false;
}

static enum weir_status
on_xa_end(struct receiver *r, const struct statement *s, struct weir_err *err)
{
    const bool commit = s->kind == STATEMENT_XA_COMMIT;

    if (commit && s->one_phase) {
        return transaction_commit(r, err);
    }
    if (take_xid(r, s->name) || !commit || r->txn.skip) {
        return transaction_commit(r, err); /* rolled back: nothing was kept */
    }
    return weir_fail(
        err, WEIR_FATAL,
        "%.*s:%llu: XA COMMIT %.*s: two-phase XA transactions are not "
        "followed by this version, and what it changed is not known.  Begin "
        "anew behind it",
        STR_ARG(buf_view(&r->at.file)), (unsigned long long)r->at.offset,
        STR_ARG(s->name));
}

static enum weir_status
on_statement(struct receiver *r, const struct binlog_event *ev,
             const struct statement *s, struct weir_err *err)
{
    switch (s->kind) {
    case STATEMENT_COMMIT:
        return transaction_commit(r, err);
    case STATEMENT_ROLLBACK:
        return transaction_rollback(r, err);
    case STATEMENT_SAVEPOINT:
    case STATEMENT_ROLLBACK_TO:
    case STATEMENT_RELEASE:
        return on_savepoint(r, s, err);
    case STATEMENT_XA_END:
        return WEIR_OK;
    case STATEMENT_XA_COMMIT:
    case STATEMENT_XA_ROLLBACK:
        return on_xa_end(r, s, err);
    default:
        break;
    }
    if (s->kind != STATEMENT_OTHER) {
        const enum weir_status st = on_ddl(r, ev, s, err);
        if (st != WEIR_OK) {
            return st;
        }
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
    return on_statement(r, ev, &s, err);
}

enum weir_status
statement_xa_prepare(struct receiver *r, const struct binlog_event *ev,
                     struct weir_err *err)
{
    bool one_phase;
    char xid[512];

    const enum weir_status st =
        binlog_xa_parse(ev, &one_phase, xid, sizeof xid, err);
    if (st != WEIR_OK) {
        return weir_wrap(err, WEIR_FATAL, "XA_PREPARE event");
    }
    if (one_phase || !r->txn.written) {
        if (!one_phase) {
            pass_xid(r, xid);
        }
        return transaction_commit(r, err);
    }
    return weir_fail(
        err, WEIR_FATAL,
        "%.*s:%llu: XA PREPARE %s on a table that is kept: two-phase XA "
        "transactions are not followed by this version.  Leave its tables out "
        "(relay { tables }), or begin anew behind it",
        STR_ARG(buf_view(&r->at.file)), (unsigned long long)r->at.offset, xid);
}
