/*
 * table_frame.c - a table as a frame's payload.  Kept is what was received,
 * not what was made of it: so a newer server reads old frames its own way.
 *
 *     version 1 | flavour 1 | TABLE_MAP 4+n | kind 1 | ...
 *     kind 0: no definition, and no reason     1: reason 4+n
 *     2: ncolumns 4, nkey 4, { name 4+n, sql_type 4+n, collation 4+n,
 *        facets 4 } * ncolumns, key 4 * nkey
 */
#include "base/bytes.h"
#include "base/err.h"
#include "base/str.h"
#include "schema/table.h"

enum { FRAME_VERSION = 1, NO_REASON = 0, REASON = 1, DEFINED = 2 };
enum { COLUMN_BYTES = 16 }; /* of a column at least */

static void
put_u32(struct buf *out, size_t v)
{
    put_le32(buf_need(out, 4), (uint32_t)v);
    out->len += 4;
}

static void
put_text(struct buf *out, struct weir_str s)
{
    put_u32(out, s.len);
    buf_str(out, s);
}

static void
put_definition(struct buf *out, const struct definition *def)
{
    put_u32(out, def->ncolumns);
    put_u32(out, def->nkey);
    for (uint32_t i = 0; i < def->ncolumns; i++) {
        put_text(out, def->columns[i].name);
        put_text(out, def->columns[i].sql_type);
        put_text(out, def->columns[i].collation);
        put_u32(out, def->columns[i].facets);
    }
    for (uint32_t i = 0; i < def->nkey; i++) {
        put_u32(out, def->key[i]);
    }
}

void
table_save(struct buf *out, enum binlog_flavour flavour,
           struct weir_str map_body, const struct definition *def,
           const char *reason)
{
    buf_byte(out, FRAME_VERSION);
    buf_byte(out, (char)flavour);
    put_text(out, map_body);
    buf_byte(out, def ? DEFINED : reason ? REASON : NO_REASON);
    if (def) {
        put_definition(out, def);
    } else if (reason) {
        put_text(out, str_of(reason));
    }
}

static struct weir_str
get_text(struct reader *r)
{
    return read_str(r, read_le(r, 4));
}

static bool
get_definition(struct arena *a, struct reader *r, struct definition *def)
{
    def->ncolumns = (uint32_t)read_le(r, 4);
    def->nkey = (uint32_t)read_le(r, 4);
    if (r->bad || def->ncolumns > reader_left(r) / COLUMN_BYTES ||
        def->nkey > reader_left(r) / 4) {
        return false;
    }
    def->columns = arena_array(a, def->ncolumns, sizeof *def->columns);
    def->key = arena_array(a, def->nkey, sizeof *def->key);
    for (uint32_t i = 0; i < def->ncolumns; i++) {
        def->columns[i].name = get_text(r);
        def->columns[i].sql_type = get_text(r);
        def->columns[i].collation = get_text(r);
        def->columns[i].facets = (unsigned)read_le(r, 4);
    }
    for (uint32_t i = 0; i < def->nkey; i++) {
        def->key[i] = (uint32_t)read_le(r, 4);
    }
    return !r->bad;
}

enum weir_status
table_load(struct arena *a, struct weir_str payload, uint64_t version,
           struct table **out, struct weir_err *err)
{
    struct reader           r = reader_of(payload.data, payload.len);
    struct binlog_table_map map;
    struct definition       def = { 0 };
    const char             *reason = NULL;

    const uint64_t format = read_le(&r, 1), flavour = read_le(&r, 1);
    const struct weir_str body = get_text(&r);
    const uint64_t        kind = read_le(&r, 1);
    bool ok = format == FRAME_VERSION && flavour <= FLAVOUR_MARIADB;
    if (kind == DEFINED) {
        ok = ok && get_definition(a, &r, &def);
    } else if (kind == REASON) {
        reason = arena_cstr(a, get_text(&r));
    }
    if (!ok || r.bad || reader_left(&r) > 0 || kind > DEFINED) {
        return weir_fail(err, WEIR_REJECT,
                         "table frame of %zu bytes is malformed, or of a "
                         "newer version than 1",
                         payload.len);
    }
    enum weir_status st =
        binlog_table_map_parse(body.data, body.len, &map, err);
    if (st == WEIR_OK) {
        st = table_make(a, (enum binlog_flavour)flavour, &map,
                        kind == DEFINED ? &def : NULL, reason, out, err);
    }
    if (st != WEIR_OK) {
        return weir_wrap(err, st, "table frame");
    }
    (*out)->pub.version = version;
    return WEIR_OK;
}
