/*
 * sink_mysql_alike.c - which rows may be changed, or deleted, by one statement:
 * of the same columns, found by whole numbers, with no long values.  Knows no
 * statement.
 */
#include "sink_mysql.h"

#include <string.h>

/* A long value would take the server's temporary table to its disk. */
enum { MOST_TOGETHER = 1000, LONGEST_VALUE = 2048 };

static bool
is_short(const struct weir_value *v)
{
    switch (v->type) {
    case WEIR_TEXT:
    case WEIR_BYTES:
    case WEIR_JSON:
    case WEIR_DECIMAL:
        return v->s.len <= LONGEST_VALUE;
    default:
        return true;
    }
}

/* Text that a transform made stands in no list with other text of its
 * charset. */
static bool
is_listed(const struct sink *s, const struct target *t, size_t i,
          const struct weir_value *v)
{
    return !t->charsets[i].data || v->type != WEIR_TEXT ||
           text_coded(s->in, t, i, v).data;
}

static bool
is_whole_number(const struct weir_value *v)
{
    return v->type == WEIR_INT || v->type == WEIR_UINT;
}

bool
row_compares(const struct sink *s, const struct row *r, size_t i)
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

bool
row_goes_with(const struct sink *s, const struct row *first,
              const struct row *r)
{
    const struct target *t = r->t;

    for (size_t k = 0; k < t->nkey; k++) {
        if (!is_whole_number(&r->before[t->key[k]])) {
            return false;
        }
    }
    for (size_t i = 0; i < t->table->ncolumns; i++) {
        if (row_compares(s, r, i) != row_compares(s, first, i) ||
            is_set(r, i) != is_set(first, i) ||
            (row_compares(s, r, i) && !is_short(&r->before[i])) ||
            (is_set(r, i) && (!t->compared[i] || !is_short(&r->after[i]) ||
                              !is_listed(s, t, i, &r->after[i]))) ||
            (r->after && r->anew && t->columns[i].data && !is_set(r, i))) {
            return false;
        }
    }
    return true;
}

static size_t
value_size(const struct weir_value *v)
{
    return v->type == WEIR_TEXT || v->type == WEIR_BYTES ? v->s.len + 12 : 24;
}

size_t
rows_count(struct sink *s, const struct row *rows, size_t n, bool *changes)
{
    const struct target *t = rows->t;
    const size_t         limit = script_limit(s);
    size_t               size = 0, done = 0;

    for (; done < n && done < MOST_TOGETHER && size < limit; done++) {
        const struct row *r = &rows[done];
        if (!row_goes_with(s, rows, r)) {
            break;
        }
        for (size_t i = 0; i < t->table->ncolumns; i++) {
            size += row_compares(s, r, i) ? value_size(&r->before[i]) : 0;
            if (is_set(r, i) && row_sets(s, r, i)) {
                changes[i] = true;
            }
            size += is_set(r, i) && changes[i] ? value_size(&r->after[i]) : 0;
        }
    }
    return done;
}

bool *
row_flags(struct sink *s, const struct target *t)
{
    const size_t n = t->table->ncolumns + 1;
    bool        *flags = weir_alloc(s->in, n);

    memset(flags, 0, n);
    return flags;
}
