/* file.c - see file.h. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

ssize_t
file_pread(int fd, void *data, size_t len, uint64_t at)
{
    size_t done = 0;

    while (done < len) {
        const ssize_t n = pread(fd, (char *)data + done, len - done,
                                (off_t)(at + done));
        if (n == -1 && errno == EINTR) {
            continue;
        }
        if (n == -1) {
            return -1;
        }
        if (n == 0) {
            break;
        }
        done += (size_t)n;
    }
    return (ssize_t)done;
}

static enum weir_status
read_open_file(struct arena *a, int fd, const char *path, size_t max,
               struct weir_str *out, struct weir_err *err)
{
    struct stat st;

    if (fstat(fd, &st) == -1) {
        return fail_errno(err, WEIR_FATAL, "stat %s", path);
    }
    if (!S_ISREG(st.st_mode)) {
        return weir_fail(err, WEIR_FATAL, "%s is not a file", path);
    }
    if ((uint64_t)st.st_size > max) {
        return weir_fail(err, WEIR_FATAL,
                         "%s has %lld bytes, more than the %zu it may have",
                         path, (long long)st.st_size, max);
    }
    char         *data = arena_take(a, (size_t)st.st_size + 1);
    const ssize_t n = file_pread(fd, data, (size_t)st.st_size, 0);
    if (n == -1) {
        return fail_errno(err, WEIR_FATAL, "read %s", path);
    }
    data[n] = '\0';
    *out = (struct weir_str){ data, (size_t)n };
    return WEIR_OK;
}

enum weir_status
file_read(struct arena *a, const char *path, size_t max, struct weir_str *out,
          struct weir_err *err)
{
    /* A FIFO there must not make us wait for a writer. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd == -1) {
        return fail_errno(err, WEIR_FATAL, "open %s", path);
    }
    const enum weir_status st = read_open_file(a, fd, path, max, out, err);
    close(fd);
    return st;
}

enum weir_status
file_read_secret(struct arena *a, const char *path, struct weir_str *out,
                 struct weir_err *err)
{
    struct stat st;

    const enum weir_status status = file_read(a, path, 4096, out, err);
    if (status != WEIR_OK) {
        return status;
    }
    if (stat(path, &st) == 0 && (st.st_mode & S_IRWXO)) {
        return weir_fail(err, WEIR_FATAL,
                         "%s can be read or written by everybody: "
                         "chmod o= %s", path, path);
    }
    while (out->len > 0 && (out->data[out->len - 1] == '\n' ||
                            out->data[out->len - 1] == '\r')) {
        out->len--;
    }
    ((char *)out->data)[out->len] = '\0';
    if (memchr(out->data, '\n', out->len) || memchr(out->data, 0, out->len)) {
        return weir_fail(err, WEIR_FATAL, "%s has more than one line", path);
    }
    return WEIR_OK;
}

enum weir_status
file_write(int fd, const char *path, const void *data, size_t len,
           struct weir_err *err)
{
    size_t done = 0;

    while (done < len) {
        const ssize_t n = write(fd, (const char *)data + done, len - done);
        if (n == -1 && errno == EINTR) {
            continue;
        }
        if (n == -1) {
            return fail_errno(err, WEIR_RETRY, "write %s", path);
        }
        done += (size_t)n;
    }
    return WEIR_OK;
}

enum weir_status
file_pwrite(int fd, const char *path, const void *data, size_t len,
            uint64_t at, struct weir_err *err)
{
    size_t done = 0;

    while (done < len) {
        const ssize_t n = pwrite(fd, (const char *)data + done, len - done,
                                 (off_t)(at + done));
        if (n == -1 && errno == EINTR) {
            continue;
        }
        if (n == -1) {
            return fail_errno(err, WEIR_RETRY, "write %s", path);
        }
        done += (size_t)n;
    }
    return WEIR_OK;
}

enum weir_status
file_sync_dir(const char *path, struct weir_err *err)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd == -1 || fsync(fd) == -1) {
        const enum weir_status st =
            fail_errno(err, WEIR_RETRY, "fsync %s", path);
        if (fd != -1) {
            close(fd);
        }
        return st;
    }
    close(fd);
    return WEIR_OK;
}

enum weir_status
file_replace(const char *path, struct weir_str data, mode_t mode,
             struct weir_err *err)
{
    char beside[PATH_MAX], folder[PATH_MAX];

    if (snprintf(beside, sizeof beside, "%s.new", path) >=
        (int)sizeof beside) {
        return weir_fail(err, WEIR_FATAL, "%s: the path is too long", path);
    }
    const int fd =
        open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW |
                         O_NONBLOCK, mode);
    if (fd == -1) {
        return fail_errno(err, WEIR_RETRY, "open %s", beside);
    }
    enum weir_status st = file_write(fd, beside, data.data, data.len, err);
    if (st == WEIR_OK && fsync(fd) == -1) {
        st = fail_errno(err, WEIR_RETRY, "fsync %s", beside);
    }
    close(fd);
    if (st == WEIR_OK && rename(beside, path) == -1) {
        st = fail_errno(err, WEIR_RETRY, "rename %s", path);
    }
    if (st != WEIR_OK) {
        unlink(beside);
        return st;
    }
    snprintf(folder, sizeof folder, "%s", path);
    return file_sync_dir(dirname(folder), err);
}

enum weir_status
file_mkdir(const char *path, mode_t mode, struct weir_err *err)
{
    char part[PATH_MAX];

    if (snprintf(part, sizeof part, "%s", path) >= (int)sizeof part) {
        return weir_fail(err, WEIR_FATAL, "%s: the path is too long", path);
    }
    for (char *p = part + 1;; p++) {
        if (*p != '/' && *p != '\0') {
            continue;
        }
        const char kept = *p;
        *p = '\0';
        if (mkdir(part, kept ? 0755 : mode) == -1 && errno != EEXIST) {
            return fail_errno(err, WEIR_FATAL, "mkdir %s", part);
        }
        *p = kept;
        if (!kept) {
            break;
        }
    }
    struct stat st;
    if (stat(path, &st) == -1 || !S_ISDIR(st.st_mode)) {
        return weir_fail(err, WEIR_FATAL, "%s is not a folder", path);
    }
    return WEIR_OK;
}
