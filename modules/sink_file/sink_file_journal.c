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

/* ---- Bytes */

static void
add_bytes(struct bytes *b, const void *data, size_t n)
{
    if (b->room - b->len < n) {
        const size_t room = (b->len + n) * 2;
        char        *more = realloc(b->data, room);
        if (!more) {
            b->failed = true;
            return;
        }
        b->data = more;
        b->room = room;
    }
    if (n) {
        memcpy(b->data + b->len, data, n);
        b->len += n;
    }
}

static void
put_number(char *out, uint64_t value, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = (char)(value >> 8 * i);
    }
}

static void
add_number(struct bytes *b, uint64_t value, size_t n)
{
    char out[8];

    put_number(out, value, n);
    add_bytes(b, out, n);
}

static void
add_str(struct bytes *b, struct weir_str s)
{
    add_number(b, s.len, 4);
    add_bytes(b, s.data, s.len);
}

struct input {
    const char *p, *end;
    bool        bad;
};

static uint64_t
take_number(struct input *in, size_t n)
{
    uint64_t value = 0;

    if ((size_t)(in->end - in->p) < n) {
        in->bad = true;
        in->p = in->end;
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        value |= (uint64_t)(unsigned char)in->p[i] << 8 * i;
    }
    in->p += n;
    return value;
}

static struct weir_str
take_str(struct input *in)
{
    const size_t len = take_number(in, 4);

    if ((size_t)(in->end - in->p) < len) {
        in->bad = true;
        in->p = in->end;
        return (struct weir_str){ in->end, 0 };
    }
    const struct weir_str s = { in->p, len };
    in->p += len;
    return s;
}

/* CRC-32 as in gzip, four bits at a time: records are short. */
static uint32_t
crc_of(const char *data, size_t len)
{
    static const uint32_t table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    uint32_t crc = 0xffffffff;

    for (size_t i = 0; i < len; i++) {
        crc ^= (unsigned char)data[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

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
    add_number(&j->record, 0, HEAD);
}

static void
record_file(struct journal *j, const struct file *f)
{
    add_bytes(&j->record, "F", 1);
    add_number(&j->record, f->length, 8);
    add_str(&j->record, (struct weir_str){ f->path, f->path_len });
}

static void
record_checkpoint(struct journal *j, const struct weir_checkpoint *cp)
{
    add_bytes(&j->record, "C", 1);
    add_number(&j->record, cp->epoch, 8);
    add_number(&j->record, cp->slot, 4);
    add_str(&j->record, cp->id);
    add_str(&j->record, cp->data);
}

/* Fills in length and checksum of the record that begins at `at`. */
static void
record_seal(struct bytes *record, size_t at)
{
    char        *head = record->data + at;
    const size_t len = record->len - at - HEAD;

    put_number(head, len, 4);
    put_number(head + 4, crc_of(head + HEAD, len), 4);
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

    switch (take_number(in, 1)) {
    case 'F': {
        const uint64_t         length = take_number(in, 8);
        const struct weir_str  path = take_str(in);
        const enum weir_status st =
            in->bad || file_set_find(set, path)
                ? WEIR_REJECT
                : file_set_add(set, path, length, &f, err);
        set->announced = set->n;
        return st;
    }
    case 'L': {
        const uint64_t number = take_number(in, 4);
        const uint64_t length = take_number(in, 8);
        if (in->bad || number >= set->n) {
            return WEIR_REJECT;
        }
        set->files[number]->length = length;
        return WEIR_OK;
    }
    case 'C':
        cp.epoch = take_number(in, 8);
        cp.slot = (uint32_t)take_number(in, 4);
        cp.id = take_str(in);
        cp.data = take_str(in);
        if (in->bad) {
            return WEIR_REJECT;
        }
        return store(j, &cp)
                   ? WEIR_OK
                   : weir_fail(err, WEIR_RETRY, "read %s: no memory", j->path);
    case 'X':
        cp.slot = (uint32_t)take_number(in, 4);
        cp.id = take_str(in);
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
        const size_t n = take_number(&in, 4);
        const size_t crc = take_number(&in, 4);
        if (n > len - j->size - HEAD) {
            break; /* cut off while it was written */
        }
        if (n == 0 || crc_of(head + HEAD, n) != crc) {
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
        add_bytes(&j->record, magic, sizeof magic);
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
    add_bytes(&j->record, magic, sizeof magic);
    add_number(&j->record, 0, HEAD);
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
journal_announce(struct journal *j, struct file_set *set, struct weir_err *err)
{
    if (set->announced == set->n) {
        return WEIR_OK;
    }
    record_begin(j);
    for (size_t i = set->announced; i < set->n; i++) {
        record_file(j, set->files[i]);
    }
    const enum weir_status st = record_append(j, err);
    if (st == WEIR_OK) {
        set->announced = set->n;
    }
    return st;
}

enum weir_status
journal_commit(struct journal *j, const struct file *touched,
               const struct weir_checkpoint *cp, struct weir_err *err)
{
    record_begin(j);
    for (const struct file *f = touched; f; f = f->next_touched) {
        add_bytes(&j->record, "L", 1);
        add_number(&j->record, f->number, 4);
        add_number(&j->record, f->length + f->written, 8);
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
        add_bytes(&j->record, "X", 1);
        add_number(&j->record, s->cp.slot, 4);
        add_str(&j->record, id);
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
