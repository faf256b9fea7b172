/*
 * checker.c - the process that tests a configuration: a broken file or module
 * can harm nobody else here.  Files are read as who started us, since they may
 * hold secrets that workers must not read; all the rest, modules first of all,
 * happens as `user`.  What was accepted goes to the master as one descriptor.
 */
#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/worker.h"

#include "base/err.h"
#include "base/generation.h"
#include "config/config.h"

static void
say(void *arg, const char *where, const char *sentence)
{
    (void)arg;
    fprintf(stderr, "weir: %s: %s\n", where, sentence);
}

static void
refuse(struct conf_errors *errors, const char *where,
       const struct weir_err *err)
{
    errors->n++;
    errors->say(errors->arg, where, err->text);
}

/* ---- Whom we become */

static enum weir_status
become(const char *user, struct weir_err *err)
{
    if (geteuid() != 0 || !user) {
        return WEIR_OK;
    }
    errno = 0;
    const struct passwd *entry = getpwnam(user);
    if (!entry) {
        return weir_fail(err, WEIR_FATAL,
                         "user = \"%s\": there is no such user here", user);
    }
    if (entry->pw_uid == 0) {
        return WEIR_OK;
    }
    if (initgroups(user, entry->pw_gid) == -1 ||
        setgid(entry->pw_gid) == -1 || setuid(entry->pw_uid) == -1) {
        return fail_errno(err, WEIR_FATAL, "become user %s", user);
    }
    return WEIR_OK;
}

/* ---- The state directory */

/* What is there of a path: itself, or the nearest folder above it. */
static void
nearest_folder(char *path)
{
    struct stat st;

    while (stat(path, &st) == -1 && errno == ENOENT &&
           strcmp(path, "/") != 0 && strcmp(path, ".") != 0) {
        const char *above = dirname(path); /* in place, or a constant */
        memmove(path, above, strlen(above) + 1);
    }
}

static enum weir_status
check_state(const char *state, bool was_root, struct weir_err *err)
{
    char        path[PATH_MAX];
    struct stat st;

    if (snprintf(path, sizeof path, "%s", state) >= (int)sizeof path) {
        return weir_fail(err, WEIR_FATAL, "state: the path is too long");
    }
    nearest_folder(path);
    if (stat(path, &st) == -1) {
        return fail_errno(err, WEIR_FATAL, "state = \"%s\": stat %s", state,
                          path);
    }
    if (!S_ISDIR(st.st_mode)) {
        return weir_fail(err, WEIR_FATAL, "state = \"%s\": %s is not a folder",
                         state, path);
    }
    /* The master makes it, as root if it is root, and gives it away. */
    const bool is_there = strcmp(path, state) == 0;
    if ((is_there || !was_root) && access(path, W_OK | X_OK) == -1) {
        return fail_errno(err, WEIR_FATAL,
                          "state = \"%s\": user %u can't write in %s", state,
                          (unsigned)geteuid(), path);
    }
    return WEIR_OK;
}

/* The master makes these files, not their folders. */
static enum weir_status
check_folder(const char *directive, const char *path, const char *state,
             struct weir_err *err)
{
    char        folder[PATH_MAX];
    struct stat st;

    if (!path || snprintf(folder, sizeof folder, "%s", path) >=
                     (int)sizeof folder) {
        return WEIR_OK;
    }
    const char *above = dirname(folder);
    if (strcmp(above, state) == 0 || stat(above, &st) == 0 ||
        (errno != ENOENT && errno != ENOTDIR)) {
        return WEIR_OK;
    }
    return fail_errno(err, WEIR_FATAL,
                      "%s = \"%s\": its folder has to be there first", directive,
                      path);
}

/* ---- The generation */

static void
fill_pipeline(struct arena *a, const struct conf_pipeline *from,
              struct generation_pipeline *to)
{
    *to = (struct generation_pipeline){ .name = from->name,
                                        .digest = from->digest,
                                        .nsinks = from->nsinks };
    to->sinks = arena_array(a, from->nsinks + 1, sizeof *to->sinks);
    for (size_t i = 0; i < from->nsinks; i++) {
        to->sinks[i] = (struct generation_sink){
            .name = from->sinks[i].name,
            .digest = from->sinks[i].digest,
            .timeout_ms = from->sinks[i].set.timeout_ms,
            .memory = from->sinks[i].set.memory,
        };
    }
}

static enum weir_status
make_generation(struct arena *a, const struct conf *c, struct weir_str text,
                int *fd, struct weir_err *err)
{
    struct generation g = { .state = c->state,
                            .user = c->user,
                            .pid = c->pid,
                            .log = c->log,
                            .control = c->control,
                            .log_level = c->log_level,
                            .log_json = c->log_json,
                            .daemon = c->daemon,
                            .drain_ms = c->drain_ms,
                            .npipelines = c->npipelines,
                            .text = text };
    struct buf masked = { 0 };

    g.pipelines = arena_array(a, c->npipelines + 1, sizeof *g.pipelines);
    for (size_t i = 0; i < c->npipelines; i++) {
        fill_pipeline(a, &c->pipelines[i], &g.pipelines[i]);
    }
    conf_print_masked(c, text, &masked);
    g.masked = buf_view(&masked);
    const enum weir_status st = generation_write(&g, fd, err);
    buf_free(&masked);
    return st;
}

static enum weir_status
send_descriptor(int socket, int fd, struct weir_err *err)
{
    union { /* aligned as a cmsghdr */
        char           room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr first;
    } control = { .room = { 0 } };
    char          byte = 'g';
    struct iovec  part = { &byte, 1 };
    struct msghdr message = { .msg_iov = &part,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = sizeof control.room };

    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    ssize_t n;
    do {
        n = sendmsg(socket, &message, MSG_NOSIGNAL);
    } while (n == -1 && errno == EINTR);
    return n == 1 ? WEIR_OK
                  : fail_errno(err, WEIR_FATAL,
                               "sending the configuration to the master");
}

static enum weir_status
hand_over(struct arena *a, const struct conf *c, struct weir_str text,
          int socket, struct weir_err *err)
{
    int fd;

    enum weir_status st = make_generation(a, c, text, &fd, err);
    if (st == WEIR_OK) {
        st = send_descriptor(socket, fd, err);
        close(fd);
    }
    return st;
}

/* ---- The whole */

static void
print_result(const struct checker_args *args, const struct conf *c,
             struct weir_str text)
{
    struct buf out = { 0 };

    conf_print_guarantees(c, &out);
    fprintf(stderr, "weir: configuration %s is fine\n", args->path);
    fwrite(out.data ? out.data : "", 1, out.len, stderr);
    out.len = 0;
    if (args->print == 'T') {
        conf_print_masked(c, text, &out);
        fwrite(out.data, 1, out.len, stdout);
        fflush(stdout);
    }
    buf_free(&out);
}

static enum weir_status
check(struct arena *a, const struct checker_args *args,
      struct conf_errors *errors, struct weir_err *err)
{
    const bool      was_root = geteuid() == 0;
    struct weir_str text;
    struct conf    *c;

    enum weir_status st = conf_expand(a, args->path, args->prefix,
                                      args->overrides, errors, &text, err);
    if (st != WEIR_OK) {
        return st;
    }
    if (become(conf_user(a, text), err) != WEIR_OK) {
        refuse(errors, args->path, err);
        return WEIR_FATAL;
    }
    st = conf_check(a, text, errors, &c, err);
    if (st != WEIR_OK) {
        return st;
    }
    st = check_state(c->state, was_root, err);
    if (st == WEIR_OK) {
        st = check_folder("log", c->log, c->state, err);
    }
    if (st == WEIR_OK) {
        st = check_folder("pid", c->pid, c->state, err);
    }
    if (st == WEIR_OK && args->socket != -1) {
        st = hand_over(a, c, text, args->socket, err);
    }
    if (st != WEIR_OK) {
        refuse(errors, args->path, err);
        return st;
    }
    if (args->print) {
        print_result(args, c, text);
    }
    return WEIR_OK;
}

/* We end with _exit(): whoever comes here by exit() is a module. */
static void
ended_by_module(void)
{
    static const char said[] = "weir: a module of the configuration ended the "
                               "test by exit(): that module is broken\n";

    if (write(STDERR_FILENO, said, sizeof said - 1) == -1) {
        _exit(1);
    }
    _exit(1);
}

void
checker_main(const struct checker_args *args)
{
    struct conf_errors errors = { .say = say, .warn = say };
    struct weir_err    err = { "" };
    struct arena       a = { 0 };

    atexit(ended_by_module);
    const enum weir_status st = check(&a, args, &errors, &err);
    if (st != WEIR_OK && args->print) {
        fprintf(stderr, "weir: configuration %s has %u error%s\n", args->path,
                errors.n, errors.n == 1 ? "" : "s");
    }
    arena_free(&a);
    fflush(stdout);
    /* Neither the master's exit handlers nor those of modules are ours. */
    _exit(st == WEIR_OK ? 0 : 1);
}
