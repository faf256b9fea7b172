/*
 * block.h - the few blocks that a follower reads into again and again.  One is
 * free when nobody but the pool has a reference.
 */
#ifndef WEIR_RELAY_BLOCK_H
#define WEIR_RELAY_BLOCK_H

#include "relay/follow.h"

enum { BLOCK_ROOM = 1 << 20, BLOCKS_KEPT = 4 };

struct block_pool {
    struct block *kept[BLOCKS_KEPT]; /* each with a reference of the pool's */
};

/* An empty one with a reference for the caller; one of more than BLOCK_ROOM,
 * or when all are in use, is not kept. */
struct block *block_take(struct block_pool *pool, size_t room);
/* Whether there are references besides the caller's one and the pool's. */
bool block_is_shared(const struct block_pool *pool, const struct block *b);
/* Blocks that others still hold live on. */
void block_pool_free(struct block_pool *pool);

#endif
