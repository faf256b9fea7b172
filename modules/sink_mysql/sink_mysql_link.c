/*
 * sink_mysql_link.c - the connection to the target: options said explicitly in
 * both directions, the session pinned, statements, results, and what an error
 * of the server means for what was tried.  Knows no rows.
 */
#include "sink_mysql.h"

#include <errmsg.h>
#include <mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Codes of one flavour that the other's headers don't have. */
enum {
    MYSQL_SECURE_TRANSPORT_REQUIRED = 3159,
    MYSQL_CLIENT_INTERACTION_TIMEOUT = 4031,
    MYSQL_INNODB_READ_ONLY = 1874,
    MYSQL_READ_ONLY_MODE = 1836,
    MYSQL_DISK_FULL_NOWAIT = 3185,
    MARIADB_CONNECTION_KILLED = 1927,
    MARIADB_STATEMENT_TIMEOUT = 1969,
    MYSQL_QUERY_TIMEOUT = 3024,
    MYSQL_HOOK_ERROR = 3100,
    MYSQL_ROLLED_BACK_AT_COMMIT = 3101,
};

enum { A_DAY = 86400, LOCK_WAIT = 5, LEAST_IDLE = 10 };

/* ---- Errors */

/* What waiting mends: another transaction, a server that is being started,
 * switched to read-only, or out of room. */
static bool
may_work_later(unsigned code)
{
    static const unsigned codes[] = {
        ER_LOCK_DEADLOCK, ER_LOCK_WAIT_TIMEOUT, ER_CON_COUNT_ERROR,
        ER_TOO_MANY_USER_CONNECTIONS, ER_USER_LIMIT_REACHED,
        ER_SERVER_SHUTDOWN, ER_NORMAL_SHUTDOWN, ER_QUERY_INTERRUPTED,
        ER_OPTION_PREVENTS_STATEMENT, ER_DISK_FULL, ER_RECORD_FILE_FULL,
        ER_ERROR_ON_WRITE, ER_OUTOFMEMORY, ER_OUT_OF_SORTMEMORY,
        ER_OUT_OF_RESOURCES, ER_LOCK_TABLE_FULL, ER_TABLE_DEF_CHANGED,
        ER_CHECKREAD, ER_UNKNOWN_COM_ERROR, ER_NEW_ABORTING_CONNECTION,
        ER_ABORTING_CONNECTION, ER_CANT_LOCK, ER_ERROR_DURING_COMMIT,
        ER_XA_RBDEADLOCK, MYSQL_READ_ONLY_MODE, MYSQL_INNODB_READ_ONLY,
        MYSQL_DISK_FULL_NOWAIT, MARIADB_CONNECTION_KILLED,
        MYSQL_CLIENT_INTERACTION_TIMEOUT, MARIADB_STATEMENT_TIMEOUT,
        MYSQL_QUERY_TIMEOUT, MYSQL_HOOK_ERROR, MYSQL_ROLLED_BACK_AT_COMMIT,
        ER_TOO_MANY_CONCURRENT_TRXS, ER_GET_ERRNO,
        ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION,
        /* The account: mended there or in password_file, and then it works. */
        ER_ACCESS_DENIED_ERROR, ER_DBACCESS_DENIED_ERROR,
        ER_ACCESS_DENIED_NO_PASSWORD_ERROR, ER_HOST_NOT_PRIVILEGED,
        ER_HOST_IS_BLOCKED, ER_MUST_CHANGE_PASSWORD_LOGIN,
    };

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (codes[i] == code) {
            return true;
        }
    }
    return false;
}

static enum weir_status
classify(unsigned code)
{
    if (code == CR_NET_PACKET_TOO_LARGE) {
        return WEIR_REJECT;
    }
    if (code == CR_AUTH_PLUGIN_CANNOT_LOAD ||
        code == MYSQL_SECURE_TRANSPORT_REQUIRED ||
        code == ER_SPECIFIC_ACCESS_DENIED_ERROR ||
        code == ER_TRANS_CACHE_FULL ||
        code == ER_BINLOG_STMT_MODE_AND_ROW_ENGINE) {
        return WEIR_FATAL;
    }
    if ((code >= CR_MIN_ERROR && code <= CR_MAX_ERROR) ||
        (code >= CER_MIN_ERROR && code <= CER_MAX_ERROR) ||
        may_work_later(code)) {
        return WEIR_RETRY;
    }
    return WEIR_REJECT;
}

static const char *
advice(unsigned code)
{
    switch (code) {
    case ER_NET_PACKET_TOO_LARGE:
    case CR_NET_PACKET_TOO_LARGE:
        return "; raise max_allowed_packet on the target";
    case ER_OPTION_PREVENTS_STATEMENT:
    case MYSQL_READ_ONLY_MODE:
        return "; the target is read-only: write to its primary, or switch "
               "read_only off; attempts go on";
    case ER_DISK_FULL:
    case ER_RECORD_FILE_FULL:
        return "; make room on the target; attempts go on";
    case ER_ACCESS_DENIED_ERROR:
    case ER_DBACCESS_DENIED_ERROR:
    case ER_ACCESS_DENIED_NO_PASSWORD_ERROR:
        return "; mend the account there, or the password here (password_file "
               "is read at each attempt); attempts go on";
    case ER_SPECIFIC_ACCESS_DENIED_ERROR:
        return "; log_bin = off takes the right to set sql_log_bin";
    case ER_TRANS_CACHE_FULL:
        return "; raise max_binlog_cache_size on the target, or say split = on";
    case ER_BINLOG_STMT_MODE_AND_ROW_ENGINE:
        return "; the target needs binlog_format = ROW or MIXED";
    case MYSQL_SECURE_TRANSPORT_REQUIRED:
        return "; the target wants TLS: set tls = verify";
    default:
        return "";
    }
}

enum weir_status
link_fail(struct sink *s, const char *what, struct weir_err *err)
{
    const unsigned         code = mysql_errno(s->link.mysql);
    const enum weir_status st = code ? classify(code) : WEIR_RETRY;

    weir_fail(err, st, "%s: %s: %.260s (error %u)%s", s->where, what,
              code ? mysql_error(s->link.mysql) : "no reason given", code,
              advice(code));
    if (code != ER_LOCK_WAIT_TIMEOUT && st != WEIR_REJECT) {
        /* Closed, the server rolls back what is open. */
        link_close(s);
    }
    return st;
}

/* ---- Connecting */

static unsigned
seconds_of(int64_t msec)
{
    return (unsigned)((msec + 999) / 1000);
}

static void
set_options(MYSQL *m, const struct mysql_conf *conf, bool patient)
{
    const unsigned connect_sec = seconds_of(conf->connect_timeout);
    const unsigned sec = patient ? A_DAY : seconds_of(conf->timeout);

    mysql_options(m, MYSQL_OPT_CONNECT_TIMEOUT, &connect_sec);
    mysql_options(m, MYSQL_OPT_READ_TIMEOUT, &sec);
    mysql_options(m, MYSQL_OPT_WRITE_TIMEOUT, &sec);
}

static enum weir_status
login(struct sink *s, struct weir_err *err)
{
    const struct mysql_conf *conf = s->conf;
    const struct client_tls  tls = { conf->tls, conf->tls_ca, conf->tls_cert,
                                     conf->tls_key };
    const char *socket = client_is_set(conf->socket) ? conf->socket : NULL;
    char       *password;

    const enum weir_status st = client_password(
        s->in, conf->password, conf->password_file, &password, err);
    if (st != WEIR_OK) {
        return st;
    }
    client_options(s->link.mysql, &tls);
    /* FOUND_ROWS: an UPDATE that changes nothing still says that the row is
     * there. */
    const bool in = mysql_real_connect(
        s->link.mysql, socket ? NULL : conf->host, conf->user, password, NULL,
        (unsigned)conf->port, socket,
        CLIENT_FOUND_ROWS | CLIENT_MULTI_STATEMENTS) != NULL;
    client_forget(password);
    return in ? client_encrypted(s->link.mysql, s->in, &tls, s->where,
                                 &s->unverified, err)
              : link_fail(s, "connect", err);
}

/* Among lanes it may be for a row of one that waits for its turn to commit: the
 * server sees no deadlock in that, and nothing but this limit ends it. */
static unsigned
lock_wait(const struct sink *s, unsigned timeout_sec)
{
    const unsigned half = timeout_sec > 2 ? timeout_sec / 2 : 1;
    const unsigned most = weir_lanes(s->in) > 1 ? 1 : LOCK_WAIT;

    return half < most ? half : most;
}

/* When a path dies without a word, the server has an open transaction left, and
 * this side can't tell it: its locks, that of the checkpoint among them, are let
 * go of then, and not after the eight hours of a server's own wait_timeout.
 * Longer than what this side waits for an answer.  MySQL knows one limit only,
 * for idle connections too: see link_open(). */
static void
put_limits(struct sink *s)
{
    struct text   *sql = &s->sql;
    const unsigned sec = seconds_of(s->conf->timeout);

    text_put(sql, s->link.mariadb ? ", idle_transaction_timeout = "
                                  : ", wait_timeout = ");
    text_u64(sql, 2 * sec > LEAST_IDLE ? 2 * sec : LEAST_IDLE);
    text_put(sql, ", innodb_lock_wait_timeout = ");
    text_u64(sql, lock_wait(s, sec));
}

/* What a statement means must not go by the target's defaults, or by what its
 * init_connect did.  A date that the source let in is let in here too; text that
 * doesn't fit is an error. */
static enum weir_status
pin_session(struct sink *s, struct weir_err *err)
{
    struct text *sql = &s->sql;

    sql->len = 0;
    text_put(sql, "SET NAMES utf8mb4, sql_mode = '" STRICT_MODES "', "
             "time_zone = '+00:00', autocommit = 1, completion_type = 0, "
             "unique_checks = 1, "
             "sql_safe_updates = 0, sql_big_selects = 1, "
             "sql_select_limit = 18446744073709551615, sql_auto_is_null = 0, "
             "foreign_key_checks = ");
    text_put(sql, s->conf->foreign_keys ? "1" : "0");
    put_limits(s);
    if (!s->conf->log_bin) {
        text_put(sql, ", sql_log_bin = 0");
    }
    /* Else a long list becomes a temporary table, which takes longer. */
    text_put(sql, "/*M!100318 , in_predicate_conversion_threshold = 0 */");
    enum weir_status st = link_run(
        s, "settings of the session",
        (struct weir_str){ sql->data, sql->len }, NULL, err);
    if (st == WEIR_OK) {
        static const char level[] =
            "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, "
            "READ WRITE";
        st = link_run(s, "isolation level",
                      (struct weir_str){ level, sizeof level - 1 }, NULL, err);
    }
    return st;
}

static enum weir_status
ask_limits(struct sink *s, struct weir_err *err)
{
    static const char sql[] =
        "SELECT @@max_allowed_packet, @@lower_case_table_names, "
        "@@explicit_defaults_for_timestamp, @@wait_timeout";
    struct result     r;

    const enum weir_status st =
        link_query(s, "limits of the target",
                   (struct weir_str){ sql, sizeof sql - 1 }, &r, err);
    if (st == WEIR_OK) {
        s->link.max_packet = result_next(&r) ? result_u64(&r, 0) : 0;
        if (s->link.max_packet < 65536) {
            s->link.max_packet = 65536;
        }
        s->link.exact_names = result_u64(&r, 1) == 0;
        s->link.null_is_now = result_u64(&r, 2) == 0;
        s->link.idle_sec = (int64_t)result_u64(&r, 3);
        result_free(&r);
    }
    return st;
}

static bool
knows_bulk(MYSQL *m)
{
    unsigned long extended = 0;

    return mariadb_get_infov(
               m, MARIADB_CONNECTION_EXTENDED_SERVER_CAPABILITIES,
               &extended) == 0 &&
           (extended & (MARIADB_CLIENT_STMT_BULK_OPERATIONS >> 32)) != 0;
}

static enum weir_status
connect_link(struct sink *s, bool patient, struct weir_err *err)
{
    s->link = (struct link){ .mysql = mysql_init(NULL) };
    if (!s->link.mysql) {
        return weir_fail(err, WEIR_RETRY, "connect to %s: no memory", s->where);
    }
    set_options(s->link.mysql, s->conf, patient);
    enum weir_status st = login(s, err);
    if (st == WEIR_OK) {
        s->link.mariadb = mariadb_connection(s->link.mysql);
        s->link.has_bulk = s->link.mariadb && knows_bulk(s->link.mysql);
        s->link.has_values = mysql_get_server_version(s->link.mysql) >=
                             (s->link.mariadb ? 100300 : 80019);
        st = pin_session(s, err);
    }
    if (st == WEIR_OK) {
        st = ask_limits(s, err);
    }
    if (st == WEIR_OK) {
        st = checkpoint_prepare(s, err);
    }
    if (st != WEIR_OK) {
        link_close(s);
        /* Nothing is known of any row yet. */
        return st == WEIR_REJECT ? WEIR_FATAL : st;
    }
    return WEIR_OK;
}

static int64_t
now_sec(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

enum weir_status
link_open(struct sink *s, struct weir_err *err)
{
    const int64_t now = now_sec();
    const bool    was_idle = s->link.mysql && !s->link.in_txn &&
                          now - s->link.used >= s->link.idle_sec / 2;

    if (was_idle && mysql_ping(s->link.mysql) != 0) {
        link_close(s);
    }
    const enum weir_status st =
        s->link.mysql ? WEIR_OK : connect_link(s, false, err);
    s->link.used = now;
    return st;
}

enum weir_status
link_open_patient(struct sink *s, struct weir_err *err)
{
    link_close(s);
    return connect_link(s, true, err);
}

void
link_close(struct sink *s)
{
    if (s->link.mysql) {
        mysql_close(s->link.mysql);
    }
    s->link = (struct link){ 0 };
}

/* ---- Statements */

enum weir_status
link_run(struct sink *s, const char *what, struct weir_str sql, uint64_t *rows,
         struct weir_err *err)
{
    if (mysql_real_query(s->link.mysql, sql.data, sql.len) != 0) {
        return link_fail(s, what, err);
    }
    if (mysql_field_count(s->link.mysql) != 0) {
        mysql_free_result(mysql_store_result(s->link.mysql));
    }
    if (rows) {
        *rows = mysql_affected_rows(s->link.mysql);
    }
    return WEIR_OK;
}

enum weir_status
link_query(struct sink *s, const char *what, struct weir_str sql,
           struct result *out, struct weir_err *err)
{
    *out = (struct result){ 0 };
    if (mysql_real_query(s->link.mysql, sql.data, sql.len) != 0) {
        return link_fail(s, what, err);
    }
    out->res = mysql_store_result(s->link.mysql);
    if (!out->res) {
        return link_fail(s, what, err);
    }
    out->ncells = mysql_num_fields(out->res);
    return WEIR_OK;
}
