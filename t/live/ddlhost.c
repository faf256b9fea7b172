/*
 * ddlhost.c - follows the statements on its input with core/schema/ddl.h, for
 * ddl.t.  A line is "MODE<tab>SCHEMA<tab>STATEMENT" (a newline in it is \x01),
 * answered by "ok" or "why: REASON"; or "?<tab>SCHEMA<tab>TABLE", answered by
 * a line for each column and index and then "."; and "!" forgets everything.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"
#include "schema/ddl.h"

static struct table_kept {
    struct table_kept *next;
    struct weir_str    schema, name;
    struct definition *def;
} *all;
static struct arena memory;
static struct ddl_session session = {
    .flavour = FLAVOUR_MARIADB,
    .version = 101100,
    .server_collation = STR("utf8mb4_general_ci"),
};

static const struct definition *
lookup(void *arg, struct weir_str schema, struct weir_str name)
{
    (void)arg;
    for (const struct table_kept *k = all; k; k = k->next) {
        if (str_eq(k->schema, schema) && str_eq(k->name, name)) {
            return k->def;
        }
    }
    return NULL;
}

static void
apply(const struct ddl_change *c)
{
    for (struct table_kept *k = all; k && c->whole_schema; k = k->next) {
        k->def = str_eq(k->schema, c->schema) ? NULL : k->def;
    }
    struct table_kept *k = arena_alloc(&memory, sizeof *k);
    k->schema = arena_str(&memory, c->schema);
    k->name = arena_str(&memory, c->name);
    k->def = c->def ? definition_copy(&memory, c->def) : NULL;
    k->next = all;
    all = k;
}

static void
show(const struct definition *def)
{
    for (uint32_t i = 0; def && i < def->ncolumns; i++) {
        const struct definition_column *c = &def->columns[i];
        printf("%.*s\t%.*s\t%.*s\t%s%s\n", STR_ARG(c->name),
               STR_ARG(c->sql_type), STR_ARG(c->collation),
               c->facets & WEIR_GENERATED ? "G" : "",
               c->facets & WEIR_INVISIBLE ? "I" : "");
    }
    for (uint32_t i = 0; def && i < def->nkey; i++) {
        printf("key\t%.*s\n", STR_ARG(def->columns[def->key[i]].name));
    }
    for (uint32_t i = 0; def && i < def->nindexes; i++) {
        const struct definition_key *k = &def->indexes[i];
        for (uint32_t j = 0; j < k->ncolumns; j++) {
            printf("index\t%.*s\t%d\t%.*s\n", STR_ARG(k->name), k->unique,
                   STR_ARG(def->columns[k->columns[j]].name));
        }
    }
    if (def) {
        printf("default\t%.*s\n", STR_ARG(def->collation));
    }
    printf(".\n");
}

static void
follow(char *mode, char *schema, char *sql)
{
    struct arena             a = { 0 };
    struct statement         s;
    struct ddl_changes       changes;
    session.schema = str_of(schema);
    session.sql_mode = strtoull(mode, NULL, 10);
    for (char *p = sql; *p; p++) {
        *p = *p == 1 ? '\n' : *p;
    }
    statement_parse(&a, str_of(sql), session.schema, session.sql_mode, &s);
    ddl_follow(&a, &session, str_of(sql), &s, lookup, NULL, &changes);
    for (size_t i = 0; i < changes.n; i++) {
        apply(&changes.items[i]);
    }
    if (changes.why) {
        printf("why: %s\n", changes.why);
    } else {
        printf("ok\n");
    }
    arena_free(&a);
}

/* "mysql 90700": not MariaDB 10.11. */
int
main(int argc, char **argv)
{
    static char line[1 << 20];

    if (argc > 2) {
        session.flavour = FLAVOUR_MYSQL;
        session.version = (unsigned)strtoul(argv[2], NULL, 10);
        session.server_collation = STR("utf8mb4_0900_ai_ci");
    }

    setvbuf(stdout, NULL, _IOLBF, 1 << 16);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        char *schema = strchr(line, '\t');
        char *sql = schema ? strchr(schema + 1, '\t') : NULL;
        if (line[0] == '!') {
            all = NULL;
            continue;
        }
        if (!sql) {
            return 1;
        }
        *schema++ = *sql++ = '\0';
        if (line[0] == '?') {
            show(lookup(NULL, str_of(schema), str_of(sql)));
        } else {
            follow(line, schema, sql);
        }
    }
    arena_free(&memory);
    return 0;
}
