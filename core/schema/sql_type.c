/* sql_type.c - see sql_type.h. */
#include "schema/sql_type.h"

#include "base/buf.h"
#include "base/str.h"
#include "binlog/table_map.h"

enum { MEMBERS_MAX = 65535 };

/* ---- Reading */
struct cursor {
    const char *p, *end;
    char       *to; /* where members go, as long as the text */
};

static void
skip_space(struct cursor *c)
{
    while (c->p < c->end && *c->p == ' ') {
        c->p++;
    }
}

static bool
take(struct cursor *c, char wanted)
{
    skip_space(c);
    if (c->p < c->end && *c->p == wanted) {
        c->p++;
        return true;
    }
    return false;
}

static bool
number(struct cursor *c, uint64_t *out)
{
    skip_space(c);
    const char *from = c->p;
    while (c->p < c->end && *c->p >= '0' && *c->p <= '9') {
        c->p++;
    }
    return str_u64((struct weir_str){ from, (size_t)(c->p - from) }, out);
}

/* As the server quotes members: '' and, for some bytes, a backslash. */
static bool
quoted(struct cursor *c, struct weir_str *out)
{
    if (!take(c, '\'')) {
        return false;
    }
    out->data = c->to;
    while (c->p < c->end) {
        char ch = *c->p++;
        if (ch == '\'') {
            if (c->p == c->end || *c->p != '\'') {
                out->len = (size_t)(c->to - out->data);
                return true;
            }
            c->p++;
        } else if (ch == '\\' && c->p < c->end) {
            ch = *c->p++;
            ch = ch == '0' ? '\0' : ch == 'n' ? '\n' : ch == 'r' ? '\r' : ch;
        }
        *c->to++ = ch;
    }
    return false;
}

static bool
members(struct arena *a, struct cursor *c, struct sql_type *out)
{
    uint32_t room = 1; /* commas in quotes make it too much: no harm */

    for (const char *p = c->p; p < c->end; p++) {
        room += *p == ',';
    }
    c->to = arena_take(a, (size_t)(c->end - c->p));
    out->members = arena_array(a, room, sizeof *out->members);
    do {
        if (out->nmembers == MEMBERS_MAX || out->nmembers == room ||
            !quoted(c, &out->members[out->nmembers])) {
            return false;
        }
        out->nmembers++;
    } while (take(c, ','));
    return take(c, ')');
}

static bool
numbers(struct cursor *c, struct sql_type *out)
{
    out->has_numbers = true;
    return number(c, &out->first) &&
           (!take(c, ',') || number(c, &out->second)) && take(c, ')');
}

static bool
has_word(const struct cursor *c, const char *word)
{
    const size_t n = strlen(word);

    for (const char *p = c->p; (size_t)(c->end - p) >= n; p++) {
        if (str_eq_nocase((struct weir_str){ p, n }, str_of(word))) {
            return true;
        }
    }
    return false;
}

bool
sql_type_parse(struct arena *a, struct weir_str text, struct sql_type *out)
{
    struct cursor c = { text.data, text.data + text.len, NULL };
    char         *base = arena_take(a, text.len + 1);
    size_t        n = 0;

    *out = (struct sql_type){ 0 };
    if (text.len > UINT32_MAX / 2) {
        return false;
    }
    while (c.p < c.end && *c.p != '(' && *c.p != ' ') {
        const char ch = *c.p++;
        base[n++] = ch >= 'A' && ch <= 'Z' ? (char)(ch | 0x20) : ch;
    }
    out->base = (struct weir_str){ base, n };
    if (take(&c, '(')) {
        const bool list = str_is(out->base, "enum") ||
                          str_is(out->base, "set");
        if (!(list ? members(a, &c, out) : numbers(&c, out))) {
            return false;
        }
    }
    out->is_unsigned = has_word(&c, "unsigned") || has_word(&c, "zerofill");
    return n > 0;
}

/* ---- Comparing */
enum shape { /* what is compared beside the type */
    SHAPE_NONE, SHAPE_BYTES, SHAPE_CHARACTERS, SHAPE_DECIMAL, SHAPE_BITS,
    SHAPE_FRACTION, SHAPE_PREFIX, SHAPE_MEMBERS, SHAPE_FIXED,
};

/* clang-format off */
static const struct fit {
    const char *base;
    uint8_t     types[3];
    enum shape  shape;
    uint8_t     size; /* of the length prefix, or of the value */
} fits[] = {
    { "tinyint", { COLUMN_TINY }, SHAPE_NONE, 0 },
    { "smallint", { COLUMN_SHORT }, SHAPE_NONE, 0 },
    { "mediumint", { COLUMN_INT24 }, SHAPE_NONE, 0 },
    { "int", { COLUMN_LONG }, SHAPE_NONE, 0 },
    { "bigint", { COLUMN_LONGLONG }, SHAPE_NONE, 0 },
    { "float", { COLUMN_FLOAT, COLUMN_DOUBLE }, SHAPE_NONE, 0 },
    { "double", { COLUMN_DOUBLE }, SHAPE_NONE, 0 },
    { "decimal", { COLUMN_DECIMAL }, SHAPE_DECIMAL, 0 },
    { "bit", { COLUMN_BIT }, SHAPE_BITS, 0 },
    { "year", { COLUMN_YEAR }, SHAPE_NONE, 0 },
    { "date", { COLUMN_DATE }, SHAPE_NONE, 0 },
    { "time", { COLUMN_TIME2, COLUMN_TIME }, SHAPE_FRACTION, 0 },
    { "datetime", { COLUMN_DATETIME2, COLUMN_DATETIME }, SHAPE_FRACTION, 0 },
    { "timestamp", { COLUMN_TIMESTAMP2, COLUMN_TIMESTAMP }, SHAPE_FRACTION, 0 },
    { "char", { COLUMN_STRING }, SHAPE_CHARACTERS, 0 },
    { "varchar", { COLUMN_VARCHAR, COLUMN_VAR_STRING,
                   COLUMN_VARCHAR_COMPRESSED }, SHAPE_CHARACTERS, 0 },
    { "binary", { COLUMN_STRING }, SHAPE_BYTES, 0 },
    { "varbinary", { COLUMN_VARCHAR, COLUMN_VAR_STRING,
                     COLUMN_VARCHAR_COMPRESSED }, SHAPE_BYTES, 0 },
    { "tinytext", { COLUMN_BLOB, COLUMN_BLOB_COMPRESSED }, SHAPE_PREFIX, 1 },
    { "text", { COLUMN_BLOB, COLUMN_BLOB_COMPRESSED }, SHAPE_PREFIX, 2 },
    { "mediumtext", { COLUMN_BLOB, COLUMN_BLOB_COMPRESSED }, SHAPE_PREFIX, 3 },
    { "longtext", { COLUMN_BLOB, COLUMN_BLOB_COMPRESSED }, SHAPE_PREFIX, 4 },
    { "tinyblob", { COLUMN_BLOB, COLUMN_BLOB_COMPRESSED }, SHAPE_PREFIX, 1 },
    { "blob", { COLUMN_BLOB, COLUMN_BLOB_COMPRESSED }, SHAPE_PREFIX, 2 },
    { "mediumblob", { COLUMN_BLOB, COLUMN_BLOB_COMPRESSED }, SHAPE_PREFIX, 3 },
    { "longblob", { COLUMN_BLOB, COLUMN_BLOB_COMPRESSED }, SHAPE_PREFIX, 4 },
    { "enum", { COLUMN_ENUM }, SHAPE_MEMBERS, 0 },
    { "set", { COLUMN_SET }, SHAPE_MEMBERS, 0 },
    { "json", { COLUMN_JSON, COLUMN_BLOB }, SHAPE_PREFIX, 4 },
    { "vector", { COLUMN_VECTOR, COLUMN_VARCHAR, COLUMN_BLOB }, SHAPE_NONE, 0 },
    { "uuid", { COLUMN_STRING }, SHAPE_FIXED, 16 },
    { "inet6", { COLUMN_STRING }, SHAPE_FIXED, 16 },
    { "inet4", { COLUMN_STRING }, SHAPE_FIXED, 4 },
    { "geometry", { COLUMN_GEOMETRY }, SHAPE_NONE, 0 },
    { "point", { COLUMN_GEOMETRY }, SHAPE_NONE, 0 },
    { "linestring", { COLUMN_GEOMETRY }, SHAPE_NONE, 0 },
    { "polygon", { COLUMN_GEOMETRY }, SHAPE_NONE, 0 },
    { "multipoint", { COLUMN_GEOMETRY }, SHAPE_NONE, 0 },
    { "multilinestring", { COLUMN_GEOMETRY }, SHAPE_NONE, 0 },
    { "multipolygon", { COLUMN_GEOMETRY }, SHAPE_NONE, 0 },
    { "geometrycollection", { COLUMN_GEOMETRY }, SHAPE_NONE, 0 },
    { "geomcollection", { COLUMN_GEOMETRY }, SHAPE_NONE, 0 },
};
/* clang-format on */

static bool
length_fits(const struct sql_type *type, const struct binlog_column *c,
            unsigned maxlen)
{
    /* A compressed column has room for one byte more, its head. */
    const unsigned more = c->type == COLUMN_VARCHAR_COMPRESSED;
    const uint64_t n = type->has_numbers ? type->first : 1;

    return maxlen == 0 || n * maxlen + more == c->meta;
}

static bool
members_fit(const struct sql_type *type, const struct binlog_column *c)
{
    const uint32_t n = type->nmembers;
    const unsigned bytes = (n + 7) / 8;

    if (c->type == COLUMN_ENUM) {
        return n > 0 && c->size == (n > 255 ? 2 : 1);
    }
    return n > 0 && n <= 64 && c->size == (bytes > 4 ? 8 : bytes);
}

/* MariaDB's old times have no metadata: see table.c. */
static bool
fraction_fits(const struct sql_type *type, const struct binlog_column *c)
{
    return c->type == COLUMN_TIME || c->type == COLUMN_DATETIME ||
           c->type == COLUMN_TIMESTAMP || type->first == c->meta;
}

static bool
shape_fits(const struct fit *f, const struct sql_type *type,
           const struct binlog_column *c, unsigned maxlen)
{
    switch (f->shape) {
    case SHAPE_BYTES:
        return length_fits(type, c, 1);
    case SHAPE_CHARACTERS:
        return length_fits(type, c, maxlen);
    case SHAPE_DECIMAL:
        return type->first << 8 == (c->meta & ~255u) &&
               type->second == (c->meta & 255);
    case SHAPE_BITS:
        return (type->has_numbers ? type->first : 1) == c->meta;
    case SHAPE_FRACTION:
        return fraction_fits(type, c);
    case SHAPE_PREFIX:
        return f->size == c->length_size;
    case SHAPE_MEMBERS:
        return members_fit(type, c);
    case SHAPE_FIXED:
        return f->size == c->meta;
    default:
        return true;
    }
}

bool
sql_type_fits(const struct sql_type *type, const struct binlog_column *c,
              unsigned maxlen)
{
    for (size_t i = 0; i < sizeof fits / sizeof *fits; i++) {
        const struct fit *f = &fits[i];
        if (!str_is(type->base, f->base)) {
            continue;
        }
        for (size_t k = 0; k < sizeof f->types && f->types[k]; k++) {
            if (f->types[k] == c->type) {
                return shape_fits(f, type, c, maxlen);
            }
        }
    }
    return false;
}

/* ---- Writing */
static const char *
geometry_name(uint64_t kind)
{
    static const char *const names[] = {
        "geometry",        "point",        "linestring",
        "polygon",         "multipoint",   "multilinestring",
        "multipolygon",    "geometrycollection",
    };
    return names[kind < sizeof names / sizeof *names ? kind : 0];
}

static char *
string_type(struct arena *a, const struct binlog_column *c, unsigned maxlen)
{
    const bool     varying = c->type != COLUMN_STRING;
    const bool     compressed = c->type == COLUMN_VARCHAR_COMPRESSED;
    const unsigned bytes = c->meta - (compressed && c->meta > 0);

    return arena_printf(a, "%s%s(%u)%s", varying ? "var" : "",
                        c->text == TEXT_BINARY ? "binary" : "char",
                        maxlen > 1 ? bytes / maxlen : bytes,
                        compressed ? " compressed" : "");
}

static char *
blob_type(struct arena *a, const struct binlog_column *c)
{
    static const char *const sizes[] = { "", "tiny", "", "medium", "long" };

    return arena_printf(a, "%s%s%s", sizes[c->length_size],
                        c->text == TEXT_BINARY ? "blob" : "text",
                        c->type == COLUMN_BLOB_COMPRESSED ? " compressed" : "");
}

static void
put_member(struct buf *out, struct weir_str name)
{
    buf_byte(out, '\'');
    for (size_t i = 0; i < name.len; i++) {
        const char ch = name.data[i];
        const char escaped = ch == '\0'   ? '0'
                             : ch == '\n' ? 'n'
                             : ch == '\r' ? 'r'
                             : ch == '\\' ? '\\'
                                          : 0;
        if (escaped) {
            buf_byte(out, '\\');
        } else if (ch == '\'') {
            buf_byte(out, '\'');
        }
        buf_byte(out, escaped ? escaped : ch);
    }
    buf_byte(out, '\'');
}

struct weir_str
sql_type_members(struct arena *a, const char *base, uint32_t n,
                 const struct weir_str *members)
{
    struct buf text = { 0 };

    buf_text(&text, base);
    buf_byte(&text, '(');
    for (uint32_t i = 0; i < n; i++) {
        if (i > 0) {
            buf_byte(&text, ',');
        }
        put_member(&text, members[i]);
    }
    buf_byte(&text, ')');
    const struct weir_str copy = arena_str(a, buf_view(&text));
    buf_free(&text);
    return copy;
}

/* Where the members are not known, it says how they are given. */
static struct weir_str
members_type(struct arena *a, const struct binlog_column *c)
{
    const bool is_set = c->type == COLUMN_SET;

    return c->nmembers == 0
               ? str_of(is_set ? "set (bits)" : "enum (number)")
               : sql_type_members(a, is_set ? "set" : "enum", c->nmembers,
                                  c->members);
}

static char *
time_type(struct arena *a, const char *name, const struct binlog_column *c)
{
    return c->meta > 0 ? arena_printf(a, "%s(%u)", name, c->meta)
                       : arena_strdup(a, name);
}

static const char *
number_type(const struct binlog_column *c)
{
    switch (c->type) {
    case COLUMN_TINY:
        return "tinyint";
    case COLUMN_SHORT:
        return "smallint";
    case COLUMN_INT24:
        return "mediumint";
    case COLUMN_LONG:
        return "int";
    case COLUMN_LONGLONG:
        return "bigint";
    case COLUMN_FLOAT:
        return "float";
    case COLUMN_DOUBLE:
        return "double";
    case COLUMN_YEAR:
        return "year";
    default:
        return NULL;
    }
}

static struct weir_str
other_type(struct arena *a, const struct binlog_column *c, uint64_t detail)
{
    switch (c->type) {
    case COLUMN_BIT:
        return str_of(arena_printf(a, "bit(%u)", c->meta));
    case COLUMN_DATE:
        return STR("date");
    case COLUMN_TIME:
    case COLUMN_TIME2:
        return str_of(time_type(a, "time", c));
    case COLUMN_DATETIME:
    case COLUMN_DATETIME2:
        return str_of(time_type(a, "datetime", c));
    case COLUMN_TIMESTAMP:
    case COLUMN_TIMESTAMP2:
        return str_of(time_type(a, "timestamp", c));
    case COLUMN_ENUM:
    case COLUMN_SET:
        return members_type(a, c);
    case COLUMN_JSON:
        return STR("json");
    case COLUMN_GEOMETRY:
        return str_of(geometry_name(detail));
    case COLUMN_VECTOR:
        return detail > 0 ? str_of(arena_printf(a, "vector(%llu)",
                                                (unsigned long long)detail))
                          : STR("vector");
    default:
        return STR("?");
    }
}

struct weir_str
sql_type_of(struct arena *a, const struct binlog_column *c, unsigned maxlen,
            uint64_t detail)
{
    const char *sign = c->is_unsigned ? " unsigned" : "";
    const char *name = number_type(c);

    if (name) {
        return str_of(arena_printf(a, "%s%s", name,
                                   c->type == COLUMN_YEAR ? "" : sign));
    }
    switch (c->type) {
    case COLUMN_DECIMAL:
        return str_of(arena_printf(a, "decimal(%u,%u)%s", c->meta >> 8,
                                   c->meta & 255u, sign));
    case COLUMN_STRING:
    case COLUMN_VARCHAR:
    case COLUMN_VAR_STRING:
    case COLUMN_VARCHAR_COMPRESSED:
        return str_of(string_type(a, c, maxlen));
    case COLUMN_BLOB:
    case COLUMN_BLOB_COMPRESSED:
        return str_of(blob_type(a, c));
    default:
        return other_type(a, c, detail);
    }
}
