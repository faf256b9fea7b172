/*
 * sink_mysql_target.c - the table that a table of the source goes to: its name,
 * which of its columns are written, and which of its keys tie rows together.
 * Asked from information_schema once per version of a table.
 */
#include "sink_mysql.h"

#include <stdlib.h>
#include <string.h>

/* ---- Names */

static bool
same_name(struct weir_str a, struct weir_str b)
{
    return a.len == b.len && strncasecmp(a.data, b.data, a.len) == 0;
}

/* {database} and {table} are all that these templates may hold (checked), so
 * that a glob without a star is the text itself. */
static enum weir_status
expand_name(const struct weir_template *t, const struct weir_table *table,
            char *out, size_t room, struct weir_str *name,
            struct weir_err *err)
{
    size_t       literal, n = 0;
    const size_t len = weir_template_glob(t, table, out, room, &literal);

    if (len > room) {
        return weir_fail(err, WEIR_REJECT, "the target's name is too long");
    }
    for (size_t i = 0; i < len; i++) {
        if (out[i] == '\\' && i + 1 < len) {
            i++;
        }
        out[n++] = out[i];
    }
    *name = (struct weir_str){ out, n };
    return WEIR_OK;
}

struct place { /* the target's name, unquoted */
    char            database_text[600], table_text[600];
    struct weir_str database, table;
};

static enum weir_status
find_place(const struct sink *s, const struct weir_table *table,
           struct place *p, struct weir_err *err)
{
    enum weir_status st =
        expand_name(s->conf->database, table, p->database_text,
                    sizeof p->database_text, &p->database, err);
    if (st == WEIR_OK) {
        st = expand_name(s->conf->table, table, p->table_text,
                         sizeof p->table_text, &p->table, err);
    }
    if (st == WEIR_OK && s->conf->ddl == DDL_APPLY &&
        !(same_name(p->database, table->schema) &&
          same_name(p->table, table->name))) {
        st = weir_fail(err, WEIR_REJECT, "ddl = apply: statements go to %.*s.%.*s"
                       ", and database and table say another place",
                       STR_ARG(table->schema), STR_ARG(table->name));
    }
    return st;
}

/* information_schema compares names as its collation does, where "T" is "t";
 * the plain comparison is what it looks tables up by. */
static void
where_name(const struct sink *s, struct text *sql, const char *prefix,
           const char *column, struct weir_str name)
{
    text_put(sql, prefix);
    text_put(sql, column);
    text_put(sql, " = ");
    text_quote(sql, name);
    if (s->link.exact_names) {
        text_put(sql, " AND CAST(");
        text_put(sql, prefix);
        text_put(sql, column);
        text_put(sql, " AS BINARY) = ");
        text_bytes(sql, name);
    }
}

static void
where_table(struct sink *s, const char *prefix, const struct place *p)
{
    where_name(s, &s->sql, prefix, "TABLE_SCHEMA", p->database);
    text_put(&s->sql, " AND ");
    where_name(s, &s->sql, prefix, "TABLE_NAME", p->table);
}

static enum weir_status
ask(struct sink *s, struct result *r, struct weir_err *err)
{
    return link_query(s, "information_schema",
                      (struct weir_str){ s->sql.data, s->sql.len }, r, err);
}

/* ---- Columns */

static size_t
find_column(const struct weir_table *table, struct weir_str name)
{
    for (size_t i = 0; i < table->ncolumns; i++) {
        if (same_name(table->columns[i]->name, name)) {
            return i;
        }
    }
    return WEIR_NONE;
}

/* JSON and GEOMETRY don't compare with what a literal says of them: how what
 * is there is written, and what it is compared with, differ by server. */
static bool
can_compare(const struct weir_column *c, struct weir_str type)
{
    static const char *const never[] = { "json", "geometry", "point",
                                         "linestring", "polygon",
                                         "multipoint", "multilinestring",
                                         "multipolygon", "geometrycollection",
                                         "geomcollection", "vector" };

    if (c->type == WEIR_JSON) {
        return false;
    }
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
        if (same_name(type, (struct weir_str){ never[i], strlen(never[i]) })) {
            return false;
        }
    }
    return true;
}

static bool
keep_name(struct weir_str name, struct weir_str *out)
{
    struct text t = { 0 };

    text_name(&t, name);
    *out = (struct weir_str){ t.data, t.len };
    return !t.failed;
}

/* What the server computes itself can't be written. */
static enum weir_status
take_column(struct sink *s, struct target *t, const struct result *r,
            struct weir_err *err)
{
    const struct weir_str name = result_str(r, 0), extra = result_str(r, 1);
    const size_t          i = find_column(t->table, name);

    if (i == WEIR_NONE || t->columns[i].data) {
        return WEIR_OK;
    }
    if (strstr(extra.data, "VIRTUAL GENERATED") ||
        strstr(extra.data, "STORED GENERATED") ||
        strstr(extra.data, "PERSISTENT")) {
        t->columns[i].len = 1; /* known, and not written */
        return WEIR_OK;
    }
    t->compared[i] = can_compare(t->table->columns[i], result_str(r, 2));
    return keep_name(name, &t->columns[i])
               ? WEIR_OK
               : weir_fail(err, WEIR_RETRY, "%s: no memory", s->where);
}

/* The source's columns that the target has no place for. */
static enum weir_status
check_columns(struct sink *s, struct target *t, size_t ncolumns,
              struct weir_err *err)
{
    if (ncolumns == 0) {
        return weir_fail(err, WEIR_REJECT,
                         "%s has no table %.*s, or shows it to %s not; create "
                         "it (and copy what is in it), or grant SELECT, "
                         "INSERT, UPDATE and DELETE on it", s->where,
                         STR_ARG(t->name), s->conf->user);
    }
    for (size_t i = 0; i < t->table->ncolumns; i++) {
        const struct weir_str name = t->table->columns[i]->name;

        if (t->columns[i].data || t->columns[i].len == 1 ||
            (t->table->columns[i]->facets & WEIR_GENERATED)) {
            t->columns[i].len = t->columns[i].data ? t->columns[i].len : 0;
            continue;
        }
        if (s->conf->columns == COLUMNS_ALL) {
            return weir_fail(err, WEIR_REJECT,
                             "%s: %.*s has no column %.*s; add it there, take "
                             "it out by transform `columns`, or say columns = "
                             "matching", s->where, STR_ARG(t->name),
                             STR_ARG(name));
        }
        weir_log(s->in, WEIR_WARN,
                 "%s: %.*s has no column %.*s: it is left out (columns = "
                 "matching)", s->where, STR_ARG(t->name), STR_ARG(name));
    }
    return WEIR_OK;
}

static enum weir_status
read_columns(struct sink *s, struct target *t, const struct place *p,
             struct weir_err *err)
{
    struct result r;
    size_t        n = 0;

    s->sql.len = 0;
    text_put(&s->sql, "SELECT COLUMN_NAME, EXTRA, DATA_TYPE FROM "
             "information_schema.COLUMNS WHERE ");
    where_table(s, "", p);
    enum weir_status st = ask(s, &r, err);
    for (; st == WEIR_OK && result_next(&r); n++) {
        st = take_column(s, t, &r, err);
    }
    result_free(&r);
    return st == WEIR_OK ? check_columns(s, t, n, err) : st;
}

/* What can't be rolled back can't be written once. */
static enum weir_status
check_engine(struct sink *s, const struct target *t, const struct place *p,
             struct weir_err *err)
{
    struct result r;

    s->sql.len = 0;
    text_put(&s->sql, "SELECT TABLE_TYPE, ENGINE, (SELECT TRANSACTIONS FROM "
             "information_schema.ENGINES AS e WHERE e.ENGINE = t.ENGINE) FROM "
             "information_schema.TABLES AS t WHERE ");
    where_table(s, "", p);
    enum weir_status st = ask(s, &r, err);
    if (st == WEIR_OK && result_next(&r)) {
        const struct weir_str engine = result_str(&r, 1);
        const struct weir_str can = result_str(&r, 2);
        if (!same_name(can, (struct weir_str){ "YES", 3 })) {
            st = weir_fail(err, WEIR_REJECT,
                           "%s: %.*s (%.*s%s%.*s) knows no transactions, so a "
                           "row could be written twice: make it an InnoDB "
                           "table", s->where, STR_ARG(t->name),
                           STR_ARG(result_str(&r, 0)),
                           engine.len > 0 ? ", " : "", STR_ARG(engine));
        }
    }
    result_free(&r);
    return st;
}

/* ---- Keys, which say what may be written in another order */

/* The name under which everybody knows a key: its table and columns. */
struct conflict {
    bool        told; /* the server was told before */
    struct text name;
    uint32_t    columns[64];
    size_t      n;
    bool        whole; /* not to be told by columns of ours */
};

static void
conflict_begin(struct conflict *c, struct weir_str database,
               struct weir_str table)
{
    c->name.len = 0;
    text_name(&c->name, database);
    text_name(&c->name, table);
    c->n = 0;
    c->whole = false;
}

static void
conflict_column(struct conflict *c, const struct target *t,
                struct weir_str of_key, struct weir_str ours)
{
    const size_t i = find_column(t->table, ours);

    text_name(&c->name, of_key);
    if (i == WEIR_NONE || c->n == 64) {
        c->whole = true;
    } else {
        c->columns[c->n++] = (uint32_t)i;
    }
}

static void
conflict_end(struct sink *s, struct conflict *c)
{
    if (c->name.len == 0) {
        return;
    }
    text_add(&c->name, "", 1);
    if (!c->name.failed && !c->told) {
        weir_conflict(s->in, c->name.data, c->whole ? 0 : c->n, c->columns);
    }
    c->name.len = 0;
}

/* Is it the key by which rows are found? */
static bool
is_the_key(const struct target *t, const struct conflict *c)
{
    size_t same = 0;

    for (size_t i = 0; i < t->nkey; i++) {
        for (size_t k = 0; k < c->n; k++) {
            same += c->columns[k] == t->key[i];
        }
    }
    return !c->whole && t->nkey > 0 && same == t->nkey && c->n == t->nkey;
}

/* Rows of STATISTICS come index by index, column by column. */
static size_t
take_unique(struct sink *s, struct target *t, const struct place *p,
            bool told, struct result *r)
{
    struct conflict c = { .told = told };
    size_t          nkeys = 0;

    t->single = false;
    while (result_next(r)) {
        if (result_u64(r, 1) == 1) {
            t->single = t->single || (nkeys > 0 && is_the_key(t, &c));
            conflict_end(s, &c);
            conflict_begin(&c, p->database, p->table);
            nkeys++;
        }
        const struct weir_str column = result_str(r, 2);
        conflict_column(&c, t, column, column);
        c.whole = c.whole || column.len == 0 || result_str(r, 3).len > 0;
    }
    t->single = t->single || (nkeys > 0 && is_the_key(t, &c));
    conflict_end(s, &c);
    text_free(&c.name);
    return nkeys;
}

static enum weir_status
read_unique(struct sink *s, struct target *t, const struct place *p,
            bool told, size_t *nkeys, struct weir_err *err)
{
    struct result r;

    s->sql.len = 0;
    text_put(&s->sql, "SELECT INDEX_NAME, SEQ_IN_INDEX, COLUMN_NAME, SUB_PART "
             "FROM information_schema.STATISTICS WHERE NON_UNIQUE = 0 AND ");
    where_table(s, "", p);
    text_put(&s->sql, " ORDER BY INDEX_NAME = 'PRIMARY' DESC, INDEX_NAME, "
             "SEQ_IN_INDEX");
    const enum weir_status st = ask(s, &r, err);
    if (st == WEIR_OK) {
        *nkeys = take_unique(s, t, p, told, &r);
        result_free(&r);
    }
    if (st == WEIR_OK && *nkeys == 0) {
        struct conflict c = { .whole = true, .told = told };
        text_name(&c.name, p->database);
        text_name(&c.name, p->table);
        conflict_end(s, &c);
        text_free(&c.name);
    }
    return st;
}

/* A row and the one that it refers to go by the key of the latter. */
static size_t
take_foreign(struct sink *s, const struct target *t, const struct place *p,
             bool told, struct result *r)
{
    struct conflict c = { .told = told };
    size_t          n = 0;

    while (result_next(r)) {
        const bool ours = same_name(result_str(r, 5), p->table) &&
                          same_name(result_str(r, 6), p->database);
        if (result_u64(r, 1) == 1) {
            conflict_end(s, &c);
            conflict_begin(&c, result_str(r, 3), result_str(r, 2));
            n++;
        }
        conflict_column(&c, t, result_str(r, 4),
                        ours ? result_str(r, 0) : result_str(r, 4));
    }
    conflict_end(s, &c);
    text_free(&c.name);
    return n;
}

static enum weir_status
read_foreign(struct sink *s, struct target *t, const struct place *p,
             bool told, size_t *n, struct weir_err *err)
{
    struct result r;

    s->sql.len = 0;
    text_put(&s->sql, "SELECT COLUMN_NAME, ORDINAL_POSITION, "
             "REFERENCED_TABLE_NAME, REFERENCED_TABLE_SCHEMA, "
             "REFERENCED_COLUMN_NAME, TABLE_NAME, TABLE_SCHEMA FROM "
             "information_schema.KEY_COLUMN_USAGE WHERE "
             "REFERENCED_TABLE_NAME IS NOT NULL AND ((");
    where_table(s, "", p);
    text_put(&s->sql, ") OR (");
    where_table(s, "REFERENCED_", p);
    text_put(&s->sql, ")) ORDER BY TABLE_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, "
             "ORDINAL_POSITION");
    const enum weir_status st = ask(s, &r, err);
    if (st == WEIR_OK) {
        *n = take_foreign(s, t, p, told, &r);
        result_free(&r);
    }
    return st;
}

/* What a cascade or a trigger writes is in no row of ours: who may be hit by
 * one goes in line. */
static void
tell_line(struct sink *s, const char *what, struct weir_str database)
{
    struct conflict c = { .whole = true };

    text_put(&c.name, what);
    text_name(&c.name, database);
    conflict_end(s, &c);
    text_free(&c.name);
}

static enum weir_status
read_cascades(struct sink *s, const struct place *p, uint64_t *n,
              struct weir_err *err)
{
    struct result r;

    s->sql.len = 0;
    text_put(&s->sql, "SELECT COUNT(*) FROM "
             "information_schema.REFERENTIAL_CONSTRAINTS WHERE (DELETE_RULE "
             "NOT IN ('RESTRICT', 'NO ACTION') OR UPDATE_RULE NOT IN "
             "('RESTRICT', 'NO ACTION')) AND (CONSTRAINT_SCHEMA = ");
    text_quote(&s->sql, p->database);
    text_put(&s->sql, " OR UNIQUE_CONSTRAINT_SCHEMA = ");
    text_quote(&s->sql, p->database);
    text_put(&s->sql, ")");
    const enum weir_status st = ask(s, &r, err);
    if (st == WEIR_OK) {
        *n = result_next(&r) ? result_u64(&r, 0) : 0;
        result_free(&r);
    }
    return st;
}

static enum weir_status
read_triggers(struct sink *s, struct target *t, const struct place *p,
              uint64_t *n, struct weir_err *err)
{
    struct result r;

    s->sql.len = 0;
    text_put(&s->sql,
             "SELECT COUNT(*) FROM information_schema.TRIGGERS WHERE ");
    where_name(s, &s->sql, "EVENT_OBJECT_", "SCHEMA", p->database);
    text_put(&s->sql, " AND ");
    where_name(s, &s->sql, "EVENT_OBJECT_", "TABLE", p->table);
    const enum weir_status st = ask(s, &r, err);
    if (st == WEIR_OK) {
        *n = result_next(&r) ? result_u64(&r, 0) : 0;
        result_free(&r);
    }
    if (st == WEIR_OK && *n > 0) {
        weir_log(s->in, WEIR_WARN,
                 "%s: %.*s has %llu trigger%s: what the source's triggers "
                 "wrote comes with its rows, so these write it twice; drop "
                 "them on the target", s->where, STR_ARG(t->name),
                 (unsigned long long)*n, *n == 1 ? "" : "s");
    }
    return st;
}

/* The source's key finds a row if the target writes all of it. */
static void
choose_key(struct target *t)
{
    bool whole = t->table->nkey > 0;

    for (size_t i = 0; i < t->table->nkey; i++) {
        whole = whole && t->columns[t->table->key[i]].data;
    }
    t->nkey = whole ? t->table->nkey : 0;
    for (size_t i = 0; i < t->nkey; i++) {
        t->key[i] = t->table->key[i];
    }
}

/* `told`: the server knows of its keys; it is asked in table() only. */
static enum weir_status
read_keys(struct sink *s, struct target *t, const struct place *p, bool told,
          struct weir_err *err)
{
    const uint64_t   statements = family_statements(s->family, false);
    size_t           nkeys = 0, nforeign = 0;
    uint64_t         ntriggers = 0, ncascades = 0;
    enum weir_status st = read_unique(s, t, p, told, &nkeys, err);

    if (st == WEIR_OK) {
        st = read_foreign(s, t, p, told, &nforeign, err);
    }
    if (st == WEIR_OK && nforeign > 0) {
        st = read_cascades(s, p, &ncascades, err);
    }
    if (st == WEIR_OK) {
        st = read_triggers(s, t, p, &ntriggers, err);
    }
    if (st == WEIR_OK && ncascades > 0 && !told) {
        tell_line(s, "cascades ", p->database);
    }
    if (st == WEIR_OK && ntriggers > 0 && !told) {
        tell_line(s, "triggers ", p->database);
    }
    if (st == WEIR_OK) {
        t->upsert = t->single && nkeys == 1;
        t->alone = t->upsert && nforeign == 0 && ntriggers == 0;
        t->statements = statements;
    }
    return st;
}

enum weir_status
target_refresh(struct sink *s, struct target *t, struct weir_err *err)
{
    struct place place;

    const enum weir_status st = find_place(s, t->table, &place, err);
    return st == WEIR_OK ? read_keys(s, t, &place, true, err) : st;
}

static enum weir_status
read_target(struct sink *s, struct target *t, const struct place *p,
            struct weir_err *err)
{
    enum weir_status st = read_columns(s, t, p, err);

    if (st == WEIR_OK) {
        st = check_engine(s, t, p, err);
    }
    if (st == WEIR_OK) {
        choose_key(t);
        st = read_keys(s, t, p, false, err);
    }
    return st;
}

static bool
name_target(struct target *t, const struct place *p)
{
    struct text name = { 0 };

    text_name(&name, p->database);
    text_put(&name, ".");
    text_name(&name, p->table);
    t->name = (struct weir_str){ name.data, name.len };
    return !name.failed;
}

/* Two tables of the source that go to one of the target share its number. */
static void
number_target(struct sink *s, struct target *t)
{
    for (const struct target *o = s->targets; o && t->id == 0; o = o->next) {
        if (o->name.len == t->name.len &&
            memcmp(o->name.data, t->name.data, t->name.len) == 0) {
            t->id = o->id;
        }
    }
    if (t->id == 0) {
        t->id = ++s->ntargets;
    }
    t->next = s->targets;
    s->targets = t;
}

enum weir_status
target_new(struct sink *s, const struct weir_table *table, struct target **out,
           struct weir_err *err)
{
    const size_t   n = table->ncolumns;
    struct place   place;
    struct target *t = calloc(1, sizeof *t);

    if (!t) {
        return weir_fail(err, WEIR_RETRY, "%s: no memory", s->where);
    }
    t->table = table;
    t->columns = calloc(n + 1, sizeof *t->columns);
    t->compared = calloc(n + 1, sizeof *t->compared);
    t->key = calloc(table->nkey + 1, sizeof *t->key);
    enum weir_status st = find_place(s, table, &place, err);
    if (st == WEIR_OK && (!t->columns || !t->compared || !t->key ||
                          !name_target(t, &place))) {
        st = weir_fail(err, WEIR_RETRY, "%s: no memory", s->where);
    }
    if (st == WEIR_OK) {
        number_target(s, t);
        st = link_open(s, err);
    }
    if (st == WEIR_OK) {
        st = read_target(s, t, &place, err);
    }
    if (st != WEIR_OK) {
        target_free(s, t);
        return st;
    }
    *out = t;
    return WEIR_OK;
}

void
target_free(struct sink *s, struct target *t)
{
    if (!t) {
        return;
    }
    for (struct target **p = &s->targets; *p; p = &(*p)->next) {
        if (*p == t) {
            *p = t->next;
            break;
        }
    }
    for (size_t i = 0; t->columns && i < t->table->ncolumns; i++) {
        free((char *)t->columns[i].data);
    }
    free(t->columns);
    free(t->compared);
    free(t->key);
    free((char *)t->name.data);
    free(t);
}
