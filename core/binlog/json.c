/*
 * json.c - MySQL's binary JSON as compact JSON text, numbers and all as the
 * document has them.  Offsets may point anywhere, also at one value from many
 * places: so depth and text are bounded, each value writes at least one
 * character, and thus it ends.  Grammar: MySQL sql-common/json_binary.h.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "binlog/json.h"
#include "binlog/table_map.h"
#include "binlog/text.h"
#include "binlog/value.h"

enum {
    JSON_EXPANSION = 8, /* characters that a byte of a sane document takes */
    NUMBER_TEXT_MAX = 40,
};

bool
json_fail(struct json *j, const char *why)
{
    j->why = j->why ? j->why : why;
    return false;
}

static char *
json_room(struct json *j, size_t n)
{
    if (j->room - j->len < n) {
        const size_t room = 2 * j->room + n;
        char        *bigger =
            j->len + n > j->limit ? NULL : value_room(j->space, room);
        if (!bigger) {
            json_fail(j, "it becomes too large");
            return NULL;
        }
        memcpy(bigger, j->text, j->len);
        j->text = bigger;
        j->room = room;
    }
    return j->text + j->len;
}

bool
json_add(struct json *j, const char *s, size_t n)
{
    char *to = json_room(j, n);
    if (to && n > 0) {
        memcpy(to, s, n);
        j->len += n;
    }
    return to;
}

/* ---- Scalars */
static size_t
escape_char(uint8_t c, char *out)
{
    static const char hex[] = "0123456789abcdef";
    static const char short_for[32] = { [8] = 'b', [9] = 't', [10] = 'n',
                                        [12] = 'f', [13] = 'r' };
    out[0] = '\\';
    if (c == '"' || c == '\\' || short_for[c & 31]) {
        out[1] = c < 32 ? short_for[c] : (char)c;
        return 2;
    }
    memcpy(out + 1, "u00", 3);
    out[4] = hex[c >> 4];
    out[5] = hex[c & 15];
    return 6;
}

bool
json_quoted(struct json *j, const char *s, size_t len)
{
    if (!text_is_utf8(s, len)) {
        return json_fail(j, "a string in it is not valid UTF-8");
    }
    if (!json_add(j, "\"", 1)) {
        return false;
    }
    for (size_t i = 0; i < len;) {
        size_t plain = i;
        while (plain < len && (uint8_t)s[plain] >= 32 && s[plain] != '"' &&
               s[plain] != '\\') {
            plain++;
        }
        if (!json_add(j, s + i, plain - i)) {
            return false;
        }
        i = plain;
        if (i < len) {
            char escaped[8];
            if (!json_add(j, escaped, escape_char((uint8_t)s[i], escaped))) {
                return false;
            }
            i++;
        }
    }
    return json_add(j, "\"", 1);
}

static bool
json_unsigned(struct json *j, uint64_t v)
{
    char text[NUMBER_TEXT_MAX];
    return json_add(j, text, (size_t)(text_put_u64(text, v) - text));
}

static bool
json_signed(struct json *j, int64_t v)
{
    if (v >= 0) {
        return json_unsigned(j, (uint64_t)v);
    }
    return json_add(j, "-", 1) && json_unsigned(j, -(uint64_t)v);
}

/* The usual ones: an integer m < 2^53 over a power of ten that is exact, too.
 * The division is then correctly rounded, as reading the text is, so the text
 * gives the same double.  0 if it is none of these. */
static size_t
short_double(double v, char *out)
{
    const double most = 9007199254740992.0; /* 2^53 */
    double       power = 1;

    for (unsigned places = 0; places <= 15; places++, power *= 10) {
        const double m = v * power;
        if (m >= most) {
            return 0;
        }
        if (m == (double)(uint64_t)m && m / power == v) {
            const uint64_t u = (uint64_t)m, ten = (uint64_t)power;
            char          *p = text_put_u64(out, u / ten);
            *p++ = '.';
            if (places == 0) { /* keeps it from being read as an integer */
                *p++ = '0';
                return (size_t)(p - out);
            }
            uint64_t rest = u % ten;
            for (unsigned i = places; i-- > 0; rest /= 10) {
                p[i] = (char)('0' + rest % 10);
            }
            return (size_t)(p + places - out);
        }
    }
    return 0;
}

static bool
json_double(struct json *j, const uint8_t *p)
{
    const uint64_t bits = get_le64(p);
    char           text[NUMBER_TEXT_MAX];
    double         v;

    memcpy(&v, &bits, sizeof v);
    if (!isfinite(v)) {
        return json_fail(j, "a number in it is not finite");
    }
    if (signbit(v)) {
        v = -v;
        if (!json_add(j, "-", 1)) {
            return false;
        }
    }
    size_t n = short_double(v, text);
    /* Below 1e-300 precision fades, and with it the digits. */
    for (int digits = v < 1e-300 ? 1 : 15; n == 0; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (digits == 17 || strtod(text, NULL) == v) {
            n = strlen(text);
        }
    }
    return json_add(j, text, n);
}

/* ---- Opaque values: SQL's types, as the server prints them */
static char *
put_padded(char *p, uint32_t v, unsigned digits)
{
    for (unsigned i = digits; i-- > 0; v /= 10) {
        p[i] = (char)('0' + v % 10);
    }
    return p + digits;
}

static bool
json_time(struct json *j, unsigned type, struct json_span s)
{
    struct weir_time t;
    char             text[NUMBER_TEXT_MAX], *p = text;
    const bool       is_time = type == COLUMN_TIME;

    if (s.len != 8 || !time_of_packed((int64_t)get_le64(s.p), is_time, &t)) {
        return json_fail(j, "a date or time in it is malformed");
    }
    *p++ = '"';
    if (t.negative) {
        *p++ = '-';
    }
    if (!is_time) {
        p = put_padded(p, t.year, 4);
        *p++ = '-';
        p = put_padded(p, t.month, 2);
        *p++ = '-';
        p = put_padded(p, t.day, 2);
    }
    if (type != COLUMN_DATE) {
        if (!is_time) {
            *p++ = ' ';
        }
        p = put_padded(p, t.hour, t.hour > 99 ? 3 : 2);
        *p++ = ':';
        p = put_padded(p, t.minute, 2);
        *p++ = ':';
        p = put_padded(p, t.second, 2);
        *p++ = '.';
        p = put_padded(p, t.usec, 6);
    }
    *p++ = '"';
    return json_add(j, text, (size_t)(p - text));
}

static bool
json_decimal(struct json *j, struct json_span s)
{
    char           text[DECIMAL_TEXT_MAX];
    const unsigned precision = s.len > 2 ? s.p[0] : 0;
    const unsigned scale = s.len > 2 ? s.p[1] : 0;
    size_t         n = 0;

    if (precision >= 1 && precision <= 65 && scale <= precision &&
        s.len - 2 == decimal_bytes(precision, scale)) {
        n = decimal_text(s.p + 2, precision, scale, text);
    }
    return n > 0 ? json_add(j, text, n)
                 : json_fail(j, "a decimal in it is malformed");
}

/* "base64:type252:..." */
static bool
json_base64(struct json *j, unsigned type, struct json_span s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";
    if (!json_add(j, "\"base64:type", 12) || !json_unsigned(j, type) ||
        !json_add(j, ":", 1)) {
        return false;
    }
    char *to = json_room(j, (s.len + 2) / 3 * 4);
    if (!to) {
        return false;
    }
    for (size_t i = 0; i < s.len; i += 3) {
        const size_t   n = s.len - i < 3 ? s.len - i : 3;
        const uint32_t v = (uint32_t)get_be(s.p + i, n) << (24 - 8 * n);
        for (size_t k = 0; k < 4; k++) {
            *to++ = k <= n ? digits[v >> (18 - 6 * k) & 63] : '=';
        }
    }
    j->len += (s.len + 2) / 3 * 4;
    return json_add(j, "\"", 1);
}

/* Seven bits of a length in each byte, the low ones first. */
uint64_t
json_read_length(struct reader *r)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 35; shift += 7) {
        const uint64_t byte = read_le(r, 1);
        v |= (byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            return v;
        }
    }
    r->bad = true;
    return 0;
}

static bool
json_opaque(struct json *j, struct json_span s)
{
    struct reader         r = reader_of(s.p, s.len);
    const unsigned        type = (unsigned)read_le(&r, 1);
    const struct weir_str data = read_str(&r, json_read_length(&r));
    const struct json_span     in = { (const uint8_t *)data.data, data.len };

    if (r.bad) {
        return json_fail(j, "a value in it ends beyond it");
    }
    switch (type) {
    case COLUMN_DECIMAL:
        return json_decimal(j, in);
    case COLUMN_DATE:
    case COLUMN_TIME:
    case COLUMN_DATETIME:
    case COLUMN_TIMESTAMP:
        return json_time(j, type, in);
    default:
        return json_base64(j, type, in);
    }
}

static bool
json_literal(struct json *j, uint8_t literal)
{
    switch (literal) {
    case 0:
        return json_add(j, "null", 4);
    case 1:
        return json_add(j, "true", 4);
    case 2:
        return json_add(j, "false", 5);
    default:
        return json_fail(j, "a literal in it is none of null, true, false");
    }
}

static bool
json_string(struct json *j, struct json_span s)
{
    struct reader         r = reader_of(s.p, s.len);
    const struct weir_str text = read_str(&r, json_read_length(&r));

    return r.bad ? json_fail(j, "a string in it ends beyond it")
                 : json_quoted(j, text.data, text.len);
}

static bool json_container(struct json *j, unsigned type, struct json_span s);

bool
json_value(struct json *j, unsigned type, struct json_span s)
{
    static const uint8_t size[16] = { [JSON_LITERAL] = 1, [JSON_INT16] = 2,
                                      [JSON_UINT16] = 2,  [JSON_INT32] = 4,
                                      [JSON_UINT32] = 4,  [JSON_INT64] = 8,
                                      [JSON_UINT64] = 8,  [JSON_DOUBLE] = 8 };
    if (type > JSON_OPAQUE || s.len < size[type]) {
        return json_fail(j, "a value in it is malformed");
    }
    switch (type) {
    case JSON_SMALL_OBJECT:
    case JSON_LARGE_OBJECT:
    case JSON_SMALL_ARRAY:
    case JSON_LARGE_ARRAY:
        return json_container(j, type, s);
    case JSON_LITERAL:
        return json_literal(j, s.p[0]);
    case JSON_INT16:
        return json_signed(j, (int16_t)get_le16(s.p));
    case JSON_UINT16:
        return json_unsigned(j, get_le16(s.p));
    case JSON_INT32:
        return json_signed(j, (int32_t)get_le32(s.p));
    case JSON_UINT32:
        return json_unsigned(j, get_le32(s.p));
    case JSON_INT64:
        return json_signed(j, (int64_t)get_le64(s.p));
    case JSON_UINT64:
        return json_unsigned(j, get_le64(s.p));
    case JSON_DOUBLE:
        return json_double(j, s.p);
    case JSON_STRING:
        return json_string(j, s);
    case JSON_OPAQUE:
        return json_opaque(j, s);
    default:
        return json_fail(j, "a value in it is of an unknown type");
    }
}

/* ---- Objects and arrays: count, size, key entries, value entries, and what
 * these point to, counted from the container's beginning. */
bool
json_list_open(struct json *j, unsigned type, struct json_span s,
               struct json_list *out)
{
    const bool     object = type <= JSON_LARGE_OBJECT;
    const size_t   width = type & 1 ? 4 : 2;
    struct reader  r = reader_of(s.p, s.len);
    const uint64_t count = read_le(&r, width);
    const uint64_t size = read_le(&r, width);
    const size_t   entry = 1 + width + (object ? width + 2 : 0);

    if (r.bad || size > s.len || size < 2 * width ||
        count > (size - 2 * width) / entry) {
        return json_fail(j, "an object or array in it ends beyond it");
    }
    *out = (struct json_list){ .object = object,
                               .width = width,
                               .count = (size_t)count,
                               .all = { s.p, (size_t)size } };
    return true;
}

bool
json_list_key(struct json *j, const struct json_list *l, size_t i,
              struct weir_str *out)
{
    const uint8_t *entry = l->all.p + 2 * l->width + i * (l->width + 2);
    const uint64_t at = get_le(entry, l->width);
    const uint64_t len = get_le16(entry + l->width);

    if (at > l->all.len || len > l->all.len - at) {
        return json_fail(j, "a key in it ends beyond it");
    }
    *out = (struct weir_str){ (const char *)l->all.p + at, (size_t)len };
    return true;
}

bool
json_list_item(struct json *j, const struct json_list *l, size_t i,
               unsigned *type, struct json_span *out)
{
    const size_t   keys = l->object ? l->count * (l->width + 2) : 0;
    const uint8_t *entry =
        l->all.p + 2 * l->width + keys + i * (1 + l->width);

    *type = entry[0];
    if (*type == JSON_LITERAL || *type == JSON_INT16 || *type == JSON_UINT16 ||
        (l->width == 4 && (*type == JSON_INT32 || *type == JSON_UINT32))) {
        *out = (struct json_span){ entry + 1, l->width };
        return true;
    }
    const uint64_t at = get_le(entry + 1, l->width);
    if (at >= l->all.len) {
        return json_fail(j, "a value in it begins beyond it");
    }
    *out = (struct json_span){ l->all.p + at, (size_t)(l->all.len - at) };
    return true;
}

bool
json_enter(struct json *j, bool object)
{
    if (j->depth == JSON_DEPTH) {
        return json_fail(j, "it is nested too deeply");
    }
    j->depth++;
    return json_add(j, object ? "{" : "[", 1);
}

bool
json_leave(struct json *j, bool object)
{
    j->depth--;
    return json_add(j, object ? "}" : "]", 1);
}

static bool
json_container(struct json *j, unsigned type, struct json_span s)
{
    struct json_list l;
    struct json_span item;
    struct weir_str  key;

    if (!json_list_open(j, type, s, &l) || !json_enter(j, l.object)) {
        return false;
    }
    for (size_t i = 0; i < l.count; i++) {
        if ((i > 0 && !json_add(j, ",", 1)) ||
            (l.object &&
             !(json_list_key(j, &l, i, &key) &&
               json_quoted(j, key.data, key.len) && json_add(j, ":", 1))) ||
            !json_list_item(j, &l, i, &type, &item) ||
            !json_value(j, type, item)) {
            return false;
        }
    }
    return json_leave(j, l.object);
}

bool
json_begin(struct json *j, size_t len, struct value_space *space)
{
    *j = (struct json){ .room = 2 * len + 64, .space = space,
                        .limit = JSON_EXPANSION * len + 256 };
    j->text = value_room(space, j->room);
    return j->text || json_fail(j, "it becomes too large");
}

bool
json_text(const uint8_t *p, size_t len, struct value_space *space,
          struct weir_str *out, struct weir_err *err)
{
    if (len == 0) { /* a NULL that became NOT NULL reads as JSON's null */
        *out = (struct weir_str){ "null", 4 };
        return true;
    }
    struct json j;
    if (!json_begin(&j, len, space) ||
        !json_value(&j, p[0], (struct json_span){ p + 1, len - 1 })) {
        weir_fail(err, WEIR_REJECT, "JSON of %zu bytes: %s", len,
                  j.why);
        return false;
    }
    *out = (struct weir_str){ j.text, j.len };
    return true;
}
