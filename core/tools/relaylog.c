/* relaylog.c - see relaylog.h. */
#include "tools/relaylog.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "relay/relay_page.h"

enum { WINDOW = 1 << 20 };

static uint64_t
read_published(const char *page_path)
{
    struct relay_page page;
    struct weir_err   err;
    uint64_t          published = 0;

    if (relay_page_open(page_path, false, &page, &err) == WEIR_OK) {
        published = relay_page_published(&page);
        relay_page_close(&page);
    }
    return published ? published : UINT64_MAX;
}

enum weir_status
relaylog_open(const char *dir, const char *page_path, struct relaylog *out,
              struct weir_err *err)
{
    *out = (struct relaylog){ .dir = dir, .fd = -1 };
    out->published = read_published(page_path);
    const enum weir_status st = segment_list(dir, &out->names, err);
    return st == WEIR_OK ? st : weir_wrap(err, WEIR_FATAL, "no relay here");
}

static void
leave(struct relaylog *l)
{
    if (l->fd != -1) {
        close(l->fd);
    }
    l->fd = -1;
    l->window.len = 0;
}

void
relaylog_close(struct relaylog *l)
{
    leave(l);
    segment_names_free(&l->names);
    buf_free(&l->header);
    buf_free(&l->window);
}

enum weir_status
relaylog_enter(struct relaylog *l, size_t index, struct weir_err *err)
{
    struct stat st;

    leave(l);
    if (index >= l->names.nbases ||
        l->names.bases[index] >= l->published) {
        return WEIR_DROP;
    }
    const uint64_t base = l->names.bases[index];
    l->index = index;
    segment_path(l->path, l->dir, base);
    l->fd = open(l->path, O_RDONLY | O_CLOEXEC);
    if (l->fd == -1 || fstat(l->fd, &st) == -1) {
        return fail_errno(err, WEIR_FATAL, "open %s", l->path);
    }
    l->size = (uint64_t)st.st_size;
    const enum weir_status parsed =
        segment_parse(l->fd, l->path, base, &l->header, &l->head, err);
    l->next = l->window_at = base + l->head.len;
    return parsed;
}

/* Makes `want` bytes from l->next on stand in the window.  False: the file has
 * not so many. */
static bool
look(struct relaylog *l, size_t want)
{
    const uint64_t end = l->window_at + l->window.len;

    if (l->next >= l->window_at && l->next + want <= end) {
        return true;
    }
    if (l->next - l->head.base + want > l->size) {
        return false;
    }
    l->window.len = 0;
    const size_t  room = want > WINDOW ? want : WINDOW;
    char         *to = buf_need(&l->window, room);
    const ssize_t n = file_pread(l->fd, to, room, l->next - l->head.base);
    l->window_at = l->next;
    l->window.len = n > 0 ? (size_t)n : 0;
    return l->window.len >= want;
}

static enum weir_status
damaged(const struct relaylog *l, const char *what, struct weir_err *err)
{
    return weir_fail(err, WEIR_FATAL,
                     "%s is damaged at byte %" PRIu64 " (offset %" PRIu64
                     "): %s", l->path, l->next - l->head.base, l->next, what);
}

/* No frame begins here.  Fine where nobody says how much is published: that is
 * where the last writer was stopped, or fell back to after a crash. */
static enum weir_status
no_frame(const struct relaylog *l, const char *what, struct weir_err *err)
{
    const bool is_last = l->index + 1 == l->names.nbases;

    if ((is_last && l->published == UINT64_MAX) ||
        l->next - l->head.base >= l->size) {
        return WEIR_DROP;
    }
    return damaged(l, what, err);
}

enum weir_status
relaylog_next(struct relaylog *l, struct frame *out, struct weir_err *err)
{
    if (l->next >= l->published || l->fd == -1) {
        return WEIR_DROP;
    }
    if (!look(l, FRAME_HEAD)) {
        return no_frame(l, "the file ends within a frame", err);
    }
    const char    *p = l->window.data + (l->next - l->window_at);
    const uint32_t length = frame_length(p, l->next);
    if (length == 0) {
        return no_frame(l, "no frame begins there", err);
    }
    if (l->heads_only && p[16] == FRAME_ROW) {
        frame_parse(p, FRAME_HEAD, out);
        out->next = l->next + frame_round(length);
        l->next = out->next;
        return WEIR_OK;
    }
    if (!look(l, length)) {
        return no_frame(l, "the file ends within a frame", err);
    }
    p = l->window.data + (l->next - l->window_at);
    if (!frame_valid(p, length)) {
        return no_frame(l, "a frame's checksum is wrong", err);
    }
    frame_parse(p, length, out);
    l->next = out->type == FRAME_END ? l->published : out->next;
    return WEIR_OK;
}

enum weir_status
relaylog_read(struct relaylog *l, uint64_t offset, struct arena *a,
              struct frame *out, struct weir_err *err)
{
    char           head[FRAME_HEAD];
    const uint64_t at = offset - l->head.base;

    uint32_t length = 0;
    if (offset > l->head.base && at < l->size &&
        file_pread(l->fd, head, sizeof head, at) == FRAME_HEAD) {
        length = frame_length(head, offset);
    }
    char *p = length && length <= l->size - at ? arena_take(a, length) : NULL;
    if (!p || file_pread(l->fd, p, length, at) != (ssize_t)length ||
        !frame_valid(p, length)) {
        return weir_fail(err, WEIR_REJECT,
                         "%s: no frame begins at offset %" PRIu64, l->path,
                         offset);
    }
    frame_parse(p, length, out);
    return WEIR_OK;
}
