/*
 * place.c - where in the relay a sink goes on.  A position that this relay does
 * not have (its tail was lost, or all of it) is found again by GTID, and
 * transactions that the sink has are left out; a new sink begins with what the
 * relay keeps, or with what comes.
 */
#include "deliver/internal.h"

#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "relay/origin.h"

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

void
place_clear(struct deliverer *d)
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

enum weir_status
place_again(struct deliverer *d, const struct progress *p, struct weir_err *err)
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

enum weir_status
place_first(struct deliverer *d, struct weir_err *err)
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
