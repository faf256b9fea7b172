/*
 * retain.c - what the relay lets go of, and the files kept to be written over:
 * their pages are in memory already, which makes writing them several times as
 * fast as new ones.
 */
#include <errno.h>
#include <string.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/err.h"
#include "relay/writer.h"

static uint64_t
segment_end(const struct relay *r, size_t i)
{
    return i + 1 == r->nsegments ? r->end : r->segments[i].end;
}

int64_t
writer_bytes(const struct relay *r)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < r->nsegments; i++) {
        sum += segment_end(r, i) - r->segments[i].base;
    }
    return (int64_t)sum;
}

static int64_t
spare_bytes(const struct relay *r)
{
    int64_t sum = 0;

    for (size_t i = 0; i < r->nspares; i++) {
        sum += r->spares[i].bytes;
    }
    return sum;
}

static void
spare_drop(struct relay *r)
{
    char path[PATH_MAX];

    segment_spare_path(path, r->dir, r->spares[--r->nspares].number);
    unlink(path);
}

void
writer_find_spares(struct relay *r, const struct segment_names *names)
{
    char        path[PATH_MAX];
    struct stat st;

    for (size_t i = 0; i < names->nspares; i++) {
        const unsigned number = names->spares[i];
        segment_spare_path(path, r->dir, number);
        if (r->nspares == WRITER_MAX_SPARES || stat(path, &st) == -1 ||
            st.st_size > 2 * r->settings.segment_size) {
            unlink(path);
            continue;
        }
        r->spares[r->nspares++] = (struct spare){ number, st.st_size };
        if (number >= r->next_spare) {
            r->next_spare = number + 1;
        }
    }
}

bool
writer_take_spare(struct relay *r, char path[static PATH_MAX])
{
    if (r->nspares == 0) {
        return false;
    }
    segment_spare_path(path, r->dir, r->spares[--r->nspares].number);
    return true;
}

/* The oldest segment, as a spare where one is wanted. */
static enum weir_status
release_oldest(struct relay *r, struct weir_err *err)
{
    char path[PATH_MAX], spare[PATH_MAX];

    const struct segment *s = &r->segments[0];
    const int64_t         bytes = (int64_t)(s->end - s->base);
    CRASH_POINT("relay.release");
    segment_path(path, r->dir, s->base);
    /* None that is too small to save anything, or larger than is needed. */
    const bool keep = r->nspares < WRITER_MAX_SPARES &&
                      bytes >= r->settings.segment_size / 2 &&
                      bytes <= 2 * r->settings.segment_size &&
                      writer_bytes(r) + spare_bytes(r) <= r->settings.size;
    if (keep) {
        segment_spare_path(spare, r->dir, r->next_spare);
        if (rename(path, spare) == -1) {
            return fail_errno(err, WEIR_RETRY, "rename %s to %s", path, spare);
        }
        r->spares[r->nspares++] = (struct spare){ r->next_spare++, bytes };
    } else if (unlink(path) == -1 && errno != ENOENT) {
        return fail_errno(err, WEIR_RETRY, "unlink %s", path);
    }
    r->nsegments--;
    memmove(r->segments, r->segments + 1, r->nsegments * sizeof *r->segments);
    return WEIR_OK;
}

/* Whether there is more than the first segment: who opens a relay without any
 * frame in it takes it for a new one. */
static bool
frames_behind_first(const struct relay *r)
{
    for (size_t i = 1; i < r->nsegments; i++) {
        const struct segment *s = &r->segments[i];
        const bool     open = i + 1 == r->nsegments && r->fd != -1;
        const uint64_t end = open ? r->published : s->end;
        const uint64_t none = open ? 0 : 2 * FRAME_END_SIZE; /* STOP, END */
        if (end > s->base + s->header_len + none) {
            return true;
        }
    }
    return false;
}

/* A segment reaches up to where the next one begins, so that one behind which
 * offsets jump stays until who needs it next stands beyond the jump: a follower
 * that finds nothing at or before its offset knows that it has missed some. */
static bool
is_done(const struct relay *r, uint64_t needed)
{
    return r->nsegments > 1 && r->segments[1].base <= needed &&
           r->segments[1].base <= r->published && frames_behind_first(r);
}

static int64_t
still_needed(const struct relay *r, uint64_t needed)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < r->nsegments; i++) {
        const struct segment *s = &r->segments[i];
        const uint64_t end = segment_end(r, i);
        const uint64_t begin = needed > s->base ? needed : s->base;
        sum += end > begin ? end - begin : 0;
    }
    return (int64_t)sum;
}

enum weir_status
relay_retain(struct relay *r, uint64_t needed, int64_t *used,
             struct weir_err *err)
{
    const int64_t now_usec = writer_now(r) / 1000;
    /* Room for the next segment is made before it is there: else what is let go
     * could never be kept as its spare. */
    const int64_t room = r->settings.size - r->settings.segment_size;

    *used = still_needed(r, needed);
    while (is_done(r, needed)) {
        const int64_t age_usec = now_usec - r->segments[1].created_usec;
        if (age_usec < r->settings.keep_usec && writer_bytes(r) <= room) {
            break;
        }
        const enum weir_status st = release_oldest(r, err);
        if (st != WEIR_OK) {
            return weir_wrap(err, st, "let go of a segment of the relay");
        }
    }
    while (r->nspares > 0 &&
           writer_bytes(r) + spare_bytes(r) > r->settings.size) {
        spare_drop(r);
    }
    return WEIR_OK;
}
