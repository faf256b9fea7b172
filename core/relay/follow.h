/*
 * follow.h - the relay's reading end: frames in order, from any frame on, up to
 * what is published.  Any number of them in any process; none writes anything
 * but its own "I sleep" word in the relay's page.
 */
#ifndef WEIR_RELAY_FOLLOW_H
#define WEIR_RELAY_FOLLOW_H

#include <stdbool.h>

#include "base/arena.h"
#include "relay/frame.h"

/* A piece of the relay in memory, counted; frames point into one. */
struct block {
    unsigned refs; /* of one thread, the follower's */
    size_t   room, len;
    char     data[];
};
void block_ref(struct block *b);
void block_unref(struct block **b);

struct follower;

/* `slot` 0 to 63: the sink's own sleeping word.  DROP while the relay has
 * never been opened (no page yet). */
enum weir_status follower_open(const char *dir, const char *page_path,
                               unsigned slot, struct follower **out,
                               struct weir_err *err);
void follower_close(struct follower **f);

/* 0 while the source worker has not opened it since the server's start. */
uint64_t follower_published(const struct follower *f);
/* Of the oldest frame; DROP if there is none yet. */
enum weir_status follower_first(struct follower *f, uint64_t *offset,
                                struct weir_err *err);

/* The next frame to be given is the one at `offset`, or, where that is the
 * end of a segment or in a gap between two, the first one behind it.  REJECT:
 * older than what is kept (says how much is missing), or no frame begins
 * there.  Beyond what is published is fine if it is exactly its end. */
enum weir_status follower_seek(struct follower *f, uint64_t offset,
                               struct weir_err *err);
/* After a seek: no frame begins there, only ones behind it: what was there has
 * been cut. */
bool follower_in_gap(const struct follower *f);
/* The next frame, checked, END and STOP frames passed over.  It lives as long
 * as follower_block(), on which the caller takes a reference to keep it beyond
 * the next call.  DROP: nothing more is published now.  FATAL: damaged, with
 * file and offset. */
enum weir_status follower_next(struct follower *f, struct frame *out,
                               struct weir_err *err);
struct block *follower_block(struct follower *f);
/* Offset of what follower_next() would give. */
uint64_t follower_offset(const struct follower *f);

/* The origin of the segment that the last frame or seek came from, and its
 * base, which tells when it changed. */
struct weir_str follower_origin(const struct follower *f);
uint64_t        follower_segment(const struct follower *f);

/* One frame out of order (a table, a head), copied into `a`. */
enum weir_status follower_read(struct follower *f, uint64_t offset,
                               struct arena *a, struct frame *out,
                               struct weir_err *err);

/* Until more is published than was read, a signal comes, or the time is over. */
void follower_wait(struct follower *f, int64_t usec);

#endif
