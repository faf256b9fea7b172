/*
 * sink_redis_truncate.c - TRUNCATE: it brings no rows, so all keys that the
 * template can make for the table are looked for by SCAN and removed, a chunk
 * a unit, so that an owner that was fenced removes nothing either.
 */
#include "sink_redis.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* A call of write() may not take for ever; the server asks again. */
enum { MAX_SECONDS = 20, MAX_GLOB = 4096 };

static time_t
seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static bool
begins_with(struct weir_str key, const char *prefix)
{
    const size_t n = strlen(prefix);

    return key.len >= n && memcmp(key.data, prefix, n) == 0;
}

/* A copy of the keys that are to go: the reply they stand in is read over. */
struct keys {
    size_t n;
    char  *data;
    size_t len;
};

static enum weir_status
copy_keys(struct sink *s, struct keys *out, struct weir_err *err)
{
    const struct reply *r = &s->wire.reply;
    struct wire         words = { .fd = -1 };

    *out = (struct keys){ 0 };
    for (size_t i = 3; i < r->nnodes; i++) {
        const struct weir_str key = reply_text(r, i);
        if (r->nodes[i].kind == REPLY_STRING &&
            !begins_with(key, s->conf->checkpoint)) {
            wire_word(&words, key);
            out->n++;
        }
    }
    if (words.failed) {
        free(words.out);
        return weir_fail(err, WEIR_RETRY, "keys to remove: no memory");
    }
    out->data = words.out;
    out->len = words.len;
    return WEIR_OK;
}

static enum weir_status
scan(struct sink *s, struct weir_str glob, struct keys *out,
     struct weir_err *err)
{
    const struct reply *r = &s->wire.reply;

    wire_literal(&s->wire, "*8\r\n$4\r\nSCAN\r\n");
    wire_word(&s->wire,
              (struct weir_str){ s->scan_cursor, strlen(s->scan_cursor) });
    wire_literal(&s->wire, "$5\r\nMATCH\r\n");
    wire_word(&s->wire, glob);
    wire_literal(&s->wire, "$5\r\nCOUNT\r\n$4\r\n1000\r\n$4\r\nTYPE\r\n");
    if (s->conf->command == COMMAND_HASH) {
        wire_literal(&s->wire, "$4\r\nhash\r\n");
    } else {
        wire_literal(&s->wire, "$6\r\nstring\r\n");
    }
    const enum weir_status st = wire_expect(&s->wire, "SCAN", err);
    if (st != WEIR_OK) {
        return st;
    }
    if (r->nnodes < 3 || r->nodes[1].kind != REPLY_STRING ||
        r->nodes[1].len >= sizeof s->scan_cursor ||
        r->nodes[2].kind != REPLY_ARRAY) {
        return weir_fail(err, WEIR_FATAL, "%s: SCAN gave no cursor",
                         s->wire.where);
    }
    const struct weir_str cursor = reply_text(r, 1);
    memcpy(s->scan_cursor, cursor.data, cursor.len);
    s->scan_cursor[cursor.len] = '\0';
    return copy_keys(s, out, err);
}

static enum weir_status
remove_keys(struct sink *s, struct weir_batch *b, const struct keys *keys,
            struct weir_err *err)
{
    enum weir_status st = unit_begin(s, 1, err);

    if (st == WEIR_OK) {
        wire_head(&s->wire, '*', keys->n + 1);
        wire_literal(&s->wire, "$6\r\nUNLINK\r\n");
        wire_add(&s->wire, keys->data, keys->len);
        s->ncommands = 1;
        unit_own(s, 0, 0);
        st = unit_end(s, b, err);
    }
    if (st == WEIR_OK && !s->watches) {
        st = weir_fail(err, WEIR_RETRY,
                       "%s: the connection was lost while a table was being "
                       "truncated",
                       s->wire.where);
    }
    return st;
}

enum weir_status
truncate_table(struct sink *s, struct weir_batch *b, struct weir_err *err)
{
    const struct weir_event *ev = b->events[0];
    const time_t             until = seconds() + MAX_SECONDS;
    char                     text[MAX_GLOB];
    size_t                   literal;
    const size_t len = weir_template_glob(s->conf->key, ev->table, text,
                                          sizeof text, &literal);

    if (len > sizeof text || literal == 0) {
        return weir_fail(err, WEIR_FATAL,
                         "truncate: key stands for too much to be looked for; "
                         "say truncate = ignore");
    }
    if (s->scan_seq != ev->seq) {
        memcpy(s->scan_cursor, "0", 2);
        s->scan_seq = ev->seq;
    }
    do {
        struct keys      keys = { 0 };
        enum weir_status st =
            scan(s, (struct weir_str){ text, len }, &keys, err);
        if (st == WEIR_OK && keys.n > 0) {
            st = remove_keys(s, b, &keys, err);
        }
        free(keys.data);
        if (st != WEIR_OK) {
            s->scan_seq =
                0; /* what an answer was lost for is looked for again */
            return st;
        }
        if (seconds() > until && strcmp(s->scan_cursor, "0") != 0) {
            return weir_fail(err, WEIR_RETRY,
                             "%s: truncating %.*s.%.*s takes long, and goes on",
                             s->wire.where, (int)ev->table->schema.len,
                             ev->table->schema.data, (int)ev->table->name.len,
                             ev->table->name.data);
        }
    } while (strcmp(s->scan_cursor, "0") != 0);
    s->scan_seq = 0;
    return WEIR_OK;
}
