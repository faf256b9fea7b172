/* sink_file_journal.c - records in and out; see sink_file_journal.h. */
#include "sink_file_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char magic[8] = "WEIRSF1\n";
enum { HEAD = 8, COMPACT_MIN = 1 << 22 };

static enum weir_status
fail_journal(struct weir_err *err, const char *call, const char *path)
{
    const int error = errno;

    return weir_fail(err, status_of_errno(error), "%s %s: %s", call, path,
                     strerror(error));
}

/* ---- Checkpoints in memory */

static struct stored *
find_stored(const struct journal *j, struct weir_str id, uint32_t slot)
{
    for (size_t i = 0; i < j->nstored; i++) {
        struct stored *s = &j->stored[i];
        if (s->cp.slot == slot && s->cp.id.len == id.len &&
            memcmp(s->cp.id.data, id.data, id.len) == 0) {
            return s;
        }
    }
    return NULL;
}

const struct weir_checkpoint *
journal_find(const struct journal *j, struct weir_str id, uint32_t slot)
{
    const struct stored *s = find_stored(j, id, slot);

    return s ? &s->cp : NULL;
}

static bool
store(struct journal *j, const struct weir_checkpoint *cp)
{
    struct stored *s = find_stored(j, cp->id, cp->slot);
    char          *copy = malloc(cp->id.len + cp->data.len + 1);

    if (!s && copy) {
        struct stored *more =
            realloc(j->stored, (j->nstored + 1) * sizeof *more);
        if (more) {
            j->stored = more;
            s = &more[j->nstored++];
            s->cp.id.data = NULL;
        }
    }
    if (!s || !copy) {
        free(copy);
        return false;
    }
    memcpy(copy, cp->id.data, cp->id.len);
    if (cp->data.len) {
        memcpy(copy + cp->id.len, cp->data.data, cp->data.len);
    }
    free((void *)(uintptr_t)s->cp.id.data);
    s->cp = (struct weir_checkpoint){
        .id = { copy, cp->id.len },
        .slot = cp->slot,
        .epoch = cp->epoch,
        .data = { copy + cp->id.len, cp->data.len },
    };
    return true;
}

static void
unstore(struct journal *j, struct stored *s)
{
    free((void *)(uintptr_t)s->cp.id.data);
    *s = j->stored[--j->nstored];
}

/* ---- Records */

static void
record_begin(struct journal *j)
{
    j->record.len = 0;
    j->record.failed = false;
    bytes_number(&j->record, 0, HEAD);
}

static void
record_part(struct journal *j, const struct file *f)
{
    bytes_add(&j->record, "P", 1);
    bytes_number(&j->record, f->number, 4);
    bytes_number(&j->record, f->part, 4);
    bytes_number(&j->record, (uint64_t)f->begun_ms, 8);
    bytes_number(&j->record, f->length, 8);
}

static void
record_file(struct journal *j, const struct file *f)
{
    bytes_add(&j->record, "F", 1);
    bytes_number(&j->record, f->length, 8);
    bytes_str(&j->record, (struct weir_str){ f->path, f->path_len });
    if (f->part > 0) {
        record_part(j, f);
    }
}

static void
record_checkpoint(struct journal *j, const struct weir_checkpoint *cp)
{
    bytes_add(&j->record, "C", 1);
    bytes_number(&j->record, cp->epoch, 8);
    bytes_number(&j->record, cp->slot, 4);
    bytes_str(&j->record, cp->id);
    bytes_str(&j->record, cp->data);
}

/* Fills in length and checksum of the record that begins at `at`. */
static void
record_seal(struct bytes *record, size_t at)
{
    char        *head = record->data + at;
    const size_t len = record->len - at - HEAD;

    bytes_put(head, len, 4);
    bytes_put(head + 4, bytes_crc(head + HEAD, len), 4);
}

static enum weir_status
record_write(struct journal *j, int fd, uint64_t at, const char *path,
             struct weir_err *err)
{
    const char *data = j->record.data;
    size_t      left = j->record.len;

    if (j->record.failed) {
        return weir_fail(err, WEIR_RETRY, "write %s: no memory", path);
    }
    while (left > 0) {
        const ssize_t n = pwrite(fd, data, left, (off_t)at);
        if (n == -1 && errno == EINTR) {
            continue;
        }
        if (n == -1) {
            return fail_journal(err, "write", path);
        }
        data += n;
        left -= (size_t)n;
        at += (uint64_t)n;
    }
    if (j->sync && fdatasync(fd) == -1) {
        return weir_fail(err, WEIR_FATAL,
                         "sync %s: %s; look after the disk, then start this "
                         "sink again",
                         path, strerror(errno));
    }
    return WEIR_OK;
}

static enum weir_status
record_append(struct journal *j, struct weir_err *err)
{
    if (!j->record.failed) {
        record_seal(&j->record, 0);
    }
    const enum weir_status st = record_write(j, j->fd, j->size, j->path, err);
    if (st == WEIR_OK) {
        j->size += j->record.len;
    }
    return st;
}

/* ---- Reading */

/* REJECT: not what this version writes. */
static enum weir_status
apply_item(struct journal *j, struct file_set *set, struct input *in,
           struct weir_err *err)
{
    struct weir_checkpoint cp;
    struct file           *f;
    struct stored         *s;

    switch (input_number(in, 1)) {
    case 'F': {
        const uint64_t         length = input_number(in, 8);
        const struct weir_str  path = input_str(in);
        const enum weir_status st =
            in->bad || file_set_find(set, path)
                ? WEIR_REJECT
                : file_set_add(set, path, length, &f, err);
        set->announced = set->n;
        return st;
    }
    case 'L': {
        const uint64_t number = input_number(in, 4);
        const uint64_t length = input_number(in, 8);
        if (in->bad || number >= set->n) {
            return WEIR_REJECT;
        }
        set->files[number]->length = length;
        return WEIR_OK;
    }
    case 'P': {
        const uint64_t number = input_number(in, 4);
        const uint32_t part = (uint32_t)input_number(in, 4);
        const int64_t  begun = (int64_t)input_number(in, 8);
        const uint64_t length = input_number(in, 8);
        if (in->bad || number >= set->n || part == 0) {
            return WEIR_REJECT;
        }
        file_set_part(set, set->files[number], part, length, begun);
        set->files[number]->moved = false;
        return WEIR_OK;
    }
    case 'C':
        cp.epoch = input_number(in, 8);
        cp.slot = (uint32_t)input_number(in, 4);
        cp.id = input_str(in);
        cp.data = input_str(in);
        if (in->bad) {
            return WEIR_REJECT;
        }
        return store(j, &cp)
                   ? WEIR_OK
                   : weir_fail(err, WEIR_RETRY, "read %s: no memory", j->path);
    case 'X':
        cp.slot = (uint32_t)input_number(in, 4);
        cp.id = input_str(in);
        s = find_stored(j, cp.id, cp.slot);
        if (s) {
            unstore(j, s);
        }
        return in->bad ? WEIR_REJECT : WEIR_OK;
    default:
        return WEIR_REJECT;
    }
}

static enum weir_status
fail_damaged(const struct journal *j, struct weir_err *err)
{
    return weir_fail(err, WEIR_FATAL,
                     "%s is damaged at byte %llu: put it back from a copy, or "
                     "move it and all files of this sink away to begin anew",
                     j->path, (unsigned long long)j->size);
}

/* Leaves j->size at the end of the last whole record. */
static enum weir_status
apply_records(struct journal *j, struct file_set *set, const char *data,
              size_t len, struct weir_err *err)
{
    j->size = sizeof magic;
    while (len - j->size >= HEAD) {
        const char  *head = data + j->size;
        struct input in = { head, head + HEAD, false };
        const size_t n = input_number(&in, 4);
        const size_t crc = input_number(&in, 4);
        if (n > len - j->size - HEAD) {
            break; /* cut off while it was written */
        }
        if (n == 0 || bytes_crc(head + HEAD, n) != crc) {
            /* Cut off too, if the file had grown before its pages came. */
            return n > 0 && n == len - j->size - HEAD ? WEIR_OK
                                                      : fail_damaged(j, err);
        }
        in = (struct input){ head + HEAD, head + HEAD + n, false };
        while (in.p < in.end) {
            const enum weir_status st = apply_item(j, set, &in, err);
            if (st != WEIR_OK) {
                return st == WEIR_REJECT ? fail_damaged(j, err) : st;
            }
        }
        j->size += HEAD + n;
    }
    return WEIR_OK;
}

static enum weir_status
read_whole(struct journal *j, char **out, size_t *len, struct weir_err *err)
{
    struct stat info;

    if (fstat(j->fd, &info) == -1) {
        return fail_journal(err, "stat", j->path);
    }
    *len = 0;
    *out = malloc((size_t)info.st_size + 1);
    if (!*out) {
        return weir_fail(err, WEIR_RETRY, "read %s: no memory", j->path);
    }
    while (*len < (size_t)info.st_size) {
        const ssize_t n =
            pread(j->fd, *out + *len, (size_t)info.st_size - *len, (off_t)*len);
        if (n == -1 && errno != EINTR) {
            return fail_journal(err, "read", j->path);
        }
        if (n == 0) {
            break;
        }
        *len += n > 0 ? (size_t)n : 0;
    }
    return WEIR_OK;
}

static enum weir_status
sync_folder(const struct journal *j, struct weir_err *err)
{
    char *slash = strrchr(j->path, '/');

    *slash = '\0';
    const int fd = open(j->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *slash = '/';
    if (fd == -1 || fsync(fd) == -1) {
        const enum weir_status st =
            fail_journal(err, "sync folder of", j->path);
        if (fd != -1) {
            close(fd);
        }
        return st;
    }
    close(fd);
    return WEIR_OK;
}

enum weir_status
journal_load(struct journal *j, struct file_set *set, struct weir_err *err)
{
    char  *data = NULL;
    size_t len = 0;

    while (j->nstored) {
        unstore(j, &j->stored[j->nstored - 1]);
    }
    if (j->fd != -1) {
        close(j->fd);
    }
    j->size = 0;
    j->fd = open(j->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (j->fd == -1) {
        return fail_journal(err, "open", j->path);
    }
    enum weir_status st = read_whole(j, &data, &len, err);
    const size_t     begun = len < sizeof magic ? len : sizeof magic;
    if (st == WEIR_OK && memcmp(data, magic, begun) != 0) {
        st = fail_damaged(j, err);
    } else if (st == WEIR_OK && begun < sizeof magic) {
        j->record.len = 0;
        j->record.failed = false;
        bytes_add(&j->record, magic, sizeof magic);
        st = record_write(j, j->fd, 0, j->path, err);
        if (st == WEIR_OK && j->sync) {
            st = sync_folder(j, err);
        }
        j->size = sizeof magic;
    } else if (st == WEIR_OK) {
        st = apply_records(j, set, data, len, err);
        if (st == WEIR_OK && j->size < len &&
            ftruncate(j->fd, (off_t)j->size) == -1) {
            st = fail_journal(err, "truncate", j->path);
        }
    }
    free(data);
    j->compact_at = j->size * 2 > COMPACT_MIN ? j->size * 2 : COMPACT_MIN;
    return st;
}

/* ---- Writing */

/* A short one in its place.  That this one stays in use after an error is no
 * harm: it is whole. */
static enum weir_status
compact(struct journal *j, const struct file_set *set, struct weir_err *err)
{
    j->record.len = 0;
    j->record.failed = false;
    bytes_add(&j->record, magic, sizeof magic);
    bytes_number(&j->record, 0, HEAD);
    for (size_t i = 0; i < set->n; i++) {
        record_file(j, set->files[i]);
    }
    for (size_t i = 0; i < j->nstored; i++) {
        record_checkpoint(j, &j->stored[i].cp);
    }
    if (!j->record.failed) {
        record_seal(&j->record, sizeof magic);
    }
    const int fd =
        open(j->temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
             0600);
    if (fd == -1) {
        return fail_journal(err, "open", j->temporary);
    }
    enum weir_status st = record_write(j, fd, 0, j->temporary, err);
    if (st == WEIR_OK && rename(j->temporary, j->path) == -1) {
        st = fail_journal(err, "rename", j->temporary);
    }
    if (st != WEIR_OK) {
        close(fd);
        return st;
    }
    close(j->fd);
    j->fd = fd;
    j->size = j->record.len;
    return WEIR_OK;
}

enum weir_status
journal_announce(struct journal *j, struct file_set *set, struct file *touched,
                 struct weir_err *err)
{
    record_begin(j);
    for (size_t i = set->announced; i < set->n; i++) {
        record_file(j, set->files[i]);
    }
    for (struct file *f = touched; f; f = f->next_touched) {
        if (f->moved && f->number < set->announced) {
            record_part(j, f);
        }
    }
    const enum weir_status st =
        j->record.len > HEAD ? record_append(j, err) : WEIR_OK;
    if (st != WEIR_OK) {
        return st;
    }
    set->announced = set->n;
    for (struct file *f = touched; f; f = f->next_touched) {
        f->moved = false;
    }
    return WEIR_OK;
}

enum weir_status
journal_commit(struct journal *j, const struct file *touched,
               const struct weir_checkpoint *cp, struct weir_err *err)
{
    record_begin(j);
    for (const struct file *f = touched; f; f = f->next_touched) {
        bytes_add(&j->record, "L", 1);
        bytes_number(&j->record, f->number, 4);
        bytes_number(&j->record, f->length + f->written, 8);
    }
    record_checkpoint(j, cp);
    if (!store(j, cp)) {
        return weir_fail(err, WEIR_RETRY, "write %s: no memory", j->path);
    }
    return record_append(j, err);
}

enum weir_status
journal_tidy(struct journal *j, const struct file_set *set,
             struct weir_err *err)
{
    if (j->size < j->compact_at) {
        return WEIR_OK;
    }
    enum weir_status st = compact(j, set, err);
    if (st == WEIR_OK && j->sync) {
        st = sync_folder(j, err);
    }
    j->compact_at = j->size * 2 > COMPACT_MIN ? j->size * 2 : COMPACT_MIN;
    return st;
}

enum weir_status
journal_forget(struct journal *j, struct weir_str id, uint32_t slot,
               struct weir_err *err)
{
    for (size_t i = j->nstored; i-- > 0;) {
        struct stored *s = &j->stored[i];
        if ((slot != WEIR_ALL_SLOTS && s->cp.slot != slot) ||
            s->cp.id.len != id.len ||
            memcmp(s->cp.id.data, id.data, id.len) != 0) {
            continue;
        }
        record_begin(j);
        bytes_add(&j->record, "X", 1);
        bytes_number(&j->record, s->cp.slot, 4);
        bytes_str(&j->record, id);
        const enum weir_status st = record_append(j, err);
        if (st != WEIR_OK) {
            return st;
        }
        unstore(j, s);
    }
    return WEIR_OK;
}

enum weir_status
journal_init(struct journal *j, const char *folder, bool sync,
             struct weir_err *err)
{
    const size_t room = strlen(folder) + sizeof "/sink_file.journal.new";

    *j = (struct journal){ .fd = -1, .sync = sync };
    j->path = malloc(room);
    j->temporary = malloc(room);
    if (!j->path || !j->temporary) {
        return weir_fail(err, WEIR_RETRY, "journal in %s: no memory", folder);
    }
    snprintf(j->path, room, "%s/sink_file.journal", folder);
    snprintf(j->temporary, room, "%s/sink_file.journal.new", folder);
    return WEIR_OK;
}

void
journal_fini(struct journal *j)
{
    while (j->nstored) {
        unstore(j, &j->stored[j->nstored - 1]);
    }
    if (j->fd != -1) {
        close(j->fd);
    }
    free(j->stored);
    free(j->path);
    free(j->temporary);
    free(j->record.data);
}
