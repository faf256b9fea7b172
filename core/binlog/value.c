/*
 * value.c - the switch over column types.  Each case turns bytes into fields
 * of a value; what needs more than that is in decimal.c, temporal.c, text.c
 * and json.c.
 */
#include "binlog/value.h"

#include <math.h>

#include "base/bytes.h"
#include "binlog/inflate.h"
#include "binlog/table_map.h"
#include "binlog/text.h"

static const uint8_t *
fail(struct weir_err *err, const char *what)
{
    weir_fail(err, WEIR_REJECT, "%s", what);
    return NULL;
}

static const char too_short[] = "its bytes end beyond the event";
static const char no_such_time[] = "its bytes make no date or time";

char *
value_room(struct value_space *space, size_t size)
{
    if (space->a->used >= space->limit ||
        size > space->limit - space->a->used) {
        return NULL;
    }
    return arena_take(space->a, size);
}

/* Several codes may become one character, so where a text's bytes are is kept
 * in front of it. */
struct weir_str
binlog_logged(const struct weir_value *v)
{
    struct weir_str s;

    memcpy(&s, v->s.data - sizeof s, sizeof s);
    return s;
}

/* Room for what is made of s; NULL: the row becomes too large. */
static char *
logged_room(struct weir_str s, size_t size, struct weir_value *v,
            struct value_space *space)
{
    char *room = value_room(space, sizeof s + size);

    if (!room) {
        return NULL;
    }
    v->logged = 1;
    return (char *)memcpy(room, &s, sizeof s) + sizeof s;
}

/* ---- Strings */

static bool
converted_value(const struct binlog_column *c, struct weir_str s,
                struct weir_value *v, struct value_space *space,
                struct weir_err *err)
{
    char *out = s.len > BINLOG_MAX_EVENT / 3
                    ? NULL
                    : logged_room(s, 3 * s.len, v, space);
    if (!out) {
        return fail(err, "the row becomes too large");
    }
    const size_t len = c->text == TEXT_LATIN1
                           ? text_of_latin1(s.data, s.len, out)
                           : transcode(c->coder, s.data, s.len, out);
    if (len == SIZE_MAX) {
        return fail(err, "its bytes are not valid in the column's charset");
    }
    v->s = (struct weir_str){ out, len };
    return true;
}

static bool
text_value(const struct binlog_column *c, struct weir_str s,
           struct weir_value *v, struct value_space *space,
           struct weir_err *err)
{
    v->s = s;
    switch (c->text) {
    case TEXT_UNTOLD:
        v->type = text_is_utf8(s.data, s.len) ? WEIR_TEXT : WEIR_BYTES;
        return true;
    case TEXT_UTF8:
        return text_is_utf8(s.data, s.len) ||
               fail(err, "its bytes are not valid in the column's charset");
    case TEXT_LATIN1:
        return text_is_ascii(s.data, s.len) ||
               converted_value(c, s, v, space, err);
    case TEXT_BINARY:
        return true;
    case TEXT_CODED:
        return converted_value(c, s, v, space, err);
    case TEXT_UNKNOWN:
        break;
    }
    return fail(err, "its charset is not known");
}

/* The row has no zeroes at the end of a BINARY(n). */
static bool
padded_value(const struct binlog_column *c, struct weir_str s,
             struct weir_value *v, struct value_space *space,
             struct weir_err *err)
{
    if (s.len > c->pad) {
        return fail(err, "it is longer than its column");
    }
    char *out = value_room(space, c->pad > ADDRESS_TEXT_MAX ? c->pad
                                                            : ADDRESS_TEXT_MAX);
    if (!out) {
        return fail(err, "the row becomes too large");
    }
    uint8_t  bytes[16] = { 0 };
    uint8_t *to = c->special ? bytes : (uint8_t *)out;
    if (s.len > 0) {
        memcpy(to, s.data, s.len);
    }
    memset(to + s.len, 0, c->pad - s.len);
    size_t len = c->pad;
    if (c->special == SPECIAL_UUID) {
        len = (size_t)(text_put_uuid(out, bytes) - out);
    } else if (c->special == SPECIAL_INET4) {
        len = text_of_inet4(bytes, out);
    } else if (c->special == SPECIAL_INET6) {
        len = text_of_inet6(bytes, out);
    }
    v->s = (struct weir_str){ out, len };
    return true;
}

static bool
compressed_value(const struct binlog_column *c, struct weir_str s,
                 struct weir_value *v, struct value_space *space,
                 struct weir_err *err)
{
    struct weir_str plain;
    size_t          size;

    if (inflate_column_size(s, &size, &plain, err) != WEIR_OK) {
        return false;
    }
    if (size > 0) {
        char *out = value_room(space, size);
        if (!out) {
            return fail(err, "the row becomes too large");
        }
        if (inflate_column(s, out, size, err) != WEIR_OK) {
            return false;
        }
        plain = (struct weir_str){ out, size };
    }
    return text_value(c, plain, v, space, err);
}

static const uint8_t *
long_value(const struct binlog_column *c, const uint8_t *p, const uint8_t *end,
           struct weir_value *v, struct value_space *space,
           struct weir_err *err)
{
    if ((size_t)(end - p) < c->length_size) {
        return fail(err, too_short);
    }
    const uint64_t len = get_le(p, c->length_size);
    p += c->length_size;
    if (len > (size_t)(end - p)) {
        return fail(err, too_short);
    }
    const struct weir_str s = { (const char *)p, (size_t)len };
    bool                  ok = true;
    v->s = s;
    switch (c->type) {
    case COLUMN_JSON:
        ok = json_text(p, s.len, space, &v->s, err);
        break;
    case COLUMN_BLOB_COMPRESSED:
    case COLUMN_VARCHAR_COMPRESSED:
        ok = compressed_value(c, s, v, space, err);
        break;
    case COLUMN_STRING:
        ok = c->pad > 0 && (s.len != c->pad || c->special)
                 ? padded_value(c, s, v, space, err)
                 : text_value(c, s, v, space, err);
        break;
    case COLUMN_VARCHAR:
    case COLUMN_VAR_STRING:
    case COLUMN_BLOB:
        ok = text_value(c, s, v, space, err);
        break;
    default: /* GEOMETRY, VECTOR: as they are */
        break;
    }
    return ok ? p + len : NULL;
}

/* ---- ENUM and SET */
static bool
enum_value(const struct binlog_column *c, const uint8_t *p,
           struct weir_value *v, struct value_space *space,
           struct weir_err *err)
{
    const uint64_t index = get_le(p, c->size);

    if (c->out == WEIR_UINT) {
        v->u = index;
        return true;
    }
    if (index > c->nmembers) {
        return fail(err, "its number is beyond the ENUM's last member");
    }
    if (index > 0) {
        v->s = c->members[index - 1];
        return true;
    }
    /* A value that was not allowed reads as '', which may be a member, too. */
    const struct weir_str s = { (const char *)p, c->size };
    char *const           out = logged_room(s, 0, v, space);
    v->s = (struct weir_str){ out, 0 };
    return out || fail(err, "the row becomes too large");
}

static bool
set_value(const struct binlog_column *c, uint64_t bits, struct weir_value *v,
          struct value_space *space, struct weir_err *err)
{
    if (c->out == WEIR_UINT) {
        v->u = bits;
        return true;
    }
    if (c->nmembers < 64 && bits >> c->nmembers != 0) {
        return fail(err, "it has bits beyond the SET's last member");
    }
    if ((bits & (bits - 1)) == 0) { /* none, or one */
        v->s = bits == 0 ? (struct weir_str){ "", 0 }
                         : c->members[__builtin_ctzll(bits)];
        return true;
    }
    size_t size = 0;
    for (uint64_t left = bits; left != 0; left &= left - 1) {
        size += c->members[__builtin_ctzll(left)].len + 1;
    }
    char *out = value_room(space, size), *to = out;
    if (!out) {
        return fail(err, "the row becomes too large");
    }
    for (uint64_t left = bits; left != 0; left &= left - 1) {
        const struct weir_str name = c->members[__builtin_ctzll(left)];
        if (name.len > 0) {
            memcpy(to, name.data, name.len);
        }
        to += name.len;
        *to++ = ',';
    }
    v->s = (struct weir_str){ out, size - 1 };
    return true;
}

/* ---- Numbers */
static void
integer_value(const struct binlog_column *c, const uint8_t *p,
              struct weir_value *v)
{
    uint64_t u;

    switch (c->size) {
    case 1:
        u = *p;
        break;
    case 2:
        u = get_le16(p);
        break;
    case 3:
        u = get_le(p, 3);
        break;
    case 4:
        u = get_le32(p);
        break;
    default:
        u = get_le64(p);
    }
    if (c->is_unsigned) {
        v->u = u;
    } else {
        const unsigned shift = 64 - 8u * c->size;
        v->i = (int64_t)(u << shift) >> shift;
    }
}

static bool
float_value(const uint8_t *p, size_t size, struct weir_value *v,
            struct weir_err *err)
{
    if (size == 4) {
        const uint32_t bits = get_le32(p);
        float          f;
        memcpy(&f, &bits, sizeof f);
        v->d = f;
    } else {
        const uint64_t bits = get_le64(p);
        memcpy(&v->d, &bits, sizeof v->d);
    }
    return isfinite(v->d) || fail(err, "it is not a finite number");
}

static bool
decimal_value(const struct binlog_column *c, const uint8_t *p,
              struct weir_value *v, struct value_space *space,
              struct weir_err *err)
{
    char         text[DECIMAL_TEXT_MAX];
    const size_t len = decimal_text(p, c->meta >> 8, c->meta & 255, text);

    if (len == 0) {
        return fail(err, "its bytes make no decimal");
    }
    char *out = value_room(space, len);
    if (!out) {
        return fail(err, "the row becomes too large");
    }
    memcpy(out, text, len);
    v->s = (struct weir_str){ out, len };
    return true;
}

static bool
temporal_value(const struct binlog_column *c, const uint8_t *p,
               struct weir_value *v, struct weir_err *err)
{
    bool ok;

    switch (c->type) {
    case COLUMN_DATE:
        ok = time_of_date((uint32_t)get_le(p, 3), &v->t);
        break;
    case COLUMN_TIME2:
        ok = time_of_time2(p, c->meta, &v->t);
        break;
    case COLUMN_DATETIME2:
        ok = time_of_datetime2(p, c->meta, &v->t);
        break;
    case COLUMN_TIMESTAMP2:
        ok = time_of_timestamp2(p, c->meta, &v->t);
        break;
    default:
        ok = time_of_old(c->type, p, c->meta, &v->t);
    }
    return ok || fail(err, no_such_time);
}

/* Values of a column whose values all have one size; they are all there. */
static bool
sized_value(const struct binlog_column *c, const uint8_t *p,
            struct weir_value *v, struct value_space *space,
            struct weir_err *err)
{
    switch (c->type) {
    case COLUMN_TINY:
    case COLUMN_SHORT:
    case COLUMN_INT24:
    case COLUMN_LONG:
    case COLUMN_LONGLONG:
        integer_value(c, p, v);
        return true;
    case COLUMN_FLOAT:
    case COLUMN_DOUBLE:
        return float_value(p, c->size, v, err);
    case COLUMN_DECIMAL:
        return decimal_value(c, p, v, space, err);
    case COLUMN_YEAR:
        v->i = *p == 0 ? 0 : 1900 + *p;
        return true;
    case COLUMN_BIT:
        v->u = get_be(p, c->size);
        return true;
    case COLUMN_ENUM:
        return enum_value(c, p, v, space, err);
    case COLUMN_SET:
        return set_value(c, get_le(p, c->size), v, space, err);
    default:
        return temporal_value(c, p, v, err);
    }
}

const uint8_t *
value_read(const struct binlog_column *c, const uint8_t *p, const uint8_t *end,
           struct weir_value *v, struct value_space *space,
           struct weir_err *err)
{
    if (c->unsupported) {
        return fail(err, c->unsupported);
    }
    v->type = c->out;
    v->logged = 0;
    if (c->size == 0) {
        return long_value(c, p, end, v, space, err);
    }
    if ((size_t)(end - p) < c->size) {
        return fail(err, too_short);
    }
    return sized_value(c, p, v, space, err) ? p + c->size : NULL;
}

const uint8_t *
value_skip(const struct binlog_column *c, const uint8_t *p, const uint8_t *end,
           struct weir_err *err)
{
    uint64_t len = c->size;

    if (len == 0) {
        if (c->length_size == 0) { /* how long they are, nobody told us */
            return fail(err, c->unsupported);
        }
        if ((size_t)(end - p) < c->length_size) {
            return fail(err, too_short);
        }
        len = get_le(p, c->length_size);
        p += c->length_size;
    }
    return len > (size_t)(end - p) ? fail(err, too_short) : p + len;
}
