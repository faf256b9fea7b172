/* value.c - see value.h. */
#include "format/value.h"

#include <math.h>

#include "base/bytes.h"
#include "format/digits.h"
#include "format/format.h"
#include "format/json.h"
#include "format/shortest.h"
#include "format/wkt.h"

enum { WIDE = 32 }; /* names are copied this many bytes at a time */

_Static_assert((int)VALUE_ROOM >= (int)DIGITS_TIME + 4, "a quoted time fits");
_Static_assert((int)VALUE_ROOM >= (int)SHORTEST_ROOM, "a double fits");

static inline bool
is_zero_date(const struct weir_time *t)
{
    return t->year == 0 && t->month == 0 && t->day == 0;
}

/* "2024-00-00" is none either. */
static inline bool
is_a_day(const struct weir_time *t)
{
    return t->month != 0 && t->day != 0;
}

static char *
put_datetime(char *p, const struct weir_time *t, unsigned scale, char between)
{
    p = digits_date(p, t);
    *p++ = between;
    return digits_clock(p, t, scale);
}

/* An instant of time says that it is one; a zero date is none. */
static char *
put_timestamp(char *p, const struct weir_time *t, unsigned scale)
{
    if (is_zero_date(t)) {
        return put_datetime(p, t, scale, ' ');
    }
    p = put_datetime(p, t, scale, 'T');
    *p++ = 'Z';
    return p;
}

static char *
put_text(char *p, const char *text)
{
    const size_t n = strlen(text);
    memcpy(p, text, n);
    return p + n;
}

/* No server stores what isn't finite, but bytes may say anything. */
static char *
put_double(char *p, const struct weir_column *c, double d, const char *quote)
{
    if (!isfinite(d)) {
        p = put_text(p, quote);
        p = put_text(p, isnan(d) ? "NaN" : d < 0 ? "-Infinity" : "Infinity");
        return put_text(p, quote);
    }
    if (c->facets & WEIR_FLOAT) {
        return shortest_float(p, (float)d);
    }
    return shortest_double(p, d);
}

static inline float
float_of_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline bool
is_vector(const struct weir_column *c)
{
    return c->sql_type.len >= 6 && memcmp(c->sql_type.data, "vector", 6) == 0;
}

/* Little-endian floats.  Bytes that are none are base64, as of other columns. */
static char *
put_vector(struct buf *out, char *p, size_t keep, struct weir_str s)
{
    enum { ELEMENT_ROOM = 24 }; /* 21 digits, a sign, a comma */
    float f;

    for (size_t i = 0; i + sizeof f <= s.len; i += sizeof f) {
        f = float_of_bits(get_le32(s.data + i));
        if (!isfinite(f)) {
            return json_base64(out, p, keep, s);
        }
    }
    if (s.len % sizeof f != 0) {
        return json_base64(out, p, keep, s);
    }
    p = json_room(out, p,
                  s.len / sizeof f * ELEMENT_ROOM + SHORTEST_ROOM + keep);
    *p++ = '[';
    for (size_t i = 0; i < s.len; i += sizeof f) {
        if (i > 0) {
            *p++ = ',';
        }
        p = shortest_float(p, float_of_bits(get_le32(s.data + i)));
    }
    *p++ = ']';
    return p;
}

static char *
put_bytes(struct buf *out, char *p, size_t keep, const struct weir_column *c,
          struct weir_str s, unsigned style)
{
    if (is_vector(c)) {
        return put_vector(out, p, keep, s);
    }
    if ((style & STYLE_GEOMETRY_WKT) && wkt_is_geometry(c->sql_type)) {
        out->len = (size_t)(p - out->data);
        if (wkt_json(s, out)) {
            return buf_need(out, keep);
        }
        p = buf_need(out, VALUE_ROOM);
    }
    return json_base64(out, p, keep, s);
}

/* p has VALUE_ROOM behind it, and afterwards `keep`.  Inlined where rows are
 * written, which is worth 6 % there. */
static inline __attribute__((always_inline)) char *
value_json(struct buf *out, char *p, size_t keep, const struct weir_column *c,
           const struct weir_value *v, unsigned style)
{
    switch (v->type) {
    case WEIR_ABSENT:
    case WEIR_NULL:
        memcpy(p, "null", 4);
        return p + 4;
    case WEIR_INT:
        return digits_i64(p, v->i);
    case WEIR_UINT:
        return digits_u64(p, v->u);
    case WEIR_DOUBLE:
        return put_double(p, c, v->d, "\"");
    case WEIR_DECIMAL:
        return json_number(out, p, keep, v->s,
                           (style & STYLE_DECIMALS_AS_STRING) != 0);
    case WEIR_TEXT:
        return json_string(out, p, keep, v->s);
    case WEIR_BYTES:
        return put_bytes(out, p, keep, c, v->s, style);
    case WEIR_JSON:
        return json_embed(out, p, keep, v->s);
    case WEIR_DATE:
    case WEIR_DATETIME:
    case WEIR_TIMESTAMP:
        if ((style & STYLE_ZERO_DATES_NULL) && !is_a_day(&v->t)) {
            memcpy(p, "null", 4);
            return p + 4;
        }
        break;
    case WEIR_TIME:
        break;
    }
    *p++ = '"';
    p = v->type == WEIR_DATE       ? digits_date(p, &v->t)
        : v->type == WEIR_TIME     ? digits_clock(p, &v->t, c->scale)
        : v->type == WEIR_DATETIME ? put_datetime(p, &v->t, c->scale, ' ')
                                   : put_timestamp(p, &v->t, c->scale);
    *p++ = '"';
    return p;
}

void
format_json_value(const struct weir_column *column, const struct weir_value *v,
                  bool decimals_as_string, struct buf *out)
{
    char *p = buf_need(out, VALUE_ROOM);
    p = value_json(out, p, 0, column, v,
                   decimals_as_string ? STYLE_DECIMALS_AS_STRING : 0);
    out->len = (size_t)(p - out->data);
}

void
format_json_string(struct weir_str s, struct buf *out)
{
    char *p = json_string(out, buf_need(out, VALUE_ROOM), 0, s);
    out->len = (size_t)(p - out->data);
}

void
format_text(const struct weir_column *column, const struct weir_value *v,
            struct buf *out)
{
    char *const start = buf_need(out, VALUE_ROOM);
    char       *p = start;

    switch (v->type) {
    case WEIR_ABSENT:
    case WEIR_NULL:
        return;
    case WEIR_DECIMAL:
    case WEIR_TEXT:
    case WEIR_BYTES:
    case WEIR_JSON:
        buf_str(out, v->s);
        return;
    case WEIR_INT:
        p = digits_i64(p, v->i);
        break;
    case WEIR_UINT:
        p = digits_u64(p, v->u);
        break;
    case WEIR_DOUBLE:
        p = put_double(p, column, v->d, "");
        break;
    case WEIR_DATE:
        p = digits_date(p, &v->t);
        break;
    case WEIR_TIME:
        p = digits_clock(p, &v->t, column->scale);
        break;
    case WEIR_DATETIME:
    case WEIR_TIMESTAMP:
        p = put_datetime(p, &v->t, column->scale, ' ');
        break;
    }
    out->len += (size_t)(p - start);
}

void
image_prepare(struct arena *a, const struct weir_table *table, unsigned style,
              struct image_names *out)
{
    struct buf text = { 0 };
    uint32_t  *offsets = arena_array(a, (size_t)table->ncolumns + 1,
                                     sizeof *offsets);

    for (uint32_t i = 0; i < table->ncolumns; i++) {
        buf_byte(&text, ',');
        format_json_string(table->columns[i]->name, &text);
        buf_byte(&text, ':');
        offsets[i + 1] = (uint32_t)text.len;
    }
    const size_t room =
        text.len + (size_t)table->ncolumns * VALUE_ROOM + WIDE + VALUE_ROOM;
    memset(buf_need(&text, WIDE), 0, WIDE);
    *out = (struct image_names){
        .n = table->ncolumns,
        .bytes = arena_copy(a, text.data, text.len + WIDE),
        .offsets = offsets,
        .room = room,
        .style = style,
        .columns = table->columns,
    };
    buf_free(&text);
}

static inline char *
put_name(char *p, const char *name, size_t n)
{
    memcpy(p, name, WIDE); /* most fit; the rest is written over */
    if (n > WIDE) {
        memcpy(p, name, n);
    }
    return p + n;
}

char *
image_json(const struct image_names *names, struct buf *out, char *p,
           size_t keep, const struct weir_value *image)
{
    /* A copy whose address nobody has: what is written through p, a char
     * pointer, might else change it, and each turn would read it anew. */
    const struct image_names local = *names;

    keep += local.room;
    p = json_room(out, p, keep);
    if (image == NULL) {
        memcpy(p, "null", 4);
        return p + 4;
    }
    const size_t start = (size_t)(p - out->data);
    uint32_t     name = 0;
    for (uint32_t i = 0; i < local.n; i++) {
        const uint32_t next = local.offsets[i + 1];
        if (image[i].type != WEIR_ABSENT) {
            p = put_name(p, local.bytes + name, next - name);
            p = value_json(out, p, keep, local.columns[i], &image[i],
                           local.style);
        }
        name = next;
    }
    if (out->data + start == p) {
        *p++ = ',';
    }
    out->data[start] = '{'; /* in place of the first comma */
    *p++ = '}';
    return p;
}
