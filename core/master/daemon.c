/* daemon.c - see daemon.h. */
#include "master/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"

/* One byte 0: all is well.  Anything else is the reason why not. */
static _Noreturn void
wait_for_daemon(int fd)
{
    char   text[600];
    size_t len = 0;

    for (;;) {
        const ssize_t n = read(fd, text + len, sizeof text - 1 - len);
        if (n == -1 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break;
        }
        len += (size_t)n;
    }
    text[len] = '\0';
    if (len == 1 && text[0] == '\0') {
        _exit(0);
    }
    fprintf(stderr, "weir: %s\n",
            len ? text : "the server died while it was starting: see its log");
    _exit(1);
}

/* Leads a session without being able to get a terminal again. */
static enum weir_status
leave_terminal(struct weir_err *err)
{
    if (setsid() == -1) {
        return fail_errno(err, WEIR_FATAL, "setsid");
    }
    const pid_t pid = fork();
    if (pid == -1) {
        return fail_errno(err, WEIR_FATAL, "fork");
    }
    if (pid > 0) {
        _exit(0);
    }
    if (chdir("/") == -1) {
        return fail_errno(err, WEIR_FATAL, "chdir /");
    }
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null == -1) {
        return fail_errno(err, WEIR_FATAL, "open /dev/null");
    }
    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        dup2(null, fd);
    }
    if (null > STDERR_FILENO) {
        close(null);
    }
    return WEIR_OK;
}

enum weir_status
daemon_begin(int *ready, struct weir_err *err)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) == -1) {
        return fail_errno(err, WEIR_FATAL, "pipe");
    }
    const pid_t pid = fork();
    if (pid == -1) {
        return fail_errno(err, WEIR_FATAL, "fork");
    }
    if (pid > 0) {
        close(fds[1]);
        waitpid(pid, NULL, 0);
        wait_for_daemon(fds[0]);
    }
    close(fds[0]);
    const enum weir_status st = leave_terminal(err);
    if (st != WEIR_OK) {
        daemon_ready(fds[1], err->text);
        _exit(1);
    }
    *ready = fds[1];
    return WEIR_OK;
}

void
daemon_ready(int ready, const char *error)
{
    struct weir_err ignored;

    if (ready == -1) {
        return;
    }
    if (error) {
        file_write(ready, "pipe", error, strlen(error), &ignored);
    } else {
        file_write(ready, "pipe", "", 1, &ignored);
    }
    close(ready);
}
