/*
 * sink_redis_wire.h - a connection to Redis: commands out, replies in, both at
 * once, so that neither side can wait for the other for ever.  The socket is
 * ours; hiredis parses what comes back.  Knows no rows and no checkpoints.
 *
 * Any status but OK leaves the connection as it is, in an unknown state: the
 * caller closes it, unless it knows better.
 */
#ifndef SINK_REDIS_WIRE_H
#define SINK_REDIS_WIRE_H

#include <string.h>

#include <weir/module.h>

#include "sink_redis_tls.h"

enum reply_kind {
    REPLY_STATUS,
    REPLY_ERROR,
    REPLY_INTEGER,
    REPLY_STRING,
    REPLY_NIL,
    REPLY_ARRAY,
};

struct reply_node {
    enum reply_kind kind;
    int64_t         n;       /* the integer; of an array, how many behind it */
    size_t          at, len; /* of an error or string, in the reply's text */
};

/* A reply flattened: an array stands before its elements. */
struct reply {
    size_t             nnodes, nodes_room;
    struct reply_node *nodes;
    size_t             len, room;
    char              *text;
};

static inline struct weir_str
reply_text(const struct reply *r, size_t node)
{
    return (struct weir_str){ r->text + r->nodes[node].at, r->nodes[node].len };
}

struct redisReader;

struct wire {
    int                 fd; /* -1: not connected */
    int                 timeout_ms;
    struct tls         *tls;      /* NULL: none */
    struct tls_conf     tls_conf; /* for the next connection by TCP */
    bool                wants_tls;
    char                where[300]; /* "redis at 127.0.0.1:6379" */
    struct redisReader *reader;
    struct reply        reply; /* the last one */
    char               *out;
    size_t              len, sent, room;
    bool                failed; /* no memory for what was to be sent */
};

/* Connects to a unix socket if `socket` is given, else to host and port, by TLS
 * if it wants that. */
enum weir_status wire_open(struct wire *w, const char *socket, const char *host,
                           int64_t port, struct weir_err *err);
void             wire_close(struct wire *w);
void             wire_fini(struct wire *w); /* and frees its memory */

/* ---- Out.  Adding can't fail; wire_push() says if there was no memory. */

bool wire_grow(struct wire *w, size_t n);

static inline bool
wire_need(struct wire *w, size_t n)
{
    return w->room - w->len >= n || wire_grow(w, n);
}

static inline void
wire_add(struct wire *w, const void *data, size_t n)
{
    if (n && wire_need(w, n)) {
        memcpy(w->out + w->len, data, n);
        w->len += n;
    }
}

#define wire_literal(w, text) wire_add(w, "" text, sizeof(text) - 1)

/* "*3\r\n" and "$5\r\n": the head of a command with that many words, of a
 * word with that many bytes. */
void wire_head(struct wire *w, char kind, size_t n);
void wire_word(struct wire *w, struct weir_str word);
/* A command of words without NULs; ends with NULL. */
void wire_command(struct wire *w, const char *const *words);

/* Sends what the other side takes without waiting; with `all`, everything. */
enum weir_status wire_push(struct wire *w, bool all, struct weir_err *err);
/* Sends all that was added, then this, without copying it. */
enum weir_status wire_send(struct wire *w, struct weir_str data,
                           struct weir_err *err);

/* ---- In */

/* Sends what is due, and waits for the next reply: w->reply, until the next
 * call.  RETRY: no answer in time, the connection is gone.  FATAL: what came
 * is not Redis's protocol. */
enum weir_status wire_next(struct wire *w, struct weir_err *err);

/* The same for a reply that may not be an error: what Redis says then, and what
 * to do about it. */
enum weir_status wire_expect(struct wire *w, const char *command,
                             struct weir_err *err);
enum weir_status wire_refused(const struct wire *w, const char *command,
                              struct weir_str error, struct weir_err *err);

#endif
