/*
 * digits.h - integers, dates and times as decimal digits, two at a time.  All
 * write at `p`, where the caller made room, and return the end of what they
 * wrote; no NUL.  Knows no buffers.
 */
#ifndef WEIR_FORMAT_DIGITS_H
#define WEIR_FORMAT_DIGITS_H

#include <stdint.h>
#include <string.h>

#include <weir/event.h>

enum {
    DIGITS_INT = 20,  /* bytes of the longest 64-bit integer */
    DIGITS_TIME = 40, /* of the longest date and time, even of a wrong one */
};

extern const char     digit_pairs[201]; /* "00" to "99" */
extern const uint64_t digits_pow10[20];

/* How many digits v has; 0 has one. */
static inline unsigned
digits_count(uint64_t v)
{
    /* 1233 / 4096 is log10(2), near enough for 64 bits. */
    const unsigned guess =
        ((64 - (unsigned)__builtin_clzll(v | 1)) * 1233) >> 12;
    return guess + (v >= digits_pow10[guess] || v == 0);
}

/* Exactly n digits, leading zeroes and all. */
static inline char *
digits_fixed(char *p, uint64_t v, unsigned n)
{
    char *q = p + n;
    while (q - p >= 2) {
        q -= 2;
        memcpy(q, digit_pairs + v % 100 * 2, 2);
        v /= 100;
    }
    if (q > p) {
        *p = (char)('0' + v % 10);
    }
    return p + n;
}

static inline char *
digits_u64(char *p, uint64_t v)
{
    if (v < 10) {
        *p = (char)('0' + v);
        return p + 1;
    }
    return digits_fixed(p, v, digits_count(v));
}

static inline char *
digits_i64(char *p, int64_t v)
{
    if (v < 0) {
        *p++ = '-';
        return digits_u64(p, -(uint64_t)v);
    }
    return digits_u64(p, (uint64_t)v);
}

/* Two digits, or three if there are three. */
static inline char *
digits_two(char *p, unsigned v)
{
    if (v > 99) {
        return digits_u64(p, v);
    }
    memcpy(p, digit_pairs + v * 2, 2);
    return p + 2;
}

/* "2024-02-29" */
char *digits_date(char *p, const struct weir_time *t);
/* "-838:59:59.000001", with `scale` digits behind the point */
char *digits_clock(char *p, const struct weir_time *t, unsigned scale);

/* Microseconds since 1970 as "2024-01-02T03:04:05.123456Z", 27 bytes for the
 * years 0 to 9999. */
char *digits_instant(char *p, int64_t usec);

#endif
