/* relay.c - opening, closing, and what a relay says of itself. */
#include "relay/relay.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/file.h"
#include "relay/writer.h"

enum { DEFAULT_SEGMENT = 64 << 20, LEAST_SEGMENT = 4096 };

int64_t
writer_now(const struct relay *r)
{
    return r->settings.now ? r->settings.now() : clock_nsec();
}

void
writer_push(struct relay *r, const struct segment *s)
{
    if (r->nsegments == r->segments_room) {
        r->segments_room = r->segments_room ? 2 * r->segments_room : 16;
        r->segments = xrealloc(r->segments,
                               r->segments_room * sizeof *r->segments);
    }
    r->segments[r->nsegments++] = *s;
}

/* Different after each start of the machine; zeroes, which are taken for
 * another one, where it can't be had. */
static void
read_boot_id(uint8_t out[static 16])
{
    char      text[64];
    size_t    digits = 0;
    const int fd = open("/proc/sys/kernel/random/boot_id",
                        O_RDONLY | O_CLOEXEC);

    memset(out, 0, 16);
    const ssize_t n = fd == -1 ? 0 : file_pread(fd, text, sizeof text, 0);
    if (fd != -1) {
        close(fd);
    }
    for (ssize_t i = 0; i < n && digits < 32; i++) {
        const char c = text[i];
        const int  digit = c >= '0' && c <= '9'   ? c - '0'
                           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                                  : -1;
        if (digit >= 0) {
            out[digits / 2] = (uint8_t)(out[digits / 2] << 4 | digit);
            digits++;
        }
    }
}

static struct relay *
relay_new(const struct relay_settings *settings)
{
    struct relay *r = xcalloc(1, sizeof *r);

    r->settings = *settings;
    r->dir = xstrdup(settings->dir);
    r->fd = -1;
    r->out = xmalloc(WRITER_ROOM);
    read_boot_id(r->boot_id);
    int64_t *segment_size = &r->settings.segment_size;
    if (*segment_size <= 0) {
        *segment_size = DEFAULT_SEGMENT;
    }
    if (r->settings.size <= 0) {
        r->settings.size = INT64_MAX / 4;
    }
    if (*segment_size > r->settings.size / 4) {
        *segment_size = r->settings.size / 4;
    }
    if (*segment_size < LEAST_SEGMENT) {
        *segment_size = LEAST_SEGMENT;
    }
    r->max_open = settings->max_transaction > 0
                      ? (uint64_t)settings->max_transaction
                      : UINT64_MAX;
    return r;
}

static void
relay_free(struct relay *r)
{
    if (r->fd != -1) {
        close(r->fd);
    }
    relay_page_close(&r->page);
    buf_free(&r->scratch);
    free(r->segments);
    free(r->out);
    free(r->dir);
    free(r);
}

enum weir_status
relay_open(const struct relay_settings *settings, struct relay **out,
           struct weir_err *err)
{
    struct relay *r = relay_new(settings);

    *out = NULL;
    enum weir_status st = strlen(r->dir) > PATH_MAX - 64
                              ? weir_fail(err, WEIR_FATAL,
                                          "%s: the path is too long", r->dir)
                              : file_mkdir(r->dir, 0700, err);
    if (st == WEIR_OK) {
        st = relay_page_open(settings->page_path, true, &r->page, err);
    }
    if (st == WEIR_OK) {
        st = writer_recover(r, err);
    }
    if (st != WEIR_OK) {
        relay_free(r);
        return weir_wrap(err, st, "open the relay");
    }
    r->committed = r->published = r->written = r->end;
    r->sync_usec = clock_steady();
    relay_page_publish(&r->page, r->published, r->next_base);
    *out = r;
    return WEIR_OK;
}

static enum weir_status
close_stop(struct relay *r, struct weir_err *err)
{
    char           time[8];
    uint64_t       offset;
    struct iovec   part = { time, sizeof time };

    put_le64(time, (uint64_t)(writer_now(r) / 1000));
    const enum weir_status st =
        relay_append(r, FRAME_STOP, 0, &part, 1, &offset, err);
    if (st == WEIR_OK) {
        relay_commit(r);
    }
    return st;
}

/* The first `n` segments, those that were ended without it. */
static enum weir_status
sync_segments(struct relay *r, size_t n, struct weir_err *err)
{
    char path[PATH_MAX];

    for (size_t i = 0; i < n; i++) {
        if (r->segments[i].synced) {
            continue;
        }
        segment_path(path, r->dir, r->segments[i].base);
        const int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd == -1) {
            return fail_errno(err, WEIR_RETRY, "open %s", path);
        }
        const int failed = fsync(fd);
        close(fd);
        if (failed) {
            return fail_errno(err, WEIR_RETRY, "fsync %s", path);
        }
        r->segments[i].synced = true;
    }
    return file_sync_dir(r->dir, err);
}

enum weir_status
relay_sync(struct relay *r, struct weir_err *err)
{
    const bool open = r->fd != -1;

    enum weir_status st = sync_segments(r, r->nsegments - open, err);
    if (st == WEIR_OK && open) {
        st = writer_flush(r, err);
    }
    return st == WEIR_OK && open ? writer_sync(r, err) : st;
}

enum weir_status
relay_close(struct relay **pointer, bool clean, struct weir_err *err)
{
    struct relay *r = *pointer;

    if (!r) {
        return WEIR_OK;
    }
    *pointer = NULL;
    enum weir_status st = relay_cut(r, err);
    if (st == WEIR_OK) {
        st = relay_publish(r, err);
    }
    /* STOP says that all before it is durable: first that, then STOP. */
    if (st == WEIR_OK) {
        st = sync_segments(r, r->nsegments, err);
    }
    if (st == WEIR_OK && clean && r->fd != -1) {
        st = close_stop(r, err);
        if (st == WEIR_OK) {
            st = relay_publish(r, err);
        }
        if (st == WEIR_OK) {
            writer_open_segment(r)->synced = false;
            st = sync_segments(r, r->nsegments, err);
        }
    }
    relay_free(r);
    return st == WEIR_OK ? st : weir_wrap(err, st, "close the relay");
}

enum weir_status
relay_tick(struct relay *r, struct weir_err *err)
{
    if (r->settings.sync == RELAY_SYNC_INTERVAL && r->fd != -1 &&
        clock_steady() - r->sync_usec >= 1000000) {
        return writer_sync(r, err);
    }
    return WEIR_OK;
}

bool
relay_is_new(const struct relay *r)
{
    return r->is_new;
}

uint64_t
relay_first(const struct relay *r)
{
    return r->nsegments ? r->segments[0].base + r->segments[0].header_len
                        : r->end;
}

uint64_t
relay_end(const struct relay *r)
{
    return r->end;
}

uint64_t
relay_committed(const struct relay *r)
{
    return r->committed;
}

uint64_t
relay_published(const struct relay *r)
{
    return r->published;
}
