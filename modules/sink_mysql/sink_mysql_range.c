/*
 * sink_mysql_range.c - many changed or deleted rows of one table by their key, a
 * whole number: they are locked and shown first, compared here, and then written
 * by position, so that the server neither parses a condition for each row nor
 * joins with a list.  What follows one another is a range, all else a list.
 * Says yes only to a row that is as it was by its text.
 */
#include "sink_mysql.h"

#include <string.h>

/* Below that, looking costs more than it saves. */
enum { FEWEST = 16, MOST = 1000 };

/* Sums and differences of such numbers fit in the server's own. */
#define LARGEST ((int64_t)1 << 62)

static bool
number_of(const struct weir_value *v, int64_t *n)
{
    if (v->type == WEIR_UINT && v->u < (uint64_t)LARGEST) {
        *n = (int64_t)v->u;
        return true;
    }
    if (v->type == WEIR_INT && v->i < LARGEST && v->i > -LARGEST) {
        *n = v->i;
        return true;
    }
    return false;
}

static const struct weir_value *
key_of(const struct row *r)
{
    const uint32_t k = r->t->key[0];

    return r->before ? &r->before[k] : &r->after[k];
}

int64_t
row_number(const struct row *r)
{
    int64_t n;

    return r->t->ranges && (r->before || r->after) && number_of(key_of(r), &n)
               ? n
               : 0;
}

/* ---- Which of them */

/* How many of them follow one another without a gap. */
static size_t
count_dense(const struct row *rows, size_t n)
{
    int64_t last, next;

    if (n == 0 || !number_of(key_of(rows), &last)) {
        return 0;
    }
    size_t i = 1;
    while (i < n && number_of(key_of(&rows[i]), &next) && next == last + 1) {
        last = next;
        i++;
    }
    return i;
}

/* How many are to go together: up to where a range would begin. */
static size_t
count_part(const struct row *rows, size_t n, bool *dense)
{
    size_t part = count_dense(rows, n);

    *dense = part >= FEWEST;
    while (!*dense && part < n) {
        const size_t more = count_dense(&rows[part], n - part);
        if (more == 0 || more >= FEWEST) {
            break;
        }
        part += more;
    }
    return part;
}

/* Can what changes be written as text? */
static bool
are_texts(const struct target *t, const bool *changes)
{
    for (size_t i = 0; i < t->table->ncolumns; i++) {
        if (changes[i] && t->shapes[i] < SHAPE_TEXT) {
            return false;
        }
    }
    return true;
}

/* ---- Statements */

static void
add_key(struct sink *s, struct text *sql, const struct row *r)
{
    text_value(sql, s->in, r->t, r->t->key[0], key_of(r), true);
}

static void
add_keys(struct sink *s, struct text *sql, const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        text_put(sql, i ? "," : "");
        add_key(s, sql, &rows[i]);
    }
}

static void
add_name(struct text *sql, const struct target *t, size_t i)
{
    text_add(sql, t->columns[i].data, t->columns[i].len);
}

/* By that index whatever else looks cheaper: reading a whole table would wait for
 * rows that other lanes have locked. */
static void
add_table(struct text *sql, const struct target *t)
{
    text_add(sql, t->name.data, t->name.len);
    text_put(sql, " FORCE INDEX (");
    text_add(sql, t->index.data, t->index.len);
    text_put(sql, ")");
}

/* A range locks the row behind it, which may be another lane's: so the last of
 * ours is none of it. */
static void
add_where(struct sink *s, struct text *sql, const struct row *rows, size_t n,
          bool dense)
{
    const struct target *t = rows->t;

    text_put(sql, " WHERE ");
    if (dense) {
        add_name(sql, t, t->key[0]);
        text_put(sql, " BETWEEN ");
        add_key(s, sql, rows);
        text_put(sql, " AND ");
        add_key(s, sql, &rows[n - 2]);
        text_put(sql, " OR ");
    }
    add_name(sql, t, t->key[0]);
    text_put(sql, " IN (");
    add_keys(s, sql, dense ? &rows[n - 1] : rows, dense ? 1 : n);
    text_put(sql, ")");
}

static bool
is_looked_at(const struct sink *s, const struct row *r, size_t i)
{
    return i != r->t->key[0] && row_compares(s, r, i);
}

static void
add_look(struct sink *s, const struct row *rows, size_t n, bool dense)
{
    const struct target *t = rows->t;
    struct text         *sql = rows_sql(s);

    text_put(sql, "SELECT ");
    add_name(sql, t, t->key[0]);
    for (size_t i = 0; i < t->table->ncolumns; i++) {
        if (is_looked_at(s, rows, i)) {
            text_put(sql, ",");
            add_name(sql, t, i);
        }
    }
    text_put(sql, " FROM ");
    add_table(sql, t);
    add_where(s, sql, rows, n, dense);
    text_put(sql, " ORDER BY ");
    add_name(sql, t, t->key[0]);
    text_put(sql, " FOR UPDATE");
}

/* The value of each row by its position, which ELT() counts from 1. */
static void
add_values(struct sink *s, struct text *sql, const struct row *rows, size_t n,
           size_t column, bool dense)
{
    const struct target *t = rows->t;

    text_put(sql, dense ? "ELT(" : "ELT(INTERVAL(");
    add_name(sql, t, t->key[0]);
    text_put(sql, dense ? "-(" : ",");
    add_keys(s, sql, rows, dense ? 1 : n);
    text_put(sql, dense ? ")+1" : ")");
    for (size_t i = 0; i < n; i++) {
        text_put(sql, ",");
        text_value(sql, s->in, t, column, &rows[i].after[column], false);
    }
    text_put(sql, ")");
}

/* What is `renewed` by itself stays as it is; where nothing changes, all do. */
static void
add_sets(struct sink *s, struct text *sql, const struct row *rows, size_t n,
         const bool *changes, bool dense)
{
    const struct target *t = rows->t;
    const char          *comma = " SET ";

    for (size_t i = 0; i < t->table->ncolumns; i++) {
        if (changes[i] || (t->columns[i].data && t->renewed[i])) {
            text_put(sql, comma);
            add_name(sql, t, i);
            text_put(sql, "=");
            if (changes[i]) {
                add_values(s, sql, rows, n, i, dense);
            } else {
                add_name(sql, t, i);
            }
            comma = ",";
        }
    }
    if (*comma != ',') {
        text_put(sql, comma);
        add_name(sql, t, t->key[0]);
        text_put(sql, "=");
        add_name(sql, t, t->key[0]);
    }
}

static void
add_write(struct sink *s, const struct row *rows, size_t n,
          const bool *changes, bool dense)
{
    const struct target *t = rows->t;
    struct text         *sql = rows_sql(s);

    if (rows->after) {
        text_put(sql, "UPDATE ");
        add_table(sql, t);
        add_sets(s, sql, rows, n, changes, dense);
    } else { /* of one table, it takes no index to be forced */
        text_put(sql, "DELETE FROM ");
        text_add(sql, t->name.data, t->name.len);
        text_put(sql, " USING ");
        add_table(sql, t);
    }
    add_where(s, sql, rows, n, dense);
}

enum weir_status
rows_range(struct sink *s, const struct row *rows, size_t n, size_t *written,
           struct weir_err *err)
{
    const struct target *t = rows->t;
    bool                 dense;

    *written = 0;
    if (!t->ranges || row_by_key_only(s, rows) ||
        !row_goes_with(s, rows, rows)) {
        return WEIR_OK;
    }
    n = count_part(rows, n < MOST ? n : MOST, &dense);
    bool *changes = row_flags(s, t);
    n = n < FEWEST ? 0 : rows_count(s, rows, n, changes);
    if (n < FEWEST || !are_texts(t, changes)) {
        return WEIR_OK;
    }
    *written = n;
    s->looked = t->id;
    add_look(s, rows, n, dense);
    const enum weir_status st = script_end_look(s, rows, n, err);
    if (st != WEIR_OK) {
        return st;
    }
    add_write(s, rows, n, changes, dense);
    return script_end(s, (int64_t)n, err);
}

/* ---- What there is */

/* "1.50" is 1.5, and a time without its fraction has none. */
static struct weir_str
without_zeros(struct weir_str s)
{
    if (s.len > 0 && memchr(s.data, '.', s.len)) {
        while (s.data[s.len - 1] == '0') {
            s.len--;
        }
        s.len -= s.data[s.len - 1] == '.';
    }
    return s;
}

static bool
is_number(struct weir_str cell, const struct weir_value *v)
{
    const bool     minus = cell.len > 0 && cell.data[0] == '-';
    const uint64_t want = v->type == WEIR_UINT ? v->u
                          : v->i < 0           ? 0 - (uint64_t)v->i
                                               : (uint64_t)v->i;
    uint64_t       n = 0;

    for (size_t i = minus; i < cell.len; i++) {
        const unsigned digit = (unsigned char)cell.data[i] - '0';
        if (digit > 9 || n > (UINT64_MAX - digit) / 10) {
            return false;
        }
        n = n * 10 + digit;
    }
    return cell.len > minus && n == want &&
           minus == (v->type == WEIR_INT && v->i < 0);
}

static bool
is_value(struct sink *s, const struct result *r, unsigned i,
         const struct weir_column *c, const struct weir_value *v)
{
    const struct weir_str cell = result_str(r, i);

    if (i >= r->ncells || v->type == WEIR_NULL || result_null(r, i)) {
        return i < r->ncells && v->type == WEIR_NULL && result_null(r, i);
    }
    switch (v->type) {
    case WEIR_INT:
    case WEIR_UINT:
        return is_number(cell, v);
    case WEIR_TEXT:
    case WEIR_BYTES:
        return same_bytes(cell, v->s);
    case WEIR_DECIMAL:
        return same_bytes(without_zeros(cell), without_zeros(v->s));
    default: /* dates and times */
        return same_bytes(without_zeros(cell),
                       without_zeros(weir_text(s->in, c, v)));
    }
}

static bool
is_row(struct sink *s, const struct result *r, const struct row *row)
{
    const struct target *t = row->t;
    unsigned             cell = 1;

    if (!is_value(s, r, 0, t->table->columns[t->key[0]], key_of(row))) {
        return false;
    }
    for (size_t i = 0; i < t->table->ncolumns; i++) {
        if (is_looked_at(s, row, i) &&
            !is_value(s, r, cell++, t->table->columns[i], &row->before[i])) {
            return false;
        }
    }
    return true;
}

enum weir_status
rows_look(struct sink *s, struct result *r, const struct row *rows, size_t n,
          struct weir_err *err)
{
    size_t i = 0;

    while (result_next(r)) {
        if (i == n || !is_row(s, r, &rows[i++])) {
            i = n + 1;
            break;
        }
    }
    if (i == n) {
        return WEIR_OK;
    }
    return weir_fail(err, WEIR_REJECT, "%s: rows of %.*s are not as they were",
                     s->where, STR_ARG(rows->t->name));
}
