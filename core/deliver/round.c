/*
 * round.c - rounds and batches: what was decoded in one go, and its parts, one
 * for each lane.  Both are used again and again; what they hold (memory, blocks
 * of the relay) is let go by the decoding thread only.
 */
#include "deliver/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/str.h"

enum { FIRST_ITEMS = 256, BIG_ARENA = 4 << 20 };

struct round *
round_new(struct deliverer *d)
{
    struct round *r = d->spare_rounds;

    if (r) {
        d->spare_rounds = r->next;
    } else {
        r = xcalloc(1, sizeof *r);
    }
    round_reset(d, r);
    return r;
}

void
round_reset(struct deliverer *d, struct round *r)
{
    for (size_t i = 0; i < r->nblocks; i++) {
        block_unref(&r->blocks[i]);
    }
    r->nblocks = 0;
    if (r->arena.used > BIG_ARENA) {
        arena_free(&r->arena);
    }
    arena_reset(&r->arena);
    r->n = r->bytes = r->held = 0;
    memset(r->lane_n, 0, sizeof r->lane_n);
    memset(r->lane_bytes, 0, sizeof r->lane_bytes);
    r->txn = NULL;
    r->alone = r->open = false;
    r->nread = r->nfiltered = r->napplied = r->left = 0;
    r->refused = (struct refused_counts){ 0 };
    r->batches = NULL;
    r->next = NULL;
    r->id = 0;
    r->first = d->at.next;
    r->first_row = d->at.next_row;
}

struct item *
round_add(struct round *r)
{
    if (r->n == r->room) {
        r->room = r->room ? r->room * 2 : FIRST_ITEMS;
        r->items = xrealloc(r->items, r->room * sizeof *r->items);
    }
    struct item *item = &r->items[r->n++];
    *item = (struct item){ 0 };
    return item;
}

void
round_cut(struct round *r, size_t n)
{
    for (size_t i = n; i < r->n; i++) {
        if (r->lane_n[r->items[i].lane]) {
            r->lane_n[r->items[i].lane]--;
        }
    }
    r->n = n;
}

void
round_hold(struct round *r, struct block *block)
{
    if (r->nblocks && r->blocks[r->nblocks - 1] == block) {
        return;
    }
    if (r->nblocks == r->blocks_room) {
        r->blocks_room = r->blocks_room ? r->blocks_room * 2 : 8;
        r->blocks = xrealloc(r->blocks, r->blocks_room * sizeof *r->blocks);
    }
    block_ref(block);
    r->blocks[r->nblocks++] = block;
}

/* ---- Batches */

struct batch *
batch_new(struct deliverer *d, struct lane *l, struct round *r)
{
    struct batch *b = d->spare_batches;

    if (b) {
        d->spare_batches = b->next;
    } else {
        b = xcalloc(1, sizeof *b);
        pthread_mutex_init(&b->lock, NULL);
        pthread_cond_init(&b->ended, NULL);
    }
    b->lane = l;
    b->round = r;
    b->head.in = &l->in;
    b->next = NULL;
    b->n = b->at = b->chunk = b->napplied = b->nsent = 0;
    b->nverdicts = b->nrefused = b->refused_at = 0;
    b->after = 0;
    b->tries = 0;
    b->carried = b->done = b->ask = b->tried = b->one_by_one = false;
    b->sibling = r->batches;
    r->batches = b;
    return b;
}

static void
batch_recycle(struct deliverer *d, struct batch *b)
{
    if (b->arena.used > BIG_ARENA) {
        arena_free(&b->arena);
    }
    arena_reset(&b->arena);
    b->next = d->spare_batches;
    d->spare_batches = b;
}

static void
batch_free(struct batch *b)
{
    arena_free(&b->arena);
    buf_free(&b->scratch);
    free(b->todo);
    free(b->events);
    free(b->slots);
    free(b->verdicts);
    free(b->refused);
    pthread_mutex_destroy(&b->lock);
    pthread_cond_destroy(&b->ended);
    free(b);
}

void
round_release(struct deliverer *d, struct round **rp)
{
    struct round *r = *rp;

    *rp = NULL;
    if (!r) {
        return;
    }
    while (r->batches) {
        struct batch *b = r->batches;
        r->batches = b->sibling;
        batch_recycle(d, b);
    }
    round_reset(d, r);
    r->next = d->spare_rounds;
    d->spare_rounds = r;
}

void
rounds_free(struct deliverer *d)
{
    round_release(d, &d->round);
    while (d->spare_rounds) {
        struct round *r = d->spare_rounds;
        d->spare_rounds = r->next;
        arena_free(&r->arena);
        free(r->items);
        free(r->blocks);
        buf_free(&r->gtids);
        buf_free(&r->checkpoint);
        free(r);
    }
    while (d->spare_batches) {
        struct batch *b = d->spare_batches;
        d->spare_batches = b->next;
        batch_free(b);
    }
}

/* ---- Checkpoints */

bool
keeps_parts(const struct deliverer *d)
{
    return d->keeps && d->by_key && !d->set.sink->batching.resend;
}

uint64_t
round_needed(const struct deliverer *d, const struct round *r)
{
    return d->set.sink->batching.resend ? r->first : r->next_offset;
}

/* GTIDs of the round's transactions before the item's.  Those that had nothing
 * for this sink are left out: they are read once more if the relay is lost. */
static void
gtids_before(const struct round *r, size_t i, struct buf *out)
{
    struct gtid_set *set = gtid_set_new();
    struct weir_err  ignored;
    uint64_t         head = 0;

    if (r->gtids.len) {
        (void)gtid_set_add(set, buf_view(&r->gtids), &ignored);
    }
    for (size_t k = 0; k < i && r->items[k].head < r->items[i].head; k++) {
        const struct weir_txn *txn = r->items[k].ev->txn;
        if (r->items[k].head != head && txn->gtid.len) {
            (void)gtid_set_add(set, txn->gtid, &ignored);
        }
        head = r->items[k].head;
    }
    gtid_set_format(set, out);
    gtid_set_free(&set);
}

void
round_part(const struct round *r, size_t i, struct buf *out)
{
    const struct item       *item = &r->items[i];
    const struct weir_event *ev = item->ev;
    struct buf               gtids = { 0 };
    struct progress          p;
    struct weir_err          err;

    const enum weir_status st =
        progress_parse(buf_view(&r->checkpoint), &p, &err);
    assert(st == WEIR_OK); /* it is our own */
    gtids_before(r, i, &gtids);
    p.next = item->frame;
    p.next_row = (uint32_t)(ev->seq - item->frame);
    p.head = ev->flags & WEIR_FIRST_IN_TXN ? 0 : item->head;
    p.gtid_set = buf_view(&gtids);
    p.file = ev->txn->file;
    p.file_offset = ev->txn->offset;
    out->len = 0;
    progress_format(&p, out);
    buf_free(&gtids);
}

void
round_close(struct deliverer *d, struct round *r)
{
    struct buf gtids = { 0 };

    if (r->n > 0 && r->items[r->n - 1].ev->seq > d->seq) {
        d->seq = r->items[r->n - 1].ev->seq;
    }
    r->open = d->at.head && d->txn_has_events;
    r->next_offset = d->at.next;
    r->place = d->at.next + d->at.next_row;
    r->commit_usec = d->at.commit_usec;
    gtid_set_format(d->at.gtids, &gtids);
    struct progress p = {
        .epoch = d->epoch,
        .first = r->first,
        .first_row = r->first_row,
        .next = d->at.next,
        .next_row = d->at.next_row,
        .head = d->txn_has_events ? d->at.head : 0,
        .seq = d->seq,
        .gtid_set = buf_view(&gtids),
        .file = buf_view(&d->at.file),
        .file_offset = d->at.file_offset,
        .gtid_from = d->gtids_from > d->at.next ? d->gtids_from : 0,
        .lanes = d->by_key ? d->nlanes : 1,
        .time_usec = clock_usec(),
        .host = str_of(d->host),
    };
    memcpy(p.pipeline_id, d->pipeline_id, sizeof p.pipeline_id);
    r->checkpoint.len = 0;
    progress_format(&p, &r->checkpoint);
    buf_free(&gtids);
}
