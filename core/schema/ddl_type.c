/* ddl_type.c - a column's type as a statement writes it: synonyms, lengths. */
#include "schema/ddl_draft.h"

#include "base/str.h"

enum { REAL_AS_FLOAT = 1, ORACLE = 0x200, MAXDB = 0x1000 }; /* of sql_mode */
enum { MEMBERS_MAX = 65535 };

/* clang-format off */
static const struct type {
    const char     *word, *base;
    enum draft_kind kind;
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

enum draft_kind
draft_kind_of(const char *base)
{
    return type_of(str_of(base))->kind;
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
bool
draft_read_type_attributes(struct draft *d, struct draft_column *c)
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

/* DATE, BLOB and TIMESTAMP are other types in these modes, which MySQL 8 has no
 * more. */
static bool
is_other_dialect(const struct ddl_session *s)
{
    const bool has_them =
        s->flavour == FLAVOUR_MARIADB || s->version < 80000;

    return has_them && (s->sql_mode & (ORACLE | MAXDB));
}

bool
draft_read_type(struct draft *d, struct draft_column *c)
{
    if (is_other_dialect(d->session)) {
        return draft_fail(d, "a type in sql_mode ORACLE or MAXDB");
    }
    if (!read_type_name(d, c)) {
        return false;
    }
    if (!(draft_kind_of(c->base) == KIND_MEMBERS ? read_members(d, c)
                                                 : read_lengths(d, c))) {
        return false;
    }
    return draft_read_type_attributes(d, c);
}
