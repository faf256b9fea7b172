/*
 * resume.c - where the relay ends, in the source's terms: the origin of its last
 * segment, moved on by the frames in it; the definitions that they leave; the
 * frame that says so; and that a connection that reads an old file again does not move it back.
 */
#include "receive/internal.h"

#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "receive/xa.h"
#include "relay/follow.h"
#include "relay/origin.h"

enum { DDL_PREFIX = 16 };

static void
set_file(struct receiver *r, struct weir_str file, uint64_t offset)
{
    r->at.file.len = 0;
    buf_str(&r->at.file, file);
    r->at.offset = offset;
}

static enum weir_status
take_frame(struct receiver *r, const struct frame *f, struct weir_str *gtid,
           struct arena *a, struct weir_err *err)
{
    struct reader   p = reader_of(f->payload.data, f->payload.len);
    struct weir_str file;

    switch (f->type) {
    case FRAME_TXN_HEAD: {
        read_bytes(&p, 40);
        const uint64_t gtid_len = read_le(&p, 2);
        const uint64_t file_len = read_le(&p, 2);
        read_bytes(&p, 4);
        *gtid = arena_str(a, read_str(&p, gtid_len));
        file = read_str(&p, file_len);
        set_file(r, file, r->at.offset);
        break;
    }
    case FRAME_COMMIT:
        read_bytes(&p, 8);
        r->at.offset = read_le(&p, 8);
        if (gtid->len && gtid_set_add(r->at.gtids, *gtid, err) != WEIR_OK) {
            return WEIR_FATAL;
        }
        arena_reset(a);
        *gtid = STR("");
        break;
    case FRAME_ROTATE: {
        const uint64_t offset = read_le(&p, 8);
        set_file(r, read_str(&p, reader_left(&p)), offset);
        break;
    }
    case FRAME_HEARTBEAT: {
        read_bytes(&p, 8);
        const uint64_t offset = read_le(&p, 8);
        const uint64_t gtids_len = read_le(&p, 4);
        const uint64_t file_len = read_le(&p, 4);
        const struct weir_str gtids = read_str(&p, gtids_len);
        file = read_str(&p, file_len);
        set_file(r, file, offset);
        if (gtids.len && gtid_set_add(r->at.gtids, gtids, err) != WEIR_OK) {
            return WEIR_FATAL;
        }
        break;
    }
    case FRAME_TABLE:
        if (!(f->flags & FRAME_EARLIER)) {
            follow_table(r, f->payload);
        }
        break;
    case FRAME_DDL:
        read_bytes(&p, DDL_PREFIX);
        follow_frame(r, read_str(&p, reader_left(&p)));
        break;
    default:
        break;
    }
    return p.bad ? weir_fail(err, WEIR_FATAL,
                             "the frame at %llu is too short",
                             (unsigned long long)f->offset)
                 : WEIR_OK;
}

static enum weir_status
take_origin(struct receiver *r, struct follower *f, struct arena *a,
            struct weir_err *err)
{
    struct origin o;

    enum weir_status st = origin_parse(a, follower_origin(f), &o, err);
    if (st == WEIR_OK && o.gtid_set.len) {
        st = gtid_set_add(r->at.gtids, o.gtid_set, err);
    }
    if (st == WEIR_OK) {
        set_file(r, o.file, o.file_offset);
        follow_load(r, o.definitions);
        buf_str(&r->server_id, o.server);
        buf_str(&r->server_version, o.version);
        r->set.kept = o.kept; /* of this segment */
    }
    return st == WEIR_OK ? st : weir_wrap(err, WEIR_FATAL, "relay");
}

static enum weir_status
read_last_segment(struct receiver *r, struct follower *f, struct weir_err *err)
{
    struct arena    a = { 0 }, origin = { 0 };
    struct frame    frame;
    struct weir_str gtid = STR("");
    uint64_t        end = 0;
    const struct weir_list kept = r->set.kept;

    const uint64_t last = relay_is_new(r->relay) ? relay_first(r->relay)
                                                 : relay_committed(r->relay);
    enum weir_status st = follower_seek(f, last, err);
    if (st == WEIR_OK) {
        st = follower_seek(f, follower_segment(f), err);
    }
    if (st == WEIR_OK) {
        st = take_origin(r, f, &origin, err);
    }
    while (st == WEIR_OK) {
        st = follower_next(f, &frame, err);
        if (st == WEIR_OK) {
            st = take_frame(r, &frame, &gtid, &a, err);
            end = frame.next;
        }
    }
    r->set.kept = kept;
    arena_free(&origin);
    arena_free(&a);
    return st == WEIR_DROP ? given_resume(r, follower_segment(f), end, err)
                           : st;
}

enum weir_status
receiver_resume(struct receiver *r, struct relay *relay, const char *dir,
                const char *page_path, struct weir_err *err)
{
    struct follower *f;

    r->relay = relay;
    r->dir = xstrdup(dir);
    r->page_path = xstrdup(page_path);
    /* The source worker reads its own relay as any sink does, in slot 0, whose
     * sleeping word is only set while a follower waits: this one never does. */
    enum weir_status st = follower_open(dir, page_path, 0, &f, err);
    if (st == WEIR_OK) {
        st = read_last_segment(r, f, err);
        follower_close(&f);
    }
    position_told(&r->at);
    if (st == WEIR_OK) {
        st = xa_resume(r, err);
    }
    /* One that has lost all its frames still says where it began. */
    if (relay_is_new(relay) && (st == WEIR_RETRY || st == WEIR_REJECT)) {
        return WEIR_OK;
    }
    return st == WEIR_OK ? st : weir_wrap(err, WEIR_FATAL, "resume");
}

enum weir_status
receiver_mark(struct receiver *r, uint64_t at, uint8_t flags,
              struct weir_err *err)
{
    uint8_t    fixed[24];
    struct buf gtids = { 0 };
    uint64_t   segment, offset;

    gtid_set_format(r->at.gtids, &gtids);
    put_le64(fixed, (uint64_t)clock_usec());
    put_le64(fixed + 8, at);
    put_le32(fixed + 16, (uint32_t)gtids.len);
    put_le32(fixed + 20, (uint32_t)r->at.file.len);
    const struct iovec parts[] = { { fixed, sizeof fixed },
                                   { gtids.data, gtids.len },
                                   { r->at.file.data, r->at.file.len } };
    enum weir_status st = relay_reserve(
        r->relay, sizeof fixed + gtids.len + r->at.file.len, 1, &segment, err);
    if (st == WEIR_OK) {
        st = relay_append(r->relay, FRAME_HEARTBEAT, flags, parts, 3, &offset,
                          err);
    }
    buf_free(&gtids);
    if (st == WEIR_OK) {
        position_told(&r->at);
    }
    return st;
}

/* ---- The floor: what earlier connections to the same server have read */

void
floor_set(struct receiver *r)
{
    r->floor_file.len = 0;
    if (r->server_id.len) { /* else it may be another server's file */
        buf_str(&r->floor_file, buf_view(&r->at.file));
        r->floor_offset = r->at.offset;
    }
}

bool
floor_is_above(const struct receiver *r)
{
    return r->floor_file.len &&
           place_compare(buf_view(&r->at.file), r->at.offset,
                         buf_view(&r->floor_file), r->floor_offset) < 0;
}

void
floor_restore(struct receiver *r)
{
    if (floor_is_above(r)) {
        set_file(r, buf_view(&r->floor_file), r->floor_offset);
    }
}
