/* state.c - see state.h. */
#include "master/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/str.h"

enum { LOCK_FILE_MAX = 8192, OLD_WORKERS_MS = 10000, PROBE_MS = 100,
       CONFIG_MAX = 1 << 20, RESULT_BYTES = 1024 };

static void
wake(int signal)
{
    (void)signal;
}

/* flock() that gives up after a while: errno is EINTR then. */
static int
lock_within(int fd, int operation, int ms)
{
    const struct sigaction   sa = { .sa_handler = wake };
    struct sigaction         before;
    const struct itimerval   off = { 0 };
    const struct itimerval   on = { .it_interval.tv_usec = 50000,
                                    .it_value = { ms / 1000,
                                                  ms % 1000 * 1000 } };

    sigaction(SIGALRM, &sa, &before);
    setitimer(ITIMER_REAL, &on, NULL);
    const int result = flock(fd, operation);
    const int saved = errno;
    setitimer(ITIMER_REAL, &off, NULL);
    sigaction(SIGALRM, &before, NULL);
    errno = saved;
    return result;
}

static bool
is_empty_folder(const char *path)
{
    bool empty = true;

    DIR *folder = opendir(path);
    if (!folder) {
        return false;
    }
    for (struct dirent *e = readdir(folder); e; e = readdir(folder)) {
        empty = empty && (strcmp(e->d_name, ".") == 0 ||
                          strcmp(e->d_name, "..") == 0);
    }
    closedir(folder);
    return empty;
}

/* A folder of the account's.  One that is there and somebody else's is left
 * alone unless it is empty: a mistyped `state` must not hand over /var. */
static enum weir_status
make_folder(const char *path, const struct account *account,
            struct weir_err *err)
{
    struct stat st;

    const enum weir_status status = file_mkdir(path, 0750, err);
    if (status != WEIR_OK) {
        return status;
    }
    if (stat(path, &st) == -1) {
        return fail_errno(err, WEIR_FATAL, "stat %s", path);
    }
    if (!account->is_other || st.st_uid == account->uid) {
        return WEIR_OK;
    }
    if (!is_empty_folder(path)) {
        return weir_fail(err, WEIR_FATAL,
                         "%s belongs to uid %d, and workers run as %s: give it "
                         "to them with `chown -R %s: %s`", path,
                         (int)st.st_uid, account->name, account->name, path);
    }
    return account_own(account, path, err);
}

static int
open_lock(struct arena *a, const char *dir, const char *name,
          struct weir_err *err)
{
    const char *path = arena_printf(a, "%s/%s", dir, name);
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd == -1) {
        fail_errno(err, WEIR_FATAL, "open %s", path);
    }
    return fd;
}

/* By its descriptor, never by its name: workers, who may be somebody else and
 * own what is around it, could have put a link there. */
static void
empty_run(int run_fd)
{
    const int fd = openat(run_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR      *folder = fd == -1 ? NULL : fdopendir(fd);

    if (!folder) {
        close(fd);
        return;
    }
    for (struct dirent *e = readdir(folder); e; e = readdir(folder)) {
        unlinkat(fd, e->d_name, 0);
    }
    closedir(folder);
}

static enum weir_status
open_run(struct state *s, const struct account *account, struct weir_err *err)
{
    struct stat st;

    if (lstat(s->run, &st) == 0 && !S_ISDIR(st.st_mode)) {
        return weir_fail(err, WEIR_FATAL, "%s is not a folder", s->run);
    }
    const enum weir_status status = make_folder(s->run, account, err);
    if (status != WEIR_OK) {
        return status;
    }
    s->run_fd = open(s->run, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return s->run_fd == -1 ? fail_errno(err, WEIR_FATAL, "open %s", s->run)
                           : WEIR_OK;
}

static enum weir_status
take_locks(struct arena *a, struct state *s, struct weir_err *err)
{
    struct holder holder = { 0 };

    s->lock_fd = open_lock(a, s->dir, "lock", err);
    if (s->lock_fd == -1) {
        return WEIR_FATAL;
    }
    /* `weir -s` probes the lock for a moment: so it is worth a short wait. */
    if (lock_within(s->lock_fd, LOCK_EX, PROBE_MS) == -1) {
        struct weir_err ignored;
        state_holder(a, s->dir, &holder, &ignored);
        return weir_fail(err, WEIR_FATAL,
                         "another weir (pid %d) runs in %s: stop it with "
                         "`weir -s quit`, or give this one a `state` of its "
                         "own", (int)holder.pid, s->dir);
    }
    s->workers_fd = open_lock(a, s->dir, "workers.lock", err);
    if (s->workers_fd == -1) {
        return WEIR_FATAL;
    }
    if (lock_within(s->workers_fd, LOCK_EX, OLD_WORKERS_MS) == -1 ||
        flock(s->workers_fd, LOCK_SH) == -1) {
        return weir_fail(err, WEIR_FATAL,
                         "workers of a former weir still run in %s (see "
                         "`fuser %s/workers.lock`): end them first", s->dir,
                         s->dir);
    }
    return WEIR_OK;
}

static void
drop_locks(struct state *s)
{
    if (s->lock_fd != -1) {
        close(s->lock_fd);
    }
    if (s->workers_fd != -1) {
        close(s->workers_fd);
    }
    if (s->run_fd != -1) {
        close(s->run_fd);
    }
    s->lock_fd = s->workers_fd = s->run_fd = -1;
}

enum weir_status
state_open(struct arena *a, const char *dir, const struct account *account,
           struct state *out, struct weir_err *err)
{
    *out = (struct state){ .dir = arena_strdup(a, dir),
                           .run = arena_printf(a, "%s/run", dir),
                           .lock_fd = -1,
                           .workers_fd = -1,
                           .run_fd = -1 };

    enum weir_status st = make_folder(dir, account, err);
    if (st == WEIR_OK) {
        st = take_locks(a, out, err);
    }
    if (st == WEIR_OK) {
        st = open_run(out, account, err);
    }
    if (st != WEIR_OK) {
        drop_locks(out);
        return weir_wrap(err, st, "state directory");
    }
    empty_run(out->run_fd);
    return WEIR_OK;
}

enum weir_status
state_claim(const struct state *s, const char *path, const char *control,
            struct weir_err *err)
{
    char text[LOCK_FILE_MAX];

    const int n = snprintf(text, sizeof text, "%d\n%s\n%" PRId64 "\n%s\n",
                           (int)getpid(), path, clock_usec(), control);
    if (n >= (int)sizeof text) {
        return weir_fail(err, WEIR_FATAL, "%s: the path is too long", path);
    }
    if (ftruncate(s->lock_fd, 0) == -1) {
        return fail_errno(err, WEIR_FATAL, "ftruncate %s/lock", s->dir);
    }
    return file_pwrite(s->lock_fd, "lock", text, (size_t)n, 0, err);
}

void
state_close(struct state *s)
{
    if (s->lock_fd == -1) {
        return;
    }
    empty_run(s->run_fd);
    if (ftruncate(s->lock_fd, 0) == -1) {
        /* A stale pid in a file that nobody has locked is never believed. */
    }
    drop_locks(s);
}

static enum weir_status
parse_holder(struct arena *a, char *text, struct holder *out,
             struct weir_err *err)
{
    char *rest = text;

    const char *pid = strsep(&rest, "\n");
    const char *path = strsep(&rest, "\n");
    const char *since = strsep(&rest, "\n");
    const char *control = strsep(&rest, "\n");
    out->pid = pid ? (pid_t)strtol(pid, NULL, 10) : 0;
    if (out->pid <= 1 || !path || !since || !control) {
        return weir_fail(err, WEIR_FATAL,
                         "a weir is just starting or ending: try again");
    }
    out->path = arena_strdup(a, path);
    out->control = arena_strdup(a, control);
    out->since_usec = strtoll(since, NULL, 10);
    return WEIR_OK;
}

enum weir_status
state_holder(struct arena *a, const char *dir, struct holder *out,
             struct weir_err *err)
{
    char text[LOCK_FILE_MAX + 1];

    const char *path = arena_printf(a, "%s/lock", dir);
    const int   fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd == -1 && errno == ENOENT) {
        return WEIR_DROP;
    }
    if (fd == -1) {
        return fail_errno(err, WEIR_FATAL, "open %s", path);
    }
    const bool    is_free = flock(fd, LOCK_SH | LOCK_NB) == 0;
    const ssize_t n = file_pread(fd, text, LOCK_FILE_MAX, 0);
    close(fd);
    if (is_free) {
        return WEIR_DROP;
    }
    if (n == -1) {
        return fail_errno(err, WEIR_FATAL, "read %s", path);
    }
    text[n] = '\0';
    return parse_holder(a, text, out, err);
}

const char *
state_guess(struct arena *a, const char *path)
{
    struct weir_str text;
    struct weir_err err;

    if (file_read(a, path, CONFIG_MAX, &text, &err) == WEIR_OK) {
        char *rest = (char *)text.data;
        for (char *line = strsep(&rest, "\n"); line;
             line = strsep(&rest, "\n")) {
            char value[1024];
            if (sscanf(line, " state = \"%1023[^\"]\"", value) == 1 &&
                value[0] == '/') {
                return arena_strdup(a, value);
            }
        }
    }
    return WEIR_STATEDIR;
}

enum weir_status
state_put(const struct state *s, const char *name, struct weir_str text,
          struct weir_err *err)
{
    struct arena a = { 0 };

    const char *path = arena_printf(&a, "%s/%s", s->run, name);
    const char *beside = arena_printf(&a, "%s.new", name);
    const int   fd = openat(s->run_fd, beside,
                            O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC |
                                O_NOFOLLOW | O_NONBLOCK, 0644);
    enum weir_status st = WEIR_OK;
    if (fd == -1) {
        st = fail_errno(err, WEIR_RETRY, "open %s.new", path);
    } else {
        st = file_write(fd, path, text.data, text.len, err);
        close(fd);
    }
    if (st == WEIR_OK &&
        renameat(s->run_fd, beside, s->run_fd, name) == -1) {
        st = fail_errno(err, WEIR_RETRY, "rename %s", path);
    }
    arena_free(&a);
    return st;
}

/* In one write() of the length that it has already, so that a full disk keeps
 * nobody from learning how a reload ended. */
static enum weir_status
write_over(const struct state *s, const char *name, struct weir_str text,
           struct weir_err *err)
{
    struct arena a = { 0 };

    const char *path = arena_printf(&a, "%s/%s", s->run, name);
    const int   fd = openat(s->run_fd, name,
                            O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    enum weir_status st = WEIR_OK;
    if (fd == -1) {
        st = fail_errno(err, WEIR_RETRY, "open %s", path);
    } else {
        st = file_pwrite(fd, path, text.data, text.len, 0, err);
        close(fd);
    }
    arena_free(&a);
    return st;
}

enum weir_status
state_publish(const struct state *s, const struct reload_result *result,
              struct weir_err *err)
{
    struct buf text = { 0 };

    buf_printf(&text, "started %" PRIu64 "\nfinished %" PRIu64 "\nok %d\n"
               "reason %s\n", result->started, result->finished, result->ok,
               result->reason);
    while (text.len < RESULT_BYTES) {
        buf_byte(&text, '\n');
    }
    enum weir_status st = state_put(s, "reload", buf_view(&text), err);
    if (st == WEIR_RETRY) {
        st = write_over(s, "reload", buf_view(&text), err);
    }
    buf_free(&text);
    return st;
}

static void
parse_result(const char *text, struct reload_result *out)
{
    int ok = 0;

    const int n = sscanf(text,
                         "started %" SCNu64 "\nfinished %" SCNu64 "\nok %d\n"
                         "reason %511[^\n]",
                         &out->started, &out->finished, &ok, out->reason);
    if (n < 3) {
        *out = (struct reload_result){ 0 };
    }
    out->ok = ok == 1;
}

enum weir_status
state_reload(const char *dir, struct reload_result *out, struct weir_err *err)
{
    struct arena    a = { 0 };
    struct weir_str text;

    *out = (struct reload_result){ 0 };
    const char      *path = arena_printf(&a, "%s/run/reload", dir);
    enum weir_status st = WEIR_OK;
    if (access(path, F_OK) == 0) {
        st = file_read(&a, path, LOCK_FILE_MAX, &text, err);
        if (st == WEIR_OK) {
            parse_result(text.data, out);
        }
    }
    arena_free(&a);
    return st;
}
