/*
 * writer.h - the relay's writing end from inside: what append.c, recover.c,
 * retain.c and relay.c share.
 *
 * Offsets in order:  published <= committed <= end, and written <= end: what
 * lies between `written` and `end` is in `out`.  The last of `segments` is the
 * open one, `fd`; after relay_open() there is none (-1) until the first frame
 * comes, at `next_base`: its origin is not known before.
 */
#ifndef WEIR_RELAY_WRITER_H
#define WEIR_RELAY_WRITER_H

#include "relay/relay.h"
#include "relay/relay_page.h"
#include "relay/segment.h"

enum {
    WRITER_ROOM = 512 << 10,  /* of frames that gather */
    WRITER_LARGE = 128 << 10, /* frames from here on are written at once */
    WRITER_MAX_SPARES = 3,
};

struct segment {
    uint64_t base, end; /* behind its last frame; of the open one: not set */
    uint32_t header_len;
    int64_t  created_usec;
    bool     synced;
};

struct spare {
    unsigned number;
    int64_t  bytes;
};

struct relay {
    struct relay_settings settings;
    char                 *dir;
    uint8_t               boot_id[16];
    struct relay_page     page;

    struct segment *segments;
    size_t          nsegments, segments_room;
    struct spare    spares[WRITER_MAX_SPARES];
    size_t          nspares;
    unsigned        next_spare;

    int      fd;
    uint64_t next_base;
    char     path[PATH_MAX]; /* of the open segment */
    uint64_t published, committed, end, written;
    uint64_t dirty;  /* bytes of the open segment up to here may have been
                        written by an append that failed or was cut */
    uint64_t synced; /* fdatasync() was called with this much written */
    int64_t  sync_usec;
    uint64_t max_open; /* of a transaction, in bytes */
    bool     is_new;

    char  *out;
    size_t fill;

    struct buf scratch; /* headers */
};

static inline struct segment *
writer_open_segment(struct relay *r)
{
    return &r->segments[r->nsegments - 1];
}

/* Nanoseconds, as the settings' clock says. */
int64_t writer_now(const struct relay *r);
void    writer_push(struct relay *r, const struct segment *s);

/* append.c */
enum weir_status writer_flush(struct relay *r, struct weir_err *err);
enum weir_status writer_sync(struct relay *r, struct weir_err *err);

/* recover.c: finds what is there, cuts it to what is whole; sets `end` and
 * `next_base`. */
enum weir_status writer_recover(struct relay *r, struct weir_err *err);

/* retain.c: a spare to be written over, or 0 if there is none. */
bool    writer_take_spare(struct relay *r, char path[static PATH_MAX]);
void    writer_find_spares(struct relay *r, const struct segment_names *names);
int64_t writer_bytes(const struct relay *r); /* of all segments */

#endif
