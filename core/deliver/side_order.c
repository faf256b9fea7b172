/* side_order.c - see side_order.h. */
#include "deliver/side_order.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/arena.h"
#include "deliver/sidelog.h"
#include "relay/follow.h"

void
side_order_free(struct side_order *o)
{
    free(o->items);
    *o = (struct side_order){ 0 };
}

static void
add(struct side_order *o, const struct side_record *r)
{
    if (o->n == o->room) {
        o->room = o->room ? 2 * o->room : 256;
        o->items = xrealloc(o->items, o->room * sizeof *o->items);
    }
    const uint32_t row = r->row == REFUSED_ALL_ROWS ? r->from : r->row;
    o->items[o->n++] = (struct side_item){ r->frame + row, r->at, r->next };
}

static int
by_seq(const void *a, const void *b)
{
    const struct side_item *x = a, *y = b;

    return x->seq != y->seq ? (x->seq < y->seq ? -1 : 1)
                            : (x->at < y->at ? -1 : x->at > y->at);
}

/* From one record on, up to where all that follow are of what comes later. */
static void
sort_part(struct side_item *items, size_t n)
{
    const uint64_t to = items[n - 1].to;

    qsort(items, n, sizeof *items, by_seq);
    for (size_t i = 0; i < n; i++) {
        items[i].to = i == n - 1 ? to : 0;
    }
}

/* False: it is in order. */
static bool
sort(struct side_order *o)
{
    uint64_t *least = xcalloc(o->n + 1, sizeof *least); /* from there on */
    uint64_t  most = 0;
    size_t    began = 0;
    bool      any = false;

    least[o->n] = UINT64_MAX;
    for (size_t i = o->n; i-- > 0;) {
        const uint64_t seq = o->items[i].seq;
        least[i] = seq < least[i + 1] ? seq : least[i + 1];
    }
    for (size_t i = 0; i < o->n; i++) {
        most = o->items[i].seq > most ? o->items[i].seq : most;
        if (most > least[i + 1]) {
            continue;
        }
        if (i > began) {
            sort_part(&o->items[began], i - began + 1);
            any = true;
        }
        began = i + 1;
    }
    free(least);
    return any;
}

enum weir_status
side_order_read(const char *dir, uint64_t done, struct side_order *out,
                struct weir_err *err)
{
    struct follower   *f;
    struct side_record r;

    enum weir_status st = sidelog_read(dir, &f, err);
    if (st != WEIR_OK) {
        return st == WEIR_DROP ? WEIR_OK : st;
    }
    while ((st = sidelog_next(f, &r, err)) == WEIR_OK) {
        if (r.at >= done) {
            add(out, &r);
        }
    }
    follower_close(&f);
    if (st == WEIR_DROP && !sort(out)) {
        side_order_free(out);
    }
    return st == WEIR_DROP ? WEIR_OK : st;
}
