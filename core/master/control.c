/* control.c - see control.h. */
#include "config.h"

#include "master/control.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/request.h"
#include "base/str.h"
#include "master/child.h"
#include "master/pause.h"

enum { SILENCE = 5000000, FULL_WAIT = 500000, BACKLOG = 16, ANSWER_MAX = 1400, WORDS = 9, PIECE = 4096 };

/* ---- The socket */

/* A path may be longer than a socket's address: its folder by descriptor. */
static enum weir_status
make_address(const char *path, struct sockaddr_un *out, int *dir,
             struct weir_err *err)
{
    struct arena a = { 0 };

    *out = (struct sockaddr_un){ .sun_family = AF_UNIX };
    *dir = -1;
    if (strlen(path) < sizeof out->sun_path) {
        memcpy(out->sun_path, path, strlen(path) + 1);
        return WEIR_OK;
    }
    char *folder = arena_strdup(&a, path);
    char *name = strrchr(folder, '/');
    *name++ = '\0';
    *dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    const int n = snprintf(out->sun_path, sizeof out->sun_path,
                           "/proc/self/fd/%d/%s", *dir, name);
    enum weir_status st = WEIR_OK;
    if (*dir == -1) {
        st = fail_errno(err, WEIR_FATAL, "open %s", folder);
    } else if (n >= (int)sizeof out->sun_path) {
        st = weir_fail(err, WEIR_FATAL, "%s: the name is too long for a "
                       "socket", name);
    }
    arena_free(&a);
    return st;
}

static bool
somebody_listens(const struct sockaddr_un *address)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                          0);
    if (fd == -1) {
        return true; /* for all we know */
    }
    const bool is_there = connect(fd, (const struct sockaddr *)address,
                                  sizeof *address) == 0 || errno == EAGAIN;
    close(fd);
    return is_there;
}

/* Only a socket that nobody listens to any more is taken away. */
static enum weir_status
make_way(const char *path, const struct sockaddr_un *address,
         struct weir_err *err)
{
    struct stat st;

    if (lstat(path, &st) == -1) {
        return WEIR_OK;
    }
    if (!S_ISSOCK(st.st_mode) || somebody_listens(address)) {
        return weir_fail(err, WEIR_FATAL,
                         "%s is %s: give `control` another path", path,
                         S_ISSOCK(st.st_mode) ? "in use by another server"
                                              : "there, and no socket");
    }
    return unlink(path) == 0 ? WEIR_OK
                             : fail_errno(err, WEIR_FATAL, "unlink %s", path);
}

static enum weir_status
listen_at(struct control *c, const struct sockaddr_un *address,
          struct weir_err *err)
{
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd == -1) {
        return fail_errno(err, WEIR_FATAL, "socket");
    }
    const mode_t before = umask(0177);
    const int    bound =
        bind(c->fd, (const struct sockaddr *)address, sizeof *address);
    const int why = errno;
    umask(before);
    errno = why;
    if (bound == -1 || listen(c->fd, BACKLOG) == -1) {
        return fail_errno(err, WEIR_FATAL, "listen at %s", c->path);
    }
    return WEIR_OK;
}

enum weir_status
control_open(struct server *s, const char *path, struct weir_err *err)
{
    struct control    *c = &s->control;
    struct sockaddr_un address;
    int                dir;

    c->fd = -1;
    for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
        c->clients[i].fd = -1;
    }
    c->path = path ? arena_strdup(&s->start, path)
                   : arena_printf(&s->start, "%s/control", s->state.run);
    enum weir_status st = make_address(c->path, &address, &dir, err);
    if (st == WEIR_OK) {
        st = make_way(c->path, &address, err);
    }
    if (st == WEIR_OK) {
        st = listen_at(c, &address, err);
    }
    if (dir != -1) {
        close(dir);
    }
    return st == WEIR_OK ? st : weir_wrap(err, st, "control socket");
}

static void
leave(struct control_client *c)
{
    close(c->fd);
    buf_free(&c->line);
    *c = (struct control_client){ .fd = -1 };
}

void
control_let_go(const struct server *s)
{
    if (!s->control.path) {
        return;
    }
    if (s->control.fd != -1) {
        close(s->control.fd);
    }
    for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
        if (s->control.clients[i].fd != -1) {
            close(s->control.clients[i].fd);
        }
    }
}

void
control_close(struct server *s)
{
    if (!s->control.path) {
        return;
    }
    control_let_go(s);
    if (s->control.fd != -1) {
        unlink(s->control.path);
    }
    s->control.path = NULL;
}

/* ---- What is asked */

struct asking {
    struct server   *s;
    struct weir_str  words[WORDS];
    size_t           n;
    struct weir_str  line;
    unsigned         uid;
    char             sentence[ANSWER_MAX - 16];
};

static bool say(struct asking *a, bool ok, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static bool
say(struct asking *a, bool ok, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(a->sentence, sizeof a->sentence, fmt, ap);
    va_end(ap);
    return ok;
}

/* The sink that words 3 and 4 name; NULL, with a sentence. */
static struct child *
find_sink(struct asking *a)
{
    const struct weir_str pipeline = a->words[3], sink = a->words[4];

    for (struct child *c = a->s->children; c && a->n > 4; c = c->next) {
        if (c->sink && c->is_wanted && str_is(pipeline, c->pipeline) &&
            str_is(sink, c->sink)) {
            return c;
        }
    }
    say(a, false, "no sink %.64s/%.64s runs here: weirctl status lists them",
        arena_cstr(&a->s->call, pipeline), arena_cstr(&a->s->call, sink));
    return NULL;
}

static bool
do_pause(struct asking *a)
{
    struct weir_err err;
    struct weir_str reason = { 0 };

    struct child *c = find_sink(a);
    if (!c) {
        return false;
    }
    if (c->paused[0]) {
        return say(a, false, "%s/%s is %s", c->pipeline, c->sink, c->paused);
    }
    if (a->n > 5) {
        reason.data = a->words[5].data;
        reason.len = (size_t)(a->line.data + a->line.len - reason.data);
    }
    if (reason.len > PAUSE_REASON_MAX) {
        return say(a, false, "a reason has at most %d bytes",
                   PAUSE_REASON_MAX);
    }
    if (pause_sink(a->s, c, a->uid, reason, &err) != WEIR_OK) {
        return say(a, false, "%s; nothing was changed", err.text);
    }
    return say(a, true, "%s/%s drains and is held; meanwhile the relay keeps "
               "what it needs, within relay { size }", c->pipeline, c->sink);
}

static bool
do_resume(struct asking *a)
{
    struct weir_err err;

    struct child *c = find_sink(a);
    if (!c) {
        return false;
    }
    if (!c->paused[0]) {
        return say(a, false, "%s/%s is not paused", c->pipeline, c->sink);
    }
    if (pause_resume(a->s, c, &err) != WEIR_OK) {
        return say(a, false, "%s; nothing was changed", err.text);
    }
    return say(a, true, "%s/%s goes on", c->pipeline, c->sink);
}

/* Handed on; the worker that starts next does it. */
static bool
pass_on(struct asking *a, const struct request *request)
{
    struct server  *s = a->s;
    struct weir_err err;

    struct child *c = find_sink(a);
    if (!c) {
        return false;
    }
    const char *path = request_path(&s->call, s->state.dir, c->pipeline,
                                    c->sink);
    if (request_write(path, request, &err) != WEIR_OK) {
        return say(a, false, "%s", err.text);
    }
    log_info("%s: uid %u asks for %.*s", c->what, a->uid,
             STR_ARG(a->words[2]));
    if (c->state == CHILD_RUNNING) {
        child_end(c, SIGQUIT, s->generation.drain_ms);
    } else if (c->state == CHILD_DUE || c->state == CHILD_RESTING) {
        child_renew(c);
    }
    return say(a, true, "%s", c->paused[0]
                   ? "it is done when the sink is resumed"
                   : "the sink drains and begins there");
}

static bool
do_at(struct asking *a, enum request_verb verb)
{
    struct request r = { .verb = verb };

    if (a->n != 7 || !str_u64(a->words[5], &r.offset) ||
        !str_u64(a->words[6], &r.id)) {
        return say(a, false, "%.*s needs PIPELINE SINK NUMBER ID",
                   STR_ARG(a->words[2]));
    }
    return pass_on(a, &r);
}

static bool
do_rewind(struct asking *a)
{
    return do_at(a, REQUEST_REWIND);
}

static bool
do_park_resume(struct asking *a)
{
    return do_at(a, REQUEST_PARK_RESUME);
}

static bool
do_park_discard(struct asking *a)
{
    return do_at(a, REQUEST_PARK_DISCARD);
}

static bool
do_dead_replay(struct asking *a)
{
    return do_at(a, REQUEST_DEAD_REPLAY);
}

static bool
do_dead_discard(struct asking *a)
{
    return do_at(a, REQUEST_DEAD_DISCARD);
}

static bool
do_adopt(struct asking *a)
{
    struct request r = { .verb = REQUEST_ADOPT };

    if (a->n != 6 || !str_u64(a->words[5], &r.id)) {
        return say(a, false, "a takeover needs PIPELINE SINK ID");
    }
    return pass_on(a, &r);
}

/* A sink that stopped, or rests, tries again. */
static bool
do_begin(struct asking *a)
{
    struct child *c = find_sink(a);

    if (!c) {
        return false;
    }
    const bool stopped =
        c->state == CHILD_RUNNING &&
        atomic_load(&c->page->state) == PAGE_STOPPED;
    if (stopped) {
        child_end(c, SIGQUIT, a->s->generation.drain_ms);
    } else if (c->state == CHILD_DUE || c->state == CHILD_RESTING) {
        child_renew(c);
    } else {
        return say(a, false, "%s/%s has not stopped", c->pipeline, c->sink);
    }
    return say(a, true, "%s/%s begins again", c->pipeline, c->sink);
}

static struct child *
find_source(struct asking *a)
{
    struct child *c = a->s->children;

    while (c && (c->sink || !c->is_wanted ||
                 !str_is(a->words[3], c->pipeline))) {
        c = c->next;
    }
    if (!c) {
        say(a, false, "no pipeline %.64s runs here: weirctl status lists them",
            arena_cstr(&a->s->call, a->words[3]));
    }
    return c;
}

/* Of a source; it is done when its worker begins. */
static bool
do_define(struct asking *a)
{
    struct request  r = { .verb = REQUEST_DEFINE };
    struct server  *s = a->s;
    struct weir_err err;

    if (a->n != 9 || !str_u64(a->words[4], &r.offset) ||
        !str_u64(a->words[5], &r.id)) {
        return say(a, false, "a definition needs PIPELINE VERSION ID DATABASE "
                   "TABLE STATEMENT");
    }
    struct child *c = find_source(a);
    if (!c) {
        return false;
    }
    r.text.data = a->words[6].data;
    r.text.len = (size_t)(a->words[8].data + a->words[8].len - r.text.data);
    const char *path =
        request_path(&s->call, s->state.dir, c->pipeline, NULL);
    if (request_write(path, &r, &err) != WEIR_OK) {
        return say(a, false, "%s", err.text);
    }
    log_info("%s: uid %u gives a table's definition", c->what, a->uid);
    if (c->state == CHILD_RUNNING) {
        child_end(c, SIGQUIT, s->generation.drain_ms);
    } else if (c->state == CHILD_DUE || c->state == CHILD_RESTING) {
        child_renew(c);
    }
    return say(a, true, "the source drains and begins with it");
}

static bool
do_version(struct asking *a)
{
    return say(a, true, "weir " PACKAGE_VERSION ", master %d, %s",
               (int)getpid(), a->s->options->path);
}

static const struct { const char *verb; bool (*act)(struct asking *a); }
requests[] = {
    { "version", do_version }, { "pause", do_pause }, { "resume", do_resume },
    { "rewind", do_rewind },   { "adopt", do_adopt },
    { "park-resume", do_park_resume }, { "park-discard", do_park_discard },
    { "dead-replay", do_dead_replay }, { "dead-discard", do_dead_discard },
    { "begin", do_begin }, { "define", do_define },
};

static void
split(struct asking *a)
{
    const char *p = a->line.data, *end = p + a->line.len;

    while (p < end && a->n < WORDS) {
        const char *space = memchr(p, ' ', (size_t)(end - p));
        const char *stop = space ? space : end;
        a->words[a->n++] = (struct weir_str){ p, (size_t)(stop - p) };
        p = stop + 1;
    }
}

static bool
understand(struct asking *a)
{
    for (size_t i = 0; i < a->line.len; i++) {
        if ((unsigned char)a->line.data[i] < ' ' || a->line.data[i] == 127) {
            return say(a, false, "byte %zu of the line is a control "
                       "character", i + 1);
        }
    }
    split(a);
    if (a->n < 3 || !str_is(a->words[0], "weir")) {
        return say(a, false, "that is no request: weir 1 VERB ...");
    }
    if (!str_is(a->words[1], "1")) {
        return say(a, false, "this weir speaks version 1 of the protocol: use "
                   "the weirctl that came with it");
    }
    if (a->s->is_ending) {
        return say(a, false, "the server is ending");
    }
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        if (str_is(a->words[2], requests[i].verb)) {
            return requests[i].act(a);
        }
    }
    return say(a, false, "this weir knows no such request");
}

/* ---- Clients */

/* Never waits: a fresh socket has room for one line, and who has let it fill
 * up goes without. */
static void
answer(struct control_client *c, bool ok, const char *sentence)
{
    char line[ANSWER_MAX];

    const int n = snprintf(line, sizeof line, "%s %s\n", ok ? "ok" : "refused",
                           sentence);
    const ssize_t sent = send(c->fd, line, (size_t)n,
                              MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)sent;
    leave(c);
}

static void
take_client(struct server *s, struct control_client *slot, int fd,
            int64_t now)
{
    struct ucred peer;
    socklen_t    len = sizeof peer;

    *slot = (struct control_client){ .fd = fd, .until = now + SILENCE };
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == -1) {
        leave(slot);
        return;
    }
    slot->uid = peer.uid;
    if (peer.uid != 0 && peer.uid != geteuid()) {
        log_warn("control socket: uid %u is neither root nor who runs weir: "
                 "refused", (unsigned)peer.uid);
        answer(slot, false, "only root and the user that weir runs as may "
                            "steer it");
    }
    (void)s;
}

static struct control_client *
free_client(struct control *c)
{
    for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
        if (c->clients[i].fd == -1) {
            return &c->clients[i];
        }
    }
    return NULL;
}

static void
accept_clients(struct server *s, int64_t now)
{
    struct control_client *slot;

    while (now >= s->control.full_until &&
           (slot = free_client(&s->control)) != NULL) {
        const int fd = accept4(s->control.fd, NULL, NULL,
                               SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd == -1 && errno != EAGAIN && errno != EINTR &&
            errno != ECONNABORTED) {
            /* Who asks stays in the queue, and poll() would not wait. */
            log_warn("control socket: accept: %s: %s", strerror(errno),
                     err_remedy(errno));
            s->control.full_until = now + FULL_WAIT;
        }
        if (fd == -1) {
            return;
        }
        take_client(s, slot, fd, now);
    }
}

static void
serve(struct server *s, struct control_client *c, int64_t now)
{
    const ssize_t n = recv(c->fd, buf_need(&c->line, PIECE), PIECE,
                           MSG_DONTWAIT);
    if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
        if (now >= c->until) {
            answer(c, false, "no whole line came in time");
        }
        return;
    }
    if (n <= 0) {
        leave(c);
        return;
    }
    const char *end = memchr(c->line.data + c->line.len, '\n', (size_t)n);
    c->line.len += (size_t)n;
    if (!end) {
        if (c->line.len >= CONTROL_LINE_MAX) {
            answer(c, false, "the line is too long");
        }
        return;
    }
    struct asking a = { .s = s, .uid = c->uid,
                        .line = { c->line.data,
                                  (size_t)(end - c->line.data) } };
    const bool ok = understand(&a);
    answer(c, ok, a.sentence);
    arena_reset(&s->call);
}

void
control_poll(const struct server *s, struct pollfd *out)
{
    const struct control *c = &s->control;
    bool                  room = false;

    for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
        out[i] = (struct pollfd){ c->clients[i].fd, POLLIN, 0 };
        room = room || c->clients[i].fd == -1;
    }
    room = room && clock_steady() >= c->full_until;
    out[CONTROL_CLIENTS] = (struct pollfd){ room ? c->fd : -1, POLLIN, 0 };
}

int64_t
control_serve(struct server *s, int64_t now)
{
    accept_clients(s, now);
    int64_t next = now < s->control.full_until ? s->control.full_until
                                               : INT64_MAX;
    for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
        struct control_client *c = &s->control.clients[i];
        if (c->fd != -1) {
            serve(s, c, now);
        }
        if (c->fd != -1 && c->until < next) {
            next = c->until;
        }
    }
    return next;
}
