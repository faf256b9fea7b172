/*
 * sink_redis.c - rows as hashes or strings: one key a row.  A batch is one
 * MULTI with the checkpoint in it, fenced by WATCH: whoever else moves that
 * checkpoint makes our EXEC fail.  Knows which commands an event takes; rows
 * are made into them in sink_redis_row.c, events that are appended rather than
 * kept are in sink_redis_append.c.
 */
#include "sink_redis.h"

#include <stdlib.h>

enum { PUSH = 65536 };

static void
redis_batching(const void *conf, struct weir_batching *batching)
{
    const struct redis_conf *c = conf;

    batching->guarantee =
        c->command == COMMAND_PUBLISH ? WEIR_AT_MOST_ONCE : WEIR_EXACTLY_ONCE;
    batching->events = 1000;
    batching->bytes = 1 << 20;
    batching->max_lanes = MAX_LANES;
    batching->resend = !appends(c); /* EXEC rolls nothing back */
}

/* ---- Life */

static enum weir_status
redis_open(struct weir_instance *in, const void *conf, void **self,
           struct weir_err *err)
{
    struct sink *s = calloc(1, sizeof *s);

    if (!s) {
        return weir_fail(err, WEIR_RETRY, "open the redis sink: no memory");
    }
    s->in = in;
    s->conf = conf;
    s->wire.fd = -1;
    s->wire.timeout_ms = (int)s->conf->timeout;
    s->wire.wants_tls = s->conf->tls != TLS_OFF;
    s->wire.tls_conf = (struct tls_conf){
        .verify = s->conf->tls == TLS_VERIFY,
        .host = s->conf->host,
        .ca = s->conf->tls_ca,
        .cert = s->conf->tls_cert,
        .key = s->conf->tls_key,
    };
    if (s->conf->tls == TLS_ON) {
        weir_log(in, WEIR_WARN,
                 "tls = on encrypts, but verifies nobody: with "
                 "tls = verify nobody can stand between");
    }
    *self = s;
    return WEIR_OK;
}

static void
redis_close(void *self)
{
    struct sink *s = self;

    wire_fini(&s->wire);
    free(s->owners);
    free(s);
}

/* A string is one column of its row. */
static enum weir_status
find_column(const struct sink *s, struct row_table *t, struct weir_err *err)
{
    const struct weir_table *table = t->table;
    const size_t             len = strlen(s->conf->column);

    for (t->column = 0; t->column < t->ncolumns; t->column++) {
        const struct weir_str name = table->columns[t->column]->name;
        if (name.len == len && memcmp(name.data, s->conf->column, len) == 0) {
            weir_use(s->in, t->column);
            return WEIR_OK;
        }
    }
    return weir_fail(err, WEIR_REJECT,
                     "%.*s.%.*s has no column %s, which column asks for",
                     (int)table->schema.len, table->schema.data,
                     (int)table->name.len, table->name.data, s->conf->column);
}

static enum weir_status
redis_table(void *self, const struct weir_table *table, void **slot,
            struct weir_err *err)
{
    struct sink             *s = self;
    const struct redis_conf *c = s->conf;

    struct row_table *t = row_table_new(table, c->null, c->ttl);
    if (!t) {
        return weir_fail(err, WEIR_RETRY, "columns of a table: no memory");
    }
    if (appends(c)) {
        weir_use(s->in, WEIR_NONE); /* but for what key and format read */
    }
    if (c->command == COMMAND_STRING && find_column(s, t, err) != WEIR_OK) {
        row_table_free(t);
        return WEIR_REJECT;
    }
    *slot = t;
    return WEIR_OK;
}

static void
redis_table_end(void *self, void *slot)
{
    (void)self;
    row_table_free(slot);
}

/* ---- The checkpoint */

/* Watched first and read then, so that what is found is what is fenced. */
static enum weir_status
redis_restore(void *self, struct weir_str id, uint32_t slot,
              struct weir_err *err)
{
    struct sink   *s = self;
    const bool     all = slot == WEIR_ALL_SLOTS;
    const uint32_t first = all ? 0 : slot;
    const uint32_t end = all ? MAX_LANES : slot + 1;

    s->watches = false;
    enum weir_status st = unit_watch(s, id, all ? weir_lane(s->in) : slot, err);
    for (uint32_t i = first; st == WEIR_OK && i < end; i++) {
        st = unit_read_slot(s, id, i, err);
    }
    if (st != WEIR_OK) {
        wire_close(&s->wire);
    } else if (s->own_epoch && s->epoch > s->own_epoch) {
        const struct weir_checkpoint ours = { .epoch = s->own_epoch };
        st = unit_beaten(s, &ours, err);
    }
    return st;
}

static enum weir_status
redis_forget(void *self, struct weir_str id, uint32_t slot,
             struct weir_err *err)
{
    struct sink   *s = self;
    const bool     all = slot == WEIR_ALL_SLOTS;
    const uint32_t first = all ? 0 : slot;
    const uint32_t end = all ? MAX_LANES : slot + 1;
    char           key[KEY_ROOM];

    enum weir_status st = s->wire.fd == -1 ? unit_connect(s, err) : WEIR_OK;
    for (uint32_t i = first; st == WEIR_OK && i < end; i++) {
        st = unit_key(s, id, i, key, err);
        if (st == WEIR_OK) {
            wire_command(&s->wire, (const char *const[]){ "DEL", key, NULL });
            st = wire_expect(&s->wire, "DEL of the checkpoint", err);
        }
    }
    s->watches = false;
    if (st != WEIR_OK) {
        wire_close(&s->wire);
    }
    return st;
}

/* ---- Events */

static enum weir_status
fail_image(const struct weir_event *ev, const char *what, struct weir_err *err)
{
    return weir_fail(err, WEIR_REJECT,
                     "%s of a row of %.*s.%.*s, and the row image doesn't have "
                     "all its columns; set binlog_row_image=FULL on the source",
                     what, (int)ev->table->schema.len, ev->table->schema.data,
                     (int)ev->table->name.len, ev->table->name.data);
}

static enum weir_status
store_hash(struct sink *s, struct weir_batch *b, size_t i, struct weir_str key,
           bool moved, struct weir_err *err)
{
    const struct weir_event *ev = b->events[i];
    const struct row_table  *t = b->slots[i];

    /* What is there may have expired: then a part would be all there is. */
    if (ev->op != WEIR_UPDATE || (!moved && !t->ttl)) {
        return row_store(s->in, &s->wire, t, key, ev->after, &s->ncommands,
                         err);
    }
    struct weir_value *merged =
        weir_alloc(s->in, (t->ncolumns + 1) * sizeof *merged);
    bool whole;

    row_merge(t, ev->before, ev->after, merged, &whole);
    if (!whole) {
        return fail_image(
            ev, moved ? "the key changed" : "a hash with a ttl is written anew",
            err);
    }
    return row_store(s->in, &s->wire, t, key, merged, &s->ncommands, err);
}

static enum weir_status
store_json(struct sink *s, struct weir_batch *b, size_t i, struct weir_str key,
           struct weir_err *err)
{
    const struct weir_event *ev = b->events[i];
    const struct row_table  *t = b->slots[i];
    struct weir_str          body;

    for (size_t c = 0; c < t->ncolumns; c++) {
        if (ev->after[c].type == WEIR_ABSENT) {
            return fail_image(ev, "a change", err);
        }
    }
    const enum weir_status st = weir_body(b, i, s->conf->document, &body, err);
    if (st != WEIR_OK) {
        return st;
    }
    body.len -= body.len > 0; /* the line's end */
    return row_set(&s->wire, t, key, body, &s->ncommands, err);
}

static enum weir_status
store_string(struct sink *s, struct weir_batch *b, size_t i,
             struct weir_str key, bool moved, struct weir_err *err)
{
    const struct weir_event *ev = b->events[i];
    const struct row_table  *t = b->slots[i];
    const struct weir_value *v = &ev->after[t->column];

    if (v->type == WEIR_ABSENT && ev->before && (moved || t->ttl)) {
        v = &ev->before[t->column];
    }
    if (v->type == WEIR_ABSENT) {
        return moved ? fail_image(ev, "the key changed", err) : WEIR_OK;
    }
    return row_set_column(s->in, &s->wire, t, key, v, &s->ncommands, err);
}

/* The row as it is now, under that key; `moved`: it was under another. */
static enum weir_status
store_row(struct sink *s, struct weir_batch *b, size_t i, struct weir_str key,
          bool moved, struct weir_err *err)
{
    switch (s->conf->command) {
    case COMMAND_JSON:
        return store_json(s, b, i, key, err);
    case COMMAND_STRING:
        return store_string(s, b, i, key, moved, err);
    default:
        return store_hash(s, b, i, key, moved, err);
    }
}

static enum weir_status
update_row(struct sink *s, struct weir_batch *b, size_t i, struct weir_err *err)
{
    struct weir_str key, old;

    enum weir_status st = weir_expand(b, i, s->conf->key, true, &old, err);
    if (st != WEIR_OK) {
        return st;
    }
    st = weir_expand(b, i, s->conf->key, false, &key, err);
    if (st != WEIR_OK) {
        return st;
    }
    const bool moved =
        key.len != old.len || memcmp(key.data, old.data, key.len) != 0;
    st = store_row(s, b, i, key, moved, err);
    if (st == WEIR_OK && moved) {
        row_remove(&s->wire, old, &s->ncommands);
    }
    return st;
}

static enum weir_status
add_event(struct sink *s, struct weir_batch *b, size_t i, struct weir_err *err)
{
    const struct weir_event *ev = b->events[i];
    struct weir_str          key;
    enum weir_status         st;

    switch (ev->op) {
    case WEIR_INSERT:
    case WEIR_SNAPSHOT:
        st = weir_expand(b, i, s->conf->key, false, &key, err);
        return st == WEIR_OK ? store_row(s, b, i, key, false, err) : st;
    case WEIR_UPDATE:
        return update_row(s, b, i, err);
    case WEIR_DELETE:
        st = weir_expand(b, i, s->conf->key, true, &key, err);
        if (st == WEIR_OK) {
            row_remove(&s->wire, key, &s->ncommands);
        }
        return st;
    default:
        return WEIR_OK; /* no row: a change of a definition, a mark */
    }
}

/* Redis works on what was sent while the rest is still being written. */
static enum weir_status
add_events(struct sink *s, struct weir_batch *b, bool *refused,
           struct weir_err *err)
{
    enum weir_status st = WEIR_OK;

    for (size_t i = 0; st == WEIR_OK && i < b->nevents; i++) {
        const size_t from = s->ncommands;
        st = add_event(s, b, i, err);
        if (st == WEIR_REJECT) {
            weir_verdict(b, i, WEIR_REJECT, "%s", err->text);
            *refused = true;
            st = WEIR_OK;
        }
        unit_own(s, from, (uint32_t)i);
        if (st == WEIR_OK && s->wire.len - s->wire.sent >= PUSH) {
            st = wire_push(&s->wire, false, err);
        }
    }
    return st;
}

static bool
is_truncate(const struct sink *s, const struct weir_batch *b)
{
    return b->nevents == 1 && b->events[0]->op == WEIR_TRUNCATE &&
           s->conf->truncate == TRUNCATE_SCAN;
}

static enum weir_status
redis_write(void *self, struct weir_batch *b, struct weir_err *err)
{
    struct sink                  *s = self;
    const struct weir_checkpoint *cp = &b->checkpoint;
    bool                          refused = false;

    enum weir_status st = unit_watch(s, cp->id, cp->slot, err);
    if (st == WEIR_OK && s->epoch > cp->epoch) {
        return unit_beaten(s, cp, err);
    }
    s->own_epoch = cp->epoch;
    if (st == WEIR_OK && appends(s->conf)) {
        return append_batch(s, b, err);
    }
    if (st == WEIR_OK && is_truncate(s, b)) {
        st = truncate_table(s, b, err);
        if (st == WEIR_RETRY && s->scan_seq) {
            return st; /* goes on at its cursor, on this connection */
        }
    }
    if (st == WEIR_OK) {
        /* An event is four commands at most: HSET, HDEL, PEXPIRE, DEL. */
        st = unit_begin(s, b->nevents * 4 + 1, err);
    }
    if (st == WEIR_OK) {
        st = add_events(s, b, &refused, err);
    }
    if (st != WEIR_OK) {
        wire_close(&s->wire);
        return st;
    }
    if (!refused) { /* else it follows, behind what is put aside */
        unit_checkpoint(s, cp);
    }
    return unit_end(s, b, err);
}

WEIR_MODULE = {
    WEIR_HEAD,
    .stage = WEIR_SINK,
    .name = "redis",
    .version = "0.1.0",
    .summary = "rows as hashes or strings in Redis, events in its streams",
    .conf_size = sizeof(struct redis_conf),
    .directives = redis_directives,
    .check = redis_check,
    .batching = redis_batching,
    .open = redis_open,
    .close = redis_close,
    .table = redis_table,
    .table_end = redis_table_end,
    .write = redis_write,
    .restore = redis_restore,
    .forget = redis_forget,
};
