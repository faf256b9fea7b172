/*
 * ddl_alter.c - ALTER TABLE, in the server's order (sql/sql_table.cc,
 * mysql_prepare_alter_table()): what is dropped and changed, in place; then what
 * is added and moved, one after the other; then indexes, old ones first.
 */
#include "schema/ddl_draft.h"

#include "base/str.h"

enum { SPECS_MAX = 4096 };

struct move { /* of a column that is added, or changed with FIRST or AFTER */
    struct draft_column *column;
    bool                 first;
    struct weir_str      after; /* empty: at the end */
};

struct alter {
    struct draft    *d;
    struct draft     added; /* indexes of the statement */
    size_t           nmoves, moves_room;
    struct move     *moves;
    size_t           nold;
    struct draft_column **old; /* as they were before */
    struct draft_column **now; /* the same, as they have become */
    struct weir_str  charset, collate, convert_charset, convert_collate;
    bool             convert;
    struct statement_table *renamed;
};

static bool
fail(struct alter *al, const char *why)
{
    return draft_fail(al->d, why);
}

/* What has become of the column that had the name before. */
static struct draft_column *
find_now(const struct alter *al, struct weir_str name)
{
    for (size_t i = 0; i < al->nold; i++) {
        if (str_eq_nocase(al->old[i]->name, name)) {
            return al->now[i];
        }
    }
    return NULL;
}

static bool
take_if_exists(struct draft *d)
{
    const bool was = token_take_word(d->t, "if");

    if (was) {
        token_take_word(d->t, "not");
        token_take_word(d->t, "exists");
    }
    return was;
}

static bool
read_place(struct alter *al, struct move *m)
{
    m->first = token_take_word(al->d->t, "first");
    return m->first || !token_take_word(al->d->t, "after") ||
           draft_name(al->d, &m->after);
}

static bool
add_move(struct alter *al, const struct move *m)
{
    if (al->nmoves == SPECS_MAX) {
        return fail(al, "too many parts of a statement");
    }
    if (!al->moves) {
        al->moves = arena_array(al->d->a, SPECS_MAX, sizeof *al->moves);
    }
    al->moves[al->nmoves++] = *m;
    return true;
}

/* Indexes that a column brings go behind those that are there. */
static bool
read_column(struct alter *al, struct weir_str name, struct draft_column **out)
{
    al->added.why = NULL;
    const bool ok = draft_read_column(&al->added, name, out);
    return ok || fail(al, al->added.why);
}

static bool
add_column(struct alter *al)
{
    const bool      if_not_exists = take_if_exists(al->d);
    const size_t    nindexes = al->added.nindexes;
    struct move     m = { .after = STR("") };
    struct weir_str name;

    if (!draft_name(al->d, &name) || !read_column(al, name, &m.column) ||
        !read_place(al, &m)) {
        return false;
    }
    if (if_not_exists && find_now(al, name)) {
        return al->added.nindexes == nindexes ||
               fail(al, "ADD COLUMN IF NOT EXISTS with an index");
    }
    return add_move(al, &m);
}

static bool
add_list(struct alter *al)
{
    do {
        bool was;
        if (!draft_read_index_or_check(&al->added, &was)) {
            return fail(al, al->added.why);
        }
        if (!was && !add_column(al)) {
            return false;
        }
    } while (token_take_sign(al->d->t, ','));
    return token_take_sign(al->d->t, ')') || fail(al, "ADD (");
}

static bool
skip_rest(struct alter *al)
{
    while (al->d->t->kind != TOKEN_END) {
        token_next(al->d->t);
    }
    return true;
}

static bool
read_add(struct alter *al)
{
    struct tokens *t = al->d->t;
    struct tokens  look = *t;
    bool           was;

    if (token_is_word(t, "partition")) {
        return skip_rest(al);
    }
    if (token_is_word(t, "system") || token_is_word(t, "period")) {
        token_next(&look);
        if (token_is_word(&look, "versioning") || token_is_word(&look, "for")) {
            return fail(al, "system versioning");
        }
    }
    if (!token_take_word(t, "column")) {
        if (!draft_read_index_or_check(&al->added, &was)) {
            return fail(al, al->added.why);
        }
        if (was) {
            return true;
        }
    }
    look = *t;
    if (token_take_word(&look, "if")) {
        token_take_word(&look, "not");
        token_take_word(&look, "exists");
    }
    if (token_is_sign(&look, '(')) {
        *t = look;
        token_next(t);
        return add_list(al);
    }
    return add_column(al);
}

/* ---- DROP */

static bool
drop_index(struct alter *al, bool if_exists, struct weir_str name)
{
    struct draft_index *index = draft_find_index(al->d, name);

    al->d->reordered = true;
    if (!index && !if_exists) {
        return fail(al, "DROP of an index that is not known");
    }
    if (!al->d->indexes_told) {
        return fail(al, "the table's indexes are not known");
    }
    if (index) {
        draft_remove_index(al->d, index);
    }
    return true;
}

/* Each index loses the column; one that has none left is gone. */
static bool
drop_column(struct alter *al, bool if_exists, struct weir_str name)
{
    struct draft        *d = al->d;
    struct draft_column *c = find_now(al, name);

    if (!c) {
        return if_exists || fail(al, "DROP of a column that is not there");
    }
    if (!d->indexes_told) {
        return fail(al, "the table's indexes are not known");
    }
    draft_remove(d, draft_place(d, c));
    for (size_t i = d->nindexes; i-- > 0;) {
        struct draft_index *index = d->indexes[i];
        const size_t        before = index->ncolumns;
        size_t              n = 0;
        for (size_t k = 0; k < before; k++) {
            if (index->columns[k] != c) {
                index->columns[n++] = index->columns[k];
            }
        }
        index->ncolumns = n;
        if (n == 0 && before > 0) {
            draft_remove_index(d, index);
        }
    }
    return true;
}

/* It may be a CHECK, a FOREIGN KEY, or an index. */
static bool
drop_constraint(struct alter *al, struct weir_str name)
{
    if (!al->d->indexes_told || draft_find(al->d, name)) {
        return fail(al, "DROP CONSTRAINT of what is not known");
    }
    struct draft_index *index = draft_find_index(al->d, name);
    if (index && !index->unique) {
        return fail(al, "DROP CONSTRAINT of what is not known");
    }
    if (index) {
        draft_remove_index(al->d, index);
    }
    return true;
}

static bool
read_drop(struct alter *al)
{
    struct draft   *d = al->d;
    struct tokens  *t = d->t;
    struct weir_str name;
    bool            if_exists;

    if (token_is_word(t, "partition")) {
        return skip_rest(al);
    }
    if (token_take_word(t, "primary")) {
        return token_take_word(t, "key") ? drop_index(al, false, STR("PRIMARY"))
                                         : fail(al, "DROP PRIMARY");
    }
    if (token_take_word(t, "index") || token_take_word(t, "key")) {
        if_exists = take_if_exists(d);
        return draft_name(d, &name) && drop_index(al, if_exists, name);
    }
    if (token_take_word(t, "foreign")) {
        token_take_word(t, "key");
        take_if_exists(d);
        return draft_name(d, &name);
    }
    if (token_take_word(t, "constraint") || token_take_word(t, "check")) {
        take_if_exists(d);
        return draft_name(d, &name) && drop_constraint(al, name);
    }
    if (token_is_word(t, "system") || token_is_word(t, "period")) {
        return fail(al, "system versioning");
    }
    token_take_word(t, "column");
    if_exists = take_if_exists(d);
    if (!draft_name(d, &name) || !drop_column(al, if_exists, name)) {
        return false;
    }
    if (!token_take_word(t, "restrict")) {
        token_take_word(t, "cascade");
    }
    return true;
}

/* ---- CHANGE, MODIFY, RENAME, ALTER */

/* The column stays the same one for its indexes. */
static bool
change_column(struct alter *al, bool if_exists, struct draft_column *c,
              struct draft_column *to, struct move *m)
{
    if (!c) {
        return if_exists || fail(al, "a column that is not there");
    }
    if (!al->d->indexes_told) {
        return fail(al, "the table's indexes are not known");
    }
    for (size_t i = 0; i < al->nmoves; i++) {
        if (al->moves[i].column == c) {
            return fail(al, "a column that is changed twice");
        }
    }
    al->d->reordered = true;
    *c = *to;
    if (!m->first && m->after.len == 0) {
        return true;
    }
    draft_remove(al->d, draft_place(al->d, c));
    m->column = c;
    return add_move(al, m);
}

static bool
read_change(struct alter *al, bool modify)
{
    struct draft        *d = al->d;
    struct move          m = { .after = STR("") };
    struct draft_column *to;
    struct weir_str      from, name;

    token_take_word(d->t, "column");
    const bool if_exists = take_if_exists(d);
    if (!draft_name(d, &from)) {
        return false;
    }
    name = from;
    if (!modify && !draft_name(d, &name)) {
        return false;
    }
    const size_t nindexes = al->added.nindexes;
    if (!read_column(al, name, &to) || !read_place(al, &m)) {
        return false;
    }
    struct draft_column *c = find_now(al, from);
    if (!c && al->added.nindexes != nindexes) {
        return fail(al, "an index of a column that is not there");
    }
    return change_column(al, if_exists, c, to, &m);
}

static bool
rename_column(struct alter *al)
{
    struct draft   *d = al->d;
    struct weir_str from, to;
    const bool      if_exists = take_if_exists(d);

    if (!draft_name(d, &from) || !token_take_word(d->t, "to") ||
        !draft_name(d, &to)) {
        return fail(al, "RENAME COLUMN");
    }
    for (size_t i = 0; i < al->nold; i++) {
        /* By the old names, so that two can be swapped. */
        if (str_eq_nocase(al->old[i]->name, from)) {
            al->now[i]->name = to;
            return true;
        }
    }
    return if_exists || fail(al, "RENAME of a column that is not there");
}

static bool
rename_index(struct alter *al)
{
    struct draft   *d = al->d;
    struct weir_str from, to;
    const bool      if_exists = take_if_exists(d);

    if (!draft_name(d, &from) || !token_take_word(d->t, "to") ||
        !draft_name(d, &to)) {
        return fail(al, "RENAME INDEX");
    }
    struct draft_index *index = draft_find_index(d, from);
    if (index) {
        index->name = to;
    }
    return index || if_exists || fail(al, "an index that is not known");
}

static bool
read_rename(struct alter *al)
{
    struct draft  *d = al->d;
    struct tokens *t = d->t;

    if (token_take_word(t, "column")) {
        return rename_column(al);
    }
    if (token_take_word(t, "index") || token_take_word(t, "key")) {
        return rename_index(al);
    }
    if (!token_take_word(t, "to") && !token_take_word(t, "as")) {
        token_take_sign(t, '=');
    }
    if (!draft_name(d, &al->renamed->name)) {
        return false;
    }
    al->renamed->schema = d->session->schema;
    if (token_take_sign(t, '.')) {
        al->renamed->schema = al->renamed->name;
        return draft_name(d, &al->renamed->name);
    }
    return true;
}

/* ALTER [COLUMN] c SET DEFAULT x, ALTER INDEX i IGNORED, ... */
static bool
read_alter(struct alter *al)
{
    struct draft   *d = al->d;
    struct tokens  *t = d->t;
    struct weir_str name;

    if (token_take_word(t, "index") || token_take_word(t, "key")) {
        take_if_exists(d);
        if (!draft_name(d, &name)) {
            return false;
        }
        token_take_word(t, "not");
        return token_take_word(t, "ignored") || token_take_word(t, "visible") ||
               token_take_word(t, "invisible") || fail(al, "ALTER INDEX");
    }
    if (token_take_word(t, "check") || token_take_word(t, "constraint")) {
        if (!draft_name(d, &name)) {
            return false;
        }
        token_take_word(t, "not");
        return token_take_word(t, "enforced") || fail(al, "ALTER CHECK");
    }
    token_take_word(t, "column");
    const bool if_exists = take_if_exists(d);
    if (!draft_name(d, &name)) {
        return false;
    }
    struct draft_column *c = find_now(al, name);
    if (!c && !if_exists) {
        return fail(al, "a column that is not there");
    }
    if (token_take_word(t, "drop")) {
        return token_take_word(t, "default") || fail(al, "ALTER COLUMN");
    }
    if (!token_take_word(t, "set")) {
        return fail(al, "ALTER COLUMN");
    }
    if (c && token_take_word(t, "invisible")) {
        c->facets |= WEIR_INVISIBLE;
        return true;
    }
    if (c && token_take_word(t, "visible")) {
        c->facets &= ~(unsigned)WEIR_INVISIBLE;
        return true;
    }
    if (!token_take_word(t, "default")) {
        return fail(al, "ALTER COLUMN");
    }
    /* A value, up to the next part. */
    while (t->kind != TOKEN_END && !token_is_sign(t, ',')) {
        if (token_is_sign(t, '(')) {
            if (!draft_skip_parentheses(d)) {
                return false;
            }
        } else {
            token_next(t);
        }
    }
    return true;
}

static bool
read_convert(struct alter *al)
{
    struct tokens *t = al->d->t;

    if (token_is_word(t, "partition") || token_is_word(t, "table")) {
        return fail(al, "CONVERT of a partition");
    }
    if (!token_take_word(t, "to")) {
        return fail(al, "CONVERT");
    }
    al->convert = true;
    if (!token_is_word(t, "charset") && !token_is_word(t, "character")) {
        return fail(al, "CONVERT");
    }
    if (!draft_read_option(al->d, &al->convert_charset,
                           &al->convert_collate)) {
        return false;
    }
    return !token_is_word(t, "collate") ||
           draft_read_option(al->d, &al->convert_charset,
                             &al->convert_collate);
}

/* Parts that change neither columns nor indexes. */
static bool
read_other(struct alter *al)
{
    static const char *const partition_verbs[] = {
        "analyze", "check", "optimize", "rebuild", "repair", "truncate",
        "coalesce", "reorganize", "exchange", "discard", "import",
        "partition",
    };
    static const char *const pairs[][2] = {
        { "enable", "keys" }, { "disable", "keys" },
        { "remove", "partitioning" }, { "upgrade", "partitioning" },
        { "with", "validation" }, { "without", "validation" },
    };
    struct tokens *t = al->d->t;

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (token_take_word(t, pairs[i][0])) {
            return token_take_word(t, pairs[i][1]) ||
                   fail(al, "a part of ALTER TABLE that is not known");
        }
    }
    for (size_t i = 0;
         i < sizeof partition_verbs / sizeof *partition_verbs; i++) {
        if (token_is_word(t, partition_verbs[i])) {
            return skip_rest(al);
        }
    }
    if (token_take_word(t, "force") || token_take_word(t, "nowait")) {
        return true;
    }
    if (token_take_word(t, "wait")) {
        token_next(t);
        return true;
    }
    if (token_take_word(t, "order")) {
        return token_take_word(t, "by") ? skip_rest(al) : fail(al, "ORDER");
    }
    return draft_read_option(al->d, &al->charset, &al->collate);
}

static bool
read_spec(struct alter *al)
{
    struct tokens *t = al->d->t;

    if (token_take_word(t, "add")) {
        return read_add(al);
    } else if (token_take_word(t, "drop")) {
        return read_drop(al);
    } else if (token_take_word(t, "change")) {
        return read_change(al, false);
    } else if (token_take_word(t, "modify")) {
        return read_change(al, true);
    } else if (token_take_word(t, "rename")) {
        return read_rename(al);
    } else if (token_take_word(t, "alter")) {
        return read_alter(al);
    } else if (token_take_word(t, "convert")) {
        return read_convert(al);
    }
    return read_other(al);
}

/* ---- What follows */

static bool
place_columns(struct alter *al)
{
    struct draft *d = al->d;

    for (size_t i = 0; i < al->nmoves; i++) {
        const struct move *m = &al->moves[i];
        size_t             at = m->first ? 0 : d->ncolumns;
        if (draft_find(d, m->column->name) ||
            d->ncolumns == BINLOG_MAX_COLUMNS) {
            return fail(al, "a column that is there already");
        }
        if (m->after.len > 0) {
            const struct draft_column *after = draft_find(d, m->after);
            if (!after) {
                return fail(al, "AFTER a column that is not there");
            }
            at = draft_place(d, after) + 1;
        }
        draft_put(d, at, m->column);
    }
    return true;
}

static bool
set_collation(struct alter *al)
{
    struct draft *d = al->d;

    if (al->charset.len > 0 || al->collate.len > 0) {
        d->collation = draft_collation(d, al->charset, al->collate);
    }
    if (al->convert) {
        d->collation =
            draft_collation(d, al->convert_charset, al->convert_collate);
        for (size_t i = 0; i < d->ncolumns && !d->why; i++) {
            if (!d->columns[i]->settled) {
                return fail(al, "CONVERT and new columns at once");
            }
            draft_convert_column(d, d->columns[i], d->collation);
        }
    }
    return !d->why;
}

static bool
add_indexes(struct alter *al)
{
    for (size_t i = 0; i < al->added.nindexes; i++) {
        struct draft_index *index = al->added.indexes[i];
        if (index->if_not_exists && draft_find_index(al->d, index->name)) {
            continue;
        }
        if (index->name.len > 0 && draft_find_index(al->d, index->name)) {
            return fail(al, "an index that is there already");
        }
        if (!draft_add_index(al->d, index)) {
            return false;
        }
        al->d->reordered = true;
    }
    return true;
}

bool
draft_alter(struct draft *d, struct statement_table *renamed)
{
    struct alter al = { .d = d,
                        .added = *d,
                        .charset = STR(""),
                        .collate = STR(""),
                        .convert_charset = STR(""),
                        .convert_collate = STR(""),
                        .renamed = renamed };

    al.added.indexes = NULL;
    al.added.nindexes = al.added.indexes_room = 0;
    al.added.indexes_told = true;
    al.nold = d->ncolumns;
    al.old = arena_array(d->a, al.nold, sizeof *al.old);
    al.now = arena_copy(d->a, d->columns, al.nold * sizeof *al.now);
    for (size_t i = 0; i < al.nold; i++) {
        al.old[i] = arena_copy(d->a, d->columns[i], sizeof **al.old);
    }
    while (d->t->kind != TOKEN_END) {
        if (token_take_sign(d->t, ',') || token_take_sign(d->t, ';')) {
            continue;
        }
        if (!read_spec(&al)) {
            return fail(&al, "a part of ALTER TABLE that is not known");
        }
    }
    if (d->t->broken) {
        return fail(&al, "a quote is not closed");
    }
    return place_columns(&al) && set_collation(&al) && add_indexes(&al);
}
