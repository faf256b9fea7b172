/*
 * judge.c - see try.h: what came of a batch that was sent.  What did not go is
 * left in its list to be sent again; what the sink will not have is handed to
 * the decoding thread, which alone knows the relay.
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

static void
note_refused(struct batch *b, size_t sent, const char *reason)
{
    if ((b->nrefused & (b->nrefused - 1)) == 0) { /* full: twice as many */
        b->refused = xrealloc(b->refused, (b->nrefused ? 2 * b->nrefused : 1) *
                                              sizeof *b->refused);
    }
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

/* The last verdict on each event: found once, as there may be many of both. */
static void
look_through_verdicts(struct batch *b)
{
    b->said_at = arena_array(&b->arena, b->nsent + 1, sizeof *b->said_at);
    for (size_t i = 0; i < b->nverdicts; i++) {
        b->said_at[b->verdicts[i].event] = i + 1;
    }
}

static const struct verdict *
verdict_on(const struct batch *b, size_t sent)
{
    const size_t at = b->nverdicts ? b->said_at[sent] : 0;

    return at ? &b->verdicts[at - 1] : NULL;
}

/* One that changes its key is of both. */
static void
touch_keys(struct batch *b, struct conflicts *keys, size_t which)
{
    struct item *item = &b->round->items[which];

    share_hash(&b->scratch, item);
    conflicts_touch(keys, item->hash, 1, 0);
    conflicts_touch(keys, item->to, 1, 0);
}

static bool
meets_keys(struct batch *b, const struct conflicts *keys, size_t which)
{
    struct item *item = &b->round->items[which];

    share_hash(&b->scratch, item);
    return conflicts_last(keys, item->hash) || conflicts_last(keys, item->to);
}

/* Of what was sent, those with a verdict RETRY and, so that the last word on a
 * key stays the last, those of their keys behind them, refused or not. */
static size_t
keep_for_retry(struct batch *b, uint32_t *again, struct weir_err *why)
{
    struct conflicts keys = { 0 };
    size_t           n = 0;

    for (size_t i = 0; i < b->nsent; i++) {
        const uint32_t        which = b->todo[b->at + i];
        const struct verdict *v = verdict_on(b, i);
        if (v && v->status == WEIR_RETRY) {
            snprintf(why->text, sizeof why->text, "%s", v->reason);
            touch_keys(b, &keys, which);
            again[n++] = which;
        } else if (n > 0 && meets_keys(b, &keys, which)) {
            touch_keys(b, &keys, which);
            again[n++] = which;
        }
    }
    conflicts_free(&keys);
    return n;
}

/* Of the key of one that is about to be parked, and written before that could be
 * said: kept behind it, so that a resume ends with the last word on that key. */
static bool
is_behind_parked(struct batch *b, const struct conflicts *parked, size_t which)
{
    return b->nrefused > 0 &&
           b->lane->d->set.sink->set.on_reject == CONF_REJECT_PARK &&
           meets_keys(b, parked, which);
}

/* What was sent and does not go again, in its order: refused, or done.  Gives
 * how many rows of it are done. */
static size_t
sort_out(struct batch *b, const uint32_t *again, size_t nagain, bool enough)
{
    struct conflicts parked = { 0 };
    size_t           done = 0, k = 0;

    for (size_t i = 0; i < b->nsent; i++) {
        const uint32_t     which = b->todo[b->at + i];
        const struct item *item = &b->round->items[which];
        if (k < nagain && again[k] == which) {
            k++;
            continue;
        }
        const struct verdict *v = verdict_on(b, i);
        if (v && (v->status == WEIR_REJECT || enough)) {
            note_refused(b, i, v->reason);
            touch_keys(b, &parked, which);
        } else if (is_behind_parked(b, &parked, which)) {
            note_refused(b, i, "its table is parked");
            touch_keys(b, &parked, which);
        } else {
            done += !item->half && item->ev->op < WEIR_SNAPSHOT_BEGIN;
        }
    }
    conflicts_free(&parked);
    return done;
}

static bool
too_many(const struct batch *b)
{
    const int64_t max = b->lane->d->set.sink->retry.max;

    return max > 0 && b->tries >= max;
}

static uint64_t
place_in(struct weir_str checkpoint)
{
    struct progress p;
    struct weir_err ignored;

    return progress_parse(checkpoint, &p, &ignored) == WEIR_OK
               ? p.next + p.next_row
               : 0;
}

/* By key, a sink does not store the checkpoint along with events that it has a
 * verdict on: it follows, behind what is put aside. */
static void
keep_stored(struct batch *b)
{
    struct lane            *l = b->lane;
    const struct deliverer *d = l->d;

    if (b->nverdicts && d->keeps && d->by_key) {
        return;
    }
    if (send_is_last(b)) {
        b->carried = true;
        l->acked = b->round->place;
        l->stored.len = 0;
        buf_str(&l->stored, buf_view(&b->round->checkpoint));
        atomic_store(&l->needed, round_needed(d, b->round));
    } else if (keeps_parts(d)) {
        l->acked = send_place(b);
        l->stored.len = 0;
        buf_str(&l->stored, buf_view(&l->part));
        atomic_store(&l->needed,
                     b->round->items[b->todo[b->at + b->chunk]].frame);
    } else if (l->acked == 0) {
        l->acked = place_in(buf_view(&l->stored));
    }
}

/* Written, but for events with a verdict. */
static bool
written(struct batch *b)
{
    uint32_t       *again = xcalloc(b->nsent + 1, sizeof *again);
    struct weir_err why = { "" };
    const bool      enough = too_many(b);

    look_through_verdicts(b);
    const size_t nagain =
        b->nverdicts && !enough ? keep_for_retry(b, again, &why) : 0;
    CRASH_POINT("deliver.judge");
    const size_t done = sort_out(b, again, nagain, enough);
    bool goes_on = refuse_noted(b) && (nagain || send_commit(b));
    if (goes_on) {
        b->napplied += done;
        keep_stored(b);
        b->at += b->nsent - nagain; /* so many were sent, or more */
        b->chunk = nagain ? nagain : b->n - b->at;
        if (nagain) {
            memcpy(&b->todo[b->at], again, nagain * sizeof *again);
        }
    }
    free(again);
    if (goes_on && nagain) {
        return try_back_off(b, nagain == b->nsent, &why);
    }
    if (goes_on) {
        try_went_well(b);
    }
    return goes_on;
}

static bool failed(struct batch *b, const struct weir_err *err);

/* A refusal that names no event: by halves, down to the one. */
static bool
refused_whole(struct batch *b, const struct weir_err *err)
{
    if (b->nsent == 0) {
        try_ends_lane(b->lane, WEIR_FATAL, err);
        return false;
    }
    try_went_well(b); /* it answers */
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

    look_through_verdicts(b);
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
    try_answered(b);
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

bool
judge_ask(struct batch *b)
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
        return try_back_off(b, true, &err);
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
    const uint64_t place =
        l->found.found ? place_in(buf_view(&l->found.blob)) : 0;
    const bool exact = send_is_last(b) || keeps_parts(d);
    if (st == WEIR_OK && place != l->acked &&
        place != (exact ? send_place(b) : b->round->place)) {
        st = weir_fail(&err, WEIR_RETRY, "what the sink has stored is not what "
                       "was written last: it goes on from there");
    }
    if (st != WEIR_OK) {
        try_ends_lane(l, st, &err);
        return false;
    }
    if (place != l->acked && exact && !d->set.sink->batching.resend) {
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
        try_ends_lane(b->lane, WEIR_FATAL, &why);
        return false;
    }
    if (!d->by_key) {
        try_ends_lane(b->lane, WEIR_RETRY, err); /* with all of its neighbours */
        return false;
    }
    b->ask = d->keeps;
    return try_back_off(b, true, err);
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
    try_ends_lane(b->lane, WEIR_RETRY, err);
    return false;
}

/* What a refused row met may be of a transaction that is not committed yet, and
 * may not be: in line it is asked again, and then the answer stands. */
static bool
again_in_line(struct batch *b, const struct weir_err *err)
{
    struct weir_err why;

    weir_fail(&why, WEIR_RETRY, "%.400s (beside transactions that are not "
              "committed yet: again, one after the other)",
              b->nverdicts ? b->verdicts[0].reason : err->text);
    return failed(b, &why);
}

/* True: go on with what is left. */
bool
judge(struct batch *b, enum weir_status st, struct weir_err *err)
{
    struct deliverer *d = b->lane->d;

    if (!b->in_turn && (st == WEIR_REJECT || (st == WEIR_OK && b->nverdicts))) {
        return again_in_line(b, err);
    }
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
    try_ends_lane(b->lane, st, err);
    return false;
}

bool
judge_any_held(const struct batch *b)
{
    bool any = false;

    for (size_t i = b->at; i < b->n && !any; i++) {
        const struct view *v = b->round->items[b->todo[i]].view;
        any = v && atomic_load_explicit(&v->held, memory_order_relaxed);
    }
    return any;
}

/* What waits for a table that is parked by now. */
bool
judge_held(struct batch *b)
{
    size_t kept = b->at;

    if (!judge_any_held(b)) {
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
