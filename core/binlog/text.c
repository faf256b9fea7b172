/*
 * text.c - bytes to UTF-8, and the addresses that MariaDB stores as bytes to
 * the text it prints for them.
 */
#include "binlog/text.h"

#include <string.h>

#include "base/bytes.h"

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* How many ASCII bytes come first. */
static size_t
ascii_run(const uint8_t *s, size_t len)
{
    size_t i = 0;

    while (i + 8 <= len && (get_le64(s + i) & HIGH_BITS) == 0) {
        i += 8;
    }
    while (i < len && s[i] < 0x80) {
        i++;
    }
    return i;
}

bool
text_is_ascii(const char *s, size_t len)
{
    return ascii_run((const uint8_t *)s, len) == len;
}

/* The length of the character at s, or 0.  The second byte's range leaves out
 * long forms, surrogates and what is beyond U+10FFFF (Unicode, table 3-7). */
static size_t
utf8_char(const uint8_t *s, size_t left)
{
    const uint8_t first = s[0];
    const size_t  n = first < 0xc2   ? 0
                      : first < 0xe0 ? 2
                      : first < 0xf0 ? 3
                      : first < 0xf5 ? 4
                                     : 0;
    if (n == 0 || left < n) {
        return 0;
    }
    const uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    const uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (s[1] < low || s[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return n;
}

bool
text_is_utf8(const char *text, size_t len)
{
    const uint8_t *s = (const uint8_t *)text;
    size_t         i = ascii_run(s, len);

    while (i < len) {
        if (s[i] < 0x80) {
            i += ascii_run(s + i, len - i);
            continue;
        }
        const size_t n = utf8_char(s + i, len - i);
        if (n == 0) {
            return false;
        }
        i += n;
    }
    return true;
}

/* 0x80 to 0x9f; where cp1252 has none, the server keeps the number. */
static const uint16_t cp1252[32] = {
    0x20ac, 0x0081, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
    0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0x008d, 0x017d, 0x008f,
    0x0090, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
    0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x009d, 0x017e, 0x0178,
};

size_t
text_of_latin1(const char *s, size_t len, char *out)
{
    char *to = out;

    for (size_t i = 0; i < len; i++) {
        const uint8_t  c = (uint8_t)s[i];
        const unsigned u = c >= 0x80 && c < 0xa0 ? cp1252[c - 0x80] : c;
        if (u < 0x80) {
            *to++ = (char)u;
        } else if (u < 0x800) {
            *to++ = (char)(0xc0 | u >> 6);
            *to++ = (char)(0x80 | (u & 0x3f));
        } else {
            *to++ = (char)(0xe0 | u >> 12);
            *to++ = (char)(0x80 | (u >> 6 & 0x3f));
            *to++ = (char)(0x80 | (u & 0x3f));
        }
    }
    return (size_t)(to - out);
}

char *
text_put_u64(char *p, uint64_t v)
{
    char  digits[20];
    char *d = digits + sizeof digits;

    do {
        *--d = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    const size_t n = (size_t)(digits + sizeof digits - d);
    memcpy(p, d, n);
    return p + n;
}

char *
text_put_uuid(char *p, const uint8_t uuid[16])
{
    static const char hex[] = "0123456789abcdef";

    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *p++ = '-';
        }
        *p++ = hex[uuid[i] >> 4];
        *p++ = hex[uuid[i] & 15];
    }
    return p;
}

size_t
text_of_inet4(const uint8_t bytes[4], char *out)
{
    char *p = out;

    for (int i = 0; i < 4; i++) {
        if (i > 0) {
            *p++ = '.';
        }
        p = text_put_u64(p, bytes[i]);
    }
    return (size_t)(p - out);
}

static char *
put_hex16(char *p, unsigned v)
{
    static const char hex[] = "0123456789abcdef";
    bool              started = false;

    for (int shift = 12; shift >= 0; shift -= 4) {
        const unsigned digit = v >> shift & 15;
        started = started || digit != 0 || shift == 0;
        if (started) {
            *p++ = hex[digit];
        }
    }
    return p;
}

struct run { unsigned at, len; };

/* The first of the longest runs of zeroes; one alone counts too, which is
 * MariaDB's way (plugin/type_inet/sql_type_inet.cc). */
static struct run
longest_gap(const uint8_t bytes[16])
{
    struct run best = { 8, 0 };
    unsigned   len = 0;

    for (unsigned i = 0; i < 8; i++) {
        len = get_be16(bytes + 2 * i) == 0 ? len + 1 : 0;
        if (len > best.len) {
            best = (struct run){ i + 1 - len, len };
        }
    }
    return best;
}

size_t
text_of_inet6(const uint8_t bytes[16], char *out)
{
    const struct run gap = longest_gap(bytes);
    const bool       ipv4 =
        gap.at == 0 && (gap.len == 6 ||
                        (gap.len == 5 && get_be16(bytes + 10) == 0xffff));
    char *p = out;

    for (unsigned i = 0; i < 8; i++) {
        if (i == gap.at) {
            *p++ = ':';
            if (i == 0) {
                *p++ = ':';
            }
            i += gap.len - 1;
            continue;
        }
        if (i == 6 && ipv4) {
            p += text_of_inet4(bytes + 12, p);
            break;
        }
        p = put_hex16(p, get_be16(bytes + 2 * i));
        if (i < 7) {
            *p++ = ':';
        }
    }
    return (size_t)(p - out);
}
