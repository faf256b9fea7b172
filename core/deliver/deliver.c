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
#include "deliver/aside.h"
#include "deliver/internal.h"
#include "relay/identity.h"
#include "schema/given.h"

enum { TICK = 100000, SOON = 20000, MOMENT = 1000 };

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
    d->module = s->use.module;
    d->sink_conf = s->use.conf;
    d->by_key = s->batching.share == WEIR_BY_KEY;
    d->keeps = s->keeps_checkpoint;
    d->sink_dir =
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
    init_instances(d);
    lanes_init(d);
    d->round = round_new(d);
    return d;
}

/* A sink that was called otherwise brings its folder along. */
static enum weir_status
make_folder(struct deliverer *d, struct weir_err *err)
{
    struct stat st;
    const char *was = d->set.sink->set.was;

    if (was && stat(d->sink_dir, &st) == -1 && errno == ENOENT) {
        const char *old = arena_printf(&d->paths, "%s/%s/%s", d->set.state,
                                       d->set.pipeline->name, was);
        if (rename(old, d->sink_dir) == 0) {
            log_info("%s is now %s", old, d->sink_dir);
        }
    }
    return file_mkdir(d->sink_dir, 0700, err);
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
        if (st == WEIR_OK) {
            st = aside_open(d, err);
        }
    }
    for (size_t i = 0; st == WEIR_OK && i < d->nstages; i++) {
        st = open_instance(&d->stages[i], err);
    }
    return st == WEIR_OK ? lanes_open_first(d, err) : st;
}

/* ---- Steps */

/* With other lanes than before, or for what is asked: once all that they had
 * when they stood apart is behind. */
static bool
may_meet(const struct deliverer *d)
{
    return (d->nlanes != d->nwanted || d->meet) && d->by_key && d->keeps &&
           d->at.next + d->at.next_row >= d->slots_end && !d->catching_up;
}

static enum weir_status
meet(struct deliverer *d, struct weir_err *err)
{
    enum weir_status st = write_settle(d, err);

    if (st == WEIR_OK) {
        d->meet = false;
        lanes_close(d);
        d->asking_all = true;
        st = deliver_start(d, err);
    }
    return st == WEIR_DROP ? WEIR_RETRY : st;
}

static enum weir_status
hold(struct deliverer *d)
{
    d->held_up = true;
    return WEIR_DROP;
}

/* What stands before a row that can't be had goes out all the same. */
static enum weir_status
note_failure(struct deliverer *d, enum weir_status st, struct weir_err *err)
{
    if (st == WEIR_RETRY || (d->round->n == 0 && lanes_quiet(d))) {
        return st;
    }
    d->failed = st;
    d->failed_why = *err;
    return WEIR_OK;
}

/* With all lanes quiet, what waited for that; OK: go on. */
static enum weir_status
when_quiet(struct deliverer *d, struct weir_err *err)
{
    if (d->failed != WEIR_OK) {
        const enum weir_status st = d->failed;
        *err = d->failed_why;
        d->failed = WEIR_OK;
        return st;
    }
    d->quiet_first = false;
    if (d->settle_next && d->keeps && d->by_key) {
        return write_settle(d, err);
    }
    /* A key that a statement added is in no definition, but it is a conflict. */
    if (d->settle_next && !d->by_key && d->round->n == 0 && !d->in_frame) {
        views_forget(d);
    }
    d->settle_next = false;
    return WEIR_OK;
}

static enum weir_status
decode(struct deliverer *d, bool *idle, struct weir_err *err)
{
    if (may_meet(d) && d->round->n == 0 && !d->in_frame) {
        return lanes_quiet(d) ? meet(d, err) : hold(d);
    }
    if (views_are_many(d) && d->round->n == 0) {
        d->quiet_first = true;
    }
    if (d->quiet_first || d->failed != WEIR_OK) {
        if (!lanes_quiet(d)) {
            return hold(d);
        }
        views_trim(d);
        const enum weir_status st = when_quiet(d, err);
        if (st != WEIR_OK) {
            return st;
        }
    }
    if (d->window >= (size_t)d->set.sink->set.window) {
        return hold(d);
    }
    const enum weir_status st = fill(d, idle, err);
    return st == WEIR_OK ? st : note_failure(d, st, err);
}

enum weir_status
deliver_step(struct deliverer *d, struct weir_err *err)
{
    bool idle = false;

    d->held_up = false;
    enum weir_status st = lanes_attend(d, err);
    if (st == WEIR_OK && write_is_held(d)) {
        return hold(d);
    }
    if (st == WEIR_OK && !d->ready) {
        st = decode(d, &idle, err);
    }
    return st == WEIR_OK ? write_round(d, idle, err) : st;
}

void
deliver_wait(struct deliverer *d)
{
    const bool work = d->nopen && lanes_at_work(d);

    if (d->held_up) {
        lanes_wait(d, TICK);
    } else if (d->follower) {
        follower_wait(d->follower, work ? MOMENT : lanes_quiet(d) ? TICK
                                                                   : SOON);
    } else {
        struct pollfd stop = { .fd = d->set.stop_fd, .events = POLLIN };
        poll(&stop, 1, TICK / 1000);
    }
    lanes_tick(d);
}

/* To where all lanes are, if they come there in time. */
static void
drain(struct deliverer *d)
{
    struct weir_err err;

    if (d->nopen && d->started) {
        lanes_finish(d, clock_steady() + d->set.drain_ms * 1000 / 2);
        if (lanes_quiet(d) && d->round->n == 0 && d->keeps && d->by_key &&
            d->nlanes > 1 && !d->catching_up) {
            write_settle(d, &err); /* if not, the next start copes */
        }
    }
    lanes_cancel(d);
}

void
deliver_close(struct deliverer **dp)
{
    struct deliverer *d = *dp;
    struct weir_err   err;

    *dp = NULL;
    drain(d);
    if (d->local && save_checkpoint(d, &err) != WEIR_OK) {
        log_warn("%s; the next start repeats what came since the last one",
                 err.text);
    }
    row_leave_frame(d);
    lanes_close(d);
    views_free(d);
    rounds_free(d);
    for (size_t i = 0; i < d->nstages; i++) {
        instance_close(&d->stages[i]);
    }
    follower_close(&d->follower);
    aside_close(d);
    twoslot_close(&d->local);
    place_free(&d->at);
    skip_free(&d->skip);
    buf_free(&d->stored);
    buf_free(&d->scratch);
    arena_free(&d->txn_arena);
    lanes_free(d);
    free(d->stages);
    arena_free(&d->paths);
    free(d);
}
