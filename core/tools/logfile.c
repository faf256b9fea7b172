/* logfile.c - see logfile.h. */
#include "tools/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/err.h"
#include "binlog/event.h"

enum { BLOCK = 1 << 20 };

static const uint8_t plain_magic[BINLOG_MAGIC_BYTES] = { 0xfe, 'b', 'i', 'n' };
/* MySQL with binlog_encryption=ON, sql/stream_cipher.h. */
static const uint8_t secret_magic[BINLOG_MAGIC_BYTES] = { 0xfd, 'b', 'i', 'n' };

static size_t
unread(const struct logfile *f)
{
    return f->block.len - f->at;
}

/* Reads once, behind what is there.  DROP at the end of the file. */
static enum weir_status
read_more(struct logfile *f, struct weir_err *err)
{
    if (f->at) {
        memmove(f->block.data, f->block.data + f->at, unread(f));
        f->block.len -= f->at;
        f->at = 0;
    }
    if (f->before_wait && !f->regular) {
        f->before_wait(f->arg);
    }
    /* Room grows with what has come and not with what a header promises. */
    char   *to = buf_need(&f->block, f->block.room ? BLOCK / 4 : BLOCK);
    ssize_t n;
    do {
        n = read(f->fd, to, f->block.room - f->block.len);
    } while (n == -1 && errno == EINTR);
    if (n == -1) {
        return fail_errno(err, WEIR_FATAL, "read %s", f->path);
    }
    f->block.len += (size_t)n;
    return n == 0 ? WEIR_DROP : WEIR_OK;
}

/* `want` bytes in the block.  DROP: the file has fewer. */
static enum weir_status
fill(struct logfile *f, size_t want, struct weir_err *err)
{
    enum weir_status st = WEIR_OK;
    while (st == WEIR_OK && unread(f) < want) {
        st = read_more(f, err);
    }
    return st;
}

static enum weir_status
check_magic(struct logfile *f, struct weir_err *err)
{
    const enum weir_status st = fill(f, BINLOG_MAGIC_BYTES, err);
    if (st == WEIR_DROP) {
        return weir_fail(err, WEIR_FATAL,
                         "%s: not a binlog: it has only %zu bytes", f->path,
                         unread(f));
    }
    if (st != WEIR_OK) {
        return st;
    }
    const uint8_t *b = (const uint8_t *)f->block.data;
    if (memcmp(b, secret_magic, sizeof secret_magic) == 0) {
        return weir_fail(err, WEIR_FATAL,
                         "%s: an encrypted binlog of MySQL: only its server "
                         "can read it; fetch it with mysqlbinlog "
                         "--read-from-remote-server --raw",
                         f->path);
    }
    if (memcmp(b, plain_magic, sizeof plain_magic) != 0) {
        return weir_fail(err, WEIR_FATAL,
                         "%s: not a binlog: it begins with %02x %02x %02x "
                         "%02x and not with fe 62 69 6e",
                         f->path, b[0], b[1], b[2], b[3]);
    }
    f->at = BINLOG_MAGIC_BYTES;
    f->next = BINLOG_MAGIC_BYTES;
    return WEIR_OK;
}

enum weir_status
logfile_open(struct logfile *f, const char *path, struct weir_err *err)
{
    const bool  is_stdin = strcmp(path, "-") == 0;
    const char *slash = strrchr(path, '/');

    f->path = is_stdin ? "standard input" : path;
    f->name = is_stdin ? "stdin" : slash ? slash + 1 : path;
    f->block.len = f->at = 0;
    f->offset = f->next = 0;
    f->fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (f->fd == -1) {
        return fail_errno(err, WEIR_FATAL, "open %s", path);
    }
    struct stat info;
    f->regular = fstat(f->fd, &info) == 0 && S_ISREG(info.st_mode);
    return check_magic(f, err);
}

void
logfile_close(struct logfile *f)
{
    if (f->fd > STDIN_FILENO) {
        close(f->fd);
    }
    f->fd = -1;
}

static enum weir_status
cut_short(const struct logfile *f, size_t len, struct weir_err *err)
{
    return weir_fail(err, WEIR_FATAL,
                     "%s: offset %llu: the file ends %zu bytes into an event "
                     "of %zu bytes",
                     f->path, (unsigned long long)f->offset, unread(f), len);
}

enum weir_status
logfile_next(struct logfile *f, const uint8_t **data, size_t *len,
             struct weir_err *err)
{
    f->offset = f->next;
    enum weir_status st = fill(f, BINLOG_HEADER, err);
    if (st == WEIR_DROP && unread(f)) {
        return weir_fail(err, WEIR_FATAL,
                         "%s: offset %llu: the file ends %zu bytes into the "
                         "header of an event",
                         f->path, (unsigned long long)f->offset, unread(f));
    }
    if (st != WEIR_OK) {
        return st;
    }
    const size_t want = get_le32(f->block.data + f->at + 9);
    if (want < BINLOG_HEADER || want > BINLOG_MAX_EVENT) {
        return weir_fail(err, WEIR_FATAL,
                         "%s: offset %llu: an event of %zu bytes can't be: "
                         "the file is damaged here, or before",
                         f->path, (unsigned long long)f->offset, want);
    }
    st = fill(f, want, err);
    if (st != WEIR_OK) {
        return st == WEIR_DROP ? cut_short(f, want, err) : st;
    }
    *data = (const uint8_t *)f->block.data + f->at;
    *len = want;
    f->at += want;
    f->next += want;
    return WEIR_OK;
}
