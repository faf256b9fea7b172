/*
 * ddl.c - see ddl.h: one small reader for each statement, and what is known
 * while its parts take effect one after the other.
 */
#include "schema/ddl.h"

#include <ctype.h>

#include "base/str.h"
#include "schema/charset.h"
#include "schema/ddl_draft.h"

struct follower {
    struct arena             *a;
    const struct ddl_session *session;
    const struct statement   *s;
    struct tokens             t;
    ddl_lookup                lookup;
    void                     *arg;
    struct ddl_changes       *out;
};

static unsigned
version_of(const char *text)
{
    unsigned parts[3] = { 0 };

    if (text && strncmp(text, "5.5.5-", 6) == 0) {
        text += 6; /* MariaDB, to clients that know no two digits */
    }
    for (size_t i = 0; text && i < 3; i++) {
        while (isdigit((unsigned char)*text) && parts[i] < 1000) {
            parts[i] = parts[i] * 10 + (unsigned)(*text++ - '0');
        }
        text += *text == '.';
    }
    return parts[0] * 10000 + parts[1] * 100 + parts[2];
}

struct ddl_session
ddl_session_of(struct arena *a, const struct binlog_query *query,
               enum binlog_flavour flavour, const char *server_version)
{
    struct ddl_session s = { .flavour = flavour,
                             .version = version_of(server_version),
                             .schema = query->schema,
                             .sql_mode = query->sql_mode,
                             .flags2 = query->flags2,
                             .error = query->error };

    charset_of_id(a, query->server_collation, &s.server_collation);
    return s;
}

/* ---- What is known */

static const struct definition *
known(const struct follower *f, struct weir_str schema, struct weir_str name)
{
    for (size_t i = f->out->n; i-- > 0;) {
        const struct ddl_change *c = &f->out->items[i];
        if (str_eq(c->schema, schema) &&
            (str_eq(c->name, name) || c->whole_schema)) {
            return str_eq(c->name, name) ? c->def : NULL;
        }
    }
    return f->lookup(f->arg, schema, name);
}

/* Copied: what was known may be let go of before the change is used. */
static struct ddl_change *
change(struct follower *f, struct weir_str schema, struct weir_str name,
       const struct definition *def)
{
    struct ddl_changes *out = f->out;

    if (out->n == out->room) {
        out->room = out->room ? out->room * 2 : 8;
        struct ddl_change *more =
            arena_array(f->a, out->room, sizeof *more);
        if (out->n > 0) {
            memcpy(more, out->items, out->n * sizeof *more);
        }
        out->items = more;
    }
    struct ddl_change *c = &out->items[out->n++];
    *c = (struct ddl_change){ .schema = schema,
                              .name = name,
                              .def = def ? definition_copy(f->a, def) : NULL };
    return c;
}

static bool
not_understood(struct follower *f, const char *why)
{
    if (!f->out->why) {
        f->out->why = why ? why : "not understood";
    }
    return false;
}

static struct weir_str
schema_collation(const struct follower *f, struct weir_str schema)
{
    const struct definition *def = known(f, schema, STR(""));

    return def ? def->collation : STR("");
}

static bool
read_table(struct follower *f, struct statement_table *out)
{
    struct tokens *t = &f->t;

    if (!token_is_name(t)) {
        return not_understood(f, "a table's name is missing");
    }
    *out = (struct statement_table){ f->session->schema, t->text };
    token_next(t);
    if (token_take_sign(t, '.')) {
        if (!token_is_name(t)) {
            return not_understood(f, "a table's name is missing");
        }
        out->schema = out->name;
        out->name = t->text;
        token_next(t);
    }
    return true;
}

static bool
take_if_exists(struct tokens *t)
{
    if (!token_take_word(t, "if")) {
        return false;
    }
    token_take_word(t, "not");
    token_take_word(t, "exists");
    return true;
}

/* ---- CREATE TABLE */

static bool
create_like(struct follower *f, const struct statement_table *table)
{
    struct statement_table of;

    if (!read_table(f, &of)) {
        return false;
    }
    const struct definition *def = known(f, of.schema, of.name);
    change(f, table->schema, table->name, def);
    return def || not_understood(f, "LIKE a table that is not known");
}

static bool
create_columns(struct follower *f, const struct statement_table *table)
{
    struct draft d = { .a = f->a,
                       .session = f->session,
                       .t = &f->t,
                       .indexes_told = true,
                       .schema_collation =
                           schema_collation(f, table->schema) };

    if (!draft_read_elements(&d) || !draft_read_options(&d)) {
        return not_understood(f, d.why);
    }
    struct definition *def = draft_finish(&d);
    if (!def) {
        return not_understood(f, d.why);
    }
    change(f, table->schema, table->name, def);
    return true;
}

static bool
create_table(struct follower *f, bool replace)
{
    struct statement_table table;
    struct tokens         *t = &f->t;
    const bool             if_not_exists = take_if_exists(t);

    if (!read_table(f, &table)) {
        return false;
    }
    if (if_not_exists && !replace) {
        /* MySQL logs it even where the table was there; MariaDB 10.11 (where
         * this was tried) does not. */
        const bool made = f->session->flavour == FLAVOUR_MARIADB &&
                          f->session->version >= 101100;
        if (known(f, table.schema, table.name)) {
            return true;
        }
        if (!made) {
            return not_understood(f, "IF NOT EXISTS, and whether it did is "
                                     "not known");
        }
    }
    if (token_take_word(t, "like")) {
        return create_like(f, &table);
    }
    struct tokens look = *t;
    if (token_take_sign(&look, '(') && token_take_word(&look, "like")) {
        *t = look;
        return create_like(f, &table);
    }
    return create_columns(f, &table);
}

/* ---- ALTER TABLE, CREATE and DROP INDEX */

static void
begin_draft(struct follower *f, struct draft *d, const struct definition *def)
{
    *d = (struct draft){ .a = f->a, .session = f->session, .t = &f->t };
    draft_from(d, def);
}

/* New columns go before its own two, which no statement names. */
static bool
is_versioned(const struct definition *def)
{
    const unsigned facets = WEIR_GENERATED | WEIR_INVISIBLE;
    const struct definition_column *last =
        def->ncolumns > 1 ? &def->columns[def->ncolumns - 1] : NULL;

    return last && str_is(last->name, "row_end") &&
           (last->facets & facets) == facets;
}

static bool
end_draft(struct follower *f, struct draft *d,
          const struct statement_table *from, const struct statement_table *to)
{
    struct definition *def = draft_finish(d);

    if (!def) {
        return not_understood(f, d->why);
    }
    if (!str_eq(from->schema, to->schema) || !str_eq(from->name, to->name)) {
        change(f, from->schema, from->name, NULL);
    }
    change(f, to->schema, to->name, def);
    return true;
}

static bool
alter_table(struct follower *f)
{
    struct statement_table   table, to;
    struct draft             d;

    take_if_exists(&f->t);
    if (!read_table(f, &table)) {
        return false;
    }
    const struct definition *def = known(f, table.schema, table.name);
    if (!def) {
        return not_understood(f, "what it was before is not known");
    }
    if (is_versioned(def)) {
        return not_understood(f, "system versioning");
    }
    to = table;
    begin_draft(f, &d, def);
    if (!draft_alter(&d, &to)) {
        return not_understood(f, d.why);
    }
    return end_draft(f, &d, &table, &to);
}

/* Up to ON, which no name is without quotes. */
static bool
index_table(struct follower *f, struct tokens *t, struct draft *d,
            struct statement_table *table)
{
    while (t->kind != TOKEN_END && !token_take_word(t, "on")) {
        token_next(t);
    }
    const struct tokens here = f->t;
    f->t = *t;
    const bool ok = read_table(f, table);
    *t = f->t;
    f->t = here;
    if (!ok) {
        return false;
    }
    const struct definition *def = known(f, table->schema, table->name);
    if (!def) {
        return not_understood(f, "what it was before is not known");
    }
    begin_draft(f, d, def);
    return true;
}

/* CREATE [OR REPLACE] [UNIQUE] INDEX [IF NOT EXISTS] i [USING x] ON t (...) */
static bool
create_index(struct follower *f, bool unique, bool replace)
{
    struct statement_table table;
    struct draft           d;
    struct tokens          behind = f->t;
    struct draft_index    *index = arena_alloc(f->a, sizeof *index);
    struct weir_str        name;

    if (!index_table(f, &behind, &d, &table)) {
        return false;
    }
    index->unique = unique;
    index->if_not_exists = take_if_exists(&f->t);
    if (!draft_name(&d, &name)) {
        return not_understood(f, d.why);
    }
    struct draft_index *there = draft_find_index(&d, name);
    if (there && !replace && !index->if_not_exists) {
        return not_understood(f, "an index that is there already");
    }
    if (there && replace) {
        draft_remove_index(&d, there);
    }
    index->name = name;
    f->t = behind;
    /* What ALGORITHM and LOCK may say behind it changes nothing. */
    if (!token_is_sign(&f->t, '(') || !draft_read_index(&d, index)) {
        return not_understood(f, d.why);
    }
    return end_draft(f, &d, &table, &table);
}

static bool
drop_index(struct follower *f)
{
    struct statement_table table;
    struct draft           d;
    struct tokens          behind = f->t;
    struct weir_str        name;

    if (!index_table(f, &behind, &d, &table)) {
        return false;
    }
    const bool if_exists = take_if_exists(&f->t);
    if (!draft_name(&d, &name)) {
        return not_understood(f, d.why);
    }
    struct draft_index *index = draft_find_index(&d, name);
    if (!d.indexes_told || (!index && !if_exists)) {
        return not_understood(f, "DROP of an index that is not known");
    }
    if (index) {
        draft_remove_index(&d, index);
    }
    return end_draft(f, &d, &table, &table);
}

/* ---- RENAME, DROP, databases */

static bool
rename_tables(struct follower *f)
{
    static const char *const fill[] = { "if", "exists", "nowait", NULL };

    do {
        struct statement_table from, to;
        token_skip_words(&f->t, fill);
        if (token_take_word(&f->t, "wait")) {
            token_next(&f->t);
        }
        if (!read_table(f, &from)) {
            return false;
        }
        if (token_take_word(&f->t, "wait")) {
            token_next(&f->t);
        }
        token_skip_words(&f->t, fill);
        if (!token_take_word(&f->t, "to") || !read_table(f, &to)) {
            return not_understood(f, "RENAME TABLE");
        }
        const struct definition *def = known(f, from.schema, from.name);
        change(f, from.schema, from.name, NULL);
        change(f, to.schema, to.name, def);
    } while (token_take_sign(&f->t, ','));
    return f->t.kind == TOKEN_END || token_is_sign(&f->t, ';') ||
           not_understood(f, "RENAME TABLE");
}

static void
forget_named(struct follower *f)
{
    for (size_t i = 0; i < f->s->ntables; i++) {
        change(f, f->s->tables[i].schema, f->s->tables[i].name, NULL);
    }
}

/* What a statement on a database, not understood, may have changed. */
static void
forget_database(struct follower *f)
{
    change(f, f->session->schema, STR(""), NULL);
    change(f, f->s->name, STR(""), NULL)->whole_schema =
        !str_is(f->s->verb, "alter database");
}

static bool
database_collation(struct follower *f, struct weir_str *out)
{
    struct draft    d = { .a = f->a, .session = f->session, .t = &f->t };
    struct weir_str charset = STR(""), collate = STR("");

    while (f->t.kind != TOKEN_END) {
        if (token_take_sign(&f->t, ';')) {
            continue;
        }
        if (token_take_word(&f->t, "read") &&
            token_take_word(&f->t, "only")) {
            token_take_sign(&f->t, '=');
            token_next(&f->t);
            continue;
        }
        if (!draft_read_option(&d, &charset, &collate)) {
            return not_understood(f, d.why);
        }
    }
    if (charset.len > 0 || collate.len > 0) {
        *out = draft_collation(&d, charset, collate);
    }
    return !d.why || not_understood(f, d.why);
}

static void
set_schema(struct follower *f, struct weir_str schema,
           struct weir_str collation)
{
    struct definition *def = arena_alloc(f->a, sizeof *def);

    def->collation = collation;
    change(f, schema, STR(""), collation.len > 0 ? def : NULL);
}

static bool
create_database(struct follower *f, bool replace)
{
    const bool            if_not_exists = take_if_exists(&f->t);
    const struct weir_str schema = f->t.text;
    struct weir_str       collation = f->session->server_collation;

    token_next(&f->t);
    if (replace) {
        change(f, schema, STR(""), NULL)->whole_schema = true;
    }
    if (!database_collation(f, &collation)) {
        change(f, schema, STR(""), NULL);
        return false;
    }
    if (!if_not_exists || replace) {
        set_schema(f, schema, collation);
    } else if (!str_eq(schema_collation(f, schema), collation)) {
        change(f, schema, STR(""), NULL);
    }
    return true;
}

static bool
alter_database(struct follower *f)
{
    struct weir_str schema = f->session->schema;
    struct weir_str collation = STR("");

    if (f->t.kind == TOKEN_QUOTED ||
        (f->t.kind == TOKEN_WORD && !token_is_word(&f->t, "character") &&
         !token_is_word(&f->t, "charset") && !token_is_word(&f->t, "default") &&
         !token_is_word(&f->t, "collate") &&
         !token_is_word(&f->t, "encryption") && !token_is_word(&f->t, "read") &&
         !token_is_word(&f->t, "comment"))) {
        schema = f->t.text;
        token_next(&f->t);
    }
    if (token_is_word(&f->t, "upgrade") ||
        !database_collation(f, &collation)) {
        change(f, schema, STR(""), NULL);
        return not_understood(f, "ALTER DATABASE");
    }
    if (collation.len > 0) {
        set_schema(f, schema, collation);
    }
    return true;
}

/* ---- Which it is */

static bool
follow_object(struct follower *f, const char *verb, bool unique, bool replace)
{
    struct tokens *t = &f->t;

    if (token_take_word(t, "table") || token_take_word(t, "tables")) {
        if (strcmp(verb, "create") == 0) {
            return create_table(f, replace);
        } else if (strcmp(verb, "alter") == 0) {
            return alter_table(f);
        } else if (strcmp(verb, "rename") == 0) {
            return rename_tables(f);
        }
        forget_named(f); /* DROP */
        return true;
    }
    if (token_take_word(t, "index")) {
        return strcmp(verb, "create") == 0 ? create_index(f, unique, replace)
                                           : drop_index(f);
    }
    if (!token_take_word(t, "database") && !token_take_word(t, "schema")) {
        return not_understood(f, "an object that is not known");
    }
    if (strcmp(verb, "create") == 0) {
        return create_database(f, replace);
    } else if (strcmp(verb, "alter") == 0) {
        return alter_database(f);
    }
    change(f, f->s->name, STR(""), NULL)->whole_schema = true;
    return true;
}

static bool
follow(struct follower *f)
{
    static const char *const verbs[] = { "create", "alter", "drop", "rename" };
    static const char *const fill[] = { "online", "offline", "ignore",
                                        "fulltext", "spatial", "vector",
                                        NULL };
    const char *verb = NULL;
    bool        reads = false;

    if (f->session->error != 0) {
        return not_understood(f, "it failed, and how much of it was done is "
                                 "not known");
    }
    if (!token_take_set(&f->t, &reads)) {
        return not_understood(f, "SET STATEMENT of what it may depend on");
    }
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs && !verb; i++) {
        verb = token_take_word(&f->t, verbs[i]) ? verbs[i] : NULL;
    }
    if (!verb) {
        return not_understood(f, "a statement of another kind");
    }
    const bool replace = token_take_word(&f->t, "or");
    if (replace) {
        token_take_word(&f->t, "replace");
    }
    token_skip_words(&f->t, fill);
    const bool unique = token_take_word(&f->t, "unique");
    token_skip_words(&f->t, fill);
    return follow_object(f, verb, unique, replace);
}

void
ddl_follow(struct arena *a, const struct ddl_session *session,
           struct weir_str text, const struct statement *s, ddl_lookup lookup,
           void *arg, struct ddl_changes *out)
{
    struct follower f = { .a = a,
                          .session = session,
                          .s = s,
                          .lookup = lookup,
                          .arg = arg,
                          .out = out };

    *out = (struct ddl_changes){ 0 };
    if (s->kind == STATEMENT_TRUNCATE) {
        return;
    }
    tokens_init(&f.t, a, text, session->sql_mode,
                session->flavour == FLAVOUR_MYSQL);
    if (s->unsure) {
        not_understood(&f, "which tables it changes is not known");
    }
    if (s->unsure || !follow(&f) || out->why || f.t.broken) {
        not_understood(&f, "a quote is not closed");
        forget_named(&f);
        if (s->kind == STATEMENT_DATABASE) {
            forget_database(&f);
        }
    }
}
