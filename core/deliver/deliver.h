/*
 * deliver.h - what a sink worker does: follows the relay, decodes what its sink
 * wants, runs it through filters and transforms, hands it over in batches, and
 * keeps the checkpoint.  Knows no sink and no source.  One thread decodes and
 * calls all that is here; lanes write (lane.c).
 */
#ifndef WEIR_DELIVER_DELIVER_H
#define WEIR_DELIVER_DELIVER_H

#include <stdbool.h>

#include <weir/module.h>

#include "base/page.h"
#include "config/config.h"

struct deliverer;

struct deliver_settings {
    const struct conf_pipeline *pipeline;
    const struct conf_sink     *sink;
    const char                 *state;   /* the state directory */
    unsigned                    slot;    /* of the sink, 0 to 63 */
    struct worker_page         *page;
    int                         stop_fd; /* readable: time to end */
    int64_t                     drain_ms;
};

struct deliverer *deliver_new(const struct deliver_settings *settings);

/*
 * Opens the relay, the stages and the sink.  RETRY: not yet (the source worker
 * has not opened the relay, a target does not answer); call it again.
 */
enum weir_status deliver_open(struct deliverer *d, struct weir_err *err);
/*
 * Finds out where to go on: from what the sink has stored, else from the
 * checkpoint here, else where a new sink begins.  Before the first step, and
 * after each RETRY of one.
 */
enum weir_status deliver_start(struct deliverer *d, struct weir_err *err);
/*
 * One batch: filled, written, its checkpoint kept.  OK: there may be more at
 * once; DROP: nothing to do now.  RETRY: deliver_start() again, after a while.
 * REJECT, FATAL, FENCED: the sink has to stop; the reason says which row or
 * table, why, and what to do.
 */
enum weir_status deliver_step(struct deliverer *d, struct weir_err *err);
/* Why some of it is not written now, and is tried again; false: all is well. */
bool deliver_trouble(struct deliverer *d, char *out, size_t room);
/* Shows that it lives: as of the start of the longest call into the module. */
void deliver_beat(struct deliverer *d);
/* Until there is something to do, or a signal, or 100 ms. */
void deliver_wait(struct deliverer *d);

/* Saves the checkpoint and closes everything. */
void deliver_close(struct deliverer **d);

#endif
