/* deliver.c - a deliverer's life; see deliver.h. */
#include "deliver/deliver.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "deliver/internal.h"
#include "relay/identity.h"
#include "schema/given.h"

enum { SECOND = 1000000, TICK = 100000 };

static void
init_instances(struct deliverer *d)
{
    const struct conf_pipeline *p = d->set.pipeline;
    const struct conf_sink     *s = d->set.sink;

    d->nstages = p->nstages + s->nstages;
    d->stages = xcalloc(d->nstages + 1, sizeof *d->stages);
    for (size_t i = 0; i < d->nstages; i++) {
        const struct conf_stage *stage = i < p->nstages
                                             ? &p->stages[i]
                                             : &s->stages[i - p->nstages];
        instance_init(&d->stages[i], stage->use.module, stage->use.conf,
                      stage->name);
        d->stages[i].stop_fd = d->set.stop_fd;
    }
    instance_init(&d->sink, s->use.module, s->use.conf, d->name);
    d->sink.stop_fd = d->set.stop_fd;
    d->sink.sink = &answers;
    d->sink.arg = d;
    d->sink.dir =
        arena_printf(&d->paths, "%s/%s/%s", d->set.state, p->name, s->name);
}

struct deliverer *
deliver_new(const struct deliver_settings *settings)
{
    struct deliverer *d = xcalloc(1, sizeof *d);
    const char       *state = settings->state;
    const char       *pipeline = settings->pipeline->name;
    const char       *sink = settings->sink->name;

    d->set = *settings;
    snprintf(d->name, sizeof d->name, "%s/%s", pipeline, sink);
    d->relay_dir = arena_printf(&d->paths, "%s/%s/relay", state, pipeline);
    d->relay_page =
        arena_printf(&d->paths, "%s/run/%s.relay", state, pipeline);
    d->id_path = arena_printf(&d->paths, "%s/%s/id", state, pipeline);
    d->checkpoint_path = arena_printf(&d->paths, "%s/%s/%s/checkpoint", state,
                                      pipeline, sink);
    if (gethostname(d->host, sizeof d->host - 1) == -1) {
        snprintf(d->host, sizeof d->host, "an unknown host");
    }
    d->request_path = request_path(&d->paths, state, pipeline, sink);
    d->answer_path = answer_path(&d->paths, state, pipeline, sink);
    d->given_path = given_path(&d->paths, state, pipeline);
    d->at.gtids = gtid_set_new();
    pthread_mutex_init(&d->batch.lock, NULL);
    pthread_cond_init(&d->batch.ended, NULL);
    init_instances(d);
    return d;
}

/* A sink that was called otherwise brings its folder along. */
static enum weir_status
make_folder(struct deliverer *d, struct weir_err *err)
{
    struct stat st;
    const char *was = d->set.sink->set.was;

    if (was && stat(d->sink.dir, &st) == -1 && errno == ENOENT) {
        const char *old = arena_printf(&d->paths, "%s/%s/%s", d->set.state,
                                       d->set.pipeline->name, was);
        if (rename(old, d->sink.dir) == 0) {
            log_info("%s is now %s", old, d->sink.dir);
        }
    }
    return file_mkdir(d->sink.dir, 0700, err);
}

static enum weir_status
open_instance(struct weir_instance *in, struct weir_err *err)
{
    if (in->is_open) {
        return WEIR_OK;
    }
    const enum weir_status st = instance_open(in, err);
    return st == WEIR_OK ? st
                         : weir_wrap(err, st, "%s", in->module->name);
}

enum weir_status
deliver_open(struct deliverer *d, struct weir_err *err)
{
    enum weir_status st = identity_read(d->id_path, d->pipeline_id, err);

    if (st == WEIR_OK && !d->local) {
        st = make_folder(d, err);
        if (st == WEIR_OK) {
            st = twoslot_open(d->checkpoint_path, &d->local, err);
        }
    }
    for (size_t i = 0; st == WEIR_OK && i < d->nstages; i++) {
        st = open_instance(&d->stages[i], err);
    }
    return st == WEIR_OK ? open_instance(&d->sink, err) : st;
}

/* ---- Steps */

static void
show_caught_up(struct deliverer *d, bool idle)
{
    struct worker_page *page = d->set.page;

    if (idle && !atomic_load_explicit(&page->caught_up,
                                      memory_order_relaxed)) {
        log_debug("caught up");
    }
    atomic_store_explicit(&page->caught_up, idle, memory_order_relaxed);
    if (idle) {
        atomic_store_explicit(&page->lag_usec, 0, memory_order_relaxed);
    }
}

enum weir_status
deliver_step(struct deliverer *d, struct weir_err *err)
{
    bool idle;

    const enum weir_status filled = fill(d, &idle, err);
    struct weir_err        why = *err;
    /* What stands before a row that can't be had goes out all the same. */
    if (filled != WEIR_OK && (filled == WEIR_RETRY || d->batch.n == 0)) {
        return filled;
    }
    const bool quiet = d->batch.n == 0;
    /* A checkpoint among transactions that are left out would forget that. */
    if (quiet && (!d->moved || d->catching_up ||
                  !checkpoint_due(d, d->written_at, d->written_offset))) {
        show_caught_up(d, idle);
        batch_reset(d);
        return idle ? WEIR_DROP : WEIR_OK;
    }
    if (idle && !quiet && !has_waited(d)) {
        return WEIR_DROP;
    }
    const enum weir_status st = write_batch(d, err);
    if (st != WEIR_OK) {
        return st;
    }
    batch_reset(d);
    if (filled != WEIR_OK) {
        *err = why;
        return filled;
    }
    show_caught_up(d, idle);
    return idle ? WEIR_DROP : WEIR_OK;
}

void
deliver_wait(struct deliverer *d)
{
    if (d->follower) {
        follower_wait(d->follower, TICK);
    } else {
        struct pollfd stop = { .fd = d->set.stop_fd, .events = POLLIN };
        poll(&stop, 1, TICK / 1000);
    }
    if (d->sink.is_open && d->sink.module->tick) {
        d->sink.module->tick(d->sink.self);
    }
}

void
deliver_close(struct deliverer **dp)
{
    struct deliverer *d = *dp;
    struct weir_err   err;

    *dp = NULL;
    if (d->local && save_checkpoint(d, &err) != WEIR_OK) {
        log_warn("%s; the next start repeats what came since the last one",
                 err.text);
    }
    fill_leave_frame(d);
    views_free(d);
    batch_free(d);
    instance_close(&d->sink);
    for (size_t i = 0; i < d->nstages; i++) {
        instance_close(&d->stages[i]);
    }
    follower_close(&d->follower);
    twoslot_close(&d->local);
    place_free(&d->at);
    gtid_set_free(&d->skip);
    buf_free(&d->skip_file);
    buf_free(&d->found_blob);
    buf_free(&d->stored);
    buf_free(&d->scratch);
    arena_free(&d->txn_arena);
    pthread_mutex_destroy(&d->batch.lock);
    pthread_cond_destroy(&d->batch.ended);
    free(d->stages);
    arena_free(&d->paths);
    free(d);
}
