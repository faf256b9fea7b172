/*
 * reload.h - from one generation to the next: who stays untouched, who drains,
 * who starts.  The first start is a reload from nothing.
 */
#ifndef WEIR_MASTER_RELOAD_H
#define WEIR_MASTER_RELOAD_H

#include <sys/types.h>

#include "master/server.h"

/* Takes over the generation `fd` (owned from here on) and marks what has to
 * drain or start.  FATAL: can't be read, or says something that only a restart
 * can change; then everything is as before. */
enum weir_status reload_apply(struct server *s, int fd, struct weir_err *err);
/* Lets children start whose pipeline has drained, and forgets those that ended
 * for good.  Called in each round of the loop. */
void reload_settle(struct server *s);

/* SIGHUP: tests the file in a child. */
void reload_begin(struct server *s);
/* `pid` was the test's: goes on with what it found.  False: it was not. */
bool reload_reaped(struct server *s, pid_t pid, int status);

#endif
