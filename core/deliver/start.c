/*
 * start.c - where a sink goes on: what it has stored itself, else the
 * checkpoint here, else where a new sink begins.  A position that this relay
 * does not have (its tail was lost, or all of it) is found again by GTID, and
 * transactions that the sink has are left out.
 */
#include "deliver/internal.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "deliver/aside.h"
#include "relay/origin.h"

/* ---- What is stored */

static enum weir_status
restore(struct lane *l, const char *id, uint32_t slot, struct weir_err *err)
{
    struct deliverer *d = l->d;

    l->asked = slot;
    lane_enter(l);
    const enum weir_status st =
        d->module->restore(l->in.self, str_of(id), slot, err);
    lane_leave(l);
    return st;
}

/* Each lane's own, or, by transaction, the one that all share. */
static enum weir_status
ask_lanes(struct deliverer *d, struct weir_err *err)
{
    enum weir_status st = WEIR_OK;

    for (uint32_t k = 0; st == WEIR_OK && k < d->nopen; k++) {
        struct lane *l = &d->lanes[k];
        l->found.found = false;
        st = restore(l, d->name, d->by_key ? k : 0, err);
        if (st == WEIR_OK && l->found.found) {
            struct slot       *slot = &d->slots[d->by_key ? k : 0];
            const struct slot  before = *slot;
            *slot = l->found;
            l->found = before;
        }
    }
    return st;
}

static void
look_at_slots(struct deliverer *d)
{
    d->has_found = d->slots[0].found;
    d->found_epoch = 0;
    for (uint32_t k = 0; k < MAX_LANES; k++) {
        const struct slot *s = &d->slots[k];
        if (s->found && s->epoch > d->found_epoch) {
            d->found_epoch = s->epoch;
        }
    }
}

static enum weir_status
ask_sink(struct deliverer *d, struct weir_err *err)
{
    const char *was = d->set.sink->set.was;
    char        old[140];

    for (uint32_t k = 0; k < MAX_LANES; k++) {
        d->slots[k].found = false;
    }
    look_at_slots(d);
    if (!d->keeps) {
        return WEIR_OK;
    }
    const bool all = d->asking_all || !d->started;
    d->asking_all = all;
    enum weir_status st =
        all ? restore(&d->lanes[0], d->name, WEIR_ALL_SLOTS, err)
            : ask_lanes(d, err);
    look_at_slots(d);
    if (st == WEIR_OK && d->started && d->found_epoch > d->epoch) {
        return weir_fail(err, WEIR_FENCED,
                         "its checkpoint is of epoch %llu, and ours is %llu",
                         (unsigned long long)d->found_epoch,
                         (unsigned long long)d->epoch);
    }
    /* Until something is stored under the new name. */
    if (st == WEIR_OK && !d->has_found && was) {
        d->asking_all = true;
        snprintf(old, sizeof old, "%s/%s", d->set.pipeline->name, was);
        st = restore(&d->lanes[0], old, WEIR_ALL_SLOTS, err);
        look_at_slots(d);
    }
    d->asking_all = st != WEIR_OK && all;
    return st == WEIR_OK ? st : weir_wrap(err, st, "restore");
}

static enum weir_status
is_gone(const struct deliverer *d, struct weir_err *err)
{
    return weir_fail(
        err, WEIR_FATAL,
        "the sink has no checkpoint any more, and there was one: its data was "
        "flushed, or it is another store.  adopt = on goes on from the "
        "position kept here; to begin anew, remove %s", d->checkpoint_path);
}

static enum weir_status
is_foreign(const struct progress *p, struct weir_err *err)
{
    char since[25];

    clock_format(p->time_usec, since);
    return weir_fail(err, WEIR_FATAL,
                     "the sink belongs to a Weir on %.*s since %s (or to this "
                     "one before its state was lost); adopt = on in the sink's "
                     "block takes it over and goes on from there",
                     STR_ARG(p->host), since);
}

static uint64_t
place_of(const struct progress *p)
{
    return p->next + p->next_row;
}

/* As far as the sink surely has it, whatever it is asked to send again. */
static uint64_t
start_of(const struct deliverer *d, const struct progress *p)
{
    return d->set.sink->batching.resend ? p->first + p->first_row
                                        : place_of(p);
}

/* Slot 0 says how many there are; the lowest of them into `out`. */
static enum weir_status
lowest_slot(struct deliverer *d, bool adopt, struct progress *out,
            struct weir_err *err)
{
    uint32_t         n = 1;
    enum weir_status st = WEIR_OK;

    d->slots_end = 0;
    for (uint32_t k = 0; k < n && st == WEIR_OK; k++) {
        struct slot *s = &d->slots[k];
        if (!s->found && !adopt) {
            return weir_fail(
                err, WEIR_FATAL, "the sink has lost the checkpoint of lane %u "
                "of %u: some of its data was flushed.  adopt = on goes on "
                "from the position of the others; or copy the tables anew",
                k, n);
        }
        if (!s->found) {
            continue;
        }
        st = progress_parse(buf_view(&s->blob), &s->p, err);
        if (st != WEIR_OK) {
            return weir_wrap(err, WEIR_FATAL, "checkpoint in the sink");
        }
        if (k == 0) {
            n = d->by_key && s->p.lanes > 1 ? s->p.lanes : 1;
            n = n > MAX_LANES ? MAX_LANES : n;
        }
        if (place_of(&s->p) > d->slots_end) {
            d->slots_end = place_of(&s->p);
        }
        if (k == 0 || start_of(d, &s->p) < start_of(d, out)) {
            *out = s->p;
        }
    }
    d->nfound = n;
    return st;
}

/* The stored position into `out`.  DROP: there is none. */
static enum weir_status
stored(struct deliverer *d, struct progress *out, struct weir_err *err)
{
    const struct weir_str local = twoslot_value(d->local);
    const bool            adopt = d->set.sink->set.adopt ||
                       d->request.verb == REQUEST_ADOPT;

    d->nfound = 0;
    if (!d->has_found && d->keeps && local.len && !adopt) {
        return is_gone(d, err);
    }
    if (!d->has_found && local.len == 0) {
        return WEIR_DROP;
    }
    enum weir_status st = d->has_found ? lowest_slot(d, adopt, out, err)
                                       : progress_parse(local, out, err);
    if (st != WEIR_OK) {
        return d->has_found ? st : weir_wrap(err, WEIR_FATAL, "checkpoint");
    }
    const bool ours = memcmp(out->pipeline_id, d->pipeline_id,
                             sizeof d->pipeline_id) == 0;
    return ours || adopt ? WEIR_OK : is_foreign(out, err);
}

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
        equal = equal && (!s->found || place_of(&s->p) == place_of(&first->p));
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
        l->skips = false;
        skip_free(&l->skip);
        if (d->keeps) {
            l->has = 0;
        }
        if (s->found && k < (d->by_key ? d->nfound : d->nlanes)) {
            buf_str(&l->stored, buf_view(&s->blob));
            l->acked = place_of(&s->p);
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
            l->has = start_of(d, &s->p);
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

/* ---- Places */

enum weir_status
place_set(struct deliverer *d, uint64_t next, uint32_t next_row,
          struct weir_str gtid_set, struct weir_str file, uint64_t offset,
          struct weir_err *err)
{
    gtid_set_free(&d->at.gtids);
    d->at.gtids = gtid_set_new();
    d->at.next = next;
    d->at.next_row = next_row;
    d->at.head = 0;
    d->at.file.len = 0;
    buf_str(&d->at.file, file);
    d->at.file_offset = offset;
    d->txn = NULL;
    d->txn_has_events = false;
    d->skipping = false;
    d->segment = 0;
    views_new_segment(d);
    const enum weir_status st =
        gtid_set.len ? gtid_set_add(d->at.gtids, gtid_set, err) : WEIR_OK;
    return st == WEIR_OK ? st : weir_wrap(err, WEIR_FATAL, "position");
}

static void
skip_nothing(struct deliverer *d)
{
    skip_free(&d->skip);
    d->skip_until = 0;
    d->skip_from = d->gtids_from = 0;
    d->seq_floor = 0;
    d->catching_up = d->from_segment = false;
}

/* To the oldest frame; its segment's origin.  DROP: the relay is empty. */
static enum weir_status
seek_first(struct deliverer *d, struct arena *a, uint64_t *first,
           struct origin *o, struct weir_err *err)
{
    enum weir_status st = follower_first(d->follower, first, err);

    if (st == WEIR_OK) {
        st = follower_seek(d->follower, *first, err);
    }
    if (st == WEIR_OK) {
        st = origin_parse(a, follower_origin(d->follower), o, err);
    }
    return st;
}

static bool
origin_is_before(const struct origin *o, const struct progress *p,
                 struct weir_err *err)
{
    struct gtid_set *have = gtid_set_new(), *before = gtid_set_new();
    bool             covered = false;

    if (p->gtid_set.len) {
        covered = gtid_set_add(have, p->gtid_set, err) == WEIR_OK &&
                  (o->gtid_set.len == 0 ||
                   gtid_set_add(before, o->gtid_set, err) == WEIR_OK) &&
                  gtid_set_covers(have, before);
    } else if (o->file.len == p->file.len && o->file.len > 0) {
        const int c = memcmp(o->file.data, p->file.data, o->file.len);
        covered = c < 0 || (c == 0 && o->file_offset <= p->file_offset);
    }
    gtid_set_free(&have);
    gtid_set_free(&before);
    return covered;
}

/* Goes on behind what is stored, wherever that stands now. */
static enum weir_status
start_by_gtid(struct deliverer *d, const struct progress *p,
              struct weir_err *err)
{
    struct arena  a = { 0 };
    struct origin o;
    uint64_t      first;

    enum weir_status st = seek_first(d, &a, &first, &o, err);
    if (st == WEIR_OK && !origin_is_before(&o, p, err)) {
        st = weir_fail(
            err, WEIR_FATAL,
            "the sink stands at %.*s (%.*s:%llu), and the relay begins behind "
            "%.*s (%.*s:%llu): what is between is not here.  Stop weir, empty "
            "%s/%s and start with adopt = on, so that it is read from the "
            "source again; or copy the tables anew",
            STR_ARG(p->gtid_set), STR_ARG(p->file),
            (unsigned long long)p->file_offset, STR_ARG(o.gtid_set),
            STR_ARG(o.file), (unsigned long long)o.file_offset, d->set.state,
            d->set.pipeline->name);
    }
    if (st == WEIR_OK) {
        st = place_set(d, first, 0, p->gtid_set, p->file, p->file_offset, err);
    }
    if (st == WEIR_OK) {
        d->skip.gtids = gtid_set_copy(d->at.gtids);
        buf_str(&d->skip.file, p->file);
        d->skip.offset = p->file_offset;
        d->seq_floor = p->seq;
        d->catching_up = d->from_segment = true;
        log_info("goes on behind %.*s (%.*s:%llu), found by %s%s",
                 STR_ARG(p->gtid_set), STR_ARG(p->file),
                 (unsigned long long)p->file_offset,
                 p->gtid_set.len ? "GTID" : "file and offset",
                 p->head ? "; the transaction it stood in is sent again from "
                           "its start" : "");
    }
    arena_free(&a);
    return st;
}

static enum weir_status
start_at(struct deliverer *d, const struct progress *p, struct weir_err *err)
{
    const bool     resend = d->set.sink->batching.resend;
    const uint64_t next = resend ? p->first : p->next;

    const bool ours = memcmp(p->pipeline_id, d->pipeline_id,
                             sizeof d->pipeline_id) == 0;
    enum weir_status st = ours ? follower_seek(d->follower, next, err)
                               : WEIR_REJECT;
    if (st == WEIR_RETRY) {
        return st;
    }
    if (st != WEIR_OK || follower_in_gap(d->follower)) {
        return start_by_gtid(d, p, err);
    }
    st = place_set(d, next, resend ? p->first_row : p->next_row, p->gtid_set,
                   p->file, p->file_offset, err);
    d->txn_has_events = !resend && p->head;
    if (st == WEIR_OK && p->gtid_set.len) {
        /* Of domains or servers that interleave, what comes may be there. */
        d->skip.gtids = gtid_set_copy(d->at.gtids);
        d->skip_from = d->gtids_from =
            p->gtid_from > p->next ? p->gtid_from : p->next;
    }
    return st;
}

/* Behind all that is published: the frames of the last segment are passed over
 * for the position that they lead to. */
static enum weir_status
start_now(struct deliverer *d, struct weir_err *err)
{
    struct arena   a = { 0 };
    struct origin  o;
    /* After a RETRY nothing is stored yet, and "now" is still what it was. */
    const uint64_t end = d->now ? d->now : follower_published(d->follower);

    enum weir_status st = follower_seek(d->follower, end, err);
    if (st == WEIR_OK) {
        st = follower_seek(d->follower, follower_segment(d->follower), err);
    }
    if (st == WEIR_OK) {
        st = origin_parse(&a, follower_origin(d->follower), &o, err);
    }
    if (st == WEIR_OK && origin_lacks(&o, d->set.sink->set.tables)) {
        st = WEIR_DROP; /* the source worker is about to begin a new segment */
    }
    if (st == WEIR_OK) {
        st = place_set(d, follower_offset(d->follower), 0, o.gtid_set, o.file,
                       o.file_offset, err);
        d->now = d->skip_until = end;
        d->catching_up = d->from_segment = true;
    }
    arena_free(&a);
    return st;
}

static enum weir_status
start_new(struct deliverer *d, struct weir_err *err)
{
    struct arena  a = { 0 };
    struct origin o;
    uint64_t      first;

    if (d->set.sink->set.start == CONF_START_NOW) {
        return start_now(d, err);
    }
    enum weir_status st = seek_first(d, &a, &first, &o, err);
    if (st == WEIR_OK) {
        const char *lacks = origin_lacks(&o, d->set.sink->set.tables);
        st = lacks ? weir_fail(err, WEIR_FATAL,
                               "the relay did not keep %s from its beginning "
                               "on: start = now in the sink's block begins "
                               "with what comes", lacks)
                   : place_set(d, first, 0, o.gtid_set, o.file, o.file_offset,
                               err);
        d->from_segment = true;
    }
    arena_free(&a);
    return st;
}

/* ---- The order of things */

static enum weir_status
find_place(struct deliverer *d, struct weir_err *err)
{
    enum weir_status st = ask_sink(d, err);

    if (st != WEIR_OK) {
        return st;
    }
    st = stored(d, &d->found, err);
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
    skip_nothing(d);
    if (d->request.verb == REQUEST_REWIND) {
        enum weir_status st = request_rewind(d, err);
        if (st != WEIR_REJECT) {
            return st;
        }
        st = request_refused(d, err->text, err);
        if (st != WEIR_OK) {
            return st;
        }
        skip_nothing(d);
    }
    return d->is_new ? start_new(d, err) : start_at(d, &d->found, err);
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
    fill_leave_frame(d);
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
