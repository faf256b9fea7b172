/*
 * describe.c - a table as the server has it now, from information_schema, over
 * a connection of its own that is kept for a while; then the server's position,
 * read after the definition was.  Knows nothing of what events say of a table.
 */
#include "source_mysql.h"

#include <mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    COLUMNS_MAX = 4096,   /* of a table: the server's own limit */
    KEY_MAX = 64,         /* columns of a key: twice the server's limit */
    NAME_BYTES = 64 * 4,  /* of a name: 64 characters */
};

struct column {
    char name[NAME_BYTES + 1];
    bool is_json, not_null;
};

struct description {
    struct source *src;
    char          *schema, *table; /* quoted */
    struct column *columns;
    size_t         ncolumns;
};

static bool
str_is(struct weir_str s, const char *text)
{
    return s.len == strlen(text) && memcmp(s.data, text, s.len) == 0;
}

/* HEAD WHERE COLUMN = schema AND TABLE_NAME = table TAIL */
static enum weir_status
ask_about(struct description *d, const char *head, const char *schema_column,
          const char *tail, struct result *out, struct weir_err *err)
{
    const size_t room = strlen(head) + strlen(schema_column) +
                        strlen(d->schema) + strlen(d->table) + strlen(tail) +
                        64;
    char *const sql = malloc(room);

    if (!sql) {
        abort();
    }
    snprintf(sql, room, "%s WHERE %s = %s AND TABLE_NAME = %s %s", head,
             schema_column, d->schema, d->table, tail);
    const enum weir_status st = conn_query(&d->src->ask, sql, out, err);
    free(sql);
    return st;
}

static struct column *
column_find(struct description *d, struct weir_str name)
{
    for (size_t i = 0; i < d->ncolumns; i++) {
        if (str_is(name, d->columns[i].name)) {
            return &d->columns[i];
        }
    }
    return NULL;
}

/* ---- Columns */

static enum weir_status
names_read(struct description *d, struct weir_err *err)
{
    struct result    r;
    enum weir_status st = ask_about(
        d, "SELECT COLUMN_NAME FROM information_schema.COLUMNS",
        "TABLE_SCHEMA", "ORDER BY ORDINAL_POSITION", &r, err);

    while (st == WEIR_OK && result_next(&r)) {
        const struct weir_str name = result_str(&r, 0);
        if (name.len == 0 || name.len > NAME_BYTES ||
            d->ncolumns == COLUMNS_MAX) {
            st = weir_fail(err, WEIR_REJECT,
                           "%s describes %s.%s in a way that can't be: column "
                           "%zu has a name of %zu bytes", d->src->name,
                           d->schema, d->table, d->ncolumns + 1, name.len);
            break;
        }
        memcpy(d->columns[d->ncolumns++].name, name.data, name.len);
    }
    result_free(&r);
    return st;
}

/* JSON is an alias of MariaDB's for LONGTEXT with a check, which has the
 * column's name. */
static enum weir_status
json_read(struct description *d, struct weir_err *err)
{
    struct result    r;
    char             clause[NAME_BYTES * 2 + 32];
    enum weir_status st = ask_about(
        d, "SELECT CONSTRAINT_NAME, CHECK_CLAUSE FROM "
           "information_schema.CHECK_CONSTRAINTS",
        "CONSTRAINT_SCHEMA", "", &r, err);

    while (st == WEIR_OK && result_next(&r)) {
        struct column *c = column_find(d, result_str(&r, 0));
        if (c) {
            snprintf(clause, sizeof clause, "json_valid(`%s`)", c->name);
            c->is_json = str_is(result_str(&r, 1), clause);
        }
    }
    result_free(&r);
    return st;
}

static unsigned
facets_of(struct weir_str type, const char *extra, bool not_null)
{
    unsigned facets = not_null ? WEIR_NOT_NULL : 0;

    if (strstr(type.data, " unsigned")) {
        facets |= WEIR_UNSIGNED;
    }
    if (strncmp(type.data, "enum(", 5) == 0) {
        facets = (facets & ~(unsigned)WEIR_UNSIGNED) | WEIR_ENUM;
    }
    if (strncmp(type.data, "set(", 4) == 0) {
        facets = (facets & ~(unsigned)WEIR_UNSIGNED) | WEIR_SET;
    }
    if (strncmp(type.data, "float", 5) == 0) {
        facets |= WEIR_FLOAT;
    }
    if (strstr(extra, "VIRTUAL GENERATED") ||
        strstr(extra, "STORED GENERATED")) {
        facets |= WEIR_GENERATED;
    }
    if (strstr(extra, "INVISIBLE")) {
        facets |= WEIR_INVISIBLE;
    }
    return facets;
}

static enum weir_status
columns_define(struct description *d, struct weir_err *err)
{
    static const struct weir_str json = { "json", 4 };
    struct result                r;
    size_t                       i = 0;
    enum weir_status st = ask_about(
        d, "SELECT COLUMN_NAME, COLUMN_TYPE, COLLATION_NAME, IS_NULLABLE, "
           "EXTRA FROM information_schema.COLUMNS",
        "TABLE_SCHEMA", "ORDER BY ORDINAL_POSITION", &r, err);

    for (; st == WEIR_OK && result_next(&r); i++) {
        if (i >= d->ncolumns ||
            !str_is(result_str(&r, 0), d->columns[i].name)) {
            break; /* altered meanwhile: counted below */
        }
        struct column        *c = &d->columns[i];
        const struct weir_str type = result_str(&r, 1);
        c->not_null = str_is(result_str(&r, 3), "NO");
        weir_define(d->src->in, result_str(&r, 0),
                    c->is_json && str_is(type, "longtext") ? json : type,
                    result_str(&r, 2),
                    facets_of(type, result_str(&r, 4).data, c->not_null));
    }
    const bool more = r.row != NULL;
    result_free(&r);
    if (st == WEIR_OK && (more || i != d->ncolumns)) {
        return weir_fail(err, WEIR_RETRY, "%s.%s was altered while it was "
                         "described", d->schema, d->table);
    }
    return st;
}

static enum weir_status
any_row(struct description *d, const char *head, const char *tail, bool *out,
        struct weir_err *err)
{
    struct result          r;
    const enum weir_status st =
        ask_about(d, head, "TABLE_SCHEMA", tail, &r, err);

    *out = st == WEIR_OK && result_next(&r);
    result_free(&r);
    return st;
}

/* Of WITH SYSTEM VERSIONING without columns for it: the log has them, and
 * information_schema has not. */
static enum weir_status
versions_define(struct description *d, struct weir_err *err)
{
    static const struct weir_str names[] = { { "row_start", 9 },
                                             { "row_end", 7 } };
    bool             versioned = false, listed = false;
    enum weir_status st = any_row(
        d, "SELECT 1 FROM information_schema.TABLES",
        "AND TABLE_TYPE = 'SYSTEM VERSIONED'", &versioned, err);

    if (st == WEIR_OK && versioned) {
        st = any_row(d, "SELECT 1 FROM information_schema.COLUMNS",
                     "AND GENERATION_EXPRESSION = 'ROW START'", &listed, err);
    }
    for (size_t i = 0; st == WEIR_OK && versioned && !listed && i < 2; i++) {
        weir_define(d->src->in, names[i],
                    (struct weir_str){ "timestamp(6)", 12 },
                    (struct weir_str){ 0 },
                    WEIR_NOT_NULL | WEIR_GENERATED | WEIR_INVISIBLE);
    }
    return st;
}

/* ---- The key */

struct key {
    char     name[NAME_BYTES + 1];
    uint32_t columns[KEY_MAX];
    size_t   n;
    bool     usable;
};

/* One row of STATISTICS: the next column of `key`. */
static void
key_add(struct description *d, struct key *key, struct weir_str name)
{
    const struct column *c = column_find(d, name);

    if (!c || !c->not_null || key->n == KEY_MAX) {
        key->usable = false;
        return;
    }
    key->columns[key->n++] = (uint32_t)(c - d->columns);
}

/* The rows come key by key, the primary one first: the first whose columns are
 * all NOT NULL is taken. */
static enum weir_status
key_define(struct description *d, struct weir_err *err)
{
    struct result    r;
    struct key       key = { .usable = false };
    char             tail[160];

    snprintf(tail, sizeof tail, "AND NON_UNIQUE = 0 %s",
             d->src->flavour->key_order);
    enum weir_status st = ask_about(
        d, "SELECT INDEX_NAME, COLUMN_NAME FROM information_schema.STATISTICS",
        "TABLE_SCHEMA", tail, &r, err);

    while (st == WEIR_OK && result_next(&r)) {
        const struct weir_str name = result_str(&r, 0);
        if (name.len > NAME_BYTES) {
            continue;
        }
        if (!str_is(name, key.name)) {
            if (key.usable) {
                break;
            }
            key = (struct key){ .usable = true };
            memcpy(key.name, name.data, name.len);
        }
        key_add(d, &key, result_str(&r, 1));
    }
    result_free(&r);
    if (st == WEIR_OK && key.usable) {
        weir_define_key(d->src->in, key.n, key.columns);
    }
    return st;
}

/* ---- What DDL to come may refer to */

struct index {
    char     name[NAME_BYTES + 1];
    bool     unique, partial;
    uint32_t columns[KEY_MAX];
    size_t   n;
};

static void
index_define(struct description *d, const struct index *index)
{
    if (index->name[0]) {
        weir_define_index(
            d->src->in, (struct weir_str){ index->name, strlen(index->name) },
            index->unique, index->partial, index->n, index->columns);
    }
}

static enum weir_status
indexes_define(struct description *d, struct weir_err *err)
{
    struct result    r;
    struct index     index = { .name = "" };
    enum weir_status st = ask_about(
        d, "SELECT INDEX_NAME, COLUMN_NAME, NON_UNIQUE, SUB_PART FROM "
           "information_schema.STATISTICS",
        "TABLE_SCHEMA", "", &r, err);

    while (st == WEIR_OK && result_next(&r)) {
        const struct weir_str name = result_str(&r, 0);
        if (name.len > NAME_BYTES) {
            continue;
        }
        if (!str_is(name, index.name)) {
            index_define(d, &index);
            index = (struct index){ .unique = str_is(result_str(&r, 2), "0") };
            memcpy(index.name, name.data, name.len);
        }
        const struct column *c = column_find(d, result_str(&r, 1));
        index.partial |= !c || result_str(&r, 3).len > 0;
        if (c && index.n < KEY_MAX) {
            index.columns[index.n++] = (uint32_t)(c - d->columns);
        }
    }
    result_free(&r);
    if (st == WEIR_OK) {
        index_define(d, &index);
    }
    return st;
}

static enum weir_status
defaults_define(struct description *d, struct weir_err *err)
{
    struct result    r;
    enum weir_status st = ask_about(
        d, "SELECT TABLE_COLLATION, DEFAULT_COLLATION_NAME FROM "
           "information_schema.TABLES JOIN information_schema.SCHEMATA ON "
           "SCHEMA_NAME = TABLE_SCHEMA",
        "TABLE_SCHEMA", "", &r, err);

    if (st == WEIR_OK && result_next(&r)) {
        weir_define_defaults(d->src->in, result_str(&r, 0),
                             result_str(&r, 1));
    }
    result_free(&r);
    return st;
}

/* ---- All of it */

static enum weir_status
describe_all(struct description *d, struct weir_err *err)
{
    enum weir_status st = names_read(d, err);

    if (st == WEIR_OK && d->ncolumns == 0) {
        st = weir_fail(err, WEIR_REJECT,
                       "%s shows no table %s.%s: it is gone, or %s lacks "
                       "SELECT on it", d->src->name, d->schema, d->table,
                       d->src->conf->user);
    }
    if (st == WEIR_OK && d->src->flavour->json_by_check) {
        st = json_read(d, err);
    }
    if (st == WEIR_OK) {
        st = columns_define(d, err);
    }
    if (st == WEIR_OK && d->src->flavour->row_versions) {
        st = versions_define(d, err);
    }
    if (st == WEIR_OK) {
        st = key_define(d, err);
    }
    if (st == WEIR_OK) {
        st = indexes_define(d, err);
    }
    if (st == WEIR_OK) {
        st = defaults_define(d, err);
    }
    return st;
}

static enum weir_status
position_define(struct source *src, struct weir_err *err)
{
    struct position        p = { 0 };
    const enum weir_status st =
        src->flavour->locate(src, &src->ask, START_NOW, &p, err);

    if (st == WEIR_OK) {
        weir_define_at(src->in, (struct weir_str){ p.gtid, strlen(p.gtid) },
                       (struct weir_str){ p.file, strlen(p.file) }, p.offset);
    }
    position_clear(&p);
    return st;
}

static enum weir_status
describe_with(struct source *src, struct weir_str schema,
              struct weir_str table, struct weir_err *err)
{
    struct description d = { .src = src };

    d.schema = conn_quote(&src->ask, schema);
    d.table = conn_quote(&src->ask, table);
    d.columns = calloc(COLUMNS_MAX, sizeof *d.columns);
    if (!d.columns) {
        abort();
    }
    enum weir_status st = describe_all(&d, err);
    free(d.schema);
    free(d.table);
    free(d.columns);
    return st == WEIR_OK ? position_define(src, err) : st;
}

/* Variables that only newer releases have. */
static enum weir_status
set_session(struct source *src, struct weir_err *err)
{
    if (!src->flavour->describe_set) {
        return WEIR_OK;
    }
    const enum weir_status st =
        conn_query(&src->ask, src->flavour->describe_set, NULL, err);
    return st != WEIR_OK && mysql_errno(src->ask.mysql) ==
                                ER_UNKNOWN_SYSTEM_VARIABLE
               ? WEIR_OK
               : st;
}

enum weir_status
describe_table(struct source *src, struct weir_str schema,
               struct weir_str table, struct weir_err *err)
{
    src->asked_ms = now_ms();
    if (src->ask.mysql && conn_query(&src->ask, "DO 0", NULL, err) != WEIR_OK) {
        conn_close(&src->ask); /* it was idle for long, and is gone */
    }
    if (!src->ask.mysql) {
        enum weir_status st = conn_open(&src->ask, err);
        if (st == WEIR_OK) {
            st = set_session(src, err);
        }
        if (st != WEIR_OK) {
            conn_close(&src->ask);
            return st;
        }
    }
    return describe_with(src, schema, table, err);
}
