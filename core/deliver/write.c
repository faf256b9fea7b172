/*
 * write.c - a filled batch: its checkpoint made, handed to the sink, its outcome
 * judged, the place behind it kept.
 */
#include "deliver/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
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
batch_reset(struct deliverer *d)
{
    struct batch *b = &d->batch;

    for (size_t i = 0; i < b->nblocks; i++) {
        block_unref(&b->blocks[i]);
    }
    b->nblocks = 0;
    arena_reset(&b->arena);
    b->n = b->bytes = b->nverdicts = 0;
    b->done = false;
    d->batch_txn = NULL;
    views_trim(d);
    d->first = d->at.next;
    d->first_row = d->at.next_row;
}

void
batch_free(struct deliverer *d)
{
    struct batch *b = &d->batch;

    batch_reset(d);
    free(b->events);
    free(b->slots);
    free(b->views);
    free(b->blocks);
    free(b->verdicts);
    buf_free(&b->checkpoint);
    arena_free(&b->arena);
}

/* ---- Checkpoints */

static void
make_checkpoint(struct deliverer *d)
{
    struct buf gtids = { 0 };

    gtid_set_format(d->at.gtids, &gtids);
    struct progress p = {
        .epoch = d->epoch,
        .first = d->first,
        .first_row = d->first_row,
        .next = d->at.next,
        .next_row = d->at.next_row,
        .head = d->txn_has_events ? d->at.head : 0,
        .seq = d->seq,
        .gtid_set = buf_view(&gtids),
        .file = buf_view(&d->at.file),
        .file_offset = d->at.file_offset,
        .lanes = 1,
        .time_usec = clock_usec(),
        .host = str_of(d->host),
    };
    memcpy(p.pipeline_id, d->pipeline_id, sizeof p.pipeline_id);
    d->batch.checkpoint.len = 0;
    progress_format(&p, &d->batch.checkpoint);
    buf_free(&gtids);
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

enum weir_status
save_checkpoint(struct deliverer *d, struct weir_err *err)
{
    if (!d->unsaved) {
        return WEIR_OK;
    }
    const enum weir_status st =
        twoslot_write(d->local, buf_view(&d->stored), false, err);
    if (st != WEIR_OK) {
        return weir_wrap(err, st, "checkpoint");
    }
    d->unsaved = false;
    d->saved_at = clock_steady();
    d->saved_offset = d->at.next;
    return WEIR_OK;
}

/* ---- Writing */

static void
show_batch(struct deliverer *d)
{
    const struct batch      *b = &d->batch;
    const struct weir_event *ev = b->events[0];
    char                     text[512];

    const int n = snprintf(
        text, sizeof text, "%zu event%s from %.*s:%llu (%.*s), %.*s%s%.*s",
        b->n, b->n == 1 ? "" : "s", STR_ARG(ev->txn->file),
        (unsigned long long)ev->txn->offset, STR_ARG(ev->txn->gtid),
        STR_ARG(ev->table ? ev->table->schema : STR("")),
        ev->table ? "." : "", STR_ARG(ev->table ? ev->table->name : STR("")));
    page_set_text(d->set.page, PAGE_WRITING,
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

static enum weir_status
hand_over(struct deliverer *d, struct weir_err *err)
{
    const struct weir_module *m = d->sink.module;
    struct batch             *b = &d->batch;
    struct weir_batch        *pub = &b->head.pub;

    b->head.in = &d->sink;
    pub->nevents = b->n;
    pub->events = b->events;
    pub->slots = b->slots;
    pub->flags = d->at.head && d->txn_has_events ? WEIR_TXN_OPEN : 0;
    pub->checkpoint = (struct weir_checkpoint){
        .id = str_of(d->name),
        .slot = 0,
        .epoch = d->epoch,
        .data = buf_view(&b->checkpoint),
    };
    d->sink.scratch = &b->arena;
    err->text[0] = '\0';
    enum weir_status st = m->write(d->sink.self, pub, err);
    if (st == WEIR_PENDING) {
        st = wait_for_end(b, err);
    }
    if (st == WEIR_OK && m->commit && !(pub->flags & WEIR_TXN_OPEN)) {
        st = m->commit(d->sink.self, pub, err);
    }
    return st;
}

static enum weir_status
name_event(struct deliverer *d, size_t i, enum weir_status st,
           const char *reason, struct weir_err *err)
{
    const struct weir_event *ev = d->batch.events[i];

    return weir_fail(
        err, st, "%.*s.%.*s, row of version %llu, transaction %.*s at "
        "%.*s:%llu: %s",
        STR_ARG(ev->table ? ev->table->schema : STR("")),
        STR_ARG(ev->table ? ev->table->name : STR("")),
        (unsigned long long)ev->seq, STR_ARG(ev->txn->gtid),
        STR_ARG(ev->txn->file), (unsigned long long)ev->txn->offset, reason);
}

/* Single refusals decide for the batch: the worst of them, named. */
static enum weir_status
judge(struct deliverer *d, enum weir_status st, struct weir_err *err)
{
    const struct batch   *b = &d->batch;
    const struct verdict *worst = NULL;

    for (size_t i = 0; i < b->nverdicts; i++) {
        if (!worst || b->verdicts[i].status < worst->status) {
            worst = &b->verdicts[i];
        }
    }
    if ((st == WEIR_OK || st == WEIR_REJECT) && worst) {
        atomic_fetch_add(&d->set.page->rejects, b->nverdicts);
        return name_event(d, worst->event, worst->status, worst->reason, err);
    }
    if (st == WEIR_REJECT && b->n > 0) {
        const struct weir_err reason = *err;
        return b->n == 1 ? name_event(d, 0, st, reason.text, err)
                         : weir_fail(err, st, "one of %zu rows from "
                                     "transaction %.*s on: %s", b->n,
                                     STR_ARG(b->events[0]->txn->gtid),
                                     reason.text);
    }
    if (st == WEIR_OK || st == WEIR_RETRY || st == WEIR_REJECT ||
        st == WEIR_FATAL || st == WEIR_FENCED) {
        return st;
    }
    return weir_fail(err, WEIR_FATAL,
                     "module %s: write() gave %s, which is none of its "
                     "outcomes", d->sink.module->name, status_name(st));
}

static void
count(struct deliverer *d)
{
    struct worker_page *page = d->set.page;
    const struct batch *b = &d->batch;

    atomic_fetch_add_explicit(&page->batches, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&page->rows, b->n, memory_order_relaxed);
    atomic_fetch_add_explicit(&page->bytes, b->bytes, memory_order_relaxed);
    atomic_store_explicit(&page->relay_offset, d->at.next,
                          memory_order_relaxed);
    if (d->at.commit_usec) {
        const int64_t lag = clock_usec() - d->at.commit_usec;
        atomic_store_explicit(&page->commit_usec, d->at.commit_usec,
                              memory_order_relaxed);
        atomic_store_explicit(&page->lag_usec, lag > 0 ? lag : 0,
                              memory_order_relaxed);
    }
}

static void
show_position(struct deliverer *d)
{
    struct buf gtids = { 0 };

    gtid_set_format(d->at.gtids, &gtids);
    page_set_text(d->set.page, PAGE_GTID, buf_view(&gtids));
    page_set_text(d->set.page, PAGE_FILE, buf_view(&d->at.file));
    atomic_store(&d->set.page->file_offset, d->at.file_offset);
    buf_free(&gtids);
}

enum weir_status
write_batch(struct deliverer *d, struct weir_err *err)
{
    struct batch *b = &d->batch;

    if (b->n > 0) {
        d->seq = b->events[b->n - 1]->seq;
        show_batch(d);
    }
    make_checkpoint(d);
    enum weir_status st = judge(d, hand_over(d, err), err);
    if (st != WEIR_OK) {
        return st;
    }
    count(d);
    if (b->n > 0) {
        page_set_text(d->set.page, PAGE_WRITING, STR(""));
    }
    d->written_at = clock_steady();
    d->written_offset = d->at.next;
    if (d->sink.module->commit && (b->head.pub.flags & WEIR_TXN_OPEN)) {
        return WEIR_OK; /* the sink may still lose it: commit() comes later */
    }
    const struct buf before = d->stored;
    d->stored = b->checkpoint;
    b->checkpoint = before;
    d->moved = false;
    d->unsaved = true;
    if (checkpoint_due(d, d->saved_at, d->saved_offset)) {
        show_position(d);
        st = save_checkpoint(d, err);
    }
    return st;
}
