/*
 * sink_mysql_keys.c - which of a target's keys tie rows together: what may be
 * written in another order, or side by side.  Asked from information_schema.
 */
#include "sink_mysql.h"

#include <stdlib.h>
#include <string.h>

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
    const size_t i = name_column(t->table, ours);

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
            if (nkeys++ == 0) {
                free((char *)t->index.data);
                t->index = (struct weir_str){ 0 };
                (void)name_keep(result_str(r, 0), &t->index);
            }
        }
        const struct weir_str column = result_str(r, 2);
        conflict_column(&c, t, column, column);
        t->spread = t->spread || result_u64(r, 4) == 1;
        c.whole = c.whole || column.len == 0 || result_str(r, 3).len > 0;
    }
    t->single = t->single || (nkeys > 0 && is_the_key(t, &c));
    conflict_end(s, &c);
    text_free(&c.name);
    return nkeys;
}

/* Rows that a NULL leaves out of every unique key meet in what they are found by,
 * or if there is nothing of the kind, all of them. */
static void
tell_found_by(struct sink *s, const struct target *t, const struct place *p)
{
    struct conflict c = { .whole = t->nkey == 0 || t->nkey > 64 };

    text_put(&c.name, "found by ");
    text_name(&c.name, p->database);
    text_name(&c.name, p->table);
    for (size_t k = 0; !c.whole && k < t->nkey; k++) {
        c.columns[c.n++] = t->key[k];
    }
    conflict_end(s, &c);
    text_free(&c.name);
}

static enum weir_status
read_unique(struct sink *s, struct target *t, const struct place *p,
            bool told, size_t *nkeys, struct weir_err *err)
{
    struct result r;

    s->sql.len = 0;
    text_put(&s->sql, "SELECT INDEX_NAME, SEQ_IN_INDEX, COLUMN_NAME, SUB_PART, "
             "COLLATION = 'D' FROM information_schema.STATISTICS WHERE "
             "NON_UNIQUE = 0 AND ");
    place_where(s, "", p);
    text_put(&s->sql, " ORDER BY INDEX_NAME = 'PRIMARY' DESC, INDEX_NAME, "
             "SEQ_IN_INDEX");
    const enum weir_status st = place_ask(s, &r, err);
    if (st == WEIR_OK) {
        *nkeys = take_unique(s, t, p, told, &r);
        result_free(&r);
    }
    if (st == WEIR_OK && !t->single && !told) {
        tell_found_by(s, t, p);
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
        const bool ours = name_same(result_str(r, 5), p->table) &&
                          name_same(result_str(r, 6), p->database);
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
    place_where(s, "", p);
    text_put(&s->sql, ") OR (");
    place_where(s, "REFERENCED_", p);
    text_put(&s->sql, ")) ORDER BY TABLE_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, "
             "ORDINAL_POSITION");
    const enum weir_status st = place_ask(s, &r, err);
    if (st == WEIR_OK) {
        *n = take_foreign(s, t, p, told, &r);
        result_free(&r);
    }
    return st;
}

/* What a cascade or a trigger writes is in no row of ours: who may be hit by
 * one goes in line. */
static void
tell_line(struct sink *s, const char *what)
{
    struct conflict c = { .whole = true };

    text_put(&c.name, what);
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
    const enum weir_status st = place_ask(s, &r, err);
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
    place_name(s, &s->sql, "EVENT_OBJECT_", "SCHEMA", p->database);
    text_put(&s->sql, " AND ");
    place_name(s, &s->sql, "EVENT_OBJECT_", "TABLE", p->table);
    const enum weir_status st = place_ask(s, &r, err);
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

enum weir_status
keys_read(struct sink *s, struct target *t, const struct place *p, bool told,
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
        tell_line(s, "cascades");
    }
    if (st == WEIR_OK && ntriggers > 0 && !told) {
        tell_line(s, "triggers");
    }
    if (st == WEIR_OK) {
        t->upsert = t->single && nkeys == 1;
        t->alone = t->upsert && nforeign == 0 && ntriggers == 0;
        t->ranges = t->alone && t->least >= SHAPE_TEXT && t->nkey == 1 &&
                    t->shapes[t->key[0]] == SHAPE_INTEGER && t->index.data &&
                    !t->spread;
        t->statements = statements;
    }
    return st;
}
