/*
 * progress.h - how far a sink is: what a checkpoint holds, and the blob that it
 * is stored as.  The blob: "WCP1", u8 format version (1), then fields of
 * u8 tag, u32 length, bytes, in any order, unknown tags passed over, and a
 * CRC32C of all before it at the end.  Positions are the relay's; what survives
 * the relay is the GTID set, or file and offset.
 */
#ifndef WEIR_RELAY_PROGRESS_H
#define WEIR_RELAY_PROGRESS_H

#include <stdint.h>

#include <weir/module.h>

#include "base/arena.h"
#include "base/buf.h"

struct progress {
    uint8_t  pipeline_id[16];
    uint64_t epoch;
    /* The batch last written began at row `first_row` of the frame at `first`;
     * what comes next is row `next_row` of the one at `next`.  Inside a
     * transaction, `head` is its head's offset, else 0. */
    uint64_t        first, next, head;
    uint32_t        first_row, next_row;
    uint64_t        seq; /* largest one given to the sink */
    struct weir_str gtid_set, file; /* of the last whole transaction */
    uint64_t        file_offset;
    /* Where a batch is sent again the set is ahead of `next`: what it says
     * holds for transactions from here on only.  0: from `next` on. */
    uint64_t        gtid_from;
    uint32_t        lanes;
    int64_t         time_usec; /* when it was made */
    struct weir_str host;      /* where */
    struct weir_str snapshot;  /* reserved: its progress by chunk */
    /* While a side log is being applied: its folder's name, and up to where.
     * The rest says where the stream stands, meanwhile and after. */
    struct weir_str side;
    uint64_t        side_done;
};

void progress_format(const struct progress *p, struct buf *out);
/* Texts point into `blob`.  REJECT: damaged, or of a newer format. */
enum weir_status progress_parse(struct weir_str blob, struct progress *out,
                                struct weir_err *err);

#endif
