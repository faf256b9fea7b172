/* ring.c - see ring.h. */
#include "deliver/ring.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/check.h"

enum { FIRST_ROOM = 64 };

void
ring_free(struct ring *r)
{
    free(r->done);
    *r = (struct ring){ 0 };
}

static void
grow(struct ring *r)
{
    const size_t room = r->room ? r->room * 2 : FIRST_ROOM;
    uint8_t     *more = xcalloc(room, 1);

    for (uint64_t id = r->low; id < r->next; id++) {
        more[id & (room - 1)] = r->done[id & (r->room - 1)];
    }
    free(r->done);
    r->done = more;
    r->room = room;
}

uint64_t
ring_push(struct ring *r)
{
    if (r->next == 0) {
        r->low = r->next = 1;
    }
    if (r->next - r->low == r->room) {
        grow(r);
    }
    r->done[r->next & (r->room - 1)] = 0;
    return r->next++;
}

bool
ring_done(struct ring *r, uint64_t id)
{
    const uint64_t low = r->low;

    assert(id >= r->low && id < r->next);
    r->done[id & (r->room - 1)] = 1;
    while (r->low < r->next && r->done[r->low & (r->room - 1)]) {
        r->low++;
    }
    return r->low != low;
}

void
ring_clear(struct ring *r)
{
    r->low = r->next;
}
