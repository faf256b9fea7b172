/*
 * fill.c - a round from frames: follows the relay frame by frame, hands rows and
 * statements on (row.c, ddl.c), and notes where the stream stands behind them.
 * A round ends where it is full, before and after DDL, and where nothing more is
 * published.
 */
#include "deliver/internal.h"


#include "base/bytes.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "relay/origin.h"

/* Of the relay in one go: so that who finds little that its sink wants still
 * shows itself, sees that it has to end, and moves its checkpoint. */
enum { READ_MOST = 4 << 20, MOST_BLOCKS = 16 };

/* ---- Room */

bool
fill_is_full(const struct deliverer *d)
{
    const struct weir_batching *limit = &d->set.sink->batching;
    const struct round         *r = d->round;
    const size_t                events = (size_t)limit->events;
    const size_t                bytes = (size_t)limit->bytes;
    const size_t                used = r->bytes + r->arena.used;

    if (r->nblocks >= MOST_BLOCKS) { /* for a row each, maybe */
        return true;
    }
    if (!d->by_key || d->nlanes == 1) {
        return r->n >= events || used >= bytes;
    }
    /* A batch for each lane, and of the window no more than a part. */
    const size_t part = (size_t)d->set.sink->set.window / 4;
    if (used >= bytes * d->nlanes || (used >= part && used >= bytes)) {
        return true;
    }
    bool full = false;
    for (uint32_t k = 0; k < d->nlanes && !full; k++) {
        full = r->lane_n[k] >= events || r->lane_bytes[k] >= bytes;
    }
    return full;
}

/* ---- Frames */

static enum weir_status
take_frame(struct deliverer *d, struct weir_err *err)
{
    const struct frame *f = &d->frame;
    enum weir_status    st = WEIR_OK;

    switch (f->type) {
    case FRAME_ROW:
        return row_take_frame(d, err);
    case FRAME_TXN_HEAD:
        st = transaction_head(d, f, err);
        break;
    case FRAME_TABLE:
        st = d->skipping ? WEIR_OK : view_note(d, f, err);
        break;
    case FRAME_COMMIT:
        st = transaction_end(d, f, err);
        break;
    case FRAME_HEARTBEAT:
        st = transaction_heartbeat(d, f, err);
        break;
    case FRAME_ROTATE:
        break;
    default:
        if (f->flags & FRAME_MUST) {
            st = weir_fail(err, WEIR_FATAL,
                           "relay: the frame at %llu is of type %d, which "
                           "this version does not know: a newer weir wrote it",
                           (unsigned long long)f->offset, (int)f->type);
        }
    }
    if (st == WEIR_OK) {
        d->at.next = f->next;
        d->at.next_row = 0;
    }
    return st;
}

/* DDL goes alone: before it what is there, behind it what comes.  One that the
 * sink does not want ends nothing: in the middle of a transaction, more events
 * have to follow. */
static enum weir_status
take_ddl(struct deliverer *d, bool *ends, struct weir_err *err)
{
    const struct arena mark = d->round->arena;
    const size_t       had = d->round->n;
    const bool         first = !d->txn_has_events;
    bool               added = false;
    enum weir_status   st = WEIR_OK;

    if (!d->skipping) {
        d->frame_block = follower_block(d->follower);
        block_ref(d->frame_block);
        d->frame_table = 0;
        st = transaction_need(d, get_le64(d->frame.payload.data), err);
        if (st == WEIR_OK) {
            st = fill_ddl(d, &d->frame, &added, err);
        }
        row_leave_frame(d);
        if (st == WEIR_DROP && d->quiet_first) {
            *ends = true;
            arena_rewind(&d->round->arena, &mark);
            return follower_seek(d->follower, d->frame.offset, err);
        }
        added = added && share_alone(d);
        if (!added) {
            arena_rewind(&d->round->arena, &mark);
        }
    }
    *ends = added;
    if (st == WEIR_OK && added && had > 0) {
        round_cut(d->round, had); /* it is the next one's */
        d->txn_has_events = !first;
        return follower_seek(d->follower, d->frame.offset, err);
    }
    if (st == WEIR_OK) {
        d->at.next = d->frame.next;
        d->at.next_row = 0;
        d->round->alone = added;
    }
    return st;
}

static enum weir_status
check_seq(struct deliverer *d, struct weir_err *err)
{
    if (d->frame.offset > d->seq_floor || d->skipping) {
        return WEIR_OK;
    }
    return weir_fail(
        err, WEIR_FATAL,
        "the sink has rows of version %llu, and the relay is at %llu only: "
        "the clock of this machine went back since.  Set it right, empty the "
        "state directory, and start again with adopt = on",
        (unsigned long long)d->seq_floor,
        (unsigned long long)d->frame.offset);
}

/* A segment begins where the one before it ended, or something is missing. */
static enum weir_status
check_continuity(const struct deliverer *d, const struct origin *o,
                 struct weir_err *err)
{
    struct gtid_set *before = gtid_set_new();
    struct weir_err  ignored;

    const bool whole =
        o->gtid_set.len == 0 ||
        gtid_set_add(before, o->gtid_set, &ignored) != WEIR_OK ||
        gtid_set_covers(d->at.gtids, before);
    gtid_set_free(&before);
    return whole ? WEIR_OK
                 : weir_fail(err, WEIR_FATAL,
                             "the relay goes on behind %.*s, and what was read "
                             "of it ends earlier: transactions between are "
                             "missing.  Copy the tables anew, or stop weir, "
                             "empty %s/%s and start with adopt = on",
                             STR_ARG(o->gtid_set), d->set.state,
                             d->set.pipeline->name);
}

static enum weir_status
enter_segment(struct deliverer *d, struct weir_err *err)
{
    struct arena  a = { 0 };
    struct origin o;

    d->segment = follower_segment(d->follower);
    views_new_segment(d);
    enum weir_status st =
        origin_parse(&a, follower_origin(d->follower), &o, err);
    const char *lacks =
        st == WEIR_OK ? origin_lacks(&o, d->set.sink->set.tables) : NULL;
    if (lacks) { /* a table that this sink was given later */
        log_warn("the relay did not keep %s in what is read now (from "
                 "%.*s:%llu on): changes of then are not here", lacks,
                 STR_ARG(o.file), (unsigned long long)o.file_offset);
    }
    if (st == WEIR_OK) {
        st = check_continuity(d, &o, err);
    }
    arena_free(&a);
    return st == WEIR_OK ? st : weir_wrap(err, WEIR_FATAL, "relay");
}

static enum weir_status
next_frame(struct deliverer *d, struct weir_err *err)
{
    CRASH_POINT("deliver.follow");
    const enum weir_status st = follower_next(d->follower, &d->frame, err);

    if (st == WEIR_OK && follower_segment(d->follower) != d->segment) {
        return enter_segment(d, err);
    }
    return st == WEIR_REJECT ? WEIR_RETRY : st; /* gone: a start looks why */
}

/* Between frames: enough for now.  Where events of a transaction were given,
 * its last one has to be known as such. */
static bool
is_enough(struct deliverer *d, uint64_t began)
{
    if (d->at.next - began >= READ_MOST) {
        deliver_beat(d);
        const bool begun = d->at.head != 0 && d->txn_has_events;
        return !begun && (d->round->n == 0 || (d->at.head == 0 &&
                                               has_waited(d)));
    }
    return d->at.head == 0 && fill_is_full(d);
}

enum weir_status
fill_pass(struct deliverer *d, uint64_t to, struct weir_err *err)
{
    while (follower_offset(d->follower) < to) {
        enum weir_status st = next_frame(d, err);
        if (st == WEIR_OK && d->frame.type != FRAME_DDL) {
            st = take_frame(d, err);
        }
        if (st != WEIR_OK) {
            return st == WEIR_DROP
                       ? weir_fail(err, WEIR_REJECT, "the relay ends before "
                                   "%llu", (unsigned long long)to)
                       : st;
        }
        if (d->in_frame || d->frame.next > to) {
            row_leave_frame(d);
            return weir_fail(err, WEIR_REJECT,
                             "no transaction begins at %llu",
                             (unsigned long long)to);
        }
    }
    return WEIR_OK;
}

enum weir_status
fill(struct deliverer *d, bool *idle, struct weir_err *err)
{
    const enum weir_share share = d->set.sink->batching.share;
    const uint64_t        began = d->at.next;
    bool                  full = false, ends = false;

    *idle = false;
    while (!full && !ends) {
        enum weir_status st = WEIR_OK;
        if (!d->in_frame) {
            if (is_enough(d, began)) {
                break;
            }
            st = next_frame(d, err);
            if (st == WEIR_DROP) {
                *idle = true;
                d->catching_up = false;
                return WEIR_OK;
            }
            if (st == WEIR_OK && d->frame.type == FRAME_DDL) {
                st = check_seq(d, err);
                st = st == WEIR_OK && d->frame.payload.len < 16
                         ? weir_fail(err, WEIR_FATAL, "relay: short frame")
                         : st;
                st = st == WEIR_OK ? take_ddl(d, &ends, err) : st;
            } else if (st == WEIR_OK) {
                st = d->frame.type == FRAME_ROW ? check_seq(d, err) : WEIR_OK;
                st = st == WEIR_OK ? take_frame(d, err) : st;
                ends = (d->frame.type == FRAME_COMMIT && d->round->n > 0 &&
                        share == WEIR_KEEP_TXN) || d->quiet_first;
            }
        }
        if (st == WEIR_OK && d->in_frame) {
            st = row_walk_frame(d, &full, err);
        }
        if (st != WEIR_OK) {
            return st;
        }
        d->moved = true;
    }
    return WEIR_OK;
}
