/*
 * relaylog.h - a relay's segment files read from outside: without a server,
 * beside one that is writing, damaged ones too.  Where a server runs, nothing
 * beyond what it has published is looked at.  Knows frames, not what is in
 * them.
 */
#ifndef WEIR_TOOLS_RELAYLOG_H
#define WEIR_TOOLS_RELAYLOG_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "relay/segment.h"

struct relaylog {
    const char           *dir;
    struct segment_names  names;
    uint64_t              published; /* UINT64_MAX: nobody says */
    size_t                index;     /* of the segment that is open */
    int                   fd;        /* or -1 */
    char                  path[PATH_MAX];
    uint64_t              size;      /* of the file, in bytes */
    struct segment_header head;
    struct buf            header, window;
    uint64_t              window_at; /* offset of its first byte */
    uint64_t              next;      /* frame that comes next */
    bool                  heads_only; /* rows aren't read, nor their CRC */
};

/* FATAL: there is no relay there. */
enum weir_status relaylog_open(const char *dir, const char *page_path,
                               struct relaylog *out, struct weir_err *err);
void             relaylog_close(struct relaylog *l);

/* To the start of segment `index`.  DROP: there is none, or nothing of it is
 * published. */
enum weir_status relaylog_enter(struct relaylog *l, size_t index,
                                struct weir_err *err);
/* The next frame of this segment, END and STOP too; valid until the next call.
 * DROP: no more.  FATAL: damaged, with file and byte. */
enum weir_status relaylog_next(struct relaylog *l, struct frame *out,
                               struct weir_err *err);
/* One frame of this segment out of order, in `a`. */
enum weir_status relaylog_read(struct relaylog *l, uint64_t offset,
                               struct arena *a, struct frame *out,
                               struct weir_err *err);

#endif
