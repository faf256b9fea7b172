/*
 * transaction.c - heads, commits and heartbeats: which transaction the rows are
 * of, whether the sink has it already, and where the stream stands behind it.
 */
#include "deliver/internal.h"

#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"

static struct weir_str
copied(struct arena *a, struct weir_str s)
{
    return s.len ? arena_str(a, s) : STR("");
}

static enum weir_status
take_head(struct deliverer *d, const struct frame *f, struct weir_err *err)
{
    struct reader p = reader_of(f->payload.data, f->payload.len);

    arena_reset(&d->txn_arena);
    struct weir_txn *txn = arena_alloc(&d->txn_arena, sizeof *txn);
    txn->offset = read_le(&p, 8);
    txn->commit_usec = (int64_t)read_le(&p, 8);
    txn->received_usec = (int64_t)read_le(&p, 8);
    txn->xid = read_le(&p, 8);
    txn->server_id = (uint32_t)read_le(&p, 4);
    txn->thread_id = (uint32_t)read_le(&p, 4);
    const uint64_t gtid_len = read_le(&p, 2);
    const uint64_t file_len = read_le(&p, 2);
    const uint64_t server_len = read_le(&p, 2);
    read_le(&p, 2);
    txn->gtid = copied(&d->txn_arena, read_str(&p, gtid_len));
    txn->file = copied(&d->txn_arena, read_str(&p, file_len));
    txn->server = copied(&d->txn_arena, read_str(&p, server_len));
    if (p.bad) {
        return weir_fail(err, WEIR_FATAL,
                         "relay: the transaction head at %llu is malformed",
                         (unsigned long long)f->offset);
    }
    d->txn = txn;
    d->round->txn = NULL;
    d->at.head = f->offset;
    return WEIR_OK;
}

/* Log files are numbered, and no numbers are used twice. */
static bool
is_before(struct weir_str a, uint64_t a_offset, struct weir_str b,
          uint64_t b_offset)
{
    if (a.len != b.len) {
        return a.len < b.len;
    }
    const int c = a.len ? memcmp(a.data, b.data, a.len) : 0;
    return c < 0 || (c == 0 && a_offset < b_offset);
}

bool
skip_has(const struct skip *s, const struct weir_txn *txn)
{
    if (!s->gtids) {
        return false;
    }
    return txn->gtid.len ? gtid_set_has(s->gtids, txn->gtid)
                         : is_before(txn->file, txn->offset,
                                     buf_view(&s->file), s->offset);
}

bool
skip_is_passed(const struct deliverer *d, const struct skip *s)
{
    return gtid_set_covers(d->at.gtids, s->gtids) &&
           !is_before(buf_view(&d->at.file), d->at.file_offset,
                      buf_view(&s->file), s->offset);
}

static void
skip_by_lanes(struct deliverer *d)
{
    for (uint32_t k = 0; k < d->nlanes; k++) {
        d->lanes[k].skips = skip_has(&d->lanes[k].skip, d->txn);
    }
}

/* What is read from its first segment on begins in the middle of one that is
 * longer than a segment. */
static enum weir_status
half_transaction(struct deliverer *d, struct weir_err *err)
{
    if (d->skip.gtids) {
        return weir_fail(
            err, WEIR_FATAL,
            "the relay begins in the middle of transaction %.*s (%.*s:%llu), "
            "which the sink does not have: what came before is not here.  Stop "
            "weir, empty %s/%s and start with adopt = on, so that it is read "
            "from the source again; or copy the tables anew",
            STR_ARG(d->txn->gtid), STR_ARG(d->txn->file),
            (unsigned long long)d->txn->offset, d->set.state,
            d->set.pipeline->name);
    }
    log_warn("the relay begins in the middle of transaction %.*s "
             "(%.*s:%llu), which is left out", STR_ARG(d->txn->gtid),
             STR_ARG(d->txn->file), (unsigned long long)d->txn->offset);
    d->skipping = true;
    return WEIR_OK;
}

enum weir_status
transaction_head(struct deliverer *d, const struct frame *f,
                  struct weir_err *err)
{
    const bool             goes_on = f->flags & FRAME_CONTINUED;
    const bool             half = goes_on && !d->txn && d->from_segment;
    const enum weir_status st = take_head(d, f, err);

    if (st != WEIR_OK || (goes_on && !half)) {
        return st;
    }
    d->txn_has_events = false;
    d->skipping = f->offset < d->skip_until;
    if (!d->skipping && f->offset >= d->skip_from) {
        d->skipping = skip_has(&d->skip, d->txn);
    }
    skip_by_lanes(d);
    if (half && !d->skipping) {
        return half_transaction(d, err);
    }
    d->catching_up &= d->skipping;
    return WEIR_OK;
}

/* One begun in the middle: its head stands before. */
enum weir_status
transaction_need(struct deliverer *d, uint64_t head, struct weir_err *err)
{
    struct arena a = { 0 };
    struct frame f;

    if (d->txn && d->at.head == head) {
        return WEIR_OK;
    }
    enum weir_status st = follower_read(d->follower, head, &a, &f, err);
    if (st == WEIR_OK) {
        st = take_head(d, &f, err);
    }
    arena_free(&a);
    return st;
}

const struct weir_txn *
transaction_of_round(struct deliverer *d)
{
    struct round *r = d->round;

    if (!r->txn) {
        struct weir_txn *txn = arena_copy(&r->arena, d->txn, sizeof *txn);
        txn->gtid = copied(&r->arena, txn->gtid);
        txn->file = copied(&r->arena, txn->file);
        txn->server = copied(&r->arena, txn->server);
        r->txn = txn;
    }
    return r->txn;
}

enum weir_status
transaction_end(struct deliverer *d, const struct frame *f,
                struct weir_err *err)
{
    struct reader p = reader_of(f->payload.data, f->payload.len);
    struct round *r = d->round;

    read_bytes(&p, 8); /* where the head is: below */
    const uint64_t offset = read_le(&p, 8);
    if (p.bad) {
        return weir_fail(err, WEIR_FATAL,
                         "relay: the commit at %llu is malformed",
                         (unsigned long long)f->offset);
    }
    const enum weir_status st = transaction_need(d, get_le64(f->payload.data), err);
    if (st != WEIR_OK) {
        return st;
    }
    if (d->txn_has_events && r->n) {
        r->items[r->n - 1].ev->flags |= WEIR_LAST_IN_TXN;
    }
    if (d->txn->gtid.len &&
        gtid_set_add(d->at.gtids, d->txn->gtid, err) != WEIR_OK) {
        return weir_wrap(err, WEIR_FATAL, "relay: commit at %llu",
                         (unsigned long long)f->offset);
    }
    d->at.file.len = 0;
    buf_str(&d->at.file, d->txn->file);
    d->at.file_offset = offset;
    d->at.commit_usec = d->txn->commit_usec;
    d->at.head = 0;
    d->txn = NULL;
    d->skipping = false;
    return WEIR_OK;
}

enum weir_status
transaction_heartbeat(struct deliverer *d, const struct frame *f,
               struct weir_err *err)
{
    struct reader p = reader_of(f->payload.data, f->payload.len);

    read_bytes(&p, 8);
    d->at.file_offset = read_le(&p, 8);
    const uint64_t        gtids_len = read_le(&p, 4);
    const uint64_t        file_len = read_le(&p, 4);
    const struct weir_str gtids = read_str(&p, gtids_len);
    const struct weir_str file = read_str(&p, file_len);
    if (p.bad || (gtids.len &&
                  gtid_set_add(d->at.gtids, gtids, err) != WEIR_OK)) {
        return weir_fail(err, WEIR_FATAL,
                         "relay: the heartbeat at %llu is malformed",
                         (unsigned long long)f->offset);
    }
    d->at.file.len = 0;
    buf_str(&d->at.file, file);
    return WEIR_OK;
}
