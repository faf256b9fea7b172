/*
 * pause.h - which sinks people hold, over reloads and restarts: the file
 * <state>/paused.list, written by the master only, a line each of
 * "PIPELINE SINK USEC UID REASON".
 */
#ifndef WEIR_MASTER_PAUSE_H
#define WEIR_MASTER_PAUSE_H

#include "master/child.h"

enum { PAUSE_REASON_MAX = 200 };

/* At the start.  FATAL: it is there and can't be read; then nobody could know
 * who is to be held. */
enum weir_status pause_load(struct server *s, struct weir_err *err);

/* Whether a child that is new here is to be held: sets its `paused`. */
void pause_look(const struct server *s, struct child *c);

/* Stored first, then done: the worker drains and is held, or goes on.  What
 * can't be stored is not done. */
enum weir_status pause_sink(struct server *s, struct child *c, unsigned uid,
                            struct weir_str reason, struct weir_err *err);
enum weir_status pause_resume(struct server *s, struct child *c,
                              struct weir_err *err);

#endif
