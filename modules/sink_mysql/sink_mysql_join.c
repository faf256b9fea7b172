/*
 * sink_mysql_join.c - one UPDATE or DELETE for many rows: the target's table
 * joined with a list of values.  The server parses and plans once, not for each
 * row.  Only says yes where a row that it hits is one that the statement of
 * that row alone would hit; text is compared by its bytes, and what only the
 * target's collation takes for the same is left to sink_mysql_rows.c.
 */
#include "sink_mysql.h"

/* A long value would take the server's temporary table to its disk. */
enum { MOST_JOINED = 1000, LONGEST_JOINED = 2048 };

static bool
is_short(const struct weir_value *v)
{
    switch (v->type) {
    case WEIR_TEXT:
    case WEIR_BYTES:
    case WEIR_JSON:
    case WEIR_DECIMAL:
        return v->s.len <= LONGEST_JOINED;
    default:
        return true;
    }
}

static bool
is_whole_number(const struct weir_value *v)
{
    return v->type == WEIR_INT || v->type == WEIR_UINT;
}

static bool
is_compared(const struct sink *s, const struct row *r, size_t i)
{
    return r->t->columns[i].data && r->t->compared[i] &&
           r->before[i].type != WEIR_ABSENT && !row_by_key_only(s, r);
}

static bool
is_set(const struct row *r, size_t i)
{
    return r->after && r->t->columns[i].data &&
           r->after[i].type != WEIR_ABSENT;
}

/* Does the row go with the first one, and may it go this way at all? */
static bool
goes_with(const struct sink *s, const struct row *first, const struct row *r)
{
    const struct target *t = r->t;

    for (size_t k = 0; k < t->nkey; k++) {
        if (!is_whole_number(&r->before[t->key[k]])) {
            return false;
        }
    }
    for (size_t i = 0; i < t->table->ncolumns; i++) {
        if (is_compared(s, r, i) != is_compared(s, first, i) ||
            is_set(r, i) != is_set(first, i) ||
            (is_compared(s, r, i) && !is_short(&r->before[i])) ||
            (is_set(r, i) && (!t->compared[i] || !is_short(&r->after[i]))) ||
            (r->after && r->anew && t->columns[i].data && !is_set(r, i))) {
            return false;
        }
    }
    return true;
}

/* ---- The list of values: the key k0.., what was b0.., what is to be a0.. */

static size_t
value_size(const struct weir_value *v)
{
    return v->type == WEIR_TEXT || v->type == WEIR_BYTES ? v->s.len + 12 : 24;
}

/* How many rows there are room for, and which columns any of them changes. */
static size_t
count_rows(struct sink *s, const struct row *rows, size_t n, bool *changes)
{
    const struct target *t = rows->t;
    const size_t         limit = script_limit(s);
    size_t               size = 0, done = 0;

    for (; done < n && done < MOST_JOINED && size < limit; done++) {
        const struct row *r = &rows[done];
        if (!goes_with(s, rows, r)) {
            break;
        }
        for (size_t i = 0; i < t->table->ncolumns; i++) {
            size += is_compared(s, r, i) ? value_size(&r->before[i]) : 0;
            if (is_set(r, i) && row_sets(s, r, i)) {
                changes[i] = true;
            }
            size += is_set(r, i) && changes[i] ? value_size(&r->after[i]) : 0;
        }
    }
    return done;
}

static void
add_label(struct text *sql, const char *prefix, char kind, size_t i)
{
    text_put(sql, prefix);
    text_add(sql, &kind, 1);
    text_u64(sql, i);
}

static void
add_labels(struct sink *s, struct text *sql, const struct row *r,
           const bool *changes)
{
    for (size_t k = 0; k < r->t->nkey; k++) {
        add_label(sql, k ? "," : "", 'k', k);
    }
    for (size_t i = 0; i < r->t->table->ncolumns; i++) {
        if (is_compared(s, r, i)) {
            add_label(sql, ",", 'b', i);
        }
        if (changes[i]) {
            add_label(sql, ",", 'a', i);
        }
    }
}

static void
add_row(struct sink *s, struct text *sql, const struct row *r,
        const bool *changes)
{
    const struct target *t = r->t;

    text_put(sql, s->link.mariadb ? "(" : "ROW(");
    for (size_t k = 0; k < t->nkey; k++) {
        text_put(sql, k ? "," : "");
        text_value(sql, s->in, t->table->columns[t->key[k]],
                   &r->before[t->key[k]], true);
    }
    for (size_t i = 0; i < t->table->ncolumns; i++) {
        const struct weir_column *c = t->table->columns[i];
        if (is_compared(s, r, i)) {
            text_put(sql, ",");
            if (r->before[i].type == WEIR_TEXT) {
                text_bytes(sql, r->before[i].s);
            } else {
                text_value(sql, s->in, c, &r->before[i], true);
            }
        }
        if (changes[i]) {
            text_put(sql, ",");
            text_value(sql, s->in, c, &r->after[i], true);
        }
    }
    text_put(sql, ")");
}

/* ---- The statement around it */

static void
add_of_target(struct text *sql, const struct row *r, size_t i)
{
    text_add(sql, r->t->name.data, r->t->name.len);
    text_put(sql, ".");
    text_add(sql, r->t->columns[i].data, r->t->columns[i].len);
}

static void
add_sets(struct text *sql, const struct row *r, const bool *changes)
{
    const char *comma = "";
    size_t      any = 0;

    text_put(sql, " SET ");
    for (size_t i = 0; i < r->t->table->ncolumns; i++) {
        if (!r->t->columns[i].data) {
            continue;
        }
        any = i;
        if (changes[i] || r->t->renewed[i]) {
            text_put(sql, comma);
            add_of_target(sql, r, i);
            text_put(sql, "=");
            if (changes[i]) {
                add_label(sql, "v.", 'a', i);
            } else {
                add_of_target(sql, r, i);
            }
            comma = ",";
        }
    }
    if (*comma == '\0') { /* nothing changes: is it there? */
        add_of_target(sql, r, any);
        text_put(sql, "=");
        add_of_target(sql, r, any);
    }
}

/* What the values of the column are, NULLs aside, says how it compares. */
static bool
is_text(const struct row *rows, size_t n, size_t i)
{
    for (size_t r = 0; r < n; r++) {
        if (rows[r].before[i].type != WEIR_NULL) {
            return rows[r].before[i].type == WEIR_TEXT;
        }
    }
    return false;
}

static void
add_conditions(struct sink *s, struct text *sql, const struct row *rows,
               size_t n)
{
    const struct target *t = rows->t;

    for (size_t k = 0; k < t->nkey; k++) {
        text_put(sql, k ? " AND " : " WHERE ");
        add_of_target(sql, rows, t->key[k]);
        add_label(sql, "=v.", 'k', k);
    }
    for (size_t i = 0; i < t->table->ncolumns; i++) {
        if (!is_compared(s, rows, i)) {
            continue;
        }
        const bool text = is_text(rows, n, i);
        text_put(sql, text ? " AND CAST(CONVERT(" : " AND ");
        add_of_target(sql, rows, i);
        text_put(sql, text ? " USING utf8mb4) AS BINARY)<=>" : "<=>");
        add_label(sql, "v.", 'b', i);
    }
}

/* Room for one flag of each column. */
static bool *
flags_of(struct sink *s, size_t n)
{
    bool *flags = weir_alloc(s->in, n + 1);

    for (size_t i = 0; i <= n; i++) {
        flags[i] = false;
    }
    return flags;
}

size_t
rows_join(struct sink *s, const struct row *rows, size_t n, int64_t *hits)
{
    const struct target *t = rows->t;

    if (!s->link.has_values || !t->joins || rows->upsert ||
        !goes_with(s, rows, rows)) {
        return 0;
    }
    bool        *changes = flags_of(s, t->table->ncolumns);
    const size_t joined = count_rows(s, rows, n, changes);
    if (joined < 2) {
        return 0;
    }
    struct text *sql = rows_sql(s);
    text_put(sql, rows->after ? "UPDATE " : "DELETE FROM ");
    if (!rows->after) {
        text_add(sql, t->name.data, t->name.len);
        text_put(sql, " USING ");
    }
    text_put(sql, "(WITH w(");
    add_labels(s, sql, rows, changes);
    text_put(sql, ") AS (VALUES ");
    for (size_t i = 0; i < joined; i++) {
        text_put(sql, i ? "," : "");
        add_row(s, sql, &rows[i], changes);
    }
    text_put(sql, ") SELECT * FROM w) AS v STRAIGHT_JOIN ");
    text_add(sql, t->name.data, t->name.len);
    if (rows->after) {
        add_sets(sql, rows, changes);
    }
    add_conditions(s, sql, rows, joined);
    *hits = row_by_key_only(s, rows) ? ANY_ROWS : (int64_t)joined;
    return joined;
}
