/*
 * connect.c - a connection: options said explicitly in both directions,
 * statements, and results.  Uses the library's non-blocking calls, so that
 * a stop is seen while a connect or a statement is on its way.  Knows nothing
 * of binlogs.
 */
#include "source_mysql.h"

#include <errmsg.h>
#include <errno.h>
#include <inttypes.h>
#include <mysqld_error.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Names are looked up on the stack of the library's coroutine, whose default
 * of 60 KiB is small for that. */
#define COROUTINE_STACK_BYTES ((size_t)512 << 10)

/* A statement of ours that takes longer than this is given up. */
#define QUERY_TIMEOUT_MS 60000

/* A server's ER_SECURE_TRANSPORT_REQUIRED. */
#define SECURE_TRANSPORT_REQUIRED 3159

int64_t
now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- Waiting */

static short
wait_events(int status)
{
    return (short)((status & MYSQL_WAIT_READ ? POLLIN : 0) |
                   (status & MYSQL_WAIT_WRITE ? POLLOUT : 0) |
                   (status & MYSQL_WAIT_EXCEPT ? POLLPRI : 0));
}

/* What the library waits for has come: `status` for its next step.  A stop and
 * a passed deadline end the call in order, as the library's own timeout. */
static int
conn_wait(struct conn *c, int status, int64_t deadline_ms)
{
    struct pollfd p[2] = {
        { .fd = mysql_get_socket(c->mysql), .events = wait_events(status) },
        { .fd = weir_stop_fd(c->src->in), .events = POLLIN },
    };

    if (c->src->stopping) {
        return MYSQL_WAIT_TIMEOUT;
    }
    for (;;) {
        const int64_t left = deadline_ms - now_ms();
        const int     n = left > 0 ? poll(p, 2, (int)left) : 0;
        if (n == -1 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return MYSQL_WAIT_TIMEOUT;
        }
        break;
    }
    if (p[1].revents) {
        c->src->stopping = true;
        return MYSQL_WAIT_TIMEOUT;
    }
    const int ready = (p[0].revents & POLLIN ? MYSQL_WAIT_READ : 0) |
                      (p[0].revents & POLLOUT ? MYSQL_WAIT_WRITE : 0) |
                      (p[0].revents & POLLPRI ? MYSQL_WAIT_EXCEPT : 0);
    return ready ? ready : status & ~MYSQL_WAIT_TIMEOUT;
}

/* ---- Errors */

/* Who may come in, and how: a person has to do something, and then it works
 * without a restart (a password was changed here or there). */
static bool
is_denied(unsigned code)
{
    return code == ER_ACCESS_DENIED_ERROR || code == ER_DBACCESS_DENIED_ERROR ||
           code == ER_ACCESS_DENIED_NO_PASSWORD_ERROR ||
           code == ER_HOST_NOT_PRIVILEGED || code == ER_HOST_IS_BLOCKED;
}

static enum weir_status
classify(unsigned code)
{
    switch (code) {
    case CR_AUTH_PLUGIN_CANNOT_LOAD:
    case SECURE_TRANSPORT_REQUIRED:
        return WEIR_FATAL;
    default:
        return WEIR_RETRY;
    }
}

enum weir_status
conn_fail(struct conn *c, const char *what, struct weir_err *err)
{
    const unsigned code = mysql_errno(c->mysql); /* before any other call */

    if (c->src->stopping) {
        return weir_fail(err, WEIR_RETRY, "%s: asked to stop", what);
    }
    if (code == 0) {
        return weir_fail(err, WEIR_RETRY, "%s: no reason given", what);
    }
    return weir_fail(err, classify(code), "%s: %.300s (error %u)", what,
                     mysql_error(c->mysql), code);
}

/* Said once as an error: a person has to do something, and attempts go on. */
static void
say_what_to_do(struct source *src, unsigned code)
{
    if (src->stopping || src->denied) {
        return;
    }
    if (is_denied(code)) {
        src->denied = true;
        weir_log(src->in, WEIR_ERROR,
                 "%s lets nobody in as %s: mend the account there, or the "
                 "password here (password_file is read at each attempt)%s; "
                 "attempts go on", src->name, src->conf->user,
                 src->conf->tls == TLS_OFF
                     ? ", or set tls if the account requires it" : "");
    } else if (code == CR_SSL_CONNECTION_ERROR) {
        src->denied = true;
        weir_log(src->in, WEIR_ERROR,
                 "no TLS with %s: look at its certificate%s; attempts go on",
                 src->name, src->conf->tls == TLS_VERIFY
                                ? ", which tls = verify wants made for this "
                                  "host by one that tls_ca knows"
                                : " and settings");
    }
}

static enum weir_status
connect_fail(struct conn *c, struct weir_err *err)
{
    const unsigned code = mysql_errno(c->mysql);
    char           what[320];

    snprintf(what, sizeof what, "connect to %s as %s", c->src->name,
             c->src->conf->user);
    const enum weir_status st = conn_fail(c, what, err);
    say_what_to_do(c->src, code);
    if (is_denied(code) && !c->src->stopping) {
        const struct weir_err said = *err;
        return weir_fail(err, st, "%s; mend the account there or the password "
                         "here", said.text);
    }
    return code == SECURE_TRANSPORT_REQUIRED && !c->src->stopping
               ? weir_fail(err, st, "%s: the server wants TLS: set tls = "
                           "verify (or on, which verifies nobody)", what)
               : st;
}

/* ---- Connecting */

static void
set_options(MYSQL *m, const struct mysql_conf *conf)
{
    const unsigned connect_sec =
        (unsigned)((conf->connect_timeout + 999) / 1000);
    /* Guards what can't be polled for: the rest of a packet half read. */
    const unsigned read_sec = (unsigned)((conf->heartbeat * 4 + 4999) / 1000);
    const unsigned write_sec = 30;
    const size_t   stack = COROUTINE_STACK_BYTES;

    mysql_options(m, MYSQL_OPT_NONBLOCK, &stack);
    mysql_options(m, MYSQL_OPT_CONNECT_TIMEOUT, &connect_sec);
    mysql_options(m, MYSQL_OPT_READ_TIMEOUT, &read_sec);
    mysql_options(m, MYSQL_OPT_WRITE_TIMEOUT, &write_sec);
}

static enum weir_status
connect_with(struct conn *c, const char *password, struct weir_err *err)
{
    const struct mysql_conf *conf = c->src->conf;
    const char  *socket = conf->socket && *conf->socket ? conf->socket : NULL;
    MYSQL       *done = NULL;
    const int64_t deadline = now_ms() + conf->connect_timeout;

    /* A host of NULL or "localhost" is the socket, given or the default. */
    int status = mysql_real_connect_start(
        &done, c->mysql, socket ? NULL : c->src->host, conf->user, password,
        NULL, (unsigned)c->src->port, socket, CLIENT_REMEMBER_OPTIONS);
    while (status) {
        status = mysql_real_connect_cont(&done, c->mysql,
                                         conn_wait(c, status, deadline));
    }
    return done ? WEIR_OK : connect_fail(c, err);
}

static struct client_tls
tls_of(const struct mysql_conf *conf)
{
    return (struct client_tls){ conf->tls, conf->tls_ca, conf->tls_cert,
                                conf->tls_key };
}

static enum weir_status
login(struct conn *c, struct weir_err *err)
{
    struct source           *src = c->src;
    const struct client_tls  tls = tls_of(src->conf);
    char                    *password;

    enum weir_status st = client_password(src->in, src->conf->password,
                                          src->conf->password_file, &password,
                                          err);
    if (st != WEIR_OK) {
        return st;
    }
    set_options(c->mysql, src->conf);
    client_options(c->mysql, &tls);
    st = connect_with(c, password, err);
    client_forget(password);
    return st == WEIR_OK ? client_encrypted(c->mysql, src->in, &tls, src->name,
                                            &src->unverified, err)
                         : st;
}

enum weir_status
conn_open(struct conn *c, struct weir_err *err)
{
    conn_close(c);
    c->mysql = mysql_init(NULL);
    if (!c->mysql) {
        return weir_fail(err, WEIR_RETRY, "connect to %s: out of memory",
                         c->src->name);
    }
    enum weir_status st = login(c, err);
    if (st == WEIR_OK) {
        c->src->denied = false;
        /* Quoting, and what information_schema prints, go by these. */
        st = conn_query(c, "SET SESSION sql_mode = '', time_zone = '+00:00'",
                        NULL, err);
    }
    if (st != WEIR_OK) {
        conn_close(c);
    }
    return st;
}

void
conn_close(struct conn *c)
{
    if (c->mysql) {
        mysql_close(c->mysql);
        c->mysql = NULL;
    }
}

int
conn_fd(const struct conn *c)
{
    return (int)mysql_get_socket(c->mysql);
}

const char *
conn_cipher(const struct conn *c, char *out, size_t room)
{
    const char *cipher = mysql_get_ssl_cipher(c->mysql);
    const char *version = NULL;

    mariadb_get_infov(c->mysql, MARIADB_CONNECTION_TLS_VERSION, &version);
    snprintf(out, room, "%s%s%s", cipher && version ? version : "",
             cipher && version ? ", " : "", cipher ? cipher : "");
    return out;
}

/* ---- Statements */

static enum weir_status
query_result(struct conn *c, const char *what, struct result *out,
             int64_t deadline, struct weir_err *err)
{
    int status = mysql_store_result_start(&out->res, c->mysql);
    while (status) {
        status = mysql_store_result_cont(&out->res, c->mysql,
                                         conn_wait(c, status, deadline));
    }
    if (out->res) {
        out->ncells = mysql_num_fields(out->res);
        return WEIR_OK;
    }
    if (mysql_errno(c->mysql) == 0 && !c->src->stopping) {
        return weir_fail(err, WEIR_RETRY,
                         "%s: no result comes with the answer", what);
    }
    return conn_fail(c, what, err);
}

enum weir_status
conn_query(struct conn *c, const char *sql, struct result *out,
           struct weir_err *err)
{
    const int64_t deadline = now_ms() + QUERY_TIMEOUT_MS;
    int           failed = 0;
    char          what[400];

    if (out) {
        *out = (struct result){ 0 };
    }
    snprintf(what, sizeof what, "%s: %.110s", c->src->name, sql);
    if (c->src->stopping) {
        return weir_fail(err, WEIR_RETRY, "%s: asked to stop", what);
    }
    int status = mysql_real_query_start(&failed, c->mysql, sql, strlen(sql));
    while (status) {
        status = mysql_real_query_cont(&failed, c->mysql,
                                       conn_wait(c, status, deadline));
    }
    if (failed) {
        return conn_fail(c, what, err);
    }
    if (out) {
        return query_result(c, what, out, deadline, err);
    }
    if (mysql_field_count(c->mysql) != 0) {
        return weir_fail(err, WEIR_RETRY, "%s: an unexpected result", what);
    }
    return WEIR_OK;
}

char *
conn_quote(struct conn *c, struct weir_str text)
{
    char *out = malloc(text.len * 2 + 3);

    if (!out) {
        abort();
    }
    out[0] = '\'';
    const size_t n =
        mysql_real_escape_string(c->mysql, out + 1, text.data, text.len);
    memcpy(out + 1 + n, "'", 2);
    return out;
}

enum weir_status
conn_row(struct conn *c, const char *sql, unsigned ncells, struct result *r,
         struct weir_err *err)
{
    const enum weir_status st = conn_query(c, sql, r, err);

    if (st != WEIR_OK) {
        return st;
    }
    if (r->ncells < ncells || !result_next(r)) {
        result_free(r);
        return weir_fail(err, WEIR_RETRY, "%s answers \"%.100s\" with no row",
                         c->src->name, sql);
    }
    return WEIR_OK;
}
