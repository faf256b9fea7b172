/*
 * aside_apply.c - what was put aside goes through the same sink after all, when
 * a person asks for it.  At a start, on lane 0: nothing else is on its way.  How
 * far the side log was applied stands in the checkpoint that goes along with
 * each batch, beside the stream's unmoved position: so a crash repeats as much
 * as the sink's guarantee says, which is nothing where it is exactly-once.
 */
#include "deliver/aside.h"

#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "deliver/dead.h"
#include "deliver/side_order.h"
#include "deliver/sidelog.h"

/* Dead letters go one by one: each is handled when the sink has taken it. */
enum { BATCH_EVENTS = 500, BATCH_BYTES = 1 << 20 };

/* A pass over one side log. */
struct pass {
    struct deliverer *d;
    struct aside_table *table;
    const char         *folder; /* below the sink's: "park/..." or "dead" */
    struct follower    *records; /* d->follower reads what they name */
    const struct dead_list *dead; /* which of them; NULL: all */
    struct buf        blob;    /* the checkpoint that goes along */
    struct progress   found;   /* as it was; its texts in the call's arena */
    uint64_t          limit;   /* the stream brings what is from here on */
    uint32_t          limit_row;
    uint64_t          done, to; /* applied; and behind what is in the batch */
    struct aside_outcome out;
    size_t            most;    /* events in a batch */
};

/* ---- Records to events */

static bool
is_before_limit(const struct pass *p, uint64_t frame, uint32_t row)
{
    return frame < p->limit || (frame == p->limit && row < p->limit_row);
}

static enum weir_status
add_row(struct pass *p, struct view *v, const struct side_record *r,
        const struct frame *f, struct weir_err *err)
{
    struct deliverer   *d = p->d;
    struct arena       *a = &d->round->arena;
    struct binlog_rows *rows = &d->rows;
    const size_t size = (v->table->pub.ncolumns + 1) *
                        sizeof(struct weir_value);

    struct weir_value *before =
        rows->op != WEIR_INSERT ? arena_take(a, size) : NULL;
    struct weir_value *after =
        rows->op != WEIR_DELETE ? arena_take(a, size) : NULL;
    enum weir_status st =
        binlog_rows_next(rows, v->columns, before, after, a, err);
    if (st != WEIR_OK) {
        return st;
    }
    struct weir_event ev = { .op = rows->op, .before = before,
                             .after = after, .seq = r->frame + rows->index,
                             .txn = transaction_of_round(d) };
    st = event_steps(d, v, &ev, err);
    if (st == WEIR_OK) {
        struct weir_event *made = event_add(d, v, f);
        event_finish(made, &ev);
        share_part(made, r->part, a);
    }
    return st == WEIR_DROP ? WEIR_OK : st;
}

static enum weir_status
add_rows(struct pass *p, const struct side_record *r, const struct frame *f,
         struct weir_err *err)
{
    struct deliverer *d = p->d;
    struct reader     in = reader_of(f->payload.data, f->payload.len);
    struct view      *v;

    read_le(&in, 8);
    const uint64_t table = read_le(&in, 8);
    read_le(&in, 8);
    const uint8_t *header = read_bytes(&in, BINLOG_HEADER);
    d->aside->row_frame = r->frame;
    enum weir_status st = view_of_frame(d, table, &v, err);
    if (st == WEIR_OK && v->refused) {
        *err = *v->refused;
        return WEIR_REJECT;
    }
    if (st != WEIR_OK || !v->wanted || !header) {
        return st;
    }
    st = binlog_rows_open(&d->rows, (enum binlog_type)header[4], in.p,
                          reader_left(&in), v->table->columns,
                          v->table->pub.ncolumns, err);
    while (st == WEIR_OK) {
        const uint32_t row = d->rows.next;
        const bool     meant = r->row == REFUSED_ALL_ROWS
                                   ? row >= r->from
                                   : row == r->row;
        st = meant && is_before_limit(p, r->frame, row) &&
                     (v->ops & 1u << d->rows.op)
                 ? add_row(p, v, r, f, err)
                 : binlog_rows_skip(&d->rows, 1, err);
        if (row == r->row) {
            break;
        }
    }
    return st == WEIR_DROP ? WEIR_OK : st;
}

static enum weir_status
add_record(struct pass *p, const struct side_record *r, struct weir_err *err)
{
    struct deliverer *d = p->d;
    struct frame      f;
    bool              added;

    const uint64_t first_row = r->row == REFUSED_ALL_ROWS ? r->from : r->row;
    if (!is_before_limit(p, r->frame, (uint32_t)first_row)) {
        return WEIR_OK;
    }
    enum weir_status st = follower_seek(d->follower, r->body, err);
    if (st == WEIR_OK) {
        st = follower_next(d->follower, &f, err);
    }
    if (st != WEIR_OK || f.payload.len < 24) {
        return weir_wrap(err, st == WEIR_RETRY ? st : WEIR_FATAL, "side log");
    }
    d->frame = f;
    d->frame_block = follower_block(d->follower);
    block_ref(d->frame_block);
    if (f.type == FRAME_DDL && d->round->n > 0) { /* which goes alone */
        row_leave_frame(d);
        return WEIR_PENDING;
    }
    st = transaction_need(d, get_le64(f.payload.data), err);
    d->txn_has_events = false;
    d->round->txn = NULL;
    if (st == WEIR_OK && f.type == FRAME_DDL) {
        struct frame as_was = f;
        as_was.offset = r->frame;
        st = fill_ddl(d, &as_was, &added, err);
    } else if (st == WEIR_OK) {
        st = add_rows(p, r, &f, err);
    }
    if (d->round->n > 0) {
        d->round->items[d->round->n - 1].ev->flags |= WEIR_LAST_IN_TXN;
    }
    row_leave_frame(d);
    return st;
}

/* ---- Batches */

static void
make_blob(struct pass *p, bool on_its_way)
{
    struct deliverer *d = p->d;
    struct progress   at = p->found;

    at.epoch = d->epoch;
    at.time_usec = clock_usec();
    at.host = str_of(d->host);
    at.side = on_its_way ? str_of(p->folder) : STR("");
    at.side_done = on_its_way ? p->to : 0;
    p->blob.len = 0;
    progress_format(&at, &p->blob);
}

/* The sink's own checkpoint is written along; else, and for what retention goes
 * by, the one here. */
static enum weir_status
send(struct pass *p, bool on_its_way, struct weir_err *err)
{
    struct deliverer *d = p->d;
    const size_t      n = d->round->n;

    make_blob(p, on_its_way);
    d->at.head = 0; /* each is whole */
    enum weir_status st = send_aside(d, buf_view(&p->blob), err);
    if (st == WEIR_OK && (!d->keeps || !on_its_way)) {
        st = twoslot_write(d->local, buf_view(&p->blob), true, err);
    }
    if (st == WEIR_OK) {
        p->out.applied += n;
        p->done = p->to;
        if (on_its_way && p->dead) {
            st = sidelog_set_handled(p->table->dir, p->to, err);
        }
        atomic_fetch_add(&d->set.page->rows, n);
        round_reset(d, d->round);
        p->most = BATCH_EVENTS;
    }
    return st;
}

static bool
is_enough(const struct pass *p)
{
    const struct round *r = p->d->round;

    return p->dead || r->n >= p->most || r->arena.used >= BATCH_BYTES ||
           r->nblocks >= 16;
}

static bool
is_alone(const struct round *r)
{
    return r->n > 0 && r->items[r->n - 1].ev->op > WEIR_DELETE;
}

/* One record's events into the batch, or the batch on its way.  `to`: how far the
 * log is applied with it. */
static enum weir_status
take(struct pass *p, const struct side_record *r, uint64_t to,
     struct weir_err *err)
{
    enum weir_status st = add_record(p, r, err);

    if (st == WEIR_PENDING) {
        st = send(p, true, err);
        st = st == WEIR_OK ? add_record(p, r, err) : st;
    }
    if (st != WEIR_OK) {
        return st;
    }
    p->to = to;
    return p->d->round->n > 0 && (is_enough(p) || is_alone(p->d->round))
               ? send(p, true, err)
               : WEIR_OK;
}

static bool
is_meant(const struct pass *p, const struct side_record *r)
{
    return r->at >= p->done && (!p->dead || dead_is_meant(p->dead, r->at));
}

/* The other letters may do. */
static enum weir_status
stays_dead(struct pass *p, const struct weir_err *err)
{
    if (p->out.refused++ == 0) {
        p->out.why = *err;
    }
    round_reset(p->d, p->d->round);
    return WEIR_OK;
}

/* As they stand. */
static enum weir_status
go_along(struct pass *p, struct weir_err *err)
{
    struct side_record r = { 0 };
    enum weir_status   st = WEIR_OK;

    for (;;) {
        const enum weir_status got = sidelog_next(p->records, &r, err);
        if (got != WEIR_OK) {
            st = got;
            break;
        }
        if (is_meant(p, &r)) {
            st = take(p, &r, r.next, err);
            st = st == WEIR_REJECT && p->dead ? stays_dead(p, err) : st;
            if (st != WEIR_OK) {
                break;
            }
        }
    }
    return st;
}

/* In the stream's order, which is not the log's where a crash of a sink that is
 * sent things again came between. */
static enum weir_status
go_in_order(struct pass *p, const struct side_order *order,
            struct weir_err *err)
{
    struct side_record r;
    enum weir_status   st = WEIR_OK;

    for (size_t i = 0; i < order->n && st == WEIR_OK; i++) {
        st = follower_seek(p->records, order->items[i].at, err);
        if (st == WEIR_OK) {
            st = sidelog_next(p->records, &r, err);
        }
        if (st == WEIR_OK) {
            st = take(p, &r, order->items[i].to ? order->items[i].to : p->to,
                      err);
        }
    }
    return st == WEIR_OK ? WEIR_DROP : st;
}

/* All that is not done with.  REJECT: refused again, and what stands before it
 * is applied. */
static enum weir_status
go(struct pass *p, struct weir_err *err)
{
    struct deliverer *d = p->d;
    struct side_order order = { 0 };
    enum weir_status  st = WEIR_OK;

    p->to = p->done;
    if (!p->dead && !keeps_parts(d)) {
        st = side_order_read(p->table->dir, p->done, &order, err);
    }
    if (st == WEIR_OK) {
        st = order.n ? go_in_order(p, &order, err) : go_along(p, err);
    }
    side_order_free(&order);
    if (st == WEIR_DROP) {
        st = d->round->n > 0 ? send(p, true, err) : WEIR_OK;
    }
    round_reset(d, d->round);
    return st;
}

/* By large batches, then one record at a time up to what is refused. */
static enum weir_status
run(struct pass *p, struct weir_err *err)
{
    struct deliverer *d = p->d;
    enum weir_status  st = WEIR_OK;

    p->most = BATCH_EVENTS;
    for (int careful = 0; careful < 2; careful++) {
        struct follower *other;
        st = sidelog_read(p->table->dir, &p->records, err);
        if (st != WEIR_OK) {
            return st == WEIR_DROP ? WEIR_OK : st;
        }
        st = sidelog_read(p->table->dir, &other, err);
        if (st == WEIR_OK) {
            struct follower *stream = d->follower;
            d->follower = other;
            views_new_segment(d);
            round_reset(d, d->round);
            st = go(p, err);
            row_leave_frame(d);
            d->follower = stream;
            d->txn = NULL;
            d->at.head = 0;
            views_new_segment(d);
            follower_close(&other);
        }
        follower_close(&p->records);
        if (st != WEIR_REJECT) {
            break;
        }
        p->most = 1;
    }
    return st;
}

/* ---- A pass */

static enum weir_status
begin(struct pass *p, struct deliverer *d, struct aside_table *t,
      const struct dead_list *dead, struct weir_err *err)
{
    struct arena *a = &d->aside->call;
    const bool    resend = d->set.sink->batching.resend && !dead;

    *p = (struct pass){ .d = d, .table = t, .found = d->found, .dead = dead,
                        .folder = t->dir + strlen(d->sink_dir) + 1 };
    p->found.gtid_set = arena_str(a, d->found.gtid_set);
    p->found.file = arena_str(a, d->found.file);
    /* What a start sends again comes behind dead letters, and in its order. */
    p->limit = resend ? p->found.first : p->found.next;
    p->limit_row = resend ? p->found.first_row : p->found.next_row;
    return dead ? WEIR_OK : sidelog_done(t->dir, &p->done, err);
}

/* Letters each for itself: they are noted in `handled`. */
static enum weir_status
note_done(const struct pass *p, enum weir_status st, struct weir_err *err)
{
    struct weir_err other;

    if (p->dead || (st != WEIR_OK && st != WEIR_REJECT)) {
        return st;
    }
    const enum weir_status noted =
        sidelog_set_done(p->table->dir, p->done, &other);
    if (noted != WEIR_OK) {
        *err = other;
        return noted;
    }
    return st;
}

enum weir_status
aside_apply(struct deliverer *d, struct aside_table *t,
            const struct dead_list *dead, struct aside_outcome *out,
            struct weir_err *err)
{
    struct pass p;

    enum weir_status st = begin(&p, d, t, dead, err);
    d->aside->applying = true;
    st = st == WEIR_OK ? run(&p, err) : st;
    d->aside->applying = false;
    *out = p.out;
    buf_free(&p.blob);
    return note_done(&p, st, err);
}
