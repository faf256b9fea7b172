/*
 * relay_page.h - the relay's two pages of shared memory, a file in <state>/run.
 * The first, written by the source worker only, says how much is published;
 * the second has one "I sleep" word for each follower.  The file outlives the
 * source worker, so that followers keep it over its restarts.
 */
#ifndef WEIR_RELAY_PAGE_H
#define WEIR_RELAY_PAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <weir/module.h>

enum { RELAY_PAGE_SIZE = 4096, RELAY_FOLLOWERS = 64 };

struct relay_page_shown {
    _Atomic uint32_t magic;     /* set when all else is */
    _Atomic uint32_t publishes; /* the futex: one more at each */
    _Atomic uint64_t published;
    _Atomic uint64_t open_base; /* of the segment being written */
};

struct relay_page {
    struct relay_page_shown *shown;  /* followers: read-only */
    _Atomic uint32_t        *asleep; /* RELAY_FOLLOWERS of them */
};

/* The writer makes the file if it isn't there; followers get DROP until
 * something was published. */
enum weir_status relay_page_open(const char *path, bool writer,
                                 struct relay_page *out, struct weir_err *err);
void             relay_page_close(struct relay_page *page);

/* By the writer: one wake-up, only if somebody sleeps. */
void relay_page_publish(struct relay_page *page, uint64_t published,
                        uint64_t open_base);

uint64_t relay_page_published(const struct relay_page *page);
/* Until more than `seen` is published, a signal comes or the time is over. */
void relay_page_wait(struct relay_page *page, unsigned slot, uint64_t seen,
                     int64_t usec);

#endif
