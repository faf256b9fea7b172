/*
 * relay.h - the relay's writing end: one for each relay, in the source worker.
 * Knows frames and segments, not rows; what it is told of positions it keeps as
 * opaque bytes in segment headers.  Not thread-safe: one caller at a time.
 *
 * A segment's header:  "WEIRRLY1", u32 format, u32 header_len (a multiple of
 * 8; frames begin there), u8 pipeline_id[16], u64 base, i64 created_usec,
 * u8 boot_id[16], u32 origin_len, u32 crc (CRC32C of all the rest of the
 * header, these four bytes as zeroes), origin (opaque).
 *
 * Appended frames gather in memory and are written at relay_publish(), or
 * earlier where they are many; followers see only what was published.
 * Statuses: RETRY where the disk refuses (full, I/O error: nothing published
 * is harmed, and what was appended since the last relay_commit() has to be
 * cut), FATAL where the relay itself is damaged.
 */
#ifndef WEIR_RELAY_RELAY_H
#define WEIR_RELAY_RELAY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/buf.h"
#include "relay/frame.h"

enum relay_sync { RELAY_SYNC_NONE, RELAY_SYNC_INTERVAL, RELAY_SYNC_COMMIT };

struct relay_settings {
    const char     *dir;       /* <state>/<pipeline>/relay, made 0700 */
    const char     *page_path; /* <state>/run/<pipeline>.relay */
    uint8_t         pipeline_id[16];
    int64_t         segment_size;    /* 64 MiB; larger for a larger frame */
    int64_t         size;            /* of all that is published */
    int64_t         max_transaction; /* beyond size; 0: the disk less 5 % */
    int64_t         keep_usec;       /* what every sink has, within size */
    enum relay_sync sync;            /* INTERVAL: each second */
    /* Writes the origin of a segment that is about to begin. */
    void (*origin)(void *arg, struct buf *out);
    void *arg;
    int64_t (*now)(void); /* nanoseconds since 1970; NULL: the clock */
};

struct relay;

/*
 * Opens or makes a relay: cuts a torn tail and an open transaction (back to the
 * last COMMIT, DDL's COMMIT, ROTATE, HEARTBEAT or STOP frame), after a power
 * cut (another boot id) reads all segments for holes and cuts at the first,
 * and goes on behind a STOP frame or else at the larger of the end and the
 * clock in nanoseconds, in a new segment, begun when the first frame comes:
 * before, origin() is not called.  Publishes what is there.
 */
enum weir_status relay_open(const struct relay_settings *settings,
                            struct relay **out, struct weir_err *err);
/* With a STOP frame if `clean`, and all synced; an open transaction is cut. */
enum weir_status relay_close(struct relay **r, bool clean,
                             struct weir_err *err);

bool     relay_is_new(const struct relay *r);  /* no frame was found */
uint64_t relay_first(const struct relay *r);   /* offset of the oldest frame */
uint64_t relay_end(const struct relay *r);     /* what is appended ends here */
uint64_t relay_committed(const struct relay *r);
uint64_t relay_published(const struct relay *r);

/* Makes sure that frames of `bytes` payload together, `nframes` of them, fit
 * into one segment, beginning a new one if need be.  `*segment` is the base of
 * the one that they will stand in. */
enum weir_status relay_reserve(struct relay *r, size_t bytes, int nframes,
                               uint64_t *segment, struct weir_err *err);
enum weir_status relay_append(struct relay *r, enum frame_type type,
                              uint8_t flags, const struct iovec *parts,
                              int nparts, uint64_t *offset,
                              struct weir_err *err);
/* What is appended next stands in a segment of its own, whose origin is asked
 * for now.  Not within a transaction. */
enum weir_status relay_break(struct relay *r, struct weir_err *err);
/* What was appended is whole. */
void relay_commit(struct relay *r);
/* Takes back what was appended since the last relay_commit(): truncates, so
 * that nothing of it is ever read again. */
enum weir_status relay_cut(struct relay *r, struct weir_err *err);
/* Writes and shows what was committed; wakes those who wait for it. */
enum weir_status relay_publish(struct relay *r, struct weir_err *err);

/*
 * Lets go of segments that nobody needs: those wholly below `needed` (the
 * lowest offset that a sink still wants; relay_published() if there is no
 * sink), when older than keep, or when the rest is more than size.  Done ones
 * are kept as spares to be written over, within size.  `*used` is what is
 * still needed by a sink, in bytes.
 */
enum weir_status relay_retain(struct relay *r, uint64_t needed, int64_t *used,
                              struct weir_err *err);
/* All that is appended, and what stands before it, is on disk. */
enum weir_status relay_sync(struct relay *r, struct weir_err *err);
/* Now and then: syncs where sync = interval. */
enum weir_status relay_tick(struct relay *r, struct weir_err *err);

#endif
