/*
 * tables.c - table ids of the stream, and definitions.  Names come with the
 * TABLE_MAP where the server logs full metadata; else the server is asked, and
 * what it says is proved by the stream before anything is published (hold.c).
 * It is asked, too, which columns of MariaDB's are a UUID, an INET, JSON or a
 * vector, which no log says.
 */
#include "receive/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"

enum { FIRST_ROOM = 256, INDEXES_MAX = 256, LIVE_USEC = 10 * 1000000 };

/* Names that are too long for any server match all. */
static bool
list_has(const struct weir_list *globs, struct weir_str schema,
         struct weir_str name)
{
    char full[512];

    if (schema.len + name.len + 2 > sizeof full) {
        return true;
    }
    memcpy(full, schema.data, schema.len);
    full[schema.len] = '.';
    memcpy(full + schema.len + 1, name.data, name.len);
    const struct weir_str text = { full, schema.len + 1 + name.len };
    for (size_t i = 0; i < globs->n; i++) {
        if (str_glob(str_of(globs->items[i]), text)) {
            return true;
        }
    }
    return false;
}

bool
tables_kept(const struct receiver *r, struct weir_str schema,
            struct weir_str name)
{
    return r->set.kept.n == 0 || list_has(&r->set.kept, schema, name);
}

/* The place of an id, or the free one where it would go. */
static struct known_table *
probe(struct receiver *r, uint64_t id)
{
    size_t i = (size_t)(id * 0x9e3779b97f4a7c15u) & (r->tables_room - 1);

    while (r->tables[i].used && r->tables[i].id != id) {
        i = (i + 1) & (r->tables_room - 1);
    }
    return &r->tables[i];
}

struct known_table *
tables_find(struct receiver *r, uint64_t id)
{
    if (r->tables_room == 0) {
        return NULL;
    }
    struct known_table *t = probe(r, id);
    return t->used ? t : NULL;
}

static void
release(struct known_table *t)
{
    buf_free(&t->body);
    buf_free(&t->payload);
    free(t->schema);
    free(t->name);
    *t = (struct known_table){ 0 };
}

static void
grow(struct receiver *r)
{
    struct known_table *old = r->tables;
    const size_t        room = r->tables_room;

    r->tables_room = room ? room * 2 : FIRST_ROOM;
    r->tables = xcalloc(r->tables_room, sizeof *r->tables);
    for (size_t i = 0; i < room; i++) {
        if (old[i].used) {
            *probe(r, old[i].id) = old[i];
        }
    }
    free(old);
}

void
tables_forget_ids(struct receiver *r)
{
    for (size_t i = 0; i < r->tables_room; i++) {
        if (r->tables[i].used) {
            release(&r->tables[i]);
        }
    }
    r->ntables = 0;
}

void
tables_unwritten(struct receiver *r)
{
    for (size_t i = 0; i < r->tables_room; i++) {
        r->tables[i].segment = 0;
    }
}

static char *
text_of(struct weir_str s)
{
    char *p = xmalloc(s.len + 1);
    memcpy(p, s.data, s.len);
    p[s.len] = '\0';
    return p;
}

static bool
is_mark(const struct receiver *r, struct weir_str schema, struct weir_str name)
{
    return r->set.left_out.n > 0 &&
           list_has(&r->set.left_out, schema, name);
}

/* A mark is the first thing that is written in a transaction, or it is none. */
static void
note_first(struct receiver *r, const struct known_table *t)
{
    if (!r->txn.mapped) {
        r->txn.mapped = true;
        r->txn.left_out = t->mark;
    }
}

enum weir_status
tables_map(struct receiver *r, const struct binlog_event *ev,
           struct weir_err *err)
{
    struct binlog_table_map map;

    if (r->txn.skip) {
        return WEIR_OK;
    }
    const uint64_t      id = binlog_table_id(ev->body, ev->body_len);
    struct known_table *t = tables_find(r, id);
    if (t && t->body.len == ev->body_len &&
        memcmp(t->body.data, ev->body, ev->body_len) == 0) {
        note_first(r, t);
        return WEIR_OK; /* as most are: one comes before each statement */
    }
    const enum weir_status st =
        binlog_table_map_parse(ev->body, ev->body_len, &map, err);
    if (st != WEIR_OK) {
        return weir_wrap(err, WEIR_FATAL, "TABLE_MAP at %.*s:%llu",
                         STR_ARG(buf_view(&r->at.file)),
                         (unsigned long long)r->at.offset);
    }
    if (r->ntables * 2 >= r->tables_room) {
        grow(r);
    }
    t = probe(r, id);
    if (t->used) {
        release(t);
    } else {
        r->ntables++;
    }
    *t = (struct known_table){ .id = id,
                               .used = true,
                               .schema = text_of(map.schema),
                               .name = text_of(map.name),
                               .wanted =
                                   tables_kept(r, map.schema, map.name),
                               .mark = is_mark(r, map.schema, map.name) };
    if (t->wanted) {
        buf_add(&t->body, ev->body, ev->body_len);
    }
    note_first(r, t);
    return WEIR_OK;
}

struct known_definition *
tables_known(struct receiver *r, struct weir_str schema, struct weir_str name)
{
    struct known_definition *d = r->definitions;

    while (d && (d->ended || !str_eq(d->schema, schema) ||
                 !str_eq(d->name, name))) {
        d = d->next;
    }
    return d;
}

struct known_definition *
tables_new(struct receiver *r, struct weir_str schema, struct weir_str name)
{
    struct known_definition *d = xcalloc(1, sizeof *d);

    d->schema = arena_str(&d->arena, schema);
    d->name = arena_str(&d->arena, name);
    d->added = r->hold.active;
    d->next = r->definitions;
    r->definitions = d;
    return d;
}

/* ---- What a source says in describe() */

void
tables_define(void *arg, struct weir_str name, struct weir_str sql_type,
              struct weir_str collation, unsigned facets)
{
    struct receiver         *r = arg;
    struct known_definition *d = r->describing;

    if (!d || d->def->ncolumns == BINLOG_MAX_COLUMNS) {
        return;
    }
    if (d->def->ncolumns == r->describe_room) {
        const uint32_t room = r->describe_room ? r->describe_room * 2 : 16;
        struct definition_column *more =
            arena_array(&d->arena, room, sizeof *more);
        if (d->def->ncolumns) {
            memcpy(more, d->def->columns, d->def->ncolumns * sizeof *more);
        }
        d->def->columns = more;
        r->describe_room = room;
    }
    d->def->columns[d->def->ncolumns++] = (struct definition_column){
        .name = arena_str(&d->arena, name),
        .sql_type = arena_str(&d->arena, sql_type),
        .collation = arena_str(&d->arena, collation),
        .facets = facets,
    };
}

void
tables_define_key(void *arg, size_t n, const uint32_t *columns)
{
    struct receiver         *r = arg;
    struct known_definition *d = r->describing;

    if (d && n <= BINLOG_MAX_COLUMNS) {
        d->def->nkey = (uint32_t)n;
        d->def->key = arena_copy(&d->arena, columns, n * sizeof *columns);
    }
}

void
tables_define_index(void *arg, struct weir_str name, bool unique, bool partial,
                    size_t n, const uint32_t *columns)
{
    struct receiver         *r = arg;
    struct known_definition *d = r->describing;

    if (!d || d->def->nindexes == INDEXES_MAX || n > BINLOG_MAX_COLUMNS) {
        return;
    }
    if (!d->def->indexes) {
        d->def->indexes =
            arena_array(&d->arena, INDEXES_MAX, sizeof *d->def->indexes);
    }
    d->def->indexes[d->def->nindexes++] = (struct definition_key){
        .name = arena_str(&d->arena, name),
        .unique = unique,
        .partial = partial,
        .ncolumns = (uint32_t)n,
        .columns = arena_copy(&d->arena, columns, n * sizeof *columns),
    };
}

void
tables_define_defaults(void *arg, struct weir_str of_table,
                       struct weir_str of_schema)
{
    struct receiver         *r = arg;
    struct known_definition *d = r->describing;

    if (!d) {
        return;
    }
    d->def->indexes_told = true;
    d->def->collation = arena_str(&d->arena, of_table);
    if (!d->assumed && of_schema.len > 0 &&
        !tables_known(r, d->schema, STR(""))) {
        struct known_definition *schema =
            tables_new(r, d->schema, STR(""));
        schema->def = arena_alloc(&schema->arena, sizeof *schema->def);
        schema->def->collation = arena_str(&schema->arena, of_schema);
        schema->provisional = true;
        schema->added = true;
    }
}

void
tables_define_at(void *arg, struct weir_str gtid_set, struct weir_str file,
                 uint64_t offset)
{
    struct receiver *r = arg;

    (void)gtid_set; /* file and offset are of the same server: enough */
    if (r->describing && !r->describing->assumed) {
        hold_until(r, file, offset);
    }
}

static void
describe(struct receiver *r, struct known_definition *d)
{
    struct weir_err why;

    if (!r->set.describe) {
        d->reason = "the log has no column names (binlog_row_metadata is not "
                    "FULL) and there is no server to ask";
        return;
    }
    d->def = arena_alloc(&d->arena, sizeof *d->def);
    d->assumed = r->set.assumed.n > 0 &&
                 list_has(&r->set.assumed, d->schema, d->name);
    d->provisional = !d->assumed;
    d->added = r->hold.active || !d->assumed;
    r->describing = d;
    r->describe_room = 0;
    enum weir_status st =
        r->set.describe(r->set.arg, d->schema, d->name, &why);
    r->describing = NULL;
    if (st == WEIR_OK && d->assumed) {
        log_warn("%.*s.%.*s: columns are named as the server has them now, as "
                 "assume_current_schema says", STR_ARG(d->schema),
                 STR_ARG(d->name));
    } else if (st == WEIR_OK && !r->hold.active) {
        st = weir_fail(&why, WEIR_REJECT,
                       "it did not say of which position that is");
    }
    if (st != WEIR_OK) {
        d->def = NULL;
        d->provisional = false;
        d->reason = arena_printf(&d->arena,
                                 "the log has no column names and the server "
                                 "was asked in vain: %s", why.text);
    }
}

static struct known_definition *
definition_of(struct receiver *r, const struct known_table *t)
{
    struct known_definition *d =
        tables_known(r, str_of(t->schema), str_of(t->name));

    if (!d) {
        const char *refused =
            hold_refused(r, str_of(t->schema), str_of(t->name));
        d = tables_new(r, str_of(t->schema), str_of(t->name));
        if (refused) {
            d->reason = arena_strdup(&d->arena, refused);
        } else {
            describe(r, d);
        }
    }
    return d;
}

/* The definition of a table whose TABLE_MAP says all but which of its columns are
 * of MariaDB's own types.  Nothing depends on it: where it isn't to be had, or
 * can't be proved, values have the plain form of what the log calls them; but
 * for times in the old format, whose length only the definition says. */
static const struct definition *
hidden_types(struct receiver *r, const struct known_table *t,
             const struct binlog_table_map *map)
{
    struct table   *made;
    struct weir_err why;

    if (!r->set.describe ||
        table_make(&r->call, r->stream.flavour, map, NULL, NULL, &made,
                   &why) != WEIR_OK) {
        return NULL;
    }
    const bool untold = table_is_untold(made);
    if (!untold && !table_may_hide(made, r->stream.server_version)) {
        return NULL;
    }
    /* In a backlog the stream would have to wait for what it can do without. */
    const bool late =
        r->behind || clock_usec() - r->txn.commit_usec > LIVE_USEC;
    if (late && !untold && !tables_known(r, str_of(t->schema), str_of(t->name))) {
        return NULL;
    }
    const struct known_definition *d = definition_of(r, t);
    const bool                     followed = d->followed;
    if (d->def && table_make(&r->call, r->stream.flavour, map, d->def, NULL,
                             &made, &why) != WEIR_OK) {
        if (followed) { /* asked for again the next time */
            tables_forget(r, str_of(t->schema), str_of(t->name));
        }
        return NULL;
    }
    return d->def;
}

/* The names of a table whose TABLE_MAP has none, or the reason for none. */
static const struct definition *
names_of(struct receiver *r, const struct known_table *t,
         const struct binlog_table_map *map, const char **reason)
{
    const struct known_definition *d = definition_of(r, t);
    struct weir_err                why;

    if (d->def && d->followed && !table_fits(&r->call, r->stream.flavour, map, d->def, &why)) {
        log_debug("%s.%s as followed is not the one of the log: %s; asking "
                  "the server", t->schema, t->name, why.text);
        tables_forget(r, str_of(t->schema), str_of(t->name));
        d = definition_of(r, t);
    }
    *reason = d->reason;
    if (d->def && !table_fits(&r->call, r->stream.flavour, map, d->def, &why)) {
        *reason = arena_printf(&r->call,
                               "the table as the server has it now is not the "
                               "one of the log: %s", why.text);
        return NULL;
    }
    return d->def;
}

enum weir_status
tables_prepare(struct receiver *r, struct known_table *t, struct weir_err *err)
{
    struct binlog_table_map map;

    if (t->payload.len > 0) {
        return WEIR_OK;
    }
    const enum weir_status st =
        binlog_table_map_parse(t->body.data, t->body.len, &map, err);
    if (st != WEIR_OK) {
        return st;
    }
    const struct definition *def = NULL;
    const char              *reason = NULL;
    struct definition        saved;
    if (!table_map_is_full(&map)) {
        def = names_of(r, t, &map, &reason);
    } else {
        def = hidden_types(r, t, &map);
    }
    if (def) {
        const struct known_definition *schema =
            tables_known(r, str_of(t->schema), STR(""));
        saved = *def;
        saved.schema_collation =
            schema && schema->def ? schema->def->collation : STR("");
        def = &saved;
    }
    if (reason) {
        log_warn("%s.%s: column names are unknown: %s; sinks that want this "
                 "table stop at its first row, and say how to go on.  For "
                 "what comes: binlog_row_metadata=FULL on the server, weirctl "
                 "schema set %s %s.%s FILE, or assume_current_schema", t->schema,
                 t->name, reason, r->set.pipeline ? r->set.pipeline : "",
                 t->schema, t->name);
    }
    table_save(&t->payload, r->stream.flavour, buf_view(&t->body), def,
               reason);
    return WEIR_OK;
}

static bool
is_meant(struct weir_str have_schema, struct weir_str have_name,
         struct weir_str schema, struct weir_str name)
{
    return (schema.len == 0 || str_eq_nocase(have_schema, schema)) &&
           (name.len == 0 || str_eq_nocase(have_name, name));
}

static void
forget_definition(struct known_definition **place)
{
    struct known_definition *d = *place;

    *place = d->next;
    arena_free(&d->arena);
    free(d);
}

void
tables_forget(struct receiver *r, struct weir_str schema,
              struct weir_str name)
{
    struct known_definition **place = &r->definitions;

    while (*place) {
        struct known_definition *d = *place;
        if (is_meant(d->schema, d->name, schema, name) && r->hold.active &&
            !d->added) {
            d->ended = true;
            place = &d->next;
        } else if (is_meant(d->schema, d->name, schema, name)) {
            forget_definition(place);
        } else {
            place = &(*place)->next;
        }
    }
    for (size_t i = 0; i < r->tables_room; i++) {
        struct known_table *t = &r->tables[i];
        if (t->used && is_meant(str_of(t->schema), str_of(t->name), schema,
                                name)) {
            t->payload.len = 0;
            t->segment = 0;
        }
    }
}

void
tables_forget_one(struct receiver *r, struct weir_str schema,
                  struct weir_str name)
{
    struct known_definition **place = &r->definitions;

    while (*place) {
        struct known_definition *d = *place;
        const bool meant = str_eq(d->schema, schema) && str_eq(d->name, name);
        if (meant && r->hold.active && !d->added) {
            d->ended = true;
        } else if (meant) {
            forget_definition(place);
            continue;
        }
        place = &d->next;
    }
    for (size_t i = 0; i < r->tables_room; i++) {
        struct known_table *t = &r->tables[i];
        if (t->used && str_is(schema, t->schema) && str_is(name, t->name)) {
            t->payload.len = 0;
            t->segment = 0;
        }
    }
}

void
tables_resave(struct receiver *r, struct weir_str schema)
{
    for (size_t i = 0; i < r->tables_room; i++) {
        struct known_table *t = &r->tables[i];
        if (t->used && str_is(schema, t->schema)) {
            t->payload.len = 0;
            t->segment = 0;
        }
    }
}

static void
end_hold(struct receiver *r, bool undo)
{
    struct known_definition **place = &r->definitions;

    while (*place) {
        struct known_definition *d = *place;
        if (undo ? d->added : d->ended) {
            forget_definition(place);
        } else {
            d->added = d->ended = false;
            place = &d->next;
        }
    }
}

void
tables_settle(struct receiver *r)
{
    end_hold(r, false);
}

void
tables_undo(struct receiver *r)
{
    end_hold(r, true);
}

void
tables_free(struct receiver *r)
{
    hold_forget_refusals(r);
    tables_forget_ids(r);
    free(r->tables);
    while (r->definitions) {
        forget_definition(&r->definitions);
    }
}
