/*
 * daemon.h - into the background, in such a way that the command that started
 * us ends with success only once the workers run.
 */
#ifndef WEIR_MASTER_DAEMON_H
#define WEIR_MASTER_DAEMON_H

#include <weir/module.h>

/* Returns in the daemon only, with the descriptor for daemon_ready(), which no
 * child may keep.  Standard error is gone then. */
enum weir_status daemon_begin(int *ready, struct weir_err *err);
/* Lets the starting command end: with 0, or with 1 after it printed `error`. */
void daemon_ready(int ready, const char *error);

#endif
