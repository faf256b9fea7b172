/*
 * source_binlog.c - source `binlog`: files as a server wrote them, fed as a
 * server would send them: at the beginning of each file an artificial ROTATE
 * that names it, and before a start in its middle its format description, made
 * to say no position.  Knows no server and, of events, nothing more.
 */
#include "source_binlog.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FOLLOW_MS = 200,      /* between two looks at files that may grow */
    STOP_EVERY = 1024,    /* events between two looks whether to stop */
    CHECKSUM_BYTES = 4,
    FORMAT_CREATED = 19 + 2 + 50, /* of a format description: when its server
                                     was started, 4 bytes */
    FORMAT_MIN = 19 + 57 + 5,
};

struct source {
    struct weir_instance     *in;
    const struct binlog_conf *conf;
    struct binlog_files       files;
    size_t                    at; /* the file that is read */
    struct binlog_reader      reader;
    bool                      checksums; /* as the last format description */
    bool                      ended;     /* of this file nothing more comes */
};

/* clang-format off */
#define T struct binlog_conf
static const struct weir_directive directives[] = {
    WEIR_STR(T, path, .value = "",
             .help = "a folder: its index file, or its files NAME.NNNNNN"),
    WEIR_LIST(T, files, .help = "paths of files, in order; instead of path"),
    WEIR_BOOL(T, follow, .value = "off",
              .help = "at the end wait for more, in the last file or after it"),
    WEIR_END
};
#undef T
/* clang-format on */

static enum weir_status
source_check(const void *data, struct weir_err *err)
{
    const struct binlog_conf *conf = data;
    const bool                path = conf->path && *conf->path;

    if (path && conf->files.n > 0) {
        return weir_fail(err, WEIR_FATAL,
                         "path and files: one of them is too much");
    }
    return path || conf->files.n > 0
               ? WEIR_OK
               : weir_fail(err, WEIR_FATAL, "neither path, a folder, nor "
                           "files, a list, is given");
}

static enum weir_status
source_open(struct weir_instance *in, const void *conf, void **self,
            struct weir_err *err)
{
    struct source *src = calloc(1, sizeof *src);

    if (!src) {
        return weir_fail(err, WEIR_RETRY, "out of memory");
    }
    *src = (struct source){ .in = in, .conf = conf };
    const enum weir_status st = reader_init(&src->reader, err);
    if (st != WEIR_OK) {
        free(src);
        return st;
    }
    *self = src;
    return WEIR_OK;
}

static void
source_close(void *self)
{
    struct source *src = self;

    reader_fini(&src->reader);
    binlog_files_free(&src->files);
    free(src);
}

/* ---- Events that a server would add */

static uint32_t
crc32_of(const unsigned char *p, size_t n)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
        }
    }
    return ~crc;
}

static void
put_u32(unsigned char *p, uint32_t v)
{
    p[0] = (unsigned char)v;
    p[1] = (unsigned char)(v >> 8);
    p[2] = (unsigned char)(v >> 16);
    p[3] = (unsigned char)(v >> 24);
}

static enum weir_status
feed_rotate(struct source *src, struct weir_err *err)
{
    const char   *name = binlog_file_name(src->files.paths[src->at]);
    const size_t  len = strlen(name);
    unsigned char event[BINLOG_HEADER_BYTES + 8 + 256 + CHECKSUM_BYTES] = { 0 };
    size_t        n = BINLOG_HEADER_BYTES + 8 + len;

    if (len > 255) {
        return weir_fail(err, WEIR_FATAL, "%.64s...: the name is too long",
                         name);
    }
    event[BINLOG_AT_TYPE] = BINLOG_ROTATE;
    event[BINLOG_AT_FLAGS] = BINLOG_ARTIFICIAL;
    event[BINLOG_HEADER_BYTES] = BINLOG_MAGIC_BYTES;
    memcpy(event + BINLOG_HEADER_BYTES + 8, name, len);
    if (src->checksums) {
        put_u32(event + BINLOG_AT_LENGTH, (uint32_t)n + CHECKSUM_BYTES);
        put_u32(event + n, crc32_of(event, n));
        n += CHECKSUM_BYTES;
    } else {
        put_u32(event + BINLOG_AT_LENGTH, (uint32_t)n);
    }
    return weir_feed_binlog(src->in, event, n, err);
}

/* As it is sent to who begins in the middle: it tells the layout of events,
 * not a position, and not that the server was started here. */
static enum weir_status
feed_format_quietly(struct source *src, struct weir_str event,
                    struct weir_err *err)
{
    unsigned char *copy = malloc(event.len);

    if (!copy) {
        abort();
    }
    memcpy(copy, event.data, event.len);
    copy[BINLOG_AT_FLAGS] &= 0xfe; /* not "in use", which no checksum covers */
    put_u32(copy + BINLOG_AT_LOG_POS, 0);
    put_u32(copy + FORMAT_CREATED, 0);
    if (src->checksums) {
        put_u32(copy + event.len - CHECKSUM_BYTES,
                crc32_of(copy, event.len - CHECKSUM_BYTES));
    }
    const enum weir_status st =
        weir_feed_binlog(src->in, copy, event.len, err);
    free(copy);
    return st;
}

static enum weir_status
read_format(struct source *src, struct weir_str *event, struct weir_err *err)
{
    const enum weir_status st = reader_event(&src->reader, event, err);

    if (st == WEIR_PENDING) {
        return weir_fail(err, WEIR_FATAL, "%s ends within its first event",
                         src->reader.path);
    }
    if (st == WEIR_OK && (event->data[BINLOG_AT_TYPE] != BINLOG_FORMAT ||
                          event->len < FORMAT_MIN)) {
        return weir_fail(err, WEIR_FATAL,
                         "%s does not begin with a format description",
                         src->reader.path);
    }
    return st;
}

/* ---- From file to file */

static bool
is_stopping(struct source *src, int timeout_ms)
{
    struct pollfd p = { .fd = weir_stop_fd(src->in), .events = POLLIN };

    return poll(&p, 1, timeout_ms) > 0;
}

static enum weir_status
fail_cut(struct source *src, struct weir_err *err)
{
    return weir_fail(err, WEIR_FATAL,
                     "%s ends in the middle of an event, %zu bytes behind its "
                     "beginning at offset %" PRIu64 ": the file was cut, or "
                     "its server is still writing it (then: follow = on)",
                     src->reader.path, reader_left(&src->reader),
                     src->reader.offset);
}

/* The list may have grown; the file that is read stays the one that is read. */
static enum weir_status
look_again(struct source *src, struct weir_err *err)
{
    char *const path = strdup(src->files.paths[src->at]);

    if (!path) {
        abort();
    }
    const struct weir_str name = { binlog_file_name(path),
                                   strlen(binlog_file_name(path)) };
    enum weir_status st = binlog_files_load(src->conf, &src->files, err);
    if (st == WEIR_OK && !binlog_files_find(&src->files, name, &src->at)) {
        st = weir_fail(err, WEIR_FATAL,
                       "%s is gone while it was read; what came behind it may "
                       "be gone too", path);
    }
    if (st == WEIR_OK) {
        src->reader.path = src->files.paths[src->at];
    }
    free(path);
    return st;
}

static enum weir_status
next_file(struct source *src, struct weir_err *err)
{
    enum weir_status st = binlog_files_adjoin(
        src->files.paths[src->at], src->files.paths[src->at + 1], err);

    if (st == WEIR_OK) {
        src->at++;
        src->ended = false;
        st = reader_open(&src->reader, src->files.paths[src->at], err);
    }
    return st == WEIR_OK ? feed_rotate(src, err) : st;
}

/* No more in this file for now.  OK: go on reading; DROP: that was all. */
static enum weir_status
at_end(struct source *src, struct weir_err *err)
{
    const bool cut =
        reader_left(&src->reader) > 0 || src->reader.offset == 0;
    enum weir_status st = WEIR_OK;

    if (src->conf->follow && !src->ended && src->at + 1 == src->files.n) {
        st = look_again(src, err);
    }
    if (st != WEIR_OK) {
        return st;
    }
    if (src->at + 1 < src->files.n && src->conf->follow && !src->ended) {
        src->ended = true; /* but it may have grown just before */
        return WEIR_OK;
    }
    if (src->at + 1 < src->files.n) {
        return cut ? fail_cut(src, err) : next_file(src, err);
    }
    if (!src->conf->follow) {
        return cut ? fail_cut(src, err) : WEIR_DROP;
    }
    st = weir_feed_flush(src->in, err);
    if (st != WEIR_OK) {
        return st;
    }
    return is_stopping(src, FOLLOW_MS) ? WEIR_DROP : WEIR_OK;
}

/* ---- run() */

/* PENDING: the place is the beginning of the file that is to come next, as a
 * server ends a file with the name of the one behind it. */
static enum weir_status
find_place(struct source *src, struct weir_str gtid_set, struct weir_str file,
           uint64_t *offset, struct weir_err *err)
{
    enum weir_status st = binlog_files_load(src->conf, &src->files, err);

    src->at = 0;
    src->ended = src->checksums = false;
    if (st != WEIR_OK) {
        return st;
    }
    if (file.len == 0 && gtid_set.len == 0) {
        *offset = BINLOG_MAGIC_BYTES;
        return WEIR_OK;
    }
    if (file.len == 0) {
        return weir_fail(err, WEIR_FATAL,
                         "files are read by name and offset: GTID %.*s is no "
                         "place in them", (int)gtid_set.len, gtid_set.data);
    }
    if (!binlog_files_find(&src->files, file, &src->at)) {
        if (*offset <= BINLOG_MAGIC_BYTES &&
            binlog_files_to_come(&src->files, file)) {
            return WEIR_PENDING;
        }
        return weir_fail(err, WEIR_FATAL,
                         "this pipeline is at %.*s:%" PRIu64 ", and the files "
                         "are %s to %s: put it back, or begin anew with an "
                         "empty state", (int)file.len, file.data, *offset,
                         binlog_file_name(src->files.paths[0]),
                         binlog_file_name(src->files.paths[src->files.n - 1]));
    }
    if (*offset < BINLOG_MAGIC_BYTES) {
        *offset = BINLOG_MAGIC_BYTES;
    }
    return WEIR_OK;
}

/* DROP: it is not there, and is not to be waited for, or not any more. */
static enum weir_status
wait_for_place(struct source *src, struct weir_str gtid_set,
               struct weir_str file, uint64_t *offset, struct weir_err *err)
{
    enum weir_status st = find_place(src, gtid_set, file, offset, err);

    if (st == WEIR_PENDING && src->conf->follow) {
        weir_log(src->in, WEIR_INFO, "waits for %.*s, which comes behind %s",
                 (int)file.len, file.data,
                 src->files.paths[src->files.n - 1]);
    }
    while (st == WEIR_PENDING && src->conf->follow &&
           !is_stopping(src, FOLLOW_MS)) {
        st = weir_feed_flush(src->in, err);
        if (st == WEIR_OK) {
            st = find_place(src, gtid_set, file, offset, err);
        }
    }
    return st == WEIR_PENDING ? WEIR_DROP : st;
}

static enum weir_status
begin(struct source *src, struct weir_str gtid_set, uint64_t offset,
      struct weir_err *err)
{
    static const struct weir_str none = { "", 0 };
    const char      *path = src->files.paths[src->at];
    const char      *name = binlog_file_name(path);
    struct weir_str  format;
    enum weir_status st = reader_open(&src->reader, path, err);

    if (st == WEIR_OK) {
        st = weir_feed_server(src->in, none, none, err);
    }
    if (st == WEIR_OK) {
        st = weir_feed_position(src->in, gtid_set,
                                (struct weir_str){ name, strlen(name) },
                                offset, err);
    }
    if (st != WEIR_OK || offset == BINLOG_MAGIC_BYTES) {
        return st;
    }
    st = read_format(src, &format, err);
    if (st == WEIR_OK) {
        src->checksums = format.data[format.len - 5] == 1;
        st = feed_format_quietly(src, format, err);
    }
    return st == WEIR_OK ? reader_seek(&src->reader, offset, err) : st;
}

static enum weir_status
feed_next(struct source *src, struct weir_err *err)
{
    struct weir_str        event;
    const enum weir_status st = reader_event(&src->reader, &event, err);

    if (st != WEIR_OK) {
        return st == WEIR_PENDING ? at_end(src, err) : st;
    }
    if (event.data[BINLOG_AT_TYPE] == BINLOG_FORMAT &&
        event.len >= FORMAT_MIN) {
        src->checksums = event.data[event.len - 5] == 1;
    }
    return weir_feed_binlog(src->in, event.data, event.len, err);
}

static enum weir_status
source_run(void *self, struct weir_str gtid_set, struct weir_str file,
           uint64_t offset, struct weir_err *err)
{
    struct source   *src = self;
    enum weir_status st = wait_for_place(src, gtid_set, file, &offset, err);

    if (st == WEIR_DROP) {
        return WEIR_OK;
    }
    if (st == WEIR_OK) {
        st = begin(src, gtid_set, offset, err);
    }
    for (unsigned n = 1; st == WEIR_OK; n++) {
        st = feed_next(src, err);
        if (n % STOP_EVERY == 0 && st == WEIR_OK && is_stopping(src, 0)) {
            st = WEIR_DROP;
        }
    }
    return st == WEIR_DROP ? weir_feed_flush(src->in, err) : st;
}

WEIR_MODULE = {
    WEIR_HEAD,
    .stage = WEIR_SOURCE,
    .name = "binlog",
    .version = "0.1.0",
    .summary = "binlog files",
    .conf_size = sizeof(struct binlog_conf),
    .directives = directives,
    .check = source_check,
    .open = source_open,
    .close = source_close,
    .run = source_run,
};
