/*
 * reader.c - events out of one binlog file, in blocks of 1 MiB.  Reads of an
 * event only its length, which must be one that can be.
 */
#include "source_binlog.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BLOCK_BYTES = 1 << 20,
    EVENT_MAX = 1 << 30, /* the largest that a server writes */
};

uint32_t
binlog_u32(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
           (uint32_t)p[3] << 24;
}

enum weir_status
reader_init(struct binlog_reader *r, struct weir_err *err)
{
    *r = (struct binlog_reader){ .fd = -1, .room = BLOCK_BYTES };
    r->block = malloc(r->room);
    return r->block ? WEIR_OK : weir_fail(err, WEIR_RETRY, "out of memory");
}

void
reader_fini(struct binlog_reader *r)
{
    if (r->fd != -1) {
        close(r->fd);
    }
    free(r->block);
    *r = (struct binlog_reader){ .fd = -1 };
}

enum weir_status
reader_open(struct binlog_reader *r, const char *path, struct weir_err *err)
{
    struct stat st;

    if (r->fd != -1) {
        close(r->fd);
    }
    r->begin = r->end = 0;
    r->offset = 0;
    r->path = path;
    r->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (r->fd == -1 || fstat(r->fd, &st) == -1) {
        return weir_fail(err, WEIR_FATAL, "open %s: %s", path,
                         strerror(errno));
    }
    return S_ISREG(st.st_mode) ? WEIR_OK
                               : weir_fail(err, WEIR_FATAL,
                                           "%s is not a file", path);
}

enum weir_status
reader_seek(struct binlog_reader *r, uint64_t offset, struct weir_err *err)
{
    struct stat st;

    if (fstat(r->fd, &st) == -1 || (uint64_t)st.st_size < offset) {
        return weir_fail(err, WEIR_FATAL,
                         "%s has %lld bytes, and this pipeline is at %" PRIu64
                         " of it: the file was cut or replaced", r->path,
                         (long long)st.st_size, offset);
    }
    if (lseek(r->fd, (off_t)offset, SEEK_SET) == -1) {
        return weir_fail(err, WEIR_FATAL, "seek %s: %s", r->path,
                         strerror(errno));
    }
    r->begin = r->end = 0;
    r->offset = offset;
    return WEIR_OK;
}

size_t
reader_left(const struct binlog_reader *r)
{
    return r->end - r->begin;
}

static enum weir_status
grow(struct binlog_reader *r, size_t len, struct weir_err *err)
{
    if (len <= r->room) {
        return WEIR_OK;
    }
    unsigned char *more = realloc(r->block, len);
    if (!more) {
        return weir_fail(err, WEIR_RETRY,
                         "%s, offset %" PRIu64 ": no memory for an event of "
                         "%zu bytes", r->path, r->offset, len);
    }
    r->block = more;
    r->room = len;
    return WEIR_OK;
}

/* `len` bytes in the block, or PENDING where the file ends before. */
static enum weir_status
need(struct binlog_reader *r, size_t len, struct weir_err *err)
{
    if (reader_left(r) >= len) {
        return WEIR_OK;
    }
    memmove(r->block, r->block + r->begin, reader_left(r));
    r->end -= r->begin;
    r->begin = 0;
    const enum weir_status st = grow(r, len, err);
    while (st == WEIR_OK && r->end < len) {
        const ssize_t n = read(r->fd, r->block + r->end, r->room - r->end);
        if (n == -1 && errno == EINTR) {
            continue;
        }
        if (n == -1) {
            return weir_fail(err, WEIR_RETRY, "read %s: %s", r->path,
                             strerror(errno));
        }
        if (n == 0) {
            return WEIR_PENDING;
        }
        r->end += (size_t)n;
    }
    return st;
}

static void
consume(struct binlog_reader *r, size_t n)
{
    r->begin += n;
    r->offset += n;
}

static enum weir_status
read_magic(struct binlog_reader *r, struct weir_err *err)
{
    const enum weir_status st = need(r, BINLOG_MAGIC_BYTES, err);

    if (st != WEIR_OK) {
        return st;
    }
    const unsigned char *p = r->block + r->begin;
    if (memcmp(p + 1, "bin", 3) != 0 || p[0] < 0xfd || p[0] > 0xfe) {
        return weir_fail(err, WEIR_FATAL,
                         "%s is no binlog: it does not begin with \\xfe and "
                         "bin", r->path);
    }
    if (p[0] == 0xfd) { /* MySQL's binlog_encryption */
        return weir_fail(err, WEIR_FATAL,
                         "%s is encrypted: only its server can read it",
                         r->path);
    }
    consume(r, BINLOG_MAGIC_BYTES);
    return WEIR_OK;
}

enum weir_status
reader_event(struct binlog_reader *r, struct weir_str *out,
             struct weir_err *err)
{
    enum weir_status st = r->offset == 0 ? read_magic(r, err) : WEIR_OK;

    if (st == WEIR_OK) {
        st = need(r, BINLOG_HEADER_BYTES, err);
    }
    if (st != WEIR_OK) {
        return st;
    }
    const size_t len = binlog_u32(r->block + r->begin + BINLOG_AT_LENGTH);
    if (len < BINLOG_HEADER_BYTES || len > EVENT_MAX) {
        return weir_fail(err, WEIR_FATAL,
                         "%s, offset %" PRIu64 ": there is no event of %zu "
                         "bytes: the file is damaged", r->path, r->offset,
                         len);
    }
    st = need(r, len, err);
    if (st == WEIR_OK) {
        *out = (struct weir_str){ (char *)r->block + r->begin, len };
        consume(r, len);
    }
    return st;
}
