/*
 * common.h - what the source and the sink worker do alike: read their part of
 * the generation, take signals, show how they are.
 */
#ifndef WEIR_WORKER_COMMON_H
#define WEIR_WORKER_COMMON_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/page.h"
#include "config/config.h"
#include "worker/worker.h"

struct worker {
    struct arena                arena; /* the configuration */
    const struct worker_args   *args;
    const struct conf          *conf;
    const struct conf_pipeline *pipeline;
    const struct conf_sink     *sink; /* NULL in a source worker */
    struct worker_page         *page;
    int                         stop_fd; /* an eventfd: readable = drain */
    int64_t                     retry_base, retry_cap; /* 0: 100 ms, 60 s */
};

/* Ends the process with WORKER_EXIT_CONFIG, after a line in the log, where the
 * generation can't be used.  Starts the thread that takes signals. */
void worker_setup(struct worker *w, const struct worker_args *args);

bool worker_stopping(const struct worker *w);
/* Waits `usec`, with heartbeats, or until it is time to end (true). */
bool worker_wait(const struct worker *w, int64_t usec);
/* Says and shows why the last try was in vain, and waits longer each time (100
 * ms to 60 s); counts `*tries`.  True: time to end. */
bool worker_retry(const struct worker *w, unsigned *tries, const char *reason);
/* Shows and logs a state that needs a person, then waits for the end. */
void worker_stopped(const struct worker *w, const char *reason);
#endif
