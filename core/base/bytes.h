/*
 * bytes.h - integers of a given width and byte order at any address, and a
 * reader that can't run over the end.  The unbounded getters are for bytes
 * whose number was checked already.
 */
#ifndef WEIR_BASE_BYTES_H
#define WEIR_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <weir/event.h>

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LE(bits, v) (v)
#define BE(bits, v) __builtin_bswap##bits(v)
#else
#define LE(bits, v) __builtin_bswap##bits(v)
#define BE(bits, v) (v)
#endif

#define BYTES_ACCESSORS(bits)                                                  \
    static inline uint##bits##_t get_le##bits(const void *p)                   \
    { uint##bits##_t v; memcpy(&v, p, sizeof v); return LE(bits, v); }         \
    static inline uint##bits##_t get_be##bits(const void *p)                   \
    { uint##bits##_t v; memcpy(&v, p, sizeof v); return BE(bits, v); }         \
    static inline void put_le##bits(void *p, uint##bits##_t v)                 \
    { v = LE(bits, v); memcpy(p, &v, sizeof v); }
BYTES_ACCESSORS(16)
BYTES_ACCESSORS(32)
BYTES_ACCESSORS(64)
#undef BYTES_ACCESSORS

/* 1 to 8 bytes, little- or big-endian. */
static inline uint64_t
get_le(const void *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = n; i-- > 0;) {
        v = v << 8 | ((const uint8_t *)p)[i];
    }
    return v;
}

static inline uint64_t
get_be(const void *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        v = v << 8 | ((const uint8_t *)p)[i];
    }
    return v;
}

/*
 * What is left of some bytes.  A read beyond the end gives zeroes, sets `bad`
 * and leaves nothing more to read, so that one test at the end of a structure
 * is enough, as long as no size or loop bound is used before it is checked.
 */
struct reader {
    const uint8_t *p, *end;
    bool           bad;
};

static inline struct reader
reader_of(const void *data, size_t len)
{
    const uint8_t *p = data;
    return (struct reader){ p, p ? p + len : p, false };
}

static inline size_t
reader_left(const struct reader *r)
{
    return (size_t)(r->end - r->p);
}

/* The next n bytes, or NULL. */
static inline const uint8_t *
read_bytes(struct reader *r, size_t n)
{
    if (reader_left(r) < n) {
        r->bad = true;
        r->p = r->end;
        return NULL;
    }
    const uint8_t *p = r->p;
    r->p += n;
    return p;
}

static inline uint64_t
read_le(struct reader *r, size_t n)
{
    const uint8_t *p = read_bytes(r, n);
    return p ? get_le(p, n) : 0;
}

static inline uint64_t
read_be(struct reader *r, size_t n)
{
    const uint8_t *p = read_bytes(r, n);
    return p ? get_be(p, n) : 0;
}

/* MySQL's packed integer; 0xfb (NULL) and 0xff are bad. */
static inline uint64_t
read_lenenc(struct reader *r)
{
    const uint64_t first = read_le(r, 1);
    switch (first) {
    case 0xfb:
    case 0xff:
        r->bad = true;
        r->p = r->end;
        return 0;
    case 0xfc:
        return read_le(r, 2);
    case 0xfd:
        return read_le(r, 3);
    case 0xfe:
        return read_le(r, 8);
    default:
        return first;
    }
}

static inline struct weir_str
read_str(struct reader *r, uint64_t n)
{
    if (n > reader_left(r)) {
        n = SIZE_MAX; /* on a 32-bit machine too */
    }
    const uint8_t *p = read_bytes(r, (size_t)n);
    return (struct weir_str){ (const char *)p, p ? (size_t)n : 0 };
}

#endif
