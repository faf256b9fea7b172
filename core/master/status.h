/*
 * status.h - what each worker is doing, read from the pages in <state>/run.
 * Asks no process, so it is there at once whatever they are at; and who is not
 * running always has a reason.
 */
#ifndef WEIR_MASTER_STATUS_H
#define WEIR_MASTER_STATUS_H

#include "base/page.h"
#include "master/state.h"

struct status_worker {
    const char        *pipeline, *sink; /* sink NULL: the source */
    struct worker_page page;            /* a copy; texts are taken under lock */
    bool               has_page;
    const char        *gtid, *file, *module, *server;
    const char        *why;      /* what keeps it, and what to do; or "" */
    const char        *log_trouble; /* the same of its log, which keeps nothing */
    int64_t            lag_usec; /* -1: not known yet */
    int64_t            behind;   /* a sink: bytes of the relay before it; -1: not
                                    known yet */
    int64_t            silent;   /* seconds since its last sign of life */
    bool               is_well;
};
struct status { /* a pipeline's source stands before its sinks */
    size_t                n;
    struct status_worker *workers;
};

/* FATAL: there is no such folder. */
enum weir_status status_read(struct arena *a, const char *dir,
                             struct status *out, struct weir_err *err);

/* "12.0 s", "3.4 MiB": 24 bytes with the NUL. */
void status_time(int64_t usec, char out[static 24]);
void status_bytes(uint64_t n, char out[static 24]);
/* One word, for scripts. */
const char *status_word(enum page_state state);

/* As a table for each pipeline.  OK: printed, and everything runs.  DROP:
 * printed, and something does not. */
enum weir_status status_print(const char *dir, const struct holder *holder,
                              struct weir_err *err);

#endif
