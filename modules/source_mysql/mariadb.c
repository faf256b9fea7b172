/*
 * mariadb.c - what is MariaDB's own: who a server is, where its history begins
 * and ends, whether it can go on behind a position, and how a dump is asked
 * for.  Judges only what is certain; where the server knows better (holes,
 * domains with several writers) it is asked, and its refusal explained.
 */
#include "source_mysql.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A dump's events arrive as they were written, GTIDs included, only for who
 * says that it knows them: MARIA_SLAVE_CAPABILITY_MINE, sql/sql_repl.cc. */
#define CAPABILITY "4"

/* ---- Who it is */

static enum weir_status
mariadb_identify(struct source *src, char *id, size_t room,
                 struct weir_err *err)
{
    struct result r;

    *id = '\0';
    if (src->conf->identity == IDENTITY_NONE) {
        return WEIR_OK;
    }
    enum weir_status st =
        conn_row(&src->dump, "SELECT @@server_id, @@port, @@hostname", 3, &r,
                err);
    if (st != WEIR_OK) {
        return st;
    }
    if (src->conf->identity == IDENTITY_SERVER_ID) {
        snprintf(id, room, "server_id:%.*s", STR_ARG(result_str(&r, 0)));
    } else {
        snprintf(id, room, "host:%.*s:%.*s:%.*s", STR_ARG(result_str(&r, 2)),
                 STR_ARG(result_str(&r, 1)), STR_ARG(result_str(&r, 0)));
    }
    result_free(&r);
    if (src->conf->identity == IDENTITY_SERVER_ID) {
        return WEIR_OK;
    }
    /* Only newer releases of each series have it. */
    st = conn_query(&src->dump, "SHOW GLOBAL VARIABLES LIKE 'server_uid'", &r,
                    err);
    if (st == WEIR_OK && result_next(&r) && result_str(&r, 1).len > 0) {
        snprintf(id, room, "uid:%.*s", STR_ARG(result_str(&r, 1)));
    }
    result_free(&r);
    return st;
}

/* ---- Where its history begins and ends */

static enum weir_status
gtid_at(struct conn *c, const struct position *p, char **out,
        struct weir_err *err)
{
    struct result r;
    char          sql[800];
    char *const   file = conn_quote(
        c, (struct weir_str){ p->file, strlen(p->file) });

    snprintf(sql, sizeof sql, "SELECT BINLOG_GTID_POS(%.600s, %" PRIu64 ")",
             file, p->offset);
    free(file);
    const enum weir_status st = conn_row(c, sql, 1, &r, err);
    if (st == WEIR_OK) {
        const struct weir_str s = result_str(&r, 0);
        *out = strndup(s.data, s.len);
        result_free(&r);
        if (!*out) {
            abort();
        }
    }
    return st;
}

static enum weir_status
variable_read(struct conn *c, const char *name, struct position *out,
              struct weir_err *err)
{
    struct result r;
    char          sql[80];

    snprintf(sql, sizeof sql, "SELECT @@GLOBAL.%s", name);
    const enum weir_status st = conn_row(c, sql, 1, &r, err);
    if (st == WEIR_OK) {
        position_set(out, result_str(&r, 0), (struct weir_str){ "", 0 }, 0);
        result_free(&r);
    }
    return st;
}

static enum weir_status
status_read(struct conn *c, struct position *out, struct weir_err *err)
{
    struct result r;
    const enum weir_status st = conn_row(c, "SHOW MASTER STATUS", 2, &r, err);

    if (st == WEIR_OK) {
        position_set(out, (struct weir_str){ out->gtid, out->gtid ? strlen(
                         out->gtid) : 0 }, result_str(&r, 0),
                     result_u64(&r, 1));
        result_free(&r);
    }
    return st;
}

/* The two that describe the end can't be read in one statement: a GTID set
 * that is the same before and after the file's end was read belongs to it. */
static enum weir_status
locate_end(struct conn *c, struct position *out, struct weir_err *err)
{
    struct position  after = { 0 };
    enum weir_status st = variable_read(c, "gtid_binlog_pos", out, err);

    for (int tries = 0; st == WEIR_OK && tries < 20; tries++) {
        st = status_read(c, out, err);
        if (st == WEIR_OK) {
            st = variable_read(c, "gtid_binlog_pos", &after, err);
        }
        if (st != WEIR_OK || strcmp(out->gtid, after.gtid) == 0) {
            position_clear(&after);
            return st;
        }
        position_set(out, (struct weir_str){ after.gtid, strlen(after.gtid) },
                     (struct weir_str){ out->file, strlen(out->file) },
                     out->offset);
    }
    position_clear(&after);
    if (st == WEIR_OK) { /* too busy for that: let the server work it out */
        free(out->gtid);
        out->gtid = NULL;
        st = gtid_at(c, out, &out->gtid, err);
    }
    return st;
}

static enum weir_status
mariadb_locate(struct source *src, struct conn *c, enum start_kind kind,
               struct position *out, struct weir_err *err)
{
    (void)src;
    return kind == START_EARLIEST ? server_first(c, out, err)
                                  : locate_end(c, out, err);
}

/* ---- Whether it can go on behind a position */

/* By what it says of the last transaction of each domain and server.  A server
 * asked for a dump lets a domain pass that it knows nothing of, and so all of
 * them after a RESET MASTER (10.11: check_slave_start_position() of
 * sql/sql_repl.cc).  `*same`: its last of that domain and server, or NULL. */
static bool
is_known(struct gtid ours, const struct gtid_list *state,
         const struct gtid **same, bool *domain)
{
    *same = NULL;
    *domain = false;
    for (size_t i = 0; i < state->n; i++) {
        *domain |= state->items[i].domain == ours.domain;
        if (state->items[i].domain == ours.domain &&
            state->items[i].server == ours.server) {
            *same = &state->items[i];
        }
    }
    return *same && (*same)->seq >= ours.seq;
}

/* FATAL if the server has not executed `ours`. */
static enum weir_status
verify_known(struct source *src, struct gtid ours,
             const struct gtid_list *state, const char *state_text,
             struct weir_err *err)
{
    const struct gtid *same;
    bool               domain;

    if (is_known(ours, state, &same, &domain)) {
        return WEIR_OK;
    }
    return weir_fail(
        err, WEIR_FATAL,
        "%s has not executed GTID %" PRIu32 "-%" PRIu32 "-%" PRIu64 ", %s; it "
        "is at %.100s. It was restored, reset or is another server's copy: "
        "bring it to that state; or begin anew: remove this pipeline's "
        "state, so that start applies again, and copy its tables",
        src->name, ours.domain, ours.server, ours.seq,
        same     ? "which comes behind its own end"
        : domain ? "of a server it has nothing from in that domain"
                 : "of a domain it knows nothing of",
        *state_text ? state_text : "no transaction at all");
}

static bool
is_purged(const struct gtid_list *ours, const struct gtid_list *first)
{
    for (size_t i = 0; i < first->n; i++) {
        const struct gtid *g = &first->items[i];
        bool               found = false;
        for (size_t j = 0; j < ours->n; j++) {
            const struct gtid *o = &ours->items[j];
            if (o->domain != g->domain) {
                continue;
            }
            found = true;
            if (o->server == g->server && o->seq < g->seq) {
                return true;
            }
        }
        if (!found) {
            return true;
        }
    }
    return false;
}

static enum weir_status
fail_purged(struct source *src, const struct position *first,
            struct weir_err *err)
{
    char at[160];

    return weir_fail(err, WEIR_FATAL,
                     "%s no longer has what comes behind %s: its oldest "
                     "binlog, %.64s, begins behind GTID %.120s. To go on, "
                     MEND, src->name, position_text(&src->at, at, sizeof at),
                     first->file, *first->gtid ? first->gtid : "(none)");
}

static enum weir_status
first_with_gtid(struct conn *c, struct position *out, struct weir_err *err)
{
    enum weir_status st = server_first(c, out, err);

    if (st == WEIR_OK) {
        free(out->gtid);
        out->gtid = NULL;
        st = gtid_at(c, out, &out->gtid, err);
    }
    return st;
}

static enum weir_status
compare_lists(struct source *src, const struct position *state,
              const struct position *first, struct weir_err *err)
{
    struct gtid_list ours = { 0 }, known = { 0 }, oldest = { 0 };
    enum weir_status st = WEIR_OK;

    if (!gtid_list_parse((struct weir_str){ src->at.gtid,
                                            strlen(src->at.gtid) }, &ours)) {
        st = weir_fail(err, WEIR_FATAL, "\"%.200s\" is no list of MariaDB "
                       "GTIDs, and %s is a MariaDB", src->at.gtid, src->name);
    } else if (!gtid_list_parse((struct weir_str){ state->gtid,
                                strlen(state->gtid) }, &known) ||
               !gtid_list_parse((struct weir_str){ first->gtid,
                                strlen(first->gtid) }, &oldest)) {
        st = weir_fail(err, WEIR_RETRY, "%s gives as its GTIDs \"%.100s\" and "
                       "\"%.100s\"", src->name, state->gtid, first->gtid);
    }
    for (size_t i = 0; st == WEIR_OK && i < ours.n; i++) {
        st = verify_known(src, ours.items[i], &known, state->gtid, err);
    }
    if (st == WEIR_OK && is_purged(&ours, &oldest)) {
        st = fail_purged(src, first, err);
    }
    gtid_list_free(&ours);
    gtid_list_free(&known);
    gtid_list_free(&oldest);
    return st;
}

static enum weir_status
verify_gtid(struct source *src, struct weir_err *err)
{
    struct position  state = { 0 }, first = { 0 };
    enum weir_status st =
        variable_read(&src->dump, "gtid_binlog_state", &state, err);

    if (st == WEIR_OK) {
        st = first_with_gtid(&src->dump, &first, err);
    }
    if (st == WEIR_OK) {
        st = compare_lists(src, &state, &first, err);
    }
    position_clear(&state);
    position_clear(&first);
    return st;
}

static enum weir_status
mariadb_verify(struct source *src, struct weir_err *err)
{
    char            *before = NULL;
    enum weir_status st = *src->at.gtid ? verify_gtid(src, err)
                                        : server_has_file(src, err);

    if (st != WEIR_OK || *src->at.gtid || src->at.offset <= 4) {
        return st;
    }
    /* What comes before counts as had, in every domain: a list of only what
     * comes later would have all else sent from its beginning. */
    st = gtid_at(&src->dump, &src->at, &before, err);
    if (st == WEIR_OK) {
        free(src->at.gtid);
        src->at.gtid = before;
    }
    return st;
}

static enum weir_status
mariadb_executed(struct source *src, struct position *out,
                 struct weir_err *err)
{
    return variable_read(&src->dump, "gtid_binlog_state", out, err);
}

static void
note_lacks(const struct gtid_list *ours, const struct gtid_list *known,
           struct position *lacks)
{
    const struct gtid *same;
    bool               domain;
    char              *text = NULL;
    size_t             len;
    FILE *const        out = open_memstream(&text, &len);

    if (!out) {
        abort();
    }
    for (size_t i = 0; i < ours->n; i++) {
        const struct gtid g = ours->items[i];
        if (!is_known(g, known, &same, &domain)) {
            fprintf(out, "%s%" PRIu32 "-%" PRIu32 "-%" PRIu64,
                    ftell(out) > 0 ? "," : "", g.domain, g.server, g.seq);
        }
    }
    if (fclose(out) != 0) {
        abort();
    }
    position_set(lacks, (struct weir_str){ text, len },
                 (struct weir_str){ "", 0 }, 0);
    free(text);
}

static enum weir_status
mariadb_compare(struct source *src, bool *by_gtid, struct position *lacks,
                struct weir_err *err)
{
    struct position  state = { 0 };
    struct gtid_list ours = { 0 }, known = { 0 };
    enum weir_status st = mariadb_executed(src, &state, err);

    *by_gtid = true;
    if (st == WEIR_OK &&
        !gtid_list_parse((struct weir_str){ src->at.gtid,
                                            strlen(src->at.gtid) }, &ours)) {
        st = weir_fail(err, WEIR_FATAL, "\"%.200s\" is no list of MariaDB "
                       "GTIDs, and %s is a MariaDB", src->at.gtid, src->name);
    } else if (st == WEIR_OK &&
               !gtid_list_parse((struct weir_str){ state.gtid,
                                                   strlen(state.gtid) },
                                &known)) {
        st = weir_fail(err, WEIR_RETRY, "%s gives as its GTIDs \"%.100s\"",
                       src->name, state.gtid);
    }
    if (st == WEIR_OK) {
        note_lacks(&ours, &known, lacks);
    }
    gtid_list_free(&ours);
    gtid_list_free(&known);
    position_clear(&state);
    return st;
}

/* ---- The dump */

static enum weir_status
set_gtid(struct source *src, struct weir_err *err)
{
    /* Strict: a position in a hole of the server's history is refused. */
    static const char form[] =
        "SET @slave_connect_state = %s, @slave_gtid_strict_mode = 1, "
        "@slave_gtid_ignore_duplicates = 0";
    char *const  gtid = conn_quote(&src->dump,
                                   (struct weir_str){ src->at.gtid,
                                                      strlen(src->at.gtid) });
    const size_t room = sizeof form + strlen(gtid);
    char *const  sql = malloc(room);

    if (!sql) {
        abort();
    }
    snprintf(sql, room, form, gtid);
    const enum weir_status st = conn_query(&src->dump, sql, NULL, err);
    free(sql);
    free(gtid);
    return st;
}

static enum weir_status
mariadb_session(struct source *src, struct weir_err *err)
{
    char sql[160];

    /* The first sends checksums, without which the server refuses. */
    snprintf(sql, sizeof sql,
             "SET @master_binlog_checksum = @@GLOBAL.binlog_checksum, "
             "@mariadb_slave_capability = " CAPABILITY ", "
             "@master_heartbeat_period = %" PRId64,
             src->conf->heartbeat * 1000000);
    return conn_query(&src->dump, sql, NULL, err);
}

static enum weir_status
mariadb_dump(struct source *src, struct weir_err *err)
{
    unsigned char    body[10];
    enum weir_status st = mariadb_session(src, err);

    if (st == WEIR_OK && !*src->at.gtid) {
        return server_dump_file(src, false, err);
    }
    if (st == WEIR_OK) {
        st = set_gtid(src, err);
    }
    if (st != WEIR_OK) {
        return st;
    }
    put_le(body, 4, 4);
    put_le(body + 4, 0, 2); /* no annotate events, and wait at the end */
    put_le(body + 6, src->server_id, 4);
    return dump_command(&src->dump, COM_BINLOG_DUMP, body, sizeof body, err);
}

/* ---- Why it was refused */

static enum weir_status
mariadb_explain(struct source *src, const char *reason, struct weir_err *err)
{
    struct position first = { 0 };
    struct weir_err ignored;

    if (strstr(reason, "same server_uuid/server_id")) {
        return server_collision(src, err);
    }
    if (strstr(reason, "have been purged") ||
        strstr(reason, "Could not find GTID state")) {
        if (conn_open(&src->ask, &ignored) == WEIR_OK &&
            first_with_gtid(&src->ask, &first, &ignored) == WEIR_OK) {
            const enum weir_status st = fail_purged(src, &first, err);
            position_clear(&first);
            return st;
        }
        position_clear(&first);
    }
    return server_refused(src, reason, err);
}

static const char *
mariadb_status(const struct source *src)
{
    (void)src;
    return "SHOW MASTER STATUS";
}

static const char *
mariadb_monitor(const struct source *src)
{
    return src->major > 10 || src->minor >= 5 ? "BINLOG MONITOR"
                                              : "REPLICATION CLIENT";
}

static const char *
mariadb_replication(const struct source *src)
{
    (void)src;
    return "SHOW ALL SLAVES STATUS";
}

const struct flavour flavour_mariadb = {
    .name = "MariaDB",
    .major = 10,
    .minor = 3,
    .json_by_check = true,
    .key_order = "", /* as the server keeps them: the primary one first */
    .replicas = "SHOW SLAVE HOSTS",
    .status = mariadb_status,
    .monitor = mariadb_monitor,
    .replication = mariadb_replication,
    .executed = mariadb_executed,
    .compare = mariadb_compare,
    .identify = mariadb_identify,
    .locate = mariadb_locate,
    .verify = mariadb_verify,
    .session = mariadb_session,
    .dump = mariadb_dump,
    .explain = mariadb_explain,
};
