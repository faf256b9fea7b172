/*
 * stored.c - what a sink has stored: its slots, or the checkpoint here, whether
 * they are this pipeline's, and how far it surely is.  Knows no relay.
 */
#include "deliver/internal.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"

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

enum weir_status
stored_ask(struct deliverer *d, struct weir_err *err)
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

uint64_t
stored_place(const struct progress *p)
{
    return p->next + p->next_row;
}

uint64_t
stored_start(const struct deliverer *d, const struct progress *p)
{
    return d->set.sink->batching.resend ? p->first + p->first_row
                                        : stored_place(p);
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
        if (stored_place(&s->p) > d->slots_end) {
            d->slots_end = stored_place(&s->p);
        }
        if (k == 0 || stored_start(d, &s->p) < stored_start(d, out)) {
            *out = s->p;
        }
    }
    d->nfound = n;
    return st;
}

enum weir_status
stored_find(struct deliverer *d, struct progress *out, struct weir_err *err)
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
