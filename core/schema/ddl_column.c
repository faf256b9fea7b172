/*
 * ddl_column.c - a column as a statement writes it, and as information_schema
 * then shows it: synonyms, default lengths, charsets.
 */
#include "schema/ddl_draft.h"

#include "base/str.h"
#include "schema/charset.h"
#include "schema/sql_type.h"

enum { REAL_AS_FLOAT = 1 }; /* of sql_mode */
enum { MEMBERS_MAX = 65535 };

/* ---- Charsets */

static const char *
default_suffix(struct weir_str charset)
{
    static const struct { const char *charset, *suffix; } others[] = {
        { "big5", "chinese_ci" },   { "dec8", "swedish_ci" },
        { "hp8", "english_ci" },    { "latin1", "swedish_ci" },
        { "swe7", "swedish_ci" },   { "ujis", "japanese_ci" },
        { "sjis", "japanese_ci" },  { "tis620", "thai_ci" },
        { "euckr", "korean_ci" },   { "gb2312", "chinese_ci" },
        { "gbk", "chinese_ci" },    { "latin5", "turkish_ci" },
        { "cp932", "japanese_ci" }, { "eucjpms", "japanese_ci" },
        { "gb18030", "chinese_ci" },
    };
    static const char *const general[] = {
        "cp850", "koi8r", "latin2", "ascii", "hebrew", "koi8u", "greek",
        "cp1250", "armscii8", "utf8", "utf8mb3", "utf8mb4", "ucs2", "cp866",
        "keybcs2", "macce", "macroman", "cp852", "latin7", "cp1251", "utf16",
        "utf16le", "cp1256", "cp1257", "utf32", "geostd8",
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (str_is(charset, others[i].charset)) {
            return others[i].suffix;
        }
    }
    for (size_t i = 0; i < sizeof general / sizeof *general; i++) {
        if (str_is(charset, general[i])) {
            return "general_ci";
        }
    }
    return NULL;
}

/* MariaDB 11.3 and later: character_set_collations may say another. */
static bool
default_is_a_setting(const struct draft *d, struct weir_str charset)
{
    const bool unicode = str_has_prefix(charset, "utf") ||
                         str_is(charset, "ucs2");

    return unicode && d->session->flavour == FLAVOUR_MARIADB &&
           (d->session->version == 0 || d->session->version >= 110300);
}

static struct weir_str
lower(struct draft *d, struct weir_str s)
{
    char *to = arena_cstr(d->a, s);

    for (size_t i = 0; i < s.len; i++) {
        to[i] = to[i] >= 'A' && to[i] <= 'Z' ? (char)(to[i] | 0x20) : to[i];
    }
    return (struct weir_str){ to, s.len };
}

/* Since MariaDB 10.6 and MySQL 8.0.30 it is shown as "utf8mb3". */
static struct weir_str
modern(struct draft *d, struct weir_str name)
{
    const unsigned since =
        d->session->flavour == FLAVOUR_MYSQL ? 80030 : 100600;

    if ((str_is(name, "utf8") || str_has_prefix(name, "utf8_")) &&
        d->session->version >= since) {
        return str_of(arena_printf(d->a, "utf8mb3%.*s", (int)name.len - 4,
                                   name.data + 4));
    }
    return name;
}

struct weir_str
draft_collation(struct draft *d, struct weir_str charset,
                struct weir_str collate)
{
    if (collate.len > 0) {
        const struct weir_str  name = modern(d, lower(d, collate));
        const struct charset   cs = charset_of_collation(name);
        const struct weir_str  of = charset.len > 0
                                        ? modern(d, lower(d, charset))
                                        : cs.name;
        if ((default_suffix(cs.name) || str_is(cs.name, "binary")) &&
            str_eq(of, cs.name)) {
            return name;
        }
        draft_fail(d, "a collation that is not known");
        return STR("");
    }
    const struct weir_str name = modern(d, lower(d, charset));
    const char           *suffix = default_suffix(name);
    if (str_is(name, "binary") || (suffix && default_is_a_setting(d, name))) {
        return name;
    }
    if (!suffix) {
        draft_fail(d, "a charset that is not known");
        return STR("");
    }
    if (str_is(name, "utf8mb4") && d->session->flavour == FLAVOUR_MYSQL) {
        suffix = d->session->version >= 80000 ? "0900_ai_ci" : "general_ci";
    }
    return str_of(arena_printf(d->a, "%.*s_%s", STR_ARG(name), suffix));
}

/* ---- Types, as written */

enum kind { KIND_INT, KIND_DECIMAL, KIND_REAL, KIND_TIME, KIND_TEXT,
            KIND_BYTES, KIND_MEMBERS, KIND_PLAIN, KIND_LENGTH };

/* clang-format off */
static const struct type {
    const char *word, *base;
    enum kind   kind;
} types[] = {
    { "tinyint", "tinyint", KIND_INT }, { "int1", "tinyint", KIND_INT },
    { "smallint", "smallint", KIND_INT }, { "int2", "smallint", KIND_INT },
    { "mediumint", "mediumint", KIND_INT }, { "int3", "mediumint", KIND_INT },
    { "middleint", "mediumint", KIND_INT },
    { "int", "int", KIND_INT }, { "integer", "int", KIND_INT },
    { "int4", "int", KIND_INT },
    { "bigint", "bigint", KIND_INT }, { "int8", "bigint", KIND_INT },
    { "decimal", "decimal", KIND_DECIMAL }, { "dec", "decimal", KIND_DECIMAL },
    { "numeric", "decimal", KIND_DECIMAL },
    { "fixed", "decimal", KIND_DECIMAL },
    { "float", "float", KIND_REAL }, { "float4", "float", KIND_REAL },
    { "double", "double", KIND_REAL }, { "float8", "double", KIND_REAL },
    { "real", "double", KIND_REAL },
    { "bit", "bit", KIND_LENGTH }, { "year", "year", KIND_LENGTH },
    { "date", "date", KIND_PLAIN },
    { "time", "time", KIND_TIME }, { "datetime", "datetime", KIND_TIME },
    { "timestamp", "timestamp", KIND_TIME },
    { "char", "char", KIND_TEXT }, { "character", "char", KIND_TEXT },
    { "nchar", "char", KIND_TEXT },
    { "varchar", "varchar", KIND_TEXT },
    { "varcharacter", "varchar", KIND_TEXT },
    { "nvarchar", "varchar", KIND_TEXT },
    { "tinytext", "tinytext", KIND_TEXT }, { "text", "text", KIND_TEXT },
    { "mediumtext", "mediumtext", KIND_TEXT },
    { "longtext", "longtext", KIND_TEXT },
    { "binary", "binary", KIND_BYTES },
    { "varbinary", "varbinary", KIND_BYTES },
    { "tinyblob", "tinyblob", KIND_BYTES }, { "blob", "blob", KIND_BYTES },
    { "mediumblob", "mediumblob", KIND_BYTES },
    { "longblob", "longblob", KIND_BYTES },
    { "enum", "enum", KIND_MEMBERS }, { "set", "set", KIND_MEMBERS },
    { "json", "json", KIND_PLAIN }, { "uuid", "uuid", KIND_PLAIN },
    { "inet4", "inet4", KIND_PLAIN }, { "inet6", "inet6", KIND_PLAIN },
    { "vector", "vector", KIND_LENGTH },
    { "geometry", "geometry", KIND_PLAIN }, { "point", "point", KIND_PLAIN },
    { "linestring", "linestring", KIND_PLAIN },
    { "polygon", "polygon", KIND_PLAIN },
    { "multipoint", "multipoint", KIND_PLAIN },
    { "multilinestring", "multilinestring", KIND_PLAIN },
    { "multipolygon", "multipolygon", KIND_PLAIN },
    { "geometrycollection", "geometrycollection", KIND_PLAIN },
};
/* clang-format on */

static bool
read_number(struct draft *d, uint64_t *out)
{
    if (d->t->kind != TOKEN_WORD || !str_u64(d->t->text, out)) {
        return draft_fail(d, "a length that is no number");
    }
    token_next(d->t);
    return true;
}

/* "(n)" or "(n,m)", if it stands here. */
static bool
read_lengths(struct draft *d, struct draft_column *c)
{
    if (!token_take_sign(d->t, '(')) {
        return true;
    }
    c->has_length = true;
    if (!read_number(d, &c->length)) {
        return false;
    }
    if (token_take_sign(d->t, ',')) {
        c->has_scale = true;
        if (!read_number(d, &c->scale)) {
            return false;
        }
    }
    return token_take_sign(d->t, ')') ||
           draft_fail(d, "a length without its parenthesis");
}

static bool
read_members(struct draft *d, struct draft_column *c)
{
    size_t room = 16;

    c->members = arena_array(d->a, room, sizeof *c->members);
    if (!token_take_sign(d->t, '(')) {
        return draft_fail(d, "a type without members");
    }
    do {
        if (d->t->kind != TOKEN_STRING || c->nmembers == MEMBERS_MAX) {
            return draft_fail(d, "a member that is no plain string");
        }
        if (c->nmembers == room) {
            struct weir_str *more =
                arena_array(d->a, room *= 2, sizeof *more);
            memcpy(more, c->members, c->nmembers * sizeof *more);
            c->members = more;
        }
        struct weir_str s = d->t->text;
        while (s.len > 0 && s.data[s.len - 1] == ' ') {
            s.len--; /* as the server does */
        }
        c->members[c->nmembers++] = s;
        token_next(d->t);
    } while (token_take_sign(d->t, ','));
    return token_take_sign(d->t, ')') ||
           draft_fail(d, "a list of members that goes on otherwise");
}

/* Types of several words; *base is left NULL where it is none. */
static void
read_long_name(struct draft *d, struct draft_column *c)
{
    struct tokens *t = d->t;

    if (token_take_word(t, "national")) {
        c->national = true;
        c->base = token_take_word(t, "varchar") ||
                          token_take_word(t, "varcharacter")
                      ? "varchar"
                      : "char";
        if (str_is(str_of(c->base), "char") &&
            (token_take_word(t, "char") || token_take_word(t, "character")) &&
            token_take_word(t, "varying")) {
            c->base = "varchar";
        }
    } else if (token_take_word(t, "long")) {
        c->base = token_take_word(t, "varbinary") ? "mediumblob"
                                                  : "mediumtext";
        if (token_take_word(t, "char") || token_take_word(t, "character")) {
            token_take_word(t, "varying");
        } else if (!token_take_word(t, "varchar")) {
            token_take_word(t, "varcharacter");
        }
    } else if (token_take_word(t, "bool") || token_take_word(t, "boolean")) {
        c->base = "tinyint";
        c->has_length = true;
        c->length = 1;
    } else if (token_take_word(t, "serial")) {
        c->base = "bigint";
        c->is_unsigned = true;
        c->facets |= WEIR_NOT_NULL;
        c->null_said = true;
    }
}

static const struct type *
type_of(struct weir_str word)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (str_eq_nocase(word, str_of(types[i].word))) {
            return &types[i];
        }
    }
    return NULL;
}

static const struct type *
type_of_base(const char *base)
{
    return type_of(str_of(base));
}

static bool
read_type_name(struct draft *d, struct draft_column *c)
{
    read_long_name(d, c);
    if (c->base) {
        return true;
    }
    const struct type *type =
        d->t->kind == TOKEN_WORD ? type_of(d->t->text) : NULL;
    if (!type) {
        return draft_fail(d, "a type that is not known");
    }
    c->base = type->base;
    const bool nchar = token_is_word(d->t, "nchar");
    c->national = nchar || token_is_word(d->t, "nvarchar");
    if (token_is_word(d->t, "real") &&
        (d->session->sql_mode & REAL_AS_FLOAT)) {
        c->base = "float";
    }
    token_next(d->t);
    if (strcmp(c->base, "double") == 0) {
        token_take_word(d->t, "precision");
    } else if (strcmp(c->base, "char") == 0 &&
               (token_take_word(d->t, "varying") ||
                (nchar && token_take_word(d->t, "varchar")))) {
        c->base = "varchar";
    }
    return true;
}

/* CHARACTER SET x, CHARSET x, ASCII, BYTE, BINARY, UNSIGNED, ... */
static bool
read_type_attributes(struct draft *d, struct draft_column *c)
{
    struct tokens *t = d->t;

    for (;;) {
        if (token_take_word(t, "unsigned")) {
            c->is_unsigned = true;
        } else if (token_take_word(t, "zerofill")) {
            c->zerofill = c->is_unsigned = true;
        } else if (token_take_word(t, "binary")) {
            c->binary = true;
        } else if (token_take_word(t, "ascii")) {
            c->charset = STR("latin1");
        } else if (token_take_word(t, "unicode")) {
            c->charset = STR("ucs2");
        } else if (token_take_word(t, "byte")) {
            c->charset = STR("binary");
        } else if (token_take_word(t, "charset") ||
                   (token_take_word(t, "character") &&
                    token_take_word(t, "set"))) {
            if (!token_is_name(t) && t->kind != TOKEN_STRING) {
                return draft_fail(d, "a charset that is not known");
            }
            c->charset = t->text;
            token_next(t);
        } else if (!token_take_word(t, "signed")) {
            return true;
        }
    }
}

static bool
read_type(struct draft *d, struct draft_column *c)
{
    if (!read_type_name(d, c)) {
        return false;
    }
    const struct type *type = type_of_base(c->base);
    if (!(type->kind == KIND_MEMBERS ? read_members(d, c)
                                     : read_lengths(d, c))) {
        return false;
    }
    return read_type_attributes(d, c);
}

/* ---- Attributes */

static bool
is_numeric_word(const struct tokens *t)
{
    return t->kind == TOKEN_WORD && t->text.data[0] >= '0' &&
           t->text.data[0] <= '9';
}

/* 1, 1.5, .5, 1e-5, 0x00 */
static void
skip_number(struct tokens *t)
{
    struct weir_str last = t->text;

    if (is_numeric_word(t)) {
        token_next(t);
    }
    if (token_take_sign(t, '.') && is_numeric_word(t)) {
        last = t->text;
        token_next(t);
    }
    const char end = last.data[last.len - 1];
    if ((end == 'e' || end == 'E') && !str_has_prefix(last, "0x") &&
        (token_is_sign(t, '-') || token_is_sign(t, '+'))) {
        token_next(t);
        token_next(t);
    }
}

static void
skip_strings(struct tokens *t)
{
    while (t->kind == TOKEN_STRING) {
        token_next(t);
    }
}

/* A literal, a function or an expression in parentheses. */
static bool
skip_default(struct draft *d)
{
    struct tokens *t = d->t;

    if (!token_take_sign(t, '-')) {
        token_take_sign(t, '+');
    }
    if (is_numeric_word(t) || token_is_sign(t, '.')) {
        skip_number(t);
    } else if (t->kind == TOKEN_STRING) {
        skip_strings(t);
    } else if (token_is_sign(t, '(')) {
        return draft_skip_parentheses(d);
    } else if (token_take_word(t, "next")) {
        struct weir_str name;
        return token_take_word(t, "value") && token_take_word(t, "for") &&
               draft_name(d, &name) &&
               (!token_take_sign(t, '.') || draft_name(d, &name));
    } else if (t->kind == TOKEN_WORD) {
        token_next(t);
        if (token_is_sign(t, '(')) {
            return draft_skip_parentheses(d);
        }
        skip_strings(t); /* _utf8'x', b'0', DATE '2020-01-01' */
    } else {
        return draft_fail(d, "a default that is not understood");
    }
    return true;
}

static bool
add_own_index(struct draft *d, const struct draft_column *c, bool primary)
{
    struct draft_index *index = arena_alloc(d->a, sizeof *index);

    index->unique = true;
    index->primary = primary;
    index->name = primary ? STR("PRIMARY") : STR("");
    index->ncolumns = 1;
    index->names = arena_array(d->a, 1, sizeof *index->names);
    index->names[0] = c->name;
    return draft_add_index(d, index);
}

/* CHECK (json_valid(`c`)), by which MariaDB knows its JSON. */
static bool
read_check(struct draft *d, struct draft_column *c)
{
    struct tokens look = *d->t;

    c->json_check = token_take_sign(&look, '(') &&
                    token_take_word(&look, "json_valid") &&
                    token_take_sign(&look, '(') && token_is_name(&look) &&
                    str_eq_nocase(look.text, c->name);
    if (c->json_check) {
        token_next(&look);
        c->json_check =
            token_take_sign(&look, ')') && token_take_sign(&look, ')');
    }
    return draft_skip_parentheses(d);
}

/* REFERENCES t (c) MATCH FULL ON DELETE SET NULL ON UPDATE CASCADE */
static bool
skip_references(struct draft *d)
{
    static const char *const rest[] = {
        "match", "full", "partial", "simple", "on", "delete", "update",
        "restrict", "cascade", "no", "action", NULL
    };
    struct weir_str name;

    if (!draft_name(d, &name) ||
        (token_take_sign(d->t, '.') && !draft_name(d, &name)) ||
        (token_is_sign(d->t, '(') && !draft_skip_parentheses(d))) {
        return false;
    }
    for (;;) {
        token_skip_words(d->t, rest);
        struct tokens look = *d->t;
        if (!token_take_word(&look, "set") ||
            (!token_take_word(&look, "null") &&
             !token_take_word(&look, "default"))) {
            return true;
        }
        *d->t = look;
    }
}

static bool
read_generated(struct draft *d, struct draft_column *c)
{
    c->facets |= WEIR_GENERATED;
    if (!token_take_word(d->t, "as")) {
        return draft_fail(d, "a generated column of another kind");
    }
    return draft_skip_parentheses(d);
}

/* name [=] value */
static bool
skip_setting(struct draft *d)
{
    token_take_sign(d->t, '=');
    if (d->t->kind == TOKEN_END || d->t->kind == TOKEN_SIGN) {
        return draft_fail(d, "a setting without a value");
    }
    token_next(d->t);
    return true;
}

static bool
read_null(struct draft *d, struct draft_column *c)
{
    if (token_take_word(d->t, "null")) {
        c->null_said = true;
        c->facets &= ~(unsigned)WEIR_NOT_NULL;
        return true;
    }
    if (!token_take_word(d->t, "not") || !token_take_word(d->t, "null")) {
        return draft_fail(d, "an attribute of a column");
    }
    c->null_said = true;
    c->facets |= WEIR_NOT_NULL;
    return true;
}

static bool
read_on_update(struct draft *d)
{
    if (!token_take_word(d->t, "update") || d->t->kind != TOKEN_WORD) {
        return draft_fail(d, "an attribute of a column");
    }
    token_next(d->t);
    return !token_is_sign(d->t, '(') || draft_skip_parentheses(d);
}

/* SERIAL DEFAULT VALUE is a NOT NULL AUTO_INCREMENT UNIQUE. */
static bool
read_default(struct draft *d, struct draft_column *c)
{
    if (!token_take_word(d->t, "value")) {
        return skip_default(d);
    }
    c->facets |= WEIR_NOT_NULL;
    c->null_said = true;
    return add_own_index(d, c, false);
}

static bool
read_constraint(struct draft *d, struct draft_column *c)
{
    struct weir_str name;

    if (!token_is_word(d->t, "check") && !draft_name(d, &name)) {
        return false;
    }
    return token_take_word(d->t, "check")
               ? read_check(d, c)
               : draft_fail(d, "a constraint of a column");
}

static bool
read_collate(struct draft *d, struct draft_column *c)
{
    if (!token_is_name(d->t) && d->t->kind != TOKEN_STRING) {
        return draft_fail(d, "a collation that is not known");
    }
    c->collate = d->t->text;
    token_next(d->t);
    return true;
}

/* One attribute; sets *more to false where none stands. */
static bool
read_attribute(struct draft *d, struct draft_column *c, bool *more)
{
    static const char *const flags[] = { "auto_increment", "visible",
                                         "virtual", "stored", "persistent" };
    static const char *const settings[] = {
        "column_format", "storage", "engine_attribute", "comment",
        "secondary_engine_attribute", "srid", "ref_system_id"
    };
    struct tokens *t = d->t;

    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if (token_take_word(t, flags[i])) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        if (token_take_word(t, settings[i])) {
            return skip_setting(d);
        }
    }
    if (token_is_word(t, "null") || token_is_word(t, "not")) {
        return read_null(d, c);
    } else if (token_take_word(t, "default")) {
        return read_default(d, c);
    } else if (token_take_word(t, "on")) {
        return read_on_update(d);
    } else if (token_take_word(t, "invisible")) {
        c->facets |= WEIR_INVISIBLE;
        return true;
    } else if (token_take_word(t, "collate")) {
        return read_collate(d, c);
    } else if (token_take_word(t, "check")) {
        return read_check(d, c);
    } else if (token_take_word(t, "constraint")) {
        return read_constraint(d, c);
    } else if (token_take_word(t, "references")) {
        return skip_references(d);
    } else if (token_take_word(t, "generated")) {
        return token_take_word(t, "always") ? read_generated(d, c)
                                            : draft_fail(d, "GENERATED");
    } else if (token_is_word(t, "as")) {
        return read_generated(d, c);
    } else if (token_take_word(t, "compressed")) {
        c->compressed = true;
        return token_is_sign(t, '=') ? skip_setting(d)
                                     : read_type_attributes(d, c);
    } else if (token_take_word(t, "unique")) {
        token_take_word(t, "key");
        return add_own_index(d, c, false);
    } else if (token_take_word(t, "primary") || token_is_word(t, "key")) {
        token_take_word(t, "key");
        return add_own_index(d, c, true);
    }
    *more = false;
    return true;
}

bool
draft_read_column(struct draft *d, struct weir_str name,
                  struct draft_column **out)
{
    struct draft_column *c = arena_alloc(d->a, sizeof *c);
    const bool           serial = token_is_word(d->t, "serial");
    bool                 more = true;

    c->name = name;
    if (!read_type(d, c) || (serial && !add_own_index(d, c, false))) {
        return false;
    }
    while (more) {
        if (!read_attribute(d, c, &more)) {
            return draft_fail(d, "an attribute of a column");
        }
    }
    *out = c;
    return true;
}

/* ---- As information_schema shows it */

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
settle_plain(struct draft *d, struct draft_column *c, const struct type *type)
{
    const bool mariadb = d->session->flavour == FLAVOUR_MARIADB;
    const bool timestamp = strcmp(c->base, "timestamp") == 0;

    c->sql_type = str_of(c->base);
    if (c->has_scale || (c->has_length && type->kind == KIND_PLAIN)) {
        return draft_fail(d, "a length of a type that has none");
    }
    if (strcmp(c->base, "json") == 0 && mariadb) {
        c->collation = STR("utf8mb4_bin");
    } else if (strcmp(c->base, "year") == 0) {
        const bool bare = !mariadb && d->session->version >= 80019;
        c->sql_type = bare ? STR("year") : STR("year(4)");
    } else if (strcmp(c->base, "bit") == 0 || type->kind == KIND_LENGTH ||
               (type->kind == KIND_TIME && c->length > 0)) {
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
    const struct type *type = type_of_base(c->base);
    c->settled = true;
    switch (type->kind) {
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
        return settle_plain(d, c, type);
    }
}

/* A TEXT grows where its characters may take more bytes. */
bool
draft_convert_column(struct draft *d, struct draft_column *c,
                     struct weir_str collation)
{
    const struct charset from = charset_of_collation(c->collation);
    const struct charset to = charset_of_collation(collation);
    const size_t         size = size_of(text_sizes, c->sql_type);

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
        c->sql_type = str_of(
            text_sizes[size_for(bytes[size] * (to.maxlen / from.maxlen))]);
    }
    c->collation = collation;
    return true;
}
