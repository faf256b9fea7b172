/*
 * signal.c - `weir -s`: finds the running master by its state directory, tells
 * it what is wanted, and stays until that is done or has failed.
 */
#include "master/master.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/generation.h"
#include "master/checker.h"
#include "master/state.h"
#include "master/status.h"

enum {
    DRAIN_MS = 30000, /* where the configuration can't be asked */
    EXTRA_MS = 15000, /* beyond the deadline of the master's own */
    TEST_MS = 60000,  /* that the master's own test may take */
    PROGRESS_MS = 5000,
};

struct target {
    struct arena  arena;
    const char   *state;
    int64_t       drain_ms;
    struct holder holder;
    int           pidfd; /* of the master, so that it can't be mistaken */
};

static int
complain(int exit_status, const char *sentence)
{
    fprintf(stderr, "weir: %s\n", sentence);
    return exit_status;
}

/* ---- Where it runs */

static enum weir_status
ask_config(struct target *t, const struct master_options *o, bool must_be_good,
           struct weir_err *err)
{
    struct generation g;
    int               fd;

    enum weir_status st = checker_run(o, !must_be_good, &fd, err);
    if (st == WEIR_OK) {
        st = generation_read(&t->arena, fd, false, &g, err);
        close(fd);
    }
    if (st == WEIR_OK) {
        t->state = arena_strdup(&t->arena, g.state);
        t->drain_ms = g.drain_ms;
    } else if (!must_be_good) {
        t->state = state_guess(&t->arena, o->path);
        t->drain_ms = DRAIN_MS;
        fprintf(stderr, "weir: %s\nweir: so the state directory is taken to "
                "be %s\n", err->text, t->state);
        st = WEIR_OK;
    }
    return st;
}

/* DROP: nothing runs there. */
static enum weir_status
find_master(struct target *t, struct weir_err *err)
{
    enum weir_status st = state_holder(&t->arena, t->state, &t->holder, err);
    if (st != WEIR_OK) {
        return st;
    }
    t->pidfd = (int)syscall(SYS_pidfd_open, t->holder.pid, 0);
    if (t->pidfd == -1) {
        return errno == ESRCH ? WEIR_DROP
                              : fail_errno(err, WEIR_FATAL, "pidfd_open %d",
                                           (int)t->holder.pid);
    }
    /* Still the same one, and not another process under its number. */
    const pid_t pid = t->holder.pid;
    st = state_holder(&t->arena, t->state, &t->holder, err);
    return st == WEIR_OK && t->holder.pid != pid ? WEIR_DROP : st;
}

static enum weir_status
send_signal(const struct target *t, int signal, struct weir_err *err)
{
    if (syscall(SYS_pidfd_send_signal, t->pidfd, signal, NULL, 0) == -1) {
        return fail_errno(err, WEIR_FATAL, "signal the master, pid %d",
                          (int)t->holder.pid);
    }
    return WEIR_OK;
}

/* ---- Until it is done */

static int
wait_gone(const struct target *t, int64_t limit_ms, const char *doing)
{
    const int64_t begin = clock_steady();
    char          text[160];

    for (;;) {
        struct pollfd gone = { t->pidfd, POLLIN, 0 };
        const int64_t waited = (clock_steady() - begin) / 1000;
        if (waited >= limit_ms) {
            break;
        }
        const int64_t left = limit_ms - waited;
        if (poll(&gone, 1, (int)(left < PROGRESS_MS ? left : PROGRESS_MS)) ==
            1) {
            return MASTER_OK;
        }
        fprintf(stderr, "weir: pid %d is %s, %" PRId64 " s of at most %" PRId64
                "\n", (int)t->holder.pid, doing,
                (clock_steady() - begin) / 1000000, limit_ms / 1000);
    }
    snprintf(text, sizeof text, "pid %d is still there after %" PRId64 " s: "
             "see its log, then weir -s stop, or kill -9",
             (int)t->holder.pid, limit_ms / 1000);
    return complain(MASTER_FAILED, text);
}

static int
end_master(const struct target *t, bool drains)
{
    struct weir_err err;

    if (send_signal(t, drains ? SIGQUIT : SIGTERM, &err) != WEIR_OK) {
        return complain(MASTER_FAILED, err.text);
    }
    return drains ? wait_gone(t, t->drain_ms + EXTRA_MS, "draining")
                  : wait_gone(t, EXTRA_MS, "stopping");
}

static int
judge(const struct reload_result *result)
{
    if (result->ok) {
        return MASTER_OK;
    }
    fprintf(stderr, "weir: reload refused, everything goes on as before: %s\n",
            result->reason);
    return MASTER_FAILED;
}

/* The result is a file that is renamed into place, or written over where there
 * is no room for another one: inotify says when. */
static int
wait_reload(const struct target *t, int changes, uint64_t serial)
{
    const int64_t limit =
        clock_steady() + (t->drain_ms + TEST_MS + EXTRA_MS) * 1000;
    struct reload_result result;
    struct weir_err      err;
    char                 events[4096];

    for (;;) {
        if (state_reload(t->state, &result, &err) == WEIR_OK &&
            result.finished > serial) {
            return judge(&result);
        }
        struct pollfd fds[] = { { changes, POLLIN, 0 },
                                { t->pidfd, POLLIN, 0 } };
        const int64_t left = (limit - clock_steady()) / 1000;
        if (left <= 0) {
            return complain(MASTER_FAILED, "the reload is not done in time: "
                                           "see the log");
        }
        poll(fds, 2, (int)left);
        if (fds[1].revents) {
            return complain(MASTER_FAILED, "the server ended during the "
                                           "reload: see its log");
        }
        while (read(changes, events, sizeof events) > 0) {
        }
    }
}

static int
reload(struct target *t)
{
    struct reload_result before;
    struct weir_err      err;

    const char *run = arena_printf(&t->arena, "%s/run", t->state);
    const int   changes = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (changes == -1 || inotify_add_watch(changes, run, IN_MOVED_TO | IN_CLOSE_WRITE) == -1) {
        fail_errno(&err, WEIR_FATAL, "inotify %s", run);
        return complain(MASTER_FAILED, err.text);
    }
    enum weir_status st = state_reload(t->state, &before, &err);
    if (st == WEIR_OK) {
        st = send_signal(t, SIGHUP, &err);
    }
    const int status = st == WEIR_OK ? wait_reload(t, changes, before.started)
                                     : complain(MASTER_FAILED, err.text);
    close(changes);
    return status;
}

static int
status(const struct target *t)
{
    struct weir_err err;

    const enum weir_status st = status_print(t->state, &t->holder, &err);
    if (st != WEIR_OK && st != WEIR_DROP) {
        return complain(MASTER_FAILED, err.text);
    }
    return st == WEIR_OK ? MASTER_OK : MASTER_FAILED;
}

static int
reopen(const struct target *t)
{
    struct weir_err err;

    return send_signal(t, SIGUSR1, &err) == WEIR_OK
               ? MASTER_OK
               : complain(MASTER_FAILED, err.text);
}

static int
act(struct target *t, const char *signal)
{
    if (strcmp(signal, "stop") == 0 || strcmp(signal, "quit") == 0) {
        return end_master(t, signal[0] == 'q');
    }
    if (strcmp(signal, "reload") == 0) {
        return reload(t);
    }
    if (strcmp(signal, "reopen") == 0) {
        return reopen(t);
    }
    return status(t);
}

int
master_signal(const struct master_options *o, const char *signal)
{
    struct target   t = { .pidfd = -1 };
    struct weir_err err;
    int             result;

    const bool       is_reload = strcmp(signal, "reload") == 0;
    enum weir_status st = ask_config(&t, o, is_reload, &err);
    if (st != WEIR_OK) {
        return complain(MASTER_FAILED, "nothing was reloaded: a server that "
                                       "runs goes on as before");
    }
    st = find_master(&t, &err);
    if (st == WEIR_DROP) {
        weir_fail(&err, st, "no weir runs in %s", t.state);
        result = complain(MASTER_NOT_RUNNING, err.text);
    } else if (st != WEIR_OK) {
        result = complain(MASTER_FAILED, err.text);
    } else {
        result = act(&t, signal);
    }
    if (t.pidfd != -1) {
        close(t.pidfd);
    }
    arena_free(&t.arena);
    return result;
}

int
master_reload(const char *state)
{
    struct target   t = { .pidfd = -1, .drain_ms = DRAIN_MS };
    struct weir_err err;

    t.state = arena_strdup(&t.arena, state);
    const enum weir_status st = find_master(&t, &err);
    if (st == WEIR_DROP) {
        weir_fail(&err, st, "no weir runs in %s", t.state);
    }
    const int result = st == WEIR_OK
                           ? reload(&t)
                           : complain(st == WEIR_DROP ? MASTER_NOT_RUNNING
                                                      : MASTER_FAILED,
                                      err.text);
    if (t.pidfd != -1) {
        close(t.pidfd);
    }
    arena_free(&t.arena);
    return result;
}
