/*
 * mysql.c - what is MySQL's own, 5.6 to 9.x: who a server is, where its history
 * begins and ends, whether it can go on behind a set of GTIDs, and how a dump
 * is asked for.  Sets are compared by the server itself; here they are text.
 */
#include "source_mysql.h"

#include <inttypes.h>
#include <mysqld_error.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In mysql.h only up to the command before it. */
#define BINLOG_DUMP_GTID 30

/* Rows of SHOW BINLOG EVENTS at a time. */
#define EVENTS_AT_ONCE 20000

static struct weir_str
str_of(const char *text)
{
    return (struct weir_str){ text, strlen(text) };
}

/* A statement with sets in it, which may be long; malloc'd. */
WEIR_PRINTF(1, 2) static char *
statement(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    const int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *const sql = n >= 0 ? malloc((size_t)n + 1) : NULL;
    if (!sql) {
        abort();
    }
    va_start(ap, fmt);
    vsnprintf(sql, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return sql;
}

/* ---- Who it is */

static enum weir_status
mysql_identify(struct source *src, char *id, size_t room, struct weir_err *err)
{
    struct result r;

    *id = '\0';
    if (src->conf->identity == IDENTITY_NONE) {
        return WEIR_OK;
    }
    const bool by_id = src->conf->identity == IDENTITY_SERVER_ID;
    const enum weir_status st =
        conn_row(&src->dump,
                 by_id ? "SELECT @@server_id" : "SELECT @@server_uuid", 1, &r,
                 err);
    if (st == WEIR_OK) {
        snprintf(id, room, "%s:%.*s", by_id ? "server_id" : "uuid",
                 STR_ARG(result_str(&r, 0)));
        result_free(&r);
    }
    return st;
}

static const char *
mysql_status(const struct source *src)
{
    /* The old name went with 8.4, the new one came with 8.2. */
    return src->major > 8 || (src->major == 8 && src->minor >= 2)
               ? "SHOW BINARY LOG STATUS"
               : "SHOW MASTER STATUS";
}

static const char *
mysql_monitor(const struct source *src)
{
    (void)src;
    return "REPLICATION CLIENT";
}

/* ---- Where its history begins and ends */

/* Line ends, which the server prints between servers, taken out. */
static void
set_gtids(struct position *p, struct weir_str gtids)
{
    position_set(p, gtids, str_of(p->file ? p->file : ""), p->offset);
    char *to = p->gtid;
    for (const char *from = p->gtid; *from; from++) {
        if (*from != '\n') {
            *to++ = *from;
        }
    }
    *to = '\0';
}

/* The server reads the executed set first and the end of its log then, so that
 * a transaction between the two is behind the set, and is sent. */
static enum weir_status
locate_end(struct source *src, struct conn *c, struct position *out,
           struct weir_err *err)
{
    struct result r;
    const enum weir_status st = conn_row(c, mysql_status(src), 5, &r, err);

    if (st == WEIR_OK) {
        position_set(out, str_of(""), result_str(&r, 0), result_u64(&r, 1));
        set_gtids(out, result_str(&r, 4));
        result_free(&r);
    }
    return st;
}

static enum weir_status
mysql_locate(struct source *src, struct conn *c, enum start_kind kind,
             struct position *out, struct weir_err *err)
{
    return kind == START_EARLIEST ? server_first(c, out, err)
                                  : locate_end(src, c, out, err);
}

/* ---- GTIDs before a file's offset: its own list, and what follows there */

struct gather {
    char    *set;
    size_t   len, room;
    uint64_t next; /* where to go on */
};

static void
gather_add(struct gather *g, struct weir_str text)
{
    const size_t need = g->len + text.len + 2;

    if (need > g->room) {
        g->room = need * 2;
        g->set = realloc(g->set, g->room);
        if (!g->set) {
            abort();
        }
    }
    if (g->len && text.len) {
        g->set[g->len++] = ',';
    }
    memcpy(g->set + g->len, text.data, text.len);
    g->len += text.len;
    g->set[g->len] = '\0';
}

/* One row: Log_name, Pos, Event_type, Server_id, End_log_pos, Info. */
static void
gather_event(struct gather *g, const struct result *r)
{
    static const char     next[] = "SET @@SESSION.GTID_NEXT= '";
    const struct weir_str type = result_str(r, 2);
    struct weir_str       info = result_str(r, 5);

    if (type.len == 14 && memcmp(type.data, "Previous_gtids", 14) == 0) {
        gather_add(g, info);
    } else if (info.len > sizeof next &&
               memcmp(info.data, next, sizeof next - 1) == 0 &&
               memchr(info.data + sizeof next - 1, ':',
                      info.len - sizeof next)) { /* not ANONYMOUS */
        info.data += sizeof next - 1;
        info.len -= sizeof next;
        gather_add(g, info);
    }
}

static enum weir_status
gather_some(struct source *src, struct gather *g, size_t *nrows,
            struct weir_err *err)
{
    struct result    r;
    char *const      file = conn_quote(&src->dump, str_of(src->at.file));
    char *const      sql =
        statement("SHOW BINLOG EVENTS IN %s FROM %" PRIu64 " LIMIT %d", file,
                  g->next, EVENTS_AT_ONCE);
    enum weir_status st = conn_query(&src->dump, sql, &r, err);

    *nrows = 0;
    while (st == WEIR_OK && g->next < src->at.offset && result_next(&r)) {
        gather_event(g, &r);
        if (result_u64(&r, 4) > g->next) {
            g->next = result_u64(&r, 4);
        }
        ++*nrows;
    }
    result_free(&r);
    free(sql);
    free(file);
    return st;
}

/* One interval for what are thousands of single ones. */
static enum weir_status
gather_join(struct source *src, struct gather *g, struct weir_err *err)
{
    struct result r;
    char *const   set = conn_quote(&src->dump,
                                   (struct weir_str){ g->set, g->len });
    char *const   sql = statement("SELECT GTID_SUBTRACT(%s, '')", set);
    const enum weir_status st = conn_row(&src->dump, sql, 1, &r, err);

    if (st == WEIR_OK) {
        g->len = 0;
        gather_add(g, result_str(&r, 0));
        result_free(&r);
    }
    free(sql);
    free(set);
    return st;
}

static enum weir_status
gtids_before(struct source *src, struct weir_err *err)
{
    struct gather    g = { .next = 4 };
    size_t           nrows = 1;
    enum weir_status st = WEIR_OK;

    gather_add(&g, str_of(""));
    while (st == WEIR_OK && nrows > 0 && g.next < src->at.offset) {
        st = gather_some(src, &g, &nrows, err);
        if (st == WEIR_OK) {
            st = gather_join(src, &g, err);
        }
    }
    if (st == WEIR_OK) {
        set_gtids(&src->at, (struct weir_str){ g.set, g.len });
    }
    free(g.set);
    return st;
}

/* ---- Whether it can go on behind a position */

static enum weir_status
read_gtid_mode(struct source *src, bool *on, struct weir_err *err)
{
    struct result          r;
    const enum weir_status st =
        conn_row(&src->dump, "SELECT @@GLOBAL.gtid_mode", 1, &r, err);

    if (st == WEIR_OK) {
        *on = strcmp(result_str(&r, 0).data, "ON") == 0;
        result_free(&r);
    }
    return st;
}

struct difference {
    struct position unknown, purged, ours; /* in .gtid */
};

static enum weir_status
compare_sets(struct source *src, struct difference *d, struct weir_err *err)
{
    struct result r;
    char *const   ours = conn_quote(&src->dump, str_of(src->at.gtid));
    char *const   sql = statement(
        "SELECT GTID_SUBTRACT(%s, @@GLOBAL.gtid_executed), "
        "GTID_SUBTRACT(@@GLOBAL.gtid_purged, %s), GTID_SUBTRACT(%s, '')",
        ours, ours, ours);
    const enum weir_status st = conn_row(&src->dump, sql, 3, &r, err);

    if (st == WEIR_OK) {
        set_gtids(&d->unknown, result_str(&r, 0));
        set_gtids(&d->purged, result_str(&r, 1));
        set_gtids(&d->ours, result_str(&r, 2));
        result_free(&r);
    }
    free(sql);
    free(ours);
    return st;
}

/* A transaction is sent before the server counts it as executed: one that is
 * missing there may be on its way. */
static enum weir_status
wait_executed(struct source *src, const char *gtids, struct weir_err *err)
{
    struct result r;
    char *const   quoted = conn_quote(&src->dump, str_of(gtids));
    char *const   sql =
        statement("SELECT WAIT_FOR_EXECUTED_GTID_SET(%s, 1)", quoted);
    enum weir_status st = conn_query(&src->dump, sql, &r, err);

    result_free(&r);
    free(sql);
    free(quoted);
    /* 5.6 has no such function. */
    return st != WEIR_OK &&
                   mysql_errno(src->dump.mysql) == ER_SP_DOES_NOT_EXIST
               ? WEIR_OK
               : st;
}

static enum weir_status
compare_patiently(struct source *src, struct difference *d,
                  struct weir_err *err)
{
    enum weir_status st = compare_sets(src, d, err);

    if (st == WEIR_OK && *d->unknown.gtid) {
        st = wait_executed(src, d->unknown.gtid, err);
        if (st == WEIR_OK) {
            st = compare_sets(src, d, err);
        }
    }
    return st;
}

static enum weir_status
fail_purged(struct source *src, const char *missing, struct weir_err *err)
{
    char at[120];

    return weir_fail(err, WEIR_FATAL,
                     "%s no longer has what comes behind %s: it purged the "
                     "binlogs with %.120s. To go on, " MEND, src->name,
                     position_text(&src->at, at, sizeof at), missing);
}

static enum weir_status
judge(struct source *src, const struct difference *d, struct weir_err *err)
{
    struct result r;
    char          executed[120] = "";

    if (!*d->unknown.gtid) {
        return *d->purged.gtid ? fail_purged(src, d->purged.gtid, err)
                               : WEIR_OK;
    }
    const enum weir_status st =
        conn_row(&src->dump, "SELECT @@GLOBAL.gtid_executed", 1, &r, err);
    if (st != WEIR_OK) {
        return st;
    }
    snprintf(executed, sizeof executed, "%.*s", STR_ARG(result_str(&r, 0)));
    result_free(&r);
    return weir_fail(
        err, WEIR_FATAL,
        "%s has not executed GTIDs %.100s; it is at %.100s. It was restored, "
        "reset or is another server's copy: bring it to that state; or begin "
        "anew: remove this pipeline's state, so that start applies again, and "
        "copy its tables", src->name, d->unknown.gtid,
        *executed ? executed : "no transaction at all");
}

static enum weir_status
check_form(struct source *src, struct weir_err *err)
{
    unsigned char *code;
    size_t         len;

    if (!gtid_code_make(str_of(src->at.gtid), &code, &len)) {
        return weir_fail(err, WEIR_FATAL, "\"%.200s\" is no set of MySQL's "
                         "GTIDs, and %s is a MySQL", src->at.gtid, src->name);
    }
    free(code);
    return WEIR_OK;
}

static enum weir_status
verify_gtids(struct source *src, struct weir_err *err)
{
    struct difference d = { 0 };
    enum weir_status  st = check_form(src, err);

    if (st == WEIR_OK) {
        st = compare_patiently(src, &d, err);
    }
    if (st == WEIR_OK) {
        st = judge(src, &d, err);
    }
    if (st == WEIR_OK) {
        set_gtids(&src->at, str_of(d.ours.gtid));
    }
    position_clear(&d.unknown);
    position_clear(&d.purged);
    position_clear(&d.ours);
    return st;
}

static bool
goes_by_gtids(const struct source *src, bool on)
{
    return on && *src->at.gtid && !(src->by_file && *src->at.file);
}

static enum weir_status
mysql_executed(struct source *src, struct position *out, struct weir_err *err)
{
    struct result          r;
    const enum weir_status st =
        conn_row(&src->dump, "SELECT @@GLOBAL.gtid_executed", 1, &r, err);

    if (st == WEIR_OK) {
        set_gtids(out, result_str(&r, 0));
        result_free(&r);
    }
    return st;
}

static enum weir_status
mysql_compare(struct source *src, bool *by_gtid, struct position *lacks,
              struct weir_err *err)
{
    struct difference d = { 0 };
    bool              on;
    enum weir_status  st = read_gtid_mode(src, &on, err);

    *by_gtid = st == WEIR_OK && goes_by_gtids(src, on);
    if (!*by_gtid) {
        return st;
    }
    st = check_form(src, err);
    if (st == WEIR_OK) {
        st = compare_patiently(src, &d, err);
    }
    if (st == WEIR_OK) {
        set_gtids(lacks, str_of(d.unknown.gtid));
    }
    position_clear(&d.unknown);
    position_clear(&d.purged);
    position_clear(&d.ours);
    return st;
}

static enum weir_status
mysql_verify(struct source *src, struct weir_err *err)
{
    bool             on;
    enum weir_status st = read_gtid_mode(src, &on, err);

    if (st != WEIR_OK) {
        return st;
    }
    if (on && *src->at.gtid) {
        st = verify_gtids(src, err);
    }
    if (st != WEIR_OK || goes_by_gtids(src, on)) {
        return st;
    }
    if (!*src->at.file) {
        return weir_fail(err, WEIR_FATAL,
                         "%s can't go on behind GTIDs %.200s, as its gtid_mode "
                         "is not ON: switch it on, or start by file",
                         src->name, src->at.gtid);
    }
    st = server_has_file(src, err);
    /* A set that lacks what came before would be no place to go on from: with
     * gtid_mode switched on, all of that would be sent again. */
    return st == WEIR_OK && !*src->at.gtid && src->at.offset > 4
               ? gtids_before(src, err)
               : st;
}

/* ---- The dump */

/* With this the server knows a second connection of ours for what it is: it
 * ends the first.  Without, SHOW REPLICAS shows nothing there. */
static void
make_uuid(const struct source *src, char out[40])
{
    snprintf(out, 40, "77656972-0000-4000-8000-0000%08" PRIx32,
             src->server_id);
}

static enum weir_status
mysql_session(struct source *src, struct weir_err *err)
{
    char          uuid[40], sql[512];
    const int64_t period = src->conf->heartbeat * 1000000;

    make_uuid(src, uuid);
    /* All by both names, as each release knows one or both.  The first sends
     * checksums, without which the server refuses. */
    snprintf(sql, sizeof sql,
             "SET @master_binlog_checksum = @@GLOBAL.binlog_checksum, "
             "@source_binlog_checksum = @@GLOBAL.binlog_checksum, "
             "@master_heartbeat_period = %" PRId64 ", "
             "@source_heartbeat_period = %" PRId64 ", "
             "@slave_uuid = '%s', @replica_uuid = '%s'",
             period, period, uuid, uuid);
    return conn_query(&src->dump, sql, NULL, err);
}

static enum weir_status
dump_gtids(struct source *src, struct weir_err *err)
{
    enum { FIXED = 2 + 4 + 4 + 8 + 4 };
    unsigned char *code;
    size_t         len;

    if (!gtid_code_make(str_of(src->at.gtid), &code, &len)) {
        return weir_fail(err, WEIR_RETRY, "%s gives as its GTIDs \"%.200s\"",
                         src->name, src->at.gtid);
    }
    unsigned char *const body = malloc(FIXED + len);
    if (!body) {
        abort();
    }
    /* Flags: wait at the end, heartbeats of the first kind, tags kept. */
    put_le(body, 0, 2);
    put_le(body + 2, src->server_id, 4);
    put_le(body + 6, 0, 4); /* no file name: the GTIDs say it */
    put_le(body + 10, 4, 8);
    put_le(body + 18, len, 4);
    memcpy(body + FIXED, code, len);
    const enum weir_status st = dump_command(&src->dump, BINLOG_DUMP_GTID,
                                             body, FIXED + len, err);
    free(body);
    free(code);
    return st;
}

static enum weir_status
mysql_dump(struct source *src, struct weir_err *err)
{
    bool             on = false;
    enum weir_status st = mysql_session(src, err);

    if (st == WEIR_OK) {
        st = read_gtid_mode(src, &on, err);
    }
    if (st != WEIR_OK) {
        return st;
    }
    return goes_by_gtids(src, on) ? dump_gtids(src, err)
                                  : server_dump_file(src, false, err);
}

/* ---- Why it was refused */

static enum weir_status
mysql_explain(struct source *src, const char *reason, struct weir_err *err)
{
    struct weir_err  ignored;
    struct result    r;
    enum weir_status st;

    if (strstr(reason, "same server_uuid/server_id")) {
        return server_collision(src, err);
    }
    /* gtid_mode was switched.  The place that was reached is exact, if it is
     * the same server's. */
    if (strstr(reason, "anonymous transaction") && src->nhosts < 2 &&
        src->conf->identity != IDENTITY_NONE) {
        src->by_file = true;
        return weir_fail(err, WEIR_RETRY, "%s has transactions without GTIDs "
                         "in its log: going on by file and offset", src->name);
    }
    if (strstr(reason, "purged required binary logs") ||
        strstr(reason, "purged binary logs containing")) {
        if (conn_open(&src->ask, &ignored) == WEIR_OK &&
            conn_row(&src->ask, "SELECT @@GLOBAL.gtid_purged", 1, &r,
                     &ignored) == WEIR_OK) {
            st = fail_purged(src, result_str(&r, 0).data, err);
            result_free(&r);
            return st;
        }
    }
    return server_refused(src, reason, err);
}

static const char *
mysql_replication(const struct source *src)
{
    /* The new name came with 8.0.22, the old one went with 8.4. */
    return src->major > 8 || (src->major == 8 && src->minor >= 2)
               ? "SHOW REPLICA STATUS"
               : "SHOW SLAVE STATUS";
}

const struct flavour flavour_mysql = {
    .name = "MySQL",
    .major = 5, .minor = 6,
    .key_order = "ORDER BY INDEX_NAME <> 'PRIMARY', INDEX_NAME, SEQ_IN_INDEX",
    .describe_set = "SET SESSION "
                    "show_gipk_in_create_table_and_information_schema = ON",
    .replicas = "SHOW REPLICAS",
    .status = mysql_status,
    .monitor = mysql_monitor,
    .replication = mysql_replication,
    .executed = mysql_executed,
    .compare = mysql_compare,
    .identify = mysql_identify,
    .locate = mysql_locate,
    .verify = mysql_verify,
    .session = mysql_session,
    .dump = mysql_dump,
    .explain = mysql_explain,
};
