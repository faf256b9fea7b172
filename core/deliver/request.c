/*
 * request.c - what a person asked of this sink: to send again from an earlier
 * place, or to take over what another Weir left in the target.  The request
 * stays until the new place is stored, in the sink and here, by a batch without
 * events: a crash before repeats all of it, and leads to the same place.
 */
#include "deliver/internal.h"

#include <stdio.h>

#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "relay/origin.h"

enum weir_status
request_take(struct deliverer *d, struct weir_err *err)
{
    const enum weir_status st = request_read(&d->paths, d->request_path,
                                             &d->request, err);
    return st == WEIR_OK || st == WEIR_RETRY
               ? st
               : request_refused(d, err->text, err);
}

enum weir_status
request_refused(struct deliverer *d, const char *why, struct weir_err *err)
{
    struct weir_err ignored;

    log_warn("what was asked is refused: %s", why);
    d->request.verb = REQUEST_NONE;
    const enum weir_status st =
        answer_write(d->request_path, d->answer_path, d->request.id, false,
                     why, &ignored);
    if (st != WEIR_OK) {
        *err = ignored;
        return weir_wrap(err, WEIR_RETRY, "answer");
    }
    return WEIR_OK;
}

/* To the start of the segment that `to` is in, and on over its frames, for the
 * position that they lead to.  REJECT: that is no place to begin at. */
static enum weir_status
pass_to(struct deliverer *d, uint64_t to, struct weir_err *err)
{
    struct arena  a = { 0 };
    struct origin o;

    enum weir_status st = follower_seek(d->follower, to, err);
    if (st == WEIR_OK && follower_in_gap(d->follower)) {
        st = weir_fail(err, WEIR_REJECT,
                       "the relay has nothing at %llu any more",
                       (unsigned long long)to);
    }
    if (st == WEIR_OK) {
        st = follower_seek(d->follower, follower_segment(d->follower), err);
    }
    if (st == WEIR_OK) {
        st = origin_parse(&a, follower_origin(d->follower), &o, err);
    }
    if (st == WEIR_OK) {
        st = place_set(d, to, 0, o.gtid_set, o.file, o.file_offset, err);
    }
    arena_free(&a);
    if (st == WEIR_OK) {
        d->skip_until = to;
        d->from_segment = true;
        st = fill_pass(d, to, err);
    }
    if (st == WEIR_OK && d->at.head) {
        st = weir_fail(err, WEIR_REJECT, "no transaction begins at %llu",
                       (unsigned long long)to);
    }
    d->at.next = to;
    d->at.next_row = 0;
    return st;
}

enum weir_status
request_rewind(struct deliverer *d, struct weir_err *err)
{
    const uint64_t to = d->request.offset;

    if (d->is_new) {
        return weir_fail(err, WEIR_REJECT, "the sink has no position yet that "
                         "could be rewound");
    }
    if (to > d->found.next) {
        return weir_fail(err, WEIR_REJECT,
                         "%llu is not behind the sink, which stands at %llu: "
                         "a rewind only goes back",
                         (unsigned long long)to,
                         (unsigned long long)d->found.next);
    }
    const enum weir_status st = pass_to(d, to, err);
    if (st == WEIR_OK) {
        d->seq = to ? to - 1 : 0; /* of what the sink now counts as having */
    }
    return st;
}

enum weir_status
request_finish(struct deliverer *d, struct weir_err *err)
{
    char sentence[600];

    enum weir_status st = write_settle(d, err);
    if (st == WEIR_OK) {
        st = twoslot_write(d->local, buf_view(&d->stored), true, err);
    }
    if (st != WEIR_OK) {
        return st;
    }
    d->unsaved = false;
    struct buf gtids = { 0 };
    gtid_set_format(d->at.gtids, &gtids);
    snprintf(sentence, sizeof sentence, "%s behind %.*s (%.*s:%llu)",
             d->request.verb == REQUEST_REWIND ? "rewound to" : "taken over",
             gtids.len > 400 ? 400 : (int)gtids.len,
             gtids.len ? gtids.data : "",
             d->at.file.len > 100 ? 100 : (int)d->at.file.len,
             d->at.file.len ? d->at.file.data : "",
             (unsigned long long)d->at.file_offset);
    buf_free(&gtids);
    log_info("%s", sentence);
    st = answer_write(d->request_path, d->answer_path, d->request.id, true,
                      sentence, err);
    d->request.verb = REQUEST_NONE;
    return st == WEIR_OK ? st : weir_wrap(err, WEIR_RETRY, "answer");
}
