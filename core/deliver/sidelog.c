/* sidelog.c - see sidelog.h. */
#include "deliver/sidelog.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/file.h"
#include "relay/follow.h"
#include "relay/relay.h"
#include "relay/segment.h"

enum {
    SEGMENT = 16 << 20,
    ASIDE_FIXED = 48,
    HEARTBEAT_FIXED = 24,
};

struct copied { uint64_t from, to; }; /* a frame of the relay; 0: none */

struct sidelog {
    char         *dir;
    struct buf    names;
    struct relay *relay;
    uint64_t      segment, bytes, rows;
    struct copied head, body;
    uint64_t      table_from, table_at; /* in the relay, and here */
    bool          unsettled;
    uint64_t      first; /* frame */
    uint32_t      first_row;
    uint64_t     *seen; /* hash set of keys, open addressing */
    size_t        nseen, seen_room;
};

/* ---- What is there already */

/* A row by its seq, its halves apart; a whole frame apart from its first row. */
static uint64_t
key_of(uint64_t frame, uint32_t row, enum row_part part)
{
    return row == REFUSED_ALL_ROWS ? frame | UINT64_C(1) << 63
                                   : (frame + row) | (uint64_t)part << 61;
}

static uint64_t *
seen_place(const struct sidelog *s, uint64_t key)
{
    size_t i = (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 20);

    for (i &= s->seen_room - 1; s->seen[i] && s->seen[i] != key;) {
        i = (i + 1) & (s->seen_room - 1);
    }
    return &s->seen[i];
}

static void
see(struct sidelog *s, uint64_t key)
{
    if (2 * (s->nseen + 1) > s->seen_room) {
        uint64_t *old = s->seen;
        const size_t n = s->seen_room;
        s->seen_room = n ? 2 * n : 256;
        s->seen = xcalloc(s->seen_room, sizeof *s->seen);
        for (size_t i = 0; i < n; i++) {
            if (old[i]) {
                *seen_place(s, old[i]) = old[i];
            }
        }
        free(old);
    }
    uint64_t *place = seen_place(s, key);
    s->nseen += *place == 0;
    *place = key;
}

static void
note_first(struct sidelog *s, uint64_t frame, uint32_t row, uint32_t from)
{
    row = row == REFUSED_ALL_ROWS ? from : row;
    if (frame < s->first || (frame == s->first && row < s->first_row)) {
        s->first = frame;
        s->first_row = row;
    }
}

void
sidelog_first(const struct sidelog *s, uint64_t *frame, uint32_t *row)
{
    *frame = s->first;
    *row = s->first_row;
}

/* Which halves of a row are there, as bits. */
static unsigned
parts_of(const struct sidelog *s, uint64_t frame, uint32_t row)
{
    const unsigned both = ROW_LEAVES | ROW_ARRIVES;

    if (s->nseen == 0) {
        return 0;
    }
    if (*seen_place(s, key_of(frame, REFUSED_ALL_ROWS, ROW_WHOLE)) ||
        *seen_place(s, key_of(frame, row, ROW_WHOLE))) {
        return both;
    }
    unsigned parts = 0;
    for (unsigned part = 1; part <= ROW_ARRIVES; part++) {
        parts |= *seen_place(s, key_of(frame, row, part)) ? part : 0;
    }
    return parts;
}

static void
put_names(void *arg, struct buf *out)
{
    buf_str(out, buf_view(&((struct sidelog *)arg)->names));
}

/* ---- Opening */

static enum weir_status
count_bytes(struct sidelog *s, struct weir_err *err)
{
    struct segment_names names;
    char                 path[PATH_MAX];
    struct stat          st;

    const enum weir_status listed = segment_list(s->dir, &names, err);
    if (listed != WEIR_OK) {
        return listed;
    }
    for (size_t i = 0; i < names.nbases; i++) {
        segment_path(path, s->dir, names.bases[i]);
        s->bytes += stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
    }
    segment_names_free(&names);
    return WEIR_OK;
}

static enum weir_status
read_seen(struct sidelog *s, struct weir_err *err)
{
    struct follower   *f;
    struct side_record r;

    enum weir_status st = sidelog_read(s->dir, &f, err);
    if (st != WEIR_OK) {
        return st == WEIR_DROP ? WEIR_OK : st;
    }
    while ((st = sidelog_next(f, &r, err)) == WEIR_OK) {
        see(s, key_of(r.frame, r.row, r.part));
        note_first(s, r.frame, r.row, r.from);
        s->rows += r.nrows;
    }
    follower_close(&f);
    return st == WEIR_DROP ? WEIR_OK : st;
}

enum weir_status
sidelog_open(const char *dir, struct weir_str schema, struct weir_str table,
             struct sidelog **out, struct weir_err *err)
{
    struct sidelog *s = xcalloc(1, sizeof *s);
    struct arena    a = { 0 };

    s->dir = xstrdup(dir);
    s->first = UINT64_MAX;
    buf_str(&s->names, schema);
    buf_byte(&s->names, '\0');
    buf_str(&s->names, table);
    enum weir_status st = file_mkdir(dir, 0700, err);
    if (st == WEIR_OK) {
        const struct relay_settings settings = {
            .dir = dir, .page_path = sidelog_page(&a, dir),
            .segment_size = SEGMENT, .sync = RELAY_SYNC_INTERVAL,
            .origin = put_names, .arg = s,
        };
        st = relay_open(&settings, &s->relay, err);
    }
    arena_free(&a);
    if (st == WEIR_OK) {
        st = count_bytes(s, err);
    }
    if (st == WEIR_OK) {
        st = read_seen(s, err);
    }
    if (st != WEIR_OK) {
        sidelog_close(&s);
        return weir_wrap(err, st, "side log %s", dir);
    }
    *out = s;
    return WEIR_OK;
}

void
sidelog_close(struct sidelog **pointer)
{
    struct sidelog *s = *pointer;
    struct weir_err ignored; /* what was settled is there; the rest comes
                                again */

    if (!s) {
        return;
    }
    relay_close(&s->relay, true, &ignored);
    buf_free(&s->names);
    free(s->seen);
    free(s->dir);
    free(s);
    *pointer = NULL;
}

uint64_t
sidelog_bytes(const struct sidelog *s)
{
    return s->bytes;
}

uint64_t
sidelog_rows(const struct sidelog *s)
{
    return s->rows;
}

/* ---- Putting */

static enum weir_status
put_frame(struct sidelog *s, enum frame_type type, struct weir_str payload,
          uint64_t *at, struct weir_err *err)
{
    const struct iovec part = { (void *)payload.data, payload.len };
    const uint64_t     before = relay_end(s->relay);

    const enum weir_status st =
        relay_append(s->relay, type, 0, &part, 1, at, err);
    s->bytes += relay_end(s->relay) - before;
    return st;
}

static enum weir_status
put_head(struct sidelog *s, const struct frame *head, struct weir_err *err)
{
    if (s->head.from == head->offset) {
        return WEIR_OK;
    }
    s->body.from = 0; /* says where its head is */
    s->head.from = head->offset;
    return put_frame(s, FRAME_TXN_HEAD, head->payload, &s->head.to, err);
}

static enum weir_status
put_table(struct sidelog *s, const struct frame *table, struct weir_err *err)
{
    /* Not by what it says: names may be given to one frame and not to the next
     * that is like it. */
    if (!table || (s->table_at && s->table_from == table->offset)) {
        return WEIR_OK;
    }
    s->body.from = 0;
    s->table_from = table->offset;
    return put_frame(s, FRAME_TABLE, table->payload, &s->table_at, err);
}

/* Its first numbers say where head and table stand. */
static enum weir_status
put_body(struct sidelog *s, const struct frame *body, struct weir_err *err)
{
    const bool   is_row = body->type == FRAME_ROW;
    const size_t fixed = is_row ? 16 : 8;
    uint8_t      prefix[16];

    if (s->body.from == body->offset) {
        return WEIR_OK;
    }
    if (body->payload.len < fixed) {
        return weir_fail(err, WEIR_FATAL, "relay: the frame at %" PRIu64
                         " is too short", body->offset);
    }
    put_le64(prefix, s->head.to);
    put_le64(prefix + 8, s->table_at);
    const struct iovec parts[] = {
        { prefix, fixed },
        { (void *)(body->payload.data + fixed), body->payload.len - fixed },
    };
    s->body.from = body->offset;
    const uint64_t         before = relay_end(s->relay);
    const enum weir_status st = relay_append(s->relay, body->type, 0, parts, 2,
                                             &s->body.to, err);
    s->bytes += relay_end(s->relay) - before;
    return st;
}

static enum weir_status
put_aside(struct sidelog *s, const struct side_put *put, struct weir_err *err)
{
    uint8_t  fixed[ASIDE_FIXED] = { 0 };
    uint64_t at;

    put_le64(fixed, put->frame);
    put_le32(fixed + 8, put->row);
    put_le32(fixed + 12, put->nrows);
    put_le64(fixed + 16, s->body.to);
    put_le64(fixed + 24, (uint64_t)clock_usec());
    put_le32(fixed + 32, put->attempts);
    put_le32(fixed + 36, (uint32_t)put->reason.len);
    put_le32(fixed + 40, put->from);
    put_le32(fixed + 44, put->part);
    const struct iovec parts[] = {
        { fixed, sizeof fixed },
        { (void *)put->reason.data, put->reason.len },
    };
    const uint64_t         before = relay_end(s->relay);
    const enum weir_status st =
        relay_append(s->relay, FRAME_ASIDE, 0, parts, 2, &at, err);
    s->bytes += relay_end(s->relay) - before;
    return st;
}

static void
forget_copies(struct sidelog *s)
{
    s->head = s->body = (struct copied){ 0 };
    s->table_at = 0;
}

static enum weir_status
put_one(struct sidelog *s, const struct side_put *put, struct weir_err *err)
{
    uint64_t segment;

    const size_t bytes = put->body->payload.len + put->head->payload.len +
                         (put->table ? put->table->payload.len : 0) +
                         ASIDE_FIXED + put->reason.len + HEARTBEAT_FIXED;
    enum weir_status st = relay_reserve(s->relay, bytes, 5, &segment, err);
    if (st == WEIR_OK && segment != s->segment) {
        s->segment = segment;
        forget_copies(s);
    }
    st = st == WEIR_OK ? put_head(s, put->head, err) : st;
    st = st == WEIR_OK ? put_table(s, put->table, err) : st;
    st = st == WEIR_OK ? put_body(s, put->body, err) : st;
    st = st == WEIR_OK ? put_aside(s, put, err) : st;
    if (st != WEIR_OK) {
        forget_copies(s); /* part of it may be there, and means nothing */
        return weir_wrap(err, st, "side log %s", s->dir);
    }
    CRASH_POINT("side.put");
    see(s, key_of(put->frame, put->row, put->part));
    note_first(s, put->frame, put->row, put->from);
    s->rows += put->nrows;
    s->unsettled = true;
    return WEIR_OK;
}

static bool
has_some(const struct sidelog *s, const struct side_put *put)
{
    for (uint32_t i = 0; s->nseen > 0 && i < put->nrows; i++) {
        if (parts_of(s, put->frame, put->from + i)) {
            return true;
        }
    }
    return false;
}

/* What is not there yet of a row, which is one row, whatever its halves. */
static enum weir_status
put_row(struct sidelog *s, const struct side_put *put, struct weir_err *err)
{
    const unsigned  both = ROW_LEAVES | ROW_ARRIVES;
    const unsigned  had = parts_of(s, put->frame, put->row);
    const unsigned  missing = (put->part ? put->part : both) & ~had;
    struct side_put one = *put;

    if (missing == 0) {
        return WEIR_DROP;
    }
    one.part = missing == both ? ROW_WHOLE : (enum row_part)missing;
    one.nrows = had ? 0 : put->part ? 1 : put->nrows;
    return put_one(s, &one, err);
}

/* Of all rows those that are not there yet, each for itself: so that no row is
 * ever in two records. */
enum weir_status
sidelog_put(struct sidelog *s, const struct side_put *put,
            struct weir_err *err)
{
    enum weir_status all = WEIR_DROP;

    if (put->row != REFUSED_ALL_ROWS) {
        return put_row(s, put, err);
    }
    if (s->nseen > 0 &&
        *seen_place(s, key_of(put->frame, put->row, ROW_WHOLE))) {
        return WEIR_DROP;
    }
    if (!has_some(s, put)) {
        return put_one(s, put, err);
    }
    struct side_put one = *put;
    one.nrows = 1;
    for (uint32_t i = 0; i < put->nrows; i++) {
        one.row = put->from + i;
        const enum weir_status st = put_row(s, &one, err);
        if (st != WEIR_OK && st != WEIR_DROP) {
            return st;
        }
        all = st == WEIR_OK ? st : all;
    }
    return all;
}

enum weir_status
sidelog_settle(struct sidelog *s, struct weir_err *err)
{
    uint8_t  fixed[HEARTBEAT_FIXED] = { 0 };
    uint64_t at;

    if (!s->unsettled) {
        return WEIR_OK;
    }
    put_le64(fixed, (uint64_t)clock_usec());
    const struct iovec part = { fixed, sizeof fixed };
    enum weir_status   st =
        relay_append(s->relay, FRAME_HEARTBEAT, 0, &part, 1, &at, err);
    if (st == WEIR_OK) {
        relay_commit(s->relay);
        st = relay_publish(s->relay, err);
    }
    CRASH_POINT("side.sync");
    if (st == WEIR_OK) {
        st = relay_sync(s->relay, err);
    }
    CRASH_POINT("side.synced");
    s->unsettled = st != WEIR_OK;
    return st == WEIR_OK ? st : weir_wrap(err, st, "side log %s", s->dir);
}
