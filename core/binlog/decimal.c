/*
 * decimal.c - DECIMAL's packed form to text, digit for digit.  Nine digits are
 * a big-endian integer of four bytes; what is left over takes fewer (MySQL
 * strings/decimal.cc, decimal2bin()).
 */
#include "binlog/value.h"

#include <string.h>

enum { GROUP = 9 };

static const uint8_t group_bytes[GROUP + 1] = { 0, 1, 1, 2, 2, 3, 3, 4, 4, 4 };
static const uint32_t powers[GROUP + 1] = { 1,      10,      100,      1000,
                                            10000,  100000,  1000000,  10000000,
                                            100000000, 1000000000 };

unsigned
decimal_bytes(unsigned precision, unsigned scale)
{
    const unsigned whole = precision - scale;

    return whole / GROUP * 4 + group_bytes[whole % GROUP] +
           scale / GROUP * 4 + group_bytes[scale % GROUP];
}

static void
put_digits(char *out, unsigned n, uint32_t v)
{
    while (n > 0) {
        out[--n] = (char)('0' + v % 10);
        v /= 10;
    }
}

/* `n` digits to `out`; the bytes behind, or NULL if they are more. */
static const uint8_t *
group_text(const uint8_t *p, unsigned n, uint8_t flip, char *out)
{
    uint32_t v = 0;

    for (unsigned i = 0; i < group_bytes[n]; i++) {
        v = v << 8 | (*p++ ^ flip);
    }
    if (v >= powers[n]) {
        return NULL;
    }
    put_digits(out, n, v);
    return p;
}

size_t
decimal_text(const uint8_t *p, unsigned precision, unsigned scale, char *out)
{
    uint8_t        bytes[36];
    char           digits[80];
    const unsigned whole = precision - scale;
    const unsigned size = decimal_bytes(precision, scale);
    const uint8_t *in = bytes;
    const uint8_t  flip = p[0] & 0x80 ? 0 : 0xff;
    unsigned       n = 0;

    memcpy(bytes, p, size);
    bytes[0] ^= 0x80;
    for (unsigned left = whole; left > 0 && in;) { /* the short group first */
        const unsigned take = left % GROUP ? left % GROUP : GROUP;
        in = group_text(in, take, flip, digits + n);
        n += take;
        left -= take;
    }
    for (unsigned left = scale; left > 0 && in;) { /* and here last */
        const unsigned take = left < GROUP ? left : GROUP;
        in = group_text(in, take, flip, digits + n);
        n += take;
        left -= take;
    }
    if (!in) {
        return 0;
    }
    unsigned zeroes = 0;
    while (zeroes < whole && digits[zeroes] == '0') {
        zeroes++;
    }
    char *to = out;
    if (flip) {
        *to++ = '-';
    }
    if (zeroes == whole) {
        *to++ = '0';
    }
    memcpy(to, digits + zeroes, whole - zeroes);
    to += whole - zeroes;
    if (scale > 0) {
        *to++ = '.';
        memcpy(to, digits + whole, scale);
        to += scale;
    }
    return (size_t)(to - out);
}
