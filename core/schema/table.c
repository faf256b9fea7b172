/*
 * table.c - a TABLE_MAP, and a definition where there is one, become a table:
 * column by column first what the log says, then what the definition adds,
 * then what follows from both.  What was read is not trusted more than the
 * bytes that it came in.
 */
#include "schema/table.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/str.h"
#include "binlog/table_map.h"
#include "binlog/value.h"
#include "schema/table_maker.h"

enum weir_status
maker_fail(const struct maker *m, const char *what)
{
    return weir_fail(m->err, WEIR_REJECT, "table %.*s.%.*s: %s",
                     STR_ARG(m->map->schema), STR_ARG(m->map->name), what);
}

enum weir_status
maker_column_fail(const struct maker *m, uint32_t i, const char *what)
{
    return weir_fail(m->err, WEIR_REJECT,
                     "table %.*s.%.*s, column %u (%.*s): %s",
                     STR_ARG(m->map->schema), STR_ARG(m->map->name), i + 1,
                     STR_ARG(m->pub[i].name), what);
}

bool
table_map_is_full(const struct binlog_table_map *map)
{
    struct optional opt;

    return optional_parse(map, &opt) && opt.names.data;
}

/* UUID and INET6 are logged as BINARY(16), INET4 as BINARY(4), JSON as LONGTEXT
 * of utf8mb4_bin, and VECTOR, which 11.7 brought, as VARBINARY of 4 bytes each
 * (MariaDB sql/log_event_server.cc, Table_map_log_event). */
bool
table_may_hide(const struct table *t, const char *server_version)
{
    char *rest;

    if (t->flavour != FLAVOUR_MARIADB) {
        return false;
    }
    const unsigned long major = strtoul(server_version, &rest, 10);
    const unsigned long minor = *rest == '.' ? strtoul(rest + 1, NULL, 10) : 0;
    const bool has_vectors = major > 11 || (major == 11 && minor >= 7);
    for (uint32_t i = 0; i < t->pub.ncolumns; i++) {
        const struct binlog_column *c = &t->columns[i];
        const bool binary = c->text == TEXT_BINARY;
        if ((c->type == COLUMN_STRING && binary &&
             (c->meta == 16 || c->meta == 4)) ||
            (c->type == COLUMN_BLOB && c->length_size == 4 &&
             str_is(t->pub.columns[i]->collation, "utf8mb4_bin")) ||
            (c->type == COLUMN_VARCHAR && binary && has_vectors &&
             c->meta > 0 && c->meta % 4 == 0)) {
            return true;
        }
    }
    return false;
}

bool
is_numeric(uint8_t type)
{
    switch (type) {
    case COLUMN_TINY:
    case COLUMN_SHORT:
    case COLUMN_INT24:
    case COLUMN_LONG:
    case COLUMN_LONGLONG:
    case COLUMN_DECIMAL:
    case COLUMN_FLOAT:
    case COLUMN_DOUBLE:
    case COLUMN_YEAR:
        return true;
    default:
        return false;
    }
}

bool
is_member(uint8_t type)
{
    return type == COLUMN_ENUM || type == COLUMN_SET;
}

static bool
is_old_time(uint8_t type)
{
    return type == COLUMN_TIME || type == COLUMN_DATETIME ||
           type == COLUMN_TIMESTAMP;
}

bool
table_is_untold(const struct table *t)
{
    for (uint32_t i = 0; i < t->pub.ncolumns; i++) {
        if (is_old_time(t->columns[i].type) && t->columns[i].unsupported) {
            return true;
        }
    }
    return false;
}

/* ---- What follows */

/* Field_timef's older brothers (mysql56_temporal_format=OFF) have fractions of
 * a length that only the table knows (MariaDB sql/field.h, Field_*_hires). */
static void
finish_old_time(const struct maker *m, struct binlog_column *c,
                const struct told *told)
{
    if (m->flavour == FLAVOUR_MYSQL) {
        return;
    }
    if (told->type.base.len > 0 && told->type.first <= 6) {
        c->meta = (uint16_t)told->type.first;
        c->size = (uint8_t)time_old_bytes(c->type, c->meta);
        return;
    }
    c->size = 0;
    c->unsupported =
        "it is a time in MariaDB's old format, and how many digits its "
        "fraction has, the log doesn't say: ALTER TABLE ... FORCE with "
        "mysql56_temporal_format=ON brings the new one";
}

static void
finish_text(struct maker *m, uint32_t i)
{
    struct binlog_column *c = &m->columns[i];
    const struct told    *told = &m->told[i];
    const unsigned maxlen = told->charset_told ? told->charset.maxlen : 0;

    c->text = told->charset_told ? told->charset.text : TEXT_UNTOLD;
    c->coder = told->charset.coder;
    c->out = c->text == TEXT_BINARY ? WEIR_BYTES : WEIR_TEXT;
    if (c->text == TEXT_UNKNOWN) {
        c->unsupported = arena_printf(
            m->a, "its charset, %.*s, is not known here",
            STR_ARG(told->charset.name.len > 0 ? told->charset.name
                                               : STR("of an unknown number")));
    }
    if (c->type == COLUMN_STRING && c->text == TEXT_BINARY) {
        c->pad = c->meta;
    }
    if (c->special != SPECIAL_NONE) {
        c->out = WEIR_TEXT;
    } else if (c->type == COLUMN_BLOB && str_is(told->type.base, "json")) {
        c->out = WEIR_JSON;
    }
    m->pub[i].collation =
        c->text == TEXT_BINARY ? (struct weir_str){ 0 } : told->collation;
    if (c->type == COLUMN_BLOB || c->type == COLUMN_BLOB_COMPRESSED) {
        m->pub[i].length = (uint32_t)((UINT64_C(1) << 8 * c->length_size) - 1);
    } else {
        const unsigned head = c->type == COLUMN_VARCHAR_COMPRESSED && c->meta;
        m->pub[i].length = (c->meta - head) / (maxlen > 1 ? maxlen : 1);
    }
}

static void
finish_members(struct maker *m, uint32_t i)
{
    struct binlog_column *c = &m->columns[i];

    m->pub[i].facets |= c->type == COLUMN_ENUM ? WEIR_ENUM : WEIR_SET;
    m->pub[i].collation = m->told[i].collation;
    m->pub[i].nmembers = c->nmembers;
    m->pub[i].members = c->members;
    c->out = c->nmembers > 0 ? WEIR_TEXT : WEIR_UINT;
}

static void
finish_value(struct maker *m, uint32_t i)
{
    struct binlog_column *c = &m->columns[i];
    struct weir_column   *pub = &m->pub[i];

    switch (c->type) {
    case COLUMN_FLOAT:
        pub->facets |= WEIR_FLOAT;
        c->out = WEIR_DOUBLE;
        break;
    case COLUMN_DOUBLE:
        c->out = WEIR_DOUBLE;
        break;
    case COLUMN_DECIMAL:
        c->out = WEIR_DECIMAL;
        pub->length = c->meta >> 8;
        pub->scale = c->meta & 255;
        break;
    case COLUMN_BIT:
        c->out = WEIR_UINT;
        pub->length = c->meta;
        break;
    case COLUMN_YEAR: /* the log calls it unsigned */
        c->is_unsigned = false;
        c->out = WEIR_INT;
        break;
    case COLUMN_ENUM:
    case COLUMN_SET:
        finish_members(m, i);
        break;
    case COLUMN_JSON:
        c->out = WEIR_JSON;
        break;
    case COLUMN_GEOMETRY:
    case COLUMN_VECTOR:
        c->out = WEIR_BYTES;
        c->text = TEXT_BINARY;
        break;
    default:
        c->out = c->is_unsigned ? WEIR_UINT : WEIR_INT;
    }
}

/* False: it is not a time. */
static bool
finish_time(struct maker *m, uint32_t i)
{
    struct binlog_column *c = &m->columns[i];

    switch (c->type) {
    case COLUMN_DATE:
        c->out = WEIR_DATE;
        return true;
    case COLUMN_TIME:
    case COLUMN_TIME2:
        c->out = WEIR_TIME;
        break;
    case COLUMN_DATETIME:
    case COLUMN_DATETIME2:
        c->out = WEIR_DATETIME;
        break;
    case COLUMN_TIMESTAMP:
    case COLUMN_TIMESTAMP2:
        c->out = WEIR_TIMESTAMP;
        break;
    default:
        return false;
    }
    if (is_old_time(c->type)) {
        finish_old_time(m, c, &m->told[i]);
    }
    m->pub[i].scale = c->meta;
    return true;
}

static void
finish_column(struct maker *m, uint32_t i)
{
    struct binlog_column *c = &m->columns[i];
    struct weir_column   *pub = &m->pub[i];

    switch (c->type) {
    case COLUMN_STRING:
    case COLUMN_VAR_STRING:
    case COLUMN_VARCHAR:
    case COLUMN_VARCHAR_COMPRESSED:
    case COLUMN_BLOB:
    case COLUMN_BLOB_COMPRESSED:
        finish_text(m, i);
        break;
    default:
        if (!finish_time(m, i)) {
            finish_value(m, i);
        }
    }
    pub->type = c->out;
    pub->facets |= (c->is_unsigned ? WEIR_UNSIGNED : 0u) |
                   (c->nullable ? 0u : WEIR_NOT_NULL);
    if (pub->sql_type.len == 0) {
        pub->sql_type = sql_type_of(
            m->a, c, m->told[i].charset_told ? m->told[i].charset.maxlen : 0,
            m->told[i].detail);
    }
}

/* ---- The key */
static enum weir_status
key_add(struct maker *m, struct weir_table *t, bool *used, uint32_t *key,
        uint64_t column)
{
    if (column >= m->n || used[column]) {
        return maker_fail(m, "its primary key names a column that is not "
                             "there, or one twice");
    }
    used[column] = true;
    key[t->nkey++] = (uint32_t)column;
    return WEIR_OK;
}

static enum weir_status
make_key(struct maker *m, struct weir_table *t)
{
    const bool            prefix = !m->opt.key.data;
    const struct weir_str log = prefix ? m->opt.key_with_prefix : m->opt.key;
    struct reader         r = reader_of(log.data, log.len);
    bool                 *used = arena_array(m->a, m->map->ncolumns, 1);
    uint32_t        *key = arena_array(m->a, m->map->ncolumns, sizeof *key);
    enum weir_status st = WEIR_OK;

    t->key = key;
    while (reader_left(&r) > 0 && st == WEIR_OK) {
        const uint64_t column = read_lenenc(&r);
        if (prefix) {
            read_lenenc(
                &r); /* so many characters of it are unique: so is all */
        }
        st = key_add(m, t, used, key, r.bad ? UINT64_MAX : column);
    }
    if (t->nkey > 0 || !m->def) {
        return st;
    }
    for (uint32_t i = 0; i < m->def->nkey && st == WEIR_OK; i++) {
        st = key_add(m, t, used, key, m->def->key[i]);
    }
    return st;
}

/* ---- Hidden columns */

/* MariaDB keeps a unique index over what is too long for an engine as one over
 * hashes, in columns that only its log shows, behind all others (MariaDB
 * sql/table.cc and sql/sql_table.cc, add_hash_field()). */
static bool
may_be_hash(const struct maker *m, uint32_t i)
{
    return m->flavour == FLAVOUR_MARIADB && i > 0 &&
           m->columns[i].type == COLUMN_LONGLONG;
}

static bool
may_be_long(const struct definition *def, const struct definition_key *index)
{
    static const char *const types[] = { "text", "blob", "char", "binary",
                                         "json" };

    for (uint32_t i = 0; index->unique && i < index->ncolumns; i++) {
        if (index->columns[i] >= def->ncolumns) {
            return false;
        }
        const struct weir_str type =
            def->columns[index->columns[i]].sql_type;
        for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
            if (memmem(type.data, type.len, types[k], strlen(types[k]))) {
                return true;
            }
        }
    }
    return false;
}

/* As many as the log has more than the definition, if there are indexes for
 * which they may be. */
static uint32_t
defined_hidden(const struct maker *m)
{
    uint32_t n = m->map->ncolumns, indexes = 0;

    if (!m->def || m->def->ncolumns >= n) {
        return 0;
    }
    for (uint32_t i = 0; i < m->def->nindexes; i++) {
        indexes += may_be_long(m->def, &m->def->indexes[i]);
    }
    while (n > m->def->ncolumns && may_be_hash(m, n - 1)) {
        n--;
    }
    const uint32_t hidden = m->map->ncolumns - n;
    const bool     fits = hidden <= indexes && hidden <= UINT8_MAX;
    return n == m->def->ncolumns && fits ? hidden : 0;
}

/* By the names that they have in the log. */
static uint32_t
named_hidden(const struct maker *m)
{
    static const char prefix[] = "DB_ROW_HASH_";
    uint32_t          n = m->map->ncolumns;

    while (n > 0 && may_be_hash(m, n - 1) && m->columns[n - 1].is_unsigned &&
           m->map->ncolumns - n < UINT8_MAX &&
           str_has_prefix(m->pub[n - 1].name, prefix)) {
        n--;
    }
    return m->map->ncolumns - n;
}

/* ---- All of it */
static enum weir_status
make_columns(struct maker *m)
{
    enum weir_status st = table_map_columns(m->map, m->columns, m->err);

    if (st == WEIR_OK && !optional_parse(m->map, &m->opt)) {
        st = maker_fail(m, "the log's metadata is malformed");
    }
    if (st == WEIR_OK) {
        m->n = m->map->ncolumns - defined_hidden(m);
    }
    if (st == WEIR_OK && m->def && m->def->ncolumns != m->n) {
        st = maker_fail(m, arena_printf(m->a,
                                        "the definition has %u columns and the "
                                        "log %u: the table was altered since",
                                        m->def->ncolumns, m->map->ncolumns));
    }
    if (st == WEIR_OK) {
        st = maker_read_log(m);
    }
    if (st == WEIR_OK && !m->def) {
        m->n -= named_hidden(m);
    }
    if (m->n > 0) {
        m->columns->hidden = (uint8_t)(m->map->ncolumns - m->n);
    }
    if (st == WEIR_OK) {
        st = maker_read_definition(m);
    }
    if (st != WEIR_OK) {
        return st;
    }
    for (uint32_t i = 0; i < m->map->ncolumns; i++) {
        finish_column(m, i);
    }
    return WEIR_OK;
}

enum weir_status
table_make(struct arena *a, enum binlog_flavour flavour,
           const struct binlog_table_map *map, const struct definition *def,
           const char *reason, struct table **out, struct weir_err *err)
{
    const uint32_t n = map->ncolumns;
    struct table  *t = arena_alloc(a, sizeof *t);
    struct maker   m = {
          .a = a, .map = map, .def = def, .flavour = flavour, .err = err
    };

    m.columns = arena_array(a, n, sizeof *m.columns);
    m.pub = arena_array(a, n, sizeof *m.pub);
    m.told = arena_array(a, n, sizeof *m.told);
    enum weir_status st = make_columns(&m);
    if (st == WEIR_OK) {
        st = make_key(&m, &t->pub);
    }
    if (st != WEIR_OK) {
        return st;
    }
    const struct weir_column **columns = arena_array(a, m.n, sizeof *columns);
    for (uint32_t i = 0; i < m.n; i++) {
        columns[i] = &m.pub[i];
    }
    t->pub.schema = arena_str(a, map->schema);
    t->pub.name = arena_str(a, map->name);
    t->pub.ncolumns = m.n;
    t->pub.columns = columns;
    t->columns = m.columns;
    t->flavour = flavour;
    t->names_known = m.opt.names.data || def;
    if (!t->names_known) {
        t->reason = arena_strdup(a, reason ? reason : "no reason was given");
    }
    *out = t;
    return WEIR_OK;
}

bool
table_fits(struct arena *a, enum binlog_flavour flavour,
           const struct binlog_table_map *map, const struct definition *def,
           struct weir_err *why)
{
    struct table *made;

    if (table_make(a, flavour, map, def, NULL, &made, why) != WEIR_OK) {
        return false;
    }
    for (uint32_t i = 0; i < made->pub.ncolumns; i++) {
        if (made->pub.columns[i]->type == WEIR_TEXT &&
            made->columns[i].text == TEXT_UNTOLD &&
            made->columns[i].special == SPECIAL_NONE &&
            !made->columns[i].members) {
            weir_fail(why, WEIR_REJECT, "the charset of column %.*s is not "
                      "known", STR_ARG(made->pub.columns[i]->name));
            return false;
        }
    }
    return true;
}
