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

/* weir_fail() with ": " and what errno says behind it. */
enum weir_status fail_errno(struct weir_err *err, enum weir_status why,
                            const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

const char *status_name(enum weir_status status); /* "RETRY" */

#endif
