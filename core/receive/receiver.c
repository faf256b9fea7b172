/*
 * receiver.c - what each event of the stream means: where the source stands,
 * where transactions begin and end, and what a statement is.
 */
#include "receive/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "receive/xa.h"
#include "relay/origin.h"

enum { SECOND = 1000000, CHECKSUM_TRIES = 3 };

void
position_copy(struct position *to, const struct position *from)
{
    gtid_set_free(&to->gtids);
    gtid_set_free(&to->told);
    to->gtids = gtid_set_copy(from->gtids);
    to->told = gtid_set_copy(from->told);
    to->file.len = 0;
    buf_str(&to->file, buf_view(&from->file));
    to->offset = from->offset;
}

void
position_free(struct position *p)
{
    gtid_set_free(&p->gtids);
    gtid_set_free(&p->told);
    buf_free(&p->file);
}

void
position_told(struct position *p)
{
    gtid_set_free(&p->told);
    p->told = gtid_set_copy(p->gtids);
}

struct receiver *
receiver_new(const struct receiver_settings *settings)
{
    struct receiver *r = xcalloc(1, sizeof *r);

    r->set = *settings;
    r->inflater = binlog_inflater_new();
    r->at.gtids = gtid_set_new();
    r->at.told = gtid_set_new();
    r->xa = xa_new(settings->xa_dir, settings->max_transaction);
    binlog_stream_init(&r->stream);
    return r;
}

void
receiver_free(struct receiver **rp)
{
    struct receiver *r = *rp;

    if (!r) {
        return;
    }
    tables_free(r);
    savepoints_free(r);
    temporary_free(r);
    xa_free(&r->xa);
    binlog_inflater_free(&r->inflater);
    position_free(&r->at);
    position_free(&r->hold.before);
    buf_free(&r->hold.file);
    buf_free(&r->inflated);
    buf_free(&r->payload);
    buf_free(&r->server_id);
    buf_free(&r->server_version);
    free(r->dir);
    free(r->page_path);
    buf_free(&r->floor_file);
    buf_free(&r->halves);
    arena_free(&r->call);
    free(r);
    *rp = NULL;
}

void
receiver_origin(void *receiver, struct buf *out)
{
    const struct receiver *r = receiver;
    struct buf             gtids = { 0 }, definitions = { 0 };

    /* A sink that has read all frames before it has to have all of these. */
    gtid_set_format(r->at.told, &gtids);
    follow_save(r, &definitions);
    const struct origin o = {
        .server = buf_view(&r->server_id),
        .version = buf_view(&r->server_version),
        .gtid_set = buf_view(&gtids),
        .file = buf_view(&r->at.file),
        .file_offset = r->txn.open ? r->txn.start : r->at.offset,
        .kept = r->set.kept,
        .definitions = buf_view(&definitions),
    };
    origin_format(&o, out);
    buf_free(&gtids);
    buf_free(&definitions);
}

bool
receiver_full(const struct receiver *r)
{
    return r->full;
}

static void
show_position(struct receiver *r)
{
    struct worker_page *page = r->set.page;
    struct buf          gtids = { 0 };

    gtid_set_format(r->at.gtids, &gtids);
    page_set_text(page, PAGE_GTID, buf_view(&gtids));
    page_set_text(page, PAGE_FILE, buf_view(&r->at.file));
    atomic_store(&page->file_offset, r->at.offset);
    atomic_store(&page->relay_offset, relay_published(r->relay));
    buf_free(&gtids);
}

static enum weir_status
housekeeping(struct receiver *r, struct weir_err *err)
{
    const int64_t now = clock_steady();

    page_beat(r->set.page);
    const uint64_t published = relay_published(r->relay);
    if (now < r->retain_at && published < r->retain_offset) {
        return WEIR_OK;
    }
    r->retain_at = now + SECOND / 2;
    r->retain_offset = published + (uint64_t)r->set.retain_bytes;
    enum weir_status st = relay_tick(r->relay, err);
    if (st == WEIR_OK) {
        st = xa_tick(r, err);
    }
    return st == WEIR_OK && r->set.retain
               ? r->set.retain(r->set.arg, &r->full, err)
               : st;
}

enum weir_status
receiver_look_for_room(struct receiver *r, struct weir_err *err)
{
    r->retain_at = 0;
    return housekeeping(r, err);
}

enum weir_status
receiver_publish(struct receiver *r, struct weir_err *err)
{
    const enum weir_status st = relay_publish(r->relay, err);

    return st == WEIR_OK ? housekeeping(r, err) : st;
}

/* Each second without a transaction to show it: so far has been read. */
static enum weir_status
heartbeat(struct receiver *r, struct weir_err *err)
{
    const int64_t now = clock_steady();

    if (r->txn.open || r->hold.active || !r->positioned || r->need_origin ||
        now < r->heartbeat_at || floor_is_above(r)) {
        return WEIR_OK;
    }
    r->heartbeat_at = now + SECOND;
    const enum weir_status st = receiver_mark(r, r->at.offset, 0, err);
    if (st == WEIR_OK) {
        relay_commit(r->relay);
    }
    return st;
}

static enum weir_status
feed_flush(void *arg, struct weir_err *err)
{
    struct receiver *r = arg;

    enum weir_status st = hold_check(r, err);
    if (st == WEIR_OK) {
        st = heartbeat(r, err);
    }
    if (st == WEIR_OK) {
        st = receiver_publish(r, err);
        show_position(r);
    }
    return st;
}

static enum weir_status
feed_position(void *arg, struct weir_str gtid_set, struct weir_str file,
              uint64_t offset, struct weir_err *err)
{
    struct receiver *r = arg;

    /* Left where the disk refused to cut it when the last connection ended. */
    if (r->hold.active) {
        return hold_abandon(r, err);
    }
    const enum weir_status cut = relay_cut(r->relay, err);
    if (cut != WEIR_OK) {
        return cut;
    }
    if (!r->positioned && relay_is_new(r->relay)) {
        const enum weir_status st =
            receiver_begin(r, gtid_set, file, offset, err);
        if (st != WEIR_OK) {
            return st;
        }
        log_info("begins at %.*s%s%.*s:%llu", STR_ARG(gtid_set),
                 gtid_set.len ? ", " : "", STR_ARG(file),
                 (unsigned long long)offset);
        r->need_origin = gtid_set_empty(r->at.gtids);
    } else if (file.len || r->moved) { /* files are of one server only */
        r->at.file.len = 0;
        buf_str(&r->at.file, file);
        r->at.offset = offset;
    }
    const enum weir_status moved = server_settle(r, err);
    if (moved != WEIR_OK) {
        return moved;
    }
    r->positioned = true;
    floor_set(r);
    binlog_stream_init(&r->stream);
    tables_forget_ids(r);
    page_set_state(r->set.page, PAGE_RUNNING, NULL);
    return feed_flush(r, err);
}

/* By the header of the first segment, which is still to be written: where one is
 * there, sinks may have read it, and a frame has to tell them. */
static void
told_by_header(struct receiver *r)
{
    if (relay_first(r->relay) == relay_end(r->relay)) {
        position_told(&r->at);
    }
}

enum weir_status
receiver_begin(struct receiver *r, struct weir_str gtid_set,
               struct weir_str file, uint64_t offset, struct weir_err *err)
{
    if (gtid_set.len) {
        const enum weir_status st = gtid_set_add(r->at.gtids, gtid_set, err);
        told_by_header(r);
        if (st != WEIR_OK) {
            return weir_wrap(err, WEIR_FATAL, "the position to begin at");
        }
    }
    r->at.file.len = 0;
    buf_str(&r->at.file, file);
    r->at.offset = offset;
    return WEIR_OK;
}

void
receiver_position(const struct receiver *r, struct buf *gtid_set,
                  struct weir_str *file, uint64_t *offset)
{
    gtid_set_format(r->at.gtids, gtid_set);
    *file = buf_view(&r->at.file);
    *offset = r->at.offset;
}

enum weir_status
receiver_disconnected(struct receiver *r, struct weir_err *err)
{
    enum weir_status st = WEIR_OK;

    if (r->hold.active) {
        st = hold_abandon(r, err);
        st = st == WEIR_RETRY ? WEIR_OK : st;
    } else if (r->txn.open) {
        r->at.offset = r->txn.start;
        st = relay_cut(r->relay, err);
    }
    follow_undo(r);
    r->txn = (struct transaction){ 0 };
    tables_forget_ids(r);
    floor_restore(r);
    if (st != WEIR_OK) {
        return st;
    }
    r->heartbeat_at = 0;
    st = heartbeat(r, err); /* what was read without leaving a frame */
    return st == WEIR_OK ? receiver_publish(r, err) : st;
}

/* ---- Events */

static enum weir_status
on_rotate(struct receiver *r, const struct binlog_event *ev,
          struct weir_err *err)
{
    struct binlog_rotate rotate;
    uint8_t              fixed[8];
    uint64_t             segment, offset;

    enum weir_status st = binlog_rotate_parse(ev, &rotate, err);
    if (st != WEIR_OK) {
        return weir_wrap(err, WEIR_FATAL, "ROTATE event");
    }
    const bool same = str_eq(rotate.file, buf_view(&r->at.file));
    if (!same && r->txn.open) { /* no file ends in one but by a crash */
        r->txn.gtid[0] = '\0';
        st = transaction_rollback(r, err);
        if (st != WEIR_OK) {
            return st;
        }
    }
    r->at.file.len = 0;
    buf_str(&r->at.file, rotate.file);
    /* By GTID the server begins at the head of the file that it searches. */
    if (!same || rotate.position > r->at.offset) {
        r->at.offset = rotate.position;
    }
    if (same || r->txn.open || r->hold.active || floor_is_above(r)) {
        return WEIR_OK;
    }
    put_le64(fixed, rotate.position);
    const struct iovec parts[] = { { fixed, sizeof fixed },
                                   { r->at.file.data, r->at.file.len } };
    st = relay_reserve(r->relay, sizeof fixed + r->at.file.len, 1, &segment,
                       err);
    if (st == WEIR_OK) {
        st = relay_append(r->relay, FRAME_ROTATE, 0, parts, 2, &offset, err);
    }
    if (st == WEIR_OK) {
        relay_commit(r->relay);
    }
    return st;
}

static enum weir_status
on_gtid(struct receiver *r, const struct binlog_event *ev,
        struct weir_err *err)
{
    struct binlog_gtid gtid;

    enum weir_status st = binlog_gtid_parse(ev, &gtid, err);
    if (st != WEIR_OK) {
        return weir_wrap(err, WEIR_FATAL, "GTID event");
    }
    st = transaction_begin(r, gtid.text, ev, gtid.commit_usec, gtid.thread_id,
                           err);
    if (st == WEIR_OK) {
        /* MariaDB's takes the place of BEGIN, unless one statement is all. */
        r->txn.begun =
            ev->type == BINLOG_MARIADB_GTID && !gtid.standalone;
        r->txn.xa = gtid.prepared_xa;
        r->txn.not_done = gtid.not_done;
    }
    return st;
}

static enum weir_status
on_gtid_list(struct receiver *r, const struct binlog_event *ev,
             struct weir_err *err)
{
    struct buf text = { 0 };

    if (!r->need_origin) {
        return WEIR_OK;
    }
    r->need_origin = false;
    enum weir_status st = binlog_gtid_list_parse(ev, &text, err);
    if (st == WEIR_OK && text.len) {
        st = gtid_set_add(r->at.gtids, buf_view(&text), err);
        told_by_header(r);
    }
    buf_free(&text);
    return st == WEIR_OK ? st : weir_wrap(err, WEIR_FATAL, "list of GTIDs");
}

static enum weir_status on_event(struct receiver *r,
                                 const struct binlog_event *ev,
                                 struct weir_err *err);

static enum weir_status
on_payload(struct receiver *r, const struct binlog_event *ev,
           struct weir_err *err)
{
    enum weir_status st = binlog_inflate_payload(
        r->inflater, ev, (size_t)r->set.max_event, &r->payload, err);
    const char *p = r->payload.data;
    size_t      left = r->payload.len;

    while (st == WEIR_OK && left > 0) {
        struct binlog_event inner;
        st = binlog_event_parse_inner(&r->stream, p, left, &inner, err);
        if (st == WEIR_OK && inner.type == BINLOG_TRANSACTION_PAYLOAD) {
            st = weir_fail(err, WEIR_REJECT, "a payload inside a payload");
        }
        if (st == WEIR_OK) {
            st = on_event(r, &inner, err);
            p += inner.len;
            left -= inner.len;
        }
    }
    return st == WEIR_REJECT ? weir_wrap(err, WEIR_FATAL,
                                         "compressed transaction") : st;
}

static enum weir_status
on_heartbeat(struct receiver *r, const struct binlog_event *ev,
             struct weir_err *err)
{
    struct binlog_rotate at;

    const enum weir_status st =
        binlog_heartbeat_parse(&r->stream, ev, &at, err);
    if (st != WEIR_OK) {
        return weir_wrap(err, WEIR_FATAL, "HEARTBEAT event");
    }
    if (!r->txn.open && at.file.len && at.position > r->at.offset &&
        str_eq(at.file, buf_view(&r->at.file))) {
        r->at.offset = at.position;
    }
    return WEIR_OK;
}

static enum weir_status
on_other(struct receiver *r, const struct binlog_event *ev,
         struct weir_err *err)
{
    struct weir_str message;

    switch (ev->type) {
    case BINLOG_INCIDENT:
        if (binlog_incident_parse(ev, &message, err) != WEIR_OK) {
            message = STR("no message");
        }
        return weir_fail(
            err, WEIR_FATAL,
            "%.*s:%llu: the server logged an incident (\"%.*s\"): changes may "
            "be missing from its log.  Copy the tables anew and begin behind "
            "it", STR_ARG(buf_view(&r->at.file)),
            (unsigned long long)r->at.offset, STR_ARG(message));
    case BINLOG_STOP:
    case BINLOG_INTVAR:
    case BINLOG_RAND:
    case BINLOG_USER_VAR:
    case BINLOG_IGNORABLE:
    case BINLOG_ROWS_QUERY:
    case BINLOG_ANNOTATE_ROWS:
    case BINLOG_CHECKPOINT:
    case BINLOG_START_ENCRYPTION:
    case BINLOG_TRANSACTION_CONTEXT:
    case BINLOG_VIEW_CHANGE:
        return WEIR_OK;
    default:
        break;
    }
    if (ev->flags & BINLOG_F_IGNORABLE) {
        return WEIR_OK;
    }
    return weir_fail(err, WEIR_FATAL,
                     "%.*s:%llu: event type %d, which this version does not "
                     "know and which may not be passed over: a newer weir is "
                     "needed", STR_ARG(buf_view(&r->at.file)),
                     (unsigned long long)r->at.offset, (int)ev->type);
}

static enum weir_status
on_format(struct receiver *r, const struct binlog_event *ev,
          struct weir_err *err)
{
    tables_forget_ids(r);
    /* `created` is set at a server's start: what it had not finished before is
     * rolled back. */
    if (ev->body_len < 56 || get_le32(ev->body + 52) == 0) {
        return WEIR_OK;
    }
    temporary_end_all(r);
    if (!r->txn.open) {
        return WEIR_OK;
    }
    r->txn.gtid[0] = '\0';
    return transaction_rollback(r, err);
}

static enum weir_status
on_event(struct receiver *r, const struct binlog_event *ev,
         struct weir_err *err)
{
    if (binlog_is_rows(ev->type)) {
        return transaction_rows(r, ev, err);
    }
    switch (ev->type) {
    case BINLOG_TABLE_MAP:
        return tables_map(r, ev, err);
    case BINLOG_XID:
        return transaction_commit(r, err);
    case BINLOG_QUERY:
    case BINLOG_QUERY_COMPRESSED:
        return statement_event(r, ev, err);
    case BINLOG_GTID:
    case BINLOG_GTID_TAGGED:
    case BINLOG_ANONYMOUS_GTID:
    case BINLOG_MARIADB_GTID:
        return on_gtid(r, ev, err);
    case BINLOG_GTID_LIST:
    case BINLOG_PREVIOUS_GTIDS:
        return on_gtid_list(r, ev, err);
    case BINLOG_ROTATE:
        return on_rotate(r, ev, err);
    case BINLOG_FORMAT:
        return on_format(r, ev, err);
    case BINLOG_HEARTBEAT:
    case BINLOG_HEARTBEAT_V2:
        return on_heartbeat(r, ev, err);
    case BINLOG_XA_PREPARE:
        return statement_xa_prepare(r, ev, err);
    case BINLOG_TRANSACTION_PAYLOAD:
        return on_payload(r, ev, err);
    default:
        return on_other(r, ev, err);
    }
}

/* A header's position has 32 bits only; files may be larger. */
static void
move(struct receiver *r, const struct binlog_event *ev)
{
    if (ev->log_pos == 0 || (ev->flags & BINLOG_F_ARTIFICIAL) ||
        ev->type == BINLOG_HEARTBEAT || ev->type == BINLOG_HEARTBEAT_V2) {
        return;
    }
    uint64_t at = (r->at.offset & ~(uint64_t)UINT32_MAX) | ev->log_pos;
    if (at + ((uint64_t)1 << 31) < r->at.offset) {
        at += (uint64_t)1 << 32;
    }
    if (at > r->at.offset) { /* the head of a file is sent again, too */
        r->at.offset = at;
    }
}

/* Damaged on its way, it is right the next time; in the file, it is not.  What
 * stands before it is right each time, so it is the place that counts. */
static enum weir_status
bad_event(struct receiver *r, struct weir_err *err)
{
    if (r->at.offset != r->bad_offset) {
        r->bad_offset = r->at.offset;
        r->bad_tries = 0;
    }
    r->bad_tries++;
    return weir_wrap(err,
                     r->bad_tries < CHECKSUM_TRIES ? WEIR_RETRY : WEIR_FATAL,
                     "event behind %.*s:%llu", STR_ARG(buf_view(&r->at.file)),
                     (unsigned long long)r->at.offset);
}

static enum weir_status
feed_binlog(void *arg, const void *event, size_t len, struct weir_err *err)
{
    struct receiver    *r = arg;
    struct binlog_event ev;

    if (len > (uint64_t)r->set.max_event) {
        return weir_fail(err, WEIR_FATAL,
                         "an event of %zu bytes behind %.*s:%llu: more than "
                         "relay { max_event }", len,
                         STR_ARG(buf_view(&r->at.file)),
                         (unsigned long long)r->at.offset);
    }
    enum weir_status st = binlog_event_parse(&r->stream, event, len, &ev, err);
    if (st != WEIR_OK) {
        return bad_event(r, err);
    }
    CRASH_POINT("receive.event");
    arena_reset(&r->call);
    move(r, &ev);
    atomic_fetch_add_explicit(&r->set.page->bytes, len, memory_order_relaxed);
    return on_event(r, &ev, err);
}

const struct feed_ops receiver_feed_ops = {
    .server = server_feed,
    .host = server_feed_host,
    .diverged = diverged_feed,
    .position = feed_position,
    .binlog = feed_binlog,
    .flush = feed_flush,
    .define = tables_define,
    .define_key = tables_define_key,
    .define_index = tables_define_index,
    .define_defaults = tables_define_defaults,
    .define_at = tables_define_at,
};
