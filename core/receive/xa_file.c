/* xa_file.c - the file of one prepared XA transaction. */
#include "receive/xa_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crash.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "base/file.h"
#include "base/str.h"
#include "relay/segment.h"

/* MAXGTRIDSIZE, MAXBQUALSIZE; OUT_ROOM gathers before it is written. */
enum { PART_MAX = 64, OUT_ROOM = 256 << 10 };

/* ---- Names */

static int
hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* X'6f..', and the comma: its bytes, and how many in front of them. */
static bool
read_part(struct reader *r, uint8_t *out, size_t *n)
{
    uint8_t *const count = out + (*n)++;

    *count = 0;
    if (read_le(r, 1) != 'X' || read_le(r, 1) != '\'') {
        return false;
    }
    for (;;) {
        const char c = (char)read_le(r, 1);
        if (c == '\'') {
            return read_le(r, 1) == ',';
        }
        const int high = hex_digit(c);
        const int low = high < 0 ? -1 : hex_digit((char)read_le(r, 1));
        if (low < 0 || *count == PART_MAX) {
            return false;
        }
        out[(*n)++] = (uint8_t)(high << 4 | low);
        (*count)++;
    }
}

/* In hexadecimal the longest XID is longer than a file's name may be. */
static void
put_base32(char *p, const uint8_t *data, size_t n)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuv";
    unsigned          bits = 0, have = 0;

    for (size_t i = 0; i < n; i++) {
        bits = (bits << 8 | data[i]) & 0xffff;
        for (have += 8; have >= 5; have -= 5) {
            *p++ = digits[bits >> (have - 5) & 31];
        }
    }
    if (have > 0) {
        *p++ = digits[bits << (5 - have) & 31];
    }
    *p = '\0';
}

bool
xa_file_name(struct weir_str xid, char out[static NAME_MAX + 1])
{
    struct reader r = reader_of(xid.data, xid.len);
    uint8_t       bytes[2 * (PART_MAX + 1) + 4];
    size_t        n = 0;
    uint64_t      format;

    if (!read_part(&r, bytes, &n) || !read_part(&r, bytes, &n)) {
        return false;
    }
    const bool      minus = reader_left(&r) > 0 && *r.p == '-';
    struct weir_str digits = read_str(&r, reader_left(&r));
    while (digits.len > 0 && digits.data[digits.len - 1] == ' ') {
        digits.len--;
    }
    if (minus) {
        digits.data++;
        digits.len--;
    }
    if (!str_u64(digits, &format) || format > UINT32_MAX) {
        return false;
    }
    put_le32(bytes + n, (uint32_t)(minus ? -format : format));
    put_base32(out, bytes, n + 4);
    return true;
}

/* ---- Writing */

void
xa_writer_init(struct xa_writer *w, const char *dir, uint64_t max)
{
    *w = (struct xa_writer){ .dir = dir, .fd = -1, .max = max,
                             .end = XA_MARK_ROOM };
}

bool
xa_writer_is_empty(const struct xa_writer *w)
{
    return w->end == XA_MARK_ROOM;
}

void
xa_writer_discard(struct xa_writer *w)
{
    if (w->fd != -1) {
        close(w->fd);
        w->fd = -1;
        unlink(w->path);
    }
    w->end = XA_MARK_ROOM;
    w->out.len = 0;
}

void
xa_writer_free(struct xa_writer *w)
{
    xa_writer_discard(w);
    buf_free(&w->out);
}

static enum weir_status
writer_open(struct xa_writer *w, struct weir_err *err)
{
    if (w->fd != -1) {
        return WEIR_OK;
    }
    const enum weir_status st = file_mkdir(w->dir, 0700, err);
    if (st != WEIR_OK) {
        return st;
    }
    const int n = snprintf(w->path, sizeof w->path, "%s/new", w->dir);
    if (n < 0 || (size_t)n >= sizeof w->path) {
        return weir_fail(err, WEIR_FATAL, "%s: the path is too long", w->dir);
    }
    w->fd = open(w->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                 0600);
    return w->fd == -1 ? fail_errno(err, WEIR_RETRY, "open %s", w->path)
                       : WEIR_OK;
}

/* What has gathered goes to the file while the disk has room. */
static enum weir_status
writer_flush(struct xa_writer *w, struct weir_err *err)
{
    struct statvfs fs;

    enum weir_status st = writer_open(w, err);
    if (st != WEIR_OK || w->out.len == 0) {
        return st;
    }
    if (w->max == 0 && fstatvfs(w->fd, &fs) == 0 &&
        fs.f_bavail <= fs.f_blocks / 20) {
        return weir_fail(err, WEIR_RETRY,
                         "the disk of %s has only %llu MiB left, less than "
                         "5 %% of it: " ERR_NO_ROOM, w->dir,
                         (unsigned long long)fs.f_bavail * fs.f_frsize >> 20);
    }
    st = file_pwrite(w->fd, w->path, w->out.data, w->out.len,
                     w->end - w->out.len, err);
    w->out.len = st == WEIR_OK ? 0 : w->out.len;
    return st;
}

static void
put_frame(struct buf *out, uint64_t at, enum xa_record type, const void *head,
          size_t head_len, const void *data, size_t len)
{
    const uint32_t length = (uint32_t)(FRAME_HEAD + head_len + len);
    const size_t   padded = (size_t)frame_round(length);
    char *const    p = buf_need(out, padded);

    frame_format(p, length, at, (enum frame_type)type, 0);
    if (head_len) {
        memcpy(p + FRAME_HEAD, head, head_len);
    }
    if (len) {
        memcpy(p + FRAME_HEAD + head_len, data, len);
    }
    memset(p + length, 0, padded - length);
    put_le32(p + 4, crc32c(0, p + 8, length - 8));
    out->len += padded;
}

enum weir_status
xa_writer_put(struct xa_writer *w, enum xa_record type, const void *head,
              size_t head_len, const void *data, size_t len,
              struct weir_err *err)
{
    const uint64_t most = w->max ? w->max : UINT64_MAX / 2;

    if (len > FRAME_MAX - FRAME_HEAD - head_len) {
        return weir_fail(err, WEIR_FATAL,
                         "an event of %zu bytes is larger than the 1 GiB that "
                         "the relay takes", len);
    }
    if (w->end - XA_MARK_ROOM + head_len + len > most) {
        return weir_fail(err, WEIR_FATAL,
                         "an XA transaction of more than %llu bytes is larger "
                         "than relay { max_transaction } allows: raise it",
                         (unsigned long long)w->max);
    }
    const size_t before = w->out.len;
    put_frame(&w->out, w->end, type, head, head_len, data, len);
    w->end += w->out.len - before;
    return w->out.len < OUT_ROOM ? WEIR_OK : writer_flush(w, err);
}

enum weir_status
xa_writer_finish(struct xa_writer *w, struct weir_err *err)
{
    return writer_flush(w, err);
}

enum weir_status
xa_writer_keep(struct xa_writer *w, struct weir_str xid, const char *name,
               struct weir_err *err)
{
    char path[PATH_MAX];

    enum weir_status st =
        xa_writer_put(w, XA_RECORD_PREPARED, NULL, 0, xid.data, xid.len, err);
    if (st == WEIR_OK) {
        st = writer_flush(w, err);
    }
    if (st == WEIR_OK && fsync(w->fd) == -1) {
        st = fail_errno(err, WEIR_RETRY, "fsync %s", w->path);
    }
    const int n = snprintf(path, sizeof path, "%s/%s", w->dir, name);
    if (st == WEIR_OK && (n < 0 || (size_t)n >= sizeof path)) {
        st = weir_fail(err, WEIR_FATAL, "%s: the path is too long", w->dir);
    }
    CRASH_POINT("xa.keep");
    if (st == WEIR_OK && rename(w->path, path) == -1) {
        st = fail_errno(err, WEIR_RETRY, "rename %s to %s", w->path, path);
    }
    if (st != WEIR_OK) {
        xa_writer_discard(w);
        return st;
    }
    CRASH_POINT("xa.kept");
    close(w->fd);
    w->fd = -1;
    xa_writer_discard(w);
    return file_sync_dir(w->dir, err);
}

/* ---- Reading */

enum weir_status
xa_reader_open(struct xa_reader *r, const char *path, struct weir_err *err)
{
    struct stat s;

    *r = (struct xa_reader){ .path = path };
    r->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (r->fd == -1) {
        return errno == ENOENT ? WEIR_DROP
                               : fail_errno(err, WEIR_RETRY, "open %s", path);
    }
    if (fstat(r->fd, &s) == -1) {
        const enum weir_status st =
            fail_errno(err, WEIR_RETRY, "stat %s", path);
        xa_reader_close(r);
        return st;
    }
    r->size = (uint64_t)s.st_size;
    r->at = XA_MARK_ROOM;
    return WEIR_OK;
}

static enum weir_status
read_at(struct xa_reader *r, size_t n, struct weir_err *err)
{
    r->room.len = 0;
    const ssize_t got = file_pread(r->fd, buf_need(&r->room, n), n, r->at);
    if (got == -1) {
        return fail_errno(err, WEIR_RETRY, "read %s", r->path);
    }
    r->room.len = (size_t)got;
    return r->room.len == n ? WEIR_OK : WEIR_DROP;
}

enum weir_status
xa_reader_next(struct xa_reader *r, struct frame *out, struct weir_err *err)
{
    enum weir_status st = read_at(r, FRAME_HEAD, err);

    if (st != WEIR_OK) {
        return st;
    }
    const uint32_t length = frame_length(r->room.data, r->at);
    if (length == 0 || length > r->size - r->at) {
        return WEIR_DROP;
    }
    st = read_at(r, length, err);
    if (st != WEIR_OK || !frame_valid(r->room.data, length)) {
        return st == WEIR_OK ? WEIR_DROP : st;
    }
    frame_parse(r->room.data, length, out);
    r->at = out->next;
    return WEIR_OK;
}

void
xa_reader_close(struct xa_reader *r)
{
    if (r->fd != -1) {
        close(r->fd);
        r->fd = -1;
    }
    buf_free(&r->room);
}

/* ---- The mark */

enum weir_status
xa_mark_write(const char *path, struct weir_str text, struct weir_err *err)
{
    char      mark[XA_MARK_ROOM] = { 0 };
    const int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd == -1) {
        return fail_errno(err, WEIR_RETRY, "open %s", path);
    }
    CRASH_POINT("xa.mark");
    put_le32(mark, (uint32_t)text.len);
    put_le32(mark + 4, crc32c(0, text.data, text.len));
    memcpy(mark + 8, text.data, text.len);
    const enum weir_status st =
        file_pwrite(fd, path, mark, sizeof mark, 0, err);
    close(fd);
    return st;
}

enum weir_status
xa_mark_read(const char *path, struct buf *out, struct weir_err *err)
{
    char      mark[XA_MARK_ROOM];
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    out->len = 0;
    if (fd == -1) {
        return fail_errno(err, WEIR_RETRY, "open %s", path);
    }
    const ssize_t got = file_pread(fd, mark, sizeof mark, 0);
    close(fd);
    if (got == -1) {
        return fail_errno(err, WEIR_RETRY, "read %s", path);
    }
    const uint32_t len = got < 8 ? 0 : get_le32(mark);
    if (len <= sizeof mark - 8 && (size_t)got >= 8 + len && len > 0 &&
        crc32c(0, mark + 8, len) == get_le32(mark + 4)) {
        buf_add(out, mark + 8, len);
    }
    return WEIR_OK;
}
