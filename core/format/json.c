/*
 * json.c - see json.h.  Strings are looked through 16 bytes at a time (SSE2),
 * or 8 in a register; only what needs it is looked at byte by byte.
 */
#include "format/json.h"

#include <stdint.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum {
    CHUNK = 4096,      /* of a long string, for which room is made at a time */
    CHUNK_ROOM = 6 * CHUNK + 32, /* every byte as \u0000, and a wide store */
    QUARTET = 4,
};

static const char hex_digits[16] = { '0', '1', '2', '3', '4', '5', '6', '7',
                                     '8', '9', 'a', 'b', 'c', 'd', 'e', 'f' };

unsigned
json_utf8(const unsigned char *s, size_t left)
{
    const unsigned c = s[0];
    if (c < 0x80) {
        return 1;
    }
    if (c < 0xc2 || c > 0xf4) {
        return 0;
    }
    const unsigned n = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if (left < n) {
        return 0;
    }
    for (unsigned i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    /* Neither overlong, nor a surrogate, nor beyond U+10FFFF. */
    if ((c == 0xe0 && s[1] < 0xa0) || (c == 0xed && s[1] > 0x9f) ||
        (c == 0xf0 && s[1] < 0x90) || (c == 0xf4 && s[1] > 0x8f)) {
        return 0;
    }
    return n;
}

static char *
put_control(char *p, unsigned char c)
{
    static const char short_form[32] = {
        [8] = 'b', [9] = 't', [10] = 'n', [12] = 'f', [13] = 'r',
    };
    *p++ = '\\';
    if (short_form[c]) {
        *p++ = short_form[c];
        return p;
    }
    memcpy(p, "u00", 3);
    p[3] = hex_digits[c >> 4];
    p[4] = hex_digits[c & 15];
    return p + 5;
}

/* One character, whatever it is; *s moves behind it. */
static inline char *
put_character(char *p, const unsigned char **s, const unsigned char *end)
{
    const unsigned char c = **s;
    if (c >= 0x80) {
        const unsigned n = json_utf8(*s, (size_t)(end - *s));
        if (n == 0) {
            memcpy(p, "\xef\xbf\xbd", 3);
            *s += 1;
            return p + 3;
        }
        for (unsigned i = 0; i < n; i++) {
            p[i] = (char)(*s)[i];
        }
        *s += n;
        return p + n;
    }
    *s += 1;
    if (c < 0x20) {
        return put_control(p, c);
    }
    if (c == '"' || c == '\\') {
        *p++ = '\\';
    }
    *p = (char)c;
    return p + 1;
}

/* Whether any byte of x is a quote, a backslash, below 0x20 or above 0x7f. */
static inline int
word_special(uint64_t x)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t any = x | (x - 0x20 * ones) | ((x ^ '"' * ones) - ones) |
                         ((x ^ '\\' * ones) - ones);
    return (any & 0x80 * ones) != 0;
}

/* Fewer than 16 bytes, if none is special: 0 if one is. */
static inline int
put_plain_tail(char *p, const unsigned char *s, size_t n)
{
    if (n >= 8) {
        uint64_t a, b;
        memcpy(&a, s, 8);
        memcpy(&b, s + n - 8, 8);
        memcpy(p, &a, 8);
        memcpy(p + n - 8, &b, 8);
        return !word_special(a) && !word_special(b);
    }
    if (n >= 4) {
        uint32_t a, b;
        memcpy(&a, s, 4);
        memcpy(&b, s + n - 4, 4);
        memcpy(p, &a, 4);
        memcpy(p + n - 4, &b, 4);
        return !word_special(a | (uint64_t)b << 32);
    }
    uint64_t word = UINT64_C(0x2020202020202020);
    for (size_t i = 0; i < n; i++) {
        word = word << 8 | s[i];
        p[i] = (char)s[i];
    }
    return !word_special(word);
}

/* 16 bytes are written; how many of them are right, up to the first special
 * one. */
static inline unsigned
put_plain_block(char *p, const unsigned char *s)
{
#ifdef __SSE2__
    const __m128i x = _mm_loadu_si128((const __m128i *)(const void *)s);
    _mm_storeu_si128((__m128i *)(void *)p, x);
    const __m128i low =
        _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(0x1f)), x);
    const __m128i quote = _mm_cmpeq_epi8(x, _mm_set1_epi8('"'));
    const __m128i slash = _mm_cmpeq_epi8(x, _mm_set1_epi8('\\'));
    /* The top bit of each byte: set in the masks, and in what is not ASCII. */
    const __m128i any =
        _mm_or_si128(_mm_or_si128(low, x), _mm_or_si128(quote, slash));
    const int mask = _mm_movemask_epi8(any);
    return mask ? (unsigned)__builtin_ctz((unsigned)mask) : 16;
#else
    uint64_t a, b;
    memcpy(&a, s, 8);
    memcpy(&b, s + 8, 8);
    memcpy(p, &a, 8);
    memcpy(p + 8, &b, 8);
    return word_special(a) ? 0 : word_special(b) ? 8 : 16;
#endif
}

/* With room for 6 n + 16 bytes at p. */
static char *
put_characters(char *p, const unsigned char *s, size_t n)
{
    const unsigned char *end = s + n;
    while (end - s >= 16) {
        const unsigned plain = put_plain_block(p, s);
        p += plain;
        s += plain;
        if (plain < 16) {
            do { /* what isn't ASCII seldom comes alone */
                p = put_character(p, &s, end);
            } while (s < end && *s >= 0x80);
        }
    }
    if (put_plain_tail(p, s, (size_t)(end - s))) {
        return p + (end - s);
    }
    while (s < end) {
        p = put_character(p, &s, end);
    }
    return p;
}

char *
json_string(struct buf *out, char *p, size_t keep, struct weir_str s)
{
    *p++ = '"';
    while (s.len > CHUNK) {
        size_t n = CHUNK;
        while (n > CHUNK - QUARTET && ((uint8_t)s.data[n] & 0xc0) == 0x80) {
            n--; /* not in the middle of a character */
        }
        p = json_room(out, p, CHUNK_ROOM);
        p = put_characters(p, (const unsigned char *)s.data, n);
        s.data += n;
        s.len -= n;
    }
    p = json_room(out, p, 6 * s.len + 32 + keep);
    p = put_characters(p, (const unsigned char *)s.data, s.len);
    *p++ = '"';
    return p;
}

static const char base64_digits[64] = {
    'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M',
    'N', 'O', 'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z',
    'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm',
    'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z',
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '+', '/',
};

static inline char *
put_quartet(char *p, uint32_t bits)
{
    p[0] = base64_digits[bits >> 18];
    p[1] = base64_digits[bits >> 12 & 63];
    p[2] = base64_digits[bits >> 6 & 63];
    p[3] = base64_digits[bits & 63];
    return p + QUARTET;
}

char *
json_base64(struct buf *out, char *p, size_t keep, struct weir_str s)
{
    const uint8_t *b = (const uint8_t *)s.data;
    size_t         left = s.len;

    p = json_room(out, p, s.len / 3 * 4 + 2 * QUARTET + 2 + keep);
    *p++ = '"';
    for (; left >= 3; left -= 3, b += 3) {
        p = put_quartet(p, (uint32_t)b[0] << 16 | (uint32_t)b[1] << 8 | b[2]);
    }
    if (left) {
        const uint32_t second = left > 1 ? b[1] : 0;
        p = put_quartet(p, (uint32_t)b[0] << 16 | second << 8);
        p[-1] = '=';
        if (left == 1) {
            p[-2] = '=';
        }
    }
    *p++ = '"';
    return p;
}

/* As JSON has it: -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)? */
static size_t
number_length(const char *s, size_t n)
{
    size_t i = n > 0 && s[0] == '-';
    size_t first = i;
    while (i < n && (unsigned char)(s[i] - '0') < 10) {
        i++;
    }
    if (i == first || (s[first] == '0' && i > first + 1)) {
        return 0;
    }
    if (i < n && s[i] == '.') {
        first = ++i;
        while (i < n && (unsigned char)(s[i] - '0') < 10) {
            i++;
        }
        if (i == first) {
            return 0;
        }
    }
    if (i < n && (s[i] == 'e' || s[i] == 'E')) {
        i++;
        i += i < n && (s[i] == '+' || s[i] == '-');
        first = i;
        while (i < n && (unsigned char)(s[i] - '0') < 10) {
            i++;
        }
        if (i == first) {
            return 0;
        }
    }
    return i;
}

char *
json_number(struct buf *out, char *p, size_t keep, struct weir_str s,
            int as_string)
{
    if (as_string || s.len == 0 || number_length(s.data, s.len) != s.len) {
        return json_string(out, p, keep, s);
    }
    p = json_room(out, p, s.len + keep);
    memcpy(p, s.data, s.len);
    return p + s.len;
}

/* ---- JSON text, looked through once without recursion */

enum { MAX_DEPTH = 256 };

struct scan {
    const unsigned char *s, *end;
    unsigned             depth;
    uint64_t             objects[MAX_DEPTH / 64]; /* or arrays, by depth */
    int                  breaks;
};

static void
skip_blanks(struct scan *in)
{
    for (; in->s < in->end; in->s++) {
        const unsigned char c = *in->s;
        if (c == '\n' || c == '\r' || c == '\t') {
            in->breaks = 1;
        } else if (c != ' ') {
            return;
        }
    }
}

static int
skip_escape(struct scan *in)
{
    if (in->end - in->s < 2 || !memchr("\"\\/bfnrtu", in->s[1], 9)) {
        return 0;
    }
    if (in->s[1] != 'u') {
        in->s += 2;
        return 1;
    }
    if (in->end - in->s < 6) {
        return 0;
    }
    for (int i = 2; i < 6; i++) {
        const unsigned char c = in->s[i];
        if ((unsigned)(c - '0') > 9 && (unsigned)((c | 0x20) - 'a') > 5) {
            return 0;
        }
    }
    in->s += 6;
    return 1;
}

static int
skip_string(struct scan *in)
{
    if (in->s == in->end || *in->s != '"') {
        return 0;
    }
    in->s++;
    while (in->s < in->end && *in->s != '"') {
        if (*in->s == '\\') {
            if (!skip_escape(in)) {
                return 0;
            }
            continue;
        }
        const unsigned n = json_utf8(in->s, (size_t)(in->end - in->s));
        if (n == 0 || *in->s < 0x20) {
            return 0;
        }
        in->s += n;
    }
    if (in->s == in->end) {
        return 0;
    }
    in->s++;
    return 1;
}

static int
skip_scalar(struct scan *in)
{
    static const struct { size_t len; char text[6]; } words[] = {
        { 4, "true" }, { 5, "false" }, { 4, "null" },
    };
    const size_t left = (size_t)(in->end - in->s);

    if (*in->s == '"') {
        return skip_string(in);
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (left >= words[i].len &&
            memcmp(in->s, words[i].text, words[i].len) == 0) {
            in->s += words[i].len;
            return 1;
        }
    }
    const size_t n = number_length((const char *)in->s, left);
    in->s += n;
    return n > 0;
}

static int
inside_object(const struct scan *in)
{
    const unsigned level = in->depth - 1;
    return in->objects[level / 64] >> level % 64 & 1;
}

/* "name": of an object's member. */
static int
skip_name(struct scan *in)
{
    skip_blanks(in);
    if (!skip_string(in)) {
        return 0;
    }
    skip_blanks(in);
    return in->s < in->end && *in->s++ == ':';
}

/* Behind an opening bracket: 1 if a value follows, 2 if it was closed at once,
 * 0 if neither. */
static int
enter(struct scan *in)
{
    const int      object = *in->s++ == '{';
    const unsigned level = in->depth;
    if (level == MAX_DEPTH) {
        return 0;
    }
    const uint64_t bit = UINT64_C(1) << level % 64;
    in->objects[level / 64] &= ~bit;
    in->objects[level / 64] |= object ? bit : 0;
    in->depth++;
    skip_blanks(in);
    if (in->s < in->end && *in->s == (object ? '}' : ']')) {
        in->s++;
        in->depth--;
        return 2;
    }
    return !object || skip_name(in);
}

/* Behind a value: what closes, as long as something does, and a comma.  0: what
 * follows is wrong; 1: another value; 2: all is closed. */
static int
leave(struct scan *in)
{
    while (in->depth) {
        skip_blanks(in);
        if (in->s == in->end) {
            return 0;
        }
        const unsigned char c = *in->s++;
        const int           object = inside_object(in);
        if (c == ',') {
            return !object || skip_name(in);
        }
        if (c != (object ? '}' : ']')) {
            return 0;
        }
        in->depth--;
    }
    return 2;
}

int
json_valid(struct weir_str s, int *breaks)
{
    const unsigned char *start = (const unsigned char *)s.data;
    struct scan          in = { .s = start, .end = start ? start + s.len : 0 };
    int                  more = 1;

    while (more == 1) {
        skip_blanks(&in);
        if (in.s == in.end) {
            return 0;
        }
        if (*in.s == '{' || *in.s == '[') {
            more = enter(&in);
            if (more == 1) {
                continue;
            }
        } else {
            more = skip_scalar(&in);
        }
        more = more ? leave(&in) : 0;
    }
    skip_blanks(&in);
    *breaks = in.breaks;
    return more == 2 && in.s == in.end;
}

char *
json_embed(struct buf *out, char *p, size_t keep, struct weir_str s)
{
    int breaks;
    if (!json_valid(s, &breaks)) {
        return json_string(out, p, keep, s);
    }
    p = json_room(out, p, s.len + keep);
    memcpy(p, s.data, s.len);
    /* A string has no control characters of its own: these are all between
     * tokens, and would end the line. */
    for (size_t i = 0; breaks && i < s.len; i++) {
        if ((unsigned char)p[i] < 0x20) {
            p[i] = ' ';
        }
    }
    return p + s.len;
}
