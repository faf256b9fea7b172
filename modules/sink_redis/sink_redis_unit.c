/*
 * sink_redis_unit.c - the connection with its checkpoint watched, and units of
 * work on it.  Knows what Redis's answers mean for a batch, not what is in it.
 */
#include "sink_redis.h"

#include <stdio.h>
#include <stdlib.h>

static const uint32_t no_event = UINT32_MAX; /* a command of our own */

/* ---- Connecting, and the checkpoint */

static enum weir_status
login(struct sink *s, struct weir_err *err)
{
    const struct redis_conf *c = s->conf;
    struct wire             *w = &s->wire;
    struct weir_str          password = { c->password, 0 };
    enum weir_status         st = WEIR_OK;
    char                     db[24];

    if (c->password_file) {
        st = weir_secret(s->in, c->password_file, &password, err);
    } else if (c->password) {
        password.len = strlen(c->password);
    }
    if (st == WEIR_OK && password.data) {
        wire_head(w, '*', c->user ? 3 : 2);
        wire_literal(w, "$4\r\nAUTH\r\n");
        if (c->user) {
            wire_word(w, (struct weir_str){ c->user, strlen(c->user) });
        }
        wire_word(w, password);
        st = wire_expect(w, "AUTH", err);
    }
    if (st == WEIR_OK && c->db != 0) {
        snprintf(db, sizeof db, "%lld", (long long)c->db);
        wire_command(w, (const char *const[]){ "SELECT", db, NULL });
        st = wire_expect(w, "SELECT", err);
    }
    return st;
}

enum weir_status
unit_connect(struct sink *s, struct weir_err *err)
{
    const struct redis_conf *c = s->conf;

    s->watches = false;
    enum weir_status st = wire_open(&s->wire, c->socket, c->host, c->port, err);
    if (st == WEIR_OK) {
        st = login(s, err);
    }
    if (st != WEIR_OK) {
        wire_close(&s->wire);
    }
    return st;
}

enum weir_status
unit_key(struct sink *s, struct weir_str id, uint32_t slot, char *out,
         struct weir_err *err)
{
    const int n =
        slot == 0 ? snprintf(out, KEY_ROOM, "%s%.*s", s->conf->checkpoint,
                             (int)id.len, id.data)
                  : snprintf(out, KEY_ROOM, "%s%.*s:%u", s->conf->checkpoint,
                             (int)id.len, id.data, (unsigned)slot);
    return n < KEY_ROOM ? WEIR_OK
                        : weir_fail(err, WEIR_FATAL,
                                    "checkpoint: \"%.40s...\" is too long a "
                                    "beginning for a key",
                                    s->conf->checkpoint);
}

/* A stored epoch; none stored is 0.  FATAL: the key holds something else. */
static enum weir_status
read_epoch(const struct sink *s, size_t node, const char *key, uint64_t *out,
           struct weir_err *err)
{
    const struct reply_node *n = &s->wire.reply.nodes[node];

    *out = 0;
    if (n->kind == REPLY_NIL) {
        return WEIR_OK;
    }
    const char *text = s->wire.reply.text + n->at;
    bool good = n->kind == REPLY_STRING && n->len > 0 && n->len < 20;
    for (size_t i = 0; good && i < n->len; i++) {
        good = text[i] >= '0' && text[i] <= '9';
        *out = *out * 10 + (uint64_t)(text[i] - '0');
    }
    return good ? WEIR_OK
                : weir_fail(err, WEIR_FATAL,
                            "%s: key %s is not a checkpoint of Weir's; remove "
                            "it, or let `checkpoint` begin otherwise",
                            s->wire.where, key);
}

static void
add_watch(struct sink *s)
{
    wire_command(&s->wire, (const char *const[]){ "WATCH", s->key, NULL });
    wire_command(&s->wire,
                 (const char *const[]){ "HGET", s->key, "epoch", NULL });
}

static enum weir_status
read_watch(struct sink *s, struct weir_err *err)
{
    s->watches = false;
    enum weir_status st = wire_expect(&s->wire, "WATCH", err);
    if (st == WEIR_OK) {
        st = wire_expect(&s->wire, "HGET of the checkpoint", err);
    }
    if (st == WEIR_OK) {
        st = read_epoch(s, 0, s->key, &s->epoch, err);
    }
    s->watches = st == WEIR_OK;
    return st;
}

/* Connected, and watching the checkpoint of that slot from now on. */
enum weir_status
unit_watch(struct sink *s, struct weir_str id, uint32_t slot,
           struct weir_err *err)
{
    char             key[KEY_ROOM];
    enum weir_status st = unit_key(s, id, slot, key, err);

    if (st == WEIR_OK && s->wire.fd == -1) {
        st = unit_connect(s, err);
    }
    if (st != WEIR_OK || (s->watches && strcmp(key, s->key) == 0)) {
        return st;
    }
    memcpy(s->key, key, sizeof key);
    wire_command(&s->wire, (const char *const[]){ "UNWATCH", NULL });
    add_watch(s);
    st = wire_expect(&s->wire, "UNWATCH", err);
    if (st == WEIR_OK) {
        st = read_watch(s, err);
    }
    if (st != WEIR_OK) {
        wire_close(&s->wire);
    }
    return st;
}

/* Reads what is stored for a slot and tells the server, if anything is. */
enum weir_status
unit_read_slot(struct sink *s, struct weir_str id, uint32_t slot,
               struct weir_err *err)
{
    struct weir_checkpoint cp = { .id = id, .slot = slot };
    char                   key[KEY_ROOM];
    enum weir_status       st = unit_key(s, id, slot, key, err);

    if (st == WEIR_OK) {
        wire_command(&s->wire, (const char *const[]){ "HMGET", key, "epoch",
                                                      "data", NULL });
        st = wire_expect(&s->wire, "HMGET of the checkpoint", err);
    }
    if (st != WEIR_OK) {
        return st;
    }
    const struct reply *r = &s->wire.reply;
    if (r->nnodes != 3 || r->nodes[0].kind != REPLY_ARRAY) {
        return weir_fail(err, WEIR_FATAL, "%s: HMGET %s: not two values",
                         s->wire.where, key);
    }
    st = read_epoch(s, 1, key, &cp.epoch, err);
    if (st == WEIR_OK && r->nodes[2].kind == REPLY_STRING) {
        cp.data = reply_text(r, 2);
        weir_found(s->in, &cp);
    }
    return st;
}

/* ---- A unit: MULTI, commands, EXEC, and the next WATCH behind it */

enum weir_status
unit_begin(struct sink *s, size_t max_commands, struct weir_err *err)
{
    if (s->owners_room < max_commands) {
        uint32_t *more = realloc(s->owners, max_commands * sizeof *more);
        if (!more) {
            return weir_fail(err, WEIR_RETRY, "batch for %s: no memory",
                             s->wire.where);
        }
        s->owners = more;
        s->owners_room = max_commands;
    }
    s->ncommands = 0;
    s->is_script = false;
    wire_literal(&s->wire, "*1\r\n$5\r\nMULTI\r\n");
    return WEIR_OK;
}

void
unit_own(struct sink *s, size_t from, uint32_t event)
{
    for (size_t i = from; i < s->ncommands; i++) {
        s->owners[i] = event;
    }
}

/* `node` is the error that a command met within EXEC. */
static enum weir_status
blame(struct sink *s, struct weir_batch *b, size_t command, size_t node,
      struct weir_err *err)
{
    const struct weir_str text = reply_text(&s->wire.reply, node);
    const uint32_t        i = s->owners[command];
    struct weir_str       key = { "?", 1 };
    struct weir_err       ignored;

    if (i == no_event) {
        return wire_refused(&s->wire, "the checkpoint", text, err);
    }
    if (command > 0 && s->owners[command - 1] == i &&
        s->wire.reply.nodes[node - 1].kind == REPLY_ERROR) {
        return WEIR_OK; /* said already: HSET and HDEL of one row */
    }
    weir_expand(b, i, s->conf->key, !b->events[i]->after, &key, &ignored);
    weir_verdict(b, i, WEIR_REJECT, "%s: key %.*s: %.*s", s->wire.where,
                 (int)(key.len < 200 ? key.len : 200), key.data,
                 (int)(text.len < 200 ? text.len : 200), text.data);
    return WEIR_OK;
}

static enum weir_status
read_exec(struct sink *s, struct weir_batch *b, const struct weir_err *refused,
          bool *beaten, struct weir_err *err)
{
    const struct reply *r = &s->wire.reply;
    enum weir_status    st = wire_next(&s->wire, err);

    if (st != WEIR_OK) {
        return st;
    }
    *beaten = r->nodes[0].kind == REPLY_NIL;
    if (*beaten) {
        return WEIR_OK;
    }
    if (r->nodes[0].kind == REPLY_ERROR) {
        const struct weir_str why = { refused->text, strlen(refused->text) };
        return wire_refused(&s->wire, "the batch",
                            why.len ? why : reply_text(r, 0), err);
    }
    if (s->is_script) {
        return append_answer(s, b, err);
    }
    if (r->nodes[0].kind != REPLY_ARRAY || r->nnodes != s->ncommands + 1) {
        return weir_fail(err, WEIR_FATAL,
                         "%s: EXEC of %zu commands gave %zu answers",
                         s->wire.where, s->ncommands, r->nnodes - 1);
    }
    for (size_t i = 0; st == WEIR_OK && i < s->ncommands; i++) {
        if (r->nodes[i + 1].kind == REPLY_ERROR) {
            st = blame(s, b, i, i + 1, err);
        }
    }
    return st;
}

enum weir_status
unit_beaten(const struct sink *s, const struct weir_checkpoint *cp,
            struct weir_err *err)
{
    if (s->epoch > cp->epoch) {
        return weir_fail(err, WEIR_FENCED,
                         "%s: checkpoint %s has a newer owner: its epoch is "
                         "%llu, ours is %llu",
                         s->wire.where, s->key, (unsigned long long)s->epoch,
                         (unsigned long long)cp->epoch);
    }
    return weir_fail(err, WEIR_RETRY,
                     "%s: checkpoint %s was changed by somebody else",
                     s->wire.where, s->key);
}

void
unit_checkpoint(struct sink *s, const struct weir_checkpoint *cp)
{
    char      epoch[24];
    const int len =
        snprintf(epoch, sizeof epoch, "%llu", (unsigned long long)cp->epoch);

    wire_literal(&s->wire, "*6\r\n$4\r\nHSET\r\n");
    wire_word(&s->wire, (struct weir_str){ s->key, strlen(s->key) });
    wire_literal(&s->wire, "$5\r\nepoch\r\n");
    wire_word(&s->wire, (struct weir_str){ epoch, (size_t)len });
    wire_literal(&s->wire, "$4\r\ndata\r\n");
    wire_word(&s->wire, cp->data);
    s->ncommands++;
    unit_own(s, s->ncommands - 1, no_event);
}

/* By itself, in front of a script that moves the checkpoint: Redis refuses what
 * it has no room or no right for (OOM, READONLY, MISCONF) before a unit begins,
 * where it is a command, not where a script calls it. */
void
unit_add_epoch(struct sink *s, const struct weir_checkpoint *cp)
{
    char      epoch[24];
    const int len =
        snprintf(epoch, sizeof epoch, "%llu", (unsigned long long)cp->epoch);

    wire_literal(&s->wire, "*4\r\n$4\r\nHSET\r\n");
    wire_word(&s->wire, (struct weir_str){ s->key, strlen(s->key) });
    wire_literal(&s->wire, "$5\r\nepoch\r\n");
    wire_word(&s->wire, (struct weir_str){ epoch, (size_t)len });
    s->ncommands++;
    unit_own(s, s->ncommands - 1, no_event);
}

enum weir_status
unit_end(struct sink *s, struct weir_batch *b, struct weir_err *err)
{
    struct weir_err  refused = { "" };
    struct weir_err  ignored;
    bool             beaten = false;
    enum weir_status st;

    wire_literal(&s->wire, "*1\r\n$4\r\nEXEC\r\n");
    add_watch(s);
    st = wire_expect(&s->wire, "MULTI", err);
    for (size_t i = 0; st == WEIR_OK && i < s->ncommands; i++) {
        st = wire_next(&s->wire, err);
        if (st == WEIR_OK && s->wire.reply.nodes[0].kind == REPLY_ERROR &&
            refused.text[0] == '\0') {
            const struct weir_str text = reply_text(&s->wire.reply, 0);
            snprintf(refused.text, sizeof refused.text, "%.*s", (int)text.len,
                     text.data);
        }
    }
    if (st == WEIR_OK) {
        st = read_exec(s, b, &refused, &beaten, err);
    }
    if (st != WEIR_OK && st != WEIR_REJECT) {
        wire_close(&s->wire);
        return st;
    }
    /* From here on the batch is written, or refused, whatever becomes of the
     * rest. */
    const enum weir_status watched = read_watch(s, beaten ? err : &ignored);
    if (watched != WEIR_OK) {
        wire_close(&s->wire);
        return beaten ? watched : st;
    }
    return beaten ? unit_beaten(s, &b->checkpoint, err) : st;
}
