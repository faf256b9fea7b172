/*
 * twoslot.c - see twoslot.h.  Where there is no older value to fall back to
 * (the file is new, or its slots become larger) both slots are written at once
 * into a file beside it: no file ever has one slot with a value and one without.
 */
#include "base/twoslot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/crash.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "base/file.h"

enum {
    SLOT_HEAD = 24,
    SLOT_LEAST = 4096,
    SLOT_MOST = 64 << 20,
    READ_TRIES = 50, /* while another process writes */
};

struct twoslot {
    char    *path;
    int      fd;
    uint32_t slot_size;
    uint32_t current; /* 0 or 1 */
    uint64_t generation;
    struct buf value, scratch;
};

struct slot {
    uint32_t        size, index;
    uint64_t        generation;
    struct weir_str value;
};

static void
slot_format(char *p, uint32_t slot_size, uint64_t generation,
            struct weir_str value)
{
    memcpy(p, "WSLT", 4);
    put_le32(p + 8, slot_size);
    put_le32(p + 12, (uint32_t)value.len);
    put_le64(p + 16, generation);
    if (value.len) {
        memcpy(p + SLOT_HEAD, value.data, value.len);
    }
    put_le32(p + 4, crc32c(0, p + 8, SLOT_HEAD - 8 + value.len));
}

/* The slot that begins at `at`, if it is valid and of size `size` (0: any). */
static bool
slot_parse(struct weir_str file, uint64_t at, uint32_t size, struct slot *out)
{
    if (at > file.len || file.len - at < SLOT_HEAD) {
        return false;
    }
    const char    *p = file.data + at;
    const uint32_t slot_size = get_le32(p + 8), len = get_le32(p + 12);
    if (memcmp(p, "WSLT", 4) != 0 || (size && slot_size != size) ||
        slot_size < SLOT_LEAST || slot_size > SLOT_MOST ||
        (slot_size & (slot_size - 1)) || len > slot_size - SLOT_HEAD ||
        len > file.len - at - SLOT_HEAD ||
        crc32c(0, p + 8, SLOT_HEAD - 8 + len) != get_le32(p + 4)) {
        return false;
    }
    *out = (struct slot){ slot_size, at != 0, get_le64(p + 16),
                          { p + SLOT_HEAD, len } };
    return true;
}

/* The newer of the valid ones; how many there are.  Where the first is damaged
 * nothing says how large it was: the second is looked for at each size. */
static int
slots_find(struct weir_str file, struct slot *out)
{
    struct slot second;
    const bool  found = slot_parse(file, 0, 0, out);
    bool        other = false;

    if (found) {
        other = slot_parse(file, out->size, out->size, &second);
    }
    for (uint32_t size = SLOT_LEAST; !found && !other && size <= SLOT_MOST;
         size *= 2) {
        other = slot_parse(file, size, size, &second);
    }
    if (other && (!found || second.generation > out->generation)) {
        *out = second;
    }
    return found + other;
}

static enum weir_status
twoslot_damaged(const char *path, struct weir_err *err)
{
    return weir_fail(err, WEIR_FATAL,
                     "%s is damaged, both of its halves: what it held is "
                     "lost; bring back a copy of it, or move it away to go on "
                     "without", path);
}

/* DROP: there is no such file.  A slot that is not valid may be one that is
 * being written, and the other one no longer the newest when it is: only after
 * some tries is it taken for damaged. */
static enum weir_status
twoslot_load(struct arena *a, const char *path, struct slot *out,
             struct weir_err *err)
{
    struct weir_str file;
    int             valid = 0;

    for (int i = 0; valid < 2 && i < READ_TRIES; i++) {
        if (access(path, F_OK) == -1 && errno == ENOENT) {
            return WEIR_DROP;
        }
        const enum weir_status st =
            file_read(a, path, 2 * (size_t)SLOT_MOST, &file, err);
        if (st != WEIR_OK) {
            return st;
        }
        valid = slots_find(file, out);
    }
    return valid ? WEIR_OK : twoslot_damaged(path, err);
}

/* The whole file anew, with the value in both slots. */
static enum weir_status
twoslot_make(struct twoslot *t, uint32_t slot_size, struct weir_str value,
             struct weir_err *err)
{
    const size_t size = 2 * (size_t)slot_size;

    t->scratch.len = 0;
    char *p = buf_need(&t->scratch, size);
    memset(p, 0, size);
    slot_format(p, slot_size, t->generation + 1, value);
    slot_format(p + slot_size, slot_size, t->generation + 2, value);
    t->scratch.len = size;
    const enum weir_status st =
        file_replace(t->path, buf_view(&t->scratch), 0600, err);
    if (st != WEIR_OK) {
        return st;
    }
    const int fd = open(t->path, O_RDWR | O_CLOEXEC);
    if (fd == -1) {
        return fail_errno(err, WEIR_RETRY, "open %s", t->path);
    }
    if (t->fd != -1) {
        close(t->fd);
    }
    t->fd = fd;
    t->slot_size = slot_size;
    t->current = 1;
    t->generation += 2;
    return WEIR_OK;
}

static enum weir_status
twoslot_start(struct twoslot *t, struct weir_err *err)
{
    static const struct weir_str none = { NULL, 0 };
    struct arena                 a = { 0 };
    struct slot                  slot;

    enum weir_status st = twoslot_load(&a, t->path, &slot, err);
    if (st == WEIR_DROP) {
        return twoslot_make(t, SLOT_LEAST, none, err);
    }
    if (st == WEIR_OK) {
        t->slot_size = slot.size;
        t->current = slot.index;
        t->generation = slot.generation;
        buf_str(&t->value, slot.value);
        t->fd = open(t->path, O_RDWR | O_CLOEXEC);
        if (t->fd == -1) {
            st = fail_errno(err, WEIR_FATAL, "open %s", t->path);
        }
    }
    arena_free(&a);
    return st;
}

enum weir_status
twoslot_open(const char *path, struct twoslot **out, struct weir_err *err)
{
    struct twoslot *t = xcalloc(1, sizeof *t);

    t->path = xstrdup(path);
    t->fd = -1;
    const enum weir_status st = twoslot_start(t, err);
    if (st != WEIR_OK) {
        twoslot_close(&t);
    }
    *out = t;
    return st;
}

void
twoslot_close(struct twoslot **pointer)
{
    struct twoslot *t = *pointer;

    if (!t) {
        return;
    }
    *pointer = NULL;
    if (t->fd != -1) {
        close(t->fd);
    }
    buf_free(&t->value);
    buf_free(&t->scratch);
    free(t->path);
    free(t);
}

struct weir_str
twoslot_value(const struct twoslot *t)
{
    return buf_view(&t->value);
}

/* The other slot.  If it fails, the next one is written there again. */
static enum weir_status
twoslot_put(struct twoslot *t, struct weir_str value, bool sync,
            struct weir_err *err)
{
    const uint32_t index = 1 - t->current;
    const size_t   len = SLOT_HEAD + value.len;

    t->scratch.len = 0;
    slot_format(buf_need(&t->scratch, len), t->slot_size, t->generation + 1,
                value);
    CRASH_POINT("checkpoint.write");
    const enum weir_status st =
        file_pwrite(t->fd, t->path, t->scratch.data, len,
                    (uint64_t)index * t->slot_size, err);
    if (st != WEIR_OK) {
        return st;
    }
    if (sync && fdatasync(t->fd) == -1) {
        return fail_errno(err, WEIR_RETRY, "fdatasync %s", t->path);
    }
    CRASH_POINT("checkpoint.written");
    t->current = index;
    t->generation++;
    return WEIR_OK;
}

enum weir_status
twoslot_write(struct twoslot *t, struct weir_str value, bool sync,
              struct weir_err *err)
{
    uint32_t size = t->slot_size;

    if (value.len > SLOT_MOST - SLOT_HEAD) {
        return weir_fail(err, WEIR_FATAL,
                         "%s can't hold a value of %zu bytes", t->path,
                         value.len);
    }
    while (size - SLOT_HEAD < value.len) {
        size *= 2;
    }
    const bool             first = t->value.len == 0 && value.len > 0;
    const enum weir_status st = first || size > t->slot_size
                                    ? twoslot_make(t, size, value, err)
                                    : twoslot_put(t, value, sync, err);
    if (st == WEIR_OK) {
        t->value.len = 0;
        buf_str(&t->value, value);
    }
    return st;
}

enum weir_status
twoslot_read(struct arena *a, const char *path, struct weir_str *out,
             struct weir_err *err)
{
    struct slot slot;

    *out = (struct weir_str){ NULL, 0 };
    const enum weir_status st = twoslot_load(a, path, &slot, err);
    if (st == WEIR_OK) {
        *out = slot.value;
    }
    return st == WEIR_DROP ? WEIR_OK : st;
}
