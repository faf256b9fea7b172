/* transcode.c - see transcode.h. */
#include "binlog/transcode.h"

#include <iconv.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/str.h"
#include "binlog/transcode_tables.h"

enum {
    KINDS_MAX = 48, /* charsets */
    TWO = 128 * 256, /* codes of two bytes, the first from 0x80 on */
    THREE = 128 * 128, /* behind 0x8f, EUC's third set */
    FOUR = 4 * 10 * 126 * 10, /* of GB 18030, from 0x81308130 on */
    FOUR_PLANES = 189000, /* what 0x90308130, U+10000, is on that scale */
    EUC_THIRD = 0x8f,
};

enum coder_kind {
    CODER_SINGLE, CODER_UCS2, CODER_UTF16, CODER_UTF16LE, CODER_UTF32,
    CODER_MULTI,
};

struct transcoder {
    const char     *name; /* NULL: not made yet */
    enum coder_kind kind;
    const uint16_t *low, *high;         /* 128 each; low is NULL for ASCII */
    uint16_t       *two, *three, *four; /* NULL: has none such */
};

static struct transcoder coders[KINDS_MAX];
static pthread_mutex_t   coders_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- Codes of several bytes, to where they stand in a table */
static uint32_t
four_index(const uint8_t *s)
{
    return (((s[0] - 0x81u) * 10 + (s[1] - 0x30u)) * 126 + (s[2] - 0x81u)) *
               10 +
           (s[3] - 0x30u);
}

static bool
is_four(const uint8_t *s, size_t left)
{
    return left >= 4 && s[0] >= 0x81 && s[0] <= 0xfe && s[1] >= 0x30 &&
           s[1] <= 0x39 && s[2] >= 0x81 && s[2] <= 0xfe && s[3] >= 0x30 &&
           s[3] <= 0x39;
}

/* The place of a code, of as many bytes as it has; NULL: none. */
static uint16_t *
code_place(const struct transcoder *t, const uint8_t *s, size_t len)
{
    switch (len) {
    case 2:
        return &t->two[(s[0] & 0x7fu) << 8 | s[1]];
    case 3:
        return t->three ? &t->three[(s[1] & 0x7fu) << 7 | (s[2] & 0x7fu)]
                        : NULL;
    default:
        return t->four && is_four(s, 4) && four_index(s) < FOUR
                   ? &t->four[four_index(s)]
                   : NULL;
    }
}

/* ---- Making tables */

/* One character of the BMP, or 0. */
static uint16_t
ask_iconv(iconv_t cd, const uint8_t *code, size_t len)
{
    char   in[4], out[16], *from = in, *to = out;
    size_t left = len, room = sizeof out;

    memcpy(in, code, len);
    iconv(cd, NULL, NULL, NULL, NULL);
    if (iconv(cd, &from, &left, &to, &room) != 0 || left > 0 ||
        to - out != 4) {
        return 0;
    }
    const uint32_t u = (uint32_t)get_be(out, 4);
    return u > 0xffff ? 0 : (uint16_t)u;
}

static void
make_four(struct transcoder *t, iconv_t cd)
{
    for (unsigned i = 0; i < FOUR; i++) {
        const uint8_t code[4] = { (uint8_t)(0x81 + i / 12600),
                                  (uint8_t)(0x30 + i / 1260 % 10),
                                  (uint8_t)(0x81 + i / 10 % 126),
                                  (uint8_t)(0x30 + i % 10) };
        t->four[i] = ask_iconv(cd, code, 4);
    }
}

static void
make_tables(struct transcoder *t, iconv_t cd)
{
    uint16_t *high = xcalloc(128, sizeof *high);

    for (unsigned i = 0; i < 128; i++) {
        const uint8_t code[1] = { (uint8_t)(0x80 + i) };
        high[i] = ask_iconv(cd, code, 1);
    }
    t->high = high;
    t->two = xcalloc(TWO, sizeof *t->two);
    for (unsigned i = 0; i < TWO; i++) {
        const uint8_t code[2] = { (uint8_t)(0x80 + i / 256), (uint8_t)i };
        /* Two characters of one byte each are no character of two. */
        t->two[i] = high[i / 256] ? 0 : ask_iconv(cd, code, 2);
    }
    for (unsigned i = 0; t->three && i < THREE; i++) {
        const uint8_t code[3] = { EUC_THIRD, (uint8_t)(0x80 + i / 128),
                                  (uint8_t)(0x80 + i % 128) };
        t->three[i] = ask_iconv(cd, code, 3);
    }
    if (t->four) {
        make_four(t, cd);
    }
}

static void
make_exceptions(struct transcoder *t, const struct coder_exception *e)
{
    for (; e && e->count > 0; e++) {
        uint8_t      code[4];
        const size_t len = e->code > 0xffffff ? 4 : e->code > 0xffff ? 3 : 2;
        for (unsigned i = 0; i < e->count; i++) {
            for (size_t k = 0; k < len; k++) {
                code[k] = (uint8_t)((e->code + i) >> 8 * (len - 1 - k));
            }
            *code_place(t, code, len) = (uint16_t)(e->character + i);
        }
    }
}

static bool
make_multi(struct transcoder *t, const struct multi_table *m)
{
    const iconv_t cd = iconv_open("UTF-32BE", m->iconv);

    if (cd == (iconv_t)-1) {
        return false;
    }
    t->kind = CODER_MULTI;
    if (strncmp(m->iconv, "EUC-JP", 6) == 0) {
        t->three = xcalloc(THREE, sizeof *t->three);
    }
    if (strcmp(m->iconv, "GB18030") == 0) {
        t->four = xcalloc(FOUR, sizeof *t->four);
    }
    make_tables(t, cd);
    make_exceptions(t, m->exceptions);
    iconv_close(cd);
    return true;
}

static bool
make(struct transcoder *t, struct weir_str name)
{
    static const struct { const char *name; enum coder_kind kind; } wide[] = {
        { "ucs2", CODER_UCS2 },
        { "utf16", CODER_UTF16 },
        { "utf16le", CODER_UTF16LE },
        { "utf32", CODER_UTF32 },
    };
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) {
        if (str_is(name, wide[i].name)) {
            t->kind = wide[i].kind;
            t->name = wide[i].name;
            return true;
        }
    }
    for (const struct single_table *s = single_tables; s->name; s++) {
        if (str_is(name, s->name)) {
            *t = (struct transcoder){ s->name, CODER_SINGLE, s->low, s->high,
                                      NULL, NULL, NULL };
            return true;
        }
    }
    for (const struct multi_table *m = multi_tables; m->name; m++) {
        if (str_is(name, m->name) && make_multi(t, m)) {
            t->name = m->name;
            return true;
        }
    }
    return false;
}

const struct transcoder *
transcoder_of(struct weir_str charset)
{
    struct transcoder *found = NULL;

    pthread_mutex_lock(&coders_lock);
    for (size_t i = 0; i < KINDS_MAX && !found; i++) {
        if (!coders[i].name && !make(&coders[i], charset)) {
            break;
        }
        if (str_is(charset, coders[i].name)) {
            found = &coders[i];
        }
    }
    pthread_mutex_unlock(&coders_lock);
    return found;
}

/* ---- Reading */

/* All take one character; UINT32_MAX: there is none. */
static uint32_t
wide_char(enum coder_kind kind, const uint8_t **s, const uint8_t *end)
{
    const uint8_t *p = *s;
    const size_t   left = (size_t)(end - p), size = kind == CODER_UTF32 ? 4 : 2;
    const bool     little = kind == CODER_UTF16LE;

    if (left < size) {
        return UINT32_MAX;
    }
    *s += size;
    uint32_t u = size == 4 ? (uint32_t)get_be(p, 4) : little ? get_le16(p) : get_be16(p);
    if (u >= 0xd800 && u < 0xdc00 && left >= 4 && size == 2 &&
        kind != CODER_UCS2) {
        const uint32_t low = little ? get_le16(p + 2) : get_be16(p + 2);
        *s += 2;
        return low >= 0xdc00 && low < 0xe000
                   ? 0x10000 + ((u - 0xd800) << 10 | (low - 0xdc00))
                   : UINT32_MAX;
    }
    return u < 0xd800 || (u >= 0xe000 && u < 0x110000) ? u : UINT32_MAX;
}

/* Of more than one byte. */
static uint32_t
multi_char(const struct transcoder *t, const uint8_t **s, const uint8_t *end)
{
    const uint8_t *p = *s;
    const size_t   left = (size_t)(end - p);

    if (t->four && is_four(p, left)) {
        const uint32_t i = four_index(p);
        *s += 4;
        if (i >= FOUR_PLANES) {
            return i - FOUR_PLANES < 0x100000 ? i - FOUR_PLANES + 0x10000
                                              : UINT32_MAX;
        }
        return i < FOUR && t->four[i] ? t->four[i] : UINT32_MAX;
    }
    const bool   third = t->three && p[0] == EUC_THIRD;
    const size_t size = third ? 3 : 2;
    if (left < size || (third && (p[1] < 0x80 || p[2] < 0x80))) {
        return UINT32_MAX;
    }
    *s += size;
    const uint16_t u = *code_place(t, p, size);
    return u ? u : UINT32_MAX;
}

static char *
put_utf8(char *p, uint32_t u)
{
    if (u < 0x80) {
        *p++ = (char)u;
        return p;
    }
    if (u < 0x800) {
        *p++ = (char)(0xc0 | u >> 6);
    } else {
        if (u < 0x10000) {
            *p++ = (char)(0xe0 | u >> 12);
        } else {
            *p++ = (char)(0xf0 | u >> 18);
            *p++ = (char)(0x80 | (u >> 12 & 0x3f));
        }
        *p++ = (char)(0x80 | (u >> 6 & 0x3f));
    }
    *p++ = (char)(0x80 | (u & 0x3f));
    return p;
}

static uint32_t
next_char(const struct transcoder *t, const uint8_t **s, const uint8_t *end)
{
    if (t->kind != CODER_SINGLE && t->kind != CODER_MULTI) {
        return wide_char(t->kind, s, end);
    }
    const uint8_t c = **s;
    if (c < 0x80) {
        ++*s;
        return t->low && c && !t->low[c] ? UINT32_MAX
               : t->low                  ? t->low[c]
                                         : c;
    }
    const uint16_t u = t->high[c - 0x80];
    if (u || t->kind == CODER_SINGLE) {
        ++*s;
        return u ? u : UINT32_MAX;
    }
    return multi_char(t, s, end);
}

size_t
transcode(const struct transcoder *t, const char *text, size_t len, char *out)
{
    const uint8_t *s = (const uint8_t *)text, *end = s + len;
    char          *to = out;

    while (s < end) {
        const uint32_t u = next_char(t, &s, end);
        if (u == UINT32_MAX) {
            return SIZE_MAX;
        }
        to = put_utf8(to, u);
    }
    return (size_t)(to - out);
}
