/*
 * follow.c - definitions are carried forward through the DDL of the stream
 * (schema/ddl.h), and after a start through that of the relay's last segment,
 * with the table frames in it.  Nothing here asks the server.
 */
#include "receive/internal.h"

#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "binlog/text.h"
#include "schema/charset.h"

static const struct definition *
lookup(void *arg, struct weir_str schema, struct weir_str name)
{
    const struct known_definition *d = tables_known(arg, schema, name);

    return d ? d->def : NULL;
}

/* Names in other charsets than these are not read. */
static bool
is_readable(struct arena *a, const struct binlog_query *q)
{
    struct weir_str      collation;
    const struct charset cs = charset_of_id(a, q->client_charset, &collation);

    if (cs.text == TEXT_CODED) {
        struct weir_str text;
        return charset_text(a, &cs, q->text, &text);
    }
    return cs.text != TEXT_UNKNOWN || text_is_ascii(q->text.data, q->text.len);
}

static const char *
version_of(const struct receiver *r)
{
    return r->stream.server_version[0] ? r->stream.server_version
           : r->server_version.len
               ? arena_cstr(&((struct receiver *)r)->call,
                            buf_view(&r->server_version))
               : "";
}

struct ddl_session
follow_session(struct receiver *r, const struct binlog_query *query)
{
    const char               *version = version_of(r);
    const enum binlog_flavour flavour =
        strstr(version, "MariaDB") ? FLAVOUR_MARIADB
        : r->stream.flavour != FLAVOUR_UNKNOWN ? r->stream.flavour
                                               : FLAVOUR_MYSQL;

    return ddl_session_of(&r->call, query, flavour, version);
}

void
follow_statement(struct receiver *r, const struct binlog_query *query,
                 const struct statement *s, struct followed *out)
{
    const struct ddl_session session = follow_session(r, query);
    struct statement         read = *s;

    read.unsure |= !is_readable(&r->call, query);
    out->statement = read;
    ddl_follow(&r->call, &session, statement_text(&r->call, query), &read,
               lookup, r, &out->changes);
}

/* A server that folds names to lower case may mean another spelling. */
static void
forget_other_spellings(struct receiver *r, struct weir_str schema,
                       struct weir_str name)
{
    for (struct known_definition *d = r->definitions; d;) {
        struct known_definition *next = d->next;
        if (!d->ended && str_eq_nocase(d->schema, schema) &&
            (name.len == 0 ? d->name.len == 0
                           : str_eq_nocase(d->name, name)) &&
            (!str_eq(d->schema, schema) || !str_eq(d->name, name))) {
            const struct weir_str s = arena_str(&r->call, d->schema);
            const struct weir_str n = arena_str(&r->call, d->name);
            tables_forget_one(r, s, n);
            next = r->definitions;
        }
        d = next;
    }
}

static void
apply(struct receiver *r, const struct ddl_change *c)
{
    forget_other_spellings(r, c->schema, c->name);
    if (c->whole_schema) {
        tables_forget(r, c->schema, STR(""));
        return;
    }
    tables_forget_one(r, c->schema, c->name);
    if (c->name.len == 0) {
        tables_resave(r, c->schema);
    }
    if (c->def) {
        struct known_definition *d = tables_new(r, c->schema, c->name);
        d->def = definition_copy(&d->arena, c->def);
        d->followed = true;
    }
}

/* Half of a transaction may never happen (CREATE TABLE ... SELECT). */
static void
note_half(struct receiver *r, const struct statement *s)
{
    for (size_t i = 0; i < s->ntables; i++) {
        buf_str(&r->halves, s->tables[i].schema);
        buf_byte(&r->halves, '\0');
        buf_str(&r->halves, s->tables[i].name);
        buf_byte(&r->halves, '\0');
    }
}

void
follow_undo(struct receiver *r)
{
    for (size_t i = 0; i < r->halves.len;) {
        const struct weir_str schema = str_of(r->halves.data + i);
        i += schema.len + 1;
        const struct weir_str name = str_of(r->halves.data + i);
        i += name.len + 1;
        tables_forget(r, schema, name);
    }
    r->halves.len = 0;
}

void
follow_apply(struct receiver *r, const struct followed *f, bool done)
{
    const struct statement *s = &f->statement;

    note_half(r, s);

    if (s->unsure) {
        tables_forget(r, STR(""), STR(""));
        return;
    }
    for (size_t i = 0; i < f->changes.n; i++) {
        apply(r, &f->changes.items[i]);
    }
    for (size_t i = 0; i < s->ntables; i++) {
        forget_other_spellings(r, s->tables[i].schema, s->tables[i].name);
        if (!done) {
            tables_forget_one(r, s->tables[i].schema, s->tables[i].name);
        }
    }
    if (!done && s->kind == STATEMENT_DATABASE) {
        tables_forget(r, s->name, STR(""));
    }
}

/* Statements on tables that are not kept leave no frame: what is known of them
 * is soon too old. */
static void
forget_unkept(struct receiver *r)
{
    for (struct known_definition *d = r->definitions; d;) {
        struct known_definition *next = d->next;
        if (d->name.len > 0 && !tables_kept(r, d->schema, d->name)) {
            const struct weir_str s = arena_str(&r->call, d->schema);
            const struct weir_str n = arena_str(&r->call, d->name);
            tables_forget_one(r, s, n);
            next = r->definitions;
        }
        d = next;
    }
}

bool
follow_read(struct arena *a, struct weir_str event, struct binlog_query *query,
            struct statement *out)
{
    struct binlog_stream stream;
    struct binlog_event  ev;

    binlog_stream_init(&stream);
    stream.npost = sizeof stream.post_header; /* framed and checked before */
    if (binlog_event_parse_inner(&stream, event.data, event.len, &ev, NULL) !=
            WEIR_OK ||
        binlog_query_parse(&ev, a, query, NULL) != WEIR_OK) {
        return false;
    }
    statement_parse(a, statement_text(a, query), query->schema,
                    query->sql_mode, out);
    out->unsure |= !is_readable(a, query);
    return true;
}

void
follow_frame(struct receiver *r, struct weir_str event)
{
    struct binlog_query query;
    struct statement    s;
    struct followed     f;

    arena_reset(&r->call);
    if (!follow_read(&r->call, event, &query, &s)) {
        tables_forget(r, STR(""), STR(""));
    } else if (s.kind == STATEMENT_TABLE || s.kind == STATEMENT_DATABASE) {
        follow_statement(r, &query, &s, &f);
        follow_apply(r, &f, true);
        forget_unkept(r);
    }
}

void
follow_table(struct receiver *r, struct weir_str payload)
{
    struct weir_str          schema, name;
    const struct definition *def;

    arena_reset(&r->call);
    if (!table_load_definition(&r->call, payload, &schema, &name, &def)) {
        return;
    }
    tables_forget_one(r, schema, name);
    struct known_definition *d = tables_new(r, schema, name);
    d->def = definition_copy(&d->arena, def);
    d->followed = true;
    if (def->schema_collation.len > 0 && !tables_known(r, schema, STR(""))) {
        d = tables_new(r, schema, STR(""));
        d->def = arena_alloc(&d->arena, sizeof *d->def);
        d->def->collation = arena_str(&d->arena, def->schema_collation);
        d->followed = true;
    }
}

/* ---- In the header of a segment */

enum { SAVED_MAX = 256 << 10 }; /* bytes; of more, what was known last */

void
follow_save(const struct receiver *r, struct buf *out)
{
    for (const struct known_definition *d = r->definitions; d; d = d->next) {
        const size_t before = out->len;
        if (!d->def || d->ended || d->provisional ||
            (d->name.len > 0 && !tables_kept(r, d->schema, d->name))) {
            continue;
        }
        definition_save(out, d->schema, d->name, d->def);
        if (out->len > SAVED_MAX) {
            out->len = before;
            return;
        }
    }
}

void
follow_load(struct receiver *r, struct weir_str saved)
{
    struct weir_str    schema, name;
    struct definition *def;

    arena_reset(&r->call);
    while (saved.len > 0 &&
           definition_load(&r->call, &saved, &schema, &name, &def)) {
        struct known_definition *d = tables_new(r, schema, name);
        d->def = definition_copy(&d->arena, def);
        d->followed = true;
    }
}
