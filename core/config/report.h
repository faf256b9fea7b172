/*
 * report.h - errors of a configuration, each with the place that it is about.
 * Knows where, not what: the sentences are those of who found the error.
 */
#ifndef WEIR_CONFIG_REPORT_H
#define WEIR_CONFIG_REPORT_H

#include "config/config.h"

struct place {
    const char *file;
    unsigned    line; /* 0: the file as a whole */
};

/* Says it and counts it.  Control bytes are shown as '?'. */
void report(struct conf_errors *errors, struct place at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same of what is no error: not counted. */
void report_warning(struct conf_errors *errors, struct place at,
                    const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
