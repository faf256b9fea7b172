/*
 * formats.h - what the formats share among themselves; format.h is what others
 * see.  A new format is one struct format_ops and one line in format.c.
 */
#ifndef WEIR_FORMAT_FORMATS_H
#define WEIR_FORMAT_FORMATS_H

#include <stdlib.h>

#include "format/format.h"
#include "format/value.h"

struct format_ops {
    const char *name;
    void (*event)(const struct weir_format *f, struct format_table *ft,
                  const struct weir_event *ev, struct buf *out);
};
extern const struct format_ops format_weir, format_row;

/* Of one thread at a time: the second half changes with each transaction. */
struct format_table {
    const struct weir_table *table; /* the caller's; outlives this */
    struct arena             arena;
    struct image_names       names;

    struct buf      head, tail; /* of an envelope, for events of `txn` */
    struct weir_txn txn;        /* a copy; its strings are in txn_text */
    struct buf      txn_text;
    bool            has_txn;
};

#endif
