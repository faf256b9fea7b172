/*
 * master.h - signals, children, generations.  The master never loads a module,
 * never parses a pipeline, never talks to a database.
 */
#ifndef WEIR_MASTER_MASTER_H
#define WEIR_MASTER_MASTER_H

struct master_options {
    const char *path, *prefix, *overrides; /* -c, -p, -g */
};

/* Runs the server; returns weir's exit status. */
int master_run(const struct master_options *o);
/* -s SIGNAL: stop, quit, reload, reopen, status.  Returns an exit status. */
int master_signal(const struct master_options *o, const char *signal);

#endif
