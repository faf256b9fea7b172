/*
 * append.c - frames into the open segment, transactions made whole or taken
 * back, and the step from one segment to the next.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "base/file.h"
#include "relay/writer.h"

enum { MAX_PARTS = 30 };

static uint64_t
in_file(const struct relay *r, uint64_t offset)
{
    return offset - r->segments[r->nsegments - 1].base;
}

enum weir_status
writer_flush(struct relay *r, struct weir_err *err)
{
    if (r->fill == 0) {
        return WEIR_OK;
    }
    if (r->dirty < r->end) {
        r->dirty = r->end;
    }
    CRASH_POINT("relay.flush");
    const enum weir_status st = file_pwrite(r->fd, r->path, r->out, r->fill,
                                            in_file(r, r->written), err);
    if (st == WEIR_OK) {
        r->written += r->fill;
        r->fill = 0;
    }
    return st;
}

/* A failed fdatasync() has dropped the pages that it could not write: trying
 * again would succeed and mean nothing. */
enum weir_status
writer_sync(struct relay *r, struct weir_err *err)
{
    if (r->synced == r->written) {
        return WEIR_OK;
    }
    if (fdatasync(r->fd) == -1) {
        return weir_fail(err, WEIR_FATAL, "what was written to the relay may "
                         "be lost, check the disk: fdatasync %s: %s", r->path,
                         strerror(errno));
    }
    r->synced = r->written;
    r->sync_usec = clock_steady();
    return WEIR_OK;
}

/* ---- The step to a new segment */

/* A large transaction may fill what `size` leaves free, but not the disk. */
static enum weir_status
reserve_disk(const struct relay *r, struct weir_err *err)
{
    struct statvfs fs;

    if (r->end == r->committed || r->settings.max_transaction > 0 ||
        statvfs(r->dir, &fs) == -1) {
        return WEIR_OK;
    }
    if (fs.f_bavail > fs.f_blocks / 20) {
        return WEIR_OK;
    }
    const uint64_t open = r->end - r->committed;
    const unsigned long long left_mib =
        (unsigned long long)fs.f_bavail * fs.f_frsize >> 20;
    if (open > (uint64_t)r->settings.size) {
        return weir_fail(err, WEIR_FATAL,
                         "the open transaction has %llu bytes so far, and the "
                         "disk of %s has only %llu MiB left: " ERR_NO_ROOM
                         " or set relay { max_transaction }",
                         (unsigned long long)open, r->dir, left_mib);
    }
    return weir_fail(err, WEIR_RETRY,
                     "the disk of %s has only %llu MiB left, less than 5 %% of "
                     "it: " ERR_NO_ROOM, r->dir, left_mib);
}

static enum weir_status
begin_write(struct relay *r, int fd, const char *path, uint64_t base,
            struct segment *out, struct weir_err *err)
{
    static const struct weir_str none = { NULL, 0 };
    struct buf                   origin = { 0 };
    struct segment_header        h = {
        .base = base, .created_usec = writer_now(r) / 1000, .origin = none,
    };

    if (r->settings.origin) {
        r->settings.origin(r->settings.arg, &origin);
        h.origin = buf_view(&origin);
    }
    memcpy(h.pipeline_id, r->settings.pipeline_id, 16);
    memcpy(h.boot_id, r->boot_id, 16);
    if (origin.len > SEGMENT_MAX_ORIGIN) {
        buf_free(&origin);
        return weir_fail(err, WEIR_FATAL, "the position that a segment of the "
                         "relay begins with has %zu bytes", h.origin.len);
    }
    r->scratch.len = 0;
    segment_format(&h, &r->scratch);
    buf_free(&origin);
    *out = (struct segment){ .base = base, .end = base + h.len,
                             .header_len = h.len,
                             .created_usec = h.created_usec };
    return file_pwrite(fd, path, r->scratch.data, r->scratch.len, 0, err);
}

/* Under another name until its header is there, so that nobody ever sees half
 * a segment. */
static enum weir_status
begin_file(struct relay *r, const char *path, uint64_t base, int *out_fd,
           struct segment *out, struct weir_err *err)
{
    char beside[PATH_MAX];

    const bool spare = writer_take_spare(r, beside);
    if (!spare) {
        snprintf(beside, sizeof beside, "%s/new", r->dir);
    }
    const int fd = open(beside, O_RDWR | O_CLOEXEC | O_NOFOLLOW |
                                    (spare ? 0 : O_CREAT | O_TRUNC), 0600);
    if (fd == -1) {
        return fail_errno(err, WEIR_RETRY, "open %s", beside);
    }
    enum weir_status st = begin_write(r, fd, beside, base, out, err);
    CRASH_POINT("relay.segment-rename");
    if (st == WEIR_OK && rename(beside, path) == -1) {
        st = fail_errno(err, WEIR_RETRY, "rename %s to %s", beside, path);
    }
    if (st != WEIR_OK) {
        close(fd);
        unlink(beside);
        return st;
    }
    *out_fd = fd;
    return WEIR_OK;
}

static enum weir_status
begin_sync(const struct relay *r, int fd, const char *path,
           struct weir_err *err)
{
    if (fsync(fd) == -1) {
        return fail_errno(err, WEIR_RETRY, "fsync %s", path);
    }
    return file_sync_dir(r->dir, err);
}

/* A new last segment, the open one.  The first after relay_open() is made
 * durable: a STOP before it must never be taken for the last word again, not
 * even after a power cut, as offsets behind it are about to be given out. */
static enum weir_status
begin_segment(struct relay *r, uint64_t base, struct weir_err *err)
{
    char           path[PATH_MAX];
    int            fd = -1;
    struct segment s;

    segment_path(path, r->dir, base);
    enum weir_status st = begin_file(r, path, base, &fd, &s, err);
    if (st == WEIR_OK &&
        (r->fd == -1 || r->settings.sync != RELAY_SYNC_NONE)) {
        st = begin_sync(r, fd, path, err);
        if (st != WEIR_OK) {
            close(fd);
            unlink(path);
        }
    }
    if (st != WEIR_OK) {
        return st;
    }
    if (r->fd != -1) {
        close(r->fd);
    }
    CRASH_POINT("relay.segment-begun");
    writer_push(r, &s);
    r->fd = fd;
    memcpy(r->path, path, sizeof path);
    r->end = r->written = r->dirty = s.end;
    r->synced = 0;
    return WEIR_OK;
}

/* Ends the open segment: END, nothing stale behind it, on disk if wanted. */
static enum weir_status
finish_write(struct relay *r, struct weir_err *err)
{
    char           end[FRAME_END_SIZE];
    const uint64_t next = r->end + FRAME_END_SIZE;

    const enum weir_status st = writer_flush(r, err);
    if (st != WEIR_OK) {
        return st;
    }
    frame_format_number(end, r->end, FRAME_END, next);
    r->dirty = r->dirty > next ? r->dirty : next;
    const enum weir_status wrote = file_pwrite(
        r->fd, r->path, end, sizeof end, in_file(r, r->end), err);
    if (wrote != WEIR_OK) {
        return wrote;
    }
    CRASH_POINT("relay.segment-ended");
    if (ftruncate(r->fd, (off_t)in_file(r, next)) == -1) {
        return fail_errno(err, WEIR_RETRY, "truncate %s", r->path);
    }
    if (r->settings.sync != RELAY_SYNC_NONE) {
        r->synced = 0;
        return writer_sync(r, err);
    }
    return WEIR_OK;
}

static enum weir_status
first_segment(struct relay *r, struct weir_err *err)
{
    if (r->fd != -1) {
        return WEIR_OK;
    }
    const enum weir_status st = begin_segment(r, r->next_base, err);
    if (st != WEIR_OK) {
        return weir_wrap(err, st, "new segment of the relay");
    }
    r->committed = r->end;
    return WEIR_OK;
}

static enum weir_status
next_segment(struct relay *r, struct weir_err *err)
{
    const bool     whole = r->end == r->committed;
    const uint64_t end = r->end, next = end + FRAME_END_SIZE;

    enum weir_status st = reserve_disk(r, err);
    if (st == WEIR_OK) {
        st = finish_write(r, err);
    }
    if (st == WEIR_OK) {
        st = begin_segment(r, next, err);
    }
    if (st != WEIR_OK) {
        return st; /* END will be written over */
    }
    struct segment *before = &r->segments[r->nsegments - 2];
    before->end = next;
    before->synced = r->settings.sync != RELAY_SYNC_NONE;
    if (whole) {
        r->committed = r->end;
    }
    return WEIR_OK;
}

enum weir_status
relay_reserve(struct relay *r, size_t bytes, int nframes, uint64_t *segment,
              struct weir_err *err)
{
    const uint64_t need = bytes + FRAME_END_SIZE +
                          (uint64_t)nframes * (FRAME_HEAD + FRAME_ALIGN);

    const enum weir_status first = first_segment(r, err);
    if (first != WEIR_OK) {
        return first;
    }
    const struct segment *s = writer_open_segment(r);
    if (in_file(r, r->end) + need > (uint64_t)r->settings.segment_size &&
        in_file(r, r->end) > s->header_len) {
        const enum weir_status st = next_segment(r, err);
        if (st != WEIR_OK) {
            return weir_wrap(err, st, "new segment of the relay");
        }
    }
    *segment = writer_open_segment(r)->base;
    return WEIR_OK;
}

enum weir_status
relay_break(struct relay *r, struct weir_err *err)
{
    assert(r->end == r->committed || r->fd == -1);
    if (r->fd == -1 ||
        in_file(r, r->end) <= writer_open_segment(r)->header_len) {
        return WEIR_OK;
    }
    const enum weir_status st = next_segment(r, err);
    return st == WEIR_OK ? st
                         : weir_wrap(err, st, "new segment of the relay");
}

/* ---- Appending */

static enum weir_status
append_too_large(const struct relay *r, size_t payload, struct weir_err *err)
{
    if (payload > FRAME_MAX - FRAME_HEAD) {
        return weir_fail(err, WEIR_REJECT,
                         "an event of %zu bytes is larger than the 1 GiB that "
                         "the relay takes", payload);
    }
    return weir_fail(err, WEIR_FATAL,
                     "a transaction of more than %llu bytes is larger than "
                     "relay { max_transaction } allows: raise it",
                     (unsigned long long)r->max_open);
}

/* Goes on after a signal and a short write; `iov` is used up. */
static enum weir_status
append_writev(struct relay *r, struct iovec *iov, int n, struct weir_err *err)
{
    uint64_t at = in_file(r, r->end);

    while (n > 0) {
        ssize_t wrote = pwritev(r->fd, iov, n, (off_t)at);
        if (wrote == -1 && errno == EINTR) {
            continue;
        }
        if (wrote == -1) {
            return fail_errno(err, WEIR_RETRY, "write %s", r->path);
        }
        at += (uint64_t)wrote;
        while (n > 0 && (size_t)wrote >= iov->iov_len) {
            wrote -= (ssize_t)iov->iov_len;
            iov++;
            n--;
        }
        if (n > 0) {
            iov->iov_base = (char *)iov->iov_base + wrote;
            iov->iov_len -= (size_t)wrote;
        }
    }
    return WEIR_OK;
}

/* Straight to the file; r->out is empty. */
static enum weir_status
append_large(struct relay *r, char *head, uint32_t length,
             const struct iovec *parts, int nparts, struct weir_err *err)
{
    static char  zeroes[FRAME_ALIGN];
    struct iovec iov[MAX_PARTS + 2];
    int          n = 0;
    uint32_t     crc = crc32c(0, head + 8, FRAME_HEAD - 8);

    iov[n++] = (struct iovec){ head, FRAME_HEAD };
    for (int i = 0; i < nparts; i++) {
        crc = crc32c(crc, parts[i].iov_base, parts[i].iov_len);
        iov[n++] = parts[i];
    }
    put_le32(head + 4, crc);
    const uint64_t padded = frame_round(length);
    iov[n++] = (struct iovec){ zeroes, (size_t)(padded - length) };
    if (r->dirty < r->end + padded) {
        r->dirty = r->end + padded;
    }
    const enum weir_status st = append_writev(r, iov, n, err);
    if (st == WEIR_OK) {
        r->written = r->end + padded;
    }
    return st;
}

static void
append_small(char *p, uint32_t length, const struct iovec *parts, int nparts)
{
    char *to = p + FRAME_HEAD;

    for (int i = 0; i < nparts; i++) {
        if (parts[i].iov_len) {
            memcpy(to, parts[i].iov_base, parts[i].iov_len);
            to += parts[i].iov_len;
        }
    }
    const size_t padding = (size_t)(frame_round(length) - length);
    memset(to, 0, padding);
    put_le32(p + 4, crc32c(0, p + 8, length - 8));
}

enum weir_status
relay_append(struct relay *r, enum frame_type type, uint8_t flags,
             const struct iovec *parts, int nparts, uint64_t *offset,
             struct weir_err *err)
{
    size_t payload = 0;

    assert(nparts <= MAX_PARTS);
    for (int i = 0; i < nparts; i++) {
        payload += parts[i].iov_len;
    }
    if (payload > FRAME_MAX - FRAME_HEAD ||
        r->end - r->committed + payload > r->max_open) {
        return append_too_large(r, payload, err);
    }
    const enum weir_status first = first_segment(r, err);
    if (first != WEIR_OK) {
        return first;
    }
    const uint32_t length = (uint32_t)(FRAME_HEAD + payload);
    const size_t   padded = (size_t)frame_round(length);
    const bool     large = padded >= WRITER_LARGE;
    if (large || padded > WRITER_ROOM - r->fill) {
        const enum weir_status st = writer_flush(r, err);
        if (st != WEIR_OK) {
            return st;
        }
    }
    char  head[FRAME_HEAD];
    char *p = large ? head : r->out + r->fill;
    frame_format(p, length, r->end, type, flags);
    if (large) {
        const enum weir_status st =
            append_large(r, p, length, parts, nparts, err);
        if (st != WEIR_OK) {
            return st;
        }
    } else {
        append_small(p, length, parts, nparts);
        r->fill += padded;
    }
    CRASH_POINT("relay.append");
    *offset = r->end;
    r->end += padded;
    return WEIR_OK;
}

void
relay_commit(struct relay *r)
{
    CRASH_POINT("relay.commit");
    r->committed = r->end;
}

/* ---- Taking back */

/* From a segment that the open transaction began to the one before it. */
static enum weir_status
cut_segment(struct relay *r, struct weir_err *err)
{
    char path[PATH_MAX];

    struct segment *before = &r->segments[r->nsegments - 2];
    segment_path(path, r->dir, before->base);
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd == -1) {
        return fail_errno(err, WEIR_RETRY, "open %s", path);
    }
    if (unlink(r->path) == -1) {
        const enum weir_status st =
            fail_errno(err, WEIR_RETRY, "unlink %s", r->path);
        close(fd);
        return st;
    }
    close(r->fd);
    r->fd = fd;
    memcpy(r->path, path, sizeof path);
    r->nsegments--;
    r->end = r->written = r->dirty = before->end;
    r->synced = 0;
    r->fill = 0;
    return WEIR_OK;
}

enum weir_status
relay_cut(struct relay *r, struct weir_err *err)
{
    if (r->fd == -1) {
        return WEIR_OK;
    }
    while (writer_open_segment(r)->base > r->committed) {
        const enum weir_status st = cut_segment(r, err);
        if (st != WEIR_OK) {
            return weir_wrap(err, st, "cut the relay's open transaction");
        }
    }
    const bool in_memory = r->committed >= r->written;
    if (r->dirty > r->committed) {
        if (ftruncate(r->fd, (off_t)in_file(r, r->committed)) == -1) {
            return fail_errno(err, WEIR_RETRY, "cut the relay's open "
                              "transaction: truncate %s", r->path);
        }
        r->dirty = r->committed;
        r->synced = 0;
    }
    if (in_memory) {
        r->fill = (size_t)(r->committed - r->written);
    } else {
        r->fill = 0;
        r->written = r->committed;
    }
    r->end = r->committed;
    return WEIR_OK;
}

enum weir_status
relay_publish(struct relay *r, struct weir_err *err)
{
    if (r->published == r->committed) {
        return WEIR_OK;
    }
    if (r->committed > r->written) {
        const enum weir_status st = writer_flush(r, err);
        if (st != WEIR_OK) {
            return st;
        }
    }
    if (r->settings.sync == RELAY_SYNC_COMMIT &&
        r->committed > writer_open_segment(r)->base) {
        const enum weir_status st = writer_sync(r, err);
        if (st != WEIR_OK) {
            return st;
        }
    }
    CRASH_POINT("relay.publish");
    r->published = r->committed;
    relay_page_publish(&r->page, r->published, writer_open_segment(r)->base);
    CRASH_POINT("relay.published");
    return WEIR_OK;
}
