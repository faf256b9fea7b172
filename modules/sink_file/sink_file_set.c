/* sink_file_set.c - paths, descriptors and lengths; see sink_file_set.h. */
#include "sink_file_set.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MAX_OPEN = 64, MAX_PATH = 4000, MAX_LINES = 1024 };

enum weir_status
status_of_errno(int error)
{
    switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EIO:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case EINTR:
    case EAGAIN:
    case ETIMEDOUT:
        return WEIR_RETRY;
    default:
        return WEIR_FATAL;
    }
}

static enum weir_status
fail_file(struct weir_err *err, const struct file_set *set, const char *call,
          const char *path)
{
    const int error = errno;

    return weir_fail(err, status_of_errno(error), "%s %s/%s: %s", call,
                     set->root_path, path, strerror(error));
}

/* ---- The list, and finding by path */

static uint64_t
hash_of(struct weir_str path)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */

    for (size_t i = 0; i < path.len; i++) {
        hash = (hash ^ (unsigned char)path.data[i]) * 1099511628211u;
    }
    return hash ^ hash >> 32;
}

/* The bucket that holds it, or the free one where it would be. */
static size_t
bucket_of(const struct file_set *set, struct weir_str path)
{
    size_t i = hash_of(path) & (set->nbuckets - 1);

    for (; set->buckets[i]; i = (i + 1) & (set->nbuckets - 1)) {
        const struct file *f = set->files[set->buckets[i] - 1];
        if (f->path_len == path.len &&
            memcmp(f->path, path.data, path.len) == 0) {
            break;
        }
    }
    return i;
}

struct file *
file_set_find(const struct file_set *set, struct weir_str path)
{
    if (set->nbuckets == 0) {
        return NULL;
    }
    const uint32_t number = set->buckets[bucket_of(set, path)];
    return number ? set->files[number - 1] : NULL;
}

static bool
make_room(struct file_set *set)
{
    const size_t  room = set->room ? set->room * 2 : 32;
    struct file **files = realloc(set->files, room * sizeof *files);

    if (!files) {
        return false;
    }
    set->files = files;
    uint32_t *buckets = calloc(room * 2, sizeof *buckets);
    if (!buckets) {
        return false;
    }
    free(set->buckets);
    set->buckets = buckets;
    set->nbuckets = room * 2;
    set->room = room;
    for (size_t i = 0; i < set->n; i++) {
        const struct file *f = set->files[i];
        set->buckets[bucket_of(
            set, (struct weir_str){ f->path, f->path_len })] = (uint32_t)i + 1;
    }
    return true;
}

/* The server's templates see to this already; here nothing is taken on trust,
 * the list on disk neither. */
static bool
stays_below(struct weir_str path)
{
    size_t start = 0;

    if (path.len == 0 || path.len > MAX_PATH ||
        memchr(path.data, '\0', path.len)) {
        return false;
    }
    for (size_t i = 0; i <= path.len; i++) {
        if (i < path.len && path.data[i] != '/') {
            continue;
        }
        const size_t len = i - start;
        const char  *part = path.data + start;
        if (len == 0 || (len == 1 && part[0] == '.') ||
            (len == 2 && part[0] == '.' && part[1] == '.')) {
            return false;
        }
        start = i + 1;
    }
    return true;
}

enum weir_status
file_set_add(struct file_set *set, struct weir_str path, uint64_t length,
             struct file **out, struct weir_err *err)
{
    if (!stays_below(path)) {
        return weir_fail(err, WEIR_REJECT,
                         "\"%.*s\" is not a file below %s: path has to give "
                         "names without empty, \".\" or \"..\" parts",
                         (int)(path.len < 200 ? path.len : 200), path.data,
                         set->root_path);
    }
    if (set->n >= set->max) {
        return weir_fail(err, WEIR_FATAL,
                         "%.*s would be file number %zu below %s: let path "
                         "give fewer names, or raise max_files",
                         (int)(path.len < 200 ? path.len : 200), path.data,
                         set->n + 1, set->root_path);
    }
    struct file *f = calloc(1, sizeof *f);
    char        *copy = malloc(path.len * 2 + PART_ROOM + 1);
    if (!f || !copy || (set->n == set->room && !make_room(set))) {
        free(f);
        free(copy);
        return weir_fail(err, WEIR_RETRY, "list of files below %s: no memory",
                         set->root_path);
    }
    memcpy(copy, path.data, path.len);
    copy[path.len] = '\0';
    *f = (struct file){ .path = copy,
                        .path_len = path.len,
                        .name = copy + path.len + 1,
                        .number = (uint32_t)set->n,
                        .length = length,
                        .fd = -1 };
    file_part_name(f, 0, f->name);
    set->files[set->n++] = f;
    set->buckets[bucket_of(set, path)] = f->number + 1;
    *out = f;
    return WEIR_OK;
}

/* ---- Parts */

void
file_part_name(const struct file *f, uint32_t part, char *out)
{
    size_t len = f->path_len;

    if (part == 0) {
        memcpy(out, f->path, len + 1);
        return;
    }
    const bool is_gzip = len > 3 && memcmp(f->path + len - 3, ".gz", 3) == 0;
    len -= is_gzip ? 3 : 0;
    memcpy(out, f->path, len);
    snprintf(out + len, PART_ROOM, ".%06u%s", (unsigned)part,
             is_gzip ? ".gz" : "");
}

/* ---- Descriptors */

static void
unlink_open(struct file_set *set, struct file *f)
{
    *(f->newer ? &f->newer->older : &set->newest) = f->older;
    *(f->older ? &f->older->newer : &set->oldest) = f->newer;
    f->newer = f->older = NULL;
}

static void
link_newest(struct file_set *set, struct file *f)
{
    f->older = set->newest;
    *(set->newest ? &set->newest->newer : &set->oldest) = f;
    set->newest = f;
}

static void
close_file(struct file_set *set, struct file *f)
{
    unlink_open(set, f);
    close(f->fd);
    f->fd = -1;
    set->nopen--;
}

void
file_set_part(struct file_set *set, struct file *f, uint32_t part,
              uint64_t length, int64_t begun_ms)
{
    if (f->fd != -1) {
        close_file(set, f);
    }
    f->part = part;
    f->length = length;
    f->begun_ms = begun_ms;
    f->moved = true;
    file_part_name(f, part, f->name);
}

void
file_set_clear(struct file_set *set)
{
    while (set->oldest) {
        close_file(set, set->oldest);
    }
    for (size_t i = 0; i < set->n; i++) {
        free(set->files[i]->path);
        free(set->files[i]);
    }
    free(set->files);
    free(set->buckets);
    set->files = NULL;
    set->buckets = NULL;
    set->n = set->room = set->nbuckets = set->announced = 0;
}

/* The folder below `at`, made if it may be; -1: errno. */
static int
open_folder(int at, const char *name, bool create, bool sync)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int       fd = openat(at, name, flags);

    if (fd == -1 && errno == ENOENT && create) {
        if (mkdirat(at, name, 0750) == -1 && errno != EEXIST) {
            return -1;
        }
        if (sync && fsync(at) == -1) {
            return -1;
        }
        fd = openat(at, name, flags);
    }
    return fd;
}

/* The folder that holds the path, one part after the other and through no
 * symbolic link, so that nothing that is or comes to be below the root leads
 * out of it; *name: what is left of the path.  (openat2() would do it in one
 * call; files are opened too seldom for a second way to be worth having.)  May
 * be the root itself.  -1: errno. */
static int
folder_below(const struct file_set *set, const char *path, bool create,
             const char **name)
{
    char  parts[MAX_PATH + PART_ROOM + 1];
    char *part = parts;
    int   folder = set->root;

    memcpy(parts, path, strlen(path) + 1);
    for (char *slash; (slash = strchr(part, '/')); part = slash + 1) {
        *slash = '\0';
        const int next = open_folder(folder, part, create, set->sync);
        const int error = errno;
        if (folder != set->root) {
            close(folder);
        }
        folder = next;
        if (next == -1) {
            errno = error;
            return -1;
        }
    }
    *name = path + (part - parts);
    return folder;
}

static void
leave_folder(const struct file_set *set, int folder)
{
    const int error = errno;

    if (folder != set->root) {
        close(folder);
    }
    errno = error;
}

/* -1: errno. */
static int
open_below(const struct file_set *set, const char *path, bool create)
{
    const char *name;
    const int   folder = folder_below(set, path, create, &name);

    if (folder == -1) {
        return -1;
    }
    /* O_NONBLOCK: a FIFO would hold up the call until somebody reads it. */
    int fd = openat(folder, name,
                    O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK |
                        (create ? O_CREAT : 0),
                    0640);
    if (fd != -1 && create && set->sync && fsync(folder) == -1) {
        close(fd);
        fd = -1;
    }
    leave_folder(set, folder);
    return fd;
}

enum weir_status
file_set_stat(struct file_set *set, const char *name, uint64_t *size,
              int64_t *changed, struct weir_err *err)
{
    const char *last;
    struct stat info;
    const int   folder = folder_below(set, name, false, &last);
    const int   got =
        folder == -1 ? -1 : fstatat(folder, last, &info, AT_SYMLINK_NOFOLLOW);

    if (folder != -1) {
        leave_folder(set, folder);
    }
    if (got == -1) {
        return errno == ENOENT ? WEIR_DROP : fail_file(err, set, "stat", name);
    }
    *size = (uint64_t)info.st_size;
    *changed = info.st_mtime;
    return WEIR_OK;
}

enum weir_status
file_set_remove(struct file_set *set, const char *name, struct weir_err *err)
{
    const char *last;
    const int   folder = folder_below(set, name, false, &last);
    const int   got = folder == -1 ? -1 : unlinkat(folder, last, 0);

    if (folder != -1) {
        leave_folder(set, folder);
    }
    return got == 0 || errno == ENOENT ? WEIR_OK
                                       : fail_file(err, set, "remove", name);
}

/* Opens it, or says why not; *size is what it has.  Held with a lock, so that
 * no two sinks write to one file. */
static enum weir_status
open_file(struct file_set *set, struct file *f, bool create, uint64_t *size,
          struct weir_err *err)
{
    struct stat info;

    if (set->nopen >= MAX_OPEN) {
        close_file(set, set->oldest);
    }
    const int fd = open_below(set, f->name, create);
    if (fd == -1) {
        if (errno == ENOENT && !create) {
            *size = 0;
            return WEIR_OK;
        }
        return fail_file(err, set, "open", f->name);
    }
    f->fd = fd;
    link_newest(set, f);
    set->nopen++;
    if (fstat(fd, &info) == -1) {
        return fail_file(err, set, "stat", f->name);
    }
    if (!S_ISREG(info.st_mode)) {
        return weir_fail(err, WEIR_FATAL,
                         "open %s/%s: it is not a regular file; move it away",
                         set->root_path, f->name);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) == -1) {
        return weir_fail(err, WEIR_FATAL,
                         "lock %s/%s: %s; two sinks may not write to one file",
                         set->root_path, f->name,
                         errno == EWOULDBLOCK ? "another process has it locked"
                                              : strerror(errno));
    }
    *size = (uint64_t)info.st_size;
    return WEIR_OK;
}

enum weir_status
file_set_size(struct file_set *set, struct weir_str path, uint64_t *out,
              struct weir_err *err)
{
    char        text[MAX_PATH + 1];
    struct stat info = { 0 };

    *out = 0;
    if (!stays_below(path)) {
        return WEIR_OK; /* file_set_add() says what is wrong */
    }
    memcpy(text, path.data, path.len);
    text[path.len] = '\0';
    const int fd = open_below(set, text, false);
    if (fd == -1 && errno == ENOENT) {
        return WEIR_OK;
    }
    if (fd == -1 || fstat(fd, &info) == -1) {
        const enum weir_status st = fail_file(err, set, "open", text);
        if (fd != -1) {
            close(fd);
        }
        return st;
    }
    close(fd);
    *out = (uint64_t)info.st_size;
    return WEIR_OK;
}

static enum weir_status
fail_length(struct weir_err *err, const struct file_set *set,
            const struct file *f, uint64_t size)
{
    if (size < f->length) {
        return weir_fail(
            err, WEIR_FATAL,
            "%s/%s has %llu bytes, but %llu were written and acknowledged: "
            "what is missing can't be made again here; put the file back, or "
            "move all files of this sink and its journal away to begin anew",
            set->root_path, f->name, (unsigned long long)size,
            (unsigned long long)f->length);
    }
    return weir_fail(err, WEIR_FATAL,
                     "%s/%s has %llu bytes, but only %llu were written here: "
                     "something else writes to it; keep it away and start "
                     "this sink again, which cuts what is behind",
                     set->root_path, f->name, (unsigned long long)size,
                     (unsigned long long)f->length);
}

enum weir_status
file_set_cut(struct file_set *set, struct file *f, struct weir_err *err)
{
    uint64_t         size = 0;
    enum weir_status st = open_file(set, f, false, &size, err);

    if (st != WEIR_OK) {
        return st;
    }
    if (size < f->length) {
        return fail_length(err, set, f, size);
    }
    if (size > f->length) {
        if (ftruncate(f->fd, (off_t)f->length) == -1) {
            return fail_file(err, set, "truncate", f->name);
        }
        if (set->sync && fsync(f->fd) == -1) {
            return fail_file(err, set, "fsync", f->name);
        }
    }
    return WEIR_OK;
}

/* ---- Writing */

/* The vector without its first `n` bytes. */
static struct iovec *
skip_bytes(struct iovec *v, size_t *nv, size_t n)
{
    while (*nv > 0 && n >= v->iov_len) {
        n -= v->iov_len;
        v++;
        (*nv)--;
    }
    if (*nv > 0) {
        v->iov_base = (char *)v->iov_base + n;
        v->iov_len -= n;
    }
    return v;
}

static enum weir_status
write_vector(struct file_set *set, struct file *f, struct iovec *v, size_t nv,
             struct weir_err *err)
{
    while (nv > 0) {
        const ssize_t n =
            pwritev(f->fd, v, (int)nv, (off_t)(f->length + f->written));
        if (n == -1 && errno == EINTR) {
            continue;
        }
        if (n == -1) {
            return fail_file(err, set, "write", f->name);
        }
        f->written += (uint64_t)n;
        v = skip_bytes(v, &nv, (size_t)n);
    }
    return WEIR_OK;
}

enum weir_status
file_set_write(struct file_set *set, struct file *f, struct weir_err *err)
{
    struct iovec     v[MAX_LINES];
    enum weir_status st = WEIR_OK;

    if (f->fd == -1) {
        uint64_t size;
        st = open_file(set, f, true, &size, err);
        if (st == WEIR_OK && size != f->length) {
            st = fail_length(err, set, f, size);
        }
    } else {
        unlink_open(set, f);
        link_newest(set, f);
    }
    f->written = 0;
    for (const struct line *l = f->first; st == WEIR_OK && l;) {
        size_t nv = 0;
        for (; l && nv < MAX_LINES; l = l->next) {
            v[nv].iov_base = (void *)(uintptr_t)l->text.data;
            v[nv++].iov_len = l->text.len;
        }
        st = write_vector(set, f, v, nv, err);
    }
    if (st == WEIR_OK && set->sync && fdatasync(f->fd) == -1) {
        /* What the disk has now is unknown, and asking again may not tell. */
        return weir_fail(err, WEIR_FATAL,
                         "sync %s/%s: %s; look after the disk, then start "
                         "this sink again",
                         set->root_path, f->name, strerror(errno));
    }
    return st;
}
