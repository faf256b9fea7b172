/*
 * state.h - the state directory as the master sees it: who holds it, what runs
 * in it, and the small files in its `run` folder by which `weir -s` learns of
 * it.  Knows nothing of pipelines.
 *
 *     lock           flock()ed as long as the master lives; says pid,
 *                    configuration, time of start and control socket
 *     workers.lock   shared by master and workers: free when all have ended,
 *                    also those of a master that was killed
 *     run/reload     "started N", "finished N", "ok 0|1", "reason ..."
 */
#ifndef WEIR_MASTER_STATE_H
#define WEIR_MASTER_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <weir/module.h>

#include "base/arena.h"
#include "master/account.h"

struct state {
    const char *dir, *run;
    int         lock_fd, workers_fd, run_fd;
};

/* Makes the folders, takes the lock, waits for what a killed master left
 * running, empties `run`.  FATAL: another master holds it, with its pid. */
enum weir_status state_open(struct arena *a, const char *dir,
                            const struct account *account, struct state *out,
                            struct weir_err *err);
/* Says who we are, once the pid is the one that stays. */
enum weir_status state_claim(const struct state *s, const char *path,
                             const char *control, struct weir_err *err);
/* Empties `run` and gives the lock back. */
void state_close(struct state *s);

struct holder {
    pid_t       pid;
    const char *path; /* of its configuration */
    int64_t     since_usec;
    const char *control; /* its socket */
};

/* OK: a master runs in `dir`.  DROP: none does.  FATAL: can't tell. */
enum weir_status state_holder(struct arena *a, const char *dir,
                              struct holder *out, struct weir_err *err);

/* The state folder that a configuration names, or else the default: looks for
 * `state = "..."` at the start of a line, so that it works with a file that is
 * broken somewhere else. */
const char *state_guess(struct arena *a, const char *path);

/* A file in `run`, replaced whole; not synced, since it means nothing after a
 * crash. */
enum weir_status state_put(const struct state *s, const char *name,
                           struct weir_str text, struct weir_err *err);

struct reload_result {
    uint64_t started, finished; /* counted from 1 */
    bool     ok;
    char     reason[512];
};

enum weir_status state_publish(const struct state *s,
                               const struct reload_result *result,
                               struct weir_err *err);
/* All zero if there was no reload yet. */
enum weir_status state_reload(const char *dir, struct reload_result *out,
                              struct weir_err *err);

#endif
