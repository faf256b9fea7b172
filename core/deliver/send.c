/*
 * send.c - a lane's batch to its end: written, what came of it judged (judge.c),
 * what did not go sent again after a while (try.c).  Runs on the lane's thread,
 * or on the decoding one where nothing has to be waited for.
 */
#include "deliver/try.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"

/* ---- What is sent */

static void
add_sent(struct batch *b, const struct item *item)
{
    b->events[b->nsent] = item->ev;
    const struct view *v = item->view;
    b->slots[b->nsent] =
        v && v->slots && !v->refused ? v->slots[b->lane->index] : NULL;
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

bool
send_is_last(const struct batch *b)
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

uint64_t
send_place(const struct batch *b)
{
    return send_is_last(b)
               ? b->round->place
               : b->round->items[b->todo[b->at + b->chunk]].ev->seq;
}

/* Of a part too: what is sent again behind a crash begins where it ends. */
static struct weir_checkpoint
checkpoint_of(const struct batch *b)
{
    struct lane      *l = b->lane;
    const struct buf *data = &l->stored;

    if (send_is_last(b) || !l->d->keeps) {
        data = &b->round->checkpoint;
    } else if (keeps_parts(l->d)) {
        round_part(b->round, b->todo[b->at + b->chunk], &l->part);
        data = &l->part;
    }

    return (struct weir_checkpoint){
        .id = str_of(l->d->name),
        .slot = l->d->by_key ? l->index : 0,
        .epoch = l->d->epoch,
        .data = buf_view(data),
    };
}

/* write(), to the end of a PENDING one. */
static enum weir_status
call_write(struct batch *b, struct weir_err *err)
{
    struct lane *l = b->lane;

    b->nverdicts = 0;
    err->text[0] = '\0';
    arena_reset(&b->arena); /* of a try in vain, of which there may be many */
    batch_at_work(b, true);
    lane_enter(l);
    l->in.scratch = &b->arena;
    CRASH_POINT("deliver.write");
    enum weir_status st = l->d->module->write(l->in.self, &b->head.pub, err);
    instance_returned(&l->in, "write()");
    if (st == WEIR_PENDING) {
        st = wait_for_end(b, err);
    }
    CRASH_POINT("deliver.written");
    lane_leave(l);
    batch_at_work(b, false);
    return st;
}

/* By transaction, whether all before is committed. */
static bool
is_in_turn(const struct batch *b)
{
    struct deliverer *d = b->lane->d;

    pthread_mutex_lock(&d->lock);
    const bool in_turn = d->by_key || d->ring.low >= b->round->id;
    pthread_mutex_unlock(&d->lock);
    return in_turn;
}

static enum weir_status
hand_over(struct batch *b, struct weir_err *err)
{
    struct weir_batch *pub = &b->head.pub;

    pub->nevents = b->nsent;
    pub->events = b->events;
    pub->slots = b->slots;
    pub->flags = b->round->open || !send_is_last(b) ? WEIR_TXN_OPEN : 0;
    pub->checkpoint = checkpoint_of(b);
    b->in_turn = is_in_turn(b);
    if (b->nsent > 0) {
        show_batch(b);
    }
    return call_write(b, err);
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

bool
send_commit(struct batch *b)
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
        try_ends_lane(l, st == WEIR_FENCED || st == WEIR_FATAL ? st : WEIR_RETRY,
                    &err);
    }
    return st == WEIR_OK;
}

/* One try; with a verdict on any event, REJECT. */
static enum weir_status
send_now(struct batch *b, struct weir_err *err)
{
    struct lane     *l = b->lane;
    enum weir_status st = call_write(b, err);

    if (b->nverdicts && (st == WEIR_OK || st == WEIR_REJECT)) {
        st = weir_fail(err, b->verdicts[0].status, "%s",
                       b->verdicts[0].reason);
    }
    if (st == WEIR_OK && l->d->module->commit) {
        lane_enter(l);
        st = l->d->module->commit(l->in.self, &b->head.pub, err);
        lane_leave(l);
    }
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

/* ---- To the end */

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
    if (!try_permitted(b->lane) || !judge_held(b)) {
        return false;
    }
    if (b->ask) {
        return judge_ask(b);
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

    if (once && judge_any_held(b)) {
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
