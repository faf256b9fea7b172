/* ddl_change.c - ALTER TABLE's DROP, CHANGE, MODIFY, RENAME and ALTER. */
#include "schema/ddl_alter.h"

#include "base/str.h"
#include "binlog/text.h"

static bool
drop_index(struct alter *al, bool if_exists, struct weir_str name)
{
    struct draft_index *index = draft_find_index(al->d, name);

    al->d->reordered = true;
    if (!index && !if_exists) {
        return alter_fail(al, "DROP of an index that is not known");
    }
    if (!index && !text_is_ascii(name.data, name.len)) {
        return alter_fail(al, "IF EXISTS of a name that is not in ASCII");
    }
    if (!al->d->indexes_told) {
        return alter_fail(al, "the table's indexes are not known");
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
    struct draft_column *c = alter_find_now(al, name);

    if (!c) {
        return if_exists ? alter_pass_over(al, name)
                         : alter_fail(al, "DROP of a column that is not there");
    }
    if (alter_is_moved(al, c)) {
        return alter_fail(al, "a column that is changed twice");
    }
    if (!d->indexes_told) {
        return alter_fail(al, "the table's indexes are not known");
    }
    draft_remove(d, draft_place(d, c));
    alter_drop(al, c);
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
        return alter_fail(al, "DROP CONSTRAINT of what is not known");
    }
    struct draft_index *index = draft_find_index(al->d, name);
    if (index && !index->unique) {
        return alter_fail(al, "DROP CONSTRAINT of what is not known");
    }
    if (index) {
        draft_remove_index(al->d, index);
    }
    return true;
}

bool
alter_read_drop(struct alter *al)
{
    struct draft   *d = al->d;
    struct tokens  *t = d->t;
    struct weir_str name;
    bool            if_exists;
    static const char *const period[] = { "period", "if", "exists", "for",
                                          NULL };

    if (token_is_word(t, "partition")) {
        return alter_skip_rest(al);
    }
    if (token_take_word(t, "primary")) {
        return token_take_word(t, "key") ? drop_index(al, false, STR("PRIMARY"))
                                         : alter_fail(al, "DROP PRIMARY");
    }
    if (token_take_word(t, "index") || token_take_word(t, "key")) {
        if_exists = alter_take_if_exists(d);
        return draft_name(d, &name) && drop_index(al, if_exists, name);
    }
    if (token_take_word(t, "foreign")) {
        token_take_word(t, "key");
        alter_take_if_exists(d);
        return draft_name(d, &name);
    }
    if (token_take_word(t, "constraint") || token_take_word(t, "check")) {
        alter_take_if_exists(d);
        return draft_name(d, &name) && drop_constraint(al, name);
    }
    struct tokens look = *t;
    if (token_take_word(&look, "system") &&
        token_is_word(&look, "versioning")) {
        return alter_fail(al, "system versioning");
    }
    if (draft_is_period(t)) {
        token_skip_words(t, period);
        return !token_is_word(t, "system_time") ? draft_name(d, &name)
                   : alter_fail(al, "system versioning");
    }
    token_take_word(t, "column");
    if_exists = alter_take_if_exists(d);
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
        return if_exists || alter_fail(al, "a column that is not there");
    }
    if (!al->d->indexes_told) {
        return alter_fail(al, "the table's indexes are not known");
    }
    if (alter_is_moved(al, c)) {
        return alter_fail(al, "a column that is changed twice");
    }
    al->d->reordered = true;
    *c = *to;
    if (!m->first && m->after.len == 0) {
        return true;
    }
    draft_remove(al->d, draft_place(al->d, c));
    m->column = c;
    return alter_add_move(al, m);
}

bool
alter_read_change(struct alter *al, bool modify)
{
    struct draft        *d = al->d;
    struct move          m = { .after = STR("") };
    struct draft_column *to;
    struct weir_str      from, name;

    token_take_word(d->t, "column");
    const bool if_exists = alter_take_if_exists(d);
    if (!draft_name(d, &from)) {
        return false;
    }
    name = from;
    if (!modify && !draft_name(d, &name)) {
        return false;
    }
    const size_t nindexes = al->added.nindexes;
    if (!alter_read_column(al, name, &to) || !alter_read_place(al, &m)) {
        return false;
    }
    struct draft_column *c = alter_find_now(al, from);
    if (!c && if_exists && !alter_pass_over(al, from)) {
        return false;
    }
    if (!c && al->added.nindexes != nindexes) {
        return alter_fail(al, "an index of a column that is not there");
    }
    return change_column(al, if_exists, c, to, &m);
}

static bool
rename_column(struct alter *al)
{
    struct draft   *d = al->d;
    struct weir_str from, to;
    const bool      if_exists = alter_take_if_exists(d);

    if (!draft_name(d, &from) || !token_take_word(d->t, "to") ||
        !draft_name(d, &to)) {
        return alter_fail(al, "RENAME COLUMN");
    }
    /* By the old names, so that two can be swapped. */
    struct draft_column *c = alter_find_now(al, from);
    if (c) {
        c->name = to;
    }
    return c || (if_exists ? alter_pass_over(al, from)
                           : alter_fail(al, "RENAME of a column that is not "
                                            "there"));
}

static bool
rename_index(struct alter *al)
{
    struct draft   *d = al->d;
    struct weir_str from, to;
    const bool      if_exists = alter_take_if_exists(d);

    if (!draft_name(d, &from) || !token_take_word(d->t, "to") ||
        !draft_name(d, &to)) {
        return alter_fail(al, "RENAME INDEX");
    }
    struct draft_index *index = draft_find_index(d, from);
    if (index) {
        index->name = to;
    }
    return index || if_exists || alter_fail(al, "an index that is not known");
}

bool
alter_read_rename(struct alter *al)
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
bool
alter_read_alter(struct alter *al)
{
    struct draft   *d = al->d;
    struct tokens  *t = d->t;
    struct weir_str name;

    if (token_take_word(t, "index") || token_take_word(t, "key")) {
        alter_take_if_exists(d);
        if (!draft_name(d, &name)) {
            return false;
        }
        token_take_word(t, "not");
        return token_take_word(t, "ignored") || token_take_word(t, "visible") ||
               token_take_word(t, "invisible") || alter_fail(al, "ALTER INDEX");
    }
    if (token_take_word(t, "check") || token_take_word(t, "constraint")) {
        if (!draft_name(d, &name)) {
            return false;
        }
        token_take_word(t, "not");
        return token_take_word(t, "enforced") || alter_fail(al, "ALTER CHECK");
    }
    token_take_word(t, "column");
    const bool if_exists = alter_take_if_exists(d);
    if (!draft_name(d, &name)) {
        return false;
    }
    struct draft_column *c = alter_find_now(al, name);
    if (!c && !if_exists) {
        return alter_fail(al, "a column that is not there");
    }
    if (token_take_word(t, "drop")) {
        return token_take_word(t, "default") || alter_fail(al, "ALTER COLUMN");
    }
    if (!token_take_word(t, "set")) {
        return alter_fail(al, "ALTER COLUMN");
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
        return alter_fail(al, "ALTER COLUMN");
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
