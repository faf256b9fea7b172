/*
 * fill.c - frames to events: decodes the rows of a batch, takes them through
 * the steps of their view, and notes where the stream stands behind them.  A
 * batch ends where it is full, before and after DDL, and where nothing more is
 * published.
 */
#include "deliver/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "relay/origin.h"

/* Of the relay in one go: so that who finds little that its sink wants still
 * shows itself, sees that it has to end, and moves its checkpoint. */
enum { READ_MOST = 4 << 20, MOST_BLOCKS = 16 };

/* ---- Room */

static bool
is_full(const struct deliverer *d)
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

/* ---- Rows */

struct weir_event *
fill_add(struct deliverer *d, struct view *v, const struct frame *f)
{
    struct round      *r = d->round;
    struct weir_event *ev = arena_alloc(&r->arena, sizeof *ev);

    round_hold(r, d->frame_block);
    ev->seq = f->offset;
    ev->txn = transaction_of_round(d);
    ev->table = v && !v->refused ? v->out : NULL;
    if (!d->txn_has_events) {
        ev->flags |= WEIR_FIRST_IN_TXN;
    }
    d->txn_has_events = true;
    if (r->n == 0 && keeps_parts(d)) {
        r->gtids.len = 0;
        gtid_set_format(d->at.gtids, &r->gtids);
    }
    struct item *item = round_add(r);
    item->ev = ev;
    item->view = v;
    item->frame = f->offset;
    item->head = d->at.head;
    item->table = d->frame_table;
    return ev;
}

static bool
same_value(const struct weir_value *a, const struct weir_value *b)
{
    if (a->type != b->type) {
        return a->type == WEIR_ABSENT || b->type == WEIR_ABSENT;
    }
    switch (a->type) {
    case WEIR_ABSENT:
    case WEIR_NULL:
        return true;
    case WEIR_INT:
    case WEIR_UINT:
        return a->u == b->u;
    case WEIR_DOUBLE:
        return memcmp(&a->d, &b->d, sizeof a->d) == 0;
    case WEIR_DECIMAL:
    case WEIR_TEXT:
    case WEIR_BYTES:
    case WEIR_JSON:
        return str_eq(a->s, b->s);
    default:
        return a->t.year == b->t.year && a->t.month == b->t.month &&
               a->t.day == b->t.day && a->t.hour == b->t.hour &&
               a->t.minute == b->t.minute && a->t.second == b->t.second &&
               a->t.usec == b->t.usec && a->t.negative == b->t.negative;
    }
}

static bool
key_changed(const struct weir_event *ev)
{
    const struct weir_table *t = ev->table;

    if (ev->op != WEIR_UPDATE) {
        return false;
    }
    for (uint32_t k = 0; k < t->nkey; k++) {
        if (!same_value(&ev->before[t->key[k]], &ev->after[t->key[k]])) {
            return true;
        }
    }
    return false;
}

static struct weir_value *
gather(const struct step *s, const struct weir_value *in, struct arena *a)
{
    if (!in) {
        return NULL;
    }
    const uint32_t     n = s->to->ncolumns;
    struct weir_value *out = arena_alloc(a, (n + 1) * sizeof *out);
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t of = s->of ? s->of[i] : i;
        if (of != UINT32_MAX) {
            out[i] = in[of];
        }
    }
    return out;
}

/* An event through filters and transforms; DROP: left out. */
enum weir_status
fill_steps(struct deliverer *d, const struct view *v, struct weir_event *ev,
           struct weir_err *err)
{
    for (size_t i = 0; i < v->nsteps; i++) {
        const struct step        *s = &v->steps[i];
        const struct weir_module *m = s->in->module;
        enum weir_status          st = WEIR_OK;
        ev->table = s->from;
        s->in->scratch = &d->round->arena;
        if (m->stage == WEIR_FILTER && m->filter) {
            st = m->filter(s->in->self, s->slot, ev, err);
        } else if (m->stage == WEIR_TRANSFORM && (s->of || m->transform)) {
            struct weir_value *before =
                gather(s, ev->before, &d->round->arena);
            struct weir_value *after = gather(s, ev->after, &d->round->arena);
            if (m->transform) {
                st = m->transform(s->in->self, s->slot, ev, before, after,
                                  err);
            }
            ev->before = before;
            ev->after = after;
        }
        if (st != WEIR_OK) {
            return st == WEIR_DROP ? st
                                   : weir_wrap(err, st, "%s %s", m->name,
                                               s->in->name);
        }
    }
    ev->table = v->out;
    return WEIR_OK;
}

void
fill_finish(struct weir_event *made, const struct weir_event *ev)
{
    const uint32_t flags = made->flags;

    *made = *ev;
    made->flags = flags | (key_changed(ev) ? WEIR_KEY_CHANGED : 0);
}

static enum weir_status
row_failed(const struct deliverer *d, const struct view *v,
           enum weir_status st, struct weir_err *err)
{
    const struct weir_table *t = &v->table->pub;

    return weir_wrap(err, st == WEIR_RETRY ? WEIR_RETRY : st,
                     "row %u of the event that ends at %.*s:%llu (%.*s), "
                     "table %.*s.%.*s", d->rows.index + 1,
                     STR_ARG(d->txn->file),
                     (unsigned long long)get_le64(d->frame.payload.data + 16),
                     STR_ARG(d->txn->gtid), STR_ARG(t->schema),
                     STR_ARG(t->name));
}

/* The next row of the frame, as an event.  DROP: the frame has no more; OK
 * with *added false: a filter left it out. */
static enum weir_status
next_row(struct deliverer *d, bool *added, struct weir_err *err)
{
    struct view             *v = d->frame_view;
    const struct weir_table *t = &v->table->pub;
    struct arena            *a = &d->round->arena;
    const size_t             size = (t->ncolumns + 1) * sizeof(struct weir_value);
    const enum weir_op       op = d->rows.op;
    const uint8_t           *row = d->rows.p;

    *added = false;
    struct weir_value *before =
        op != WEIR_INSERT ? arena_take(a, size) : NULL;
    struct weir_value *after = op != WEIR_DELETE ? arena_take(a, size) : NULL;
    enum weir_status   st =
        binlog_rows_next(&d->rows, v->columns, before, after, a, err);
    if (st == WEIR_DROP) {
        return st;
    }
    struct weir_event ev = { .op = op,
                             .seq = d->frame.offset + d->rows.index,
                             .before = before,
                             .after = after };
    if (st == WEIR_OK) {
        ev.txn = transaction_of_round(d);
        st = fill_steps(d, v, &ev, err);
    }
    if (st == WEIR_DROP) {
        d->round->nread++;
        d->round->nfiltered++;
        return WEIR_OK;
    }
    if (st != WEIR_OK) {
        return row_failed(d, v, st, err);
    }
    fill_finish(fill_add(d, v, &d->frame), &ev);
    const size_t bytes = (size_t)(d->rows.p - row) + sizeof ev;
    *added = share_item(d, d->round->n - 1, bytes);
    d->round->nread += *added;
    return WEIR_OK;
}

/* Back to before a row: it is the next round's. */
static void
take_back(struct deliverer *d, const struct binlog_rows *saved, size_t had,
          bool had_events)
{
    d->rows = *saved;
    d->round->nread -= d->round->n > had;
    round_cut(d->round, had);
    d->txn_has_events = had_events;
}

/* What can't be decoded, or is refused by a stage. */
static enum weir_status
row_refused(struct deliverer *d, const struct binlog_rows *saved,
            struct weir_err *err)
{
    struct weir_err  why = *err;
    enum weir_status st = refuse_row(d, d->frame_view, why.text, err);

    if (st == WEIR_DROP) {
        d->rows = *saved;
        return st;
    }
    if (st == WEIR_OK) {
        d->rows = *saved;
        st = binlog_rows_skip(&d->rows, 1, err);
        d->at.next_row = d->rows.next;
        d->round->nread++;
    }
    return st == WEIR_DROP ? weir_fail(err, WEIR_FATAL, "%s", why.text) : st;
}

/* Rows until the frame or the room ends.  *full: another would have to wait. */
static enum weir_status
walk_frame(struct deliverer *d, bool *full, struct weir_err *err)
{
    const size_t started = d->round->n;

    for (;;) {
        if (refuse_holds(d, d->frame_view)) { /* since one of its rows */
            const enum weir_status aside = refuse_frame(
                d, d->frame_view, "its table is parked", err);
            if (aside != WEIR_DROP) {
                return aside;
            }
            *full = d->quiet_first;
            break;
        }
        const bool               was_full = is_full(d);
        transaction_of_round(d);
        const struct arena       mark = d->round->arena;
        const struct binlog_rows saved = d->rows;
        const bool               had_events = d->txn_has_events;
        const size_t             had = d->round->n;
        bool                     added = false;
        enum weir_status         st = next_row(d, &added, err);
        if (!added) { /* it took memory too; nothing points to it */
            arena_rewind(&d->round->arena, &mark);
        }
        if (st == WEIR_DROP) {
            break;
        }
        if (st == WEIR_REJECT) {
            st = row_refused(d, &saved, err);
            *full = st == WEIR_DROP;
        }
        if (st != WEIR_OK && !*full) {
            return st;
        }
        if (added && (was_full || (d->round->alone && had > 0))) {
            take_back(d, &saved, had, had_events);
            d->round->alone = false;
            *full = true;
        }
        if (*full) {
            break;
        }
        CRASH_POINT("deliver.decode");
        d->at.next_row = d->rows.next;
        if (d->round->alone) {
            *full = true;
            break;
        }
    }
    if (!*full) {
        d->at.next = d->frame.next;
        d->at.next_row = 0;
        fill_leave_frame(d);
    }
    if (d->round->n > started) {
        d->round->bytes += d->frame.payload.len;
    }
    return WEIR_OK;
}

void
fill_leave_frame(struct deliverer *d)
{
    d->in_frame = false;
    if (d->frame_block) {
        block_unref(&d->frame_block);
        d->frame_block = NULL;
    }
}

static enum weir_status
enter_rows(struct deliverer *d, struct weir_err *err)
{
    struct reader p = reader_of(d->frame.payload.data, d->frame.payload.len);

    const uint64_t head = read_le(&p, 8);
    const uint64_t table = read_le(&p, 8);
    read_le(&p, 8);
    const uint8_t *header = read_bytes(&p, BINLOG_HEADER);
    if (!header) {
        return weir_fail(err, WEIR_FATAL,
                         "relay: the row frame at %llu is too short",
                         (unsigned long long)d->frame.offset);
    }
    if (d->skipping) {
        return WEIR_DROP;
    }
    enum weir_status st = view_of_frame(d, table, &d->frame_view, err);
    if (st == WEIR_OK && !d->frame_view->wanted) {
        return WEIR_DROP;
    }
    if (st == WEIR_OK) {
        st = transaction_need(d, head, err);
    }
    if (st != WEIR_OK) {
        return st;
    }
    d->frame_table = table;
    struct view *v = d->frame_view;
    if (v->refused || refuse_holds(d, v)) {
        return refuse_frame(d, v, v->refused ? v->refused->text
                                             : "its table is parked", err);
    }
    st = binlog_rows_open(&d->rows, (enum binlog_type)header[4], p.p,
                          reader_left(&p), v->table->columns,
                          v->table->pub.ncolumns, err);
    if (st == WEIR_REJECT) {
        row_failed(d, v, st, err);
        const struct weir_err why = *err;
        return refuse_frame(d, v, why.text, err);
    }
    if (st != WEIR_OK) {
        return row_failed(d, v, st, err);
    }
    if (!(v->ops & 1u << d->rows.op)) {
        return WEIR_DROP;
    }
    if (d->at.next == d->frame.offset && d->at.next_row > 0) {
        st = binlog_rows_skip(&d->rows, d->at.next_row, err);
    }
    return st;
}

static enum weir_status
take_row_frame(struct deliverer *d, struct weir_err *err)
{
    d->frame_block = follower_block(d->follower);
    block_ref(d->frame_block);
    const enum weir_status st = enter_rows(d, err);
    if (st == WEIR_OK) {
        d->in_frame = true;
        if (d->at.next != d->frame.offset) {
            d->at.next = d->frame.offset;
            d->at.next_row = 0;
        }
        return WEIR_OK;
    }
    fill_leave_frame(d);
    if (st == WEIR_DROP && d->quiet_first) {
        return follower_seek(d->follower, d->frame.offset, err);
    }
    if (st == WEIR_DROP) {
        d->at.next = d->frame.next;
        d->at.next_row = 0;
        return WEIR_OK;
    }
    return st;
}

/* ---- Frames */

static enum weir_status
take_frame(struct deliverer *d, struct weir_err *err)
{
    const struct frame *f = &d->frame;
    enum weir_status    st = WEIR_OK;

    switch (f->type) {
    case FRAME_ROW:
        return take_row_frame(d, err);
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
        fill_leave_frame(d);
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
    return d->at.head == 0 && is_full(d);
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
            fill_leave_frame(d);
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
            st = walk_frame(d, &full, err);
        }
        if (st != WEIR_OK) {
            return st;
        }
        d->moved = true;
    }
    return WEIR_OK;
}
