/* sink_redis_row.c - see sink_redis_row.h. */
#include "sink_redis_row.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    LARGE = 1 << 18,       /* from here on a value is sent from where it is */
    MAX_VALUE = 512 << 20, /* proto-max-bulk-len's default */
};

struct row_table *
row_table_new(const struct weir_table *table)
{
    const size_t n = table->ncolumns;
    size_t       bytes = 0;

    for (size_t i = 0; i < n; i++) {
        bytes += table->columns[i]->name.len + 32;
    }
    struct row_table *t =
        malloc(sizeof *t + n * sizeof(struct weir_str) + bytes);
    if (!t) {
        return NULL;
    }
    t->table = table;
    t->ncolumns = n;
    t->words = (struct weir_str *)(t + 1);
    char *p = (char *)(t->words + n);
    for (size_t i = 0; i < n; i++) {
        const struct weir_str name = table->columns[i]->name;
        const int             head = snprintf(p, 32, "$%zu\r\n", name.len);
        memcpy(p + head, name.data, name.len);
        memcpy(p + head + name.len, "\r\n", 2);
        t->words[i] = (struct weir_str){ p, (size_t)head + name.len + 2 };
        p += t->words[i].len;
    }
    return t;
}

void
row_table_free(struct row_table *t)
{
    free(t);
}

void
row_merge(const struct row_table *t, const struct weir_value *before,
          const struct weir_value *after, struct weir_value *merged,
          bool *whole)
{
    *whole = true;
    for (size_t i = 0; i < t->ncolumns; i++) {
        merged[i] = after[i].type == WEIR_ABSENT ? before[i] : after[i];
        if (merged[i].type == WEIR_ABSENT) {
            *whole = false;
        }
    }
}

/* Writes the digits before `end`; gives where they begin. */
static char *
digits(char *end, uint64_t n)
{
    do {
        *--end = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    return end;
}

static void
add_integer(struct wire *w, bool negative, uint64_t magnitude)
{
    char  text[40];
    char *end = text + sizeof text;
    char *p;

    memcpy(end -= 2, "\r\n", 2);
    p = digits(end, magnitude);
    if (negative) {
        *--p = '-';
    }
    const size_t len = (size_t)(end - p);
    memcpy(p -= 2, "\r\n", 2);
    p = digits(p, len);
    *--p = '$';
    wire_add(w, p, (size_t)(text + sizeof text - p));
}

static enum weir_status
add_text(struct wire *w, struct weir_str text, struct weir_err *err)
{
    enum weir_status st = WEIR_OK;

    wire_head(w, '$', text.len);
    if (text.len >= LARGE) {
        st = wire_send(w, text, err);
    } else {
        wire_add(w, text.data, text.len);
    }
    wire_literal(w, "\r\n");
    return st;
}

static enum weir_status
add_value(struct weir_instance *in, struct wire *w,
          const struct weir_column *column, const struct weir_value *v,
          struct weir_err *err)
{
    switch (v->type) {
    case WEIR_INT:
        add_integer(w, v->i < 0,
                    v->i < 0 ? 0 - (uint64_t)v->i : (uint64_t)v->i);
        return WEIR_OK;
    case WEIR_UINT:
        add_integer(w, false, v->u);
        return WEIR_OK;
    case WEIR_DECIMAL:
    case WEIR_TEXT:
    case WEIR_BYTES:
    case WEIR_JSON:
        return add_text(w, v->s, err);
    default:
        return add_text(w, weir_text(in, column, v), err);
    }
}

static bool
is_text(const struct weir_value *v)
{
    return v->type == WEIR_TEXT || v->type == WEIR_BYTES ||
           v->type == WEIR_JSON || v->type == WEIR_DECIMAL;
}

enum weir_status
row_store(struct weir_instance *in, struct wire *w, const struct row_table *t,
          struct weir_str key, const struct weir_value *values,
          size_t *ncommands, struct weir_err *err)
{
    size_t           there = 0;
    size_t           nulls = 0;
    enum weir_status st = WEIR_OK;

    for (size_t i = 0; i < t->ncolumns; i++) {
        there += values[i].type > WEIR_NULL;
        nulls += values[i].type == WEIR_NULL;
        if (is_text(&values[i]) && values[i].s.len > MAX_VALUE) {
            const struct weir_str name = t->table->columns[i]->name;
            return weir_fail(err, WEIR_REJECT,
                             "column %.*s has %zu bytes; Redis takes no value "
                             "of more than 512 MiB",
                             (int)name.len, name.data, values[i].s.len);
        }
    }
    if (there) {
        wire_head(w, '*', 2 + 2 * there);
        wire_literal(w, "$4\r\nHSET\r\n");
        wire_word(w, key);
        for (size_t i = 0; i < t->ncolumns && st == WEIR_OK; i++) {
            if (values[i].type > WEIR_NULL) {
                wire_add(w, t->words[i].data, t->words[i].len);
                st = add_value(in, w, t->table->columns[i], &values[i], err);
            }
        }
        ++*ncommands;
    }
    if (nulls) {
        wire_head(w, '*', 2 + nulls);
        wire_literal(w, "$4\r\nHDEL\r\n");
        wire_word(w, key);
        for (size_t i = 0; i < t->ncolumns; i++) {
            if (values[i].type == WEIR_NULL) {
                wire_add(w, t->words[i].data, t->words[i].len);
            }
        }
        ++*ncommands;
    }
    return st;
}

void
row_remove(struct wire *w, struct weir_str key, size_t *ncommands)
{
    wire_literal(w, "*2\r\n$3\r\nDEL\r\n");
    wire_word(w, key);
    ++*ncommands;
}
