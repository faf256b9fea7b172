/* progress.c - see progress.h. */
#include "relay/progress.h"

#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/err.h"

enum { PROGRESS_FORMAT = 1, HEAD = 5, FIELD_HEAD = 5, TAIL = 4 };

enum field { /* on disk and in sinks: never given another meaning */
    PIPELINE_ID = 1, EPOCH, FIRST, FIRST_ROW, NEXT, NEXT_ROW, TXN_HEAD, SEQ,
    GTID_SET, LOG_FILE, LOG_OFFSET, LANES, TIME, HOST, SNAPSHOT,
    SIDE, SIDE_DONE, GTID_FROM,
};

static void
put_field(struct buf *out, enum field tag, const void *data, size_t len)
{
    char head[FIELD_HEAD] = { (char)tag };

    put_le32(head + 1, (uint32_t)len);
    buf_add(out, head, sizeof head);
    buf_add(out, data, len);
}

static void
put_number(struct buf *out, enum field tag, uint64_t v)
{
    char bytes[8];

    put_le64(bytes, v);
    put_field(out, tag, bytes, sizeof bytes);
}

static void
put_text(struct buf *out, enum field tag, struct weir_str s)
{
    if (s.len) {
        put_field(out, tag, s.data, s.len);
    }
}

void
progress_format(const struct progress *p, struct buf *out)
{
    static const char head[HEAD] = { 'W', 'C', 'P', '1', PROGRESS_FORMAT };
    const size_t      start = out->len;
    char              crc[TAIL];

    buf_add(out, head, sizeof head);
    put_field(out, PIPELINE_ID, p->pipeline_id, sizeof p->pipeline_id);
    put_number(out, EPOCH, p->epoch);
    put_number(out, FIRST, p->first);
    put_number(out, FIRST_ROW, p->first_row);
    put_number(out, NEXT, p->next);
    put_number(out, NEXT_ROW, p->next_row);
    put_number(out, TXN_HEAD, p->head);
    put_number(out, SEQ, p->seq);
    put_text(out, GTID_SET, p->gtid_set);
    put_text(out, LOG_FILE, p->file);
    put_number(out, LOG_OFFSET, p->file_offset);
    put_number(out, LANES, p->lanes);
    put_number(out, TIME, (uint64_t)p->time_usec);
    put_text(out, HOST, p->host);
    put_text(out, SNAPSHOT, p->snapshot);
    if (p->side.len) {
        put_text(out, SIDE, p->side);
        put_number(out, SIDE_DONE, p->side_done);
    }
    if (p->gtid_from) {
        put_number(out, GTID_FROM, p->gtid_from);
    }
    put_le32(crc, crc32c(0, out->data + start, out->len - start));
    buf_add(out, crc, sizeof crc);
}

static bool
get_number(struct weir_str field, uint64_t max, uint64_t *out)
{
    if (field.len != 8 || get_le64(field.data) > max) {
        return false;
    }
    *out = get_le64(field.data);
    return true;
}

static bool
get_u32(struct weir_str field, uint32_t *out)
{
    uint64_t v;

    if (!get_number(field, UINT32_MAX, &v)) {
        return false;
    }
    *out = (uint32_t)v;
    return true;
}

static bool
get_field(struct progress *p, unsigned tag, struct weir_str field)
{
    uint64_t v;

    switch (tag) {
    case PIPELINE_ID:
        if (field.len != sizeof p->pipeline_id) {
            return false;
        }
        memcpy(p->pipeline_id, field.data, field.len);
        return true;
    case EPOCH:
        return get_number(field, UINT64_MAX, &p->epoch);
    case FIRST:
        return get_number(field, INT64_MAX, &p->first);
    case FIRST_ROW:
        return get_u32(field, &p->first_row);
    case NEXT:
        return get_number(field, INT64_MAX, &p->next);
    case NEXT_ROW:
        return get_u32(field, &p->next_row);
    case GTID_FROM:
        return get_number(field, INT64_MAX, &p->gtid_from);
    case TXN_HEAD:
        return get_number(field, INT64_MAX, &p->head);
    case SEQ:
        return get_number(field, INT64_MAX, &p->seq);
    case LOG_OFFSET:
        return get_number(field, UINT64_MAX, &p->file_offset);
    case LANES:
        return get_u32(field, &p->lanes);
    case TIME:
        if (!get_number(field, UINT64_MAX, &v)) {
            return false;
        }
        p->time_usec = (int64_t)v;
        return true;
    case GTID_SET:
        p->gtid_set = field;
        return true;
    case LOG_FILE:
        p->file = field;
        return true;
    case HOST:
        p->host = field;
        return true;
    case SNAPSHOT:
        p->snapshot = field;
        return true;
    case SIDE:
        p->side = field;
        return true;
    case SIDE_DONE:
        return get_number(field, INT64_MAX, &p->side_done);
    default:
        return true; /* of a later version */
    }
}

static enum weir_status
progress_damaged(struct weir_str blob, struct weir_err *err)
{
    return weir_fail(err, WEIR_REJECT,
                     "the checkpoint is damaged, or something else (%zu "
                     "bytes): nothing in it is used", blob.len);
}

enum weir_status
progress_parse(struct weir_str blob, struct progress *out,
               struct weir_err *err)
{
    if (blob.len < HEAD + TAIL || memcmp(blob.data, "WCP1", 4) != 0 ||
        crc32c(0, blob.data, blob.len - TAIL) !=
            get_le32(blob.data + blob.len - TAIL)) {
        return progress_damaged(blob, err);
    }
    if (blob.data[4] != PROGRESS_FORMAT) {
        return weir_fail(err, WEIR_REJECT,
                         "the checkpoint has format %d, this version of weir "
                         "knows %d: it was stored by a newer one",
                         (uint8_t)blob.data[4], PROGRESS_FORMAT);
    }
    struct reader r = reader_of(blob.data + HEAD, blob.len - HEAD - TAIL);
    bool          owned = false;
    *out = (struct progress){ 0 };
    while (reader_left(&r) > 0) {
        const unsigned        tag = (unsigned)read_le(&r, 1);
        const uint64_t        len = read_le(&r, 4);
        const struct weir_str field = read_str(&r, len);
        if (r.bad || !get_field(out, tag, field)) {
            return progress_damaged(blob, err);
        }
        owned |= tag == PIPELINE_ID;
    }
    return owned ? WEIR_OK : progress_damaged(blob, err);
}
