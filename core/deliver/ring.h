/*
 * ring.h - what is on its way, numbered in order, finished in any order: up to
 * where all is done is the low-water mark.  Knows no batches; the caller locks.
 */
#ifndef WEIR_DELIVER_RING_H
#define WEIR_DELIVER_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring {
    uint64_t low, next; /* all before `low` are done; `next` is the next one */
    size_t   room;      /* a power of two */
    uint8_t *done;      /* of low to next, by number modulo room */
};

void ring_free(struct ring *r);
/* The number of a new one, from 1 on. */
uint64_t ring_push(struct ring *r);
/* Returns true if the low-water mark moved by it. */
bool ring_done(struct ring *r, uint64_t id);
/* All of them are given up. */
void ring_clear(struct ring *r);

static inline bool
ring_is_empty(const struct ring *r)
{
    return r->low == r->next;
}

#endif
