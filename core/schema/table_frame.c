/*
 * table_frame.c - a table as a frame's payload.  Kept is what was received,
 * not what was made of it: so a newer server reads old frames its own way.
 *
 *     version 1 | flavour 1 | TABLE_MAP 4+n | kind 1 | ...
 *     kind 0: no definition, and no reason     1: reason 4+n
 *     2: ncolumns 4, nkey 4, { name 4+n, sql_type 4+n, collation 4+n,
 *        facets 4 } * ncolumns, key 4 * nkey
 *     3: as 2, collation 4+n, schema_collation 4+n, indexes_told 1,
 *        nindexes 4, { name 4+n, unique 1, partial 1, ncolumns 4,
 *        columns 4 * ncolumns } * nindexes
 */
#include "base/bytes.h"
#include "base/err.h"
#include "base/str.h"
#include "schema/table.h"

enum { FRAME_VERSION = 1, NO_REASON = 0, REASON = 1, DEFINED = 2,
       INDEXED = 3 };
enum { COLUMN_BYTES = 16, INDEX_BYTES = 10 }; /* at least */

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

static void
put_indexes(struct buf *out, const struct definition *def)
{
    put_text(out, def->collation);
    put_text(out, def->schema_collation);
    buf_byte(out, def->indexes_told);
    put_u32(out, def->nindexes);
    for (uint32_t i = 0; i < def->nindexes; i++) {
        const struct definition_key *key = &def->indexes[i];
        put_text(out, key->name);
        buf_byte(out, key->unique);
        buf_byte(out, key->partial);
        put_u32(out, key->ncolumns);
        for (uint32_t k = 0; k < key->ncolumns; k++) {
            put_u32(out, key->columns[k]);
        }
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
    buf_byte(out, def ? INDEXED : reason ? REASON : NO_REASON);
    if (def) {
        put_definition(out, def);
        put_indexes(out, def);
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

static bool
get_indexes(struct arena *a, struct reader *r, struct definition *def)
{
    def->collation = get_text(r);
    def->schema_collation = get_text(r);
    def->indexes_told = read_le(r, 1);
    def->nindexes = (uint32_t)read_le(r, 4);
    if (r->bad || def->nindexes > reader_left(r) / INDEX_BYTES) {
        return false;
    }
    def->indexes = arena_array(a, def->nindexes, sizeof *def->indexes);
    for (uint32_t i = 0; i < def->nindexes; i++) {
        struct definition_key *key = &def->indexes[i];
        key->name = get_text(r);
        key->unique = read_le(r, 1);
        key->partial = read_le(r, 1);
        key->ncolumns = (uint32_t)read_le(r, 4);
        if (r->bad || key->ncolumns > reader_left(r) / 4) {
            return false;
        }
        key->columns = arena_array(a, key->ncolumns, sizeof *key->columns);
        for (uint32_t k = 0; k < key->ncolumns; k++) {
            key->columns[k] = (uint32_t)read_le(r, 4);
            if (key->columns[k] >= def->ncolumns) {
                return false;
            }
        }
    }
    return !r->bad;
}

struct contents { /* of a payload */
    uint64_t          flavour, kind;
    struct weir_str   body; /* of the TABLE_MAP */
    struct definition def;
    const char       *reason;
};

static bool
get_contents(struct arena *a, struct weir_str payload, struct contents *out)
{
    struct reader r = reader_of(payload.data, payload.len);

    *out = (struct contents){ 0 };
    const uint64_t format = read_le(&r, 1);
    out->flavour = read_le(&r, 1);
    out->body = get_text(&r);
    out->kind = read_le(&r, 1);
    bool ok = format == FRAME_VERSION && out->flavour <= FLAVOUR_MARIADB &&
              out->kind <= INDEXED;
    if (out->kind == REASON) {
        out->reason = arena_cstr(a, get_text(&r));
    } else if (out->kind >= DEFINED) {
        ok = ok && get_definition(a, &r, &out->def);
    }
    if (out->kind == INDEXED) {
        ok = ok && get_indexes(a, &r, &out->def);
    }
    return ok && !r.bad && reader_left(&r) == 0;
}

enum weir_status
table_load(struct arena *a, struct weir_str payload, uint64_t version,
           struct table **out, struct weir_err *err)
{
    struct binlog_table_map map;
    struct contents         c;

    if (!get_contents(a, payload, &c)) {
        return weir_fail(err, WEIR_REJECT,
                         "table frame of %zu bytes is malformed, or of a "
                         "newer version than 1",
                         payload.len);
    }
    enum weir_status st =
        binlog_table_map_parse(c.body.data, c.body.len, &map, err);
    if (st == WEIR_OK) {
        st = table_make(a, (enum binlog_flavour)c.flavour, &map,
                        c.kind >= DEFINED ? &c.def : NULL, c.reason, out, err);
    }
    if (st != WEIR_OK) {
        return weir_wrap(err, st, "table frame");
    }
    (*out)->pub.version = version;
    return WEIR_OK;
}

bool
table_frame_read(struct arena *a, struct weir_str payload,
                 struct table_frame *out)
{
    struct contents *c = arena_alloc(a, sizeof *c);

    if (!get_contents(a, payload, c) ||
        binlog_table_map_parse(c->body.data, c->body.len, &out->map, NULL) !=
            WEIR_OK) {
        return false;
    }
    out->body = c->body;
    out->flavour = (enum binlog_flavour)c->flavour;
    out->def = c->kind >= DEFINED ? &c->def : NULL;
    out->reason = c->reason;
    out->names_known = out->def || table_map_is_full(&out->map);
    return true;
}

bool
table_load_definition(struct arena *a, struct weir_str payload,
                      struct weir_str *schema, struct weir_str *name,
                      const struct definition **out)
{
    struct table_frame t;

    if (!table_frame_read(a, payload, &t) || !t.def) {
        return false;
    }
    *schema = t.map.schema;
    *name = t.map.name;
    *out = t.def;
    return true;
}

void
definition_save(struct buf *out, struct weir_str schema, struct weir_str name,
                const struct definition *def)
{
    put_text(out, schema);
    put_text(out, name);
    put_definition(out, def);
    put_indexes(out, def);
}

bool
definition_load(struct arena *a, struct weir_str *from,
                struct weir_str *schema, struct weir_str *name,
                struct definition **out)
{
    struct reader r = reader_of(from->data, from->len);

    *out = arena_alloc(a, sizeof **out);
    *schema = get_text(&r);
    *name = get_text(&r);
    if (!get_definition(a, &r, *out) || !get_indexes(a, &r, *out)) {
        return false;
    }
    const size_t left = reader_left(&r);
    *from = (struct weir_str){ from->data + from->len - left, left };
    return true;
}

struct definition *
definition_copy(struct arena *a, const struct definition *def)
{
    struct definition *to = arena_copy(a, def, sizeof *def);

    to->columns =
        arena_copy(a, def->columns, def->ncolumns * sizeof *def->columns);
    for (uint32_t i = 0; i < def->ncolumns; i++) {
        struct definition_column *c = &to->columns[i];
        c->name = arena_str(a, c->name);
        c->sql_type = arena_str(a, c->sql_type);
        c->collation = arena_str(a, c->collation);
    }
    to->key = arena_copy(a, def->key, def->nkey * sizeof *def->key);
    to->collation = arena_str(a, def->collation);
    to->schema_collation = arena_str(a, def->schema_collation);
    to->indexes =
        arena_copy(a, def->indexes, def->nindexes * sizeof *def->indexes);
    for (uint32_t i = 0; i < def->nindexes; i++) {
        struct definition_key *key = &to->indexes[i];
        key->name = arena_str(a, key->name);
        key->columns = arena_copy(a, key->columns,
                                  key->ncolumns * sizeof *key->columns);
    }
    return to;
}
