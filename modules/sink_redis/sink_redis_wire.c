/* sink_redis_wire.c - socket, buffers and replies; see sink_redis_wire.h. */
#include "sink_redis_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

enum {
    KEPT = 4 << 20,         /* of a buffer, between batches */
    MAX_NODES = 32 << 20,   /* elements of one reply */
    MAX_UNREAD = 256 << 20, /* bytes of replies that are not whole */
};

/* ---- Replies: hiredis calls back for each element, in order */

static struct reply_node *
new_node(const redisReadTask *task, enum reply_kind kind, int64_t n)
{
    struct reply *r = task->privdata;

    if (!task->parent) {
        r->nnodes = r->len = 0;
    }
    if (r->nnodes == r->nodes_room) {
        const size_t       room = r->nodes_room ? r->nodes_room * 2 : 64;
        struct reply_node *more =
            room > MAX_NODES ? NULL : realloc(r->nodes, room * sizeof *more);
        if (!more) {
            return NULL;
        }
        r->nodes = more;
        r->nodes_room = room;
    }
    struct reply_node *node = &r->nodes[r->nnodes++];
    *node = (struct reply_node){ .kind = kind, .n = n };
    return node;
}

static void *
on_string(const redisReadTask *task, char *text, size_t len)
{
    struct reply *r = task->privdata;

    if (task->type == REDIS_REPLY_STATUS) {
        return new_node(task, REPLY_STATUS, 0);
    }
    struct reply_node *node = new_node(
        task, task->type == REDIS_REPLY_ERROR ? REPLY_ERROR : REPLY_STRING, 0);
    if (!node) {
        return NULL;
    }
    if (r->room - r->len < len) {
        char *more = realloc(r->text, (r->len + len) * 2);
        if (!more) {
            return NULL;
        }
        r->text = more;
        r->room = (r->len + len) * 2;
    }
    if (len) {
        memcpy(r->text + r->len, text, len);
    }
    node->at = r->len;
    node->len = len;
    r->len += len;
    return node;
}

#if HIREDIS_MAJOR >= 1
typedef size_t nelements;
#else
typedef int nelements;
#endif

static void *
on_array(const redisReadTask *task, nelements n)
{
    return new_node(task, REPLY_ARRAY, (int64_t)n);
}

static void *
on_integer(const redisReadTask *task, long long n)
{
    return new_node(task, REPLY_INTEGER, n);
}

static void *
on_nil(const redisReadTask *task)
{
    return new_node(task, REPLY_NIL, 0);
}

#if HIREDIS_MAJOR >= 1
/* RESP3 only, which is never asked for. */
static void *
on_double(const redisReadTask *task, double value, char *text, size_t len)
{
    (void)value;
    return on_string(task, text, len);
}

static void *
on_bool(const redisReadTask *task, int value)
{
    return new_node(task, REPLY_INTEGER, value);
}
#endif

static void
on_free(void *node)
{
    (void)node; /* all nodes live in the reply */
}

static redisReplyObjectFunctions functions = {
    .createString = on_string,
    .createArray = on_array,
    .createInteger = on_integer,
    .createNil = on_nil,
#if HIREDIS_MAJOR >= 1
    .createDouble = on_double,
    .createBool = on_bool,
#endif
    .freeObject = on_free,
};

/* ---- Connecting */

static enum weir_status
fail_wire(struct weir_err *err, const struct wire *w, const char *call)
{
    return weir_fail(err, WEIR_RETRY, "%s %s: %s", call, w->where,
                     w->tls && errno == EPROTO ? tls_why(w->tls)
                                               : strerror(errno));
}

/* Waits until the socket is ready, or for an error, which shows later. */
static enum weir_status
wait_for(const struct wire *w, short events, const char *call,
         struct weir_err *err)
{
    struct pollfd p = { .fd = w->fd, .events = events };
    int           n;

    while ((n = poll(&p, 1, w->timeout_ms)) == -1 && errno == EINTR) {
    }
    if (n == -1) {
        return fail_wire(err, w, call);
    }
    if (n == 0) {
        return weir_fail(err, WEIR_RETRY, "%s %s: no answer in %d ms", call,
                         w->where, w->timeout_ms);
    }
    return WEIR_OK;
}

static enum weir_status
connect_to(struct wire *w, const struct sockaddr *address, socklen_t len,
           struct weir_err *err)
{
    int       error = 0;
    socklen_t size = sizeof error;

    w->fd = socket(address->sa_family,
                   SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (w->fd == -1) {
        return fail_wire(err, w, "socket for");
    }
    if (address->sa_family != AF_UNIX) {
        setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
        setsockopt(w->fd, SOL_SOCKET, SO_KEEPALIVE, &(int){ 1 }, sizeof(int));
    }
    if (connect(w->fd, address, len) == 0) {
        return WEIR_OK;
    }
    if (errno != EINPROGRESS) {
        return fail_wire(err, w, "connect to");
    }
    const enum weir_status st = wait_for(w, POLLOUT, "connect to", err);
    if (st != WEIR_OK) {
        return st;
    }
    if (getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &error, &size) == -1 || error) {
        errno = error ? error : errno;
        return fail_wire(err, w, "connect to");
    }
    return WEIR_OK;
}

static enum weir_status
connect_unix(struct wire *w, const char *path, struct weir_err *err)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    snprintf(w->where, sizeof w->where, "redis at %.250s", path);
    if (strlen(path) >= sizeof address.sun_path) {
        return weir_fail(err, WEIR_FATAL,
                         "socket: %s is longer than the %zu bytes that a unix "
                         "socket's path may have",
                         path, sizeof address.sun_path - 1);
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    return connect_to(w, (struct sockaddr *)&address, sizeof address, err);
}

/* Each address of the host in turn. */
static enum weir_status
connect_tcp(struct wire *w, const char *host, int64_t port,
            struct weir_err *err)
{
    struct addrinfo  hints = { .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    char             text[24];

    snprintf(w->where, sizeof w->where, "redis at %.250s:%lld", host,
             (long long)port);
    snprintf(text, sizeof text, "%lld", (long long)port);
    const int error = getaddrinfo(host, text, &hints, &found);
    if (error) {
        return weir_fail(err, WEIR_RETRY, "look up %s: %s", w->where,
                         error == EAI_SYSTEM ? strerror(errno)
                                             : gai_strerror(error));
    }
    enum weir_status st = WEIR_RETRY;
    for (const struct addrinfo *a = found; a && st != WEIR_OK; a = a->ai_next) {
        wire_close(w);
        st = connect_to(w, a->ai_addr, a->ai_addrlen, err);
    }
    freeaddrinfo(found);
    return st;
}

static enum weir_status
begin_tls(struct wire *w, struct weir_err *err)
{
    enum weir_status st = tls_new(&w->tls_conf, w->fd, &w->tls, err);
    short            events = 0;

    while (st == WEIR_OK) {
        st = tls_handshake(w->tls, w->where, &events, err);
        if (st != WEIR_PENDING) {
            break;
        }
        st = wait_for(w, events, "connect to", err);
        if (st != WEIR_OK) { /* Redis waits for the end of a line */
            const struct weir_err why = *err;
            weir_fail(err, st, "%.400s; does that port speak TLS?", why.text);
        }
    }
    return st;
}

enum weir_status
wire_open(struct wire *w, const char *socket, const char *host, int64_t port,
          struct weir_err *err)
{
    wire_close(w);
    enum weir_status st =
        socket ? connect_unix(w, socket, err) : connect_tcp(w, host, port, err);
    if (st == WEIR_OK && w->wants_tls && !socket) {
        st = begin_tls(w, err);
    }
    if (st == WEIR_OK) {
        w->reader = redisReaderCreateWithFunctions(&functions);
        if (w->reader) {
            w->reader->privdata = &w->reply;
        } else {
            st = weir_fail(err, WEIR_RETRY, "connect to %s: no memory",
                           w->where);
        }
    }
    if (st != WEIR_OK) {
        wire_close(w);
    }
    return st;
}

void
wire_close(struct wire *w)
{
    tls_free(&w->tls);
    if (w->fd != -1) {
        close(w->fd);
    }
    if (w->reader) {
        redisReaderFree(w->reader);
    }
    w->fd = -1;
    w->reader = NULL;
    w->len = w->sent = 0;
    w->failed = false;
}

void
wire_fini(struct wire *w)
{
    wire_close(w);
    free(w->out);
    free(w->reply.nodes);
    free(w->reply.text);
}

/* ---- Out */

bool
wire_grow(struct wire *w, size_t n)
{
    if (w->sent > w->len / 2) {
        memmove(w->out, w->out + w->sent, w->len - w->sent);
        w->len -= w->sent;
        w->sent = 0;
    }
    if (w->room - w->len >= n) {
        return true;
    }
    const size_t room = (w->len + n) * 2;
    char        *more = realloc(w->out, room);
    if (!more) {
        w->failed = true;
        return false;
    }
    w->out = more;
    w->room = room;
    return true;
}

void
wire_head(struct wire *w, char kind, size_t n)
{
    char   text[24];
    size_t at = sizeof text;

    text[--at] = '\n';
    text[--at] = '\r';
    do {
        text[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    text[--at] = kind;
    wire_add(w, text + at, sizeof text - at);
}

void
wire_word(struct wire *w, struct weir_str word)
{
    wire_head(w, '$', word.len);
    wire_add(w, word.data, word.len);
    wire_literal(w, "\r\n");
}

void
wire_command(struct wire *w, const char *const *words)
{
    size_t n = 0;

    while (words[n]) {
        n++;
    }
    wire_head(w, '*', n);
    for (size_t i = 0; i < n; i++) {
        wire_word(w, (struct weir_str){ words[i], strlen(words[i]) });
    }
}

/* Whatever is there to read, into the reader; *any: something was.  The chunk
 * is larger than a record of TLS, so that none of one is left behind, where
 * poll() doesn't see it. */
static enum weir_status
fill(struct wire *w, bool *any, struct weir_err *err)
{
    char          chunk[65536];
    const ssize_t n = w->tls ? tls_recv(w->tls, chunk, sizeof chunk)
                             : recv(w->fd, chunk, sizeof chunk, MSG_DONTWAIT);

    *any = n > 0;
    if (n > 0) {
        if (w->reader->len - w->reader->pos > MAX_UNREAD) {
            return weir_fail(err, WEIR_FATAL,
                             "read from %s: a reply of more than %d MiB; this "
                             "is not what was asked for",
                             w->where, MAX_UNREAD >> 20);
        }
        return redisReaderFeed(w->reader, chunk, (size_t)n) == REDIS_OK
                   ? WEIR_OK
                   : weir_fail(err, WEIR_RETRY, "read from %s: %s", w->where,
                               w->reader->errstr);
    }
    if (n == 0) {
        return weir_fail(err, WEIR_RETRY,
                         "read from %s: it closed the connection", w->where);
    }
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR
               ? WEIR_OK
               : fail_wire(err, w, "read from");
}

/* *taken of these bytes were sent.  With `all` it waits until it may write,
 * and reads meanwhile: Redis stops to read from who doesn't. */
static enum weir_status
send_bytes(struct wire *w, const char *data, size_t len, bool all,
           size_t *taken, struct weir_err *err)
{
    enum weir_status st = WEIR_OK;
    bool             any;

    *taken = 0;
    while (st == WEIR_OK && *taken < len) {
        const ssize_t n = w->tls ? tls_send(w->tls, data + *taken, len - *taken)
                                 : send(w->fd, data + *taken, len - *taken,
                                        MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0) {
            *taken += (size_t)n;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            if (!all) {
                return fill(w, &any, err);
            }
            st = wait_for(w, POLLIN | POLLOUT, "write to", err);
            if (st == WEIR_OK) {
                st = fill(w, &any, err);
            }
        } else if (errno != EINTR) {
            return fail_wire(err, w, "write to");
        }
    }
    return st;
}

enum weir_status
wire_push(struct wire *w, bool all, struct weir_err *err)
{
    size_t taken;

    if (w->failed) {
        return weir_fail(err, WEIR_RETRY, "write to %s: no memory", w->where);
    }
    if (w->sent == w->len) {
        return WEIR_OK;
    }
    const enum weir_status st =
        send_bytes(w, w->out + w->sent, w->len - w->sent, all, &taken, err);
    w->sent += taken;
    if (w->sent == w->len) {
        w->sent = w->len = 0;
        if (w->room > KEPT) {
            free(w->out);
            w->out = NULL;
            w->room = 0;
        }
    }
    return st;
}

enum weir_status
wire_send(struct wire *w, struct weir_str data, struct weir_err *err)
{
    size_t                 taken;
    const enum weir_status st = wire_push(w, true, err);

    return st == WEIR_OK ? send_bytes(w, data.data, data.len, true, &taken, err)
                         : st;
}

/* ---- In */

enum weir_status
wire_next(struct wire *w, struct weir_err *err)
{
    enum weir_status st = wire_push(w, true, err);

    while (st == WEIR_OK) {
        void *reply = NULL;
        bool  any;
        if (redisReaderGetReply(w->reader, &reply) != REDIS_OK) {
            return weir_fail(err, WEIR_FATAL,
                             "read from %s: %s; is this a Redis?", w->where,
                             w->reader->errstr);
        }
        if (reply) {
            return WEIR_OK;
        }
        st = wait_for(w, POLLIN, "read from", err);
        if (st == WEIR_OK) {
            st = fill(w, &any, err);
        }
    }
    return st;
}

/* What Redis refuses, by the beginning of its error: what may pass by itself,
 * and what a person has to do. */
static const struct {
    const char      *prefix;
    enum weir_status status;
    const char      *advice;
} refusals[] = {
    { "LOADING", WEIR_RETRY, "" },
    { "BUSY", WEIR_RETRY, "; a script keeps it busy" },
    { "MASTERDOWN", WEIR_RETRY, "" },
    { "TRYAGAIN", WEIR_RETRY, "" },
    { "CLUSTERDOWN", WEIR_RETRY, "" },
    { "NOREPLICAS", WEIR_RETRY, "; see its min-replicas-to-write" },
    { "OOM", WEIR_RETRY, "; raise its maxmemory, or remove keys" },
    { "MISCONF", WEIR_RETRY, "; its own log says why it can't save" },
    { "READONLY", WEIR_RETRY, "; it is a replica: give the primary's address" },
    { "ERR max number of clients", WEIR_RETRY, "; raise its maxclients" },
    { "MOVED", WEIR_FATAL, "; Redis Cluster is not supported" },
    { "ASK", WEIR_FATAL, "; Redis Cluster is not supported" },
    { "CROSSSLOT", WEIR_FATAL, "; Redis Cluster is not supported" },
    { "NOAUTH", WEIR_FATAL, "; give user and password, or password_file" },
    { "WRONGPASS", WEIR_FATAL, "; see user, password and password_file" },
    { "ERR invalid password", WEIR_FATAL, "; see password and password_file" },
    { "NOPERM", WEIR_FATAL, "; see the README for the ACL that Weir needs" },
    { "ERR The user executing the script", WEIR_FATAL,
      "; see the README for the ACL that Weir needs" },
};

enum weir_status
wire_refused(const struct wire *w, const char *command, struct weir_str error,
             struct weir_err *err)
{
    enum weir_status  status = WEIR_FATAL;
    const char       *advice = "";
    static const char aborted[] =
        "EXECABORT Transaction discarded because of: ";

    if (error.len > sizeof aborted - 1 &&
        memcmp(error.data, aborted, sizeof aborted - 1) == 0) {
        error.data += sizeof aborted - 1;
        error.len -= sizeof aborted - 1;
    }
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        const size_t n = strlen(refusals[i].prefix);
        if (error.len >= n && memcmp(error.data, refusals[i].prefix, n) == 0) {
            status = refusals[i].status;
            advice = refusals[i].advice;
            break;
        }
    }
    return weir_fail(err, status, "%s refuses %s: %.*s%s", w->where, command,
                     (int)(error.len < 200 ? error.len : 200), error.data,
                     advice);
}

enum weir_status
wire_expect(struct wire *w, const char *command, struct weir_err *err)
{
    const enum weir_status st = wire_next(w, err);

    return st == WEIR_OK && w->reply.nodes[0].kind == REPLY_ERROR
               ? wire_refused(w, command, reply_text(&w->reply, 0), err)
               : st;
}
