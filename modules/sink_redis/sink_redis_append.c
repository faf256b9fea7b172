/*
 * sink_redis_append.c - events that are appended to a stream or published,
 * where a second time would be seen.  One script looks first whether all of
 * the batch can be written, and then writes all of it with the checkpoint, or
 * nothing.  Knows no rows: bodies come ready-made from the server.
 */
#include "sink_redis.h"

#include <stdio.h>
#include <stdlib.h>

/* KEYS: the checkpoint.  ARGV: data, command, max_len, ids in ms, what the keys
 * of ids begin with; then key, body and id of each entry.  Answers number and
 * type of what is no stream.  Sent whole each time, which next to a batch is
 * little, so that no Redis can have forgotten it (NOSCRIPT). */
static const char script[] =
    "local seen, bad = {}, {}\n"
    "if ARGV[2] == 'XADD' then\n"
    " for i = 6, #ARGV, 3 do\n"
    "  local key = ARGV[i]\n"
    "  if not seen[key] then seen[key] = redis.call('TYPE', key).ok end\n"
    "  if seen[key] ~= 'none' and seen[key] ~= 'stream' then\n"
    "   bad[#bad + 1] = (i - 6) / 3\n"
    "   bad[#bad + 1] = seen[key]\n"
    "  end\n"
    " end\n"
    "end\n"
    "if #bad > 0 then return bad end\n"
    "for i = 6, #ARGV, 3 do\n"
    " if ARGV[4] == '0' or redis.call('SET', ARGV[5] .. ARGV[i + 2], '', 'NX',"
    " 'PX', ARGV[4]) then\n"
    "  if ARGV[2] == 'PUBLISH' then\n"
    "   redis.call('PUBLISH', ARGV[i], ARGV[i + 1])\n"
    "  elseif ARGV[3] == '0' then\n"
    "   redis.call('XADD', ARGV[i], '*', 'event', ARGV[i + 1])\n"
    "  else\n"
    "   redis.call('XADD', ARGV[i], 'MAXLEN', '~', ARGV[3], '*', 'event',"
    " ARGV[i + 1])\n"
    "  end\n"
    " end\n"
    "end\n"
    "redis.call('HSET', KEYS[1], 'data', ARGV[1])\n"
    "return bad\n";

enum { PUSH = 65536, MAX_BODY = 512 << 20, ID_LEN = 21, FIXED_WORDS = 9 };

struct entry {
    struct weir_str key, body;
    uint32_t        event;
    char            mark; /* tells apart what one event is written as */
};

struct entries {
    size_t        n;
    struct entry *items;
};

/* ---- What is to be written */

static void
add_entry(struct entries *out, struct weir_str key, struct weir_str body,
          size_t event, char mark)
{
    out->items[out->n++] = (struct entry){
        .key = key, .body = body, .event = (uint32_t)event, .mark = mark
    };
}

/* A change that moves a row to another stream is written to both, so that a
 * reader of either sees it. */
static enum weir_status
collect_event(struct sink *s, struct weir_batch *b, size_t i,
              struct entries *out, struct weir_err *err)
{
    const struct weir_event    *ev = b->events[i];
    const struct weir_template *t = s->conf->key;
    struct weir_str             body, key, old;
    struct weir_err             ignored;

    if (!ev->table) {
        weir_count(s->in, "events_of_no_key", 1);
        return WEIR_OK;
    }
    enum weir_status st = weir_body(b, i, s->conf->format, &body, err);
    if (st != WEIR_OK || body.len == 0) {
        return st;
    }
    if (--body.len > MAX_BODY) { /* without the line's end */
        return weir_fail(err, WEIR_REJECT,
                         "the event is %zu bytes; Redis takes none of more "
                         "than 512 MiB",
                         body.len);
    }
    st = weir_expand(b, i, t, !ev->after && ev->before, &key, err);
    if (st == WEIR_REJECT && !ev->after && !ev->before) {
        weir_count(s->in, "events_of_no_key", 1);
        return WEIR_OK;
    }
    if (st != WEIR_OK) {
        return st;
    }
    add_entry(out, key, body, i, ev->op == WEIR_DELETE ? 'd' : 'a');
    if (ev->before && ev->after &&
        weir_expand(b, i, t, true, &old, &ignored) == WEIR_OK &&
        (old.len != key.len || memcmp(old.data, key.data, key.len) != 0)) {
        add_entry(out, old, body, i, 'b');
    }
    return WEIR_OK;
}

/* REJECT: some can't be written, and have their verdicts. */
static enum weir_status
collect(struct sink *s, struct weir_batch *b, struct entries *out,
        struct weir_err *err)
{
    struct weir_err reason;
    bool            rejected = false;

    out->n = 0;
    out->items = weir_alloc(s->in, (b->nevents * 2 + 1) * sizeof *out->items);
    for (size_t i = 0; i < b->nevents; i++) {
        const enum weir_status st = collect_event(s, b, i, out, &reason);
        if (st == WEIR_REJECT) {
            weir_verdict(b, i, st, "%s", reason.text);
            *err = rejected ? *err : reason;
            rejected = true;
        } else if (st != WEIR_OK) {
            *err = reason;
            return st;
        }
    }
    return rejected ? WEIR_REJECT : WEIR_OK;
}

/* ---- Sending */

static void
add_number(struct wire *w, int64_t n)
{
    char      text[24];
    const int len = snprintf(text, sizeof text, "%lld", (long long)n);

    wire_word(w, (struct weir_str){ text, (size_t)len });
}

/* A seq with leading zeros, and the mark. */
static void
add_id(struct wire *w, uint64_t seq, char mark)
{
    char text[ID_LEN];

    text[ID_LEN - 1] = mark;
    for (size_t i = ID_LEN - 1; i-- > 0; seq /= 10) {
        text[i] = (char)('0' + seq % 10);
    }
    wire_word(w, (struct weir_str){ text, ID_LEN });
}

static enum weir_status
add_body(struct wire *w, struct weir_str body, struct weir_err *err)
{
    if (body.len < ROW_LARGE) {
        wire_word(w, body);
        return w->len - w->sent < PUSH ? WEIR_OK : wire_push(w, false, err);
    }
    wire_head(w, '$', body.len);
    const enum weir_status st = wire_send(w, body, err);
    wire_literal(w, "\r\n");
    return st;
}

static enum weir_status
add_script(struct sink *s, struct weir_batch *b, const struct entries *all,
           struct weir_err *err)
{
    const struct redis_conf *c = s->conf;
    struct wire             *w = &s->wire;
    const char *name = c->command == COMMAND_PUBLISH ? "PUBLISH" : "XADD";
    char        ids[KEY_ROOM];

    enum weir_status st = unit_key(s, b->checkpoint.id, 0, ids, err);
    if (st != WEIR_OK) {
        return st;
    }
    wire_head(w, '*', FIXED_WORDS + 3 * all->n);
    wire_literal(w, "$4\r\nEVAL\r\n");
    wire_word(w, (struct weir_str){ script, sizeof script - 1 });
    wire_literal(w, "$1\r\n1\r\n");
    wire_word(w, (struct weir_str){ s->key, strlen(s->key) });
    wire_word(w, b->checkpoint.data);
    wire_word(w, (struct weir_str){ name, strlen(name) });
    add_number(w, c->max_len);
    add_number(w, c->ids);
    const size_t len = strlen(ids);
    wire_head(w, '$', len + 4);
    wire_add(w, ids, len);
    wire_literal(w, ":id:\r\n");
    for (size_t i = 0; st == WEIR_OK && i < all->n; i++) {
        const struct entry *e = &all->items[i];
        wire_word(w, e->key);
        st = add_body(w, e->body, err);
        add_id(w, b->events[e->event]->seq, e->mark);
    }
    s->ncommands++;
    return st;
}

/* ---- What came of it */

enum weir_status
append_answer(struct sink *s, struct weir_batch *b, struct weir_err *err)
{
    const struct reply *r = &s->wire.reply;
    struct entries      all;
    struct weir_err     first = { "" };

    for (size_t i = 1; i < 3 && i < r->nnodes; i++) {
        if (r->nodes[i].kind == REPLY_ERROR) {
            return wire_refused(&s->wire,
                                i == 1 ? "the checkpoint" : "the batch",
                                reply_text(r, i), err);
        }
    }
    if (r->nnodes < 3 || r->nodes[2].kind != REPLY_ARRAY ||
        (r->nnodes - 3) % 2 != 0) {
        return weir_fail(err, WEIR_FATAL, "%s: a script gave no answer",
                         s->wire.where);
    }
    if (r->nnodes == 3) {
        return WEIR_OK;
    }
    enum weir_status st = collect(s, b, &all, err);
    for (size_t i = 3; st == WEIR_OK && i < r->nnodes; i += 2) {
        const struct weir_str type = reply_text(r, i + 1);
        const size_t          n = (size_t)r->nodes[i].n;
        if (r->nodes[i].kind != REPLY_INTEGER || n >= all.n) {
            return weir_fail(err, WEIR_FATAL, "%s: a script answered nonsense",
                             s->wire.where);
        }
        const struct entry *e = &all.items[n];
        weir_fail(err, WEIR_REJECT, "%s: key %.*s is no stream, but a %.*s",
                  s->wire.where, (int)(e->key.len < 200 ? e->key.len : 200),
                  e->key.data, (int)(type.len < 20 ? type.len : 20), type.data);
        weir_verdict(b, e->event, WEIR_REJECT, "%s", err->text);
        first = i == 3 ? *err : first;
    }
    *err = st == WEIR_OK ? first : *err;
    return st == WEIR_OK ? WEIR_REJECT : st;
}

enum weir_status
append_batch(struct sink *s, struct weir_batch *b, struct weir_err *err)
{
    struct entries   all;
    enum weir_status st = collect(s, b, &all, err);

    if (st != WEIR_OK) {
        return st;
    }
    st = unit_begin(s, 2, err);
    if (st == WEIR_OK) {
        s->is_script = true;
        unit_add_epoch(s, &b->checkpoint);
        st = add_script(s, b, &all, err);
    }
    if (st != WEIR_OK) {
        wire_close(&s->wire);
        return st;
    }
    return unit_end(s, b, err);
}
