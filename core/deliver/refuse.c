/* refuse.c - see refuse.h. */
#include "deliver/refuse.h"

#include "base/bytes.h"
#include "base/err.h"
#include "base/str.h"
#include "deliver/aside.h"
#include "deliver/internal.h"

enum weir_status
refuse(struct deliverer *d, const struct refused *what, struct weir_err *err)
{
    return aside_put(d, what, err);
}

enum weir_status
refuse_settle(struct deliverer *d, struct weir_err *err)
{
    return aside_settle(d, err);
}

/* Of any version: one may come behind another without a statement between. */
static uint64_t
last_round_of(const struct deliverer *d, const struct weir_table *t)
{
    uint64_t last = 0;

    for (const struct view *v = d->views; v; v = v->next) {
        if (v->last_round > last && str_eq(v->table->pub.name, t->name) &&
            str_eq(v->table->pub.schema, t->schema)) {
            last = v->last_round;
        }
    }
    return last;
}

/* What came before it of the same table has to be dealt with first.  Of one that
 * is parked nothing is on its way any more, once that was seen to be so. */
static bool
is_next(struct deliverer *d, const struct view *v)
{
    struct aside_table *parked =
        v ? aside_find(d, v->table->pub.schema, v->table->pub.name) : NULL;

    if (parked && parked->alone) {
        return true;
    }
    pthread_mutex_lock(&d->lock);
    const bool done = v && !parked &&
                      last_round_of(d, &v->table->pub) < d->ring.low;
    pthread_mutex_unlock(&d->lock);
    if (d->round->n == 0 && (done || lanes_quiet(d))) {
        if (parked) {
            parked->alone = true;
        }
        return true;
    }
    d->quiet_first = true;
    return false;
}

static enum weir_status
refuse_now(struct deliverer *d, struct view *v, uint32_t row,
           enum row_part part, uint32_t nrows, const char *why,
           struct weir_err *err)
{
    const struct refused what = {
        .frame = d->frame.offset,
        .row = row,
        .part = part,
        .nrows = nrows,
        .head = d->at.head,
        .table = d->frame_table,
        .view = v,
        .round = d->round,
        .reason = why,
    };

    if (!is_next(d, v)) {
        return WEIR_DROP;
    }
    return refuse(d, &what, err); /* settled before a checkpoint passes it */
}

enum weir_status
refuse_row(struct deliverer *d, struct view *v, enum row_part part,
           const char *why, struct weir_err *err)
{
    return refuse_now(d, v, d->at.next_row, part, 1, why, err);
}

enum weir_status
refuse_ddl(struct deliverer *d, struct view *v, const char *why,
           struct weir_err *err)
{
    d->frame_table = 0;
    return refuse_now(d, v, REFUSED_ALL_ROWS, ROW_WHOLE, 0, why, err);
}

enum weir_status
refuse_frame(struct deliverer *d, struct view *v, const char *why,
             struct weir_err *err)
{
    struct weir_err    ignored;
    struct binlog_rows rows;
    struct reader      p = reader_of(d->frame.payload.data,
                                     d->frame.payload.len);
    uint32_t           n = 0;

    read_bytes(&p, 24);
    const uint8_t *header = read_bytes(&p, BINLOG_HEADER);
    if (header &&
        binlog_rows_open(&rows, (enum binlog_type)header[4], p.p,
                         reader_left(&p), v->table->columns,
                         v->table->pub.ncolumns, &ignored) == WEIR_OK) {
        while (binlog_rows_skip(&rows, 1, &ignored) == WEIR_OK) {
            n++;
        }
    }
    const uint32_t from =
        d->at.next == d->frame.offset ? d->at.next_row : 0;
    n = n > from ? n - from : 0;
    const enum weir_status st =
        refuse_now(d, v, REFUSED_ALL_ROWS, ROW_WHOLE, n, why, err);
    d->round->nread += st == WEIR_OK ? n : 0;
    return st == WEIR_OK ? WEIR_DROP : st;
}

bool
refuse_holds(const struct deliverer *d, const struct view *v)
{
    return aside_holds(d, v->table->pub.schema, v->table->pub.name,
                       d->frame.offset,
                       d->at.next == d->frame.offset ? d->at.next_row : 0);
}
