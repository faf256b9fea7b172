/*
 * envelope.c - the format `weir`.  All that is the same for the rows of one
 * table in one transaction is made once: a row is head, operation, images,
 * tail, seq.  Field by field: modules/README.md.
 */
#include "format/formats.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "base/check.h"
#include "base/str.h"
#include "format/digits.h"
#include "format/json.h"

enum { SEQ_ROOM = 64 };

/* Around the images, by operation. */
static const struct {
    struct weir_str before, between;
} row_parts[] = {
    [WEIR_INSERT] = { { "insert\",\"before\":", 17 }, { ",\"after\":", 9 } },
    [WEIR_UPDATE] = { { "update\",\"before\":", 17 }, { ",\"after\":", 9 } },
    [WEIR_DELETE] = { { "delete\",\"before\":", 17 }, { ",\"after\":", 9 } },
    [WEIR_SNAPSHOT] = { { "snapshot\",\"before\":", 19 },
                        { ",\"after\":", 9 } },
};

static void
add_string(struct buf *out, const char *name, struct weir_str s)
{
    buf_text(out, name);
    format_json_string(s, out);
}

static void
add_string_or_null(struct buf *out, const char *name, struct weir_str s)
{
    if (s.len) {
        add_string(out, name, s);
    } else {
        buf_text(out, name);
        buf_text(out, "null");
    }
}

static void
add_u64(struct buf *out, const char *name, uint64_t v)
{
    buf_text(out, name);
    out->len = (size_t)(digits_u64(buf_need(out, DIGITS_INT), v) - out->data);
}

static void
add_source(struct buf *out, struct weir_str database, struct weir_str table,
           const struct weir_txn *txn)
{
    buf_text(out, ",\"payload\":{\"source\":{");
    if (txn->server.len) {
        add_string(out, "\"server\":", txn->server);
    } else { /* it has no uuid */
        add_u64(out, "\"server\":\"", txn->server_id);
        buf_byte(out, '"');
    }
    add_string_or_null(out, ",\"database\":", database);
    add_string_or_null(out, ",\"table\":", table);
    buf_text(out, ",\"timestamp\":\"");
    char *p = digits_instant(buf_need(out, DIGITS_TIME), txn->commit_usec);
    out->len = (size_t)(p - out->data);
    add_string_or_null(out, "\",\"position\":{\"file\":", txn->file);
    add_u64(out, ",\"offset\":", txn->offset);
    add_string_or_null(out, ",\"gtid\":", txn->gtid);
    buf_text(out, "}},\"operation\":\"");
}

/* Up to and with the opening quote of seq. */
static void
add_metadata(const struct weir_format *f, struct buf *out,
             const struct weir_txn *txn)
{
    buf_text(out, ",\"metadata\":{\"connector\":\"weir\",\"version\":\""
                  PACKAGE_VERSION "\",\"transaction_id\":");
    if (txn->gtid.len) {
        format_json_string(txn->gtid, out);
    } else if (txn->file.len) {
        format_json_string(txn->file, out);
        out->len--; /* the closing quote */
        add_u64(out, ":", txn->offset);
        buf_byte(out, '"');
    } else {
        buf_text(out, "null");
    }
    buf_str(out, f->note);
    buf_text(out, ",\"seq\":\"");
}

static bool
same_txn(const struct weir_txn *a, const struct weir_txn *b)
{
    return a->offset == b->offset && a->commit_usec == b->commit_usec &&
           a->server_id == b->server_id && str_eq(a->gtid, b->gtid) &&
           str_eq(a->file, b->file) && str_eq(a->server, b->server);
}

static struct weir_str
copied(struct buf *text, struct weir_str s)
{
    const size_t at = text->len;
    buf_str(text, s);
    return (struct weir_str){ text->data + at, s.len };
}

/* A copy and not the pointer: another transaction may come to lie at the same
 * address. */
static void
prepare_txn(const struct weir_format *f, struct format_table *ft,
            const struct weir_txn *txn)
{
    if (ft->has_txn && same_txn(&ft->txn, txn)) {
        return;
    }
    ft->head.len = ft->tail.len = ft->txn_text.len = 0;
    buf_text(&ft->head, "{\"schema\":{\"version\":\"1\",\"type\":\"row\"}");
    add_source(&ft->head, ft->table->schema, ft->table->name, txn);
    add_metadata(f, &ft->tail, txn);

    buf_need(&ft->txn_text, txn->gtid.len + txn->file.len + txn->server.len);
    ft->txn = *txn;
    ft->txn.gtid = copied(&ft->txn_text, txn->gtid);
    ft->txn.file = copied(&ft->txn_text, txn->file);
    ft->txn.server = copied(&ft->txn_text, txn->server);
    ft->has_txn = true;
}

static inline char *
put(char *p, struct weir_str s)
{
    memcpy(p, s.data, s.len);
    return p + s.len;
}

static void
row_event(const struct weir_format *f, struct format_table *ft,
          const struct weir_event *ev, struct buf *out)
{
    prepare_txn(f, ft, ev->txn);
    const size_t tail = ft->tail.len + SEQ_ROOM;
    char        *p = buf_need(out, ft->head.len + SEQ_ROOM);
    p = put(p, buf_view(&ft->head));
    p = put(p, row_parts[ev->op].before);
    p = image_json(&ft->names, out, p, tail, ev->before);
    p = put(p, row_parts[ev->op].between);
    p = image_json(&ft->names, out, p, tail, ev->after);
    p = put(p, buf_view(&ft->tail));
    p = digits_u64(p, ev->seq);
    p = put(p, STR("\"}}}\n"));
    out->len = (size_t)(p - out->data);
}

/* DDL and TRUNCATE; seldom, so nothing is prepared. */
static void
statement_event(const struct weir_format *f, const struct weir_event *ev,
                struct buf *out)
{
    const struct weir_ddl   *ddl = ev->ddl;
    const struct weir_table *table = ev->table;
    if (table == NULL && ddl) {
        table = ddl->after ? ddl->after : ddl->before;
    }
    const struct weir_str none = { NULL, 0 };
    const struct weir_str database =
        table ? table->schema : ddl ? ddl->schema : none;
    const bool truncate = ev->op == WEIR_TRUNCATE;

    buf_text(out, "{\"schema\":{\"version\":\"1\",\"type\":\"ddl\"}");
    add_source(out, database, table ? table->name : none, ev->txn);
    buf_text(out, truncate ? "truncate\"" : "ddl\"");
    if (ddl) {
        add_string(out, ",\"kind\":", ddl->kind);
        add_string(out, ",\"statement\":", ddl->text);
    }
    buf_text(out, ",\"before\":null,\"after\":null");
    add_metadata(f, out, ev->txn);
    add_u64(out, "", ev->seq);
    buf_text(out, "\"}}}\n");
}

static void
envelope_event(const struct weir_format *f, struct format_table *ft,
               const struct weir_event *ev, struct buf *out)
{
    switch (ev->op) {
    case WEIR_INSERT:
    case WEIR_UPDATE:
    case WEIR_DELETE:
    case WEIR_SNAPSHOT:
        assert(ft != NULL && ev->txn != NULL);
        row_event(f, ft, ev, out);
        return;
    case WEIR_TRUNCATE:
    case WEIR_DDL:
        assert(ev->txn != NULL);
        statement_event(f, ev, out);
        return;
    case WEIR_SNAPSHOT_BEGIN:
    case WEIR_SNAPSHOT_END:
        return; /* marks for those who sweep; no change of any row */
    }
}

const struct format_ops format_weir = { "weir", envelope_event };
