/*
 * sink_mysql.c - rows into MySQL and MariaDB, the checkpoint in the same
 * transaction.  Knows the order of calls; what becomes of rows is in the other
 * files.
 */
#include "sink_mysql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct weir_name transactions_names[] = {
    { "keep", TXN_KEEP }, { "merge", TXN_MERGE }, { NULL, 0 }
};
static const struct weir_name conflict_names[] = {
    { "strict", CONFLICT_STRICT }, { "idempotent", CONFLICT_IDEMPOTENT },
    { NULL, 0 }
};
static const struct weir_name columns_names[] = {
    { "all", COLUMNS_ALL }, { "matching", COLUMNS_MATCHING }, { NULL, 0 }
};
static const struct weir_name ddl_names[] = {
    { "ignore", DDL_IGNORE }, { "apply", DDL_APPLY }, { "stop", DDL_STOP },
    { NULL, 0 }
};

/* clang-format off */
static const struct weir_directive mysql_directives[] = {
    WEIR_STR(struct mysql_conf, host, .value = "127.0.0.1",
             .help = "name or address; localhost is the server's socket"),
    WEIR_INT(struct mysql_conf, port, .value = "3306", .min = 1, .max = 65535,
             .help = "TCP port"),
    WEIR_STR(struct mysql_conf, socket,
             .help = "path of a unix socket, instead of host and port"),
    WEIR_STR(struct mysql_conf, user, .flags = WEIR_ENV | WEIR_REQUIRED,
             .help = "account with SELECT, INSERT, UPDATE, DELETE there, and "
             "CREATE for the checkpoint"),
    WEIR_STR(struct mysql_conf, password, .flags = WEIR_SECRET | WEIR_ENV,
             .help = "password; better in a file"),
    WEIR_STR(struct mysql_conf, password_file, .flags = WEIR_FILE,
             .help = "file of one line, read at each connect"),
    WEIR_CHOICE(struct mysql_conf, tls, .value = "off", .names = client_tls_names,
                .help = "on encrypts, verify also proves who answers"),
    WEIR_STR(struct mysql_conf, tls_ca, .flags = WEIR_FILE,
             .help = "PEM file of who signs the target's certificate"),
    WEIR_STR(struct mysql_conf, tls_cert, .flags = WEIR_FILE,
             .help = "PEM file of our certificate"),
    WEIR_STR(struct mysql_conf, tls_key, .flags = WEIR_FILE,
             .help = "PEM file of our key"),
    WEIR_MSEC(struct mysql_conf, connect_timeout, .value = "10s", .min = 100,
              .max = 3600000, .help = "for a connection to be made"),
    WEIR_MSEC(struct mysql_conf, timeout, .value = "60s", .min = 1000,
              .max = 3600000,
              .help = "without an answer, the connection is given up"),
    WEIR_TEMPLATE(struct mysql_conf, database, .value = "{database}",
                  .help = "the target's database, as in \"{database}_copy\""),
    WEIR_TEMPLATE(struct mysql_conf, table, .value = "{table}",
                  .help = "the target's table"),
    WEIR_STR(struct mysql_conf, checkpoint, .value = "weir",
             .help = "database that weir_checkpoint is made in"),
    WEIR_CHOICE(struct mysql_conf, transactions, .value = "merge",
                .names = transactions_names,
                .help = "merge writes several of the source's as one; keep "
                "leaves them as they are"),
    WEIR_BOOL(struct mysql_conf, split, .value = "off",
              .help = "a transaction larger than a batch is committed in "
              "parts, which readers see"),
    WEIR_CHOICE(struct mysql_conf, conflict, .value = "strict",
                .names = conflict_names,
                .help = "strict refuses a row that isn't as the source had "
                "it; idempotent overwrites it"),
    WEIR_CHOICE(struct mysql_conf, columns, .value = "all",
                .names = columns_names,
                .help = "matching leaves out columns that the target lacks"),
    WEIR_CHOICE(struct mysql_conf, ddl, .value = "ignore", .names = ddl_names,
                .help = "apply runs the source's statements, ignore leaves "
                "them out (what then doesn't fit is refused), stop refuses "
                "them"),
    WEIR_BOOL(struct mysql_conf, foreign_keys, .value = "on",
              .help = "foreign_key_checks: off also leaves out cascades"),
    WEIR_BOOL(struct mysql_conf, log_bin, .value = "on",
              .help = "off keeps what is written out of the target's binlog"),
    WEIR_BOOL(struct mysql_conf, two_way, .value = "off",
              .help = "marks each transaction, for a Weir that reads the "
              "target and leaves ours out"),
    WEIR_END
};
/* clang-format on */

/* ---- Config */

/* A column can't choose the table: table() is asked before any row. */
static enum weir_status
check_name(const char *name, const struct weir_template *t,
           struct weir_err *err)
{
    char   glob[1200];
    size_t literal;

    const size_t len = weir_template_glob(t, NULL, glob, sizeof glob, &literal);
    return len == literal && len > 0
               ? WEIR_OK
               : weir_fail(err, WEIR_FATAL, "%s: only {database} and {table} "
                           "may stand here", name);
}

/* One name and nothing else; that it is the right one, table() sees. */
static bool
is_one_name(const struct weir_template *t)
{
    char   glob[8];
    size_t literal;

    const size_t len = weir_template_glob(t, NULL, glob, sizeof glob, &literal);
    return len == 2 && glob[0] == '\\' && glob[1] == '?';
}

/* Names stand within statements, and statements carry no mark. */
static enum weir_status
check_apply(const struct mysql_conf *c, struct weir_err *err)
{
    if (!is_one_name(c->database) || !is_one_name(c->table)) {
        return weir_fail(err, WEIR_FATAL, "ddl = apply: the statements say the "
                         "source's names, so leave database and table as they "
                         "are by default, or say ddl = stop");
    }
    return c->two_way
               ? weir_fail(err, WEIR_FATAL, "ddl = apply, two_way: a statement "
                           "can't be marked, so it would come back; say ddl = "
                           "ignore or stop, and do it on both servers")
               : WEIR_OK;
}

static enum weir_status
check_tls(const struct mysql_conf *c, struct weir_err *err)
{
    const struct client_tls tls = { c->tls, c->tls_ca, c->tls_cert,
                                    c->tls_key };

    return client_check_tls(&tls, client_is_set(c->socket) ||
                                      strcmp(c->host, "localhost") == 0, err);
}

static enum weir_status
mysql_check(const void *conf, struct weir_err *err)
{
    const struct mysql_conf *c = conf;

    if (c->password && c->password_file) {
        return weir_fail(err, WEIR_FATAL,
                         "password and password_file: give only one of them");
    }
    enum weir_status st = check_tls(c, err);
    if (st == WEIR_OK) {
        st = check_name("database", c->database, err);
    }
    if (st == WEIR_OK) {
        st = check_name("table", c->table, err);
    }
    return st == WEIR_OK && c->ddl == DDL_APPLY ? check_apply(c, err) : st;
}

static void
mysql_batching(const void *conf, struct weir_batching *batching)
{
    const struct mysql_conf *c = conf;

    batching->guarantee = WEIR_EXACTLY_ONCE;
    batching->share =
        c->transactions == TXN_MERGE ? WEIR_MERGE_TXN : WEIR_KEEP_TXN;
    batching->events = 5000;
    batching->bytes = 4 << 20;
    /* A part is committed without asking whose turn it is. */
    batching->max_lanes = c->split ? 1 : 64;
}

/* ---- Life */

static void
mysql_close_sink(void *self)
{
    struct sink *s = self;

    link_close(s);
    script_free(&s->script);
    gather_free(s->gather);
    family_leave(s->family);
    text_free(&s->part.id);
    text_free(&s->part.data);
    text_free(&s->store);
    text_free(&s->mark);
    text_free(&s->sql);
    free(s);
}

static enum weir_status
mysql_open(struct weir_instance *in, const void *conf, void **self,
           struct weir_err *err)
{
    const struct mysql_conf *c = conf;
    struct sink             *s = calloc(1, sizeof *s);
    struct gather           *gather = gather_new();
    struct family           *family = family_join(weir_name(in));

    if (!s || !gather || !family) {
        if (family) {
            family_leave(family);
        }
        gather_free(gather);
        free(s);
        return weir_fail(err, WEIR_RETRY, "open the mysql sink: no memory");
    }
    s->in = in;
    s->conf = c;
    s->gather = gather;
    s->family = family;
    if (c->socket && *c->socket) {
        snprintf(s->where, sizeof s->where, "%s", c->socket);
    } else {
        snprintf(s->where, sizeof s->where, "%s:%lld", c->host,
                 (long long)c->port);
    }
    const struct weir_str database = { c->checkpoint, strlen(c->checkpoint) };
    text_name(&s->store, database);
    text_put(&s->store, ".weir_checkpoint");
    text_name(&s->mark, database);
    text_put(&s->mark, ".weir_mark");
    *self = s;
    return WEIR_OK;
}

static enum weir_status
mysql_table(void *self, const struct weir_table *table, void **slot,
            struct weir_err *err)
{
    struct target *t = NULL;

    const enum weir_status st = target_new(self, table, &t, err);
    *slot = t;
    return st;
}

static void
mysql_table_end(void *self, void *slot)
{
    target_free(self, slot);
}

/* ---- Writing */

static bool
is_statement(const struct weir_batch *b)
{
    return b->nevents == 1 && (b->events[0]->op == WEIR_TRUNCATE ||
                               b->events[0]->op == WEIR_DDL);
}

/* What did not end well leaves nothing behind. */
static enum weir_status
ended(struct sink *s, enum weir_status st)
{
    if (st != WEIR_OK) {
        link_close(s);
    }
    return st;
}

static void
begin_anew(struct sink *s, uint64_t restores)
{
    link_close(s);
    s->uncommitted = s->part.due = false;
    s->restores = restores;
}

/* Connected; RETRY if what was written and not committed yet went down with an
 * earlier connection (one that was lost while a table was looked at). */
static enum weir_status
reach(struct sink *s, struct weir_err *err)
{
    const uint64_t restores = family_restores(s->family, false);

    if (s->restores != restores) {
        begin_anew(s, restores);
    }
    if (s->uncommitted && !s->link.in_txn) {
        return weir_fail(err, WEIR_RETRY, "%s: the connection was lost within "
                         "a transaction", s->where);
    }
    return link_open(s, err);
}

/* ---- A transaction in parts */

static enum weir_status
part_keep(struct sink *s, const struct weir_checkpoint *cp,
          struct weir_err *err)
{
    struct part *p = &s->part;

    p->slot = cp->slot;
    p->epoch = cp->epoch;
    p->id.len = p->data.len = 0;
    text_add(&p->id, cp->id.data, cp->id.len);
    text_add(&p->data, cp->data.data, cp->data.len);
    if (p->id.failed || p->data.failed) {
        return weir_fail(err, WEIR_RETRY, "%s: no memory for the checkpoint",
                         s->where);
    }
    p->due = true;
    return WEIR_OK;
}

static enum weir_status
part_commit(struct sink *s, struct weir_err *err)
{
    const struct part           *p = &s->part;
    const struct weir_checkpoint cp = {
        .id = { p->id.data, p->id.len },
        .slot = p->slot,
        .epoch = p->epoch,
        .data = { p->data.data, p->data.len },
    };

    if (!p->due) {
        return WEIR_OK;
    }
    const enum weir_status st = checkpoint_commit(s, &cp, err);
    if (st == WEIR_OK) {
        s->part.due = s->uncommitted = false;
    }
    return st;
}

static enum weir_status
write_rows(struct sink *s, struct weir_batch *b, struct weir_err *err)
{
    s->uncommitted = true; /* whatever comes of it, restore() clears it */
    const enum weir_status st = batch_write(s, b, err);
    return st == WEIR_OK && s->conf->split && (b->flags & WEIR_TXN_OPEN)
               ? part_keep(s, &b->checkpoint, err)
               : st;
}

static enum weir_status
mysql_write(void *self, struct weir_batch *b, struct weir_err *err)
{
    struct sink     *s = self;
    enum weir_status st = reach(s, err);

    if (st == WEIR_OK) {
        st = part_commit(s, err);
    }
    if (st != WEIR_OK || b->nevents == 0) {
        return ended(s, st);
    }
    if (is_statement(b)) {
        st = ddl_write(s, b, err);
        /* A refusal takes nothing back. */
        return st == WEIR_REJECT ? st : ended(s, st);
    }
    return ended(s, write_rows(s, b, err));
}

static enum weir_status
mysql_commit_sink(void *self, struct weir_batch *last, struct weir_err *err)
{
    struct sink     *s = self;
    enum weir_status st = reach(s, err);

    if (st == WEIR_OK) {
        st = checkpoint_commit(s, &last->checkpoint, err);
    }
    if (st == WEIR_OK) {
        s->uncommitted = s->part.due = false;
    }
    return ended(s, st);
}

static enum weir_status
mysql_restore(void *self, struct weir_str id, uint32_t slot,
              struct weir_err *err)
{
    struct sink *s = self;

    (void)slot; /* by transaction there is one */
    begin_anew(s, family_restores(s->family, true));
    enum weir_status st = link_open(s, err);
    if (st == WEIR_OK) {
        st = checkpoint_restore(s, id, err);
    }
    return ended(s, st);
}

static enum weir_status
mysql_forget(void *self, struct weir_str id, uint32_t slot,
             struct weir_err *err)
{
    struct sink *s = self;

    enum weir_status st = link_open(s, err);
    if (st == WEIR_OK) {
        st = checkpoint_forget(s, id, slot, err);
    }
    return st;
}

WEIR_MODULE = {
    WEIR_HEAD,
    .stage = WEIR_SINK,
    .name = "mysql",
    .version = "0.1.0",
    .summary = "rows into MySQL and MariaDB, exactly once",
    .conf_size = sizeof(struct mysql_conf),
    .directives = mysql_directives,
    .check = mysql_check,
    .batching = mysql_batching,
    .open = mysql_open,
    .close = mysql_close_sink,
    .table = mysql_table,
    .table_end = mysql_table_end,
    .write = mysql_write,
    .commit = mysql_commit_sink,
    .restore = mysql_restore,
    .forget = mysql_forget,
};
