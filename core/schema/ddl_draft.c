/*
 * ddl_draft.c - a table while it is changed, and what it becomes: the order of
 * its indexes and which of them is its key are the server's rules (MariaDB and
 * MySQL sql/sql_table.cc, sort_keys() and make_unique_key_name()).
 */
#include "schema/ddl_draft.h"

#include <ctype.h>

#include "base/str.h"

bool
draft_fail(struct draft *d, const char *why)
{
    if (!d->why) {
        d->why = why;
    }
    return false;
}

/* Room for one more in an array of pointers. */
static void *
room_for(struct draft *d, void *items, size_t n, size_t *room)
{
    if (n < *room) {
        return items;
    }
    *room = *room ? *room * 2 : 16;
    void **more = arena_array(d->a, *room, sizeof *more);
    if (n > 0) {
        memcpy(more, items, n * sizeof *more);
    }
    return more;
}

void
draft_put(struct draft *d, size_t at, struct draft_column *c)
{
    d->columns = room_for(d, d->columns, d->ncolumns, &d->columns_room);
    memmove(d->columns + at + 1, d->columns + at,
            (d->ncolumns - at) * sizeof *d->columns);
    d->columns[at] = c;
    d->ncolumns++;
}

void
draft_remove(struct draft *d, size_t at)
{
    d->ncolumns--;
    memmove(d->columns + at, d->columns + at + 1,
            (d->ncolumns - at) * sizeof *d->columns);
}

struct draft_column *
draft_find(const struct draft *d, struct weir_str name)
{
    for (size_t i = 0; i < d->ncolumns; i++) {
        if (str_eq_nocase(d->columns[i]->name, name)) {
            return d->columns[i];
        }
    }
    return NULL;
}

size_t
draft_place(const struct draft *d, const struct draft_column *c)
{
    size_t i = 0;

    while (i < d->ncolumns && d->columns[i] != c) {
        i++;
    }
    return i;
}

struct draft_index *
draft_find_index(const struct draft *d, struct weir_str name)
{
    for (size_t i = 0; i < d->nindexes; i++) {
        if (str_eq_nocase(d->indexes[i]->name, name)) {
            return d->indexes[i];
        }
    }
    return NULL;
}

bool
draft_add_index(struct draft *d, struct draft_index *index)
{
    if (!d->indexes_told) {
        return draft_fail(d, "the table's other indexes are not known");
    }
    d->indexes = room_for(d, d->indexes, d->nindexes, &d->indexes_room);
    d->indexes[d->nindexes++] = index;
    return true;
}

void
draft_remove_index(struct draft *d, const struct draft_index *index)
{
    for (size_t i = 0; i < d->nindexes; i++) {
        if (d->indexes[i] == index) {
            d->nindexes--;
            memmove(d->indexes + i, d->indexes + i + 1,
                    (d->nindexes - i) * sizeof *d->indexes);
            return;
        }
    }
}

/* ---- From a definition */

static struct draft_column **
columns_of(struct draft *d, size_t n, const uint32_t *places)
{
    struct draft_column **to = arena_array(d->a, n, sizeof *to);

    for (size_t i = 0; i < n; i++) {
        if (places[i] >= d->ncolumns) {
            draft_fail(d, "its index names a column that is not there");
            return to;
        }
        to[i] = d->columns[places[i]];
    }
    return to;
}

void
draft_from(struct draft *d, const struct definition *def)
{
    d->collation = def->collation;
    d->schema_collation = def->schema_collation;
    d->indexes_told = true;
    for (uint32_t i = 0; i < def->ncolumns; i++) {
        const struct definition_column *from = &def->columns[i];
        struct draft_column            *c = arena_alloc(d->a, sizeof *c);
        *c = (struct draft_column){ .name = from->name,
                                    .settled = true,
                                    .sql_type = from->sql_type,
                                    .collation = from->collation,
                                    .facets = from->facets };
        /* Without NULL or NOT NULL a setting decides (see ddl_column.c), which
         * is not kept. */
        c->null_said = (from->facets & WEIR_NOT_NULL) ||
                       !str_has_prefix(from->sql_type, "timestamp");
        draft_put(d, d->ncolumns, c);
    }
    for (uint32_t i = 0; i < def->nindexes; i++) {
        const struct definition_key *from = &def->indexes[i];
        struct draft_index          *index = arena_alloc(d->a, sizeof *index);
        index->name = from->name;
        index->unique = from->unique;
        index->partial = from->partial;
        index->primary = str_is(from->name, "PRIMARY");
        index->ncolumns = from->ncolumns;
        index->columns = columns_of(d, from->ncolumns, from->columns);
        draft_add_index(d, index);
    }
    d->indexes_told = def->indexes_told;
    d->nkey = def->nkey;
    d->key = columns_of(d, def->nkey, def->key);
}

/* ---- Indexes */

static bool
find_columns(struct draft *d, struct draft_index *index)
{
    if (!index->names) {
        return true;
    }
    index->columns =
        arena_array(d->a, index->ncolumns, sizeof *index->columns);
    for (size_t i = 0; i < index->ncolumns; i++) {
        index->columns[i] = draft_find(d, index->names[i]);
        if (!index->columns[i]) {
            return draft_fail(d, "an index of a column that is not there");
        }
    }
    return true;
}

/* The first column's name; with _2, _3, ... if an index before has it. */
static bool
find_name(struct draft *d, size_t at)
{
    struct draft_index *index = d->indexes[at];
    const size_t        all = d->nindexes;

    if (index->name.len > 0) {
        return true;
    }
    if (index->ncolumns == 0) {
        return draft_fail(d, "an index without a name over an expression");
    }
    const struct weir_str first = index->columns[0]->name;
    struct weir_str       name = first;
    d->nindexes = at;
    for (int i = 2; str_eq_nocase(name, STR("PRIMARY")) ||
                    draft_find_index(d, name); i++) {
        name = str_of(arena_printf(d->a, "%.*s_%d", STR_ARG(first), i));
    }
    d->nindexes = all;
    index->name = name;
    return true;
}

static bool
is_blob(const struct draft_column *c)
{
    return memmem(c->sql_type.data, c->sql_type.len, "text", 4) ||
           memmem(c->sql_type.data, c->sql_type.len, "blob", 4) ||
           str_is(c->sql_type, "json");
}

enum { RANK_NONE = 9 };

/* How early the server puts it. */
static int
rank(const struct draft_index *index)
{
    bool nullable = index->ncolumns == 0, hashed = false;

    for (size_t i = 0; i < index->ncolumns; i++) {
        const struct draft_column *c = index->columns[i];
        nullable |= !(c->facets & WEIR_NOT_NULL);
        hashed |= !index->partial && is_blob(c);
    }
    return !index->unique  ? RANK_NONE
           : index->primary ? 0
           : hashed         ? 5
                            : 1 + index->partial + 2 * nullable;
}

static void
sort_indexes(struct draft *d)
{
    for (size_t i = 1; i < d->nindexes; i++) {
        struct draft_index *index = d->indexes[i];
        size_t              k = i;
        for (; k > 0 && rank(d->indexes[k - 1]) > rank(index); k--) {
            d->indexes[k] = d->indexes[k - 1];
        }
        d->indexes[k] = index;
    }
}

static bool
is_key(const struct draft_index *index)
{
    if (!index->unique || index->ncolumns == 0) {
        return false;
    }
    for (size_t i = 0; i < index->ncolumns; i++) {
        if (!(index->columns[i]->facets & WEIR_NOT_NULL)) {
            return false;
        }
    }
    return true;
}

static bool
is_plain(struct weir_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (!isalnum((unsigned char)name.data[i])) {
            return false;
        }
    }
    return true;
}

/* -1, 0, 1: in ASCII, without case. */
static int
name_compare(struct weir_str a, struct weir_str b)
{
    const size_t n = a.len < b.len ? a.len : b.len;

    for (size_t i = 0; i < n; i++) {
        const int c = tolower((unsigned char)a.data[i]) -
                      tolower((unsigned char)b.data[i]);
        if (c != 0) {
            return c;
        }
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

/* The table's key: its primary one, else a unique one without NULL: MariaDB's
 * first; of MySQL, which does not show its order, the first by name (as a source
 * describes tables, too). */
static bool
choose_key(struct draft *d, const struct draft_index **out)
{
    const bool by_name = d->session->flavour == FLAVOUR_MYSQL;
    size_t     candidates = 0;
    bool       plain = true;

    *out = NULL;
    for (size_t i = 0; i < d->nindexes; i++) {
        const struct draft_index *index = d->indexes[i];
        if (!is_key(index)) {
            continue;
        }
        candidates++;
        plain &= is_plain(index->name);
        if (!*out || (by_name && !(*out)->primary &&
                      name_compare(index->name, (*out)->name) < 0)) {
            *out = index;
        }
    }
    return candidates < 2 || (*out)->primary ||
           (by_name ? plain : !d->reordered) ||
           draft_fail(d, "which of several unique indexes is its key");
}

static bool
settle_indexes(struct draft *d)
{
    for (size_t i = 0; i < d->nindexes; i++) {
        struct draft_index *index = d->indexes[i];
        if (!find_columns(d, index) || !find_name(d, i)) {
            return false;
        }
        for (size_t k = 0; k < index->ncolumns; k++) {
            struct draft_column *c = index->columns[k];
            if (index->primary) {
                c->facets |= WEIR_NOT_NULL;
                c->null_said = true;
            }
        }
    }
    for (size_t i = 0; i < d->nindexes; i++) {
        const struct draft_index *index = d->indexes[i];
        for (size_t k = 0; index->unique && k < index->ncolumns; k++) {
            if (!index->columns[k]->null_said) {
                return draft_fail(d, "a unique TIMESTAMP, of which it depends "
                                     "on a setting whether it may be NULL");
            }
        }
    }
    sort_indexes(d);
    return true;
}

/* ---- To a definition */

static uint32_t *
places_of(struct draft *d, size_t n, struct draft_column *const *columns)
{
    uint32_t *to = arena_array(d->a, n, sizeof *to);

    for (size_t i = 0; i < n; i++) {
        to[i] = (uint32_t)draft_place(d, columns[i]);
    }
    return to;
}

static bool
define_indexes(struct draft *d, struct definition *def)
{
    const struct draft_index *key;

    if (!choose_key(d, &key)) {
        return false;
    }
    def->indexes_told = d->indexes_told;
    def->nindexes = (uint32_t)d->nindexes;
    def->indexes = arena_array(d->a, d->nindexes, sizeof *def->indexes);
    for (size_t i = 0; i < d->nindexes; i++) {
        const struct draft_index *index = d->indexes[i];
        def->indexes[i] = (struct definition_key){
            .name = index->name,
            .unique = index->unique,
            .partial = index->partial,
            .ncolumns = (uint32_t)index->ncolumns,
            .columns = places_of(d, index->ncolumns, index->columns),
        };
    }
    if (d->indexes_told) {
        d->nkey = key ? key->ncolumns : 0;
        d->key = key ? key->columns : NULL;
    }
    def->nkey = (uint32_t)d->nkey;
    def->key = places_of(d, d->nkey, d->key);
    return true;
}

struct definition *
draft_finish(struct draft *d)
{
    struct definition *def = arena_alloc(d->a, sizeof *def);

    if (d->why || d->ncolumns == 0 || d->ncolumns > BINLOG_MAX_COLUMNS) {
        draft_fail(d, "no columns");
        return NULL;
    }
    for (size_t i = 0; i < d->ncolumns; i++) {
        if (!draft_settle_column(d, d->columns[i])) {
            return NULL;
        }
    }
    if (!settle_indexes(d)) {
        return NULL;
    }
    def->collation = d->collation;
    def->schema_collation = d->schema_collation;
    def->ncolumns = (uint32_t)d->ncolumns;
    def->columns = arena_array(d->a, d->ncolumns, sizeof *def->columns);
    for (size_t i = 0; i < d->ncolumns; i++) {
        const struct draft_column *c = d->columns[i];
        def->columns[i] = (struct definition_column){ c->name, c->sql_type,
                                                      c->collation,
                                                      c->facets };
    }
    return define_indexes(d, def) ? def : NULL;
}
