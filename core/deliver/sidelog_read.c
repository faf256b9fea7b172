/*
 * sidelog_read.c - see sidelog.h: what is kept aside as any process may read it,
 * and the small files beside it that say how far it was dealt with.
 */
#include "deliver/sidelog.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/file.h"
#include "base/str.h"
#include "relay/follow.h"

enum { PLAIN_MAX = 180 }; /* of a folder's name, before its hash takes over */

/* ---- Names */

static bool
is_plain(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static void
put_plain(struct buf *out, struct weir_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        const unsigned char c = (unsigned char)name.data[i];
        if (is_plain(c)) {
            buf_byte(out, (char)c);
        } else {
            buf_printf(out, "%%%02x", c);
        }
    }
}

const char *
sidelog_folder(struct arena *a, struct weir_str schema, struct weir_str table)
{
    struct buf out = { 0 };

    put_plain(&out, schema);
    buf_byte(&out, '.');
    put_plain(&out, table);
    if (out.len > PLAIN_MAX) {
        const uint64_t h = str_hash(str_hash(1, schema), table);
        out.len = PLAIN_MAX;
        buf_printf(&out, "%%%016" PRIx64, h);
    }
    const char *name = arena_cstr(a, buf_view(&out));
    buf_free(&out);
    return name;
}

const char *
sidelog_page(struct arena *a, const char *dir)
{
    return arena_printf(a, "%s/page", dir);
}

/* ---- Reading */

enum weir_status
sidelog_read(const char *dir, struct follower **out, struct weir_err *err)
{
    struct arena a = { 0 };
    uint64_t     first;

    const char *page = sidelog_page(&a, dir);
    enum weir_status st = access(page, F_OK) == -1
                              ? WEIR_DROP
                              : follower_open(dir, page, 0, out, err);
    arena_free(&a);
    if (st != WEIR_OK) {
        return st;
    }
    st = follower_first(*out, &first, err);
    if (st == WEIR_OK) {
        st = follower_seek(*out, first, err);
    }
    if (st != WEIR_OK) {
        follower_close(out);
    }
    return st;
}

enum weir_status
sidelog_next(struct follower *f, struct side_record *out,
             struct weir_err *err)
{
    struct frame frame;

    for (;;) {
        const enum weir_status st = follower_next(f, &frame, err);
        if (st != WEIR_OK) {
            return st;
        }
        if (frame.type == FRAME_ASIDE) {
            break;
        }
    }
    struct reader p = reader_of(frame.payload.data, frame.payload.len);
    out->at = frame.offset;
    out->next = frame.next;
    out->frame = read_le(&p, 8);
    out->row = (uint32_t)read_le(&p, 4);
    out->nrows = (uint32_t)read_le(&p, 4);
    out->body = read_le(&p, 8);
    out->usec = (int64_t)read_le(&p, 8);
    out->attempts = (uint32_t)read_le(&p, 4);
    const uint64_t n = read_le(&p, 4);
    out->from = (uint32_t)read_le(&p, 4);
    out->part = (enum row_part)(read_le(&p, 4) & 3);
    out->reason = read_str(&p, n);
    return p.bad ? weir_fail(err, WEIR_FATAL, "the record at %" PRIu64
                             " of a side log is too short", frame.offset)
                 : WEIR_OK;
}

enum weir_status
sidelog_names(const char *dir, struct arena *a, struct weir_str *schema,
              struct weir_str *table, struct weir_err *err)
{
    struct follower *f;

    const enum weir_status st = sidelog_read(dir, &f, err);
    if (st != WEIR_OK) {
        return st;
    }
    const struct weir_str both = arena_str(a, follower_origin(f));
    const char *nul = both.len ? memchr(both.data, '\0', both.len) : NULL;
    const size_t n = nul ? (size_t)(nul - both.data) : both.len;
    *schema = (struct weir_str){ both.data, n };
    *table = nul ? (struct weir_str){ nul + 1, both.len - n - 1 } : STR("");
    follower_close(&f);
    return WEIR_OK;
}

enum weir_status
sidelog_done(const char *dir, uint64_t *out, struct weir_err *err)
{
    struct arena    a = { 0 };
    struct weir_str text;

    *out = 0;
    const char *path = arena_printf(&a, "%s/done", dir);
    enum weir_status st = WEIR_OK;
    if (access(path, F_OK) == 0) {
        st = file_read(&a, path, 64, &text, err);
        if (st == WEIR_OK && !str_u64(text, out)) {
            st = weir_fail(err, WEIR_FATAL, "%s holds no number", path);
        }
    }
    arena_free(&a);
    return st;
}

enum weir_status
sidelog_set_done(const char *dir, uint64_t done, struct weir_err *err)
{
    struct arena a = { 0 };
    char         text[24];

    CRASH_POINT("side.done");
    const char *path = arena_printf(&a, "%s/done", dir);
    const int n = snprintf(text, sizeof text, "%" PRIu64, done);
    const enum weir_status st =
        file_replace(path, (struct weir_str){ text, (size_t)n }, 0600, err);
    arena_free(&a);
    return st;
}

/* A full disk or a power cut may have left part of one, which counts for nothing;
 * all lines have one length, by which they are read. */
static enum weir_status
cut_torn_line(int fd, const char *path, int line, struct weir_err *err)
{
    struct stat st;

    if (fstat(fd, &st) == -1) {
        return fail_errno(err, WEIR_RETRY, "stat %s", path);
    }
    const off_t torn = st.st_size % line;
    return torn == 0 || ftruncate(fd, st.st_size - torn) == 0
               ? WEIR_OK
               : fail_errno(err, WEIR_RETRY, "truncate %s", path);
}

enum weir_status
sidelog_set_handled(const char *dir, uint64_t next, struct weir_err *err)
{
    struct arena     a = { 0 };
    char             text[24];
    enum weir_status st = WEIR_OK;

    CRASH_POINT("side.handled");
    const char *path = arena_printf(&a, "%s/handled", dir);
    const int   n = snprintf(text, sizeof text, "%020" PRIu64 "\n", next);
    const int   fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC |
                                    O_NOFOLLOW, 0600);
    if (fd == -1) {
        st = fail_errno(err, WEIR_RETRY, "open %s", path);
    } else {
        st = cut_torn_line(fd, path, n, err);
        st = st != WEIR_OK ? st : file_write(fd, path, text, (size_t)n, err);
        if (st == WEIR_OK && fdatasync(fd) == -1) {
            st = fail_errno(err, WEIR_RETRY, "fdatasync %s", path);
        }
        close(fd);
    }
    arena_free(&a);
    return st;
}

enum weir_status
sidelog_remove(const char *dir, struct weir_err *err)
{
    struct arena   a = { 0 };
    struct dirent *e;

    CRASH_POINT("side.remove");
    /* Under another name first: half of it is never taken for a log. */
    const char *gone = arena_printf(&a, "%s%%gone", dir);
    if (rename(dir, gone) == -1 && errno != ENOENT && errno != ENOTEMPTY &&
        errno != EEXIST) {
        const enum weir_status st =
            fail_errno(err, WEIR_RETRY, "rename %s to %s", dir, gone);
        arena_free(&a);
        return st;
    }
    for (int i = 0; i < 2; i++) {
        const char *at = i ? dir : gone;
        DIR        *d = opendir(at);
        while (d && (e = readdir(d))) {
            if (e->d_name[0] != '.') {
                unlink(arena_printf(&a, "%s/%s", at, e->d_name));
            }
        }
        if (d) {
            closedir(d);
        }
        rmdir(at);
    }
    arena_free(&a);
    return WEIR_OK;
}
