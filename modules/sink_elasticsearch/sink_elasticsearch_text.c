/* sink_elasticsearch_text.c - see sink_elasticsearch_text.h. */
#include "sink_elasticsearch_text.h"

#include <stdlib.h>

void
text_free(struct text *t)
{
    free(t->data);
    *t = (struct text){ 0 };
}

void
text_add(struct text *t, const void *data, size_t len)
{
    if (t->room - t->len < len && !t->failed) {
        const size_t room = (t->len + len) * 2 + 256;
        char        *more = realloc(t->data, room);
        t->failed = more == NULL;
        if (more) {
            t->data = more;
            t->room = room;
        }
    }
    if (len && !t->failed) {
        memcpy(t->data + t->len, data, len);
        t->len += len;
    }
}

void
text_u64(struct text *t, uint64_t n)
{
    char   digits[20];
    size_t i = sizeof digits;

    do {
        digits[--i] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    text_add(t, digits + i, sizeof digits - i);
}

void
text_quoted(struct text *t, struct weir_str s)
{
    static const char hex[] = "0123456789abcdef";
    size_t            plain = 0;

    text_put(t, "\"");
    for (size_t i = 0; i < s.len; i++) {
        const unsigned char c = (unsigned char)s.data[i];
        if (c >= 0x20 && c != '"' && c != '\\') {
            continue;
        }
        text_add(t, s.data + plain, i - plain);
        plain = i + 1;
        const char code[] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };
        const char pair[] = { '\\', (char)c };
        if (c < 0x20) {
            text_add(t, code, sizeof code);
        } else {
            text_add(t, pair, sizeof pair);
        }
    }
    text_add(t, s.data + plain, s.len - plain);
    text_put(t, "\"");
}

bool
text_has(struct weir_str s, struct weir_str part)
{
    for (size_t i = 0; i + part.len <= s.len; i++) {
        if (memcmp(s.data + i, part.data, part.len) == 0) {
            return true;
        }
    }
    return false;
}

/* How many bytes at `p` are one character, 0 if none (RFC 3629). */
static size_t
character(const unsigned char *p, size_t left)
{
    const unsigned char c = p[0];
    const size_t n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3
                     : c < 0xf5                                 ? 4
                                                                : 0;
    if (n == 0 || n > left) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    const bool wrong = (c == 0xe0 && p[1] < 0xa0) ||
                       (c == 0xed && p[1] > 0x9f) ||
                       (c == 0xf0 && p[1] < 0x90) || (c == 0xf4 && p[1] > 0x8f);
    return wrong ? 0 : n;
}

bool
text_is_utf8(struct weir_str s)
{
    const unsigned char *p = (const unsigned char *)s.data;

    for (size_t i = 0; i < s.len;) {
        const size_t n = character(p + i, s.len - i);
        if (n == 0) {
            return false;
        }
        i += n;
    }
    return true;
}

/* ---- SHA-256 (FIPS 180-4), for the few ids that are too long */

static uint32_t
turned(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

static const uint32_t sha_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
    0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
    0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
    0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
    0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
    0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static void
sha_block(uint32_t state[8], const unsigned char *p)
{
    uint32_t w[64], v[8];

    for (int i = 0; i < 16; i++) {
        w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 |
               (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
    }
    for (int i = 16; i < 64; i++) {
        const uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (turned(a, 7) ^ turned(a, 18) ^ a >> 3) + w[i - 7] +
               (turned(b, 17) ^ turned(b, 19) ^ b >> 10);
    }
    memcpy(v, state, sizeof v);
    for (int i = 0; i < 64; i++) {
        const uint32_t s1 =
            turned(v[4], 6) ^ turned(v[4], 11) ^ turned(v[4], 25);
        const uint32_t t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) +
                            sha_constants[i] + w[i];
        const uint32_t s0 =
            turned(v[0], 2) ^ turned(v[0], 13) ^ turned(v[0], 22);
        const uint32_t t2 =
            s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += t1;
        v[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++) {
        state[i] += v[i];
    }
}

static void
sha256(struct weir_str s, unsigned char out[32])
{
    uint32_t state[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                          0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
    unsigned char        last[128] = { 0 };
    const unsigned char *p = (const unsigned char *)s.data;
    const size_t         rest = s.len % 64;
    const size_t         end = rest < 56 ? 64 : 128;

    for (size_t i = 0; i + 64 <= s.len; i += 64) {
        sha_block(state, p + i);
    }
    memcpy(last, p + s.len - rest, rest);
    last[rest] = 0x80;
    for (size_t i = 0; i < 8; i++) {
        last[end - 1 - i] = (unsigned char)((uint64_t)s.len * 8 >> (8 * i));
    }
    sha_block(state, last);
    if (end == 128) {
        sha_block(state, last + 64);
    }
    for (int i = 0; i < 32; i++) {
        out[i] = (unsigned char)(state[i / 4] >> (24 - 8 * (i % 4)));
    }
}

/* ---- Ids */

struct weir_str
text_id(struct weir_str s, char *room)
{
    static const char    hex[] = "0123456789abcdef";
    unsigned char        hash[32];
    const unsigned char *from = (const unsigned char *)s.data;
    size_t               n = s.len;

    const bool alike =
        s.len >= 2 && s.data[0] == '~' && (s.data[1] == 'x' || s.data[1] == 'h');
    if (s.len <= ID_BYTES && !alike && text_is_utf8(s)) {
        return s;
    }
    const bool fits = 2 + 2 * s.len <= ID_BYTES;
    if (!fits) {
        sha256(s, hash);
        from = hash;
        n = sizeof hash;
    }
    room[0] = '~';
    room[1] = fits ? 'x' : 'h';
    for (size_t i = 0; i < n; i++) {
        room[2 + 2 * i] = hex[from[i] >> 4];
        room[3 + 2 * i] = hex[from[i] & 15];
    }
    return (struct weir_str){ room, 2 + 2 * n };
}
