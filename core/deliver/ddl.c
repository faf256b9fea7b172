/*
 * ddl.c - statements of the stream as events: DDL and TRUNCATE, each alone in
 * its batch.  Data that a statement changed can't be known from here, so a sink
 * that wants the table stops.
 */
#include "deliver/internal.h"

#include "base/bytes.h"
#include "base/err.h"
#include "base/str.h"
#include "deliver/aside.h"
#include "schema/charset.h"

enum { DDL_PREFIX = 16 };

static enum weir_status
parse_frame(struct deliverer *d, const struct frame *f,
            struct binlog_query *query, struct weir_err *err)
{
    struct binlog_stream stream;
    struct binlog_event  ev;

    binlog_stream_init(&stream);
    stream.npost = sizeof stream.post_header; /* framed and checked before */
    enum weir_status st = binlog_event_parse_inner(
        &stream, f->payload.data + DDL_PREFIX, f->payload.len - DDL_PREFIX,
        &ev, err);
    if (st == WEIR_OK) {
        st = binlog_query_parse(&ev, &d->round->arena, query, err);
    }
    if (st == WEIR_OK) {
        query->text = statement_text(&d->round->arena, query);
    }
    return st == WEIR_OK ? st
                         : weir_wrap(err, WEIR_FATAL,
                                     "relay: the DDL frame at %llu",
                                     (unsigned long long)f->offset);
}

static enum weir_status
changed_by_statement(const struct deliverer *d, const struct frame *f,
                     const struct statement_table *t,
                     const struct statement *s, struct weir_err *err)
{
    return weir_fail(
        err, WEIR_REJECT,
        "table %.*s.%.*s%s was changed by a statement (%.*s at %.*s:%llu), "
        "which says nothing of its rows.  Set binlog_format=ROW on the server, "
        "for all sessions; copy the table anew, or leave it out of this sink "
        "to go on",
        STR_ARG(t->schema), STR_ARG(t->name),
        s->unsure ? " (or another one)" : "", STR_ARG(s->verb),
        STR_ARG(d->txn->file),
        (unsigned long long)get_le64(f->payload.data + 8));
}

static enum weir_status
check_dml(struct deliverer *d, const struct frame *f,
          const struct statement *s, struct weir_err *err)
{
    enum weir_status st = WEIR_OK;

    for (size_t i = 0; i < s->ntables && st == WEIR_OK; i++) {
        const struct statement_table *t = &s->tables[i];
        struct view                  *v = NULL;
        if (!s->unsure && !view_routed(d, t->schema, t->name)) {
            continue;
        }
        if (!s->unsure) {
            st = view_of_name(d, t->schema, t->name, &v, err);
        }
        if (st == WEIR_OK && (!v || v->wanted)) {
            changed_by_statement(d, f, t, s, err);
            const struct weir_err why = *err;
            st = refuse_ddl(d, v, why.text, err);
        }
    }
    return st;
}

static const struct weir_ddl *
make_ddl(struct deliverer *d, const struct binlog_query *q,
         const struct statement *s)
{
    struct arena    *a = &d->round->arena;
    struct weir_ddl *ddl = arena_alloc(a, sizeof *ddl);

    *ddl = (struct weir_ddl){
        .kind = s->verb,
        .schema = arena_str(a, q->schema),
        .text = arena_str(a, q->text),
        .sql_mode = q->sql_mode,
        .flags2 = q->flags2,
        .time_zone = arena_str(a, q->time_zone),
        .client_charset =
            charset_of_id(a, q->client_charset, &ddl->connection_collation)
                .name,
    };
    charset_of_id(a, q->connection_collation, &ddl->connection_collation);
    charset_of_id(a, q->server_collation, &ddl->server_collation);
    return ddl;
}

static enum weir_status
add_truncate(struct deliverer *d, const struct frame *f,
             const struct statement_table *t, const struct weir_ddl *ddl,
             bool *added, struct weir_err *err)
{
    struct view *v;

    if (!view_routed(d, t->schema, t->name)) {
        return WEIR_OK;
    }
    const enum weir_status st = view_by_name(d, t->schema, t->name, &v, err);
    if (st != WEIR_OK || !v->wanted || !(v->ops & 1u << WEIR_TRUNCATE)) {
        return st;
    }
    if (v->refused || refuse_holds(d, v)) {
        return refuse_ddl(d, v, v->refused ? v->refused->text
                                           : "its table is parked", err);
    }
    struct weir_event *ev = event_add(d, v, f);
    ev->op = WEIR_TRUNCATE;
    ev->ddl = ddl;
    *added = true;
    return WEIR_OK;
}

enum weir_status
fill_ddl(struct deliverer *d, const struct frame *f, bool *added,
         struct weir_err *err)
{
    struct binlog_query query;
    struct statement    s;

    *added = false;
    enum weir_status st = parse_frame(d, f, &query, err);
    if (st != WEIR_OK) {
        return st;
    }
    statement_parse(&d->round->arena, query.text, query.schema, query.sql_mode,
                    &s);
    if (s.kind == STATEMENT_DML) {
        return check_dml(d, f, &s, err);
    }
    const struct weir_ddl *ddl = make_ddl(d, &query, &s);
    if (s.kind == STATEMENT_TRUNCATE && s.ntables == 1) {
        return add_truncate(d, f, &s.tables[0], ddl, added, err);
    }
    struct view *v = NULL;
    bool         wanted = s.unsure || s.kind == STATEMENT_DATABASE;
    for (size_t i = 0; i < s.ntables && st == WEIR_OK; i++) {
        struct view *one;
        st = view_of_name(d, s.tables[i].schema, s.tables[i].name, &one, err);
        /* What comes back from a side log is not held by another one, which
         * has it too. */
        if (st == WEIR_OK && one->wanted && !d->aside->applying &&
            refuse_holds(d, one)) {
            st = refuse_ddl(d, one, "its table is parked", err);
        } else if (st == WEIR_OK && one->wanted) {
            wanted = true;
            v = !v || v->refused ? one : v;
        }
    }
    if (st == WEIR_OK && wanted) {
        struct weir_event *ev = event_add(d, v, f);
        ev->op = WEIR_DDL;
        ev->ddl = ddl;
        *added = true;
    }
    return st;
}
