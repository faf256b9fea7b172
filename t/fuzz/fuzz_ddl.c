/*
 * fuzz_ddl.c - any bytes as statements, one after the other, on what is known of
 * a few tables.  An input's first byte is sql_mode and flavour; statements end
 * at a NUL.
 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "schema/ddl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TABLES = 64 };

static struct { struct weir_str schema, name; struct definition *def; }
    tables[TABLES];
static size_t ntables;

static const struct definition *
lookup(void *arg, struct weir_str schema, struct weir_str name)
{
    (void)arg;
    for (size_t i = ntables; i-- > 0;) {
        if (str_eq(tables[i].schema, schema) && str_eq(tables[i].name, name)) {
            return tables[i].def;
        }
    }
    return NULL;
}

/* A definition never names what it does not have. */
static void
check(const struct definition *def)
{
    for (uint32_t i = 0; i < def->nkey; i++) {
        if (def->key[i] >= def->ncolumns) {
            abort();
        }
    }
    for (uint32_t i = 0; i < def->nindexes; i++) {
        for (uint32_t k = 0; k < def->indexes[i].ncolumns; k++) {
            if (def->indexes[i].columns[k] >= def->ncolumns) {
                abort();
            }
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena       a = { 0 };
    const uint8_t      bits = size > 0 ? *data : 0;
    struct ddl_session session = {
        .flavour = bits & 1 ? FLAVOUR_MYSQL : FLAVOUR_MARIADB,
        .version = bits & 2 ? 80400 : 101100,
        .schema = STR("d"),
        .sql_mode = (bits & 4 ? SQL_MODE_ANSI_QUOTES : 0u) |
                    (bits & 8 ? SQL_MODE_NO_BACKSLASH_ESCAPES : 0u),
        .server_collation = STR("latin1_swedish_ci"),
    };
    const char *p = (const char *)data + (size > 0);
    const char *end = (const char *)data + size;

    ntables = 0;
    while (p < end) {
        const char *nul = memchr(p, '\0', (size_t)(end - p));
        const struct weir_str sql = { p, (size_t)((nul ? nul : end) - p) };
        struct statement      s;
        struct ddl_changes    changes = { 0 };
        statement_parse(&a, sql, session.schema, session.sql_mode, &s);
        if (s.kind == STATEMENT_TABLE || s.kind == STATEMENT_DATABASE) {
            ddl_follow(&a, &session, sql, &s, lookup, NULL, &changes);
        }
        for (size_t i = 0; i < changes.n && ntables < TABLES; i++) {
            if (changes.items[i].def) {
                check(changes.items[i].def);
            }
            tables[ntables].schema = changes.items[i].schema;
            tables[ntables].name = changes.items[i].name;
            tables[ntables++].def = changes.items[i].def;
        }
        p = nul ? nul + 1 : end;
    }
    arena_free(&a);
    return 0;
}
