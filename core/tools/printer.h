/*
 * printer.h - binlog events to lines of text: puts GTIDs, table definitions,
 * rows and statements together and has them written in a format.  Knows no
 * files and no options; what it can't read it says to `complain`, and goes on
 * with the next event.
 */
#ifndef WEIR_TOOLS_PRINTER_H
#define WEIR_TOOLS_PRINTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "format/format.h"

struct printer_settings {
    struct weir_format format;
    struct weir_str    database, table; /* globs; empty: all */
    /* Something to be said of the event at hand.  `lost`: what it says was not
     * printed. */
    void (*complain)(void *arg, bool lost, const char *text);
    /* There is more in `out`, to be taken away when it is time. */
    void (*ready)(void *arg, struct buf *out);
    void *arg;
};
struct printer;

struct printer *printer_new(const struct printer_settings *set);
void            printer_free(struct printer **pr);

/* What follows is from another file.  `name` is kept. */
void printer_begin(struct printer *pr, const char *name);
/* One whole event at `offset`.  REJECT: what is behind it can't be understood
 * without it (a wrong checksum, say). */
enum weir_status printer_event(struct printer *pr, const uint8_t *data,
                               size_t len, uint64_t offset,
                               struct weir_err *err);
/* The file has ended. */
void printer_end(struct printer *pr);

#endif
