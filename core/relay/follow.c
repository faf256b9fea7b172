/*
 * follow.c - reads in blocks of 1 MiB, gives frames in place.  A block that
 * nobody else holds is used again; one whose frames are still in use stays, and
 * what is read next goes behind them or into another.  Nothing beyond what is
 * published is ever looked at: it may be written over.
 */
#include "relay/follow.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/err.h"
#include "base/file.h"
#include "relay/block.h"
#include "relay/relay_page.h"
#include "relay/segment.h"

enum { BLOCK_LEAST = 64 << 10 }; /* less isn't worth a read behind the rest */

struct follower {
    char             *dir;
    struct relay_page page;
    unsigned          slot;

    uint64_t published; /* as looked at last */
    uint64_t next;      /* offset of what is given next */
    uint64_t expected;  /* the next segment, as END says; 0: not known */
    bool     unsure;    /* whether `next` is in this segment or behind it */

    int                   fd; /* of the segment; -1: none is open */
    char                  path[PATH_MAX];
    struct segment_header segment;
    struct buf            header; /* what its origin points into */

    struct block *block; /* the one read into last */
    uint64_t      block_at; /* offset of its first byte; `block->len` bytes */
    struct block_pool pool;
};

/* ---- Segments */

static void
segment_leave(struct follower *f)
{
    if (f->fd != -1) {
        close(f->fd);
    }
    f->fd = -1;
    block_unref(&f->block);
    f->block_at = 0;
}

/* A file that was let go of and written over while we read it is no damage. */
static bool
segment_is_gone(const struct follower *f)
{
    struct stat ours, named;

    return fstat(f->fd, &ours) == -1 || stat(f->path, &named) == -1 ||
           ours.st_ino != named.st_ino || ours.st_dev != named.st_dev;
}

static enum weir_status
follow_gone(const struct follower *f, uint64_t offset, struct weir_err *err)
{
    return weir_fail(err, WEIR_REJECT,
                     "%" PRIu64 " is older than what the relay %s keeps",
                     offset, f->dir);
}

static enum weir_status
follow_damaged(const struct follower *f, uint64_t offset, struct weir_err *err)
{
    if (segment_is_gone(f)) {
        return follow_gone(f, offset, err);
    }
    return weir_fail(err, WEIR_FATAL,
                     "%s is damaged at byte %" PRIu64 " (offset %" PRIu64 "): "
                     "check the disk; a relay that is moved away is fetched "
                     "again from the source", f->path,
                     offset - f->segment.base, offset);
}

/* DROP: there is no such file. */
static enum weir_status
segment_enter(struct follower *f, uint64_t base, struct weir_err *err)
{
    char path[PATH_MAX];

    segment_path(path, f->dir, base);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1 && errno == ENOENT) {
        return WEIR_DROP;
    }
    if (fd == -1) {
        return fail_errno(err, WEIR_RETRY, "open %s", path);
    }
    segment_leave(f);
    f->fd = fd;
    memcpy(f->path, path, sizeof path);
    const enum weir_status st =
        segment_parse(fd, path, base, &f->header, &f->segment, err);
    if (st != WEIR_OK) {
        f->segment = (struct segment_header){ .base = base };
        const bool gone = segment_is_gone(f);
        segment_leave(f);
        return gone ? follow_gone(f, base, err) : st;
    }
    f->expected = 0;
    return WEIR_OK;
}

/* The base of the segment that reaches up to `offset`, or else (`behind`) of
 * the first one that begins there or later.  A look at the folder each time:
 * it happens once a segment at most. */
static enum weir_status
segment_find(const struct follower *f, uint64_t offset, bool behind,
             uint64_t *base, struct weir_err *err)
{
    struct segment_names names;
    enum weir_status     found = WEIR_DROP;

    const enum weir_status st = segment_list(f->dir, &names, err);
    if (st != WEIR_OK) {
        return st;
    }
    if (names.nbases > 0 && names.bases[0] > offset) {
        found = weir_fail(err, WEIR_REJECT,
                          "%" PRIu64 " is older than what the relay %s keeps, "
                          "which begins at %" PRIu64 ": up to %" PRIu64
                          " bytes are missing", offset, f->dir,
                          names.bases[0], names.bases[0] - offset);
        names.nbases = 0;
    }
    for (size_t i = 0; i < names.nbases; i++) {
        const bool fits = behind ? names.bases[i] >= offset
                                 : names.bases[i] <= offset;
        if (fits) {
            *base = names.bases[i];
            found = WEIR_OK;
        }
        if (fits == behind) {
            break;
        }
    }
    segment_names_free(&names);
    return found;
}

/* From the end of a segment, f->next, to the one behind it. */
static enum weir_status
segment_next(struct follower *f, struct weir_err *err)
{
    const uint64_t   sure = f->expected ? f->expected : f->next;
    enum weir_status st = segment_enter(f, sure, err);

    if (st == WEIR_DROP) {
        uint64_t base;
        st = segment_find(f, f->next, true, &base, err);
        if (st == WEIR_DROP || (st == WEIR_OK && base >= f->published)) {
            return follow_gone(f, f->next, err);
        }
        if (st == WEIR_OK) {
            st = segment_enter(f, base, err);
        }
    }
    if (st == WEIR_OK) {
        f->next = f->segment.base + f->segment.len;
    }
    return st;
}

/* ---- Open and close */

enum weir_status
follower_open(const char *dir, const char *page_path, unsigned slot,
              struct follower **out, struct weir_err *err)
{
    struct follower *f = xcalloc(1, sizeof *f);

    assert(slot < RELAY_FOLLOWERS);
    *out = NULL;
    const enum weir_status st =
        strlen(dir) > PATH_MAX - 64
            ? weir_fail(err, WEIR_FATAL, "%s: the path is too long", dir)
            : relay_page_open(page_path, false, &f->page, err);
    if (st != WEIR_OK) {
        free(f);
        return st;
    }
    atomic_store(&f->page.asleep[slot], 0);
    f->dir = xstrdup(dir);
    f->slot = slot;
    f->fd = -1;
    *out = f;
    return WEIR_OK;
}

void
follower_close(struct follower **pointer)
{
    struct follower *f = *pointer;

    if (!f) {
        return;
    }
    *pointer = NULL;
    segment_leave(f);
    block_pool_free(&f->pool);
    relay_page_close(&f->page);
    buf_free(&f->header);
    free(f->dir);
    free(f);
}

uint64_t
follower_published(const struct follower *f)
{
    return relay_page_published(&f->page);
}

enum weir_status
follower_first(struct follower *f, uint64_t *offset, struct weir_err *err)
{
    struct segment_names  names;
    struct segment_header h;
    struct buf            room = { 0 };
    char                  path[PATH_MAX];

    enum weir_status st = segment_list(f->dir, &names, err);
    if (st != WEIR_OK) {
        return st;
    }
    const uint64_t base = names.nbases ? names.bases[0] : UINT64_MAX;
    segment_names_free(&names);
    if (base >= follower_published(f)) {
        return weir_fail(err, WEIR_DROP, "the relay %s is empty", f->dir);
    }
    segment_path(path, f->dir, base);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1) {
        return fail_errno(err, WEIR_RETRY, "open %s", path);
    }
    st = segment_parse(fd, path, base, &room, &h, err);
    close(fd);
    buf_free(&room);
    if (st != WEIR_OK) {
        return st;
    }
    if (base + h.len >= follower_published(f)) {
        return weir_fail(err, WEIR_DROP, "the relay %s is empty", f->dir);
    }
    *offset = base + h.len;
    return WEIR_OK;
}

/* ---- Reading */

/* Room for `want` bytes from f->next on, with what is there already in front:
 * in place where nobody else holds the block, so that a frame or two at a time
 * don't cost a new one. */
static void
block_room(struct follower *f, size_t want)
{
    struct block *b = f->block;
    const size_t  from = b ? (size_t)(f->next - f->block_at) : 0;
    const size_t  left = b ? b->len - from : 0;

    if (b && b->room - from >= want &&
        (from == 0 || b->room - b->len >= BLOCK_LEAST)) {
        return;
    }
    if (b && b->room >= want && !block_is_shared(&f->pool, b)) {
        memmove(b->data, b->data + from, left);
    } else {
        struct block *to = block_take(&f->pool, want);
        if (left) {
            memcpy(to->data, b->data + from, left);
        }
        block_unref(&f->block);
        f->block = to;
    }
    f->block->len = left;
    f->block_at = f->next;
}

/* Makes f->block hold `want` bytes (at least) from f->next on, and nothing
 * beyond what is published.  DROP: the file has fewer. */
static enum weir_status
block_fill(struct follower *f, size_t want, struct weir_err *err)
{
    struct stat st;

    if (want > BLOCK_ROOM && (fstat(f->fd, &st) == -1 ||
        (uint64_t)st.st_size - (f->next - f->segment.base) < want)) {
        return WEIR_DROP; /* the length was a lie: nothing is allocated */
    }
    block_room(f, want);
    struct block  *b = f->block;
    const uint64_t at = f->block_at + b->len;
    const uint64_t shown = f->published - at;
    const size_t   room = b->room - b->len;
    const ssize_t  n = file_pread(f->fd, b->data + b->len,
                                  shown < room ? (size_t)shown : room,
                                  at - f->segment.base);
    if (n == -1) {
        return fail_errno(err, WEIR_RETRY, "read %s", f->path);
    }
    b->len += (size_t)n;
    return b->len - (size_t)(f->next - f->block_at) >= want ? WEIR_OK
                                                            : WEIR_DROP;
}

static size_t
block_left(const struct follower *f)
{
    return f->block ? (size_t)(f->block_at + f->block->len - f->next) : 0;
}

/* The frame at f->next, END and STOP too. */
static enum weir_status
follow_frame(struct follower *f, struct frame *out, struct weir_err *err)
{
    enum weir_status st = WEIR_OK;

    if (block_left(f) < FRAME_HEAD) {
        st = block_fill(f, FRAME_HEAD, err);
    }
    if (st != WEIR_OK) {
        return st == WEIR_DROP ? follow_damaged(f, f->next, err) : st;
    }
    const char    *p = f->block->data + (f->next - f->block_at);
    const uint32_t length = frame_length(p, f->next);
    if (length == 0 || frame_round(length) > f->published - f->next) {
        return follow_damaged(f, f->next, err);
    }
    if (block_left(f) < length) {
        st = block_fill(f, (size_t)frame_round(length), err);
        if (st != WEIR_OK) {
            return st == WEIR_DROP ? follow_damaged(f, f->next, err) : st;
        }
        p = f->block->data + (f->next - f->block_at);
    }
    if (!frame_valid(p, length)) {
        return follow_damaged(f, f->next, err);
    }
    frame_parse(p, length, out);
    return WEIR_OK;
}

/* Unknown types are another version's; see frame.h. */
static enum weir_status
follow_unknown(const struct follower *f, const struct frame *frame,
               struct weir_err *err)
{
    if (frame->flags & FRAME_MUST) {
        return weir_fail(err, WEIR_FATAL,
                         "%s: the frame at offset %" PRIu64 " has type %d, "
                         "written by a newer version of weir", f->path,
                         frame->offset, (int)frame->type);
    }
    return WEIR_OK;
}

static bool
is_known(enum frame_type type)
{
    return type >= FRAME_TXN_HEAD && type <= FRAME_ASIDE;
}

/* In the segment entered, at an offset that it reaches or ends before. */
static enum weir_status
seek_within(struct follower *f, uint64_t offset, struct weir_err *err)
{
    struct stat  file;
    struct frame frame;

    if (offset < f->segment.base + f->segment.len) {
        offset = f->segment.base + f->segment.len;
    }
    f->next = offset;
    f->unsure = offset >= f->published; /* more where a segment has begun */
    if (f->unsure) {
        return WEIR_OK; /* until more is published */
    }
    if (fstat(f->fd, &file) == -1) {
        return fail_errno(err, WEIR_RETRY, "stat %s", f->path);
    }
    if (offset - f->segment.base >= (uint64_t)file.st_size) {
        f->expected = offset; /* in a gap */
        return WEIR_OK;
    }
    const enum weir_status st = follow_frame(f, &frame, err);
    if (st == WEIR_FATAL) {
        return weir_fail(err, WEIR_REJECT,
                         "no frame of the relay begins at %" PRIu64 ": %s is "
                         "damaged there, or this position belongs to another "
                         "relay", offset, f->path);
    }
    return st;
}

/* Past the frame at f->next, of any type; `*found`: it is one to be given. */
static enum weir_status
follow_on(struct follower *f, struct frame *out, bool *found,
          struct weir_err *err)
{
    const enum weir_status st = follow_frame(f, out, err);

    if (st != WEIR_OK) {
        return st;
    }
    f->next = out->next;
    if (out->type == FRAME_END) {
        const uint64_t base =
            out->payload.len >= 8 ? get_le64(out->payload.data) : 0;
        f->expected = base > out->next ? base : out->next;
        return WEIR_OK;
    }
    if (!is_known(out->type)) {
        return follow_unknown(f, out, err);
    }
    *found = out->type != FRAME_STOP;
    return WEIR_OK;
}

enum weir_status
follower_next(struct follower *f, struct frame *out, struct weir_err *err)
{
    bool found = false;

    for (;;) {
        if (f->next >= f->published) {
            const uint64_t published = relay_page_published(&f->page);
            if (f->next >= published) {
                return WEIR_DROP;
            }
            f->published = published;
        }
        enum weir_status st = WEIR_OK;
        if (f->fd == -1 || f->expected) {
            st = segment_next(f, err);
        } else if (f->unsure) {
            st = seek_within(f, f->next, err);
        } else {
            st = follow_on(f, out, &found, err);
        }
        if (st != WEIR_OK || found) {
            return st;
        }
    }
}

struct block *
follower_block(struct follower *f)
{
    return f->block;
}

uint64_t
follower_offset(const struct follower *f)
{
    return f->next;
}

struct weir_str
follower_origin(const struct follower *f)
{
    return f->fd == -1 ? (struct weir_str){ NULL, 0 } : f->segment.origin;
}

uint64_t
follower_segment(const struct follower *f)
{
    return f->segment.base;
}

/* ---- Elsewhere */

enum weir_status
follower_seek(struct follower *f, uint64_t offset, struct weir_err *err)
{
    uint64_t base;

    f->published = relay_page_published(&f->page);
    if (offset > f->published) {
        return weir_fail(err, WEIR_REJECT,
                         "%" PRIu64 " is beyond what the relay %s holds, which "
                         "ends at %" PRIu64, offset, f->dir, f->published);
    }
    enum weir_status st = segment_find(f, offset, false, &base, err);
    if (st == WEIR_DROP) { /* no segment at all: the first one begins there */
        segment_leave(f);
        f->next = offset;
        f->unsure = false;
        return offset == f->published ? WEIR_OK : follow_gone(f, offset, err);
    }
    if (st == WEIR_OK) {
        st = segment_enter(f, base, err);
    }
    if (st == WEIR_DROP) { /* let go of since */
        return follow_gone(f, offset, err);
    }
    f->expected = 0;
    return st == WEIR_OK ? seek_within(f, offset, err) : st;
}

bool
follower_in_gap(const struct follower *f)
{
    return f->expected != 0;
}

/* Into `a`, from any open segment.  DROP: it isn't there, whole. */
static enum weir_status
read_copy(const struct follower *f, int fd, uint64_t base, uint64_t offset,
          struct arena *a, struct frame *out)
{
    char        head[FRAME_HEAD];
    struct stat file;

    if (fstat(fd, &file) == -1 ||
        file_pread(fd, head, sizeof head, offset - base) != FRAME_HEAD) {
        return WEIR_DROP;
    }
    const uint32_t length = frame_length(head, offset);
    if (length == 0 || (uint64_t)file.st_size - (offset - base) < length ||
        length > relay_page_published(&f->page) - offset) {
        return WEIR_DROP;
    }
    char *p = arena_take(a, length);
    if (file_pread(fd, p, length, offset - base) != (ssize_t)length ||
        frame_length(p, offset) != length || !frame_valid(p, length)) {
        return WEIR_DROP;
    }
    frame_parse(p, length, out);
    return WEIR_OK;
}

static enum weir_status
read_elsewhere(struct follower *f, uint64_t offset, struct arena *a,
               struct frame *out, struct weir_err *err)
{
    char     path[PATH_MAX];
    uint64_t base;

    enum weir_status st = segment_find(f, offset, false, &base, err);
    if (st != WEIR_OK) {
        return st;
    }
    segment_path(path, f->dir, base);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1) {
        return fail_errno(err, WEIR_RETRY, "open %s", path);
    }
    st = read_copy(f, fd, base, offset, a, out);
    close(fd);
    return st;
}

enum weir_status
follower_read(struct follower *f, uint64_t offset, struct arena *a,
              struct frame *out, struct weir_err *err)
{
    enum weir_status st = WEIR_DROP;

    if (offset >= relay_page_published(&f->page)) {
        return weir_fail(err, WEIR_REJECT,
                         "%" PRIu64 " is beyond what the relay %s holds",
                         offset, f->dir);
    }
    if (f->fd != -1 && offset >= f->segment.base && offset < f->next) {
        st = read_copy(f, f->fd, f->segment.base, offset, a, out);
    }
    if (st == WEIR_DROP) {
        st = read_elsewhere(f, offset, a, out, err);
    }
    if (st == WEIR_DROP) {
        return weir_fail(err, WEIR_REJECT,
                         "no frame of the relay %s begins at %" PRIu64
                         ", or it is damaged", f->dir, offset);
    }
    return st;
}

void
follower_wait(struct follower *f, int64_t usec)
{
    relay_page_wait(&f->page, f->slot, f->next, usec);
}
