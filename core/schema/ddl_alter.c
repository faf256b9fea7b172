/*
 * ddl_alter.c - ALTER TABLE, in the server's order (sql/sql_table.cc,
 * mysql_prepare_alter_table()): what is dropped and changed, in place; then what
 * is added and moved, one after the other; then indexes, old ones first.
 */
#include "schema/ddl_alter.h"

#include "base/str.h"
#include "binlog/text.h"

enum { SPECS_MAX = 4096 };

bool
alter_fail(struct alter *al, const char *why)
{
    return draft_fail(al->d, why);
}

struct draft_column *
alter_find_now(const struct alter *al, struct weir_str name)
{
    for (size_t i = 0; i < al->nold; i++) {
        if (str_eq_nocase(al->old[i]->name, name)) {
            return al->now[i];
        }
    }
    return NULL;
}

static bool
was_there(const struct alter *al, struct weir_str name)
{
    for (size_t i = 0; i < al->nold; i++) {
        if (str_eq_nocase(al->old[i]->name, name)) {
            return true;
        }
    }
    return false;
}

bool
alter_pass_over(struct alter *al, struct weir_str name)
{
    bool plain = text_is_ascii(name.data, name.len);

    for (size_t i = 0; i < al->nold; i++) {
        plain &= text_is_ascii(al->old[i]->name.data, al->old[i]->name.len);
    }
    return plain || alter_fail(al, "IF EXISTS of a name that is not in ASCII");
}

bool
alter_is_moved(const struct alter *al, const struct draft_column *c)
{
    for (size_t i = 0; i < al->nmoves; i++) {
        if (al->moves[i].column == c) {
            return true;
        }
    }
    return false;
}

void
alter_drop(struct alter *al, const struct draft_column *c)
{
    for (size_t i = 0; i < al->nold; i++) {
        if (al->now[i] == c) {
            al->now[i] = NULL;
        }
    }
}

bool
alter_take_if_exists(struct draft *d)
{
    const bool was = token_take_word(d->t, "if");

    if (was) {
        token_take_word(d->t, "not");
        token_take_word(d->t, "exists");
    }
    return was;
}

bool
alter_read_place(struct alter *al, struct move *m)
{
    m->first = token_take_word(al->d->t, "first");
    return m->first || !token_take_word(al->d->t, "after") ||
           draft_name(al->d, &m->after);
}

bool
alter_add_move(struct alter *al, const struct move *m)
{
    if (al->nmoves == SPECS_MAX) {
        return alter_fail(al, "too many parts of a statement");
    }
    if (!al->moves) {
        al->moves = arena_array(al->d->a, SPECS_MAX, sizeof *al->moves);
    }
    al->moves[al->nmoves++] = *m;
    return true;
}

bool
alter_read_column(struct alter *al, struct weir_str name,
                  struct draft_column **out)
{
    al->added.why = NULL;
    const bool ok = draft_read_column(&al->added, name, out);
    return ok || alter_fail(al, al->added.why);
}

static bool
add_column(struct alter *al)
{
    const bool      if_not_exists = alter_take_if_exists(al->d);
    const size_t    nindexes = al->added.nindexes;
    struct move     m = { .after = STR("") };
    struct weir_str name;

    if (!draft_name(al->d, &name) || !alter_read_column(al, name, &m.column) ||
        !alter_read_place(al, &m)) {
        return false;
    }
    if (if_not_exists && was_there(al, name)) {
        return (alter_find_now(al, name) && al->added.nindexes == nindexes) ||
               alter_fail(al, "ADD COLUMN IF NOT EXISTS of one that changes");
    }
    return (!if_not_exists || alter_pass_over(al, name)) &&
           alter_add_move(al, &m);
}

static bool
add_list(struct alter *al)
{
    do {
        bool was;
        if (!draft_read_index_or_check(&al->added, &was)) {
            return alter_fail(al, al->added.why);
        }
        if (!was && !add_column(al)) {
            return false;
        }
    } while (token_take_sign(al->d->t, ','));
    return token_take_sign(al->d->t, ')') || alter_fail(al, "ADD (");
}

bool
alter_skip_rest(struct alter *al)
{
    while (al->d->t->kind != TOKEN_END) {
        token_next(al->d->t);
    }
    return true;
}

/* Of an application: [IF NOT EXISTS] name (from, to), which may not be NULL
 * then. */
static bool
read_period(struct alter *al)
{
    struct weir_str from, to;

    if (!draft_read_period(&al->added, &from, &to)) {
        return alter_fail(al, al->added.why);
    }
    al->period[0] = from;
    al->period[1] = to;
    return true;
}

static bool
read_add(struct alter *al)
{
    struct tokens *t = al->d->t;
    struct tokens  look = *t;
    bool           was;

    if (token_is_word(t, "partition")) {
        return alter_skip_rest(al);
    }
    if (token_take_word(&look, "system") &&
        token_is_word(&look, "versioning")) {
        return alter_fail(al, "system versioning");
    }
    if (draft_is_period(t)) {
        return read_period(al);
    }
    if (!token_take_word(t, "column")) {
        if (!draft_read_index_or_check(&al->added, &was)) {
            return alter_fail(al, al->added.why);
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

static bool
read_convert(struct alter *al)
{
    struct tokens *t = al->d->t;

    if (token_is_word(t, "partition") || token_is_word(t, "table")) {
        return alter_fail(al, "CONVERT of a partition");
    }
    if (!token_take_word(t, "to")) {
        return alter_fail(al, "CONVERT");
    }
    if (al->convert) {
        return alter_fail(al, "CONVERT, twice");
    }
    al->convert = true;
    if (!token_is_word(t, "charset") && !token_is_word(t, "character")) {
        return alter_fail(al, "CONVERT");
    }
    if (!draft_read_option(al->d, &al->convert_charset,
                           &al->convert_collate)) {
        return false;
    }
    return !token_is_word(t, "collate") ||
           draft_read_option(al->d, &al->convert_charset,
                             &al->convert_collate);
}

/* ORDER BY a, b DESC: the last part. */
static bool
read_order(struct alter *al)
{
    struct draft   *d = al->d;
    struct weir_str name;

    bool ok = token_take_word(d->t, "by");
    do {
        ok = ok && draft_name(d, &name) && draft_find(d, name);
        if (!token_take_word(d->t, "asc")) {
            token_take_word(d->t, "desc");
        }
    } while (ok && token_take_sign(d->t, ','));
    token_take_sign(d->t, ';');
    return (ok && d->t->kind == TOKEN_END) || alter_fail(al, "ORDER BY");
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
                   alter_fail(al, "a part of ALTER TABLE that is not known");
        }
    }
    for (size_t i = 0;
         i < sizeof partition_verbs / sizeof *partition_verbs; i++) {
        if (token_is_word(t, partition_verbs[i])) {
            return alter_skip_rest(al);
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
        return read_order(al);
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
        return alter_read_drop(al);
    } else if (token_take_word(t, "change")) {
        return alter_read_change(al, false);
    } else if (token_take_word(t, "modify")) {
        return alter_read_change(al, true);
    } else if (token_take_word(t, "rename")) {
        return alter_read_rename(al);
    } else if (token_take_word(t, "alter")) {
        return alter_read_alter(al);
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
            return alter_fail(al, "a column that is there already");
        }
        if (m->after.len > 0) {
            const struct draft_column *after = draft_find(d, m->after);
            if (!after) {
                return alter_fail(al, "AFTER a column that is not there");
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

    if (al->convert && (al->charset.len > 0 || al->collate.len > 0)) {
        return alter_fail(al, "CONVERT and another default charset at once");
    }
    if (al->charset.len > 0 || al->collate.len > 0) {
        d->collation = draft_collation(d, al->charset, al->collate);
    }
    if (al->convert) {
        d->collation =
            draft_collation(d, al->convert_charset, al->convert_collate);
        for (size_t i = 0; i < d->ncolumns && !d->why; i++) {
            if (!d->columns[i]->settled) {
                return alter_fail(al, "CONVERT and new columns at once");
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
            return alter_fail(al, "an index that is there already");
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
                        .period = { STR(""), STR("") },
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
            return alter_fail(&al, "a part of ALTER TABLE that is not known");
        }
    }
    if (d->t->broken) {
        return alter_fail(&al, "a quote is not closed");
    }
    return place_columns(&al) && draft_apply_period(d, al.period) &&
           set_collation(&al) && add_indexes(&al);
}
