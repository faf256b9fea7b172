/*
 * held.h - events kept until it is known what they mean: MySQL says only at
 * the end of an XA transaction whether it was prepared or committed at once.
 */
#ifndef WEIR_TOOLS_HELD_H
#define WEIR_TOOLS_HELD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "binlog/event.h"

/* Copies an event, without its checksum.  REJECT: more than 1 GiB are held. */
enum weir_status held_add(struct buf *held, const struct binlog_event *ev,
                          uint64_t offset, struct weir_err *err);
/* The one at *at, which moves on; it points into `held`.  DROP: no more. */
enum weir_status held_next(const struct buf *held, size_t *at,
                           const struct binlog_stream *stream,
                           struct binlog_event *out, uint64_t *offset,
                           struct weir_err *err);

/* Whether an XA transaction is over with this event, and was committed: not if
 * the log was merely cut. */
bool held_ends(const struct binlog_event *ev, bool *committed);

#endif
