/* refuse.c - see refuse.h. */
#include "deliver/refuse.h"

#include "base/bytes.h"
#include "base/err.h"
#include "base/log.h"
#include "deliver/internal.h"

enum weir_status
refuse(struct deliverer *d, const struct refused *what, struct weir_err *err)
{
    if (d->set.sink->set.on_reject != CONF_REJECT_SKIP) {
        return weir_fail(err, WEIR_REJECT, "%s", what->reason);
    }
    atomic_fetch_add(&d->set.page->rows_skipped, what->nrows);
    log_warn("skipped: %s", what->reason);
    return WEIR_OK;
}

enum weir_status
refuse_settle(struct deliverer *d, struct weir_err *err)
{
    (void)d;
    (void)err;
    return WEIR_OK;
}

/* What came before it of the same table has to be dealt with first. */
static bool
is_next(struct deliverer *d, const struct view *v)
{
    pthread_mutex_lock(&d->lock);
    const bool done = v->last_round < d->ring.low;
    pthread_mutex_unlock(&d->lock);
    if (d->round->n == 0 && (done || lanes_quiet(d))) {
        return true;
    }
    d->quiet_first = true;
    return false;
}

static enum weir_status
refuse_now(struct deliverer *d, struct view *v, uint32_t row, uint32_t nrows,
           const char *why, struct weir_err *err)
{
    const struct refused what = {
        .frame = d->frame.offset,
        .row = row,
        .nrows = nrows,
        .head = d->at.head,
        .table = d->frame_table,
        .view = v,
        .reason = why,
    };

    if (!is_next(d, v)) {
        return WEIR_DROP;
    }
    const enum weir_status st = refuse(d, &what, err);
    return st == WEIR_OK ? refuse_settle(d, err) : st;
}

enum weir_status
refuse_row(struct deliverer *d, struct view *v, const char *why,
           struct weir_err *err)
{
    return refuse_now(d, v, d->rows.index, 1, why, err);
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
    const enum weir_status st =
        refuse_now(d, v, REFUSED_ALL_ROWS, n, why, err);
    d->round->nread += st == WEIR_OK ? n : 0;
    return st == WEIR_OK ? WEIR_DROP : st;
}

bool
refuse_holds(const struct deliverer *d, const struct view *v)
{
    (void)d;
    (void)v;
    return false;
}
