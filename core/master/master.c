/*
 * master.c - the server's first process: starts, then does what signals and
 * children ask for, one thing after the other, and never waits for any single
 * one of them.
 */
#include "master/master.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "base/title.h"
#include "master/child.h"
#include "master/control.h"
#include "master/daemon.h"
#include "master/notify.h"
#include "master/pause.h"
#include "master/reload.h"
#include "master/server.h"

#define SECOND INT64_C(1000000)

enum { STOP_MS = 5000, IDLE_SECONDS = 60, LATE_SECONDS = 2, GRACE_SECONDS = 5 };

static const int our_signals[] = { SIGTERM, SIGINT,  SIGQUIT, SIGHUP,
                                   SIGUSR1, SIGUSR2, SIGCHLD };

struct asked { bool stop, quit, reload, reopen, upgrade, reap; };

/* ---- Before there are children */

static enum weir_status
take_signals(struct server *s, struct weir_err *err)
{
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof our_signals / sizeof *our_signals; i++) {
        sigaddset(&set, our_signals[i]);
    }
    signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_BLOCK, &set, &s->signals_before);
    s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return s->signal_fd == -1 ? fail_errno(err, WEIR_FATAL, "signalfd")
                              : WEIR_OK;
}

void
server_let_go(void *arg)
{
    struct server *s = arg;

    const int fds[] = { s->signal_fd,      s->state.lock_fd,
                        s->state.run_fd,   s->ready_fd,
                        s->checker.socket, s->checker.errors,
                        s->checker.generation_fd };
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        if (fds[i] != -1) {
            close(fds[i]);
        }
    }
    control_let_go(s);
    for (struct child *c = s->children; c; c = c->next) {
        page_close(c->page);
    }
    for (int number = 1; number < NSIG; number++) {
        signal(number, SIG_DFL);
    }
    sigprocmask(SIG_SETMASK, &s->signals_before, NULL);
}

/* A log that workers can open again by themselves.  Only a new file is given
 * to them, never one that we find: it may be a trap for root. */
static enum weir_status
prepare_log(const struct server *s, struct weir_err *err)
{
    const int fd = open(s->log, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC |
                                    O_NOFOLLOW, 0640);
    if (fd == -1) {
        return errno == EEXIST
                   ? WEIR_OK
                   : fail_errno(err, WEIR_FATAL, "log: open %s%s", s->log,
                                errno == ENOENT ? " (make its folder first)"
                                                : "");
    }
    enum weir_status st = WEIR_OK;
    if (s->account.is_other &&
        fchown(fd, s->account.uid, s->account.gid) == -1) {
        st = fail_errno(err, WEIR_FATAL, "log: chown %s", s->log);
    }
    close(fd);
    return st;
}

static enum weir_status
open_log(struct server *s, struct weir_err *err)
{
    s->log = s->generation.log;
    if (!s->log && s->generation.daemon) {
        s->log = arena_printf(&s->start, "%s/weir.log", s->generation.state);
    }
    if (s->log) {
        s->log = arena_strdup(&s->start, s->log);
        const enum weir_status st = prepare_log(s, err);
        if (st != WEIR_OK) {
            return st;
        }
    }
    return log_open(s->log, err);
}

static enum weir_status
write_pid(const struct server *s, struct weir_err *err)
{
    char text[32];

    if (!s->generation.pid) {
        return WEIR_OK;
    }
    snprintf(text, sizeof text, "%d\n", (int)getpid());
    const struct weir_str line = { text, strlen(text) };
    const enum weir_status st =
        file_replace(s->generation.pid, line, 0644, err);
    return st == WEIR_OK ? st : weir_wrap(err, WEIR_FATAL, "pid file");
}

/* Not one that another server, which was given the same path, wrote since. */
static void
remove_pid(const struct server *s)
{
    struct arena    a = { 0 };
    struct weir_str text;
    struct weir_err ignored;
    char            ours[32];

    snprintf(ours, sizeof ours, "%d\n", (int)getpid());
    if (s->generation.pid &&
        file_read(&a, s->generation.pid, sizeof ours, &text, &ignored) ==
            WEIR_OK &&
        str_is(text, ours)) {
        unlink(s->generation.pid);
    }
    arena_free(&a);
}

/* ---- The loop */

static void
read_signals(const struct server *s, struct asked *asked)
{
    struct signalfd_siginfo info;

    while (read(s->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        switch (info.ssi_signo) {
        case SIGTERM:
            asked->stop = true;
            break;
        case SIGINT: /* Ctrl-C: the first drains, the second doesn't wait */
            if (s->generation.daemon || s->is_ending) {
                asked->stop = true;
            } else {
                asked->quit = true;
            }
            break;
        case SIGQUIT:
            asked->quit = true;
            break;
        case SIGHUP:
            asked->reload = true;
            break;
        case SIGUSR1:
            asked->reopen = true;
            break;
        case SIGUSR2:
            asked->upgrade = true;
            break;
        default:
            asked->reap = true;
        }
    }
}

/* Waits until `until`, a signal, or something from the checker. */
static void
wait_events(struct server *s, int64_t until, struct asked *asked)
{
    const int64_t begin = clock_steady();
    const int64_t left = until > begin ? until - begin : 0;
    const struct timespec timeout = { left / SECOND, left % SECOND * 1000 };

    struct pollfd fds[3 + CONTROL_FDS] = {
        { s->signal_fd, POLLIN, 0 },
        { s->checker.pid ? s->checker.socket : -1, POLLIN, 0 },
        { s->checker.pid ? s->checker.errors : -1, POLLIN, 0 },
    };
    control_poll(s, fds + 3);
    /* Of no more than the limit of open files may be asked, used or not. */
    nfds_t n = 0;
    for (size_t i = 0; i < 3 + CONTROL_FDS; i++) {
        if (fds[i].fd != -1) {
            fds[n++] = fds[i];
        }
    }
    if (ppoll(fds, n, &timeout, NULL) == -1 && errno != EINTR) {
        clock_sleep(SECOND / 10);
    }
    const int64_t now = clock_steady();
    if (now - begin > left + LATE_SECONDS * SECOND) {
        /* The machine or our whole group was stopped, and so were they. */
        s->grace_until = now + GRACE_SECONDS * SECOND;
    }
    read_signals(s, asked);
}

static struct child *
child_of_pid(const struct server *s, pid_t pid)
{
    struct child *c = s->children;

    while (c && c->pid != pid) {
        c = c->next;
    }
    return c;
}

/* Seen before it is taken: as long as it is not, its pid, which is also its
 * group's, is nobody else's. */
static void
reap(struct server *s)
{
    siginfo_t ended = { 0 };
    int       status;

    while (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           ended.si_pid > 0) {
        const pid_t   pid = ended.si_pid;
        struct child *c = child_of_pid(s, pid);
        if (c) {
            kill(-pid, SIGKILL); /* processes that a module started */
        }
        if (waitpid(pid, &status, WNOHANG) == pid &&
            !reload_reaped(s, pid, status) && c) {
            child_reaped(s, c, status);
        }
        ended.si_pid = 0;
    }
}

static void
end_all(struct server *s, int signal, int64_t ms)
{
    if (!s->is_ending) {
        notify_stopping((int)(ms / 1000) + 10);
    }
    s->is_ending = true;
    if (s->checker.pid) {
        kill(s->checker.pid, SIGKILL);
    }
    for (struct child *c = s->children; c; c = c->next) {
        c->is_wanted = false;
        if (c->pid) {
            child_end(c, signal, ms);
        }
    }
}

static void
reopen_logs(struct server *s)
{
    struct weir_err err;

    if (s->log && prepare_log(s, &err) != WEIR_OK) {
        log_warn("%s; the old log file is kept", err.text);
        return;
    }
    log_reopen();
    for (struct child *c = s->children; c; c = c->next) {
        if (c->pid) {
            kill(c->pid, SIGUSR1);
        }
    }
    log_info("log reopened");
}

/* What is due now; gives the time of what will be next. */
static int64_t
tick(struct server *s)
{
    const int64_t now = clock_steady();
    int64_t       next = now + IDLE_SECONDS * SECOND;

    if (s->checker.pid) {
        checker_read(&s->checker);
        if (now >= s->checker.deadline) {
            kill(s->checker.pid, SIGKILL);
            s->checker.deadline = INT64_MAX;
        }
        next = s->checker.deadline < next ? s->checker.deadline : next;
    }
    const int64_t served = control_serve(s, now);
    next = served < next ? served : next;
    reload_settle(s);
    for (struct child *c = s->children; c; c = c->next) {
        const int64_t at = child_tick(s, c, now);
        next = at < next ? at : next;
    }
    reload_settle(s);
    log_flush();
    return next;
}

static void
do_as_asked(struct server *s, struct asked *asked)
{
    if (asked->reap) {
        asked->reap = false;
        reap(s);
    }
    if (asked->stop) {
        asked->stop = false;
        log_info("stopping");
        end_all(s, SIGTERM, STOP_MS);
    }
    if (asked->quit) {
        asked->quit = false;
        log_info("draining, for at most %lld s; once more to stop at once",
                 (long long)(s->generation.drain_ms + 999) / 1000);
        end_all(s, SIGQUIT, s->generation.drain_ms);
    }
    if (asked->reload && !s->checker.pid) {
        asked->reload = false;
        if (s->is_ending) {
            log_info("no reload while the server ends");
        } else {
            reload_begin(s);
        }
    }
    if (asked->reopen) {
        asked->reopen = false;
        reopen_logs(s);
    }
    if (asked->upgrade) {
        asked->upgrade = false;
        log_warn("SIGUSR2: this version can't replace its own program yet: "
                 "weir -s quit, then weir");
    }
}

static void
loop(struct server *s)
{
    struct asked asked = { 0 };

    int64_t until = tick(s);
    while (!s->is_ending || s->children) {
        wait_events(s, until, &asked);
        do_as_asked(s, &asked);
        until = tick(s);
    }
}

/* ---- Start and end */

static enum weir_status
start_here(struct server *s, int fd, struct weir_err *err)
{
    struct arena      a = { 0 };
    struct generation first;

    enum weir_status st = generation_read(&a, fd, false, &first, err);
    if (st == WEIR_OK) {
        s->generation = first; /* its strings for the start; see below */
        st = account_find(first.user, &s->account, err);
    }
    if (st == WEIR_OK) {
        st = state_open(&s->start, first.state, &s->account, &s->state, err);
    }
    log_json(first.log_json);
    if (st == WEIR_OK) {
        st = open_log(s, err);
    }
    if (st == WEIR_OK && geteuid() == 0 && !first.user) {
        log_warn("workers, and the modules in them, run as root: give them "
                 "an account of their own with user = \"weir\"");
    }
    if (st == WEIR_OK) {
        st = pause_load(s, err);
    }
    if (st == WEIR_OK) {
        st = control_open(s, first.control, err);
    }
    const bool in_background = st == WEIR_OK && first.daemon;
    s->generation = (struct generation){ .daemon = in_background };
    arena_free(&a);
    return st;
}

static enum weir_status
start_workers(struct server *s, int fd, struct weir_err *err)
{
    log_context("master");
    title_set("weir: master %s", s->options->path);
    enum weir_status st = state_claim(&s->state, s->options->path,
                                      s->control.path, err);
    if (st == WEIR_OK) {
        st = take_signals(s, err);
    }
    if (st == WEIR_OK) {
        st = reload_apply(s, fd, err);
    }
    if (st != WEIR_OK) {
        return st;
    }
    tick(s);
    st = write_pid(s, err);
    if (st != WEIR_OK) {
        end_all(s, SIGTERM, STOP_MS);
        loop(s);
    }
    return st;
}

static void
forget(struct server *s)
{
    if (s->signal_fd != -1) {
        close(s->signal_fd);
    }
    if (s->generation.state) {
        close(s->generation.fd);
    }
    buf_free(&s->checker.said);
    buf_free(&s->paused);
    arena_free(&s->call);
    arena_free(&s->arena);
    arena_free(&s->start);
}

static void
end_server(struct server *s)
{
    remove_pid(s);
    control_close(s);
    state_close(&s->state);
    log_info("ended");
    forget(s);
}

static int
fail_start(struct server *s, const char *reason)
{
    if (s->ready_fd != -1) {
        log_error("%s", reason);
        daemon_ready(s->ready_fd, reason);
    } else {
        fprintf(stderr, "weir: %s\n", reason);
        if (log_fd() != STDERR_FILENO) {
            log_error("%s", reason);
        }
    }
    control_close(s);
    state_close(&s->state);
    forget(s);
    return MASTER_FAILED;
}

int
master_run(const struct master_options *o)
{
    struct server s = { .options = o,
                        .state = { .lock_fd = -1, .workers_fd = -1,
                                   .run_fd = -1 },
                        .checker = { .socket = -1,
                                     .errors = -1,
                                     .generation_fd = -1 },
                        .ready_fd = -1,
                        .signal_fd = -1 };
    struct weir_err err;
    int             fd;

    umask(022);
    if (checker_run(o, false, &fd, &err) != WEIR_OK) {
        fprintf(stderr, "weir: %s; not started\n", err.text);
        return MASTER_FAILED;
    }
    enum weir_status st = start_here(&s, fd, &err);
    if (st == WEIR_OK && s.generation.daemon) {
        st = daemon_begin(&s.ready_fd, &err);
    }
    if (st != WEIR_OK) {
        close(fd);
    } else {
        st = start_workers(&s, fd, &err);
    }
    if (st != WEIR_OK) {
        return fail_start(&s, err.text);
    }
    daemon_ready(s.ready_fd, NULL);
    s.ready_fd = -1;
    notify_ready();
    loop(&s);
    end_server(&s);
    return MASTER_OK;
}
