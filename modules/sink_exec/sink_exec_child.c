/* sink_exec_child.c - see sink_exec_child.h. */
#include "sink_exec_child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STEP_MS = 20, ENV_ROOM = 4 };

extern char **environ;

int64_t
child_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- Start */

struct pipes {
    int in[2], out[2], err[2];
};

static void
close_pair(int *pair)
{
    for (int i = 0; i < 2; i++) {
        if (pair[i] != -1) {
            close(pair[i]);
        }
        pair[i] = -1;
    }
}

static enum weir_status
make_pipes(struct pipes *p, struct weir_err *err)
{
    *p = (struct pipes){ { -1, -1 }, { -1, -1 }, { -1, -1 } };
    if (pipe2(p->in, O_CLOEXEC) == 0 && pipe2(p->out, O_CLOEXEC) == 0 &&
        pipe2(p->err, O_CLOEXEC) == 0 &&
        fcntl(p->in[1], F_SETFL, O_NONBLOCK) == 0 &&
        fcntl(p->out[0], F_SETFL, O_NONBLOCK) == 0 &&
        fcntl(p->err[0], F_SETFL, O_NONBLOCK) == 0) {
        return WEIR_OK;
    }
    weir_fail(err, WEIR_RETRY, "make pipes to a program: %s", strerror(errno));
    close_pair(p->in);
    close_pair(p->out);
    close_pair(p->err);
    return WEIR_RETRY;
}

/* Ours, and which sink and lane it is for. */
static char **
make_environment(struct weir_instance *in, char text[3][300])
{
    size_t n = 0;

    while (environ[n]) {
        n++;
    }
    char **all = malloc((n + ENV_ROOM) * sizeof *all);
    if (!all) {
        return NULL;
    }
    snprintf(text[0], 300, "WEIR_SINK=%.280s", weir_name(in));
    snprintf(text[1], 300, "WEIR_LANE=%u", (unsigned)weir_lane(in));
    snprintf(text[2], 300, "WEIR_LANES=%u", (unsigned)weir_lanes(in));
    for (size_t i = 0; i < 3; i++) {
        all[i] = text[i];
    }
    memcpy(all + 3, environ, (n + 1) * sizeof *all);
    return all;
}

/* In a group of its own, so that a key pressed in our terminal is not for it
 * and its own children can be ended with it; with signals as a program expects
 * to find them, and no descriptor of ours. */
static int
spawn(pid_t *pid, const struct pipes *p, const char *folder, char *const *argv,
      char *const *environment)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t          how;
    sigset_t                   none, all;

    sigemptyset(&none);
    sigfillset(&all);
    int error = posix_spawn_file_actions_init(&files);
    if (error) {
        return error;
    }
    error = posix_spawnattr_init(&how);
    if (error) {
        posix_spawn_file_actions_destroy(&files);
        return error;
    }
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP |
                                       POSIX_SPAWN_SETSIGMASK |
                                       POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&how, 0);
    posix_spawnattr_setsigmask(&how, &none);
    posix_spawnattr_setsigdefault(&how, &all);
    if (!(error = posix_spawn_file_actions_addchdir_np(&files, folder)) &&
        !(error = posix_spawn_file_actions_adddup2(&files, p->in[0], 0)) &&
        !(error = posix_spawn_file_actions_adddup2(&files, p->out[1], 1)) &&
        !(error = posix_spawn_file_actions_adddup2(&files, p->err[1], 2)) &&
        !(error = posix_spawn_file_actions_addclosefrom_np(&files, 3))) {
        error = posix_spawn(pid, argv[0], &files, &how, argv, environment);
    }
    posix_spawnattr_destroy(&how);
    posix_spawn_file_actions_destroy(&files);
    return error;
}

enum weir_status
child_start(struct child *c, char *const *argv, const char *folder,
            struct weir_err *err)
{
    struct pipes p;
    char         text[3][300];

    c->name = argv[0];
    enum weir_status st = make_pipes(&p, err);
    if (st != WEIR_OK) {
        return st;
    }
    char    **environment = make_environment(c->in, text);
    const int error =
        environment ? spawn(&c->pid, &p, folder, argv, environment) : ENOMEM;
    free(environment);
    close(p.in[0]);
    close(p.out[1]);
    close(p.err[1]);
    c->input = p.in[1];
    c->output = (struct child_pipe){ .fd = p.out[0] };
    c->errors = (struct child_pipe){ .fd = p.err[0] };
    if (error) {
        c->pid = 0;
        close(c->input);
        close(c->output.fd);
        close(c->errors.fd);
        c->input = c->output.fd = c->errors.fd = -1;
        st = error == EAGAIN || error == ENOMEM || error == EMFILE ||
                     error == ENFILE || error == ETXTBSY
                 ? WEIR_RETRY
                 : WEIR_FATAL;
        return weir_fail(err, st, "run %s: %s%s", c->name, strerror(error),
                         error == ENOEXEC ? "; a script begins with #! and the "
                                            "program that reads it"
                                          : "");
    }
    return WEIR_OK;
}

/* ---- Pipes */

/* More of what it says; false: nothing more will come. */
static bool
fill(struct child_pipe *p)
{
    if (p->taken) {
        memmove(p->data, p->data + p->taken, p->len - p->taken);
        p->len -= p->taken;
        p->taken = 0;
    }
    while (p->fd != -1 && p->len < sizeof p->data) {
        const ssize_t n =
            read(p->fd, p->data + p->len, sizeof p->data - p->len);
        if (n > 0) {
            p->len += (size_t)n;
            continue;
        }
        if (n == -1 && errno == EINTR) {
            continue;
        }
        if (n == -1 && errno == EAGAIN) {
            return true;
        }
        close(p->fd);
        p->fd = -1;
    }
    return p->fd != -1;
}

/* A whole line, or, with `part`, what is there of one. */
static bool
take_line(struct child_pipe *p, bool part, struct weir_str *out)
{
    const char  *at = p->data + p->taken;
    const size_t len = p->len - p->taken;
    const char  *end = len ? memchr(at, '\n', len) : NULL;

    if (!end && (!part || len == 0)) {
        return false;
    }
    *out = (struct weir_str){ at, end ? (size_t)(end - at) : len };
    p->taken += out->len + (end ? 1 : 0);
    return true;
}

static void
log_line(struct child *c, struct weir_str line)
{
    char   text[1000];
    size_t n = line.len < sizeof text ? line.len : sizeof text;

    for (size_t i = 0; i < n; i++) {
        const unsigned char byte = (unsigned char)line.data[i];
        text[i] = byte < ' ' || byte == 127 ? ' ' : line.data[i];
    }
    if (n > 0) {
        weir_log(c->in, WEIR_INFO, "%s: %.*s", c->name, (int)n, text);
    }
}

static void
log_errors(struct child *c)
{
    struct child_pipe *p = &c->errors;
    struct weir_str    line;
    bool               more = true;

    while (more) {
        const bool open = fill(p);
        more = false;
        while (take_line(p, !open || p->len == sizeof p->data, &line)) {
            log_line(c, line);
            more = true;
        }
    }
}

/* write() to a pipe that nobody reads raises SIGPIPE: held back for this
 * thread, and taken away if it came. */
static ssize_t
write_quietly(int fd, struct weir_str data)
{
    sigset_t pipe_signal, before;

    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    const ssize_t n = write(fd, data.data, data.len);
    const int     error = errno;
    if (n == -1 && error == EPIPE) {
        while (sigtimedwait(&pipe_signal, NULL, &(struct timespec){ 0 }) ==
                   -1 &&
               errno == EINTR) {
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return n;
}

static enum weir_status
fail_end(struct child *c, const char *what, struct weir_err *err)
{
    char how[100];

    child_stop(c, 1000, how, sizeof how);
    return weir_fail(err, WEIR_RETRY, "%s %s: it %s", c->name, what, how);
}

static enum weir_status
send_some(struct child *c, struct weir_str *rest, struct weir_err *err)
{
    while (rest->len > 0) {
        const ssize_t n = write_quietly(c->input, *rest);
        if (n > 0) {
            rest->data += n;
            rest->len -= (size_t)n;
        } else if (errno == EAGAIN) {
            return WEIR_OK;
        } else if (errno != EINTR) {
            return fail_end(c, "no longer reads its input", err);
        }
    }
    return WEIR_OK;
}

/* Something to do on a pipe, or the time is up (RETRY). */
static enum weir_status
wait_for(struct child *c, bool to_send, int64_t deadline_ms,
         struct weir_err *err)
{
    const int64_t left = deadline_ms - child_now_ms();
    struct pollfd p[] = {
        { .fd = c->output.fd, .events = POLLIN },
        { .fd = c->errors.fd, .events = POLLIN },
        { .fd = to_send ? c->input : -1, .events = POLLOUT },
    };

    if (left <= 0) {
        return weir_fail(err, WEIR_RETRY,
                         "%s gave no answer in time and was killed", c->name);
    }
    if (poll(p, 3, left > 60000 ? 60000 : (int)left) == -1 && errno != EINTR) {
        return weir_fail(err, WEIR_RETRY, "wait for %s: %s", c->name,
                         strerror(errno));
    }
    return WEIR_OK;
}

enum weir_status
child_line(struct child *c, struct weir_str *rest, int64_t deadline_ms,
           struct weir_str *line, struct weir_err *err)
{
    enum weir_status st = WEIR_OK;

    while (st == WEIR_OK) {
        if (take_line(&c->output, false, line)) {
            return WEIR_OK;
        }
        log_errors(c);
        const bool open = fill(&c->output);
        if (take_line(&c->output, false, line)) {
            return WEIR_OK;
        }
        if (c->output.len == sizeof c->output.data) {
            return weir_fail(err, WEIR_FATAL,
                             "%s wrote a line of more than %d bytes; its "
                             "output is for answers, all else goes to "
                             "standard error",
                             c->name, (int)CHILD_LINE);
        }
        if (!open) {
            return fail_end(c, "has closed its output", err);
        }
        st = send_some(c, rest, err);
        if (st == WEIR_OK) {
            st = wait_for(c, rest->len > 0, deadline_ms, err);
        }
    }
    return st;
}

bool
child_look(struct child *c)
{
    log_errors(c);
    const bool open = fill(&c->output);
    return open && c->output.len == c->output.taken;
}

/* ---- End */

static void
say_end(int status, char *how, size_t room)
{
    if (WIFSIGNALED(status)) {
        snprintf(how, room, "was ended by signal %d", WTERMSIG(status));
    } else {
        snprintf(how, room, "ended with status %d", WEXITSTATUS(status));
    }
}

void
child_stop(struct child *c, int64_t grace_ms, char *how, size_t room)
{
    const int64_t until = child_now_ms() + grace_ms;
    siginfo_t     info = { 0 };
    int           status = 0;

    snprintf(how, room, "had ended before");
    if (c->pid == 0) {
        return;
    }
    close(c->input);
    /* Its number is taken until it is waited for, so the group is still its
     * own when the rest of that is killed. */
    while (waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) ==
               0 &&
           info.si_pid == 0 && child_now_ms() < until) {
        struct pollfd p = { .fd = c->errors.fd, .events = POLLIN };
        poll(&p, 1, STEP_MS);
        log_errors(c);
        fill(&c->output);
        c->output.taken = c->output.len;
    }
    kill(-c->pid, SIGKILL);
    while (waitpid(c->pid, &status, 0) == -1 && errno == EINTR) {
    }
    say_end(status, how, room);
    log_errors(c);
    if (c->output.fd != -1) {
        close(c->output.fd);
    }
    if (c->errors.fd != -1) {
        close(c->errors.fd);
    }
    c->pid = 0;
    c->input = c->output.fd = c->errors.fd = -1;
}
