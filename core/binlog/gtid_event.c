/*
 * gtid_event.c - the events that carry GTIDs: one of a transaction, or the set
 * of all before.  Text comes out; it doesn't know sets (gtid.c).
 */
#include <string.h>

#include "base/bytes.h"
#include "binlog/event.h"
#include "binlog/gtid_text.h"
#include "binlog/text.h"

static enum weir_status
gtid_fail(const struct binlog_event *ev, const char *what,
          struct weir_err *err)
{
    return weir_fail(err, WEIR_REJECT, "event %s of %zu bytes: %s",
                     binlog_type_name(ev->type), ev->len, what);
}

/* ---- MariaDB (sql/log_event.h, Gtid_log_event) */
enum {
    GTID_STANDALONE = 1, GTID_GROUP_COMMIT = 2, GTID_PREPARED_XA = 64,
    GTID_COMPLETED_XA = 128,
};
enum { /* flags_extra */
    GTID_MULTI_ENGINE = 1, GTID_START_ALTER = 2, GTID_COMMIT_ALTER = 4,
    GTID_ROLLBACK_ALTER = 8,
    GTID_THREAD_ID = 16,
};

/* Newer servers append fields, and zeroes as padding, which read as flags
 * without any. */
static void
mariadb_gtid_extra(struct reader *r, struct binlog_gtid *out)
{
    const uint64_t flags = reader_left(r) > 0 ? read_le(r, 1) : 0;
    if (flags & GTID_MULTI_ENGINE) {
        read_le(r, 1);
    }
    out->not_done = flags & (GTID_START_ALTER | GTID_ROLLBACK_ALTER);
    if (flags & (GTID_COMMIT_ALTER | GTID_ROLLBACK_ALTER)) {
        read_le(r, 8);
    }
    if (flags & GTID_THREAD_ID) {
        out->thread_id = (uint32_t)read_le(r, 4);
    }
}

static enum weir_status
mariadb_gtid_parse(const struct binlog_event *ev, struct binlog_gtid *out,
                   struct weir_err *err)
{
    struct reader  r = reader_of(ev->body, ev->body_len);
    const uint64_t seq = read_le(&r, 8);
    const uint32_t domain = (uint32_t)read_le(&r, 4);
    const uint64_t flags = read_le(&r, 1);

    if (flags & GTID_GROUP_COMMIT) {
        read_le(&r, 8);
    }
    if (flags & (GTID_PREPARED_XA | GTID_COMPLETED_XA)) {
        read_le(&r, 4);
        const uint64_t gtrid = read_le(&r, 1), bqual = read_le(&r, 1);
        read_bytes(&r, gtrid + bqual);
    }
    out->standalone = flags & GTID_STANDALONE;
    out->prepared_xa = flags & GTID_PREPARED_XA;
    out->completed_xa = flags & GTID_COMPLETED_XA;
    mariadb_gtid_extra(&r, out);
    if (r.bad) {
        return gtid_fail(ev, "its fields don't fit into it", err);
    }
    char *p = text_put_u64(out->text, domain);
    *p++ = '-';
    p = text_put_u64(p, ev->server_id);
    *p++ = '-';
    *text_put_u64(p, seq) = '\0';
    return WEIR_OK;
}

/* ---- MySQL */
static void
mysql_gtid_text(struct binlog_gtid *out, const uint8_t uuid[16],
                struct weir_str tag, uint64_t number)
{
    char *p = text_put_uuid(out->text, uuid);
    if (tag.len > 0) {
        *p++ = ':';
        memcpy(p, tag.data, tag.len);
        p += tag.len;
    }
    *p++ = ':';
    *text_put_u64(p, number) = '\0';
}

static enum weir_status
mysql_gtid_parse(const struct binlog_event *ev, struct binlog_gtid *out,
                 struct weir_err *err)
{
    struct reader r = reader_of(ev->body, ev->body_len);

    read_le(&r, 1);
    const uint8_t *uuid = read_bytes(&r, 16);
    const uint64_t number = read_le(&r, 8);
    if (r.bad) {
        return gtid_fail(ev, "it is too short", err);
    }
    /* 5.6 ends here, 5.7 behind the logical time-stamps. */
    if (reader_left(&r) >= 1 + 8 + 8 + 7) {
        read_bytes(&r, 1 + 8 + 8);
        out->commit_usec = (int64_t)(read_le(&r, 7) & ~(UINT64_C(1) << 55));
    }
    if (ev->type == BINLOG_ANONYMOUS_GTID) {
        return WEIR_OK;
    }
    if (number == 0 || number >= INT64_MAX) {
        return gtid_fail(ev, "its number is out of range", err);
    }
    mysql_gtid_text(out, uuid, (struct weir_str){ 0 }, number);
    return WEIR_OK;
}

/* mysql::serialization: as many more bytes as there are one-bits at the low
 * end of the first; the rest, little-endian, is the number. */
static uint64_t
read_varu(struct reader *r)
{
    const uint64_t first = read_le(r, 1);
    if (first == 0xff) {
        return read_le(r, 8);
    }
    const unsigned more = (unsigned)__builtin_ctz(~(unsigned)first);
    uint64_t       v = first >> (more + 1);
    if (more > 0) {
        v |= read_le(r, more) << (7 - more);
    }
    return v;
}

static int64_t
read_vars(struct reader *r)
{
    const uint64_t u = read_varu(r);
    return u & 1 ? -(int64_t)(u >> 1) - 1 : (int64_t)(u >> 1);
}

struct tagged {
    uint8_t         uuid[16];
    struct weir_str tag;
    int64_t         number;
    uint64_t        commit_usec;
    bool            has_uuid;
};

enum { /* fields of GTID_TAGGED, control_events.h define_fields() */
    TAGGED_FLAGS, TAGGED_UUID, TAGGED_NUMBER, TAGGED_TAG,
    TAGGED_LAST_COMMITTED, TAGGED_SEQUENCE, TAGGED_COMMIT_USEC,
    TAGGED_LAST_KNOWN = 11, /* from here all are unsigned numbers */
};

static void
tagged_read_field(struct reader *r, uint64_t field, struct tagged *t)
{
    switch (field) {
    case TAGGED_UUID:
        for (int i = 0; i < 16; i++) {
            t->uuid[i] = (uint8_t)read_varu(r);
        }
        t->has_uuid = true;
        break;
    case TAGGED_NUMBER:
        t->number = read_vars(r);
        break;
    case TAGGED_TAG:
        t->tag = read_str(r, read_varu(r));
        break;
    case TAGGED_COMMIT_USEC:
        t->commit_usec = read_varu(r);
        break;
    default:
        read_varu(r);
    }
}

static enum weir_status
tagged_gtid_parse(const struct binlog_event *ev, struct binlog_gtid *out,
                  struct weir_err *err)
{
    struct reader  r = reader_of(ev->body, ev->body_len);
    struct tagged  t = { .number = 0 };
    const uint64_t version = read_varu(&r);
    const uint64_t size = read_varu(&r);
    const uint64_t needed = read_varu(&r);

    if (r.bad || version != 1 || size > ev->body_len) {
        return gtid_fail(ev, "its encoding is not version 1", err);
    }
    r.end = ev->body + size;
    if (r.p > r.end) {
        return gtid_fail(ev, "it is too short", err);
    }
    while (reader_left(&r) > 0) {
        const uint64_t field = read_varu(&r);
        if (field > TAGGED_LAST_KNOWN) {
            if (field <= needed) {
                return gtid_fail(ev, "it has a field that is not known and "
                                     "must not be ignored", err);
            }
            break;
        }
        tagged_read_field(&r, field, &t);
    }
    if (r.bad || !t.has_uuid || t.number <= 0 || !gtid_is_tag(t.tag)) {
        return gtid_fail(ev, "its fields make no GTID", err);
    }
    out->commit_usec =
        t.commit_usec > INT64_MAX ? 0 : (int64_t)t.commit_usec;
    mysql_gtid_text(out, t.uuid, t.tag, (uint64_t)t.number);
    return WEIR_OK;
}

enum weir_status
binlog_gtid_parse(const struct binlog_event *ev, struct binlog_gtid *out,
                  struct weir_err *err)
{
    *out = (struct binlog_gtid){ .standalone = false };
    switch (ev->type) {
    case BINLOG_MARIADB_GTID:
        return mariadb_gtid_parse(ev, out, err);
    case BINLOG_GTID:
    case BINLOG_ANONYMOUS_GTID:
        return mysql_gtid_parse(ev, out, err);
    case BINLOG_GTID_TAGGED:
        return tagged_gtid_parse(ev, out, err);
    default:
        return gtid_fail(ev, "it has no GTID", err);
    }
}

/* ---- Sets.  Each list comes out as text, which only grows by so much for
 * each byte of the event. */
static enum weir_status
gtid_list_parse(const struct binlog_event *ev, struct buf *out,
                struct weir_err *err)
{
    struct reader  r = reader_of(ev->body, ev->body_len);
    const uint32_t n = (uint32_t)read_le(&r, 4) & 0x0fffffff; /* and flags */

    if (r.bad || reader_left(&r) / 16 < n) {
        return gtid_fail(ev, "its GTIDs don't fit into it", err);
    }
    for (uint32_t i = 0; i < n; i++) {
        char           text[GTID_TEXT_MAX];
        const uint64_t domain = read_le(&r, 4), server = read_le(&r, 4);
        char          *p = text_put_u64(text, domain);
        *p++ = '-';
        p = text_put_u64(p, server);
        *p++ = '-';
        p = text_put_u64(p, read_le(&r, 8));
        if (i > 0) {
            buf_byte(out, ',');
        }
        buf_add(out, text, (size_t)(p - text));
    }
    return WEIR_OK;
}

static bool
sid_intervals(struct reader *r, struct buf *out)
{
    const uint64_t n = read_le(r, 8);

    if (r->bad || n == 0 || n > reader_left(r) / 16) {
        return false;
    }
    for (uint64_t i = 0; i < n; i++) {
        char           text[GTID_TEXT_MAX];
        const uint64_t first = read_le(r, 8), behind = read_le(r, 8);
        if (first == 0 || behind <= first || behind > INT64_MAX) {
            return false;
        }
        text[0] = ':';
        char *p = text_put_u64(text + 1, first);
        if (behind - first > 1) {
            *p++ = '-';
            p = text_put_u64(p, behind - 1);
        }
        buf_add(out, text, (size_t)(p - text));
    }
    return true;
}

static bool
sid_block(struct reader *r, bool tagged, struct buf *out)
{
    char           text[GTID_TEXT_MAX];
    const uint8_t *uuid = read_bytes(r, 16);

    if (!uuid) {
        return false;
    }
    buf_add(out, text, (size_t)(text_put_uuid(text, uuid) - text));
    if (tagged) {
        const struct weir_str tag = read_str(r, read_varu(r));
        if (!gtid_is_tag(tag)) {
            return false;
        }
        if (tag.len > 0) {
            buf_byte(out, ':');
            buf_str(out, tag);
        }
    }
    return sid_intervals(r, out);
}

/* Sets with tags have a 1 in the first and last byte of the count. */
static enum weir_status
previous_gtids_parse(const struct binlog_event *ev, struct buf *out,
                     struct weir_err *err)
{
    struct reader  r = reader_of(ev->body, ev->body_len);
    const uint64_t head = read_le(&r, 8);
    const bool     tagged = head >> 56 == 1;
    const uint64_t n = tagged ? head << 8 >> 16 : head;

    if (r.bad || (tagged && (head & 0xff) != 1) || n > reader_left(&r) / 16) {
        return gtid_fail(ev, "its count of servers doesn't fit", err);
    }
    for (uint64_t i = 0; i < n; i++) {
        if (i > 0) {
            buf_byte(out, ',');
        }
        if (!sid_block(&r, tagged, out)) {
            return gtid_fail(ev, "its GTIDs are malformed", err);
        }
    }
    return WEIR_OK;
}

enum weir_status
binlog_gtid_list_parse(const struct binlog_event *ev, struct buf *out,
                       struct weir_err *err)
{
    out->len = 0;
    switch (ev->type) {
    case BINLOG_GTID_LIST:
        return gtid_list_parse(ev, out, err);
    case BINLOG_PREVIOUS_GTIDS:
        return previous_gtids_parse(ev, out, err);
    default:
        return gtid_fail(ev, "it has no set of GTIDs", err);
    }
}
