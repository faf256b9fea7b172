/* table_map.c - see table_map.h and rows.h. */
#include "binlog/table_map.h"

#include "base/bytes.h"
#include "base/str.h"
#include "binlog/value.h"

enum { NAME_MAX_BYTES = 256 }; /* 64 characters of up to four */

uint64_t
binlog_table_id(const void *body, size_t len)
{
    return len < 6 ? UINT64_MAX : get_le(body, 6);
}

static struct weir_str
read_name(struct reader *r)
{
    const struct weir_str name = read_str(r, read_lenenc(r));

    r->bad = read_le(r, 1) != 0 || r->bad || name.len > NAME_MAX_BYTES ||
             (name.len > 0 && memchr(name.data, '\0', name.len));
    return name;
}

enum weir_status
binlog_table_map_parse(const void *body, size_t len,
                       struct binlog_table_map *out, struct weir_err *err)
{
    struct reader r = reader_of(body, len);

    *out = (struct binlog_table_map){ 0 };
    out->id = read_le(&r, 6);
    out->flags = (uint16_t)read_le(&r, 2);
    out->schema = read_name(&r);
    out->name = read_name(&r);
    const uint64_t n = read_lenenc(&r);
    if (r.bad || n == 0 || n > BINLOG_MAX_COLUMNS) {
        return weir_fail(err, WEIR_REJECT,
                         "event TABLE_MAP with a body of %zu bytes: its names "
                         "and number of columns don't fit into it",
                         len);
    }
    out->ncolumns = (uint32_t)n;
    out->types = read_bytes(&r, n);
    const struct weir_str metadata = read_str(&r, read_lenenc(&r));
    out->metadata = (const uint8_t *)metadata.data;
    out->metadata_len = metadata.len;
    out->nullable = read_bytes(&r, (n + 7) / 8);
    out->optional_len = reader_left(&r);
    out->optional = r.p;
    if (r.bad) {
        return weir_fail(err, WEIR_REJECT,
                         "event TABLE_MAP of table %.*s.%.*s: its %u columns "
                         "don't fit into its %zu bytes",
                         STR_ARG(out->schema), STR_ARG(out->name),
                         out->ncolumns, len);
    }
    return WEIR_OK;
}

/* CHAR, BINARY, ENUM and SET share a type; the first byte is the real one, and
 * has the length's bits 8 and 9, inverted, where it has room for them. */
static bool
string_open(struct binlog_column *c, uint8_t first, uint8_t second)
{
    c->type = first | 0x30;
    if (c->type == COLUMN_STRING) {
        c->meta = (uint16_t)(second | ((first & 0x30) ^ 0x30) << 4);
        c->length_size = c->meta > 255 ? 2 : 1;
        return true;
    }
    c->size = second;
    return first == c->type &&
           ((c->type == COLUMN_ENUM && (second == 1 || second == 2)) ||
            (c->type == COLUMN_SET &&
             ((second >= 1 && second <= 4) || second == 8)));
}

static bool
decimal_open(struct binlog_column *c, struct reader *r)
{
    const unsigned precision = (unsigned)read_le(r, 1);
    const unsigned scale = (unsigned)read_le(r, 1);

    if (precision == 0 || precision > 65 || scale > precision ||
        scale > 38) {
        return false;
    }
    c->meta = (uint16_t)(precision << 8 | scale);
    c->size = (uint8_t)decimal_bytes(precision, scale);
    return true;
}

static bool
bit_open(struct binlog_column *c, struct reader *r)
{
    const unsigned rest = (unsigned)read_le(r, 1);
    const unsigned bytes = (unsigned)read_le(r, 1);

    c->meta = (uint16_t)(bytes * 8 + rest);
    c->size = (uint8_t)(bytes + (rest > 0));
    return rest < 8 && c->meta >= 1 && c->meta <= 64;
}

static bool
time_open(struct binlog_column *c, struct reader *r, unsigned whole)
{
    c->meta = (uint16_t)read_le(r, 1);
    c->size = (uint8_t)(whole + (c->meta + 1u) / 2);
    return c->meta <= 6;
}

/* Types with a length in front of each value. */
static bool
long_open(struct binlog_column *c, struct reader *r)
{
    if (c->type == COLUMN_VARCHAR || c->type == COLUMN_VAR_STRING ||
        c->type == COLUMN_VARCHAR_COMPRESSED) {
        c->meta = (uint16_t)read_le(r, 2);
        c->length_size = c->meta > 255 ? 2 : 1;
        return true;
    }
    c->length_size = (uint8_t)read_le(r, 1);
    return c->length_size >= 1 && c->length_size <= 4;
}

static bool
column_open(struct binlog_column *c, struct reader *r)
{
    static const uint8_t plain[256] = { /* types without metadata */
        [COLUMN_TINY] = 1, [COLUMN_SHORT] = 2, [COLUMN_INT24] = 3,
        [COLUMN_LONG] = 4, [COLUMN_LONGLONG] = 8, [COLUMN_DATE] = 3,
        [COLUMN_YEAR] = 1, [COLUMN_TIME] = 3, [COLUMN_TIMESTAMP] = 4,
        [COLUMN_DATETIME] = 8,
    };
    c->size = plain[c->type];
    if (c->size > 0) {
        return true;
    }
    switch (c->type) {
    case COLUMN_FLOAT:
    case COLUMN_DOUBLE:
        c->size = (uint8_t)read_le(r, 1);
        return c->size == (c->type == COLUMN_FLOAT ? 4 : 8);
    case COLUMN_BIT:
        return bit_open(c, r);
    case COLUMN_DECIMAL:
        return decimal_open(c, r);
    case COLUMN_TIMESTAMP2:
        return time_open(c, r, 4);
    case COLUMN_DATETIME2:
        return time_open(c, r, 5);
    case COLUMN_TIME2:
        return time_open(c, r, 3);
    case COLUMN_STRING: {
        const uint8_t first = (uint8_t)read_le(r, 1);
        return string_open(c, first, (uint8_t)read_le(r, 1));
    }
    case COLUMN_VARCHAR:
    case COLUMN_VAR_STRING:
    case COLUMN_VARCHAR_COMPRESSED:
    case COLUMN_BLOB:
    case COLUMN_BLOB_COMPRESSED:
    case COLUMN_GEOMETRY:
    case COLUMN_JSON:
    case COLUMN_VECTOR:
        return long_open(c, r);
    default: /* what it takes in a row, only newer servers know */
        return false;
    }
}

enum weir_status
table_map_columns(const struct binlog_table_map *map,
                  struct binlog_column *columns, struct weir_err *err)
{
    struct reader r = reader_of(map->metadata, map->metadata_len);

    for (uint32_t i = 0; i < map->ncolumns; i++) {
        struct binlog_column *c = &columns[i];
        *c = (struct binlog_column){ .type = map->types[i] };
        c->nullable = map->nullable[i >> 3] >> (i & 7) & 1;
        if (!column_open(c, &r) || r.bad) {
            return weir_fail(err, WEIR_REJECT,
                             "table %.*s.%.*s, column %u: type %u is not "
                             "known, or its metadata is malformed",
                             STR_ARG(map->schema), STR_ARG(map->name), i + 1,
                             map->types[i]);
        }
    }
    if (reader_left(&r) > 0) {
        return weir_fail(err, WEIR_REJECT,
                         "table %.*s.%.*s: %zu bytes of metadata belong to "
                         "no column",
                         STR_ARG(map->schema), STR_ARG(map->name),
                         reader_left(&r));
    }
    return WEIR_OK;
}
