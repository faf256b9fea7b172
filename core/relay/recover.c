/*
 * recover.c - what a relay is after a stop of any kind.  Scans the end (after a
 * power cut everything), cuts what is torn or belongs to an open transaction,
 * and says where a new segment begins.  The steps are in such an order that a
 * crash in the middle of them leaves what this code takes for the same relay.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "relay/writer.h"

enum { SCAN_WINDOW = 1 << 20 };

struct scan { /* of one segment */
    int         fd;
    const char *path;
    char       *window;
    uint64_t    at; /* where the window begins in the file */
    size_t      len;
    bool        failed; /* to read */

    uint64_t whole; /* behind the last frame that ends a transaction, 0: none */
    uint64_t end;   /* behind the last valid frame, END left out */
    uint64_t next;  /* what END says, 0: there is none */
    bool     stopped; /* the one before `whole` is a STOP */
    bool     frames;  /* others than STOP */
};

struct found { /* the relay's files as they are */
    struct segment *segments;
    size_t          n;     /* with a good header */
    size_t          files; /* all of them */
    uint64_t        past;  /* behind all that was ever written to them */
    bool            same_boot;
};

/* ---- One segment */

/* Up to `*n` bytes at `at` of the file, fewer where the window ends. */
static const char *
scan_bytes(struct scan *s, uint64_t at, size_t *n)
{
    const size_t wanted = *n < FRAME_HEAD ? *n : FRAME_HEAD;

    if (at < s->at || at + wanted > s->at + s->len) {
        const ssize_t got = file_pread(s->fd, s->window, SCAN_WINDOW, at);
        s->failed |= got == -1;
        s->at = at;
        s->len = got > 0 ? (size_t)got : 0;
    }
    const size_t left = (size_t)(s->at + s->len - at);
    *n = *n < left ? *n : left;
    return s->window + (at - s->at);
}

/* The frame at `offset` and its first 8 bytes of payload, if it is whole. */
static bool
scan_frame(struct scan *s, uint64_t base, uint64_t offset, struct frame *out,
           uint64_t *number)
{
    char     head[FRAME_HEAD];
    size_t   n = FRAME_HEAD;
    uint64_t at = offset - base;

    const char *p = scan_bytes(s, at, &n);
    if (n < FRAME_HEAD) {
        return false;
    }
    memcpy(head, p, sizeof head);
    const uint32_t length = frame_length(head, offset);
    if (length == 0) {
        return false;
    }
    uint32_t crc = crc32c(0, head + 8, FRAME_HEAD - 8);
    *number = 0;
    at += FRAME_HEAD;
    for (uint64_t left = length - FRAME_HEAD; left > 0; left -= n, at += n) {
        n = left < SCAN_WINDOW ? (size_t)left : SCAN_WINDOW;
        p = scan_bytes(s, at, &n);
        if (n == 0) {
            return false;
        }
        if (left == length - FRAME_HEAD && n >= 8) {
            *number = get_le64(p);
        }
        crc = crc32c(crc, p, n);
    }
    frame_parse(head, length, out);
    return crc == get_le32(head + 4);
}

static enum weir_status
scan_segment(struct relay *r, const struct segment *seg, struct scan *s,
             struct weir_err *err)
{
    char         path[PATH_MAX];
    struct frame f;
    uint64_t     number;

    segment_path(path, r->dir, seg->base);
    *s = (struct scan){ .fd = open(path, O_RDONLY | O_CLOEXEC) };
    if (s->fd == -1) {
        return fail_errno(err, WEIR_RETRY, "open %s", path);
    }
    s->window = xmalloc(SCAN_WINDOW);
    s->end = seg->base + seg->header_len;
    while (s->next == 0 && scan_frame(s, seg->base, s->end, &f, &number)) {
        if (f.type == FRAME_END) {
            s->next = number;
            break;
        }
        s->end = f.next;
        s->frames |= f.type != FRAME_STOP;
        if (!(f.flags & FRAME_HELD) &&
            (f.type == FRAME_COMMIT || f.type == FRAME_ROTATE ||
             f.type == FRAME_HEARTBEAT || f.type == FRAME_STOP)) {
            s->whole = f.next;
            s->stopped = f.type == FRAME_STOP;
        }
    }
    free(s->window);
    close(s->fd);
    return s->failed ? fail_errno(err, WEIR_RETRY, "read %s", path) : WEIR_OK;
}

/* ---- All files */

static enum weir_status
found_header(struct relay *r, uint64_t base, struct found *found,
             struct weir_err *err)
{
    char                  path[PATH_MAX];
    struct stat           file;
    struct segment_header h;

    segment_path(path, r->dir, base);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1 || fstat(fd, &file) == -1) {
        const enum weir_status st =
            fail_errno(err, WEIR_RETRY, "open %s", path);
        if (fd != -1) {
            close(fd);
        }
        return st;
    }
    const uint64_t past = base + frame_round((uint64_t)file.st_size);
    found->past = past > found->past ? past : found->past;
    const enum weir_status st =
        segment_parse(fd, path, base, &r->scratch, &h, err);
    close(fd);
    if (st != WEIR_OK) {
        return st;
    }
    if (memcmp(h.pipeline_id, r->settings.pipeline_id, 16) != 0) {
        return weir_fail(err, WEIR_REJECT,
                         "%s belongs to another pipeline: move it away, or "
                         "bring back the file id of the pipeline that made it",
                         path);
    }
    found->same_boot = memcmp(h.boot_id, r->boot_id, 16) == 0;
    found->segments[found->n++] = (struct segment){
        .base = base, .header_len = h.len, .created_usec = h.created_usec,
        .end = past,
    };
    return WEIR_OK;
}

/* A header is written before its file has the name, so that only a power cut
 * leaves a bad one; all behind it is cut then. */
static enum weir_status
found_load(struct relay *r, const struct segment_names *names,
           struct found *found, struct weir_err *err)
{
    found->files = names->nbases;
    found->segments = xcalloc(names->nbases, sizeof *found->segments);
    found->same_boot = true;
    bool good = true;
    for (size_t i = 0; i < names->nbases; i++) {
        if (!good) {
            found->past = names->bases[i] > found->past ? names->bases[i]
                                                        : found->past;
            continue;
        }
        enum weir_status st = found_header(r, names->bases[i], found, err);
        if (st == WEIR_REJECT || st == WEIR_RETRY) {
            return st == WEIR_RETRY ? st : WEIR_FATAL;
        }
        if (st != WEIR_OK && (i == 0 || found->same_boot)) {
            return st;
        }
        good = st == WEIR_OK;
    }
    return WEIR_OK;
}

/* After a power cut any page may be missing: keeps what comes before the first
 * hole. */
static enum weir_status
found_verify(struct relay *r, struct found *found, struct weir_err *err)
{
    struct scan s;

    for (size_t i = 0; i + 1 < found->n; i++) {
        const enum weir_status st =
            scan_segment(r, &found->segments[i], &s, err);
        if (st != WEIR_OK) {
            return st;
        }
        if (s.next != found->segments[i + 1].base) {
            log_warn("the relay has a hole at %" PRIu64 ", left by a power "
                     "cut: what came behind it will be fetched again", s.end);
            found->n = i + 1;
        }
    }
    return WEIR_OK;
}

/* ---- Cutting */

/* Whether any segment before `index` has a frame. */
static enum weir_status
find_frames(struct relay *r, const struct found *found, size_t index,
            struct weir_err *err)
{
    struct scan older;

    while (r->is_new && index-- > 0) {
        const enum weir_status st =
            scan_segment(r, &found->segments[index], &older, err);
        if (st != WEIR_OK) {
            return st;
        }
        r->is_new = !older.frames;
    }
    return WEIR_OK;
}

static enum weir_status
find_scan(struct relay *r, const struct found *found, size_t index,
          struct scan *s, struct weir_err *err)
{
    const struct segment   *seg = &found->segments[index];
    const enum weir_status st = scan_segment(r, seg, s, err);

    if (st == WEIR_OK && s->whole == 0 && index == 0) {
        s->whole = seg->base + seg->header_len;
        s->frames = false; /* they are cut */
    }
    return st;
}

/* The last segment with something whole in it, or the one that was begun behind
 * it between two transactions: followers may stand there already. */
static enum weir_status
find_whole(struct relay *r, const struct found *found, size_t *index,
           struct scan *s, struct weir_err *err)
{
    size_t           i = found->n;
    enum weir_status st = WEIR_OK;

    do {
        st = find_scan(r, found, --i, s, err);
    } while (st == WEIR_OK && s->whole == 0);
    r->is_new = !s->frames;
    if (st == WEIR_OK) {
        st = find_frames(r, found, i, err);
    }
    while (st == WEIR_OK && i + 1 < found->n && s->end == s->whole &&
           s->next == found->segments[i + 1].base) {
        st = find_scan(r, found, ++i, s, err);
        s->whole = found->segments[i].base + found->segments[i].header_len;
    }
    *index = i;
    return st;
}

static enum weir_status
cut_to(struct relay *r, struct segment *seg, uint64_t whole, uint64_t next,
       struct weir_err *err)
{
    char path[PATH_MAX], end[FRAME_END_SIZE];

    segment_path(path, r->dir, seg->base);
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd == -1) {
        return fail_errno(err, WEIR_RETRY, "open %s", path);
    }
    frame_format_number(end, whole, FRAME_END, next);
    seg->end = whole + FRAME_END_SIZE;
    enum weir_status st = WEIR_OK;
    if (ftruncate(fd, (off_t)(whole - seg->base)) == -1) {
        st = fail_errno(err, WEIR_RETRY, "truncate %s", path);
    }
    if (st == WEIR_OK) {
        st = file_pwrite(fd, path, end, sizeof end, whole - seg->base, err);
    }
    if (st == WEIR_OK && fdatasync(fd) == -1) {
        st = fail_errno(err, WEIR_RETRY, "fdatasync %s", path);
    }
    close(fd);
    return st;
}

static enum weir_status
drop_behind(struct relay *r, const struct segment_names *names, uint64_t keep,
            struct weir_err *err)
{
    char path[PATH_MAX];

    for (size_t i = names->nbases; i-- > 0 && names->bases[i] > keep;) {
        segment_path(path, r->dir, names->bases[i]);
        if (unlink(path) == -1 && errno != ENOENT) {
            return fail_errno(err, WEIR_RETRY, "unlink %s", path);
        }
    }
    return WEIR_OK;
}

static void
say_cut(const struct found *found, size_t last, const struct scan *s)
{
    if (s->end > s->whole || last + 1 < found->n) {
        log_info("the relay was not closed cleanly: a transaction that was "
                 "not complete is cut at %" PRIu64, s->whole);
    }
}

/* Where offsets go on; see relay_open(). */
static enum weir_status
recover_base(const struct relay *r, uint64_t past, bool clean, uint64_t *base,
             struct weir_err *err)
{
    const uint64_t now = frame_round((uint64_t)writer_now(r));

    *base = !clean && now > past ? now : past;
    if (*base > INT64_MAX / 2 + INT64_MAX / 4) {
        return weir_fail(err, WEIR_FATAL,
                         "%s: offsets of the relay are used up, or the clock "
                         "is centuries ahead: set it and move the files of "
                         "this relay away", r->dir);
    }
    return WEIR_OK;
}

/* `past` is where the next frame could have been, not less. */
static enum weir_status
recover_end(struct relay *r, const struct segment_names *names,
            const struct found *found, size_t last, const struct scan *s,
            struct weir_err *err)
{
    const bool clean = s->stopped && s->end == s->whole &&
                       last + 1 == found->files;
    uint64_t past = s->whole + FRAME_END_SIZE;

    if (!clean && s->end + FRAME_END_SIZE > past) {
        past = s->end + FRAME_END_SIZE;
    }
    if (last + 1 < found->files && found->past > past) {
        past = found->past;
    }
    if (s->next > past) {
        past = s->next; /* segments from there on may have been dropped */
    }
    enum weir_status st = recover_base(r, past, clean, &r->next_base, err);
    for (size_t i = 0; i <= last; i++) {
        found->segments[i].synced = clean;
        writer_push(r, &found->segments[i]);
    }
    if (st == WEIR_OK) {
        say_cut(found, last, s);
        st = cut_to(r, writer_open_segment(r), s->whole, r->next_base, err);
    }
    if (st == WEIR_OK) {
        st = drop_behind(r, names, found->segments[last].base, err);
    }
    r->end = writer_open_segment(r)->end;
    return st;
}

static enum weir_status
recover_found(struct relay *r, const struct segment_names *names,
              struct found *found, struct weir_err *err)
{
    struct scan s;
    size_t      last = 0;

    if (names->nbases == 0) {
        const enum weir_status st =
            recover_base(r, 0, false, &r->next_base, err);
        r->end = r->next_base;
        return st;
    }
    enum weir_status st = found_load(r, names, found, err);
    if (st == WEIR_OK) {
        st = scan_segment(r, &found->segments[found->n - 1], &s, err);
    }
    const bool power_cut = !found->same_boot || found->n < found->files;
    if (st == WEIR_OK && power_cut && !(s.stopped && s.end == s.whole)) {
        st = found_verify(r, found, err);
    }
    if (st == WEIR_OK) {
        st = find_whole(r, found, &last, &s, err);
    }
    if (st == WEIR_OK) {
        st = recover_end(r, names, found, last, &s, err);
    }
    return st;
}

enum weir_status
writer_recover(struct relay *r, struct weir_err *err)
{
    struct segment_names names;
    struct found         found = { 0 };

    r->is_new = true;
    enum weir_status st = segment_list(r->dir, &names, err);
    if (st != WEIR_OK) {
        return st;
    }
    writer_find_spares(r, &names);
    st = recover_found(r, &names, &found, err);
    segment_names_free(&names);
    free(found.segments);
    return st;
}
