/*
 * err.h - reasons.  Who returns an error writes it with weir_fail() (public,
 * weir/module.h); who passes it on may put context in front; who handles it
 * logs it, once.
 */
#ifndef WEIR_BASE_ERR_H
#define WEIR_BASE_ERR_H

#include <stdarg.h>

#include <weir/module.h>

/* "context: reason so far"; returns `why`. */
enum weir_status weir_wrap(struct weir_err *err, enum weir_status why,
                           const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Stands in each reason that a full disk of this machine makes. */
#define ERR_NO_ROOM "make room on this machine's disk"

/*
 * weir_fail() with ": " and what errno says behind it, and what to do where that
 * is known.  FATAL becomes RETRY where errno tells of what passes by itself: no
 * room on the disk, no more descriptors.
 */
enum weir_status fail_errno(struct weir_err *err, enum weir_status why,
                            const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* What to do about it, or "". */
const char *err_remedy(int error);

const char *status_name(enum weir_status status); /* "RETRY" */

#endif
