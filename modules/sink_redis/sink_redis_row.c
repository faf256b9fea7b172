/* sink_redis_row.c - see sink_redis_row.h. */
#include "sink_redis_row.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_VALUE = 512 << 20 }; /* proto-max-bulk-len's default */

struct row_table *
row_table_new(const struct weir_table *table, const char *null, int64_t ttl)
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
    *t = (struct row_table){ .table = table,
                             .ncolumns = n,
                             .null = { null, null ? strlen(null) : 0 },
                             .least = null ? WEIR_NULL : WEIR_NULL + 1,
                             .ttl = ttl };
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
    if (text.len >= ROW_LARGE) {
        st = wire_send(w, text, err);
    } else {
        wire_add(w, text.data, text.len);
    }
    wire_literal(w, "\r\n");
    return st;
}

static enum weir_status
add_value(struct weir_instance *in, struct wire *w, const struct row_table *t,
          size_t column, const struct weir_value *v, struct weir_err *err)
{
    switch (v->type) {
    case WEIR_NULL:
        return add_text(w, t->null, err);
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
        return add_text(w, weir_text(in, t->table->columns[column], v), err);
    }
}

static bool
is_text(const struct weir_value *v)
{
    return v->type == WEIR_TEXT || v->type == WEIR_BYTES ||
           v->type == WEIR_JSON || v->type == WEIR_DECIMAL;
}

/* *there and *nulls: how many are to be set, and to be removed. */
static enum weir_status
count_values(const struct row_table *t, const struct weir_value *values,
             size_t *there, size_t *nulls, struct weir_err *err)
{
    *there = *nulls = 0;
    for (size_t i = 0; i < t->ncolumns; i++) {
        *there += values[i].type >= t->least;
        *nulls += values[i].type == WEIR_NULL && t->least > WEIR_NULL;
        if (is_text(&values[i]) && values[i].s.len > MAX_VALUE) {
            const struct weir_str name = t->table->columns[i]->name;
            return weir_fail(err, WEIR_REJECT,
                             "column %.*s has %zu bytes; Redis takes no value "
                             "of more than 512 MiB",
                             (int)name.len, name.data, values[i].s.len);
        }
    }
    return WEIR_OK;
}

static void
add_ttl(struct wire *w, struct weir_str key, int64_t ttl)
{
    wire_literal(w, "*3\r\n$7\r\nPEXPIRE\r\n");
    wire_word(w, key);
    add_integer(w, false, (uint64_t)ttl);
}

enum weir_status
row_store(struct weir_instance *in, struct wire *w, const struct row_table *t,
          struct weir_str key, const struct weir_value *values,
          size_t *ncommands, struct weir_err *err)
{
    size_t           there, nulls;
    enum weir_status st = count_values(t, values, &there, &nulls, err);

    if (st == WEIR_OK && there) {
        wire_head(w, '*', 2 + 2 * there);
        wire_literal(w, "$4\r\nHSET\r\n");
        wire_word(w, key);
        for (size_t i = 0; i < t->ncolumns && st == WEIR_OK; i++) {
            if (values[i].type >= t->least) {
                wire_add(w, t->words[i].data, t->words[i].len);
                st = add_value(in, w, t, i, &values[i], err);
            }
        }
        ++*ncommands;
    }
    if (st == WEIR_OK && nulls) {
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
    if (st == WEIR_OK && there && t->ttl) {
        add_ttl(w, key, t->ttl);
        ++*ncommands;
    }
    return st;
}

static void
set_head(struct wire *w, const struct row_table *t, struct weir_str key,
         size_t *ncommands)
{
    wire_head(w, '*', t->ttl ? 5 : 3);
    wire_literal(w, "$3\r\nSET\r\n");
    wire_word(w, key);
    ++*ncommands;
}

static void
set_tail(struct wire *w, const struct row_table *t)
{
    if (t->ttl) {
        wire_literal(w, "$2\r\nPX\r\n");
        add_integer(w, false, (uint64_t)t->ttl);
    }
}

enum weir_status
row_set(struct wire *w, const struct row_table *t, struct weir_str key,
        struct weir_str value, size_t *ncommands, struct weir_err *err)
{
    if (value.len > MAX_VALUE) {
        return weir_fail(err, WEIR_REJECT,
                         "the row is %zu bytes of JSON; Redis takes no value "
                         "of more than 512 MiB",
                         value.len);
    }
    set_head(w, t, key, ncommands);
    const enum weir_status st = add_text(w, value, err);
    set_tail(w, t);
    return st;
}

enum weir_status
row_set_column(struct weir_instance *in, struct wire *w,
               const struct row_table *t, struct weir_str key,
               const struct weir_value *value, size_t *ncommands,
               struct weir_err *err)
{
    if (value->type < t->least) {
        row_remove(w, key, ncommands);
        return WEIR_OK;
    }
    if (is_text(value) && value->s.len > MAX_VALUE) {
        return weir_fail(err, WEIR_REJECT,
                         "the value has %zu bytes; Redis takes none of more "
                         "than 512 MiB",
                         value->s.len);
    }
    set_head(w, t, key, ncommands);
    const enum weir_status st = add_value(in, w, t, t->column, value, err);
    set_tail(w, t);
    return st;
}

void
row_remove(struct wire *w, struct weir_str key, size_t *ncommands)
{
    wire_literal(w, "*2\r\n$3\r\nDEL\r\n");
    wire_word(w, key);
    ++*ncommands;
}
