/*
 * logfile.h - binlog files, event by event: bytes and where they stand, for
 * tools that read files.  Knows the frame of an event and nothing of what is
 * in it.
 */
#ifndef WEIR_TOOLS_LOGFILE_H
#define WEIR_TOOLS_LOGFILE_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/module.h>

#include "base/buf.h"

struct logfile {
    const char *path; /* as given; "-" is standard input */
    const char *name; /* without folders; "stdin" */
    int         fd;
    bool        regular; /* reading it doesn't wait for anybody */
    uint64_t    offset;  /* of the event that was read last */
    uint64_t    next;    /* of the one behind it */
    struct buf  block;   /* what was read and not yet given out is... */
    size_t      at;      /* ...from here to block.len */
    /* Called before a read that may wait; NULL: nobody cares. */
    void (*before_wait)(void *arg);
    void *arg;
};

/* Opens it and looks at its first bytes.  FATAL, with the path in the reason:
 * it can't be read, or is no binlog.  logfile_close() in any case. */
enum weir_status logfile_open(struct logfile *f, const char *path,
                              struct weir_err *err);
void             logfile_close(struct logfile *f);

/* The next event, header and checksum included; valid until the next call.
 * DROP: the file ends here.  FATAL: it ends within an event, or the event's
 * length can't be, or read() failed; the reason has path and offset. */
enum weir_status logfile_next(struct logfile *f, const uint8_t **data,
                              size_t *len, struct weir_err *err);

#endif
