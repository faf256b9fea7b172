/*
 * transaction.c - the frames of one transaction: its head before the first
 * thing that is kept of it, tables before their first use in a segment, rows,
 * DDL, and the commit.  A transaction of which nothing is kept leaves no frame.
 */
#include "receive/internal.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/str.h"
#include "receive/xa.h"

enum { HEAD_FIXED = 48, COMMIT_BYTES = 16, PUBLISH_BYTES = 256 << 10 };

/* MariaDB never sends twice what is before a position, so this is another
 * transaction under a number that was used or passed: without
 * gtid_strict_mode, its log may hold such, and then no position is sure. */
static enum weir_status
goes_back(const struct receiver *r, const char *gtid, struct weir_err *err)
{
    struct buf have = { 0 };

    gtid_set_format(r->at.gtids, &have);
    const enum weir_status st = weir_fail(
        err, WEIR_FATAL,
        "%.*s:%llu: GTID %s comes after %.*s: sequence numbers of a domain go "
        "back in this log, so that positions by GTID would leave transactions "
        "out.  Give each server that writes a gtid_domain_id of its own (and "
        "set gtid_strict_mode=ON), copy the tables anew and begin behind it",
        STR_ARG(buf_view(&r->at.file)), (unsigned long long)r->at.offset, gtid,
        STR_ARG(buf_view(&have)));
    buf_free(&have);
    return st;
}

enum weir_status
transaction_begin(struct receiver *r, const char *gtid,
                  const struct binlog_event *ev, int64_t commit_usec,
                  uint32_t thread_id, struct weir_err *err)
{
    if (r->txn.open) {
        return weir_fail(err, WEIR_RETRY,
                         "a transaction begins at %.*s:%llu before the last "
                         "one has ended; reading it again",
                         STR_ARG(buf_view(&r->at.file)),
                         (unsigned long long)r->at.offset);
    }
    if (r->full) {
        return weir_fail(err, WEIR_RETRY, "the relay is full");
    }
    xa_discard(r);
    r->txn = (struct transaction){
        .open = true,
        .commit_usec =
            commit_usec ? commit_usec : (int64_t)ev->timestamp * 1000000,
        .received_usec = clock_usec(),
        .server_id = ev->server_id,
        .thread_id = thread_id,
        .start = r->at.offset - ev->len,
    };
    r->need_origin = false;
    r->halves.len = 0;
    snprintf(r->txn.gtid, sizeof r->txn.gtid, "%s", gtid);
    savepoints_begin(r);
    r->txn.skip = *gtid && gtid_set_has(r->at.gtids, str_of(gtid));
    return r->txn.skip && ev->type == BINLOG_MARIADB_GTID
               ? goes_back(r, gtid, err)
               : WEIR_OK;
}

static size_t
head_size(const struct receiver *r)
{
    return HEAD_FIXED + strlen(r->txn.gtid) + r->at.file.len +
           r->server_id.len;
}

static enum weir_status
append_head(struct receiver *r, uint64_t segment, struct weir_err *err)
{
    uint8_t      fixed[HEAD_FIXED] = { 0 };
    const size_t gtid_len = strlen(r->txn.gtid);

    put_le64(fixed, r->txn.start);
    put_le64(fixed + 8, (uint64_t)r->txn.commit_usec);
    put_le64(fixed + 16, (uint64_t)r->txn.received_usec);
    put_le32(fixed + 32, r->txn.server_id);
    put_le32(fixed + 36, r->txn.thread_id);
    put_le16(fixed + 40, (uint16_t)gtid_len);
    put_le16(fixed + 42, (uint16_t)r->at.file.len);
    put_le16(fixed + 44, (uint16_t)r->server_id.len);
    const struct iovec parts[] = { { fixed, sizeof fixed },
                                   { r->txn.gtid, gtid_len },
                                   { r->at.file.data, r->at.file.len },
                                   { r->server_id.data, r->server_id.len } };
    const enum weir_status st =
        relay_append(r->relay, FRAME_TXN_HEAD,
                     r->txn.written ? FRAME_CONTINUED : 0, parts, 4,
                     &r->txn.head, err);
    r->txn.segment = segment;
    r->txn.written = true;
    return st;
}

/* The head in the segment where `bytes` more will stand. */
static enum weir_status
reserve(struct receiver *r, size_t bytes, int nframes, uint64_t *segment,
        struct weir_err *err)
{
    const enum weir_status st =
        relay_reserve(r->relay, bytes + head_size(r), nframes + 1, segment,
                      err);
    if (st != WEIR_OK) {
        return st;
    }
    return r->txn.written && r->txn.segment == *segment
               ? WEIR_OK
               : append_head(r, *segment, err);
}

void
transaction_copy_header(const struct binlog_event *ev, uint8_t *out)
{
    memcpy(out, ev->data, BINLOG_HEADER);
    put_le32(out + 9, (uint32_t)(BINLOG_HEADER + ev->body_len));
}

/* `event` in two parts. */
static enum weir_status
put_row(struct receiver *r, const struct row_table *t, struct iovec header,
        struct iovec body, struct weir_err *err)
{
    uint8_t  prefix[24];
    uint64_t segment, offset;

    enum weir_status st =
        reserve(r, t->payload.len + sizeof prefix + header.iov_len +
                       body.iov_len, 2, &segment, err);
    if (st == WEIR_OK && *t->segment != segment) {
        const struct iovec part = { (void *)t->payload.data, t->payload.len };
        st = relay_append(r->relay, FRAME_TABLE,
                          t->flags | (*t->segment ? FRAME_CONTINUED : 0),
                          &part, 1, t->frame, err);
        *t->segment = segment;
    }
    if (st != WEIR_OK) {
        return st;
    }
    put_le64(prefix, r->txn.head);
    put_le64(prefix + 8, *t->frame);
    put_le64(prefix + 16, r->at.offset);
    const struct iovec parts[] = { { prefix, sizeof prefix }, header, body };
    CRASH_POINT("receive.row");
    r->txn.rows++;
    return relay_append(r->relay, FRAME_ROW, 0, parts, 3, &offset, err);
}

enum weir_status
transaction_put_row(struct receiver *r, const struct row_table *t,
                    struct weir_str event, struct weir_err *err)
{
    return put_row(r, t, (struct iovec){ (void *)event.data, event.len },
                   (struct iovec){ NULL, 0 }, err);
}

static enum weir_status
append_rows(struct receiver *r, const struct binlog_event *ev,
            struct known_table *t, struct weir_err *err)
{
    uint8_t header[BINLOG_HEADER];

    const enum weir_status st = tables_prepare(r, t, err);
    if (st != WEIR_OK || r->txn.xa) {
        return st == WEIR_OK ? xa_row(r, t, ev, err) : st;
    }
    const struct row_table table = { .payload = buf_view(&t->payload),
                                     .segment = &t->segment,
                                     .frame = &t->frame };
    transaction_copy_header(ev, header);
    return put_row(r, &table, (struct iovec){ header, sizeof header },
                   (struct iovec){ (void *)ev->body, ev->body_len }, err);
}

enum weir_status
transaction_rows(struct receiver *r, const struct binlog_event *ev,
                 struct weir_err *err)
{
    const uint64_t      id = binlog_table_id(ev->body, ev->body_len);
    struct known_table *t = tables_find(r, id);

    if (r->txn.skip || r->txn.left_out || (t && !t->wanted)) {
        return !r->txn.skip && r->txn.xa && t ? xa_left_out(r, t, err)
                                                : WEIR_OK;
    }
    if (!t) {
        /* 0x00ffffff without rows only says that a statement has ended. */
        return id == 0xffffff
                   ? WEIR_OK
                   : weir_fail(err, WEIR_RETRY,
                               "rows of table id %llu at %.*s:%llu without "
                               "its TABLE_MAP; reading the transaction again",
                               (unsigned long long)id,
                               STR_ARG(buf_view(&r->at.file)),
                               (unsigned long long)r->at.offset);
    }
    if (!r->txn.open) {
        return weir_fail(err, WEIR_FATAL,
                         "rows of %s.%s at %.*s:%llu outside of any "
                         "transaction: the log is damaged",
                         t->schema, t->name, STR_ARG(buf_view(&r->at.file)),
                         (unsigned long long)r->at.offset);
    }
    if (!savepoints_keep_row(r)) {
        return WEIR_OK;
    }
    if (!binlog_is_compressed(ev->type)) {
        return append_rows(r, ev, t, err);
    }
    enum weir_status st = binlog_inflate_rows(
        r->inflater, ev, (size_t)r->set.max_event, &r->inflated, err);
    if (st != WEIR_OK) {
        return weir_wrap(err, WEIR_FATAL, "%.*s:%llu",
                         STR_ARG(buf_view(&r->at.file)),
                         (unsigned long long)r->at.offset);
    }
    struct binlog_event plain;
    st = binlog_event_parse_inner(&r->stream, r->inflated.data,
                                  r->inflated.len, &plain, err);
    return st == WEIR_OK ? append_rows(r, &plain, t, err) : st;
}

static enum weir_status
put_ddl(struct receiver *r, struct iovec header, struct iovec body,
        struct weir_err *err)
{
    uint8_t  prefix[16];
    uint64_t segment, offset;

    const enum weir_status st =
        reserve(r, sizeof prefix + header.iov_len + body.iov_len, 1, &segment,
                err);
    if (st != WEIR_OK) {
        return st;
    }
    CRASH_POINT("receive.ddl");
    put_le64(prefix, r->txn.head);
    put_le64(prefix + 8, r->at.offset);
    const struct iovec parts[] = { { prefix, sizeof prefix }, header, body };
    return relay_append(r->relay, FRAME_DDL, 0, parts, 3, &offset, err);
}

enum weir_status
transaction_put_ddl(struct receiver *r, struct weir_str event,
                    struct weir_err *err)
{
    return put_ddl(r, (struct iovec){ (void *)event.data, event.len },
                   (struct iovec){ NULL, 0 }, err);
}

enum weir_status
transaction_ddl(struct receiver *r, const struct binlog_event *ev,
                struct weir_err *err)
{
    uint8_t header[BINLOG_HEADER];

    if (r->txn.skip) {
        return WEIR_OK;
    }
    if (r->txn.xa) {
        return xa_statement(r, ev, err);
    }
    transaction_copy_header(ev, header);
    return put_ddl(r, (struct iovec){ header, sizeof header },
                   (struct iovec){ (void *)ev->body, ev->body_len }, err);
}

static enum weir_status
append_commit(struct receiver *r, struct weir_err *err)
{
    uint8_t  fixed[COMMIT_BYTES];
    uint64_t segment, offset;

    const enum weir_status st = reserve(r, sizeof fixed, 1, &segment, err);
    if (st != WEIR_OK) {
        return st;
    }
    put_le64(fixed, r->txn.head);
    put_le64(fixed + 8, r->at.offset);
    const struct iovec part = { fixed, sizeof fixed };
    return relay_append(r->relay, FRAME_COMMIT,
                        r->hold.active ? FRAME_HELD : 0, &part, 1, &offset,
                        err);
}

enum weir_status
transaction_commit(struct receiver *r, struct weir_err *err)
{
    enum weir_status st = WEIR_OK;

    if (!r->txn.open) {
        return WEIR_OK;
    }
    /* If it fails the transaction is still open: taken back, and not executed. */
    st = savepoints_settle(r, err);
    if (st == WEIR_OK) {
        st = xa_append_open(r, err);
    }
    if (st == WEIR_OK && r->txn.written) {
        st = append_commit(r, err);
    }
    if (st != WEIR_OK) {
        return st;
    }
    if (r->txn.gtid[0] && !r->txn.skip) {
        st = gtid_set_add(r->at.gtids, str_of(r->txn.gtid), err);
        if (st == WEIR_OK && r->txn.written) {
            st = gtid_set_add(r->at.told, str_of(r->txn.gtid), err);
        }
        if (st != WEIR_OK) {
            return weir_wrap(err, WEIR_FATAL, "the executed GTIDs");
        }
    }
    CRASH_POINT("receive.commit");
    r->txn.open = false;
    r->halves.len = 0;
    savepoints_end(r);
    if (!r->txn.written) {
        return hold_check(r, err);
    }
    atomic_fetch_add_explicit(&r->set.page->transactions, 1,
                              memory_order_relaxed);
    atomic_store_explicit(&r->set.page->commit_usec, r->txn.commit_usec,
                          memory_order_relaxed);
    if (r->hold.active) {
        return hold_check(r, err);
    }
    relay_commit(r->relay);
    return relay_committed(r->relay) - relay_published(r->relay) >=
                   PUBLISH_BYTES
               ? receiver_publish(r, err)
               : WEIR_OK;
}

enum weir_status
transaction_rollback(struct receiver *r, struct weir_err *err)
{
    xa_discard(r);
    savepoints_end(r);
    if (r->txn.written) {
        if (r->hold.active) { /* only all of it could be cut */
            return hold_conflict(r, STR(""), STR(""), STR("ROLLBACK"), err);
        }
        const enum weir_status st = relay_cut(r->relay, err);
        if (st != WEIR_OK) {
            return st;
        }
        tables_unwritten(r);
        r->txn.written = false;
    }
    follow_undo(r);
    return transaction_commit(r, err);
}
