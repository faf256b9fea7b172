/*
 * write.c - rounds: when what was decoded is given to the lanes, and what is
 * kept when they are done with it: the checkpoint here, and the counts that a
 * worker shows.
 */
#include "deliver/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"

enum { SECOND = 1000000 };

void
place_free(struct place *p)
{
    gtid_set_free(&p->gtids);
    buf_free(&p->file);
}

void
skip_free(struct skip *s)
{
    gtid_set_free(&s->gtids);
    buf_free(&s->file);
    s->offset = 0;
}

bool
checkpoint_due(const struct deliverer *d, int64_t then, uint64_t offset_then)
{
    const uint64_t most = (uint64_t)d->set.pipeline->relay.size / 16;

    return d->at.next - offset_then > most || clock_steady() - then >= SECOND;
}

bool
has_waited(const struct deliverer *d)
{
    const int64_t wait = d->set.sink->batching.wait_ms * 1000;

    return wait == 0 || clock_steady() - d->written_at >= wait;
}

/* The relay is kept from `first` on.  What a lane has of its own may begin
 * before the last round: where nothing of that was for it. */
static enum weir_status
hold_for_lanes(struct deliverer *d, struct weir_err *err)
{
    uint64_t        needed = UINT64_MAX;
    struct progress p;
    struct buf      text = { 0 };

    for (uint32_t k = 0; d->keeps && d->by_key && k < d->nlanes; k++) {
        const uint64_t one = atomic_load(&d->lanes[k].needed);
        needed = one && one < needed ? one : needed;
    }
    const enum weir_status st = progress_parse(buf_view(&d->stored), &p, err);
    if (st != WEIR_OK || needed >= p.first) {
        return st;
    }
    p.first = needed;
    p.first_row = 0;
    progress_format(&p, &text);
    buf_free(&d->stored);
    d->stored = text;
    return WEIR_OK;
}

enum weir_status
save_checkpoint(struct deliverer *d, struct weir_err *err)
{
    if (!d->unsaved) {
        return WEIR_OK;
    }
    enum weir_status st = hold_for_lanes(d, err);
    if (st == WEIR_OK) {
        st = twoslot_write(d->local, buf_view(&d->stored), false, err);
    }
    if (st != WEIR_OK) {
        return weir_wrap(err, st, "checkpoint");
    }
    d->unsaved = false;
    d->saved_at = clock_steady();
    d->saved_offset = d->stored_offset;
    return WEIR_OK;
}

/* ---- Done */

static void
count(struct deliverer *d, const struct round *r)
{
    struct worker_page *page = d->set.page;

    for (const struct batch *b = r->batches; b; b = b->sibling) {
        atomic_fetch_add_explicit(&page->batches, 1, memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&page->rows_read, r->nread,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&page->rows_filtered, r->nfiltered,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&page->rows, r->napplied, memory_order_relaxed);
    atomic_fetch_add_explicit(&page->rows_parked, r->refused.parked,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&page->rows_dead, r->refused.dead,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&page->rows_skipped, r->refused.skipped,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&page->bytes, r->bytes, memory_order_relaxed);
    atomic_store_explicit(&page->relay_offset, r->next_offset,
                          memory_order_relaxed);
    if (r->commit_usec) {
        const int64_t lag = clock_usec() - r->commit_usec;
        atomic_store_explicit(&page->commit_usec, r->commit_usec,
                              memory_order_relaxed);
        atomic_store_explicit(&page->lag_usec, lag > 0 ? lag : 0,
                              memory_order_relaxed);
    }
}

static void
show_position(struct deliverer *d)
{
    struct progress p;
    struct weir_err ignored;

    if (progress_parse(buf_view(&d->stored), &p, &ignored) == WEIR_OK) {
        page_set_text(d->set.page, PAGE_GTID, p.gtid_set);
        page_set_text(d->set.page, PAGE_FILE, p.file);
        atomic_store(&d->set.page->file_offset, p.file_offset);
    }
}

static void
try_to_save(struct deliverer *d)
{
    struct weir_err err;

    if (save_checkpoint(d, &err) == WEIR_OK) {
        d->unsaved_why.text[0] = '\0';
        return;
    }
    d->saved_at = clock_steady();
    weir_fail(&d->unsaved_why, WEIR_RETRY, "%.400s; %s", err.text,
              d->keeps ? "the sink has its own and goes on, but the relay "
                         "can't let go of what is done"
                       : "nothing more is written until it can be");
    log_warn("%s", d->unsaved_why.text);
}

void
write_done(struct deliverer *d, struct round *r)
{
    CRASH_POINT("deliver.done");
    count(d, r);
    if (r->n > 0 && !d->oldest) {
        page_set_text(d->set.page, PAGE_WRITING, STR(""));
    }
    if (d->module->commit && !d->by_key && r->open) {
        return; /* the sink may still lose it: commit() comes later */
    }
    const struct buf before = d->stored;
    d->stored = r->checkpoint;
    r->checkpoint = before;
    d->stored_offset = r->next_offset;
    d->unsaved = true;
    /* One without events is there to store a place. */
    if (r->n == 0 ||
        r->next_offset - d->saved_offset >
            (uint64_t)d->set.pipeline->relay.size / 16 ||
        clock_steady() - d->saved_at >= SECOND) {
        show_position(d);
        try_to_save(d);
    }
}

bool
write_is_held(struct deliverer *d)
{
    if (d->unsaved_why.text[0] && clock_steady() - d->saved_at >= SECOND) {
        try_to_save(d);
    }
    return d->unsaved_why.text[0] && !d->keeps;
}

/* ---- Given */

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

static enum weir_status
hold(struct deliverer *d)
{
    d->held_up = true;
    return WEIR_DROP;
}

/* Nothing in it for anybody: only the place moves, now and then. */
static enum weir_status
pass_on(struct deliverer *d, bool idle)
{
    show_caught_up(d, idle && lanes_quiet(d));
    const uint64_t nread = d->round->nread, nfiltered = d->round->nfiltered;
    const struct refused_counts refused = d->round->refused;
    round_reset(d, d->round);
    d->round->nread = nread;
    d->round->nfiltered = nfiltered;
    d->round->refused = refused;
    return idle ? WEIR_DROP : WEIR_OK;
}

/* A lane was at work and has nothing of an empty round: its place is stored a
 * while later, or the relay would be kept for it for as long as nothing comes. */
static bool
lanes_lag(const struct deliverer *d, const struct round *r)
{
    bool lag = false;

    for (uint32_t k = 0; d->keeps && d->by_key && k < d->nlanes; k++) {
        const struct lane *l = &d->lanes[k];
        lag = lag || (l->written < r->place && r->place >= l->has &&
                      !l->skip.gtids);
    }
    return lag;
}

static void
give(struct deliverer *d)
{
    struct round *r = d->round;

    round_close(d, r);
    share_round(d, r);
    CRASH_POINT("deliver.give");
    const bool more =
        follower_offset(d->follower) < follower_published(d->follower);
    const bool here = d->nlanes == 1 && lanes_quiet(d) &&
                      (!more || r->n == 0 || r->alone);
    d->moved = lanes_lag(d, r);
    d->round = round_new(d);
    d->written_at = clock_steady();
    d->written_offset = d->at.next;
    if (r->alone && d->nlanes > 1) {
        d->quiet_first = d->settle_next = true;
    }
    lanes_give(d, r, here);
}

enum weir_status
write_round(struct deliverer *d, bool idle, struct weir_err *err)
{
    struct round *r = d->round;
    const bool    quiet = r->n == 0;
    const bool    must = d->ready || d->quiet_first || d->failed != WEIR_OK;

    /* A checkpoint among transactions that are left out would forget that. */
    if (quiet && (!d->moved || d->catching_up ||
                  !checkpoint_due(d, d->written_at, d->written_offset))) {
        return pass_on(d, idle);
    }
    if (idle && !quiet && !must) {
        if (!has_waited(d)) {
            return WEIR_DROP;
        }
        if (lanes_busy(d, r)) { /* it fills meanwhile */
            return hold(d);
        }
    }
    if (r->alone && !lanes_quiet(d)) {
        d->ready = true;
        return hold(d);
    }
    d->ready = false;
    enum weir_status st = refuse_settle(d, err);
    if (st != WEIR_OK) {
        return st;
    }
    give(d);
    st = lanes_attend(d, err);
    if (st != WEIR_OK) {
        return st;
    }
    show_caught_up(d, idle && lanes_quiet(d));
    return idle ? WEIR_DROP : WEIR_OK;
}

/* ---- All lanes at one place */

static enum weir_status
store_slot(struct lane *l, const struct round *r, struct weir_err *err)
{
    struct deliverer *d = l->d;
    struct batch     *b = batch_new(d, l, d->round);

    b->head.pub = (struct weir_batch){
        .checkpoint = { .id = str_of(d->name),
                        .slot = d->by_key ? l->index : 0,
                        .epoch = d->epoch,
                        .data = buf_view(&r->checkpoint) },
    };
    d->round->batches = b->sibling;
    enum weir_status st = send_empty(b, err);
    if (st == WEIR_OK) {
        l->acked = l->written = r->place;
        atomic_store(&l->needed, round_needed(d, r));
        l->written_at = clock_steady();
        l->stored.len = 0;
        buf_str(&l->stored, buf_view(&r->checkpoint));
    }
    b->next = d->spare_batches;
    d->spare_batches = b;
    return st;
}

enum weir_status
write_settle(struct deliverer *d, struct weir_err *err)
{
    const uint32_t   n = d->by_key ? d->nlanes : 1;
    enum weir_status st = refuse_settle(d, err);

    d->round->first = d->at.next;
    d->round->first_row = d->at.next_row;
    round_close(d, d->round);
    for (uint32_t k = n; st == WEIR_OK && k-- > 0;) {
        st = store_slot(&d->lanes[k], d->round, err);
    }
    if (st != WEIR_OK) {
        return st;
    }
    d->stored.len = 0;
    buf_str(&d->stored, buf_view(&d->round->checkpoint));
    d->stored_offset = d->at.next;
    d->moved = false;
    d->unsaved = true;
    d->settle_next = false;
    d->written_at = clock_steady();
    d->written_offset = d->at.next;
    return WEIR_OK;
}
