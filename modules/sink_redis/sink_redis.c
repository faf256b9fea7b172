/*
 * sink_redis.c - rows as hashes: one key a row, one field a column.  A batch is
 * one MULTI with the checkpoint in it, fenced by WATCH: whoever else moves that
 * checkpoint makes our EXEC fail.  Knows how to send and what the answers mean;
 * rows are made into commands in sink_redis_row.c.
 */
#include "sink_redis.h"

#include <stdio.h>
#include <stdlib.h>

enum { PUSH = 65536 };

static const struct weir_name truncate_names[] = {
    { "scan", TRUNCATE_SCAN }, { "ignore", TRUNCATE_IGNORE }, { NULL, 0 }
};

/* clang-format off */
static const struct weir_directive redis_directives[] = {
    WEIR_STR(struct redis_conf, host, .value = "127.0.0.1",
             .help = "name or address"),
    WEIR_INT(struct redis_conf, port, .value = "6379", .min = 1, .max = 65535,
             .help = "TCP port"),
    WEIR_STR(struct redis_conf, socket,
             .help = "path of a unix socket, instead of host and port"),
    WEIR_STR(struct redis_conf, user, .flags = WEIR_ENV,
             .help = "ACL user; without it the password is the default user's"),
    WEIR_STR(struct redis_conf, password, .flags = WEIR_SECRET | WEIR_ENV,
             .help = "password; better in a file"),
    WEIR_STR(struct redis_conf, password_file,
             .help = "file of one line, read at each connect"),
    WEIR_INT(struct redis_conf, db, .value = "0", .max = 1000000,
             .help = "number of the database"),
    WEIR_TEMPLATE(struct redis_conf, key, .flags = WEIR_REQUIRED | WEIR_ORDER,
                  .help = "key of a row, as in \"user:{id}\""),
    WEIR_CHOICE(struct redis_conf, truncate, .value = "scan",
                .names = truncate_names,
                .help = "TRUNCATE: scan removes all keys that key can make"),
    WEIR_MSEC(struct redis_conf, timeout, .value = "5s", .min = 1,
              .max = 3600000, .help = "without an answer, the connection is "
              "given up"),
    WEIR_STR(struct redis_conf, checkpoint, .value = "weir:checkpoint:",
             .help = "what the checkpoint's key begins with"),
    WEIR_END
};
/* clang-format on */

/* ---- Config */

static enum weir_status
redis_check(const void *conf, struct weir_err *err)
{
    const struct redis_conf *c = conf;
    char                     glob[1];
    size_t                   literal = 0, len;

    if (c->password && c->password_file) {
        return weir_fail(err, WEIR_FATAL,
                         "password and password_file: give only one of them");
    }
    if (c->user && !c->password && !c->password_file) {
        return weir_fail(err, WEIR_FATAL,
                         "user: \"%s\" needs a password or a password_file",
                         c->user);
    }
    if (c->checkpoint[0] == '\0') {
        return weir_fail(err, WEIR_FATAL,
                         "checkpoint: may not be empty, or it could be taken "
                         "for a row's key");
    }
    len = weir_template_glob(c->key, NULL, glob, sizeof glob, &literal);
    if (literal == len) {
        return weir_fail(err, WEIR_FATAL,
                         "key: names no column, so every row of a table would "
                         "be written to one key; say which, as in "
                         "\"user:{id}\"");
    }
    if (literal == 0 && c->truncate == TRUNCATE_SCAN) {
        return weir_fail(err, WEIR_FATAL,
                         "key: begins with a column, so TRUNCATE of a table "
                         "would remove every hash of the database; begin it "
                         "with text, as in \"{table}:...\", or say "
                         "truncate = ignore");
    }
    return WEIR_OK;
}

static void
redis_batching(const void *conf, struct weir_batching *batching)
{
    (void)conf;
    batching->guarantee = WEIR_EXACTLY_ONCE;
    batching->events = 1000;
    batching->bytes = 1 << 20;
    batching->max_lanes = MAX_LANES;
    batching->resend = true; /* EXEC rolls nothing back */
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

static enum weir_status
redis_table(void *self, const struct weir_table *table, void **slot,
            struct weir_err *err)
{
    (void)self;
    *slot = row_table_new(table);
    return *slot ? WEIR_OK
                 : weir_fail(err, WEIR_RETRY, "columns of a table: no memory");
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
move_row(struct sink *s, const struct weir_event *ev, const struct row_table *t,
         struct weir_str old, struct weir_str key, struct weir_err *err)
{
    struct weir_value *merged =
        weir_alloc(s->in, (t->ncolumns + 1) * sizeof *merged);
    bool whole;

    row_merge(t, ev->before, ev->after, merged, &whole);
    if (!whole) {
        return weir_fail(err, WEIR_REJECT,
                         "the key of a row of %.*s.%.*s changed, and the row "
                         "image doesn't have all its columns; set "
                         "binlog_row_image=FULL on the source",
                         (int)ev->table->schema.len, ev->table->schema.data,
                         (int)ev->table->name.len, ev->table->name.data);
    }
    const enum weir_status st =
        row_store(s->in, &s->wire, t, key, merged, &s->ncommands, err);
    if (st == WEIR_OK) {
        row_remove(&s->wire, old, &s->ncommands);
    }
    return st;
}

static enum weir_status
update_row(struct sink *s, struct weir_batch *b, size_t i, struct weir_err *err)
{
    const struct weir_event *ev = b->events[i];
    const struct row_table  *t = b->slots[i];
    struct weir_str          key, old;

    enum weir_status st = weir_expand(b, i, s->conf->key, true, &old, err);
    if (st != WEIR_OK) {
        return st;
    }
    st = weir_expand(b, i, s->conf->key, false, &key, err);
    if (st != WEIR_OK) {
        return st;
    }
    if (key.len == old.len && memcmp(key.data, old.data, key.len) == 0) {
        return row_store(s->in, &s->wire, t, key, ev->after, &s->ncommands,
                         err);
    }
    return move_row(s, ev, t, old, key, err);
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
        return st == WEIR_OK ? row_store(s->in, &s->wire, b->slots[i], key,
                                         ev->after, &s->ncommands, err)
                             : st;
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
add_events(struct sink *s, struct weir_batch *b, struct weir_err *err)
{
    enum weir_status st = WEIR_OK;

    for (size_t i = 0; st == WEIR_OK && i < b->nevents; i++) {
        const size_t from = s->ncommands;
        st = add_event(s, b, i, err);
        if (st == WEIR_REJECT) {
            weir_verdict(b, i, WEIR_REJECT, "%s", err->text);
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

    enum weir_status st = unit_watch(s, cp->id, cp->slot, err);
    if (st == WEIR_OK && s->epoch > cp->epoch) {
        return unit_beaten(s, cp, err);
    }
    s->own_epoch = cp->epoch;
    if (st == WEIR_OK && is_truncate(s, b)) {
        st = truncate_table(s, b, err);
        if (st == WEIR_RETRY && s->scan_seq) {
            return st; /* goes on at its cursor, on this connection */
        }
    }
    if (st == WEIR_OK) {
        /* An event is three commands at most: HSET, HDEL, DEL. */
        st = unit_begin(s, b->nevents * 3 + 1, err);
    }
    if (st == WEIR_OK) {
        st = add_events(s, b, err);
    }
    if (st != WEIR_OK) {
        wire_close(&s->wire);
        return st;
    }
    unit_checkpoint(s, cp);
    return unit_end(s, b, err);
}

WEIR_MODULE = {
    WEIR_HEAD,
    .stage = WEIR_SINK,
    .name = "redis",
    .version = "0.1.0",
    .summary = "rows as hashes in Redis",
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
