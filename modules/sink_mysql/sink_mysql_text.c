/*
 * sink_mysql_text.c - SQL text: names, quoted values.  The session has sql_mode
 * NO_BACKSLASH_ESCAPES and utf8mb4, so that a quote is the only byte with a
 * meaning inside of quotes.
 */
#include "sink_mysql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
text_free(struct text *t)
{
    free(t->data);
    *t = (struct text){ 0 };
}

static bool
make_room(struct text *t, size_t more)
{
    if (t->room - t->len >= more) {
        return true;
    }
    size_t room = t->room ? t->room : 4096;
    while (room - t->len < more) {
        room *= 2;
    }
    char *data = realloc(t->data, room);
    if (!data) {
        t->failed = true;
        return false;
    }
    t->data = data;
    t->room = room;
    return true;
}

void
text_add(struct text *t, const char *data, size_t len)
{
    if (len && make_room(t, len)) {
        memcpy(t->data + t->len, data, len);
        t->len += len;
    }
}

void
text_put(struct text *t, const char *literal)
{
    text_add(t, literal, strlen(literal));
}

void
text_u64(struct text *t, uint64_t n)
{
    char  digits[20];
    char *p = digits + sizeof digits;

    do {
        *--p = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    text_add(t, p, (size_t)(digits + sizeof digits - p));
}

/* Between two marks, each mark within it doubled. */
static void
add_marked(struct text *t, char mark, struct weir_str s)
{
    const char *p = s.data;
    const char *end = s.data + s.len;

    text_add(t, &mark, 1);
    while (p < end) {
        const char *hit = memchr(p, mark, (size_t)(end - p));
        if (!hit) {
            break;
        }
        text_add(t, p, (size_t)(hit + 1 - p));
        text_add(t, &mark, 1);
        p = hit + 1;
    }
    text_add(t, p, (size_t)(end - p));
    text_add(t, &mark, 1);
}

void
text_name(struct text *t, struct weir_str name)
{
    add_marked(t, '`', name);
}

void
text_quote(struct text *t, struct weir_str s)
{
    add_marked(t, '\'', s);
}

void
text_bytes(struct text *t, struct weir_str s)
{
    text_put(t, "_binary");
    text_quote(t, s);
}

/* The shortest form of the largest FLOAT is a little more than that is. */
#define NEARLY_FLT_MAX 3.4e38

/* An exponent makes it a DOUBLE for the server, not a DECIMAL of 65 digits.
 * All 17 digits of a FLOAT: it is compared as the double that it widens to. */
static void
add_double(struct text *t, struct weir_instance *in,
           const struct weir_column *c, const struct weir_value *v, bool exact)
{
    char digits[40];

    exact = exact || v->d > NEARLY_FLT_MAX || v->d < -NEARLY_FLT_MAX;
    if (exact && (c->facets & WEIR_FLOAT)) {
        snprintf(digits, sizeof digits, "%.16e", v->d);
        text_put(t, digits);
        return;
    }
    const struct weir_str s = weir_text(in, c, v);
    text_add(t, s.data, s.len);
    if (!memchr(s.data, 'e', s.len)) {
        text_put(t, "e0");
    }
}

void
text_plain(struct text *t, struct weir_instance *in,
           const struct weir_column *c, const struct weir_value *v, bool exact)
{
    struct weir_str s;

    switch (v->type) {
    case WEIR_NULL:
    case WEIR_ABSENT:
        text_put(t, "NULL");
        break;
    case WEIR_INT:
        if (v->i < 0) {
            text_put(t, "-");
        }
        text_u64(t, v->i < 0 ? 0 - (uint64_t)v->i : (uint64_t)v->i);
        break;
    case WEIR_UINT:
        text_u64(t, v->u);
        break;
    case WEIR_DECIMAL:
        text_add(t, v->s.data, v->s.len);
        break;
    case WEIR_DOUBLE:
        add_double(t, in, c, v, exact);
        break;
    case WEIR_TEXT:
    case WEIR_JSON:
        text_quote(t, v->s);
        break;
    case WEIR_BYTES:
        text_bytes(t, v->s);
        break;
    default: /* dates and times */
        s = weir_text(in, c, v);
        text_quote(t, s);
        break;
    }
}

struct weir_str
text_coded(struct weir_instance *in, const struct target *target,
           size_t column, const struct weir_value *v)
{
    return v->type == WEIR_TEXT && target->charsets[column].data
               ? weir_raw(in, target->table->columns[column], v)
               : (struct weir_str){ 0 };
}

bool
has_empty_member(const struct weir_column *c)
{
    for (size_t i = 0; i < c->nmembers; i++) {
        if (c->members[i].len == 0) {
            return true;
        }
    }
    return false;
}

bool
text_no_member(struct weir_instance *in, const struct target *target,
               size_t column, const struct weir_value *v)
{
    const struct weir_column *c = target->table->columns[column];

    return target->enums[column] && v->type == WEIR_TEXT && v->s.len == 0 &&
           (weir_raw(in, c, v).len > 0 || !has_empty_member(c));
}

void
text_value(struct text *t, struct weir_instance *in,
           const struct target *target, size_t column,
           const struct weir_value *v, bool exact)
{
    const struct weir_str coded = text_coded(in, target, column, v);

    if (text_no_member(in, target, column, v)) {
        text_put(t, "0");
        return;
    }
    if (!coded.data) {
        text_plain(t, in, target->table->columns[column], v, exact);
        return;
    }
    text_put(t, "_");
    text_add(t, target->charsets[column].data, target->charsets[column].len);
    text_quote(t, coded);
}
