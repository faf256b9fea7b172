/* checker.c - see checker.h. */
#include "master/checker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "base/title.h"

enum { CHECKER_SECONDS = 60, CHECKER_SAID_MAX = 1 << 20 };

static _Noreturn void
run_child(const struct master_options *o, int socket, int errors,
          void (*let_go)(void *arg), void *arg)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (let_go) {
        let_go(arg);
    }
    if (errors != -1) {
        dup2(errors, STDOUT_FILENO);
        dup2(errors, STDERR_FILENO);
        close(errors);
    }
    title_set("weir: checker %s", o->path);
    o->checker(o->path, o->prefix, o->overrides, socket);
    _exit(1);
}

static enum weir_status
make_channels(bool capture, int sockets[2], int pipes[2], struct weir_err *err)
{
    pipes[0] = pipes[1] = -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == -1) {
        return fail_errno(err, WEIR_RETRY, "socketpair");
    }
    if (capture && pipe2(pipes, O_CLOEXEC) == -1) {
        const enum weir_status st = fail_errno(err, WEIR_RETRY, "pipe");
        close(sockets[0]);
        close(sockets[1]);
        return st;
    }
    return WEIR_OK;
}

static void
close_if(int *fd)
{
    if (*fd != -1) {
        close(*fd);
    }
    *fd = -1;
}

enum weir_status
checker_start(struct checker *c, const struct master_options *o, bool capture,
              void (*let_go)(void *arg), void *arg, struct weir_err *err)
{
    int sockets[2], pipes[2];

    enum weir_status st = make_channels(capture, sockets, pipes, err);
    if (st != WEIR_OK) {
        return st;
    }
    const pid_t pid = fork();
    if (pid == 0) {
        close(sockets[0]);
        close_if(&pipes[0]);
        run_child(o, sockets[1], pipes[1], let_go, arg);
    }
    if (pid == -1) {
        st = fail_errno(err, WEIR_RETRY, "fork for the configuration test");
    }
    close(sockets[1]);
    close_if(&pipes[1]);
    if (pid == -1) {
        close(sockets[0]);
        close_if(&pipes[0]);
        return st;
    }
    fcntl(sockets[0], F_SETFL, O_NONBLOCK);
    if (pipes[0] != -1) {
        fcntl(pipes[0], F_SETFL, O_NONBLOCK);
    }
    c->said.len = 0;
    c->pid = pid;
    c->socket = sockets[0];
    c->errors = pipes[0];
    c->is_captured = capture;
    c->generation_fd = -1;
    c->deadline = clock_steady() + CHECKER_SECONDS * INT64_C(1000000);
    return WEIR_OK;
}

static void
take_generation(struct checker *c, const struct msghdr *message)
{
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part;
         part = CMSG_NXTHDR((struct msghdr *)message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        const size_t n = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
            close_if(&c->generation_fd);
            c->generation_fd = fd;
        }
    }
}

/* False when there is no more for now. */
static bool
read_socket(struct checker *c)
{
    char data[16];
    union { /* aligned as a cmsghdr */
        char           room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr first;
    } control;
    struct iovec  part = { data, sizeof data };
    struct msghdr message = { .msg_iov = &part,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = sizeof control };

    const ssize_t n = recvmsg(c->socket, &message, MSG_CMSG_CLOEXEC);
    if (n > 0) {
        take_generation(c, &message);
    } else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
        close_if(&c->socket);
    }
    return n > 0 || (n == -1 && errno == EINTR);
}

static bool
read_errors(struct checker *c)
{
    char data[4096];

    const ssize_t n = read(c->errors, data, sizeof data);
    if (n > 0 && c->said.len + (size_t)n <= CHECKER_SAID_MAX) {
        buf_add(&c->said, data, (size_t)n);
    }
    if (n == 0 || (n == -1 && errno != EINTR && errno != EAGAIN)) {
        close_if(&c->errors);
    }
    return n > 0 || (n == -1 && errno == EINTR);
}

void
checker_read(struct checker *c)
{
    while (c->socket != -1 && read_socket(c)) {
    }
    while (c->errors != -1 && read_errors(c)) {
    }
}

bool
checker_line(const struct checker *c, size_t *at, struct weir_str *out)
{
    static const char ours[] = "weir: "; /* the program's name is no news */

    while (*at < c->said.len) {
        const char  *start = c->said.data + *at;
        const size_t left = c->said.len - *at;
        const char  *end = memchr(start, '\n', left);
        *out = (struct weir_str){ start, end ? (size_t)(end - start) : left };
        *at += out->len + 1;
        if (str_has_prefix(*out, ours)) {
            out->data += sizeof ours - 1;
            out->len -= sizeof ours - 1;
        }
        if (out->len) {
            return true;
        }
    }
    return false;
}

/* The first one, and how many more there are. */
static void
first_error(const struct checker *c, struct weir_err *err)
{
    struct weir_str first = { 0 }, line;
    size_t          at = 0, lines = 0;

    while (checker_line(c, &at, &line)) {
        if (lines++ == 0) {
            first = line;
        }
    }
    const char *start = first.data ? first.data : "no reason was given";
    const int   n = (int)(first.data ? first.len : strlen(start));
    if (lines > 1) {
        weir_fail(err, WEIR_FATAL, "%.*s (and %zu more line%s: weir -t)",
                  n > 400 ? 400 : n, start, lines - 1,
                  lines == 2 ? "" : "s");
    } else {
        weir_fail(err, WEIR_FATAL, "%.*s", n > 400 ? 400 : n, start);
    }
}

enum weir_status
checker_finish(struct checker *c, int status, int *fd, struct weir_err *err)
{
    checker_read(c);
    close_if(&c->socket);
    close_if(&c->errors);
    c->pid = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0 &&
        c->generation_fd != -1) {
        *fd = c->generation_fd;
        c->generation_fd = -1;
        return WEIR_OK;
    }
    close_if(&c->generation_fd);
    if (WIFSIGNALED(status)) {
        return weir_fail(err, WEIR_FATAL,
                         "the configuration test died of signal %d (%s): a "
                         "module that the file loads may be broken",
                         WTERMSIG(status), strsignal(WTERMSIG(status)));
    }
    if (c->said.len) {
        first_error(c, err);
        return WEIR_FATAL;
    }
    if (!c->is_captured) {
        return weir_fail(err, WEIR_FATAL, "the configuration can't be used, as "
                         "said above");
    }
    return weir_fail(err, WEIR_FATAL,
                     "the configuration test ended by itself with status %d "
                     "and said nothing: a module that the file loads may be "
                     "broken", WEXITSTATUS(status));
}

enum weir_status
checker_run(const struct master_options *o, bool capture, int *fd,
            struct weir_err *err)
{
    struct checker c = { 0 };
    int            status;

    enum weir_status st = checker_start(&c, o, capture, NULL, NULL, err);
    if (st != WEIR_OK) {
        return st;
    }
    while (c.socket != -1 || c.errors != -1) {
        struct pollfd fds[] = { { c.socket, POLLIN, 0 },
                                { c.errors, POLLIN, 0 } };
        const int64_t left = c.deadline - clock_steady();
        if (left <= 0) {
            kill(c.pid, SIGKILL);
            break;
        }
        poll(fds, 2, (int)(left / 1000) + 1);
        checker_read(&c);
    }
    while (waitpid(c.pid, &status, 0) == -1 && errno == EINTR) {
    }
    st = checker_finish(&c, status, fd, err);
    if (st != WEIR_OK && !capture && WIFSIGNALED(status)) {
        fprintf(stderr, "weir: %s\n", err->text); /* it could not itself */
    }
    buf_free(&c.said);
    return st;
}
