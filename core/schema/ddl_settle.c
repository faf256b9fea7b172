/*
 * ddl_settle.c - a column as information_schema shows it when a statement has
 * been executed: default lengths, charsets, types that are chosen by size.
 */
#include "schema/ddl_draft.h"

#include <string.h>

#include "base/str.h"
#include "schema/charset.h"
#include "schema/sql_type.h"

static bool
settle_int(struct draft *d, struct draft_column *c)
{
    static const struct { const char *base; unsigned width; } widths[] = {
        { "tinyint", 4 }, { "smallint", 6 }, { "mediumint", 9 },
        { "int", 11 },    { "bigint", 20 },
    };
    const bool bare = d->session->flavour == FLAVOUR_MYSQL &&
                      d->session->version >= 80019 && !c->zerofill &&
                      !(c->has_length && c->length == 1 && !c->is_unsigned &&
                        strcmp(c->base, "tinyint") == 0);
    uint64_t   width = c->length;

    if (!c->has_length) {
        for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
            if (strcmp(c->base, widths[i].base) == 0) {
                width = widths[i].width -
                        (c->is_unsigned && strcmp(c->base, "bigint") != 0);
            }
        }
    }
    c->sql_type = str_of(
        bare ? arena_printf(d->a, "%s%s", c->base,
                            c->is_unsigned ? " unsigned" : "")
             : arena_printf(d->a, "%s(%llu)%s%s", c->base,
                            (unsigned long long)width,
                            c->is_unsigned ? " unsigned" : "",
                            c->zerofill ? " zerofill" : ""));
    return true;
}

static bool
settle_real(struct draft *d, struct draft_column *c)
{
    const char *sign = c->zerofill      ? " unsigned zerofill"
                       : c->is_unsigned ? " unsigned"
                                        : "";
    if (strcmp(c->base, "decimal") == 0) {
        c->sql_type = str_of(arena_printf(
            d->a, "decimal(%llu,%llu)%s",
            (unsigned long long)(c->has_length && c->length ? c->length : 10),
            (unsigned long long)c->scale, sign));
    } else if (c->has_scale) {
        c->sql_type = str_of(arena_printf(
            d->a, "%s(%llu,%llu)%s", c->base, (unsigned long long)c->length,
            (unsigned long long)c->scale, sign));
    } else { /* FLOAT(30) only says how precise it has to be */
        const bool single = strcmp(c->base, "float") == 0 && c->length <= 24;
        c->sql_type = str_of(
            arena_printf(d->a, "%s%s", single ? "float" : "double", sign));
    }
    return true;
}

static const char *const text_sizes[] = { "tinytext", "text", "mediumtext",
                                          "longtext" };
static const char *const blob_sizes[] = { "tinyblob", "blob", "mediumblob",
                                          "longblob" };

static size_t
size_of(const char *const *sizes, struct weir_str base)
{
    size_t i = 0;

    while (i < 4 && !str_is(base, sizes[i])) {
        i++;
    }
    return i;
}

/* TEXT(n) is the smallest that has room. */
static size_t
size_for(uint64_t bytes)
{
    return bytes < 256 ? 0 : bytes < 65536 ? 1 : bytes < 16777216 ? 2 : 3;
}

/* CHAR, VARCHAR, TEXT and their like, of characters of so many bytes. */
static bool
settle_sized(struct draft *d, struct draft_column *c, const char *base,
             unsigned maxlen)
{
    const bool  text = size_of(text_sizes, str_of(base)) < 4;
    const bool  blob = size_of(blob_sizes, str_of(base)) < 4;
    const char *tail = c->compressed ? " /*M!100301 COMPRESSED*/" : "";

    if (c->length > UINT32_MAX) {
        return draft_fail(d, "a length that is too large");
    }
    if (text || blob) {
        if (c->has_length && maxlen == 0) {
            return draft_fail(d, "a TEXT of a length, in a charset that is "
                                 "not known");
        }
        if (c->has_length) {
            base = (text ? text_sizes
                         : blob_sizes)[size_for(c->length * maxlen)];
        }
        c->sql_type = str_of(arena_printf(d->a, "%s%s", base, tail));
        return true;
    }
    const uint64_t length = c->has_length ? c->length : 1;
    if (length * (maxlen ? maxlen : 1) > 65535) {
        return draft_fail(d, "a length that the server may take as a TEXT");
    }
    c->sql_type = str_of(arena_printf(d->a, "%s(%llu)%s", base,
                                      (unsigned long long)length, tail));
    return true;
}

/* With the charset "binary" text is bytes. */
static const char *
binary_base(const char *base)
{
    const size_t size = size_of(text_sizes, str_of(base));

    return size < 4                        ? blob_sizes[size]
           : strcmp(base, "varchar") == 0 ? "varbinary"
                                          : "binary";
}

static bool
settle_collation(struct draft *d, struct draft_column *c)
{
    struct weir_str charset = c->charset;

    if (c->national) {
        charset = STR("utf8");
    }
    if (charset.len > 0 || c->collate.len > 0) {
        c->collation = draft_collation(d, charset, c->collate);
    } else {
        c->collation = d->collation;
    }
    if (d->why) {
        return false;
    }
    if (c->binary && c->collate.len == 0 && c->collation.len > 0) {
        const struct weir_str name =
            charset_of_collation(c->collation).name;
        c->collation = str_of(arena_printf(d->a, "%.*s_bin", STR_ARG(name)));
    }
    if (c->binary && c->collation.len == 0) {
        return draft_fail(d, "a default charset that was never seen");
    }
    return true;
}

static bool
settle_text(struct draft *d, struct draft_column *c)
{
    if (!settle_collation(d, c)) {
        return false;
    }
    const struct charset cs = charset_of_collation(c->collation);
    if (str_is(cs.name, "binary")) {
        c->collation = STR("");
        return settle_sized(d, c, binary_base(c->base), 1);
    }
    if (c->json_check && strcmp(c->base, "longtext") == 0 &&
        d->session->flavour == FLAVOUR_MARIADB) {
        c->base = "json";
        c->sql_type = STR("json");
        return true;
    }
    if (c->collation.len == 0 && strcmp(c->base, "longtext") != 0 &&
        strcmp(c->base, "mediumtext") != 0) {
        /* It might be "binary", and the length may depend on it. */
        return draft_fail(d, "a default charset that was never seen");
    }
    return settle_sized(d, c, c->base, cs.maxlen);
}

static bool
settle_members(struct draft *d, struct draft_column *c)
{
    if (!settle_collation(d, c)) {
        return false;
    }
    if (str_is(c->collation, "binary")) {
        return draft_fail(d, "an ENUM or SET in the charset binary");
    }
    c->sql_type =
        sql_type_members(d->a, c->base, c->nmembers, c->members);
    return true;
}

static bool
settle_plain(struct draft *d, struct draft_column *c, enum draft_kind kind)
{
    const bool mariadb = d->session->flavour == FLAVOUR_MARIADB;
    const bool timestamp = strcmp(c->base, "timestamp") == 0;

    c->sql_type = str_of(c->base);
    if (c->has_scale || (c->has_length && kind == KIND_PLAIN)) {
        return draft_fail(d, "a length of a type that has none");
    }
    if (strcmp(c->base, "json") == 0 && mariadb) {
        c->collation = STR("utf8mb4_bin");
    } else if (strcmp(c->base, "year") == 0) {
        const bool bare = !mariadb && d->session->version >= 80019;
        c->sql_type = bare ? STR("year") : STR("year(4)");
    } else if (!c->has_length && strcmp(c->base, "vector") == 0) {
        c->sql_type = STR("vector(2048)"); /* MySQL; MariaDB takes none */
    } else if (strcmp(c->base, "bit") == 0 || kind == KIND_LENGTH ||
               (kind == KIND_TIME && c->length > 0)) {
        c->sql_type = str_of(arena_printf(
            d->a, "%s(%llu)", c->base,
            (unsigned long long)(c->has_length ? c->length : 1)));
    }
    if (!timestamp) {
        c->null_said = true;
    }
    return true;
}

bool
draft_settle_column(struct draft *d, struct draft_column *c)
{
    if (c->settled) {
        return true;
    }
    const enum draft_kind kind = draft_kind_of(c->base);
    c->settled = true;
    switch (kind) {
    case KIND_INT:
        c->null_said = true;
        return settle_int(d, c);
    case KIND_DECIMAL:
    case KIND_REAL:
        c->null_said = true;
        return settle_real(d, c);
    case KIND_TEXT:
        c->null_said = true;
        return settle_text(d, c);
    case KIND_BYTES:
        c->null_said = true;
        return settle_sized(d, c, c->base, 1);
    case KIND_MEMBERS:
        c->null_said = true;
        return settle_members(d, c);
    default:
        return settle_plain(d, c, kind);
    }
}

/* A TEXT grows where its characters may take more bytes. */
bool
draft_convert_column(struct draft *d, struct draft_column *c,
                     struct weir_str collation)
{
    const struct charset from = charset_of_collation(c->collation);
    const struct charset to = charset_of_collation(collation);
    /* COMPRESSED may stand behind it, in a comment. */
    const char           *space = memchr(c->sql_type.data, ' ',
                                         c->sql_type.len);
    const struct weir_str base = {
        c->sql_type.data,
        space ? (size_t)(space - c->sql_type.data) : c->sql_type.len
    };
    const size_t size = size_of(text_sizes, base);

    if (c->collation.len == 0) {
        struct sql_type type;
        if (!sql_type_parse(d->a, c->sql_type, &type)) {
            return draft_fail(d, "a type that is not known");
        }
        const bool text = size < 4 || str_is(type.base, "enum") ||
                          str_is(type.base, "set");
        return !text || draft_fail(d, "CONVERT of a charset not known");
    }
    if (str_is(to.name, "binary") || from.maxlen == 0 || to.maxlen == 0) {
        return draft_fail(d, "CONVERT between charsets not known enough");
    }
    if (size < 3 && to.maxlen > from.maxlen) {
        static const uint64_t bytes[] = { 255, 65535, 16777215 };
        c->sql_type = str_of(arena_printf(
            d->a, "%s%.*s",
            text_sizes[size_for(bytes[size] * (to.maxlen / from.maxlen))],
            (int)(c->sql_type.len - base.len), base.data + base.len));
    }
    c->collation = collation;
    return true;
}
