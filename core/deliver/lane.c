/*
 * lane.c - lanes: threads that write, each with an instance of the module.  One
 * lock guards their queues and what is on its way; calls into an instance have a
 * lock each.  The decoding thread gives batches, takes what is done, and sees to
 * what a sink refused.
 */
#include "deliver/internal.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"

enum { SECOND = 1000000, SLICE = 100000 };

/* ---- Calls */

void
lane_enter(struct lane *l)
{
    pthread_mutex_lock(&l->calls);
    atomic_store_explicit(&l->calling, clock_steady(), memory_order_relaxed);
}

void
lane_leave(struct lane *l)
{
    atomic_store_explicit(&l->calling, 0, memory_order_relaxed);
    pthread_mutex_unlock(&l->calls);
}

void
deliver_beat(struct deliverer *d)
{
    int64_t beat = clock_steady();

    for (uint32_t k = 0; k < d->nopen; k++) {
        const int64_t since = atomic_load_explicit(&d->lanes[k].calling,
                                                   memory_order_relaxed);
        beat = since && since < beat ? since : beat;
    }
    page_beat_at(d->set.page, beat);
}

void
lanes_tick(struct deliverer *d)
{
    for (uint32_t k = 0; d->module->tick && k < d->nopen; k++) {
        struct lane *l = &d->lanes[k];
        if (l->in.is_open && pthread_mutex_trylock(&l->calls) == 0) {
            d->module->tick(l->in.self);
            pthread_mutex_unlock(&l->calls);
        }
    }
}

bool
lanes_stopping(const struct deliverer *d)
{
    struct pollfd p = { .fd = d->set.stop_fd, .events = POLLIN };
    return poll(&p, 1, 0) == 1;
}

/* ---- The thread */

/* Under the lock. */
static void
finish(struct batch *b)
{
    struct deliverer *d = b->lane->d;
    struct round     *r = b->round;

    r->napplied += b->napplied;
    assert(r->left > 0);
    if (--r->left == 0 && ring_done(&d->ring, r->id) && !d->by_key) {
        for (uint32_t k = 0; k < d->nlanes; k++) {
            pthread_cond_broadcast(&d->lanes[k].wake);
        }
    }
    pthread_cond_broadcast(&d->changed);
}

static void *
lane_run(void *arg)
{
    struct lane      *l = arg;
    struct deliverer *d = l->d;

    pthread_mutex_lock(&d->lock);
    while (!l->end) {
        struct batch *b = l->first;
        if (!b || l->stuck) {
            pthread_cond_wait(&l->wake, &d->lock);
            continue;
        }
        l->busy = true;
        pthread_mutex_unlock(&d->lock);
        const bool done = batch_work(b, false);
        pthread_mutex_lock(&d->lock);
        l->busy = false;
        l->stuck = !done;
        if (done) {
            l->first = b->next;
            l->last = l->first ? l->last : NULL;
            finish(b);
        }
        pthread_cond_broadcast(&d->changed);
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

/* ---- Life */

void
lanes_init(struct deliverer *d)
{
    const struct conf_sink *s = d->set.sink;

    pthread_mutex_init(&d->lock, NULL);
    clock_cond_init(&d->changed);
    breaker_init(&d->breaker, (unsigned)s->breaker.failures,
                 s->breaker.open_ms * 1000);
    d->lanes = xcalloc(MAX_LANES, sizeof *d->lanes);
    d->nwanted = (uint32_t)s->set.lanes;
    d->nlanes = 1;
    for (uint32_t k = 0; k < MAX_LANES; k++) {
        struct lane *l = &d->lanes[k];
        l->d = d;
        l->index = k;
        pthread_mutex_init(&l->calls, NULL);
        clock_cond_init(&l->wake);
    }
}

static enum weir_status
open_lane(struct lane *l, uint32_t n, struct weir_err *err)
{
    struct deliverer *d = l->d;

    if (l->in.is_open) {
        return WEIR_OK;
    }
    instance_init(&l->in, d->module, d->sink_conf, d->name);
    l->in.stop_fd = d->set.stop_fd;
    l->in.sink = &answers;
    l->in.arg = l;
    l->in.dir = d->sink_dir;
    l->in.lane = l->index;
    l->in.lanes = n;
    const enum weir_status st = instance_open(&l->in, err);
    return st == WEIR_OK ? st
                         : weir_wrap(err, st, "%s", d->module->name);
}

enum weir_status
lanes_open(struct deliverer *d, uint32_t n, struct weir_err *err)
{
    if (d->nopen > 0 && d->lanes[0].in.lanes != n) {
        lanes_close(d);
    }
    while (d->nopen < n) {
        const enum weir_status st = open_lane(&d->lanes[d->nopen], n, err);
        if (st != WEIR_OK) {
            return st;
        }
        d->nopen++;
    }
    return WEIR_OK;
}

enum weir_status
lanes_open_first(struct deliverer *d, struct weir_err *err)
{
    if (d->nopen > 0) {
        return WEIR_OK;
    }
    const enum weir_status st = open_lane(&d->lanes[0], d->nwanted, err);
    d->nopen = st == WEIR_OK;
    return st;
}

static void
end_thread(struct lane *l)
{
    if (!l->has_thread) {
        return;
    }
    pthread_mutex_lock(&l->d->lock);
    l->end = true;
    pthread_cond_broadcast(&l->wake);
    pthread_mutex_unlock(&l->d->lock);
    pthread_join(l->thread, NULL);
    l->has_thread = l->end = false;
}

void
lanes_close(struct deliverer *d)
{
    lanes_cancel(d);
    views_free(d);
    views_new_segment(d);
    for (uint32_t k = 0; k < d->nopen; k++) {
        end_thread(&d->lanes[k]);
        instance_close(&d->lanes[k].in);
    }
    d->nopen = 0;
}

void
lanes_free(struct deliverer *d)
{
    for (uint32_t k = 0; k < MAX_LANES; k++) {
        struct lane *l = &d->lanes[k];
        buf_free(&l->stored);
        buf_free(&l->part);
        buf_free(&l->text);
        buf_free(&l->found.blob);
        skip_free(&l->skip);
        buf_free(&d->slots[k].blob);
        pthread_mutex_destroy(&l->calls);
        pthread_cond_destroy(&l->wake);
    }
    conflicts_free(&d->conflicts);
    ring_free(&d->ring);
    free(d->lanes);
    pthread_mutex_destroy(&d->lock);
    pthread_cond_destroy(&d->changed);
}

/* ---- Giving */

static void
start_thread(struct lane *l)
{
    if (!l->has_thread) {
        const int failed = pthread_create(&l->thread, NULL, lane_run, l);
        assert(failed == 0);
        l->has_thread = true;
    }
}

/* Under the lock. */
static void
enqueue(struct batch *b)
{
    struct lane *l = b->lane;

    start_thread(l);
    b->next = NULL;
    if (l->first) {
        l->last->next = b;
    } else {
        l->first = b;
    }
    l->last = b;
    pthread_cond_signal(&l->wake);
}

/* What it keeps from being let go of: its own memory, and the relay's blocks that
 * its values point into, however little of them; one that the round before it
 * holds too is counted there. */
static size_t
bytes_held(const struct deliverer *d, const struct round *r)
{
    const struct round *before = d->newest;
    size_t              blocks = 0;

    for (size_t i = 0; i < r->nblocks; i++) {
        const bool counted = before && before->nblocks > 0 &&
                             before->blocks[before->nblocks - 1] ==
                                 r->blocks[i];
        blocks += counted ? 0 : r->blocks[i]->room;
    }
    return r->arena.used + (blocks > r->bytes ? blocks : r->bytes) + 1;
}

/* With `here`, one that failed for good on this thread stays where it is: what
 * became of it, a start finds out, and until then nothing is written again. */
void
lanes_give(struct deliverer *d, struct round *r, bool here)
{
    bool done = false;

    r->held = bytes_held(d, r);
    d->window += r->held;
    *(d->newest ? &d->newest->next : &d->oldest) = r;
    d->newest = r;
    if (here && r->batches && !r->batches->sibling) {
        done = batch_work(r->batches, true);
    }
    pthread_mutex_lock(&d->lock);
    if (done) {
        finish(r->batches);
    } else if (here && r->batches) {
        r->batches->lane->stuck = r->batches->lane->fate != WEIR_OK;
    }
    for (struct batch *b = r->batches; b && !done; b = b->sibling) {
        enqueue(b);
    }
    if (r->left == 0 && !done) { /* nobody has anything to do */
        ring_done(&d->ring, r->id);
    }
    pthread_mutex_unlock(&d->lock);
}

/* ---- Taking */

static void
refresh_held(struct deliverer *d)
{
    for (struct view *v = d->views; v; v = v->next) {
        atomic_store(&v->held, refuse_holds(d, v));
    }
}

static enum weir_status
refuse_one(struct deliverer *d, const struct batch *b, const struct verdict *v,
           struct weir_err *err)
{
    const struct item       *item = &b->round->items[v->event];
    const struct weir_event *ev = item->ev;
    struct weir_err          reason;

    weir_fail(&reason, WEIR_REJECT,
              "%.*s.%.*s, %s of version %llu, transaction %.*s at "
              "%.*s:%llu: %s",
              STR_ARG(ev->table ? ev->table->schema : STR("")),
              STR_ARG(ev->table ? ev->table->name : STR("")),
              ev->op < WEIR_SNAPSHOT_BEGIN ? "row" : "statement",
              (unsigned long long)ev->seq, STR_ARG(ev->txn->gtid),
              STR_ARG(ev->txn->file), (unsigned long long)ev->txn->offset,
              v->reason);
    const struct refused what = {
        .frame = item->frame,
        .row = (uint32_t)(ev->seq - item->frame),
        .part = item->part,
        .nrows = ev->op < WEIR_SNAPSHOT_BEGIN && !item->half,
        .head = item->head,
        .table = item->table,
        .view = item->view,
        .round = b->round,
        .event = ev,
        .attempts = b->tries + 1,
        .reason = reason.text,
    };
    return refuse(d, &what, err);
}

/* RETRY: asked for again. */
static enum weir_status
answer_lane(struct deliverer *d, struct lane *l, struct weir_err *err)
{
    struct batch    *b = l->first ? l->first : d->newest->batches;
    enum weir_status st = WEIR_OK;

    while (st == WEIR_OK && b->refused_at < b->nrefused) {
        st = refuse_one(d, b, &b->refused[b->refused_at], err);
        b->refused_at += st == WEIR_OK;
        CRASH_POINT("deliver.verdict");
    }
    refresh_held(d);
    if (st == WEIR_OK) {
        st = refuse_settle(d, err);
    }
    pthread_mutex_lock(&d->lock);
    l->answered = st == WEIR_OK;
    if (st == WEIR_OK) {
        l->asked_at = 0; /* the next question has an answer of its own */
    } else {
        l->why = *err;
    }
    pthread_cond_broadcast(&l->wake);
    pthread_mutex_unlock(&d->lock);
    return st == WEIR_RETRY ? WEIR_OK : st;
}

/* Of a lane that asks, or can't go on; NULL: of none. */
static struct lane *
who_calls(struct deliverer *d, bool asks)
{
    struct lane *found = NULL;

    pthread_mutex_lock(&d->lock);
    for (uint32_t k = 0; k < d->nlanes && !found; k++) {
        struct lane *l = &d->lanes[k];
        const bool   calls = asks ? l->state == LANE_ASKS && !l->answered &&
                                      l->asked_at <= clock_steady()
                                  : l->fate != WEIR_OK;
        found = calls ? l : NULL;
        if (found) {
            l->asked_at = clock_steady() + SECOND;
        }
    }
    pthread_mutex_unlock(&d->lock);
    return found;
}

enum weir_status
lanes_attend(struct deliverer *d, struct weir_err *err)
{
    struct lane     *l;
    enum weir_status st = WEIR_OK;

    while (st == WEIR_OK && (l = who_calls(d, true))) {
        st = answer_lane(d, l, err);
    }
    pthread_mutex_lock(&d->lock);
    const uint64_t low = d->ring.low;
    pthread_mutex_unlock(&d->lock);
    while (d->oldest && d->oldest->id < low) {
        struct round *r = d->oldest;
        d->oldest = r->next;
        d->newest = d->oldest ? d->newest : NULL;
        d->window -= r->held;
        write_done(d, r);
        round_release(d, &r);
    }
    if (st == WEIR_OK && (l = who_calls(d, false))) {
        pthread_mutex_lock(&d->lock);
        st = l->fate;
        *err = l->why;
        pthread_mutex_unlock(&d->lock);
    }
    return st;
}

bool
lanes_quiet(struct deliverer *d)
{
    return d->oldest == NULL;
}

bool
lanes_busy(struct deliverer *d, const struct round *r)
{
    bool busy = true;

    pthread_mutex_lock(&d->lock);
    for (uint32_t k = 0; k < d->nlanes && busy; k++) {
        busy = (d->by_key && r->lane_n[k] == 0) || d->lanes[k].first;
    }
    pthread_mutex_unlock(&d->lock);
    return busy;
}

/* A lane that works may be done at any moment. */
bool
lanes_at_work(struct deliverer *d)
{
    bool work = false;

    pthread_mutex_lock(&d->lock);
    for (uint32_t k = 0; k < d->nlanes; k++) {
        const struct lane *l = &d->lanes[k];
        work = work || l->state == LANE_ASKS ||
               (l->first && l->state == LANE_FINE && !l->stuck);
    }
    pthread_mutex_unlock(&d->lock);
    return work;
}

void
lanes_wait(struct deliverer *d, int64_t usec)
{
    pthread_mutex_lock(&d->lock);
    if (!d->oldest || d->oldest->id >= d->ring.low) {
        clock_wait(&d->changed, &d->lock, usec);
    }
    pthread_mutex_unlock(&d->lock);
}

bool
deliver_trouble(struct deliverer *d, char *out, size_t room)
{
    bool any = false;

    pthread_mutex_lock(&d->lock);
    if (d->unproved && d->oldest) {
        any = true;
        snprintf(out, room, "%s", d->last_why.text);
    }
    for (uint32_t k = 0; k < d->nlanes && !any; k++) {
        const struct lane *l = &d->lanes[k];
        any = l->state == LANE_WAITS ||
              (l->state == LANE_ASKS && !l->answered && l->why.text[0]);
        if (any) {
            snprintf(out, room, "%s", l->why.text);
        }
    }
    pthread_mutex_unlock(&d->lock);
    if (!any && d->unsaved_why.text[0]) {
        any = true;
        snprintf(out, room, "%s", d->unsaved_why.text);
    }
    return any;
}

/* ---- The end */

static bool
any_busy(const struct deliverer *d)
{
    bool busy = false;

    for (uint32_t k = 0; k < d->nlanes; k++) {
        busy = busy || d->lanes[k].busy;
    }
    return busy;
}

static void
wake_all(struct deliverer *d)
{
    for (uint32_t k = 0; k < d->nlanes; k++) {
        pthread_cond_broadcast(&d->lanes[k].wake);
    }
}

void
lanes_cancel(struct deliverer *d)
{
    pthread_mutex_lock(&d->lock);
    d->cancel = true;
    wake_all(d);
    while (any_busy(d)) {
        clock_wait(&d->changed, &d->lock, SLICE);
        deliver_beat(d);
    }
    for (uint32_t k = 0; k < d->nlanes; k++) {
        struct lane *l = &d->lanes[k];
        l->first = l->last = NULL;
        l->stuck = false;
        l->state = LANE_FINE;
        l->fate = WEIR_OK;
        l->why.text[0] = '\0';
    }
    breaker_untried(&d->breaker);
    ring_clear(&d->ring);
    d->cancel = false;
    pthread_mutex_unlock(&d->lock);
    if (d->newest) {
        d->line_until = d->newest->place;
    }
    while (d->oldest) {
        struct round *r = d->oldest;
        d->oldest = r->next;
        round_release(d, &r);
    }
    d->newest = NULL;
    d->window = 0;
    conflicts_free(&d->conflicts);
    d->open_until = 0;
}

/* What is queued is written, unless it fails. */
void
lanes_finish(struct deliverer *d, int64_t until)
{
    struct weir_err err;
    bool            going = true;

    pthread_mutex_lock(&d->lock);
    d->finishing = true;
    wake_all(d);
    pthread_mutex_unlock(&d->lock);
    while (going && lanes_attend(d, &err) == WEIR_OK && !lanes_quiet(d) &&
           clock_steady() < until) {
        going = lanes_at_work(d);
        deliver_beat(d);
        if (going) {
            lanes_wait(d, SLICE);
        }
    }
}
