/*
 * segment.h - one segment file: its name, its header, and whether some bytes
 * are a frame.  Shared by the writing and the reading end; knows neither
 * transactions nor what is published.
 */
#ifndef WEIR_RELAY_SEGMENT_H
#define WEIR_RELAY_SEGMENT_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "relay/frame.h"

enum {
    SEGMENT_HEAD = 72, /* without the origin */
    SEGMENT_MAX_ORIGIN = 64 << 20,
    FRAME_MAX = (1 << 30) + 4096, /* head and payload; an event has at most
                                     1 GiB, and fields of ours before it */
    FRAME_END_SIZE = FRAME_HEAD + 8,
};

struct segment_header {
    uint8_t         pipeline_id[16], boot_id[16];
    uint64_t        base;
    int64_t         created_usec;
    uint32_t        len;
    struct weir_str origin;
};

/* Bases in ascending order, and the numbers of "spare.N" files. */
struct segment_names {
    uint64_t *bases;
    unsigned *spares;
    size_t    nbases, nspares;
};
enum weir_status segment_list(const char *dir, struct segment_names *out,
                              struct weir_err *err);
void             segment_names_free(struct segment_names *names);

void segment_path(char out[static PATH_MAX], const char *dir, uint64_t base);
void segment_spare_path(char out[static PATH_MAX], const char *dir,
                        unsigned number);

/* Sets h->len.  Of the file at `base`: FATAL if it is damaged or of a newer
 * format; the origin points into `room`. */
void             segment_format(struct segment_header *h, struct buf *out);
enum weir_status segment_parse(int fd, const char *path, uint64_t base,
                               struct buf *room, struct segment_header *out,
                               struct weir_err *err);

static inline uint64_t
frame_round(uint64_t n)
{
    return (n + FRAME_ALIGN - 1) & ~(uint64_t)(FRAME_ALIGN - 1);
}

/* The length that the head of the frame at `offset` gives, 0 if it can't be
 * one; nothing behind the head is looked at. */
uint32_t frame_length(const void *head, uint64_t offset);
/* All of it: frame_length() bytes at `p`. */
bool frame_valid(const void *p, uint32_t length);
/* Fills in what a frame of a checked length says. */
void frame_parse(const void *p, uint32_t length, struct frame *out);
/* The head without its CRC, which is crc32c() of bytes 8 to length. */
void frame_format(char *p, uint32_t length, uint64_t offset,
                  enum frame_type type, uint8_t flags);
/* END and STOP: a frame with one number. */
void frame_format_number(char out[static FRAME_END_SIZE], uint64_t offset,
                         enum frame_type type, uint64_t number);

#endif
