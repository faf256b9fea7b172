/*
 * sink_mysql_target.c - the table that a table of the source goes to: its name,
 * which of its columns are written, and which of its keys tie rows together.
 * Asked from information_schema once per version of a table.
 */
#include "sink_mysql.h"

#include <stdlib.h>
#include <string.h>

/* ---- Names */

bool
name_same(struct weir_str a, struct weir_str b)
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
        !(name_same(p->database, table->schema) &&
          name_same(p->table, table->name))) {
        st = weir_fail(err, WEIR_REJECT, "ddl = apply: statements go to %.*s.%.*s"
                       ", and database and table say another place",
                       STR_ARG(table->schema), STR_ARG(table->name));
    }
    return st;
}

/* information_schema compares names as its collation does, where "T" is "t";
 * the plain comparison is what it looks tables up by. */
void
place_name(const struct sink *s, struct text *sql, const char *prefix,
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

void
place_where(struct sink *s, const char *prefix, const struct place *p)
{
    place_name(s, &s->sql, prefix, "TABLE_SCHEMA", p->database);
    text_put(&s->sql, " AND ");
    place_name(s, &s->sql, prefix, "TABLE_NAME", p->table);
}

enum weir_status
place_ask(struct sink *s, struct result *r, struct weir_err *err)
{
    return link_query(s, "information_schema",
                      (struct weir_str){ s->sql.data, s->sql.len }, r, err);
}

/* ---- Columns */

size_t
name_column(const struct weir_table *table, struct weir_str name)
{
    for (size_t i = 0; i < table->ncolumns; i++) {
        if (name_same(table->columns[i]->name, name)) {
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
        if (name_same(type, (struct weir_str){ never[i], strlen(never[i]) })) {
            return false;
        }
    }
    return true;
}

/* How a value in a list of values, or as text, is to such a column what it is
 * as a literal. */
static enum shape
shape_named(struct weir_str type)
{
    static const struct {
        const char *type;
        enum shape  shape;
    } shapes[] = {
        { "tinyint", SHAPE_INTEGER },  { "smallint", SHAPE_INTEGER },
        { "mediumint", SHAPE_INTEGER }, { "int", SHAPE_INTEGER },
        { "bigint", SHAPE_INTEGER },   { "decimal", SHAPE_TEXT },
        { "date", SHAPE_CODED },       { "datetime", SHAPE_CODED },
        { "timestamp", SHAPE_CODED },  { "time", SHAPE_CODED },
        { "char", SHAPE_TEXT },        { "varchar", SHAPE_TEXT },
        { "tinytext", SHAPE_TEXT },    { "text", SHAPE_TEXT },
        { "mediumtext", SHAPE_TEXT },  { "longtext", SHAPE_TEXT },
        { "binary", SHAPE_TEXT },      { "varbinary", SHAPE_TEXT },
        { "tinyblob", SHAPE_TEXT },    { "blob", SHAPE_TEXT },
        { "mediumblob", SHAPE_TEXT },  { "longblob", SHAPE_TEXT },
        { "enum", SHAPE_CODED },       { "set", SHAPE_CODED },
        { "float", SHAPE_LISTED },     { "double", SHAPE_LISTED },
        { "year", SHAPE_LISTED },      { "bit", SHAPE_LISTED },
    };

    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const char *name = shapes[i].type;
        if (name_same(type, (struct weir_str){ name, strlen(name) })) {
            return shapes[i].shape;
        }
    }
    return SHAPE_ODD;
}

static enum shape
shape_of(const struct weir_column *c, struct weir_str type)
{
    const enum shape shape = shape_named(type);

    switch (c->type) {
    case WEIR_DOUBLE: /* digits, and not the same ones */
        return shape < SHAPE_LISTED ? shape : SHAPE_LISTED;
    case WEIR_INT:
    case WEIR_UINT:
    case WEIR_DECIMAL: /* 10101 is a day of 2001, '10101' one of 2010 */
        return shape == SHAPE_CODED ? SHAPE_LISTED : shape;
    default:
        return shape == SHAPE_CODED ? SHAPE_TEXT : shape;
    }
}

/* The charset of both columns, if it is one of those where a text's code isn't
 * known by its UTF-8 (t/live/mysql-sink-codes.t: all codes of all charsets).
 * Others go as UTF-8, which says nothing that may be out of date. */
static struct weir_str
shared_charset(const struct weir_column *c, struct weir_str there)
{
    static const char *const several[] = { "armscii8", "big5",   "cp932",
                                           "eucjpms",  "sjis",   "tis620",
                                           "ujis" };

    for (size_t i = 0; i < sizeof several / sizeof *several; i++) {
        const struct weir_str name = { several[i], strlen(several[i]) };
        if (same_bytes(there, name) && c->collation.len > name.len &&
            memcmp(c->collation.data, name.data, name.len) == 0 &&
            c->collation.data[name.len] == '_') {
            return name;
        }
    }
    return (struct weir_str){ 0 };
}

bool
name_keep(struct weir_str name, struct weir_str *out)
{
    struct text t = { 0 };

    text_name(&t, name);
    *out = (struct weir_str){ t.data, t.len };
    return !t.failed;
}

static bool
is_in(struct weir_str text, const char *part)
{
    return strstr(text.data, part) != NULL; /* the library ends it by NUL */
}

static bool
is_generated(struct weir_str extra)
{
    return is_in(extra, "VIRTUAL GENERATED") ||
           is_in(extra, "STORED GENERATED") || is_in(extra, "PERSISTENT");
}

/* What the target would fill in by itself, without an error. */
static enum weir_status
check_filled(struct sink *s, const struct target *t, const struct result *r,
             const struct weir_column *c, struct weir_err *err)
{
    const struct weir_str name = result_str(r, 0), extra = result_str(r, 1);
    const bool not_null = result_u64(r, 3) == 1;

    if (!not_null || is_generated(extra)) {
        return WEIR_OK;
    }
    if (c && !(c->facets & WEIR_NOT_NULL) &&
        (is_in(extra, "auto_increment") ||
         (s->link.null_is_now && is_in(result_str(r, 2), "timestamp")))) {
        return weir_fail(err, WEIR_REJECT,
                         "%s: column %.*s of %.*s can be NULL on the source, "
                         "and there NULL would become a value of the target's "
                         "own: let it be NULL there, too", s->where,
                         STR_ARG(name), STR_ARG(t->name));
    }
    /* An ENUM has its first member then.  Of a table that is emptied it may be
     * that no column is known. */
    if (!c && t->table->ncolumns > 0 && result_u64(r, 4) == 1 &&
        !is_in(extra, "auto_increment") &&
        !name_same(result_str(r, 2), (struct weir_str){ "enum", 4 })) {
        return weir_fail(err, WEIR_REJECT,
                         "%s: %.*s has a column %.*s that the source has not, "
                         "and that is NOT NULL without a default: give it one",
                         s->where, STR_ARG(t->name), STR_ARG(name));
    }
    return WEIR_OK;
}

/* What the server computes itself can't be written. */
static enum weir_status
take_column(struct sink *s, struct target *t, const struct result *r,
            struct weir_err *err)
{
    const struct weir_str name = result_str(r, 0), extra = result_str(r, 1);
    const size_t          i = name_column(t->table, name);

    const enum weir_status st =
        check_filled(s, t, r, i == WEIR_NONE ? NULL : t->table->columns[i],
                     err);
    if (st != WEIR_OK || i == WEIR_NONE || t->columns[i].data) {
        return st;
    }
    if (is_generated(extra)) {
        t->columns[i].len = 1; /* known, and not written */
        return WEIR_OK;
    }
    const struct weir_column *c = t->table->columns[i];
    t->enums[i] = (c->facets & WEIR_ENUM) &&
                  name_same(result_str(r, 2), (struct weir_str){ "enum", 4 });
    t->charsets[i] = c->facets & (WEIR_ENUM | WEIR_SET)
                         ? (struct weir_str){ 0 }
                         : shared_charset(c, result_str(r, 5));
    t->compared[i] = can_compare(c, result_str(r, 2));
    t->renewed[i] = is_in(extra, "on update");
    t->shapes[i] = shape_of(c, result_str(r, 2));
    if (t->enums[i] && has_empty_member(c)) {
        t->shapes[i] = SHAPE_ODD; /* what is no member shows as '', too */
    }
    if (t->compared[i] && t->shapes[i] < t->least) {
        t->least = t->shapes[i];
    }
    return name_keep(name, &t->columns[i])
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
    text_put(&s->sql, "SELECT COLUMN_NAME, EXTRA, DATA_TYPE, "
             "IS_NULLABLE = 'NO', COLUMN_DEFAULT IS NULL, CHARACTER_SET_NAME "
             "FROM "
             "information_schema.COLUMNS WHERE ");
    place_where(s, "", p);
    enum weir_status st = place_ask(s, &r, err);
    for (; st == WEIR_OK && result_next(&r); n++) {
        st = take_column(s, t, &r, err);
    }
    result_free(&r);
    return st == WEIR_OK ? check_columns(s, t, n, err) : st;
}

/* What can't be rolled back can't be written once. */
static enum weir_status
check_engine(struct sink *s, struct target *t, const struct place *p,
             struct weir_err *err)
{
    struct result r;

    s->sql.len = 0;
    text_put(&s->sql, "SELECT TABLE_TYPE, ENGINE, (SELECT TRANSACTIONS FROM "
             "information_schema.ENGINES AS e WHERE e.ENGINE = t.ENGINE), "
             "CREATE_OPTIONS FROM information_schema.TABLES AS t WHERE ");
    place_where(s, "", p);
    enum weir_status st = place_ask(s, &r, err);
    if (st == WEIR_OK && result_next(&r)) {
        const struct weir_str engine = result_str(&r, 1);
        const struct weir_str can = result_str(&r, 2);
        t->spread = is_in(result_str(&r, 3), "partitioned");
        if (!name_same(can, (struct weir_str){ "YES", 3 })) {
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

enum weir_status
target_refresh(struct sink *s, struct target *t, struct weir_err *err)
{
    struct place place;

    const enum weir_status st = find_place(s, t->table, &place, err);
    return st == WEIR_OK ? keys_read(s, t, &place, true, err) : st;
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
        st = keys_read(s, t, p, false, err);
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
        if (same_bytes(o->name, t->name)) {
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
    t->charsets = calloc(n + 1, sizeof *t->charsets);
    t->enums = calloc(n + 1, sizeof *t->enums);
    t->compared = calloc(n + 1, sizeof *t->compared);
    t->renewed = calloc(n + 1, sizeof *t->renewed);
    t->least = SHAPE_TEXT;
    t->shapes = calloc(n + 1, sizeof *t->shapes);
    t->key = calloc(table->nkey + 1, sizeof *t->key);
    enum weir_status st = find_place(s, table, &place, err);
    if (st == WEIR_OK &&
        (!t->columns || !t->charsets || !t->enums || !t->compared ||
         !t->renewed || !t->shapes || !t->key || !name_target(t, &place))) {
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
    free(t->charsets);
    free(t->enums);
    free(t->compared);
    free(t->renewed);
    free(t->shapes);
    free((char *)t->index.data);
    free(t->key);
    free((char *)t->name.data);
    free(t);
}
