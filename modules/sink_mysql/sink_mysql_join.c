/*
 * sink_mysql_join.c - one UPDATE or DELETE for many rows: the target's table
 * joined with a list of values.  The server parses and plans once, not for each
 * row.  Only says yes where a row that it hits is one that the statement of
 * that row alone would hit; text is compared by its bytes, and what only the
 * target's collation takes for the same is left to sink_mysql_rows.c.
 */
#include "sink_mysql.h"

/* ---- The list of values: the key k0.., what was b0.., what is to be a0.. */

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
        if (row_compares(s, r, i)) {
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
        text_value(sql, s->in, t, t->key[k], &r->before[t->key[k]], true);
    }
    for (size_t i = 0; i < t->table->ncolumns; i++) {
        if (row_compares(s, r, i)) {
            text_put(sql, ",");
            if (r->before[i].type == WEIR_TEXT) {
                text_bytes(sql, r->before[i].s);
            } else {
                text_value(sql, s->in, t, i, &r->before[i], true);
            }
        }
        if (changes[i]) {
            text_put(sql, ",");
            text_value(sql, s->in, t, i, &r->after[i], true);
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
        if (!row_compares(s, rows, i)) {
            continue;
        }
        const bool text = is_text(rows, n, i);
        text_put(sql, text ? " AND CAST(CONVERT(" : " AND ");
        add_of_target(sql, rows, i);
        text_put(sql, text ? " USING utf8mb4) AS BINARY)<=>" : "<=>");
        add_label(sql, "v.", 'b', i);
    }
}

size_t
rows_join(struct sink *s, const struct row *rows, size_t n, int64_t *hits)
{
    const struct target *t = rows->t;

    if (!s->link.has_values || t->least < SHAPE_LISTED || rows->upsert ||
        !row_goes_with(s, rows, rows)) {
        return 0;
    }
    bool        *changes = row_flags(s, t);
    const size_t joined = rows_count(s, rows, n, changes);
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
