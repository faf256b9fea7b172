/*
 * master.h - signals, children, generations.  The master never loads a module,
 * never parses a pipeline, never talks to a database; what its children do is
 * handed in by the command line, so that this room knows none of it.
 */
#ifndef WEIR_MASTER_MASTER_H
#define WEIR_MASTER_MASTER_H

/* Called in a child that was forked for it; neither returns. */
typedef void master_checker(const char *path, const char *prefix,
                            const char *overrides, int socket);
typedef void master_worker(int generation_fd, const char *pipeline,
                           const char *sink, unsigned slot,
                           const char *page_path);

struct master_options {
    const char     *path;              /* -c, absolute */
    const char     *prefix, *overrides; /* -p, -g; or NULL */
    master_checker *checker;
    master_worker  *worker; /* `sink` NULL: the source */
};

/* Exit statuses of a worker that would not do better if started again. */
enum { MASTER_WORKER_CONFIG = 2, MASTER_WORKER_FATAL = 3 };
/* Exit statuses of `weir -s`. */
enum { MASTER_OK = 0, MASTER_FAILED = 1, MASTER_NOT_RUNNING = 2 };

/* Runs the server; returns weir's exit status. */
int master_run(const struct master_options *o);
/* -s SIGNAL: stop, quit, reload, reopen, status.  Returns an exit status. */
int master_signal(const struct master_options *o, const char *signal);

/* Asks the master in `state` to reload, and waits for the result. */
int master_reload(const char *state);

#endif
