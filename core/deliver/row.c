/*
 * row.c - a row frame to events: its rows decoded one by one, those that are
 * left out or refused on the way, and what has to wait for the next round.
 */
#include "deliver/internal.h"

#include "base/bytes.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/str.h"


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
        st = event_steps(d, v, &ev, err);
    }
    if (st == WEIR_DROP) {
        d->round->nread++;
        d->round->nfiltered++;
        return WEIR_OK;
    }
    if (st != WEIR_OK) {
        return row_failed(d, v, st, err);
    }
    event_finish(event_add(d, v, &d->frame), &ev);
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
    d->round->alone = false;
}

/* What can't be decoded, or is refused by a stage. */
static enum weir_status
row_refused(struct deliverer *d, const struct binlog_rows *saved,
            enum row_part part, struct weir_err *err)
{
    struct weir_err  why = *err;
    enum weir_status st = refuse_row(d, d->frame_view, part, why.text, err);

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

/* Of a table that is parked, rows that its lane has are not kept as well: they
 * were written before it was parked, or are kept already. */
static bool
whole_is_held(const struct deliverer *d)
{
    return refuse_holds(d, d->frame_view) &&
           !share_any_had(d, d->frame.offset);
}

static enum weir_status
keep_rest(struct deliverer *d, bool *full, struct weir_err *err)
{
    const enum weir_status st =
        refuse_frame(d, d->frame_view, "its table is parked", err);

    *full = d->quiet_first;
    return st == WEIR_DROP ? WEIR_OK : st;
}

/* Of the row that was added last: one half, if its lane has the other one. */
static enum row_part
part_left(const struct deliverer *d, size_t had)
{
    return d->round->n - had == 1 ? d->round->items[had].part : ROW_WHOLE;
}

static void
pass_frame(struct deliverer *d)
{
    d->at.next = d->frame.next;
    d->at.next_row = 0;
    row_leave_frame(d);
}

enum weir_status
row_walk_frame(struct deliverer *d, bool *full, struct weir_err *err)
{
    const size_t started = d->round->n;

    for (;;) {
        if (whole_is_held(d)) { /* since one of its rows */
            const enum weir_status aside = keep_rest(d, full, err);
            if (aside != WEIR_OK) {
                return aside;
            }
            break;
        }
        const bool               was_full = fill_is_full(d);
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
        const enum row_part part = part_left(d, had);
        if (added && refuse_holds(d, d->frame_view)) {
            take_back(d, &saved, had, had_events);
            arena_rewind(&d->round->arena, &mark);
            added = false;
            st = weir_fail(err, WEIR_REJECT, "its table is parked");
        }
        if (st == WEIR_REJECT) {
            st = row_refused(d, &saved, part, err);
            *full = st == WEIR_DROP;
        }
        if (st != WEIR_OK && !*full) {
            return st;
        }
        if (added && (was_full || (d->round->alone && had > 0))) {
            take_back(d, &saved, had, had_events);
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
        pass_frame(d);
    }
    if (d->round->n > started) {
        d->round->bytes += d->frame.payload.len;
    }
    return WEIR_OK;
}

void
row_leave_frame(struct deliverer *d)
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
    if (v->refused || whole_is_held(d)) {
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

enum weir_status
row_take_frame(struct deliverer *d, struct weir_err *err)
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
    row_leave_frame(d);
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
