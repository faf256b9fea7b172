/*
 * conflict.h - which transaction touched a value last: so that those which
 * touch the same ones are written one after the other, and others side by side.
 * Values are hashes; numbers of transactions only grow.  Knows no tables.
 */
#ifndef WEIR_DELIVER_CONFLICT_H
#define WEIR_DELIVER_CONFLICT_H

#include <stddef.h>
#include <stdint.h>

struct conflicts {
    size_t n, room; /* a power of two */
    struct conflict { uint64_t hash, last; } *items; /* last 0: free */
};

void conflicts_free(struct conflicts *c);
/* The last one that touched it, or 0. */
uint64_t conflicts_last(const struct conflicts *c, uint64_t hash);
/* `id` touches it.  What was touched last by one before `done` is forgotten
 * when room is needed. */
void conflicts_touch(struct conflicts *c, uint64_t hash, uint64_t id,
                     uint64_t done);

#endif
