/*
 * refuse.h - what becomes of events that a sink will not have: the border
 * between the delivery (who finds out, and holds the checkpoint back) and the
 * side log (who keeps the raw frames).  Knows no sink.
 *
 * What the delivery promises.  All calls come on the decoding thread, one at a
 * time.  Events of one key come in the order of their seq.  The checkpoint, in
 * the sink and here, does not pass an event before refuse() said OK for it and
 * a later refuse_settle() said OK.  After a crash the same event may come again
 * (same frame, same row): who keeps it has to know it by (frame, row) and keep
 * it once.  While refuse_holds() says so of a table, none of its events is
 * handed to the sink: not those decoded later, and not those that wait in a
 * lane; each of them is given to refuse() instead, in order.
 *
 * What the side log has to do in refuse(), by the sink's `on_reject`:
 *   park         append the ROW (or DDL) frame at `frame`, with the TABLE frame
 *                at `table` and the TXN_HEAD frame at `head` before it, to the
 *                log of that table (view->table->pub: the source's names);
 *                from then on refuse_holds() is true of all its versions.
 *   dead_letter  append them to the dead letters, with the reason and the
 *                number of attempts; the table goes on.
 *   skip         count and log: done here.
 * It reads the frames by follower_read(), and counts in the round what->nrows
 * rows as parked, dead or skipped, those that it has already, too.  RETRY: no room on the
 * disk, or an error of it: the delivery waits and calls again with the same
 * event.  REJECT, FATAL: the sink stops with that sentence.
 */
#ifndef WEIR_DELIVER_REFUSE_H
#define WEIR_DELIVER_REFUSE_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/module.h>

struct deliverer;
struct round;
struct view;

enum { REFUSED_ALL_ROWS = UINT32_MAX };

/* Of a row that changes its key and is two lanes': one of its halves, since the
 * other may be written long before.  As bits both are the whole. */
enum row_part { ROW_WHOLE, ROW_LEAVES, ROW_ARRIVES };

struct refused {
    uint64_t frame;       /* offset in the relay of the ROW or DDL frame */
    uint32_t row;         /* its index there (seq is the sum of the two), or
                             REFUSED_ALL_ROWS: the whole frame, undecoded */
    enum row_part part;
    uint32_t nrows;       /* rows that this is about, 0 for DDL */
    uint64_t head, table; /* offsets of TXN_HEAD and TABLE; table 0: none */
    const struct view       *view;  /* NULL for DDL of no table */
    struct round            *round; /* that it is of: what is read and what came
                                       of it are counted when that is done */
    const struct weir_event *event; /* as the sink was given it, or NULL: not
                                       decoded.  Lives until the call ends */
    unsigned    attempts; /* how often it was sent */
    const char *reason;   /* with the row and its transaction, a sentence */
};

enum weir_status refuse(struct deliverer *d, const struct refused *what,
                        struct weir_err *err);
/* Makes durable what refuse() took.  The same statuses. */
enum weir_status refuse_settle(struct deliverer *d, struct weir_err *err);
/* That table is parked.  Cheap: asked for each row frame and each batch. */
bool refuse_holds(const struct deliverer *d, const struct view *v);

#endif
