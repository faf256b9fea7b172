/*
 * crc32c.c - eight bytes at a time, by the processor's own instruction where it
 * has one, else by tables.  The instruction gives its result three cycles later
 * and may be started in each: long pieces are read in three lanes, whose sums
 * are joined by what so many zeroes would make of the first ones.
 */
#include "base/crc32c.h"

#include "base/bytes.h"

enum { LANE = 1024 }; /* bytes */

static uint32_t tables[8][256];
static uint32_t behind_lane[4][256]; /* each byte of a sum, LANE zeroes later */

static uint32_t by_tables(uint32_t crc, const uint8_t *p, size_t len);

static void __attribute__((constructor))
make_tables(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++) {
            c = c >> 1 ^ (c & 1 ? 0x82f63b78u : 0);
        }
        tables[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; i++) {
        for (int t = 1; t < 8; t++) {
            const uint32_t c = tables[t - 1][i];
            tables[t][i] = c >> 8 ^ tables[0][c & 255];
        }
    }
    static const uint8_t zeroes[LANE];
    for (int i = 0; i < 4 * 256; i++) {
        behind_lane[i / 256][i % 256] =
            by_tables((uint32_t)(i % 256) << (i / 256 * 8), zeroes, LANE);
    }
}

static uint32_t
by_tables(uint32_t crc, const uint8_t *p, size_t len)
{
    for (; len >= 8; p += 8, len -= 8) {
        const uint64_t v = get_le64(p) ^ crc;
        crc = 0;
        for (int t = 0; t < 8; t++) {
            crc ^= tables[7 - t][v >> (8 * t) & 255];
        }
    }
    for (; len > 0; p++, len--) {
        crc = crc >> 8 ^ tables[0][(crc ^ *p) & 255];
    }
    return crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

static uint32_t
lane_later(uint32_t crc)
{
    return behind_lane[0][crc & 255] ^ behind_lane[1][crc >> 8 & 255] ^
           behind_lane[2][crc >> 16 & 255] ^ behind_lane[3][crc >> 24];
}

__attribute__((target("sse4.2"))) static uint32_t
by_instruction(uint32_t crc, const uint8_t *p, size_t len)
{
    uint64_t c = crc;
    for (; len >= 3 * LANE; p += 3 * LANE, len -= 3 * LANE) {
        uint64_t second = 0, third = 0;
        for (size_t i = 0; i < LANE; i += 8) {
            c = _mm_crc32_u64(c, get_le64(p + i));
            second = _mm_crc32_u64(second, get_le64(p + LANE + i));
            third = _mm_crc32_u64(third, get_le64(p + 2 * LANE + i));
        }
        c = lane_later((uint32_t)c) ^ second;
        c = lane_later((uint32_t)c) ^ third;
    }
    for (; len >= 8; p += 8, len -= 8) {
        c = _mm_crc32_u64(c, get_le64(p));
    }
    for (; len > 0; p++, len--) {
        c = _mm_crc32_u8((uint32_t)c, *p);
    }
    return (uint32_t)c;
}
#endif

uint32_t
crc32c(uint32_t crc, const void *data, size_t len)
{
    crc = ~crc;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) {
        return ~by_instruction(crc, data, len);
    }
#endif
    return ~by_tables(crc, data, len);
}
