/* conflict.c - see conflict.h. */
#include "deliver/conflict.h"

#include <stdlib.h>

#include "base/arena.h"

enum { FIRST_ROOM = 1024 };

void
conflicts_free(struct conflicts *c)
{
    free(c->items);
    *c = (struct conflicts){ 0 };
}

static struct conflict *
place_of(const struct conflicts *c, uint64_t hash)
{
    size_t i = (size_t)(hash ^ hash >> 32) & (c->room - 1);

    while (c->items[i].last && c->items[i].hash != hash) {
        i = (i + 1) & (c->room - 1);
    }
    return &c->items[i];
}

uint64_t
conflicts_last(const struct conflicts *c, uint64_t hash)
{
    return c->room ? place_of(c, hash)->last : 0;
}

static void
make_room(struct conflicts *c, uint64_t done)
{
    struct conflicts old = *c;
    size_t           kept = 0;

    for (size_t i = 0; i < old.room; i++) {
        kept += old.items[i].last >= done && old.items[i].last;
    }
    c->room = old.room ? old.room : FIRST_ROOM;
    while (kept * 4 >= c->room) {
        c->room *= 2;
    }
    c->items = xcalloc(c->room, sizeof *c->items);
    c->n = kept;
    for (size_t i = 0; i < old.room; i++) {
        if (old.items[i].last && old.items[i].last >= done) {
            *place_of(c, old.items[i].hash) = old.items[i];
        }
    }
    free(old.items);
}

void
conflicts_touch(struct conflicts *c, uint64_t hash, uint64_t id, uint64_t done)
{
    if (c->n * 2 >= c->room) {
        make_room(c, done);
    }
    struct conflict *item = place_of(c, hash);
    c->n += item->last == 0;
    item->hash = hash;
    item->last = id;
}
