/* held.c - see held.h. */
#include "tools/held.h"

#include "base/bytes.h"

enum { MAX_HELD = 1 << 30, LENGTH_AT = 9 /* in an event's header */ };

struct held_head { uint64_t offset, len; };

enum weir_status
held_add(struct buf *held, const struct binlog_event *ev, uint64_t offset,
         struct weir_err *err)
{
    const size_t           len = BINLOG_HEADER + ev->body_len;
    const struct held_head head = { offset, len };

    if (held->len + len > MAX_HELD) {
        return weir_fail(err, WEIR_REJECT,
                         "an XA transaction of more than %d bytes", MAX_HELD);
    }
    buf_add(held, &head, sizeof head);
    buf_add(held, ev->data, BINLOG_HEADER);
    buf_add(held, ev->body, ev->body_len);
    put_le32(held->data + held->len - len + LENGTH_AT, (uint32_t)len);
    return WEIR_OK;
}

enum weir_status
held_next(const struct buf *held, size_t *at,
          const struct binlog_stream *stream, struct binlog_event *out,
          uint64_t *offset, struct weir_err *err)
{
    struct held_head head;

    if (*at == held->len) {
        return WEIR_DROP;
    }
    memcpy(&head, held->data + *at, sizeof head);
    const char *event = held->data + *at + sizeof head;
    *at += sizeof head + (size_t)head.len;
    *offset = head.offset;
    return binlog_event_parse_inner(stream, event, (size_t)head.len, out, err);
}

bool
held_ends(const struct binlog_event *ev, bool *committed)
{
    char            xid[512];
    struct weir_err err;

    *committed = false;
    switch (ev->type) {
    case BINLOG_XA_PREPARE:
        if (binlog_xa_parse(ev, committed, xid, sizeof xid, &err) != WEIR_OK) {
            *committed = false; /* which is said when it is read again */
        }
        return true;
    case BINLOG_GTID:
    case BINLOG_ANONYMOUS_GTID:
    case BINLOG_GTID_TAGGED:
    case BINLOG_FORMAT:
    case BINLOG_STOP:
    case BINLOG_ROTATE:
        return true;
    default:
        return false;
    }
}
