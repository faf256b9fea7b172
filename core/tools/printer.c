/*
 * printer.c - see printer.h.  A transaction begins with a GTID event, or with
 * BEGIN where there are none; which rows of a prepared XA transaction are
 * committed later the log says elsewhere, so those are marked.
 */
#include "tools/printer.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/str.h"
#include "binlog/rows.h"
#include "schema/statement.h"
#include "tools/held.h"
#include "tools/tablemap.h"

enum {
    MAX_TABLES = 1 << 16, /* between two statements; then all is forgotten */
    DUMMY_TABLE = 0xffffff, /* rows of no table: only ends a statement */
    MAX_SAID = 3, /* complaints of a table's rows; then they are counted */
};

struct printer {
    struct printer_settings set;
    struct weir_str         xa_note;

    struct buf              name; /* of the file */
    struct binlog_stream    stream;
    struct binlog_inflater *inflater;
    struct buf              rows, payload; /* inflated */
    struct arena            arena;
    struct tablemap         tables;
    struct buf              out;

    uint64_t offset;   /* of the event at hand, as it stands in the file */
    uint64_t next_seq; /* the least that the next row may have */
    bool     said_bare; /* that there are no names, once a file */
    uint64_t unsaid;   /* events with rows that can't be, beyond MAX_SAID */

    bool            in_txn;
    bool            not_done; /* its ALTER begins, or has failed */
    struct weir_txn txn;
    char            gtid[sizeof((struct binlog_gtid *)0)->text];

    bool       holding; /* events of an XA transaction: held.h */
    struct buf held;
};

struct printer *
printer_new(const struct printer_settings *set)
{
    struct printer *pr = xcalloc(1, sizeof *pr);
    pr->set = *set;
    pr->set.format.note = STR("");
    pr->xa_note = STR(",\"xa\":\"prepared\"");
    pr->inflater = binlog_inflater_new();
    return pr;
}

void
printer_free(struct printer **pr)
{
    if (*pr == NULL) {
        return;
    }
    tablemap_clear(&(*pr)->tables);
    binlog_inflater_free(&(*pr)->inflater);
    buf_free(&(*pr)->name);
    buf_free(&(*pr)->rows);
    buf_free(&(*pr)->payload);
    buf_free(&(*pr)->out);
    buf_free(&(*pr)->held);
    arena_free(&(*pr)->arena);
    free(*pr);
    *pr = NULL;
}

static void complain(struct printer *pr, bool lost, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void
complain(struct printer *pr, bool lost, const char *fmt, ...)
{
    char    text[sizeof((struct weir_err *)0)->text];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    pr->set.complain(pr->set.arg, lost, text);
}

/* ---- Transactions */

static void
txn_begin(struct printer *pr, const struct binlog_event *ev)
{
    pr->in_txn = true;
    pr->gtid[0] = '\0';
    pr->set.format.note = STR("");
    pr->txn = (struct weir_txn){
        .file = buf_view(&pr->name),
        .offset = pr->offset,
        .server_id = ev->server_id,
        .commit_usec = (int64_t)ev->timestamp * 1000000,
    };
}

static void
txn_end(struct printer *pr)
{
    pr->in_txn = false;
    pr->set.format.note = STR("");
    if (pr->tables.n > MAX_TABLES) {
        tablemap_clear(&pr->tables);
    }
}

static enum weir_status
on_gtid(struct printer *pr, const struct binlog_event *ev,
        struct weir_err *err)
{
    struct binlog_gtid     gtid;
    const enum weir_status st = binlog_gtid_parse(ev, &gtid, err);
    if (st != WEIR_OK) {
        return st;
    }
    txn_begin(pr, ev);
    memcpy(pr->gtid, gtid.text, sizeof pr->gtid);
    pr->txn.gtid = str_of(pr->gtid);
    pr->txn.thread_id = gtid.thread_id;
    pr->not_done = gtid.not_done;
    if (gtid.commit_usec) {
        pr->txn.commit_usec = gtid.commit_usec;
    }
    if (gtid.prepared_xa) {
        pr->set.format.note = pr->xa_note;
    }
    return WEIR_OK;
}

static enum weir_status
on_xa_prepare(struct printer *pr, const struct binlog_event *ev,
              struct weir_err *err)
{
    char                   xid[512];
    bool                   one_phase;
    const enum weir_status st =
        binlog_xa_parse(ev, &one_phase, xid, sizeof xid, err);
    if (st == WEIR_OK && !one_phase) {
        complain(pr, false,
                 "the XA transaction %s was prepared here, not committed: its "
                 "rows are marked \"xa\":\"prepared\"",
                 xid);
    }
    txn_end(pr);
    return st;
}

/* ---- Tables and rows */

static bool
is_wanted(const struct printer *pr, struct weir_str database,
          struct weir_str table)
{
    const struct printer_settings *set = &pr->set;
    return (set->database.len == 0 || str_glob(set->database, database)) &&
           (set->table.len == 0 || str_glob(set->table, table));
}

static void
table_define(struct printer *pr, struct mapped_table *t,
             const struct binlog_table_map *map)
{
    struct weir_err  err;
    enum weir_status st = table_make(
        &t->arena, pr->stream.flavour, map, NULL,
        "the binlog has no names: binlog_row_metadata is not FULL", &t->table,
        &err);
    if (st != WEIR_OK) {
        t->bad = true;
        complain(pr, true, "table %.*s.%.*s: %s", STR_ARG(t->schema),
                 STR_ARG(t->name), err.text);
        return;
    }
    if (map->optional_len == 0 && !pr->said_bare) {
        pr->said_bare = true;
        complain(pr, false,
                 "the log does not say what columns are called, nor which are "
                 "UNSIGNED (binlog_row_metadata is not FULL): they are @1, @2, "
                 "..., and large unsigned integers come out negative");
    }
    const uint32_t n = t->table->pub.ncolumns;
    t->before = arena_array(&t->arena, n, sizeof *t->before);
    t->after = arena_array(&t->arena, n, sizeof *t->after);
    t->format = format_table_new(&pr->set.format, &t->table->pub);
}

static enum weir_status
on_table_map(struct printer *pr, const struct binlog_event *ev,
             struct weir_err *err)
{
    const struct weir_str body = { (const char *)ev->body, ev->body_len };
    const uint64_t        id = binlog_table_id(ev->body, ev->body_len);
    const struct mapped_table *known = tablemap_find(&pr->tables, id);
    if (known && str_eq(known->body, body)) {
        return WEIR_OK;
    }
    struct binlog_table_map map;
    const enum weir_status  st =
        binlog_table_map_parse(ev->body, ev->body_len, &map, err);
    if (st != WEIR_OK) {
        return st;
    }
    struct mapped_table *t = tablemap_put(&pr->tables, id, body);
    t->schema = arena_str(&t->arena, map.schema);
    t->name = arena_str(&t->arena, map.name);
    t->wanted = is_wanted(pr, map.schema, map.name);
    if (t->wanted) {
        table_define(pr, t, &map);
    }
    return WEIR_OK;
}

static void
print(struct printer *pr, struct mapped_table *t, struct weir_event *ev,
      uint32_t index)
{
    const uint64_t seq = pr->offset + index;
    ev->seq = seq < pr->next_seq ? pr->next_seq : seq;
    pr->next_seq = ev->seq + 1;
    format_event(&pr->set.format, t ? t->format : NULL, ev, &pr->out);
    pr->set.ready(pr->set.arg, &pr->out);
}

static void
print_rows(struct printer *pr, struct mapped_table *t, struct binlog_rows *rows)
{
    const bool        has_before = rows->op != WEIR_INSERT;
    const bool        has_after = rows->op != WEIR_DELETE;
    struct weir_event ev = {
        .op = rows->op,
        .table = &t->table->pub,
        .txn = &pr->txn,
        .before = has_before ? t->before : NULL,
        .after = has_after ? t->after : NULL,
    };
    struct weir_err  err;
    enum weir_status st;

    for (;;) {
        arena_reset(&pr->arena);
        st = binlog_rows_next(rows, NULL, t->before, t->after, &pr->arena,
                              &err);
        if (st != WEIR_OK) {
            break;
        }
        print(pr, t, &ev, rows->index);
    }
    if (st == WEIR_DROP) {
        return;
    }
    if (t->failed++ < MAX_SAID) {
        complain(pr, true, "%.*s.%.*s: %s", STR_ARG(t->schema),
                 STR_ARG(t->name), err.text);
    } else {
        pr->unsaid++;
    }
}

static enum weir_status
on_rows(struct printer *pr, const struct binlog_event *outer,
        struct weir_err *err)
{
    struct binlog_event  ev = *outer;
    struct binlog_rows   rows;
    const uint64_t       id = binlog_table_id(ev.body, ev.body_len);
    struct mapped_table *t = tablemap_find(&pr->tables, id);
    enum weir_status     st = WEIR_OK;

    if (t ? !t->wanted || t->bad : id == DUMMY_TABLE) {
        return WEIR_OK;
    }
    if (t == NULL) {
        return weir_fail(err, WEIR_REJECT,
                         "rows of table number %llu, of which there was no "
                         "TABLE_MAP",
                         (unsigned long long)id);
    }
    if (!pr->in_txn) {
        txn_begin(pr, &ev);
    }
    if (binlog_is_compressed(ev.type)) {
        st = binlog_inflate_rows(pr->inflater, outer, BINLOG_MAX_EVENT,
                                 &pr->rows, err);
        if (st == WEIR_OK) {
            st = binlog_event_parse_inner(&pr->stream, pr->rows.data,
                                          pr->rows.len, &ev, err);
        }
    }
    if (st == WEIR_OK) {
        st = binlog_rows_open(&rows, ev.type, ev.body, ev.body_len,
                              t->table->columns, t->table->pub.ncolumns, err);
    }
    if (st == WEIR_OK) {
        print_rows(pr, t, &rows);
    }
    return st;
}

/* ---- Statements */

static bool
statement_is_wanted(const struct printer *pr, const struct statement *s)
{
    for (size_t i = 0; i < s->ntables; i++) {
        if (is_wanted(pr, s->tables[i].schema, s->tables[i].name)) {
            return true;
        }
    }
    return s->ntables == 0 && pr->set.table.len == 0 &&
           is_wanted(pr, s->name, STR(""));
}

static void
print_statement(struct printer *pr, const struct binlog_query *q,
                const struct statement *s)
{
    if (!statement_is_wanted(pr, s)) {
        return;
    }
    if (s->kind == STATEMENT_DML) {
        complain(pr, true,
                 "rows were changed by a statement (binlog_format is not "
                 "ROW), which rows is not known: %.*s",
                 (int)(q->text.len < 100 ? q->text.len : 100), q->text.data);
        return;
    }
    const struct weir_ddl ddl = {
        .kind = s->verb,
        .schema = q->schema,
        .text = q->text,
        .sql_mode = q->sql_mode,
        .flags2 = q->flags2,
        .time_zone = q->time_zone,
    };
    struct weir_table table = { .schema = s->name };
    if (s->ntables) {
        table.schema = s->tables[0].schema;
        table.name = s->tables[0].name;
    }
    struct weir_event ev = {
        .op = s->kind == STATEMENT_TRUNCATE ? WEIR_TRUNCATE : WEIR_DDL,
        .table = &table,
        .txn = &pr->txn,
        .ddl = &ddl,
    };
    print(pr, NULL, &ev, 0);
}

static void
rolled_back(struct printer *pr, const char *what)
{
    complain(pr, false,
             "%s: rows of the transaction that begins at %llu were printed "
             "and then rolled back, but for those of non-transactional tables",
             what, (unsigned long long)pr->txn.offset);
}

static void
on_statement(struct printer *pr, const struct binlog_event *ev,
             const struct binlog_query *q, const struct statement *s)
{
    switch (s->kind) {
    case STATEMENT_OTHER:
    case STATEMENT_SAVEPOINT:
    case STATEMENT_RELEASE:
    case STATEMENT_XA_END:
    case STATEMENT_XA_COMMIT:
    case STATEMENT_XA_ROLLBACK:
        return;
    case STATEMENT_BEGIN:
        if (!pr->in_txn) {
            txn_begin(pr, ev);
        }
        return;
    case STATEMENT_XA_START:
        if (!pr->in_txn) {
            txn_begin(pr, ev);
        }
        pr->holding = pr->stream.flavour == FLAVOUR_MYSQL;
        return;
    case STATEMENT_COMMIT:
        txn_end(pr);
        return;
    case STATEMENT_ROLLBACK:
        rolled_back(pr, "ROLLBACK");
        txn_end(pr);
        return;
    case STATEMENT_ROLLBACK_TO:
        rolled_back(pr, "ROLLBACK TO SAVEPOINT");
        return;
    case STATEMENT_TABLE:
    case STATEMENT_TRUNCATE:
    case STATEMENT_DATABASE:
    case STATEMENT_DML:
        if (pr->not_done) {
            return;
        }
        if (!pr->in_txn) {
            txn_begin(pr, ev);
            pr->in_txn = false;
        }
        print_statement(pr, q, s);
        return;
    }
}

static enum weir_status
on_query(struct printer *pr, const struct binlog_event *ev,
         struct weir_err *err)
{
    struct binlog_query q;
    struct statement    s;

    arena_reset(&pr->arena);
    const enum weir_status st = binlog_query_parse(ev, &pr->arena, &q, err);
    if (st == WEIR_OK) {
        q.text = statement_text(&pr->arena, &q);
        statement_parse(&pr->arena, q.text, q.schema, q.sql_mode, &s);
        on_statement(pr, ev, &q, &s);
    }
    return st;
}

/* ---- Events */

static enum weir_status
on_incident(struct printer *pr, const struct binlog_event *ev,
            struct weir_err *err)
{
    struct weir_str        message;
    const enum weir_status st = binlog_incident_parse(ev, &message, err);
    if (st == WEIR_OK) {
        complain(pr, true, "the server says that changes are missing here: "
                 "%.*s", STR_ARG(message));
    }
    return st;
}

static enum weir_status on_payload(struct printer *pr,
                                   const struct binlog_event *ev,
                                   struct weir_err *err);

static enum weir_status
dispatch(struct printer *pr, const struct binlog_event *ev,
         struct weir_err *err)
{
    if (binlog_is_rows(ev->type)) {
        return on_rows(pr, ev, err);
    }
    switch (ev->type) {
    case BINLOG_TABLE_MAP:
        return on_table_map(pr, ev, err);
    case BINLOG_GTID:
    case BINLOG_ANONYMOUS_GTID:
    case BINLOG_GTID_TAGGED:
    case BINLOG_MARIADB_GTID:
        return on_gtid(pr, ev, err);
    case BINLOG_QUERY:
    case BINLOG_QUERY_COMPRESSED:
        return on_query(pr, ev, err);
    case BINLOG_XID:
        txn_end(pr);
        return WEIR_OK;
    case BINLOG_XA_PREPARE:
        return on_xa_prepare(pr, ev, err);
    case BINLOG_TRANSACTION_PAYLOAD:
        return on_payload(pr, ev, err);
    case BINLOG_FORMAT:
        tablemap_clear(&pr->tables);
        return WEIR_OK;
    case BINLOG_INCIDENT:
        return on_incident(pr, ev, err);
    default:
        return WEIR_OK;
    }
}

static enum weir_status
on_payload(struct printer *pr, const struct binlog_event *outer,
           struct weir_err *err)
{
    enum weir_status st = binlog_inflate_payload(
        pr->inflater, outer, BINLOG_MAX_EVENT, &pr->payload, err);
    size_t at = 0;
    while (st == WEIR_OK && at < pr->payload.len) {
        struct binlog_event ev;
        st = binlog_event_parse_inner(&pr->stream, pr->payload.data + at,
                                      pr->payload.len - at, &ev, err);
        if (st == WEIR_OK) {
            at += ev.len;
            st = dispatch(pr, &ev, err);
        }
    }
    return st;
}

/* ---- XA transactions of MySQL, held until it is known how they end */

static enum weir_status
release(struct printer *pr, bool committed, struct weir_err *err)
{
    struct binlog_event ev;
    enum weir_status    st = WEIR_OK;
    size_t              at = 0;
    const uint64_t      offset = pr->offset;

    pr->holding = false;
    if (!committed) {
        pr->set.format.note = pr->xa_note;
    }
    while (st == WEIR_OK) {
        st = held_next(&pr->held, &at, &pr->stream, &ev, &pr->offset, err);
        st = st == WEIR_OK ? dispatch(pr, &ev, err) : st;
    }
    pr->held.len = 0;
    pr->offset = offset;
    return st == WEIR_DROP ? WEIR_OK : st;
}

void
printer_begin(struct printer *pr, const char *name)
{
    pr->name.len = 0;
    buf_text(&pr->name, name);
    binlog_stream_init(&pr->stream);
    tablemap_clear(&pr->tables);
    pr->holding = false;
    pr->held.len = 0;
    pr->next_seq = pr->unsaid = 0;
    pr->said_bare = false;
    txn_end(pr);
}

enum weir_status
printer_event(struct printer *pr, const uint8_t *data, size_t len,
              uint64_t offset, struct weir_err *err)
{
    struct binlog_event ev;
    bool                committed;

    pr->offset = offset;
    enum weir_status st = binlog_event_parse(&pr->stream, data, len, &ev, err);
    if (st != WEIR_OK) {
        return st;
    }
    if (pr->holding) {
        if (!held_ends(&ev, &committed)) {
            return held_add(&pr->held, &ev, offset, err);
        }
        st = release(pr, committed, err);
    }
    return st == WEIR_OK ? dispatch(pr, &ev, err) : st;
}

void
printer_end(struct printer *pr)
{
    struct weir_err err;
    if (pr->holding && release(pr, false, &err) != WEIR_OK) {
        complain(pr, true, "%s", err.text);
    }
    if (pr->unsaid) {
        complain(pr, true, "%llu more events of such tables had rows that "
                 "can't be read", (unsigned long long)pr->unsaid);
    }
}
