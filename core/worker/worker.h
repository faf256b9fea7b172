/*
 * worker.h - the processes below the master: checker, source, sink.  Each runs
 * in a child that the master has just forked, and never returns.
 *
 * Exit statuses: 0 drained or ended as asked; WORKER_EXIT_CONFIG and
 * WORKER_EXIT_FATAL: starting it again would not help; anything else, and any
 * signal, is a crash.
 *
 * Signals: SIGQUIT drains (to a transaction's end, checkpoint, exit 0), SIGTERM
 * ends at once, at any point, SIGUSR1 opens the log again.
 */
#ifndef WEIR_WORKER_WORKER_H
#define WEIR_WORKER_WORKER_H

enum { WORKER_EXIT_CONFIG = 2, WORKER_EXIT_FATAL = 3 };

/* Reads and checks `path`; errors to standard error.  On success writes the
 * generation into a memfd and sends it over `socket` (SCM_RIGHTS); `socket` -1
 * for -t and -T.  Exit status 0 or 1. */
struct checker_args {
    const char *path, *prefix, *overrides;
    int         socket;
    int         print; /* 0 nothing, 't' guarantees, 'T' the text as well */
};
_Noreturn void checker_main(const struct checker_args *args);

struct worker_args {
    int         generation_fd;
    const char *pipeline, *sink; /* sink NULL: the source */
    unsigned    slot;            /* of the sink, 0 to 63 */
    const char *page_path;       /* this worker's page, made by the master */
    int         parent; /* the master's pid: gone means end */
};
_Noreturn void source_main(const struct worker_args *args);
_Noreturn void sink_main(const struct worker_args *args);

#endif
