/*
 * sink_file_bytes.h - little-endian numbers and texts, into memory that grows
 * and out of memory that is not trusted.
 */
#ifndef SINK_FILE_BYTES_H
#define SINK_FILE_BYTES_H

#include <weir/module.h>

struct bytes {
    char  *data;
    size_t len, room;
    bool   failed; /* no memory */
};

void bytes_add(struct bytes *b, const void *data, size_t n);
void bytes_number(struct bytes *b, uint64_t value, size_t n);
void bytes_str(struct bytes *b, struct weir_str s);
/* Into n bytes at `out`. */
void bytes_put(char *out, uint64_t value, size_t n);

struct input {
    const char *p, *end;
    bool        bad; /* there was less than was asked for */
};

uint64_t        input_number(struct input *in, size_t n);
struct weir_str input_str(struct input *in);

/* CRC-32, as in gzip. */
uint32_t bytes_crc(const char *data, size_t len);

#endif
