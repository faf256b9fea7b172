/* sink_file_bytes.c - see sink_file_bytes.h. */
#include "sink_file_bytes.h"

#include <stdlib.h>
#include <string.h>

void
bytes_add(struct bytes *b, const void *data, size_t n)
{
    if (b->room - b->len < n) {
        const size_t room = (b->len + n) * 2;
        char        *more = realloc(b->data, room);
        if (!more) {
            b->failed = true;
            return;
        }
        b->data = more;
        b->room = room;
    }
    if (n) {
        memcpy(b->data + b->len, data, n);
        b->len += n;
    }
}

void
bytes_put(char *out, uint64_t value, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = (char)(value >> 8 * i);
    }
}

void
bytes_number(struct bytes *b, uint64_t value, size_t n)
{
    char out[8];

    bytes_put(out, value, n);
    bytes_add(b, out, n);
}

void
bytes_str(struct bytes *b, struct weir_str s)
{
    bytes_number(b, s.len, 4);
    bytes_add(b, s.data, s.len);
}

uint64_t
input_number(struct input *in, size_t n)
{
    uint64_t value = 0;

    if ((size_t)(in->end - in->p) < n) {
        in->bad = true;
        in->p = in->end;
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        value |= (uint64_t)(unsigned char)in->p[i] << 8 * i;
    }
    in->p += n;
    return value;
}

struct weir_str
input_str(struct input *in)
{
    const size_t len = input_number(in, 4);

    if ((size_t)(in->end - in->p) < len) {
        in->bad = true;
        in->p = in->end;
        return (struct weir_str){ in->end, 0 };
    }
    const struct weir_str s = { in->p, len };
    in->p += len;
    return s;
}

/* Four bits at a time: records are short. */
uint32_t
bytes_crc(const char *data, size_t len)
{
    static const uint32_t table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    uint32_t crc = 0xffffffff;

    for (size_t i = 0; i < len; i++) {
        crc ^= (unsigned char)data[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}
