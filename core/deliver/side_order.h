/*
 * side_order.h - a side log in the stream's order, for a sink that is sent things
 * again after a crash: what it had written of a table before that was parked is
 * kept then, too, behind what was kept before.  Knows no sink.
 */
#ifndef WEIR_DELIVER_SIDE_ORDER_H
#define WEIR_DELIVER_SIDE_ORDER_H

#include <stddef.h>
#include <stdint.h>

#include <weir/module.h>

struct side_order {
    size_t n, room;
    struct side_item {
        uint64_t seq; /* of its first row */
        uint64_t at;  /* its record */
        uint64_t to;  /* all of the log before is done with when it is; 0: not
                         known before a later one */
    } *items;
};

/* What stands at `done` and behind it.  Nothing of it, if that is its order. */
enum weir_status side_order_read(const char *dir, uint64_t done,
                                 struct side_order *out, struct weir_err *err);
void             side_order_free(struct side_order *o);

#endif
