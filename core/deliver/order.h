/*
 * order.h - values as hashes, by which events are kept in order: equal values
 * have equal hashes, whatever type says them.  Knows no lanes.
 */
#ifndef WEIR_DELIVER_ORDER_H
#define WEIR_DELIVER_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/event.h>

/* Spread, so that any few bits of it will do. */
uint64_t order_mix(uint64_t h);
uint64_t order_text(uint64_t h, struct weir_str s);
uint64_t order_value(uint64_t h, const struct weir_value *v);
/* Texts that any collation takes for equal have equal hashes.  False: nothing
 * that is so simple can be said of this one; it may be equal to any other. */
bool order_folded(uint64_t *h, struct weir_str s);

#endif
