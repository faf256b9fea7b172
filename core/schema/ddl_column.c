/* ddl_column.c - a column as a statement writes it: what stands behind its
 * type. */
#include "schema/ddl_draft.h"

#include "base/str.h"

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
        const bool introducer = t->text.data[0] == '_';
        token_next(t);
        if (token_is_sign(t, '(')) {
            return draft_skip_parentheses(d);
        }
        if (introducer && is_numeric_word(t)) {
            token_next(t); /* _utf8 0x41 */
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
                                     : draft_read_type_attributes(d, c);
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
    if (!draft_read_type(d, c) || (serial && !add_own_index(d, c, false))) {
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
