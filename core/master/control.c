/* control.c - see control.h. */
#include "config.h"

#include "master/control.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"

enum { SILENCE = 5000000, FULL_WAIT = 500000, BACKLOG = 16, PIECE = 4096 };

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

/* ---- Clients */

/* Never waits: a fresh socket has room for one line, and who has let it fill
 * up goes without. */
static void
answer(struct control_client *c, bool ok, const char *sentence)
{
    char line[CONTROL_SENTENCE_MAX + 16];

    const int n = snprintf(line, sizeof line, "%s %s\n", ok ? "ok" : "refused",
                           sentence);
    const ssize_t sent = send(c->fd, line, (size_t)n,
                              MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)sent;
    leave(c);
}

static void
take_client(struct control_client *slot, int fd, int64_t now)
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
        take_client(slot, fd, now);
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
    char       sentence[CONTROL_SENTENCE_MAX];
    const bool ok = control_request(
        s, c->uid, (struct weir_str){ c->line.data,
                                      (size_t)(end - c->line.data) },
        sentence);
    answer(c, ok, sentence);
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
