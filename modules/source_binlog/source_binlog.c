/*
 * source_binlog.c - source `binlog`: files as a server wrote them, a folder or
 * a list, fed event by event.  Which file comes when stands in files.c; of an
 * event only the length is read here.  Knows no server.
 */
#include "source_binlog.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    BLOCK_BYTES = 1 << 20,
    HEADER_BYTES = 19,      /* of an event: sql/log_event.h */
    HEADER_LENGTH = 9,      /* where its length stands, 4 bytes */
    MAGIC_BYTES = 4,        /* "\xfe" "bin" */
    EVENT_MAX = 1 << 30,    /* the largest a server writes */
    FOLLOW_MS = 200,        /* between two looks at a file that may grow */
};

struct source {
    struct weir_instance     *in;
    const struct binlog_conf *conf;
    struct binlog_files       files;
    unsigned char            *block; /* bytes of the file that is open */
    size_t                    room, begin, end;
    int                       fd;
    const char               *path;   /* of files, for messages */
    uint64_t                  offset; /* of block[begin] in the file */
};

/* clang-format off */
#define T struct binlog_conf
static const struct weir_directive directives[] = {
    WEIR_STR(T, path, .value = "",
             .help = "a folder: its index file, or its files NAME.NNNNNN"),
    WEIR_LIST(T, files, .help = "paths of files, in order; instead of path"),
    WEIR_BOOL(T, follow, .value = "off",
              .help = "wait at the end for more, in the last file or behind it"),
    WEIR_END
};
#undef T
/* clang-format on */

static enum weir_status
source_check(const void *data, struct weir_err *err)
{
    const struct binlog_conf *conf = data;
    const bool                path = conf->path && *conf->path;

    if (path == (conf->files.n > 0)) {
        return weir_fail(err, WEIR_FATAL, path
                         ? "path and files: one of them is too much"
                         : "neither path (a folder) nor files (a list) is "
                           "given");
    }
    return WEIR_OK;
}

static enum weir_status
source_open(struct weir_instance *in, const void *conf, void **self,
            struct weir_err *err)
{
    struct source *src = calloc(1, sizeof *src);

    if (src) {
        *src = (struct source){ .in = in, .conf = conf, .fd = -1,
                                .room = BLOCK_BYTES };
        src->block = malloc(src->room);
    }
    if (!src || !src->block) {
        free(src);
        return weir_fail(err, WEIR_RETRY, "out of memory");
    }
    *self = src;
    return WEIR_OK;
}

static void
file_close(struct source *src)
{
    if (src->fd != -1) {
        close(src->fd);
        src->fd = -1;
    }
}

static void
source_close(void *self)
{
    struct source *src = self;

    file_close(src);
    binlog_files_free(&src->files);
    free(src->block);
    free(src);
}

/* ---- Blocks */

/* OK: at least one byte more than before; PENDING: the file's end. */
static enum weir_status
block_read(struct source *src, struct weir_err *err)
{
    if (src->begin > 0) {
        memmove(src->block, src->block + src->begin, src->end - src->begin);
        src->end -= src->begin;
        src->begin = 0;
    }
    for (;;) {
        const ssize_t n =
            read(src->fd, src->block + src->end, src->room - src->end);
        if (n > 0) {
            src->end += (size_t)n;
            return WEIR_OK;
        }
        if (n == 0) {
            return WEIR_PENDING;
        }
        if (errno != EINTR) {
            return weir_fail(err, WEIR_RETRY, "read %s: %s", src->path,
                             strerror(errno));
        }
    }
}

static enum weir_status
block_grow(struct source *src, size_t len, struct weir_err *err)
{
    if (len <= src->room) {
        return WEIR_OK;
    }
    unsigned char *more = realloc(src->block, len);
    if (!more) {
        return weir_fail(err, WEIR_RETRY,
                         "%s, offset %" PRIu64 ": no memory for an event of "
                         "%zu bytes", src->path, src->offset, len);
    }
    src->block = more;
    src->room = len;
    return WEIR_OK;
}

/* At least `len` bytes in the block: OK, or PENDING where the file ends. */
static enum weir_status
block_need(struct source *src, size_t len, struct weir_err *err)
{
    enum weir_status st = block_grow(src, len, err);

    while (st == WEIR_OK && src->end - src->begin < len) {
        st = block_read(src, err);
    }
    return st;
}

static uint32_t
u32_at(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
           (uint32_t)p[3] << 24;
}

/* ---- Files */

static enum weir_status
file_magic(struct source *src, struct weir_err *err)
{
    const enum weir_status st = block_need(src, MAGIC_BYTES, err);

    if (st == WEIR_PENDING) {
        return st;
    }
    if (st == WEIR_OK && memcmp(src->block, "\xfe" "bin", MAGIC_BYTES) != 0) {
        const bool encrypted =
            memcmp(src->block, "\xfd" "bin", MAGIC_BYTES) == 0;
        return weir_fail(err, WEIR_FATAL, "%s is %s", src->path,
                         encrypted ? "an encrypted binlog: only its server "
                                     "can read it"
                                   : "no binlog: it does not begin with "
                                     "\\xfe bin");
    }
    return st;
}

static enum weir_status
file_open(struct source *src, size_t i, uint64_t offset, struct weir_err *err)
{
    file_close(src);
    src->path = src->files.paths[i];
    src->begin = src->end = 0;
    src->offset = 0;
    src->fd = open(src->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (src->fd == -1) {
        return weir_fail(err, errno == ENOENT || errno == EACCES ? WEIR_FATAL
                                                                 : WEIR_RETRY,
                         "open %s: %s", src->path, strerror(errno));
    }
    enum weir_status st = file_magic(src, err);
    if (st != WEIR_OK) {
        return st;
    }
    const off_t size = lseek(src->fd, 0, SEEK_END);
    if (size == -1 || (uint64_t)size < offset) {
        return weir_fail(err, WEIR_FATAL,
                         "%s has %lld bytes, and this pipeline is at %" PRIu64
                         " of it: the file was replaced or cut",
                         src->path, (long long)size, offset);
    }
    if (lseek(src->fd, (off_t)offset, SEEK_SET) == -1) {
        return weir_fail(err, WEIR_RETRY, "seek in %s: %s", src->path,
                         strerror(errno));
    }
    src->begin = src->end = 0;
    src->offset = offset;
    return WEIR_OK;
}

/* One event.  PENDING: the file ends here, or within the event. */
static enum weir_status
event_feed(struct source *src, struct weir_err *err)
{
    enum weir_status st = block_need(src, HEADER_BYTES, err);

    if (st != WEIR_OK) {
        return st;
    }
    const size_t len = u32_at(src->block + src->begin + HEADER_LENGTH);
    if (len < HEADER_BYTES || len > EVENT_MAX) {
        return weir_fail(err, WEIR_FATAL,
                         "%s, offset %" PRIu64 ": an event of %zu bytes can't "
                         "be; the file is damaged here", src->path,
                         src->offset, len);
    }
    st = block_need(src, len, err);
    if (st != WEIR_OK) {
        return st;
    }
    st = weir_feed_binlog(src->in, src->block + src->begin, len, err);
    if (st == WEIR_OK) {
        src->begin += len;
        src->offset += len;
    }
    return st;
}

/* ---- run() */

/* False: time to end. */
static bool
wait_for_more(struct source *src, int timeout_ms)
{
    struct pollfd p = { .fd = weir_stop_fd(src->in), .events = POLLIN };
    const int     n = poll(&p, 1, timeout_ms);

    return n <= 0;
}

static enum weir_status
fail_cut(struct source *src, struct weir_err *err)
{
    return weir_fail(err, WEIR_FATAL,
                     "%s ends in the middle of the event at offset %" PRIu64
                     ", %zu bytes behind its beginning: a copy that is not "
                     "whole, or its server is still writing it (follow = on)",
                     src->path, src->offset, src->end - src->begin);
}

/* The end of file i is reached.  OK: go on with *i; DROP: all is read. */
static enum weir_status
at_end(struct source *src, size_t *i, struct weir_err *err)
{
    const bool cut = src->end > src->begin || src->offset == 0;

    if (*i + 1 == src->files.n && src->conf->follow) {
        const enum weir_status st = binlog_files_again(&src->files, src->conf,
                                                       err);
        if (st != WEIR_OK) {
            return st;
        }
    }
    if (*i + 1 < src->files.n) {
        /* The next one exists: what this one had is now all there is, unless
         * it grew between the two looks. */
        const enum weir_status st = block_need(src, HEADER_BYTES, err);
        if (st != WEIR_PENDING) {
            return st;
        }
        if (cut) {
            return fail_cut(src, err);
        }
        return file_open(src, ++*i, MAGIC_BYTES, err);
    }
    if (!src->conf->follow) {
        return cut ? fail_cut(src, err) : WEIR_DROP;
    }
    const enum weir_status st = weir_feed_flush(src->in, err);
    return st != WEIR_OK ? st : wait_for_more(src, FOLLOW_MS) ? WEIR_OK
                                                              : WEIR_DROP;
}

static enum weir_status
files_feed(struct source *src, size_t i, uint64_t offset,
           struct weir_err *err)
{
    enum weir_status st = file_open(src, i, offset, err);
    unsigned         n = 0;

    while (st == WEIR_OK || st == WEIR_PENDING) {
        if (st == WEIR_OK) {
            st = event_feed(src, err);
        }
        if (st == WEIR_PENDING) {
            st = at_end(src, &i, err);
        }
        if (st == WEIR_OK && ++n % 1024 == 0 && !wait_for_more(src, 0)) {
            return WEIR_OK;
        }
    }
    if (st != WEIR_DROP) {
        return st;
    }
    return weir_feed_flush(src->in, err);
}

static enum weir_status
find_place(struct source *src, struct weir_str gtid_set, struct weir_str file,
           size_t *i, uint64_t *offset, struct weir_err *err)
{
    *i = 0;
    *offset = MAGIC_BYTES;
    if (file.len == 0 && gtid_set.len > 0) {
        return weir_fail(err, WEIR_FATAL, "files are read by name and offset, "
                         "not from GTID %.*s", (int)gtid_set.len,
                         gtid_set.data);
    }
    if (file.len == 0) {
        return WEIR_OK;
    }
    if (!binlog_files_find(&src->files, file, i)) {
        return weir_fail(err, WEIR_FATAL, "this pipeline is at %.*s:%" PRIu64
                         ", a file that is not among the %zu that %s names",
                         (int)file.len, file.data, offset ? *offset : 0,
                         src->files.n, src->conf->files.n ? "files" : "path");
    }
    return WEIR_OK;
}
