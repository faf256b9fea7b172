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

enum { FIRST_ROOM = 256, LIVE_USEC = 10 * 1000000 };

bool
tables_kept(const struct receiver *r, struct weir_str schema,
            struct weir_str name)
{
    char full[512];

    if (r->set.kept.n == 0) {
        return true;
    }
    if (schema.len + name.len + 2 > sizeof full) {
        return true;
    }
    memcpy(full, schema.data, schema.len);
    full[schema.len] = '.';
    memcpy(full + schema.len + 1, name.data, name.len);
    const struct weir_str text = { full, schema.len + 1 + name.len };
    for (size_t i = 0; i < r->set.kept.n; i++) {
        if (str_glob(str_of(r->set.kept.items[i]), text)) {
            return true;
        }
    }
    return false;
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
                                   tables_kept(r, map.schema, map.name) };
    if (t->wanted) {
        buf_add(&t->body, ev->body, ev->body_len);
    }
    return WEIR_OK;
}

static struct known_definition *
find_definition(struct receiver *r, const char *schema, const char *name)
{
    struct known_definition *d = r->definitions;

    while (d && !(str_is(d->schema, schema) && str_is(d->name, name))) {
        d = d->next;
    }
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
tables_define_at(void *arg, struct weir_str gtid_set, struct weir_str file,
                 uint64_t offset)
{
    struct receiver *r = arg;

    (void)gtid_set; /* file and offset are of the same server: enough */
    if (r->describing) {
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
    d->provisional = true;
    r->describing = d;
    r->describe_room = 0;
    enum weir_status st =
        r->set.describe(r->set.arg, d->schema, d->name, &why);
    r->describing = NULL;
    if (st == WEIR_OK && !r->hold.active) {
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
    struct known_definition *d = find_definition(r, t->schema, t->name);

    if (!d) {
        d = xcalloc(1, sizeof *d);
        d->schema = arena_str(&d->arena, str_of(t->schema));
        d->name = arena_str(&d->arena, str_of(t->name));
        d->next = r->definitions;
        r->definitions = d;
        describe(r, d);
    }
    return d;
}

/* The definition of a table whose TABLE_MAP says all but which of its columns are
 * of MariaDB's own types.  Nothing depends on it: where it isn't to be had, or
 * can't be proved, values have the plain form of what the log calls them. */
static const struct definition *
hidden_types(struct receiver *r, const struct known_table *t,
             const struct binlog_table_map *map)
{
    struct table   *made;
    struct weir_err why;

    if (!r->set.describe ||
        table_make(&r->call, r->stream.flavour, map, NULL, NULL, &made,
                   &why) != WEIR_OK ||
        !table_may_hide(made, r->stream.server_version)) {
        return NULL;
    }
    /* In a backlog the stream would have to wait for what it can do without. */
    const bool late =
        r->behind || clock_usec() - r->txn.commit_usec > LIVE_USEC;
    if (late && !find_definition(r, t->schema, t->name)) {
        return NULL;
    }
    const struct definition *def = definition_of(r, t)->def;
    if (def && table_make(&r->call, r->stream.flavour, map, def, NULL, &made,
                          &why) != WEIR_OK) {
        return NULL;
    }
    return def;
}

enum weir_status
tables_prepare(struct receiver *r, struct known_table *t, struct weir_err *err)
{
    struct binlog_table_map map;
    struct table           *made;
    struct weir_err         why;

    if (t->payload.len > 0) {
        return WEIR_OK;
    }
    enum weir_status st =
        binlog_table_map_parse(t->body.data, t->body.len, &map, err);
    if (st != WEIR_OK) {
        return st;
    }
    const struct definition *def = NULL;
    const char              *reason = NULL;
    if (!table_map_is_full(&map)) {
        const struct known_definition *d = definition_of(r, t);
        def = d->def;
        reason = d->reason;
        st = table_make(&r->call, r->stream.flavour, &map, def, reason, &made,
                        &why);
        if (st != WEIR_OK && def) {
            def = NULL;
            reason = arena_printf(&r->call,
                                  "the table as the server has it now is not "
                                  "the one of the log: %s", why.text);
        }
    } else {
        def = hidden_types(r, t, &map);
    }
    if (reason) {
        log_warn("%s.%s: column names are unknown: %s; sinks that want this "
                 "table stop at its first row.  Set "
                 "binlog_row_metadata=FULL on the server", t->schema, t->name,
                 reason);
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
        const struct known_definition *d = *place;
        if (is_meant(d->schema, d->name, schema, name)) {
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
tables_free(struct receiver *r)
{
    tables_forget_ids(r);
    free(r->tables);
    while (r->definitions) {
        forget_definition(&r->definitions);
    }
}
