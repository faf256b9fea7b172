/*
 * sink_mysql_rows.c - the statements that write rows.  Knows one table at a
 * time; in which order they may be sent is decided elsewhere.
 */
#include "sink_mysql.h"

#include <stdlib.h>
#include <string.h>

/* Each of the rows found is compared with each OR. */
enum { MOST_ROWS = 1000, MOST_ORS = 40, MOST_KEYS = 1000 };

struct text *
rows_sql(struct sink *s)
{
    struct script *sc = &s->script;

    if (sc->text.len > 0) {
        text_put(&sc->text, ";");
    }
    return &sc->text;
}

static bool
is_written(const struct target *t, const struct weir_value *image, size_t i)
{
    return t->columns[i].data && image[i].type != WEIR_ABSENT;
}

/* ---- What is known of a row */

bool
rows_alike(const struct row *a, const struct row *b)
{
    if (a->t != b->t || a->upsert != b->upsert) {
        return false;
    }
    for (size_t i = 0; i < a->t->table->ncolumns; i++) {
        if ((a->after[i].type == WEIR_ABSENT) !=
            (b->after[i].type == WEIR_ABSENT)) {
            return false;
        }
    }
    return true;
}

bool
row_is_whole(const struct row *r)
{
    for (size_t i = 0; !r->anew && i < r->t->table->ncolumns; i++) {
        if (r->t->columns[i].data && r->after[i].type == WEIR_ABSENT) {
            return false;
        }
    }
    return true;
}

/* A strict session doesn't take them. */
unsigned
row_odd_enums(const struct sink *s, const struct row *r)
{
    unsigned n = 0;

    for (size_t i = 0; r->after && i < r->t->table->ncolumns; i++) {
        n += text_no_member(s->in, r->t, i, &r->after[i]);
    }
    return n;
}

/* Of column i of the row's table. */
static bool
same_value(const struct sink *s, const struct row *r, size_t i,
           const struct weir_value *a, const struct weir_value *b)
{
    if (a->type != b->type) {
        return false;
    }
    switch (a->type) {
    case WEIR_ABSENT:
    case WEIR_NULL:
        return true;
    case WEIR_INT:
        return a->i == b->i;
    case WEIR_UINT:
        return a->u == b->u;
    case WEIR_DOUBLE:
        return memcmp(&a->d, &b->d, sizeof a->d) == 0;
    case WEIR_DATE:
    case WEIR_TIME:
    case WEIR_DATETIME:
    case WEIR_TIMESTAMP:
        return a->t.year == b->t.year && a->t.month == b->t.month &&
               a->t.day == b->t.day && a->t.hour == b->t.hour &&
               a->t.minute == b->t.minute && a->t.second == b->t.second &&
               a->t.usec == b->t.usec && a->t.negative == b->t.negative;
    default:
        return same_bytes(a->s, b->s) &&
               text_no_member(s->in, r->t, i, a) ==
                   text_no_member(s->in, r->t, i, b) &&
               same_bytes(text_coded(s->in, r->t, i, a),
                          text_coded(s->in, r->t, i, b));
    }
}

bool
row_key_changed(const struct sink *s, const struct row *r)
{
    for (size_t i = 0; i < r->t->nkey; i++) {
        const uint32_t k = r->t->key[i];
        if (r->after[k].type != WEIR_ABSENT &&
            !same_value(s, r, k, &r->before[k], &r->after[k])) {
            return true;
        }
    }
    return false;
}

/* ---- Finding it */

static bool
is_key(const struct target *t, size_t i)
{
    for (size_t k = 0; k < t->nkey; k++) {
        if (t->key[k] == i) {
            return true;
        }
    }
    return false;
}

static const char hex_digits[] = "0123456789ABCDEF";

/* What has no comparison of its own, by its bytes; JSON by what it says. */
static void
add_match_odd(struct sink *s, struct text *sql, const struct target *t,
              size_t i, const struct weir_value *v)
{
    const struct weir_str name = t->columns[i];
    const bool            is_json = v->type != WEIR_BYTES;

    text_put(sql, is_json && s->link.mariadb ? "JSON_EQUALS(" :
                  is_json ? "" : "HEX(");
    text_add(sql, name.data, name.len);
    if (is_json) {
        text_put(sql, s->link.mariadb ? ", " : " = CAST(");
        text_value(sql, s->in, t, i, v, true);
        text_put(sql, s->link.mariadb ? ")" : " AS JSON)");
        return;
    }
    text_put(sql, ") = '");
    for (size_t k = 0; k < v->s.len; k++) {
        const unsigned char byte = (unsigned char)v->s.data[k];
        const char two[] = { hex_digits[byte >> 4], hex_digits[byte & 15] };
        text_add(sql, two, 2);
    }
    text_put(sql, "'");
}

/* Where other columns say which row it is: what was copied there as UTF-8 may
 * have another code of the same text. */
static void
add_match_coded(struct sink *s, struct text *sql, const struct target *t,
                size_t i, const struct weir_value *v)
{
    text_add(sql, t->columns[i].data, t->columns[i].len);
    text_put(sql, " IN (");
    text_plain(sql, s->in, t->table->columns[i], v, true);
    text_put(sql, ",");
    text_value(sql, s->in, t, i, v, true);
    text_put(sql, ")");
}

static void
add_match(struct sink *s, struct text *sql, const struct target *t,
          const struct weir_value *image, size_t i)
{
    if (!t->compared[i] && image[i].type != WEIR_NULL) {
        add_match_odd(s, sql, t, i, &image[i]);
        return;
    }
    if (t->nkey > 0 && !is_key(t, i) &&
        text_coded(s->in, t, i, &image[i]).data) {
        add_match_coded(s, sql, t, i, &image[i]);
        return;
    }
    text_add(sql, t->columns[i].data, t->columns[i].len);
    text_put(sql, image[i].type == WEIR_NULL ? " IS " : " = ");
    text_value(sql, s->in, t, i, &image[i], true);
    if (t->enums[i] && image[i].type == WEIR_TEXT && image[i].s.len == 0 &&
        !text_no_member(s->in, t, i, &image[i])) {
        text_put(sql, " AND "); /* the other one compares as '', too */
        text_add(sql, t->columns[i].data, t->columns[i].len);
        text_put(sql, " <> 0");
    }
}

/* By its key; in strict mode, and without a key, by all that is known of it,
 * where without a key even what compares badly has to tell rows apart. */
static void
add_find(struct sink *s, struct text *sql, const struct target *t,
         const struct weir_value *image, bool by_key_only)
{
    const char *and = "";

    for (size_t k = 0; k < t->nkey; k++) {
        text_put(sql, and);
        add_match(s, sql, t, image, t->key[k]);
        and = " AND ";
    }
    if (t->nkey > 0 && by_key_only) {
        return;
    }
    for (size_t i = 0; i < t->table->ncolumns; i++) {
        if (is_written(t, image, i) && !is_key(t, i) &&
            (t->compared[i] || t->nkey == 0)) {
            text_put(sql, and);
            add_match(s, sql, t, image, i);
            and = " AND ";
        }
    }
    if (*and == '\0') {
        text_put(sql, "FALSE"); /* nothing is known of it */
    }
}

bool
row_by_key_only(const struct sink *s, const struct row *r)
{
    return r->t->nkey > 0 &&
           (r->upsert || s->conf->conflict == CONFLICT_IDEMPOTENT);
}

/* ---- Statements */

static void
add_columns(struct text *sql, const struct row *r)
{
    const char *comma = "";

    for (size_t i = 0; i < r->t->table->ncolumns; i++) {
        if (is_written(r->t, r->after, i)) {
            text_put(sql, comma);
            text_add(sql, r->t->columns[i].data, r->t->columns[i].len);
            comma = ",";
        }
    }
}

static void
add_values(struct sink *s, struct text *sql, const struct row *r)
{
    const char *comma = "";

    for (size_t i = 0; i < r->t->table->ncolumns; i++) {
        if (is_written(r->t, r->after, i)) {
            text_put(sql, comma);
            text_value(sql, s->in, r->t, i, &r->after[i], false);
            comma = ",";
        }
    }
}

static void
add_upsert(struct text *sql, const struct row *r)
{
    const char *comma = " ON DUPLICATE KEY UPDATE ";

    /* VALUES() of one that is left out is its default. */
    for (size_t i = 0; i < r->t->table->ncolumns; i++) {
        const struct weir_str name = r->t->columns[i];
        if (name.data) {
            text_put(sql, comma);
            text_add(sql, name.data, name.len);
            text_put(sql, "=VALUES(");
            text_add(sql, name.data, name.len);
            text_put(sql, ")");
            comma = ",";
        }
    }
}

bool
row_has(const struct row *r, size_t i)
{
    return is_written(r->t, r->after, i);
}

static void
begin_insert(struct text *sql, const struct row *r)
{
    text_put(sql, "INSERT INTO ");
    text_add(sql, r->t->name.data, r->t->name.len);
    text_put(sql, " (");
    add_columns(sql, r);
    text_put(sql, ") VALUES ");
}

/* Bytes that are bound say nothing of their charset. */
static void
add_bound(struct text *sql, const struct target *t, size_t i, bool coded)
{
    text_put(sql, coded ? "CONVERT(? USING " : "?");
    if (coded) {
        text_add(sql, t->charsets[i].data, t->charsets[i].len);
        text_put(sql, ")");
    }
}

void
rows_bulk_sql(struct text *sql, const struct row *r, const bool *coded)
{
    const char *comma = "(";

    begin_insert(sql, r);
    for (size_t i = 0; i < r->t->table->ncolumns; i++) {
        if (row_has(r, i)) {
            text_put(sql, comma);
            add_bound(sql, r->t, i, coded[i]);
            comma = ",";
        }
    }
    text_put(sql, ")");
    if (r->upsert) {
        add_upsert(sql, r);
    }
}

size_t
rows_insert(struct sink *s, const struct row *rows, size_t n, int64_t *hits)
{
    struct text *sql = rows_sql(s);
    const size_t end = sql->len + script_limit(s);
    size_t       i = 0;

    begin_insert(sql, rows);
    while (i < n && i < MOST_ROWS && (i == 0 || sql->len < end)) {
        text_put(sql, i ? ",(" : "(");
        add_values(s, sql, &rows[i++]);
        text_put(sql, ")");
    }
    if (rows->upsert) {
        add_upsert(sql, rows);
    }
    *hits = rows->upsert ? ANY_ROWS : (int64_t)i;
    return i;
}

static bool
row_by_one_key(const struct sink *s, const struct row *r)
{
    return r->t->nkey == 1 && row_by_key_only(s, r) &&
           r->t->compared[r->t->key[0]] &&
           r->t->shapes[r->t->key[0]] > SHAPE_ODD &&
           r->before[r->t->key[0]].type != WEIR_NULL;
}

/* `key` IN (...) is a range, which the server reads faster than as many ORs. */
static size_t
add_keys(struct sink *s, struct text *sql, const struct row *rows, size_t n)
{
    const uint32_t k = rows->t->key[0];
    const size_t   end = sql->len + script_limit(s);
    size_t         i = 0;

    text_add(sql, rows->t->columns[k].data, rows->t->columns[k].len);
    text_put(sql, " IN (");
    while (i < n && i < MOST_KEYS && (i == 0 || sql->len < end) &&
           row_by_one_key(s, &rows[i])) {
        text_put(sql, i ? "," : "");
        text_value(sql, s->in, rows->t, k, &rows[i++].before[k], true);
    }
    text_put(sql, ")");
    return i;
}

static size_t
add_ors(struct sink *s, struct text *sql, const struct row *rows, size_t n)
{
    const size_t end = sql->len + script_limit(s);
    const size_t most = rows->t->nkey > 0 ? MOST_ORS : 1;
    size_t       i = 0;

    while (i < n && i < most && (i == 0 || sql->len < end)) {
        const struct row *r = &rows[i++];
        text_put(sql, i > 1 ? " OR (" : "(");
        add_find(s, sql, r->t, r->before, row_by_key_only(s, r));
        text_put(sql, ")");
    }
    if (rows->t->nkey == 0) {
        text_put(sql, " LIMIT 1");
    }
    return i;
}

size_t
rows_delete(struct sink *s, const struct row *rows, size_t n, int64_t *hits)
{
    struct text *sql = rows_sql(s);

    text_put(sql, "DELETE FROM ");
    text_add(sql, rows->t->name.data, rows->t->name.len);
    text_put(sql, " WHERE ");
    const size_t done = row_by_one_key(s, rows) ? add_keys(s, sql, rows, n)
                                                : add_ors(s, sql, rows, n);
    *hits = row_by_key_only(s, rows) || s->conf->conflict == CONFLICT_IDEMPOTENT
                ? ANY_ROWS
                : (int64_t)done;
    return done;
}

/* In strict mode what did not change needs no writing: it was compared. */
bool
row_sets(const struct sink *s, const struct row *r, size_t i)
{
    return is_written(r->t, r->after, i) &&
           (row_by_key_only(s, r) || !r->t->compared[i] || r->t->renewed[i] ||
            !same_value(s, r, i, &r->before[i], &r->after[i]));
}

static void
add_set(struct text *sql, const char **comma, struct weir_str name)
{
    text_put(sql, *comma);
    text_add(sql, name.data, name.len);
    text_put(sql, "=");
    *comma = ",";
}

static void
add_sets(struct sink *s, struct text *sql, const struct row *r)
{
    const char *comma = "";

    for (size_t i = 0; i < r->t->table->ncolumns; i++) {
        const struct weir_str name = r->t->columns[i];
        if (row_sets(s, r, i)) {
            add_set(sql, &comma, name);
            text_value(sql, s->in, r->t, i, &r->after[i], false);
        } else if (name.data && r->after[i].type == WEIR_ABSENT &&
                   (r->anew || r->t->renewed[i])) {
            add_set(sql, &comma, name);
            text_add(sql, r->anew ? "DEFAULT" : name.data,
                     r->anew ? strlen("DEFAULT") : name.len);
        }
    }
    for (size_t i = 0; *comma == '\0' && i < r->t->table->ncolumns; i++) {
        const struct weir_str name = r->t->columns[i];
        if (name.data) { /* nothing changes: is it there? */
            add_set(sql, &comma, name);
            text_add(sql, name.data, name.len);
        }
    }
}

void
row_update(struct sink *s, const struct row *r, int64_t *hits)
{
    struct text *sql = rows_sql(s);

    text_put(sql, "UPDATE ");
    text_add(sql, r->t->name.data, r->t->name.len);
    text_put(sql, " SET ");
    add_sets(s, sql, r);
    text_put(sql, " WHERE ");
    add_find(s, sql, r->t, r->before ? r->before : r->after,
             row_by_key_only(s, r));
    if (r->t->nkey == 0) {
        text_put(sql, " LIMIT 1");
    }
    *hits = row_by_key_only(s, r) ? ANY_ROWS : 1;
}

void
row_insert_missing(struct sink *s, const struct row *r, int64_t *hits)
{
    struct text *sql = rows_sql(s);

    text_put(sql, "INSERT INTO ");
    text_add(sql, r->t->name.data, r->t->name.len);
    text_put(sql, " (");
    add_columns(sql, r);
    text_put(sql, ") SELECT ");
    add_values(s, sql, r);
    text_put(sql, " FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM ");
    text_add(sql, r->t->name.data, r->t->name.len);
    text_put(sql, " WHERE ");
    add_find(s, sql, r->t, r->after, true);
    text_put(sql, ")");
    *hits = ANY_ROWS;
}

/* ---- For messages */

enum { SHOWN_VALUE = 40, SHOWN_ROW = 200 };

void
row_show(struct sink *s, const struct target *t,
         const struct weir_value *image, struct text *out)
{
    struct text one = { 0 };
    const char *comma = "";

    for (size_t i = 0; image && i < t->table->ncolumns; i++) {
        if (image[i].type == WEIR_ABSENT || out->len > SHOWN_ROW) {
            continue;
        }
        one.len = 0;
        text_plain(&one, s->in, t->table->columns[i], &image[i], false);
        text_put(out, comma);
        text_add(out, t->table->columns[i]->name.data,
                 t->table->columns[i]->name.len);
        text_put(out, "=");
        text_add(out, one.data, one.len < SHOWN_VALUE ? one.len : SHOWN_VALUE);
        if (one.len > SHOWN_VALUE) {
            text_put(out, "...");
        }
        comma = ", ";
    }
    text_free(&one);
}
