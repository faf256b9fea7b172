/* ctl_steer.c - what weirctl asks of the master, and how it waits until that is
 * done. */
#include "config.h"

#include "tools/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/page.h"
#include "base/request.h"
#include "base/str.h"
#include "master/master.h"

enum { ANSWER_MS = 10000, LOOK = 20000, PATIENCE = 90 * 1000000,
       START_PATIENCE = 10 * 1000000 };

/* ---- The socket */

static int
connect_to(struct ctl *c, struct weir_err *err)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const char        *path = c->holder.control;

    const char *slash = strrchr(path, '/');
    const char *folder = arena_printf(&c->arena, "%.*s",
                                      slash ? (int)(slash - path) : 0, path);
    const int dir = open(folder[0] ? folder : "/",
                         O_PATH | O_DIRECTORY | O_CLOEXEC);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int       n = -1;
    if (dir != -1 && slash) { /* a path may be longer than an address */
        n = snprintf(address.sun_path, sizeof address.sun_path,
                     "/proc/self/fd/%d/%s", dir, slash + 1);
    }
    int done = -1;
    if (fd != -1 && n > 0 && n < (int)sizeof address.sun_path) {
        done = connect(fd, (struct sockaddr *)&address, sizeof address);
    }
    if (done == -1) {
        fail_errno(err, WEIR_FATAL, "connect to %s", path);
    }
    if (dir != -1) {
        close(dir);
    }
    if (done == -1 && fd != -1) {
        close(fd);
    }
    return done == -1 ? -1 : fd;
}

static enum weir_status
read_answer(int fd, char *out, size_t room, struct weir_err *err)
{
    const int64_t until = clock_steady() + ANSWER_MS * 1000;
    size_t        len = 0;

    while (len + 1 < room && !memchr(out, '\n', len)) {
        struct pollfd p = { fd, POLLIN, 0 };
        const int64_t left = (until - clock_steady()) / 1000;
        if (left <= 0 || poll(&p, 1, (int)left) == 0) {
            return weir_fail(err, WEIR_FATAL, "the master does not answer: is "
                             "it stopped?");
        }
        const ssize_t n = recv(fd, out + len, room - 1 - len, 0);
        if (n <= 0) {
            break;
        }
        len += (size_t)n;
    }
    out[len] = '\0';
    out[strcspn(out, "\n")] = '\0';
    return WEIR_OK;
}

enum weir_status
ctl_ask(struct ctl *c, const char *request, char *answer, size_t room,
        struct weir_err *err)
{
    char text[1500];

    const int fd = connect_to(c, err);
    if (fd == -1) {
        return WEIR_FATAL;
    }
    const char   *line = arena_printf(&c->arena, "weir 1 %s\n", request);
    const ssize_t sent = send(fd, line, strlen(line), MSG_NOSIGNAL);
    (void)sent; /* a refusal may come first; it says more than EPIPE */
    enum weir_status st = read_answer(fd, text, sizeof text, err);
    close(fd);
    if (st != WEIR_OK) {
        return st;
    }
    if (strncmp(text, "ok ", 3) == 0) {
        snprintf(answer, room, "%s", text + 3);
        str_tame(answer, strlen(answer));
        return WEIR_OK;
    }
    return weir_fail(err, WEIR_REJECT, "%s",
                     strncmp(text, "refused ", 8) == 0
                         ? text + 8
                         : "the master closed the connection");
}

static int
not_running(const struct ctl *c)
{
    return ctl_say(CTL_NOT_RUNNING, "no weir runs in %s: start it first",
                   c->state);
}

/* ---- Pause and resume */

static enum page_state
state_of(struct ctl *c, const char *pipeline, const char *sink)
{
    struct worker_page *page;
    struct weir_err     err;

    const char *path = arena_printf(&c->arena, "%s/run/%s.%s.sink", c->state,
                                    pipeline, sink);
    if (page_open(path, false, &page, &err) != WEIR_OK) {
        return PAGE_ENDED;
    }
    const enum page_state state = (enum page_state)atomic_load(&page->state);
    page_close(page);
    return state;
}

static int
steer(struct ctl *c, const char *verb, const char **pipeline,
      const char **sink)
{
    struct weir_err err;
    char            answer[1500];

    if (!c->is_running) {
        return not_running(c);
    }
    if (!ctl_sink(c, pipeline, sink)) {
        return CTL_USAGE;
    }
    const char *request =
        arena_printf(&c->arena, "%s %s %s%s%s", verb, *pipeline, *sink,
                     c->reason ? " " : "", c->reason ? c->reason : "");
    if (ctl_ask(c, request, answer, sizeof answer, &err) != WEIR_OK) {
        return ctl_say(CTL_FAILED, "%s", err.text);
    }
    printf("%s\n", answer);
    fflush(stdout);
    return CTL_OK;
}

int
ctl_pause(struct ctl *c)
{
    const char *pipeline, *sink;
    const int   result = steer(c, "pause", &pipeline, &sink);

    const int64_t until = clock_steady() + PATIENCE;
    while (result == CTL_OK && state_of(c, pipeline, sink) != PAGE_PAUSED) {
        if (clock_steady() > until) {
            return ctl_say(CTL_FAILED, "%s/%s still drains: weirctl status "
                           "shows it", pipeline, sink);
        }
        clock_sleep(LOOK);
    }
    return result;
}

int
ctl_resume(struct ctl *c)
{
    const char *pipeline, *sink;

    c->reason = NULL;
    return steer(c, "resume", &pipeline, &sink);
}

/* ---- What the sink's worker does itself */

bool
ctl_is_starting(struct ctl *c, const char *pipeline, const char *sink)
{
    if (state_of(c, pipeline, sink) != PAGE_STARTING) {
        return false;
    }
    if (c->starting_until == 0) {
        c->starting_until = clock_steady() + START_PATIENCE;
    }
    clock_sleep(LOOK);
    return clock_steady() < c->starting_until;
}

int
ctl_hand_on(struct ctl *c, const char *pipeline, const char *sink,
            const char *verb, const char *argument)
{
    struct weir_err err;
    char            answer[1500];
    bool            ok;

    const uint64_t id = (uint64_t)clock_nsec();
    const char    *request =
        arena_printf(&c->arena, "%s %s %s %s%s%" PRIu64, verb, pipeline, sink,
                     argument, argument[0] ? " " : "", id);
    if (ctl_ask(c, request, answer, sizeof answer, &err) != WEIR_OK) {
        return ctl_say(CTL_FAILED, "%s", err.text);
    }
    if (state_of(c, pipeline, sink) == PAGE_PAUSED) {
        printf("%s\n", answer);
        return CTL_OK;
    }
    const char   *path = answer_path(&c->arena, c->state, pipeline, sink);
    const int64_t until = clock_steady() + PATIENCE;
    while (!answer_read(path, id, &ok, answer, sizeof answer)) {
        if (clock_steady() > until) {
            return ctl_say(CTL_FAILED, "%s/%s has not done it yet: it will "
                           "when it can; weirctl status says what keeps it",
                           pipeline, sink);
        }
        clock_sleep(LOOK);
    }
    if (!ok) {
        return ctl_say(CTL_FAILED, "%s/%s refused: %s", pipeline, sink,
                       answer);
    }
    printf("%s/%s is %s\n", pipeline, sink, answer);
    return CTL_OK;
}

int
ctl_adopt(struct ctl *c)
{
    const char *pipeline, *sink;

    if (!c->is_running) {
        return not_running(c);
    }
    if (!ctl_sink(c, &pipeline, &sink)) {
        return CTL_USAGE;
    }
    return ctl_hand_on(c, pipeline, sink, "adopt", "");
}

/* ---- The rest */

int
ctl_reload(struct ctl *c)
{
    return c->is_running ? master_reload(c->state) : not_running(c);
}

int
ctl_version(struct ctl *c)
{
    struct weir_err err;
    char            answer[1500];

    puts("weirctl " PACKAGE_VERSION);
    if (!c->is_running) {
        printf("no weir runs in %s\n", c->state);
        return CTL_OK;
    }
    if (ctl_ask(c, "version", answer, sizeof answer, &err) != WEIR_OK) {
        return ctl_say(CTL_FAILED, "%s", err.text);
    }
    printf("%s\n", answer);
    return CTL_OK;
}
