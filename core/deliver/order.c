/* order.c - see order.h. */
#include "deliver/order.h"

#include <string.h>

#include "base/str.h"

uint64_t
order_mix(uint64_t h)
{
    h ^= h >> 32;
    h *= UINT64_C(0xd6e8feb86659fd93);
    h ^= h >> 32;
    h *= UINT64_C(0xd6e8feb86659fd93);
    return h ^ h >> 32;
}

uint64_t
order_text(uint64_t h, struct weir_str s)
{
    return order_mix(str_hash(h, s) + s.len);
}

static uint64_t
time_number(const struct weir_time *t)
{
    const uint64_t day = (uint64_t)t->year * 416 + t->month * 32u + t->day;
    const uint64_t second =
        ((uint64_t)t->hour * 60 + t->minute) * 60 + t->second;

    return ((day * 3600000 + second) * 1000000 + t->usec) * 2 + t->negative;
}

uint64_t
order_value(uint64_t h, const struct weir_value *v)
{
    uint64_t bits = 0;

    switch (v->type) {
    case WEIR_ABSENT:
    case WEIR_NULL:
        return order_mix(h + 1);
    case WEIR_INT:
    case WEIR_UINT:
        return order_mix(h ^ order_mix(v->u + 2));
    case WEIR_DOUBLE:
        if (v->d != 0) { /* one zero */
            memcpy(&bits, &v->d, sizeof bits);
        }
        return order_mix(h ^ order_mix(bits + 3));
    case WEIR_DECIMAL:
    case WEIR_TEXT:
    case WEIR_BYTES:
    case WEIR_JSON:
        return order_text(h, v->s);
    default:
        return order_mix(h ^ order_mix(time_number(&v->t)));
    }
}

/* Letters that some collation takes for one: cases of one letter; i and y in
 * Lithuanian, i and j, u and v in Latin, v and w in Swedish and Estonian. */
static unsigned char
folded(unsigned char c)
{
    c = c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c;
    switch (c) {
    case 'j':
    case 'y':
        return 'i';
    case 'v':
    case 'w':
        return 'u';
    default:
        return c;
    }
}

bool
order_folded(uint64_t *h, struct weir_str s)
{
    char   chunk[64];
    size_t n = 0;

    while (s.len > 0 && s.data[s.len - 1] == ' ') {
        s.len--; /* PAD SPACE */
    }
    for (size_t i = 0; i < s.len; i++) {
        const unsigned char c = (unsigned char)s.data[i];
        if (c < ' ' || c > '~') {
            return false; /* a letter with an accent, or one without weight */
        }
        chunk[n++] = (char)folded(c);
        if (n == sizeof chunk) {
            *h = order_text(*h, (struct weir_str){ chunk, n });
            n = 0;
        }
    }
    *h = order_text(*h, (struct weir_str){ chunk, n });
    return true;
}
