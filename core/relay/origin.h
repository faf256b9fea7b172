/*
 * origin.h - what the header of a relay segment says of the stream that it
 * holds: whose it is, where it begins, what of it is kept.  The same fields as
 * a checkpoint's, so that a sink finds its place by GTID.
 *
 * The bytes: u8 version (1), then u8 tag, u32 length, bytes; unknown tags are
 * passed over.
 */
#ifndef WEIR_RELAY_ORIGIN_H
#define WEIR_RELAY_ORIGIN_H

#include <stdint.h>

#include <weir/module.h>

#include "base/arena.h"
#include "base/buf.h"

struct origin {
    struct weir_str  server, version; /* as weir_feed_server() gave them */
    struct weir_str  gtid_set;        /* executed before the segment */
    struct weir_str  file;            /* and where that was */
    uint64_t         file_offset;
    struct weir_list kept; /* globs of database.table; none: all */
    struct weir_str  definitions; /* of tables, as they were known there; the
                                     source worker's business */
};

void origin_format(const struct origin *o, struct buf *out);
/* Texts point into `bytes`; the list is in `a`.  REJECT: malformed. */
enum weir_status origin_parse(struct arena *a, struct weir_str bytes,
                              struct origin *out, struct weir_err *err);

/* Whether all that `globs` name is kept; else the first that is not.  No globs
 * name everything. */
const char *origin_lacks(const struct origin *o, struct weir_list globs);

#endif
