/*
 * start.c - the order of things at a start, and at each one after a failure: what
 * is stored (stored.c), as many lanes as that takes, what a person asks for, the
 * place in the relay (place.c), and what each lane has of what comes.
 */
#include "deliver/internal.h"


#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "deliver/aside.h"

/* ---- Lanes */

/* How many there have to be: other ones only where all slots are equal. */
static uint32_t
lanes_now(const struct deliverer *d)
{
    const struct slot *first = &d->slots[0];
    bool               equal = true;

    if (!d->by_key || d->nfound == 0) {
        return d->nwanted;
    }
    for (uint32_t k = 1; k < d->nfound; k++) {
        const struct slot *s = &d->slots[k];
        equal = equal && (!s->found || stored_place(&s->p) ==
                                           stored_place(&first->p));
    }
    return equal ? d->nwanted : d->nfound;
}

static enum weir_status
make_lanes(struct deliverer *d, struct weir_err *err)
{
    const uint32_t n = lanes_now(d);

    if (n != d->nlanes || d->lanes[0].in.lanes != n) {
        lanes_close(d);
        d->nlanes = n;
        if (n != d->nwanted) {
            log_info("%u lanes, as they were left at different places; %u "
                     "when they have met", n, d->nwanted);
        }
    }
    /* Each lane fails by itself when the target does: as long as with one. */
    d->breaker.limit =
        (unsigned)d->set.sink->breaker.failures * (d->by_key ? n : 1);
    return lanes_open(d, n, err);
}

/* What each lane has: by the relay's offsets, or else by transactions. */
static enum weir_status
place_lanes(struct deliverer *d, struct weir_err *err)
{
    enum weir_status st = WEIR_OK;

    for (uint32_t k = 0; k < d->nlanes && st == WEIR_OK; k++) {
        struct lane       *l = &d->lanes[k];
        const bool         counts = d->by_key && k < d->nfound &&
                            d->nlanes == d->nfound && d->nfound > 1;
        const struct slot *s = &d->slots[d->by_key ? k : 0];
        l->stored.len = 0;
        l->acked = l->written = 0;
        l->written_at = 0;
        atomic_store(&l->needed, d->at.next);
        l->skips = false;
        skip_free(&l->skip);
        if (d->keeps) {
            l->has = 0;
        }
        if (s->found && k < (d->by_key ? d->nfound : d->nlanes)) {
            buf_str(&l->stored, buf_view(&s->blob));
            l->acked = stored_place(&s->p);
        }
        if (!counts || !s->found || d->request.verb == REQUEST_REWIND) {
            continue;
        }
        if (d->catching_up) {
            l->skip.gtids = gtid_set_new();
            st = s->p.gtid_set.len
                     ? gtid_set_add(l->skip.gtids, s->p.gtid_set, err)
                     : WEIR_OK;
            buf_str(&l->skip.file, s->p.file);
            l->skip.offset = s->p.file_offset;
        } else {
            l->has = stored_start(d, &s->p);
        }
    }
    return st;
}

/* Slots of lanes that are no more. */
static enum weir_status
forget_slots(struct deliverer *d, struct weir_err *err)
{
    enum weir_status st = WEIR_OK;
    struct lane     *l = &d->lanes[0];

    for (uint32_t k = d->by_key ? d->nlanes : 1;
         k < MAX_LANES && st == WEIR_OK && d->module->forget; k++) {
        if (d->slots[k].found) {
            lane_enter(l);
            st = d->module->forget(l->in.self, str_of(d->name), k, err);
            lane_leave(l);
            d->slots[k].found = st != WEIR_OK;
        }
    }
    return st == WEIR_OK ? st : weir_wrap(err, st, "forget lane's checkpoint");
}

/* New ones, or another number of them: slots that say so, before any moves. */
static enum weir_status
settle_lanes(struct deliverer *d, struct weir_err *err)
{
    const uint32_t n = d->by_key ? d->nlanes : 1;

    if (!d->keeps || d->request.verb != REQUEST_NONE ||
        (n == d->nfound || (n == 1 && d->nfound == 0))) {
        return WEIR_OK;
    }
    if (d->nfound) {
        log_info("%u lane%s now, %u before", n, n == 1 ? "" : "s", d->nfound);
    }
    const enum weir_status st = write_settle(d, err);
    return st == WEIR_OK ? forget_slots(d, err) : st;
}

/* What goes along with a part of a first batch: nothing is done yet. */
static void
note_beginning(struct deliverer *d)
{
    round_close(d, d->round);
    for (uint32_t k = 0; d->keeps && k < d->nlanes; k++) {
        struct lane *l = &d->lanes[k];
        if (l->stored.len == 0) {
            buf_str(&l->stored, buf_view(&d->round->checkpoint));
        }
    }
}

/* ---- The order of things */

static enum weir_status
find_place(struct deliverer *d, struct weir_err *err)
{
    enum weir_status st = stored_ask(d, err);

    if (st != WEIR_OK) {
        return st;
    }
    st = stored_find(d, &d->found, err);
    for (uint32_t k = 0; k < d->nfound; k++) {
        if (d->slots[k].found && d->slots[k].p.seq > d->found.seq) {
            d->found.seq = d->slots[k].p.seq;
        }
    }
    d->is_new = st == WEIR_DROP;
    if (st == WEIR_DROP) {
        d->found = (struct progress){ 0 };
        st = WEIR_OK;
    }
    if (st == WEIR_OK && !d->started) {
        d->epoch = (d->found.epoch > d->found_epoch ? d->found.epoch
                                                    : d->found_epoch) + 1;
    }
    /* A position that came with the sink is where the source has to begin. */
    if (st == WEIR_OK && d->has_found && !d->started &&
        twoslot_value(d->local).len == 0) {
        st = twoslot_write(d->local, buf_view(&d->slots[0].blob), true, err);
    }
    return st;
}

/* FATAL where a request can't be done is the request's end. */
static enum weir_status
give_up(struct deliverer *d, enum weir_status st, struct weir_err *err)
{
    struct weir_err why = *err, other;

    if (st == WEIR_OK || st == WEIR_DROP || st == WEIR_RETRY ||
        d->request.verb == REQUEST_NONE) {
        return st;
    }
    if (request_refused(d, why.text, &other) != WEIR_OK) {
        log_warn("%s", other.text);
    }
    return st;
}

static enum weir_status
start_somewhere(struct deliverer *d, struct weir_err *err)
{
    place_clear(d);
    if (d->request.verb == REQUEST_REWIND) {
        enum weir_status st = request_rewind(d, err);
        if (st != WEIR_REJECT) {
            return st;
        }
        st = request_refused(d, err->text, err);
        if (st != WEIR_OK) {
            return st;
        }
        place_clear(d);
    }
    return d->is_new ? place_first(d, err) : place_again(d, &d->found, err);
}

static enum weir_status
start(struct deliverer *d, struct weir_err *err)
{
    enum weir_status st = find_place(d, err);

    if (st != WEIR_OK) {
        return st;
    }
    atomic_store(&d->set.page->restored, 1);
    if (!d->follower) {
        st = follower_open(d->relay_dir, d->relay_page, d->set.slot,
                           &d->follower, err);
    }
    if (st != WEIR_OK || follower_published(d->follower) == 0) {
        return st == WEIR_OK ? WEIR_DROP : st;
    }
    st = make_lanes(d, err);
    if (st == WEIR_OK) {
        st = aside_start(d, err);
    }
    if (st == WEIR_OK) {
        st = start_somewhere(d, err);
    }
    if (st == WEIR_OK) {
        st = place_lanes(d, err);
    }
    if (st != WEIR_OK) {
        return st;
    }
    round_reset(d, d->round);
    if (d->found.seq > d->seq && d->request.verb != REQUEST_REWIND) {
        d->seq = d->found.seq;
    }
    note_beginning(d);
    d->moved = true; /* a new sink's place is stored at once */
    if (d->request.verb != REQUEST_NONE) {
        st = request_finish(d, err);
    }
    return st == WEIR_OK ? settle_lanes(d, err) : st;
}

enum weir_status
deliver_start(struct deliverer *d, struct weir_err *err)
{
    row_leave_frame(d);
    lanes_cancel(d);
    d->ready = d->quiet_first = d->settle_next = false;
    d->failed = WEIR_OK;
    enum weir_status st = save_checkpoint(d, err);
    if (st == WEIR_OK) {
        st = lanes_open_first(d, err);
    }
    if (st == WEIR_OK) {
        st = request_take(d, err);
    }
    if (st == WEIR_OK) {
        st = start(d, err);
    }
    d->started = d->started || st == WEIR_OK;
    return give_up(d, st, err);
}
