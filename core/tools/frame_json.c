/* frame_json.c - see frame_json.h. */
#include "tools/frame_json.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/str.h"
#include "format/format.h"
#include "schema/statement.h"
#include "tools/ctl.h"

struct frame_json {
    struct arena  tables, call;
    uint64_t      segment;
    struct known *known; /* of this segment */
};
struct known {
    struct known *next;
    uint64_t      offset;
    struct table *table;
};

struct frame_json *
frame_json_new(void)
{
    return xcalloc(1, sizeof(struct frame_json));
}

void
frame_json_free(struct frame_json **j)
{
    arena_free(&(*j)->tables);
    arena_free(&(*j)->call);
    free(*j);
    *j = NULL;
}

bool
head_parse(const struct frame *f, struct head_fields *out)
{
    struct reader p = reader_of(f->payload.data, f->payload.len);

    out->source_offset = read_le(&p, 8);
    out->commit_usec = (int64_t)read_le(&p, 8);
    out->received_usec = (int64_t)read_le(&p, 8);
    out->xid = read_le(&p, 8);
    out->server_id = (uint32_t)read_le(&p, 4);
    out->thread_id = (uint32_t)read_le(&p, 4);
    const uint64_t gtid = read_le(&p, 2), file = read_le(&p, 2);
    const uint64_t server = read_le(&p, 2);
    read_le(&p, 2);
    out->gtid = read_str(&p, gtid);
    out->file = read_str(&p, file);
    out->server = read_str(&p, server);
    return !p.bad;
}

static void
put_head(const struct frame *f, struct buf *out)
{
    struct head_fields h;

    if (!head_parse(f, &h)) {
        ctl_text(out, "error", STR("malformed"));
        return;
    }
    ctl_text(out, "gtid", h.gtid);
    ctl_text(out, "file", h.file);
    ctl_uint(out, "file_offset", h.source_offset);
    ctl_time(out, "commit_time", h.commit_usec);
    ctl_time(out, "received_time", h.received_usec);
    ctl_int(out, "server_id", h.server_id);
    ctl_int(out, "thread_id", h.thread_id);
    ctl_uint(out, "xid", h.xid);
    ctl_text(out, "server", h.server);
}

/* ---- Tables and rows */

void
table_json_put(const struct table *t, struct buf *out)
{
    const struct weir_table *pub = &t->pub;

    ctl_text(out, "database", pub->schema);
    ctl_text(out, "table", pub->name);
    ctl_bool(out, "names_known", t->names_known);
    if (!t->names_known) {
        ctl_text(out, "reason", str_of(t->reason));
    }
    ctl_key(out, "columns");
    buf_text(out, "[");
    for (uint32_t i = 0; i < pub->ncolumns; i++) {
        buf_text(out, i ? ",{" : "{");
        ctl_text(out, "name", pub->columns[i]->name);
        ctl_text(out, "type", pub->columns[i]->sql_type);
        buf_text(out, "}");
    }
    buf_text(out, "]");
    ctl_key(out, "key");
    buf_text(out, "[");
    for (uint32_t i = 0; i < pub->nkey; i++) {
        buf_text(out, i ? "," : "");
        format_json_string(pub->columns[pub->key[i]]->name, out);
    }
    buf_text(out, "]");
}

static void
put_table(struct frame_json *j, const struct frame *f, struct buf *out)
{
    struct table   *t;
    struct weir_err err;

    if (table_load(&j->call, f->payload, f->offset, &t, &err) != WEIR_OK) {
        ctl_text(out, "error", str_of(err.text));
        return;
    }
    table_json_put(t, out);
}

static enum weir_status
find_table(struct frame_json *j, struct relaylog *l, uint64_t offset,
           struct table **out, struct weir_err *err)
{
    struct frame f;

    if (j->segment != l->head.base) {
        arena_reset(&j->tables);
        j->known = NULL;
        j->segment = l->head.base;
    }
    for (struct known *k = j->known; k; k = k->next) {
        if (k->offset == offset) {
            *out = k->table;
            return WEIR_OK;
        }
    }
    enum weir_status st = relaylog_read(l, offset, &j->tables, &f, err);
    if (st == WEIR_OK && f.type != FRAME_TABLE) {
        st = weir_fail(err, WEIR_REJECT, "the frame at its table's place is "
                       "none");
    }
    if (st == WEIR_OK) {
        st = table_load(&j->tables, f.payload, offset, out, err);
    }
    if (st == WEIR_OK) {
        struct known *k = arena_alloc(&j->tables, sizeof *k);
        *k = (struct known){ j->known, offset, *out };
        j->known = k;
    }
    return st;
}

static void
put_image(const struct table *t, const char *name,
          const struct weir_value *values, struct buf *out)
{
    ctl_key(out, name);
    buf_text(out, "{");
    for (uint32_t i = 0; i < t->pub.ncolumns; i++) {
        if (values[i].type == WEIR_ABSENT) {
            continue;
        }
        buf_text(out, out->data[out->len - 1] == '{' ? "" : ",");
        format_json_string(t->pub.columns[i]->name, out);
        buf_byte(out, ':');
        format_json_value(t->pub.columns[i], &values[i], false, out);
    }
    buf_text(out, "}");
}

static enum weir_status
put_rows(struct frame_json *j, const struct table *t, struct binlog_rows *rows,
         struct buf *out, struct weir_err *err)
{
    const uint32_t   n = t->pub.ncolumns;
    enum weir_status st;

    struct weir_value *before = arena_array(&j->call, n + 1, sizeof *before);
    struct weir_value *after = arena_array(&j->call, n + 1, sizeof *after);
    ctl_key(out, "rows");
    buf_text(out, "[");
    while ((st = binlog_rows_next(rows, NULL, before, after, &j->call, err)) ==
           WEIR_OK) {
        buf_text(out, rows->index ? ",{" : "{");
        if (rows->op != WEIR_INSERT) {
            put_image(t, "before", before, out);
        }
        if (rows->op != WEIR_DELETE) {
            put_image(t, "after", after, out);
        }
        buf_text(out, "}");
    }
    buf_text(out, "]");
    return st == WEIR_DROP ? WEIR_OK : st;
}

static void
put_row(struct frame_json *j, struct relaylog *l, const struct frame *f,
        struct buf *out)
{
    static const char *const ops[] = { "insert", "update", "delete" };
    struct reader      p = reader_of(f->payload.data, f->payload.len);
    struct binlog_rows rows;
    struct weir_err    err;
    struct table      *t;

    ctl_uint(out, "head", read_le(&p, 8));
    const uint64_t table = read_le(&p, 8);
    ctl_uint(out, "table_frame", table);
    ctl_uint(out, "file_offset", read_le(&p, 8));
    const uint8_t   *header = read_bytes(&p, BINLOG_HEADER);
    enum weir_status st =
        header ? find_table(j, l, table, &t, &err)
               : weir_fail(&err, WEIR_REJECT, "malformed");
    if (st == WEIR_OK) {
        ctl_text(out, "database", t->pub.schema);
        ctl_text(out, "table", t->pub.name);
        st = binlog_rows_open(&rows, (enum binlog_type)header[4], p.p,
                              reader_left(&p), t->columns, t->pub.ncolumns,
                              &err);
    }
    if (st == WEIR_OK) {
        ctl_text(out, "op", str_of(ops[rows.op]));
        st = put_rows(j, t, &rows, out, &err);
    }
    if (st != WEIR_OK) {
        ctl_text(out, "error", str_of(err.text));
    }
}

/* ---- The rest */

static void
put_ddl(struct frame_json *j, const struct frame *f, struct buf *out)
{
    enum { PREFIX = 16 };
    struct reader        p = reader_of(f->payload.data, f->payload.len);
    struct binlog_stream stream;
    struct binlog_event  ev;
    struct binlog_query  q;
    struct weir_err      err;

    ctl_uint(out, "head", read_le(&p, 8));
    ctl_uint(out, "file_offset", read_le(&p, 8));
    binlog_stream_init(&stream);
    stream.npost = sizeof stream.post_header; /* framed and checked before */
    enum weir_status st =
        p.bad ? weir_fail(&err, WEIR_REJECT, "malformed")
              : binlog_event_parse_inner(&stream, f->payload.data + PREFIX,
                                         f->payload.len - PREFIX, &ev, &err);
    if (st == WEIR_OK) {
        st = binlog_query_parse(&ev, &j->call, &q, &err);
    }
    if (st != WEIR_OK) {
        ctl_text(out, "error", str_of(err.text));
        return;
    }
    ctl_text(out, "database", q.schema);
    ctl_text(out, "statement", statement_text(&j->call, &q));
}

static void
put_heartbeat(const struct frame *f, struct buf *out)
{
    struct reader p = reader_of(f->payload.data, f->payload.len);

    ctl_time(out, "time", (int64_t)read_le(&p, 8));
    ctl_uint(out, "file_offset", read_le(&p, 8));
    const uint64_t        gtids_len = read_le(&p, 4);
    const uint64_t        file_len = read_le(&p, 4);
    const struct weir_str gtids = read_str(&p, gtids_len);
    const struct weir_str file = read_str(&p, file_len);
    ctl_text(out, "gtid_set", p.bad ? STR("") : gtids);
    ctl_text(out, "file", p.bad ? STR("") : file);
}

static void
put_payload(struct frame_json *j, struct relaylog *l, const struct frame *f,
            struct buf *out)
{
    struct reader p = reader_of(f->payload.data, f->payload.len);

    switch (f->type) {
    case FRAME_TXN_HEAD:
        put_head(f, out);
        break;
    case FRAME_TABLE:
        put_table(j, f, out);
        break;
    case FRAME_ROW:
        put_row(j, l, f, out);
        break;
    case FRAME_DDL:
        put_ddl(j, f, out);
        break;
    case FRAME_COMMIT:
        ctl_uint(out, "head", read_le(&p, 8));
        ctl_uint(out, "file_offset", read_le(&p, 8));
        break;
    case FRAME_ROTATE:
        ctl_uint(out, "file_offset", read_le(&p, 8));
        ctl_text(out, "file", read_str(&p, reader_left(&p)));
        break;
    case FRAME_HEARTBEAT:
        put_heartbeat(f, out);
        break;
    case FRAME_END:
        ctl_uint(out, "next_segment", read_le(&p, 8));
        break;
    case FRAME_STOP:
        ctl_time(out, "time", (int64_t)read_le(&p, 8));
        break;
    default:
        break;
    }
}

void
frame_json_put(struct frame_json *j, struct relaylog *l, const struct frame *f,
               struct buf *out)
{
    static const char *const types[] = {
        "unknown",   "head", "table", "row", "ddl", "snapshot", "rotate",
        "heartbeat", "commit", "end", "stop", "aside",
    };
    const size_t type = (size_t)f->type;

    arena_reset(&j->call);
    buf_text(out, "{");
    ctl_uint(out, "offset", f->offset);
    ctl_text(out, "type", str_of(types[type < 12 ? type : 0]));
    ctl_int(out, "bytes", (int64_t)f->payload.len);
    if (f->flags & FRAME_CONTINUED) {
        ctl_bool(out, "repeated", true);
    }
    put_payload(j, l, f, out);
    buf_text(out, "}");
}
