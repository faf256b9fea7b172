/* block.c - see block.h, and struct block in follow.h. */
#include "relay/block.h"

#include <stdlib.h>

#include "base/arena.h"

static struct block *
block_new(size_t room)
{
    struct block *b = xmalloc(sizeof *b + room);

    b->refs = 1;
    b->room = room;
    b->len = 0;
    return b;
}

void
block_ref(struct block *b)
{
    b->refs++;
}

void
block_unref(struct block **b)
{
    if (*b && --(*b)->refs == 0) {
        free(*b);
    }
    *b = NULL;
}

struct block *
block_take(struct block_pool *pool, size_t room)
{
    for (int i = 0; room <= BLOCK_ROOM && i < BLOCKS_KEPT; i++) {
        struct block **kept = &pool->kept[i];
        if (!*kept) {
            *kept = block_new(BLOCK_ROOM);
        }
        if ((*kept)->refs == 1) {
            block_ref(*kept);
            (*kept)->len = 0;
            return *kept;
        }
    }
    return block_new(room > BLOCK_ROOM ? room : BLOCK_ROOM);
}

bool
block_is_shared(const struct block_pool *pool, const struct block *b)
{
    unsigned ours = 1;

    for (int i = 0; i < BLOCKS_KEPT; i++) {
        ours += pool->kept[i] == b;
    }
    return b->refs > ours;
}

void
block_pool_free(struct block_pool *pool)
{
    for (int i = 0; i < BLOCKS_KEPT; i++) {
        block_unref(&pool->kept[i]);
    }
}
