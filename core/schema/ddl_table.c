/*
 * ddl_table.c - what stands in CREATE TABLE's parentheses, and behind them.
 */
#include "schema/ddl_draft.h"

#include "base/str.h"

enum { INDEXES_MAX = 256, PARTS_MAX = 64 };

bool
draft_name(struct draft *d, struct weir_str *out)
{
    if (!token_is_name(d->t) || d->t->text.len == 0) {
        return draft_fail(d, "a name is missing");
    }
    *out = d->t->text;
    token_next(d->t);
    return true;
}

bool
draft_skip_parentheses(struct draft *d)
{
    size_t depth = 0;

    do {
        depth += token_is_sign(d->t, '(');
        depth -= depth > 0 && token_is_sign(d->t, ')');
        if (depth > 0 && d->t->kind == TOKEN_END) {
            return draft_fail(d, "a parenthesis that is not closed");
        }
        if (depth == 0 && !token_is_sign(d->t, ')')) {
            return draft_fail(d, "a parenthesis is missing");
        }
        token_next(d->t);
    } while (depth > 0);
    return true;
}

/* ---- Indexes */

static bool
read_part(struct draft *d, struct draft_index *index, bool *expression)
{
    if (token_is_sign(d->t, '(')) {
        *expression = true;
        if (!draft_skip_parentheses(d)) {
            return false;
        }
    } else {
        if (index->ncolumns == PARTS_MAX) {
            return draft_fail(d, "too many parts of an index");
        }
        if (!draft_name(d, &index->names[index->ncolumns++])) {
            return false;
        }
        if (token_is_sign(d->t, '(')) {
            index->partial = true;
            if (!draft_skip_parentheses(d)) {
                return false;
            }
        }
    }
    if (!token_take_word(d->t, "asc")) {
        token_take_word(d->t, "desc");
    }
    return true;
}

/* USING BTREE, COMMENT 'x', KEY_BLOCK_SIZE = 8, NOT IGNORED, ... */
static bool
skip_index_options(struct draft *d)
{
    static const char *const settings[] = {
        "using", "type", "comment", "key_block_size", "parser", "clustering",
        "engine_attribute", "secondary_engine_attribute", "distance", "m"
    };
    static const char *const flags[] = { "with", "visible", "invisible", "not",
                                         "ignored", NULL };
    for (;;) {
        token_skip_words(d->t, flags);
        size_t i = 0;
        while (i < sizeof settings / sizeof *settings &&
               !token_take_word(d->t, settings[i])) {
            i++;
        }
        if (i == sizeof settings / sizeof *settings) {
            return true;
        }
        token_take_sign(d->t, '=');
        if (d->t->kind == TOKEN_END || d->t->kind == TOKEN_SIGN) {
            return draft_fail(d, "an option of an index");
        }
        token_next(d->t);
    }
}

static bool
skip_method(struct draft *d)
{
    struct weir_str name;

    return (!token_take_word(d->t, "using") && !token_take_word(d->t, "type")) ||
           draft_name(d, &name);
}

static void
read_if_not_exists(struct draft *d, struct draft_index *index)
{
    static const char *const words[] = { "if", "not", "exists", NULL };

    index->if_not_exists |= token_is_word(d->t, "if");
    token_skip_words(d->t, words);
}

/* Behind the word INDEX: [IF NOT EXISTS] [name] [USING x] (parts) options */
bool
draft_read_index(struct draft *d, struct draft_index *index)
{
    bool expression = false;

    read_if_not_exists(d, index);
    if (token_is_name(d->t) && !token_is_word(d->t, "using") &&
        !token_is_word(d->t, "type")) {
        struct weir_str name;
        draft_name(d, &name);
        index->name = index->primary ? index->name : name;
    }
    if (!skip_method(d)) {
        return false;
    }
    index->names = arena_array(d->a, PARTS_MAX, sizeof *index->names);
    if (!token_take_sign(d->t, '(')) {
        return draft_fail(d, "an index without columns");
    }
    do {
        if (!read_part(d, index, &expression)) {
            return false;
        }
    } while (token_take_sign(d->t, ','));
    if (!token_take_sign(d->t, ')')) {
        return draft_fail(d, "an index over something else");
    }
    if (expression) {
        index->ncolumns = 0;
        index->partial = true;
    }
    if (!skip_index_options(d)) {
        return false;
    }
    const bool there = index->if_not_exists && index->name.len > 0 &&
                       draft_find_index(d, index->name);
    if (index->if_not_exists && index->name.len == 0) {
        return draft_fail(d, "IF NOT EXISTS of an index without a name");
    }
    if (d->nindexes == INDEXES_MAX) {
        return draft_fail(d, "too many indexes");
    }
    return there || draft_add_index(d, index);
}

/* FOREIGN KEY [IF NOT EXISTS] [name] (parts) REFERENCES ...: an index too,
 * where no other will do. */
static bool
read_foreign_key(struct draft *d, struct weir_str constraint)
{
    struct draft_index *index = arena_alloc(d->a, sizeof *index);
    static const char *const rest[] = {
        "references", "match", "full", "partial", "simple", "on", "delete",
        "update", "restrict", "cascade", "no", "action", "set", "null",
        "default", NULL
    };
    const size_t before = d->nindexes;

    if (!token_take_word(d->t, "key") || !draft_read_index(d, index)) {
        return draft_fail(d, "a FOREIGN KEY");
    }
    if (!token_take_word(d->t, "references")) {
        return draft_fail(d, "a FOREIGN KEY");
    }
    struct weir_str name;
    if (!draft_name(d, &name) ||
        (token_take_sign(d->t, '.') && !draft_name(d, &name)) ||
        (token_is_sign(d->t, '(') && !draft_skip_parentheses(d))) {
        return false;
    }
    token_skip_words(d->t, rest);
    if (constraint.len > 0) {
        index->name = constraint;
    }
    /* Whether it stands there in the end depends on the others; none but
     * DROP INDEX by its name asks for it. */
    while (d->nindexes > before) {
        draft_remove_index(d, d->indexes[d->nindexes - 1]);
    }
    return true;
}

static bool
read_constraint(struct draft *d, struct weir_str *name)
{
    if (!token_take_word(d->t, "constraint")) {
        return true;
    }
    static const char *const words[] = { "if", "not", "exists", NULL };
    token_skip_words(d->t, words);
    return token_is_word(d->t, "primary") || token_is_word(d->t, "unique") ||
           token_is_word(d->t, "foreign") || token_is_word(d->t, "check") ||
           draft_name(d, name);
}

static bool
read_unique(struct draft *d, struct draft_index *index)
{
    index->unique = true;
    if (!token_take_word(d->t, "key")) {
        token_take_word(d->t, "index");
    }
    return draft_read_index(d, index);
}

static bool
read_primary(struct draft *d, struct draft_index *index)
{
    index->unique = index->primary = true;
    index->name = STR("PRIMARY");
    return token_take_word(d->t, "key") ? draft_read_index(d, index)
                                        : draft_fail(d, "PRIMARY");
}

static bool
read_check(struct draft *d)
{
    if (!draft_skip_parentheses(d)) {
        return false;
    }
    token_take_word(d->t, "not");
    token_take_word(d->t, "enforced");
    return true;
}

static bool
is_vector_index(const struct tokens *t)
{
    struct tokens look = *t;

    return token_take_word(&look, "vector") &&
           (token_is_word(&look, "index") || token_is_word(&look, "key") ||
            token_is_sign(&look, '('));
}

bool
draft_read_index_or_check(struct draft *d, bool *was)
{
    struct draft_index *index = arena_alloc(d->a, sizeof *index);
    struct weir_str     constraint = STR("");
    struct tokens      *t = d->t;

    *was = true;
    const bool named = token_is_word(t, "constraint");
    if (!read_constraint(d, &constraint)) {
        return false;
    }
    index->name = constraint;
    if (token_take_word(t, "primary")) {
        return read_primary(d, index);
    } else if (token_take_word(t, "unique")) {
        return read_unique(d, index);
    } else if (token_take_word(t, "foreign")) {
        return read_foreign_key(d, constraint);
    } else if (token_take_word(t, "check")) {
        return read_check(d);
    } else if (named) {
        return draft_fail(d, "a CONSTRAINT of another kind");
    } else if (token_take_word(t, "index") || token_take_word(t, "key")) {
        return draft_read_index(d, index);
    } else if (is_vector_index(t) || token_is_word(t, "fulltext") ||
               token_is_word(t, "spatial")) {
        token_next(t);
        if (!token_take_word(t, "key")) {
            token_take_word(t, "index");
        }
        return draft_read_index(d, index);
    }
    *was = false;
    return true;
}

/* ---- All of the parentheses */

bool
draft_is_period(const struct tokens *t)
{
    static const char *const fill[] = { "if", "not", "exists", NULL };
    struct tokens            look = *t;

    if (!token_take_word(&look, "period")) {
        return false;
    }
    token_skip_words(&look, fill);
    return token_is_word(&look, "for");
}

bool
draft_read_period(struct draft *d, struct weir_str *from, struct weir_str *to)
{
    static const char *const words[] = { "period", "for", "if", "not",
                                         "exists", NULL };
    struct tokens  *t = d->t;
    struct weir_str name;

    token_skip_words(t, words);
    if (token_is_word(t, "system_time")) {
        return draft_fail(d, "system versioning");
    }
    return (draft_name(d, &name) && token_take_sign(t, '(') &&
            draft_name(d, from) && token_take_sign(t, ',') &&
            draft_name(d, to) && token_take_sign(t, ')')) ||
           draft_fail(d, "a PERIOD");
}

bool
draft_apply_period(struct draft *d, const struct weir_str columns[2])
{
    for (int i = 0; i < 2; i++) {
        struct draft_column *c = draft_find(d, columns[i]);
        if (columns[i].len > 0 && !c) {
            return draft_fail(d, "a PERIOD of a column that is not there");
        }
        if (c) {
            c->facets |= WEIR_NOT_NULL;
            c->null_said = true;
        }
    }
    return true;
}

static bool
read_element(struct draft *d)
{
    struct draft_column *c;
    struct weir_str      name;
    bool                 was;

    if (draft_is_period(d->t)) {
        return draft_read_period(d, &d->period[0], &d->period[1]);
    }
    if (!draft_read_index_or_check(d, &was)) {
        return false;
    }
    if (was) {
        return true;
    }
    if (d->ncolumns == BINLOG_MAX_COLUMNS) {
        return draft_fail(d, "too many columns");
    }
    if (!draft_name(d, &name) || !draft_read_column(d, name, &c)) {
        return false;
    }
    draft_put(d, d->ncolumns, c);
    return true;
}

bool
draft_read_elements(struct draft *d)
{
    if (!token_take_sign(d->t, '(')) {
        return draft_fail(d, "columns are missing");
    }
    do {
        if (!read_element(d)) {
            return false;
        }
    } while (token_take_sign(d->t, ','));
    return (token_take_sign(d->t, ')') ||
            draft_fail(d, "something unknown behind a column")) &&
           draft_apply_period(d, d->period);
}

/* ---- Options of a table */

static bool
is_option(const struct tokens *t)
{
    static const char *const options[] = {
        "engine", "type", "avg_row_length", "auto_increment", "checksum",
        "table_checksum", "comment", "connection", "delay_key_write",
        "insert_method", "key_block_size", "max_rows", "min_rows",
        "pack_keys", "page_checksum", "password", "row_format",
        "stats_auto_recalc", "stats_persistent", "stats_sample_pages",
        "tablespace", "transactional", "encrypted", "encryption_key_id",
        "page_compressed", "page_compression_level", "ietf_quotes",
        "compression", "encryption", "autoextend_size", "engine_attribute",
        "secondary_engine_attribute", "secondary_engine", "storage",
        "algorithm", "lock"
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (token_is_word(t, options[i])) {
            return true;
        }
    }
    /* Engines have some of their own, always with `=`. */
    struct tokens look = *t;
    token_next(&look);
    return t->kind != TOKEN_END && t->kind != TOKEN_SIGN &&
           token_is_sign(&look, '=') && !token_is_word(t, "sequence") &&
           !token_is_word(t, "union");
}

static bool
read_charset_name(struct draft *d, struct weir_str *out)
{
    token_take_sign(d->t, '=');
    if ((!token_is_name(d->t) && d->t->kind != TOKEN_STRING) ||
        token_is_word(d->t, "default")) {
        return draft_fail(d, "a charset that is not known");
    }
    *out = d->t->text;
    token_next(d->t);
    return true;
}

bool
draft_read_option(struct draft *d, struct weir_str *charset,
                  struct weir_str *collate)
{
    struct tokens *t = d->t;

    token_take_word(t, "default");
    if (token_take_word(t, "charset") ||
        (token_take_word(t, "character") && token_take_word(t, "set"))) {
        return read_charset_name(d, charset);
    }
    if (token_take_word(t, "collate")) {
        return read_charset_name(d, collate);
    }
    if (token_take_word(t, "data") || token_take_word(t, "index")) {
        if (!token_take_word(t, "directory")) {
            return draft_fail(d, "an option of the table");
        }
    } else if (token_take_word(t, "union")) {
        token_take_sign(t, '=');
        return draft_skip_parentheses(d);
    } else if (is_option(t)) {
        token_next(t);
    } else {
        return draft_fail(d, "an option of the table");
    }
    token_take_sign(t, '=');
    if (t->kind == TOKEN_END || t->kind == TOKEN_SIGN) {
        return draft_fail(d, "an option of the table");
    }
    token_next(t);
    return true;
}

/* PARTITION BY ...: no matter, unless rows come from a SELECT behind it, or
 * from a TABLE or VALUES, which are also words of partitions' lists. */
static bool
skip_partitions(struct draft *d)
{
    while (d->t->kind != TOKEN_END) {
        if (token_is_word(d->t, "select") || token_is_word(d->t, "with") ||
            token_is_word(d->t, "table") || token_is_word(d->t, "values")) {
            return draft_fail(d, "a table made from a SELECT");
        }
        if (!token_is_sign(d->t, '(')) {
            token_next(d->t);
        } else if (!draft_skip_parentheses(d)) {
            return false;
        }
    }
    return true;
}

bool
draft_read_options(struct draft *d)
{
    struct weir_str charset = STR(""), collate = STR("");
    struct tokens  *t = d->t;

    while (t->kind != TOKEN_END) {
        if (token_take_sign(t, ',') || token_take_sign(t, ';')) {
            continue;
        }
        if (token_take_word(t, "start")) { /* MySQL, of one made from a SELECT */
            if (!token_take_word(t, "transaction")) {
                return draft_fail(d, "START");
            }
        } else if (token_is_word(t, "partition")) {
            if (!skip_partitions(d)) {
                return false;
            }
        } else if (!draft_read_option(d, &charset, &collate)) {
            return false;
        }
    }
    d->collation = charset.len > 0 || collate.len > 0
                       ? draft_collation(d, charset, collate)
                       : d->schema_collation;
    return !d->why && (!t->broken || draft_fail(d, "a quote is not closed"));
}
