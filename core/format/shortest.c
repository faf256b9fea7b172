/*
 * shortest.c - Raffaello Giulietti's Schubfach ("The Schubfach way to render
 * doubles", 2021).  With v = c * 2^q, it scales v and the two ends of the
 * interval that rounds to v by a power of ten, so that the interval holds at
 * least one integer and at most one multiple of ten, and picks.  The powers
 * are computed once, with 128 bits, by long multiplication and division.
 */
#include "format/shortest.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "format/digits.h"

enum { POW_MIN = -292, POW_MAX = 324, LIMBS = 40 };

struct pow10 { /* 10^e, rounded up, its top bit in bit 63 of hi */
    uint64_t hi, lo;
};
static struct pow10 powers[POW_MAX - POW_MIN + 1];

struct decimal { uint64_t digits; int exponent; };

struct big { uint32_t limb[LIMBS]; }; /* little-endian */

static uint32_t
big_bits(const struct big *b, int from)
{
    if (from <= -32) {
        return 0;
    }
    if (from < 0) {
        return b->limb[0] << -from;
    }
    const int      i = from / 32;
    const uint64_t two =
        b->limb[i] | (uint64_t)(i + 1 < LIMBS ? b->limb[i + 1] : 0) << 32;
    return (uint32_t)(two >> from % 32);
}

/* The 128 bits from the highest set one down, rounded up if `more` is lost or
 * any bit below is set. */
static struct pow10
big_top(const struct big *b, bool more)
{
    int top = LIMBS * 32 - 1;
    while ((b->limb[top / 32] >> top % 32 & 1) == 0) {
        top--;
    }
    const int    from = top - 127;
    struct pow10 g = {
        (uint64_t)big_bits(b, from + 96) << 32 | big_bits(b, from + 64),
        (uint64_t)big_bits(b, from + 32) << 32 | big_bits(b, from),
    };
    for (int i = 0; i < from; i++) {
        more = more || (b->limb[i / 32] >> i % 32 & 1);
    }
    g.lo += more;
    g.hi += more && g.lo == 0;
    return g;
}

__attribute__((constructor)) static void
powers_init(void)
{
    struct big b = { { 1 } };
    for (int e = 0; e <= POW_MAX; e++) {
        powers[e - POW_MIN] = big_top(&b, false);
        uint64_t carry = 0;
        for (int i = 0; i < LIMBS; i++) {
            carry += (uint64_t)b.limb[i] * 10;
            b.limb[i] = (uint32_t)carry;
            carry >>= 32;
        }
    }
    /* 2^1279 divided by ten again and again: rounding down each time is the
     * same as rounding down once, and something is always lost. */
    b = (struct big){ { 0 } };
    b.limb[LIMBS - 1] = UINT32_C(1) << 31;
    for (int e = -1; e >= POW_MIN; e--) {
        uint64_t rest = 0;
        for (int i = LIMBS; i-- > 0;) {
            rest = rest << 32 | b.limb[i];
            b.limb[i] = (uint32_t)(rest / 10);
            rest %= 10;
        }
        powers[e - POW_MIN] = big_top(&b, true);
    }
}

static inline uint64_t
multiply(uint64_t a, uint64_t b, uint64_t *high)
{
#ifdef __SIZEOF_INT128__
    const unsigned __int128 product = (unsigned __int128)a * b;
    *high = (uint64_t)(product >> 64);
    return (uint64_t)product;
#else
    const uint64_t a0 = (uint32_t)a, a1 = a >> 32;
    const uint64_t b0 = (uint32_t)b, b1 = b >> 32;
    const uint64_t low = a0 * b0;
    const uint64_t mid = a1 * b0 + (low >> 32);
    const uint64_t mid2 = a0 * b1 + (uint32_t)mid;
    *high = a1 * b1 + (mid >> 32) + (mid2 >> 32);
    return mid2 << 32 | (uint32_t)low;
#endif
}

/* g * c / 2^128, with its lowest bit set if it was cut. */
static inline uint64_t
round_to_odd(struct pow10 g, uint64_t c)
{
    uint64_t low_high, high;
    multiply(g.lo, c, &low_high);
    const uint64_t mid = multiply(g.hi, c, &high) + low_high;
    high += mid < low_high;
    return high | (mid > 1);
}

/* Logarithms, rounded down; exact for all exponents of a double. */
static inline int
log10_pow2(int e)
{
    return (e * 1262611) >> 22;
}

static inline int
log10_three_quarters_pow2(int e)
{
    return (e * 1262611 - 524031) >> 22;
}

static inline int
log2_pow10(int e)
{
    return (e * 1741647) >> 19;
}

/* c * 2^q; `uneven`: the number below is only half as far away as the one
 * above, because c is the least one of its exponent. */
static struct decimal
schubfach(uint64_t c, int q, bool uneven)
{
    const uint64_t odd = c & 1;
    const int      k = uneven ? log10_three_quarters_pow2(q) : log10_pow2(q);
    const int      h = q + log2_pow10(-k) + 1;
    const struct pow10 g = powers[-k - POW_MIN];
    const uint64_t middle = round_to_odd(g, 4 * c << h);
    const uint64_t lower = round_to_odd(g, (4 * c - 2 + uneven) << h) + odd;
    const uint64_t upper = round_to_odd(g, (4 * c + 2) << h) - odd;
    const uint64_t s = middle / 4;

    if (s >= 10) { /* one digit fewer? */
        const uint64_t tens = s / 10;
        const bool     down = lower <= 40 * tens;
        const bool     up = 40 * tens + 40 <= upper;
        if (down != up) {
            return (struct decimal){ tens + up, k + 1 };
        }
    }
    const bool down = lower <= 4 * s;
    const bool up = 4 * s + 4 <= upper;
    if (down != up) {
        return (struct decimal){ s + up, k };
    }
    const uint64_t half = 4 * s + 2;
    const bool     round_up = middle > half || (middle == half && (s & 1));
    return (struct decimal){ s + round_up, k };
}

/* Divides by a constant, which a compiler turns into a multiplication. */
#define STRIP(d, n, power)                                                     \
    if ((d).digits % (power) == 0) {                                           \
        (d).digits /= (power);                                                 \
        (d).exponent += (n);                                                   \
    }

static struct decimal
strip_zeroes(struct decimal d)
{
    if (d.digits % 10) {
        return d; /* as most do that are no short decimals */
    }
    STRIP(d, 8, 100000000) /* there are 16 zeroes at most */
    STRIP(d, 8, 100000000)
    STRIP(d, 4, 10000)
    STRIP(d, 2, 100)
    STRIP(d, 1, 10)
    return d;
}

static char *
write_exponent(char *p, int e)
{
    *p++ = 'e';
    *p++ = e < 0 ? '-' : '+';
    return digits_u64(p, (uint64_t)(e < 0 ? -e : e));
}

/* `n` of the comments is where the point stands, from the first digit. */
static char *
write_decimal(char *p, struct decimal d)
{
    const int count = (int)digits_count(d.digits);
    const int point = d.exponent + count;

    if (d.exponent >= 0 && point <= 21) { /* 1200 */
        p = digits_fixed(p, d.digits, (unsigned)count);
        memset(p, '0', (size_t)d.exponent);
        return p + d.exponent;
    }
    if (point > 0 && point <= 21) { /* 1.2; `count` is 17 at most */
        char behind[24];
        digits_fixed(p, d.digits, (unsigned)count);
        memcpy(behind, p + point, sizeof behind);
        memcpy(p + point + 1, behind, sizeof behind);
        p[point] = '.';
        return p + count + 1;
    }
    if (point > -6 && point <= 0) { /* 0.0012 */
        memcpy(p, "0.00000", 8);
        return digits_fixed(p + 2 - point, d.digits, (unsigned)count);
    }
    digits_fixed(p + 1, d.digits, (unsigned)count); /* 1.2e-7 */
    p[0] = p[1];
    p[1] = '.';
    return write_exponent(p + (count > 1 ? count + 1 : 1), point - 1);
}

char *
shortest_double(char *p, double d)
{
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    if (bits >> 63) {
        *p++ = '-';
        d = -d;
    }
    if (d < 9007199254740992.0 && d == (double)(int64_t)d) {
        return digits_u64(p, (uint64_t)d);
    }
    const int      e = (int)(bits >> 52 & 0x7ff);
    const uint64_t fraction = bits & ((UINT64_C(1) << 52) - 1);
    if (e == 0) {
        return write_decimal(p, strip_zeroes(schubfach(fraction, -1074,
                                                       false)));
    }
    const struct decimal s = schubfach(fraction | UINT64_C(1) << 52, e - 1075,
                                       fraction == 0 && e > 1);
    return write_decimal(p, strip_zeroes(s));
}

char *
shortest_float(char *p, float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if (bits >> 31) {
        *p++ = '-';
        f = -f;
    }
    if (f < 16777216.0f && f == (float)(int32_t)f) {
        return digits_u64(p, (uint64_t)f);
    }
    const int      e = (int)(bits >> 23 & 0xff);
    const uint32_t fraction = bits & ((UINT32_C(1) << 23) - 1);
    if (e == 0) {
        return write_decimal(p, strip_zeroes(schubfach(fraction, -149, false)));
    }
    const struct decimal s = schubfach(fraction | UINT32_C(1) << 23, e - 150,
                                       fraction == 0 && e > 1);
    return write_decimal(p, strip_zeroes(s));
}
