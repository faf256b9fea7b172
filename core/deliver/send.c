/*
 * send.c - a lane's batch to its end: written, what came of it judged, what did
 * not go sent again.  Runs on the lane's thread, or on the decoding one where
 * nothing has to be waited for.  What the sink will not have is handed to the
 * decoding thread, which alone knows the relay.
 */
#include "deliver/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"

enum { SECOND = 1000000 };

/* ---- Waiting */

/* Under the lock, at most so long; false: the batch is given up. */
static bool
wait_for(struct lane *l, int64_t usec)
{
    struct deliverer *d = l->d;
    const int64_t     until = clock_steady() + usec;

    while (!d->cancel && !d->finishing) {
        const int64_t left = until - clock_steady();
        if (left <= 0) {
            return true;
        }
        clock_wait(&l->wake, &d->lock, left);
    }
    return false;
}

/* What went wrong, how long to wait, and that. */
static bool
back_off(struct batch *b, const struct weir_err *why)
{
    struct lane             *l = b->lane;
    struct deliverer        *d = l->d;
    const struct conf_retry *retry = &d->set.sink->retry;
    char                     nth[16], which[16] = "";

    const int64_t wait = clock_backoff(b->tries, retry->base_ms * 1000,
                                       retry->cap_ms * 1000);
    b->tries++;
    atomic_fetch_add(&d->set.page->retries, 1);
    if (d->nlanes > 1) {
        snprintf(which, sizeof which, "lane %u: ", l->index);
    }
    pthread_mutex_lock(&d->lock);
    const bool opened = breaker_failure(&d->breaker, clock_steady());
    l->state = LANE_WAITS;
    snprintf(l->why.text, sizeof l->why.text, "%s%.480s", which, why->text);
    pthread_mutex_unlock(&d->lock);
    log_warn("%s%s; next try in %.1f s (%s)", which, why->text,
             (double)wait / SECOND, str_ordinal(b->tries + 1, nth));
    if (opened) {
        log_warn("%u failures in a row: nothing is written for %.1f s, then "
                 "one batch is tried", d->breaker.limit,
                 (double)d->breaker.open_usec / SECOND);
    }
    pthread_mutex_lock(&d->lock);
    pthread_cond_broadcast(&d->changed);
    const bool goes_on = wait_for(l, wait);
    pthread_mutex_unlock(&d->lock);
    return goes_on;
}

/* False: given up. */
static bool
pass_breaker(struct lane *l)
{
    struct deliverer *d = l->d;
    bool              goes_on = true;
    int64_t           wait;

    pthread_mutex_lock(&d->lock);
    while (goes_on &&
           (wait = breaker_ask(&d->breaker, clock_steady())) > 0) {
        if (l->state == LANE_FINE) {
            l->state = LANE_WAITS;
            snprintf(l->why.text, sizeof l->why.text,
                     "the sink failed %u times in a row: nothing is written "
                     "for a while", d->breaker.failures);
        }
        goes_on = wait_for(l, wait);
    }
    pthread_mutex_unlock(&d->lock);
    return goes_on;
}

static void
went_well(struct batch *b)
{
    struct lane      *l = b->lane;
    struct deliverer *d = l->d;

    pthread_mutex_lock(&d->lock);
    if (d->breaker.failures) {
        breaker_success(&d->breaker);
    }
    d->unproved = false;
    if (l->state == LANE_WAITS) {
        l->state = LANE_FINE;
        l->why.text[0] = '\0';
        pthread_cond_broadcast(&d->changed);
    }
    pthread_mutex_unlock(&d->lock);
    b->tries = 0;
}

/* The sink as a whole: stops, or (RETRY) begins again at what it has stored. */
static void
end_of_lane(struct lane *l, enum weir_status st, const struct weir_err *why)
{
    struct deliverer *d = l->d;

    pthread_mutex_lock(&d->lock);
    l->fate = st;
    l->why = *why;
    if (st == WEIR_RETRY) {
        d->unproved = true;
        d->last_why = *why;
        breaker_failure(&d->breaker, clock_steady());
    }
    breaker_untried(&d->breaker);
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->lock);
}

/* ---- What is sent */

static void
add_sent(struct batch *b, const struct item *item)
{
    b->events[b->nsent] = item->ev;
    b->slots[b->nsent] = item->view && item->view->slots
                             ? item->view->slots[b->lane->index]
                             : NULL;
    b->nsent++;
}

static void
select_events(struct batch *b)
{
    if (b->chunk == 0 || b->chunk > b->n - b->at) {
        b->chunk = b->n - b->at;
    }
    if (b->one_by_one && b->chunk > 1) {
        b->chunk = 1;
    }
    if (b->sent_room < b->chunk + 1) {
        b->sent_room = b->room + 1;
        b->events = xrealloc(b->events, b->sent_room * sizeof *b->events);
        b->slots = xrealloc(b->slots, b->sent_room * sizeof *b->slots);
    }
    b->nsent = 0;
    for (size_t i = 0; i < b->chunk; i++) {
        add_sent(b, &b->round->items[b->todo[b->at + i]]);
    }
}

static bool
is_last(const struct batch *b)
{
    return b->at + b->chunk == b->n;
}

static void
show_batch(struct batch *b)
{
    const struct weir_event *ev = b->events[0];
    char                     text[512];

    const int n = snprintf(
        text, sizeof text, "%zu event%s from %.*s:%llu (%.*s), %.*s%s%.*s",
        b->nsent, b->nsent == 1 ? "" : "s", STR_ARG(ev->txn->file),
        (unsigned long long)ev->txn->offset, STR_ARG(ev->txn->gtid),
        STR_ARG(ev->table ? ev->table->schema : STR("")),
        ev->table ? "." : "", STR_ARG(ev->table ? ev->table->name : STR("")));
    page_set_text(b->lane->d->set.page, PAGE_WRITING,
                  (struct weir_str){ text, n < (int)sizeof text ? (size_t)n
                                                 : sizeof text - 1 });
}

static enum weir_status
wait_for_end(struct batch *b, struct weir_err *err)
{
    pthread_mutex_lock(&b->lock);
    while (!b->done) {
        pthread_cond_wait(&b->ended, &b->lock);
    }
    const enum weir_status st = b->outcome;
    *err = b->reason;
    pthread_mutex_unlock(&b->lock);
    return st;
}

static struct weir_checkpoint
checkpoint_of(const struct batch *b)
{
    const struct lane *l = b->lane;
    const bool         own = is_last(b) || l->stored.len == 0;

    return (struct weir_checkpoint){
        .id = str_of(l->d->name),
        .slot = l->d->by_key ? l->index : 0,
        .epoch = l->d->epoch,
        .data = buf_view(own ? &b->round->checkpoint : &l->stored),
    };
}

static enum weir_status
hand_over(struct batch *b, struct weir_err *err)
{
    struct lane              *l = b->lane;
    struct weir_batch        *pub = &b->head.pub;

    pub->nevents = b->nsent;
    pub->events = b->events;
    pub->slots = b->slots;
    pub->flags = b->round->open || !is_last(b) ? WEIR_TXN_OPEN : 0;
    pub->checkpoint = checkpoint_of(b);
    b->nverdicts = 0;
    b->done = false;
    err->text[0] = '\0';
    if (b->nsent > 0) {
        show_batch(b);
    }
    lane_enter(l);
    l->in.scratch = &b->arena;
    CRASH_POINT("deliver.write");
    enum weir_status st = l->d->module->write(l->in.self, pub, err);
    if (st == WEIR_PENDING) {
        st = wait_for_end(b, err);
    }
    CRASH_POINT("deliver.written");
    lane_leave(l);
    return st;
}

/* Each in its turn: when all before is committed. */
static bool
wait_for_turn(struct batch *b)
{
    struct lane      *l = b->lane;
    struct deliverer *d = l->d;

    pthread_mutex_lock(&d->lock);
    breaker_untried(&d->breaker); /* others come first, and may need to try */
    while (!d->by_key && !d->cancel && d->ring.low < b->round->id) {
        pthread_cond_wait(&l->wake, &d->lock);
    }
    const bool goes_on = !d->cancel;
    pthread_mutex_unlock(&d->lock);
    return goes_on;
}

static bool
commit(struct batch *b)
{
    struct lane     *l = b->lane;
    struct weir_err  err = { "" };
    enum weir_status st = WEIR_OK;

    if (!l->d->module->commit || b->head.pub.flags & WEIR_TXN_OPEN) {
        return true;
    }
    if (!wait_for_turn(b)) {
        return false;
    }
    lane_enter(l);
    st = l->d->module->commit(l->in.self, &b->head.pub, &err);
    lane_leave(l);
    if (st != WEIR_OK) {
        /* What became of it, restore() will say. */
        end_of_lane(l, st == WEIR_FENCED || st == WEIR_FATAL ? st : WEIR_RETRY,
                    &err);
    }
    return st == WEIR_OK;
}

/* One try; with a verdict on any event, REJECT. */
static enum weir_status
send_now(struct batch *b, struct weir_err *err)
{
    struct lane *l = b->lane;

    b->nverdicts = 0;
    b->done = false;
    err->text[0] = '\0';
    lane_enter(l);
    l->in.scratch = &b->arena;
    enum weir_status st = l->d->module->write(l->in.self, &b->head.pub, err);
    if (st == WEIR_PENDING) {
        st = wait_for_end(b, err);
    }
    if (b->nverdicts && (st == WEIR_OK || st == WEIR_REJECT)) {
        st = weir_fail(err, b->verdicts[0].status, "%s",
                       b->verdicts[0].reason);
    }
    if (st == WEIR_OK && l->d->module->commit) {
        st = l->d->module->commit(l->in.self, &b->head.pub, err);
    }
    lane_leave(l);
    return st;
}

enum weir_status
send_empty(struct batch *b, struct weir_err *err)
{
    const enum weir_status st = send_now(b, err);

    return st == WEIR_REJECT ? WEIR_FATAL : st;
}

enum weir_status
send_aside(struct deliverer *d, struct weir_str checkpoint,
           struct weir_err *err)
{
    struct lane  *l = &d->lanes[0];
    struct round *r = d->round;
    struct batch *b = batch_new(d, l, r);

    if (b->room < r->n) {
        b->room = r->n;
        b->todo = xrealloc(b->todo, b->room * sizeof *b->todo);
    }
    for (size_t i = 0; i < r->n; i++) {
        b->todo[b->n++] = (uint32_t)i;
    }
    b->chunk = b->n;
    select_events(b);
    b->head.pub = (struct weir_batch){
        .nevents = b->nsent, .events = b->events, .slots = b->slots,
        .checkpoint = { .id = str_of(d->name), .slot = 0, .epoch = d->epoch,
                        .data = checkpoint },
    };
    const enum weir_status st = send_now(b, err);
    r->batches = b->sibling;
    b->next = d->spare_batches;
    d->spare_batches = b;
    return st;
}

/* ---- What came of it */

static void
note_refused(struct batch *b, size_t sent, const char *reason)
{
    b->refused =
        xrealloc(b->refused, (b->nrefused + 1) * sizeof *b->refused);
    struct verdict *v = &b->refused[b->nrefused++];
    v->event = b->todo[b->at + sent];
    v->status = WEIR_REJECT;
    memcpy(v->reason, reason, strnlen(reason, sizeof v->reason - 1) + 1);
    v->reason[sizeof v->reason - 1] = '\0';
}

/* The decoding thread sees to them.  False: given up. */
static bool
refuse_noted(struct batch *b)
{
    struct lane      *l = b->lane;
    struct deliverer *d = l->d;

    if (b->nrefused == 0) {
        return true;
    }
    atomic_fetch_add(&d->set.page->rejects, b->nrefused);
    pthread_mutex_lock(&d->lock);
    l->answered = false;
    b->refused_at = 0;
    l->state = LANE_ASKS;
    pthread_cond_broadcast(&d->changed);
    while (!l->answered && !d->cancel) {
        pthread_cond_wait(&l->wake, &d->lock);
    }
    l->state = LANE_FINE;
    const bool goes_on = l->answered;
    pthread_mutex_unlock(&d->lock);
    b->nrefused = 0;
    return goes_on;
}

static const struct verdict *
verdict_on(const struct batch *b, size_t sent)
{
    const struct verdict *last = NULL;

    for (size_t i = 0; i < b->nverdicts; i++) {
        if (b->verdicts[i].event == sent) {
            last = &b->verdicts[i];
        }
    }
    return last;
}

/* Of what was sent, those with a verdict RETRY and, so that the last word on a
 * key stays the last, those of their keys behind them. */
static size_t
keep_for_retry(struct batch *b, uint32_t *again, struct weir_err *why)
{
    size_t n = 0;

    for (size_t i = 0; i < b->nsent; i++) {
        struct item          *item = &b->round->items[b->todo[b->at + i]];
        const struct verdict *v = b->nverdicts ? verdict_on(b, i) : NULL;
        bool again_too = v && v->status == WEIR_RETRY;
        if (again_too) {
            snprintf(why->text, sizeof why->text, "%s", v->reason);
        }
        for (size_t k = 0; k < n && !again_too && !v; k++) {
            again_too = share_hash(b->lane, &b->scratch, item) ==
                        share_hash(b->lane, &b->scratch,
                                   &b->round->items[again[k]]);
        }
        if (again_too) {
            again[n++] = b->todo[b->at + i];
        }
    }
    return n;
}

static size_t
count_done(const struct batch *b, const uint32_t *again, size_t nagain)
{
    size_t done = 0, k = 0;

    for (size_t i = 0; i < b->nsent; i++) {
        const uint32_t which = b->todo[b->at + i];
        if (k < nagain && again[k] == which) {
            k++;
            continue;
        }
        const struct verdict *v = b->nverdicts ? verdict_on(b, i) : NULL;
        const struct item    *item = &b->round->items[which];
        done += !v && !item->half && item->ev->op < WEIR_SNAPSHOT_BEGIN;
    }
    return done;
}

static bool
too_many(const struct batch *b)
{
    const int64_t max = b->lane->d->set.sink->retry.max;

    return max > 0 && b->tries >= max;
}

static void
note_verdicts(struct batch *b, bool all)
{
    for (size_t i = 0; i < b->nverdicts; i++) {
        const struct verdict *v = &b->verdicts[i];
        if (verdict_on(b, v->event) == v &&
            (v->status == WEIR_REJECT || all)) {
            note_refused(b, v->event, v->reason);
        }
    }
}

static void
keep_stored(struct batch *b)
{
    struct lane *l = b->lane;

    if (is_last(b)) {
        b->carried = true;
        l->acked = b->round->place;
        l->stored.len = 0;
        buf_str(&l->stored, buf_view(&b->round->checkpoint));
    }
}

/* Written, but for events with a verdict. */
static bool
written(struct batch *b)
{
    uint32_t       *again = xcalloc(b->nsent + 1, sizeof *again);
    struct weir_err why = { "" };
    const bool      enough = too_many(b);

    const size_t nagain =
        b->nverdicts && !enough ? keep_for_retry(b, again, &why) : 0;
    CRASH_POINT("deliver.judge");
    note_verdicts(b, enough);
    bool goes_on = refuse_noted(b) && (nagain || commit(b));
    if (goes_on) {
        b->napplied += count_done(b, again, nagain);
        keep_stored(b);
        b->at += b->nsent - nagain; /* so many were sent, or more */
        b->chunk = nagain ? nagain : b->n - b->at;
        if (nagain) {
            memcpy(&b->todo[b->at], again, nagain * sizeof *again);
        }
    }
    free(again);
    if (goes_on && nagain) {
        return back_off(b, &why);
    }
    if (goes_on) {
        went_well(b);
    }
    return goes_on;
}

static bool failed(struct batch *b, const struct weir_err *err);

/* A refusal that names no event: by halves, down to the one. */
static bool
refused_whole(struct batch *b, const struct weir_err *err)
{
    if (b->nsent == 0) {
        end_of_lane(b->lane, WEIR_FATAL, err);
        return false;
    }
    went_well(b); /* it answers */
    if (b->nsent > 1) {
        b->chunk = (b->nsent + 1) / 2;
        return true;
    }
    note_refused(b, 0, err->text);
    b->at++;
    b->chunk = b->n - b->at;
    b->tries = 0;
    return refuse_noted(b);
}

/* A refusal that names events: nothing says that the others were written.  What
 * stands before the first of them goes again alone, then that one is seen to:
 * so that what is put aside stays in order. */
static bool
refused_some(struct batch *b, const struct weir_err *err)
{
    const bool enough = too_many(b);
    size_t     first = 0;

    while (first < b->nsent) {
        const struct verdict *v = verdict_on(b, first);
        if (v && (v->status == WEIR_REJECT || enough)) {
            break;
        }
        first++;
    }
    if (first == b->nsent) {
        return failed(b, err);
    }
    if (first > 0) {
        b->chunk = first;
        return true;
    }
    note_refused(b, 0, verdict_on(b, 0)->reason);
    b->at++;
    b->chunk = b->n - b->at;
    b->tries = 0;
    return refuse_noted(b);
}

static uint64_t
place_found(const struct lane *l)
{
    struct progress p;
    struct weir_err ignored;

    return l->found.found && progress_parse(buf_view(&l->found.blob), &p,
                                            &ignored) == WEIR_OK
               ? p.next + p.next_row
               : 0;
}

/* Of a sink that keeps its checkpoint: was it written after all?  False: the
 * batch is given up. */
static bool
ask_slot(struct batch *b)
{
    struct lane      *l = b->lane;
    struct deliverer *d = l->d;
    struct weir_err   err = { "" };

    l->found.found = false;
    l->asked = l->index;
    lane_enter(l);
    enum weir_status st = d->module->restore(l->in.self, str_of(d->name),
                                             l->index, &err);
    lane_leave(l);
    if (st == WEIR_RETRY) {
        return back_off(b, &err);
    }
    b->ask = false;
    pthread_mutex_lock(&d->lock);
    breaker_untried(&d->breaker); /* the write is the probe */
    pthread_mutex_unlock(&d->lock);
    if (st == WEIR_OK && l->found.found && l->found.epoch > d->epoch) {
        st = weir_fail(&err, WEIR_FENCED,
                       "its checkpoint is of epoch %llu, and ours is %llu",
                       (unsigned long long)l->found.epoch,
                       (unsigned long long)d->epoch);
    }
    const uint64_t place = place_found(l);
    if (st == WEIR_OK && place != l->acked && place != b->round->place) {
        st = weir_fail(&err, WEIR_RETRY, "what the sink has stored is not what "
                       "was written last: it goes on from there");
    }
    if (st != WEIR_OK) {
        end_of_lane(l, st, &err);
        return false;
    }
    if (place != l->acked && is_last(b) && !d->set.sink->batching.resend) {
        b->nverdicts = 0;
        return written(b);
    }
    return true;
}

static bool
failed(struct batch *b, const struct weir_err *err)
{
    struct deliverer *d = b->lane->d;
    struct weir_err   why;

    if (too_many(b)) {
        weir_fail(&why, WEIR_FATAL, "%.400s (given up after %u tries, as "
                  "retry { max } says)", err->text, b->tries + 1);
        end_of_lane(b->lane, WEIR_FATAL, &why);
        return false;
    }
    if (!d->by_key) {
        end_of_lane(b->lane, WEIR_RETRY, err); /* with all of its neighbours */
        return false;
    }
    b->ask = d->keeps;
    return back_off(b, err);
}

static bool
search_culprit(struct batch *b, const struct weir_err *err)
{
    struct deliverer *d = b->lane->d;

    if (b->nsent <= 1 || d->by_key) {
        return refused_whole(b, err);
    }
    /* What was written of the transaction goes with it: all of it again, one by
     * one. */
    pthread_mutex_lock(&d->lock);
    d->careful = true;
    d->careful_until = b->round->place;
    pthread_mutex_unlock(&d->lock);
    end_of_lane(b->lane, WEIR_RETRY, err);
    return false;
}

/* True: go on with what is left. */
static bool
judge(struct batch *b, enum weir_status st, struct weir_err *err)
{
    struct deliverer *d = b->lane->d;

    switch (st) {
    case WEIR_OK:
        for (size_t i = 0; !d->by_key && i < b->nverdicts; i++) {
            if (b->verdicts[i].status == WEIR_RETRY) {
                snprintf(err->text, sizeof err->text, "%s",
                         b->verdicts[i].reason);
                return failed(b, err);
            }
        }
        return written(b);
    case WEIR_REJECT:
        return b->nverdicts && d->by_key ? refused_some(b, err)
                                         : search_culprit(b, err);
    case WEIR_RETRY:
        return failed(b, err);
    case WEIR_FATAL:
    case WEIR_FENCED:
        break;
    default:
        st = weir_fail(err, WEIR_FATAL,
                       "module %s: write() gave %s, which is none of its "
                       "outcomes", d->module->name, status_name(st));
    }
    end_of_lane(b->lane, st, err);
    return false;
}

static bool
any_held(const struct batch *b)
{
    bool any = false;

    for (size_t i = b->at; i < b->n && !any; i++) {
        const struct view *v = b->round->items[b->todo[i]].view;
        any = v && atomic_load_explicit(&v->held, memory_order_relaxed);
    }
    return any;
}

/* What waits for a table that is parked by now. */
static bool
put_aside_held(struct batch *b)
{
    size_t kept = b->at;

    if (!any_held(b)) {
        return true;
    }
    const size_t at = b->at;
    for (size_t i = at; i < b->n; i++) {
        const struct view *v = b->round->items[b->todo[i]].view;
        if (v && atomic_load(&v->held)) {
            note_refused(b, i - at, "its table is parked");
        } else {
            b->todo[kept++] = b->todo[i];
        }
    }
    b->n = kept;
    b->chunk = kept - at;
    return refuse_noted(b);
}

static bool
is_finished(const struct batch *b)
{
    return b->at == b->n && (b->carried || (b->n > 0 && !b->lane->d->keeps));
}

/* By transaction, behind those whose rows it touches too. */
static bool
wait_for_others(struct batch *b)
{
    struct lane      *l = b->lane;
    struct deliverer *d = l->d;

    pthread_mutex_lock(&d->lock);
    while (b->after && d->ring.low <= b->after && !d->cancel) {
        pthread_cond_wait(&l->wake, &d->lock);
    }
    const bool goes_on = !d->cancel;
    pthread_mutex_unlock(&d->lock);
    return goes_on;
}

/* One try.  False: given up. */
static bool
try_once(struct batch *b, enum weir_status *st, struct weir_err *err)
{
    *st = WEIR_PENDING;
    if (!pass_breaker(b->lane) || !put_aside_held(b)) {
        return false;
    }
    if (b->ask) {
        return ask_slot(b);
    }
    select_events(b);
    *st = hand_over(b, err);
    return true;
}

bool
batch_work(struct batch *b, bool once)
{
    struct weir_err  err = { "" };
    enum weir_status st;

    if (once && any_held(b)) {
        return false; /* this thread is the one that puts it aside */
    }
    bool goes_on = wait_for_others(b);

    if (goes_on && b->tried) {
        b->tried = false;
        goes_on = judge(b, b->outcome, &b->reason);
    }
    while (goes_on && !is_finished(b)) {
        goes_on = try_once(b, &st, &err);
        if (goes_on && once && (st != WEIR_OK || b->nverdicts)) {
            b->tried = true; /* what takes waiting is the lane's */
            b->outcome = st;
            b->reason = err;
            return false;
        }
        if (goes_on && st != WEIR_PENDING) {
            goes_on = judge(b, st, &err);
        }
    }
    return goes_on;
}
