/*
 * source_mysql.c - source `mysql`: a replica of a live server.  The module's
 * table and the order of things in run(); what each of them is stands in the
 * files beside it.  Knows no event and no relay.
 */
#include "source_mysql.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct weir_name identities[] = {
    { "server_uid", IDENTITY_UID },
    { "server_uuid", IDENTITY_UID },
    { "server_id", IDENTITY_SERVER_ID },
    { "none", IDENTITY_NONE },
    { NULL, 0 },
};

/* clang-format off */
#define T struct mysql_conf
static const struct weir_directive directives[] = {
    WEIR_STR(T, host, .value = "localhost",
             .help = "the server; localhost means its unix socket"),
    WEIR_LIST(T, hosts,
              .help = "several, as db1 or db1:3306, in place of host: the next "
                      "is taken when one is gone; needs GTIDs"),
    WEIR_INT(T, port, .value = "3306", .min = 1, .max = 65535,
             .help = "its TCP port"),
    WEIR_STR(T, socket, .value = "",
             .help = "path of its unix socket; instead of host and port"),
    WEIR_STR(T, user, .flags = WEIR_REQUIRED,
             .help = "account, with REPLICATION SLAVE, SELECT and BINLOG "
                     "MONITOR (MySQL: REPLICATION CLIENT)"),
    WEIR_STR(T, password, .value = "", .flags = WEIR_SECRET | WEIR_ENV,
             .help = "its password"),
    WEIR_STR(T, password_file, .value = "", .flags = WEIR_FILE,
             .help = "a file with the password, read at each connect"),
    WEIR_CHOICE(T, tls, .value = "off", .names = client_tls_names,
                .help = "off, on (encrypted, nobody verified) or verify"),
    WEIR_STR(T, tls_ca, .value = "", .flags = WEIR_FILE,
             .help = "a file with the certificates that tls = verify trusts; "
                     "none: the system's"),
    WEIR_STR(T, tls_cert, .value = "", .flags = WEIR_FILE,
             .help = "a file with our own certificate, if the server wants it"),
    WEIR_STR(T, tls_key, .value = "", .flags = WEIR_FILE,
             .help = "a file with its key"),
    WEIR_INT(T, server_id, .value = "0", .min = 0, .max = UINT32_MAX,
             .help = "ours, unlike any other replica's; 0: made from machine, "
                     "state directory and pipeline"),
    WEIR_STR(T, start, .value = "now",
             .help = "if there is no state: now, earliest, gtid:SET, "
                     "file:bin.000007:4 or time:2026-11-01 00:00:00 (UTC, or "
                     "with a zone, as 2026-11-01T02:00:00+02:00)"),
    WEIR_MSEC(T, heartbeat, .value = "1s", .min = 100, .max = 60000,
              .help = "of an idle server; without four of them the connection "
                      "is made anew"),
    WEIR_MSEC(T, connect_timeout, .value = "10s", .min = 100, .max = 600000,
              .help = "for a connection"),
    WEIR_CHOICE(T, identity, .value = "server_uid", .names = identities,
                .help = "what tells the server from others at its address"),
    WEIR_END
};
#undef T
/* clang-format on */

/* ---- The configuration */

static bool
is_local(const struct mysql_conf *conf)
{
    return conf->hosts.n == 0 && !client_is_set(conf->socket) &&
           strcmp(conf->host, "localhost") == 0;
}

static enum weir_status
check_tls(const struct mysql_conf *conf, struct weir_err *err)
{
    const struct client_tls tls = { conf->tls, conf->tls_ca, conf->tls_cert,
                                    conf->tls_key };

    return client_check_tls(&tls, client_is_set(conf->socket) || is_local(conf), err);
}

/* Several hosts are told apart, and gone on with, by GTIDs only. */
static enum weir_status
check_hosts(const struct mysql_conf *conf, struct weir_err *err)
{
    if (conf->hosts.n == 0) {
        return WEIR_OK;
    }
    if (client_is_set(conf->socket) || strcmp(conf->host, "localhost") != 0) {
        return weir_fail(err, WEIR_FATAL, "hosts takes the place of %s: one of "
                         "them is too much",
                         client_is_set(conf->socket) ? "socket" : "host");
    }
    if (conf->hosts.n > 1 && strncmp(conf->start, "file:", 5) == 0) {
        return weir_fail(err, WEIR_FATAL, "start = \"%s\" with several hosts: "
                         "a file and offset mean nothing on another one; start "
                         "by GTID or time", conf->start);
    }
    return hosts_check(conf, err);
}

static enum weir_status
source_check(const void *data, struct weir_err *err)
{
    const struct mysql_conf *conf = data;
    struct start             start;

    if (!client_is_set(conf->host) || !client_is_set(conf->user)) {
        return weir_fail(err, WEIR_FATAL, "%s = \"\" names nobody",
                         client_is_set(conf->host) ? "user" : "host");
    }
    if (client_is_set(conf->socket) && strcmp(conf->host, "localhost") != 0) {
        return weir_fail(err, WEIR_FATAL, "host = \"%s\" and socket = \"%s\": "
                         "one of them is too much", conf->host, conf->socket);
    }
    if (client_is_set(conf->socket) && conf->socket[0] != '/') {
        return weir_fail(err, WEIR_FATAL, "socket = \"%s\" is no path from /",
                         conf->socket);
    }
    if (is_local(conf) && conf->port != 3306) {
        return weir_fail(err, WEIR_FATAL,
                         "host = \"localhost\" means the unix socket, where "
                         "port = %" PRId64 " has no meaning: for TCP write "
                         "host = \"127.0.0.1\"", conf->port);
    }
    if (client_is_set(conf->password) && client_is_set(conf->password_file)) {
        return weir_fail(err, WEIR_FATAL, "password and password_file: one of "
                         "them is too much");
    }
    enum weir_status st = check_hosts(conf, err);
    if (st == WEIR_OK) {
        st = check_tls(conf, err);
    }
    return st == WEIR_OK ? start_parse(conf->start, &start, err) : st;
}

/* ---- Our server_id */

static uint32_t
hash_more(uint32_t h, const void *data, size_t len)
{
    for (size_t i = 0; i < len; i++) { /* FNV-1a */
        h = (h ^ ((const unsigned char *)data)[i]) * 16777619u;
    }
    return h;
}

/* The same at each start: the server counts replicas by it.  The machine's id
 * is not enough, as containers of one image share it. */
static uint32_t
derive_server_id(struct weir_instance *in)
{
    char     text[256];
    uint32_t h = 2166136261u;

    const int fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC);
    if (fd != -1) {
        const ssize_t n = read(fd, text, sizeof text);
        h = hash_more(h, text, n > 0 ? (size_t)n : 0);
        close(fd);
    }
    if (gethostname(text, sizeof text) == 0) {
        text[sizeof text - 1] = '\0';
        h = hash_more(h, text, strlen(text));
    }
    h = hash_more(h, weir_name(in), strlen(weir_name(in)));
    /* Two Weirs of one machine may have a pipeline of that name each. */
    h = hash_more(h, weir_dir(in), strlen(weir_dir(in)));
    return h | 0x80000000u; /* people number their servers from below */
}

/* ---- Life */

static void
source_close(void *self)
{
    struct source *src = self;

    conn_close(&src->dump);
    conn_close(&src->ask);
    position_clear(&src->at);
    free(src->hosts);
    free(src);
}

static enum weir_status
source_open(struct weir_instance *in, const void *data, void **self,
            struct weir_err *err)
{
    const struct mysql_conf *conf = data;
    struct source           *src = calloc(1, sizeof *src);

    if (!src || mysql_library_init(0, NULL, NULL) != 0) {
        free(src);
        return weir_fail(err, WEIR_RETRY, "out of memory");
    }
    *src = (struct source){ .in = in, .conf = conf };
    src->dump.src = src->ask.src = src;
    src->server_id = conf->server_id ? (uint32_t)conf->server_id
                                     : derive_server_id(in);
    if (client_is_set(conf->socket) || is_local(conf)) {
        snprintf(src->name, sizeof src->name, "%.200s",
                 client_is_set(conf->socket) ? conf->socket : "localhost");
    } else {
        snprintf(src->name, sizeof src->name, "%.200s:%" PRId64, conf->host,
                 conf->port);
    }
    const enum weir_status st = hosts_open(src, err);
    if (st != WEIR_OK) {
        source_close(src);
        return st;
    }
    *self = src;
    return WEIR_OK;
}

/* ---- run() */

static enum weir_status
choose_flavour(struct source *src, struct weir_err *err)
{
    struct result    r;
    unsigned         major = 0, minor = 0;
    enum weir_status st =
        conn_query(&src->dump, "SELECT @@version", &r, err);

    if (st != WEIR_OK) {
        return st;
    }
    if (result_next(&r)) {
        snprintf(src->version, sizeof src->version, "%.*s",
                 (int)(result_str(&r, 0).len < 100 ? result_str(&r, 0).len
                                                   : 100),
                 result_str(&r, 0).data);
    }
    result_free(&r);
    src->flavour = strstr(src->version, "MariaDB") ? &flavour_mariadb
                                                   : &flavour_mysql;
    const struct flavour *f = src->flavour;
    if (sscanf(src->version, "%u.%u", &major, &minor) != 2 ||
        major < f->major || (major == f->major && minor < f->minor)) {
        return weir_fail(err, WEIR_FATAL, "%s is %s %s: %u.%u or later is "
                         "needed", src->name, f->name, src->version, f->major,
                         f->minor);
    }
    src->major = major;
    src->minor = minor;
    return WEIR_OK;
}

/* Whom it has reached, and whether that one has executed what was read. */
static enum weir_status
say_who(struct source *src, struct weir_str gtid_set, struct weir_str file,
        uint64_t offset, struct weir_err *err)
{
    char             id[256];
    struct position  lacks = { 0 };
    bool             by_gtid = false;
    enum weir_status st = src->flavour->identify(src, id, sizeof id, err);

    if (st == WEIR_OK && gtid_set.len > 0) {
        position_set(&src->at, gtid_set, file, offset);
        st = src->flavour->compare(src, &by_gtid, &lacks, err);
    }
    src->by_gtid = by_gtid;
    const bool lacking = lacks.gtid && *lacks.gtid;
    if (st == WEIR_OK && lacking && src->nhosts > 1) {
        st = host_lacks(src, &lacks, err);
    }
    position_clear(&lacks);
    return st != WEIR_OK
               ? st
               : weir_feed_host(src->in,
                                (struct weir_str){ src->name,
                                                   strlen(src->name) },
                                (struct weir_str){ id, strlen(id) },
                                (struct weir_str){ src->version,
                                                   strlen(src->version) },
                                by_gtid && !lacking, err);
}

/* Where the directive says, as there is no position yet. */
static enum weir_status
begin_at(struct source *src, struct weir_err *err)
{
    struct start     start;
    char             at[160];
    enum weir_status st = start_parse(src->conf->start, &start, err);

    if (st != WEIR_OK) {
        return st;
    }
    if (start.kind == START_TIME) {
        return start_at_time(src, start.usec, err);
    }
    if (start.kind == START_GTID || start.kind == START_FILE) {
        position_set(&src->at, start.gtid, start.file, start.offset);
        return src->flavour->verify(src, err);
    }
    st = src->flavour->locate(src, &src->dump, start.kind, &src->at, err);
    if (st == WEIR_OK && start.kind == START_NOW) {
        weir_log(src->in, WEIR_INFO,
                 "start = now: begins behind %s; the rows that are there "
                 "already are not copied",
                 position_text(&src->at, at, sizeof at));
    }
    return st;
}

static enum weir_status
find_place(struct source *src, struct weir_str gtid_set, struct weir_str file,
           uint64_t offset, struct weir_err *err)
{
    enum weir_status st;

    if (gtid_set.len == 0 && file.len == 0) {
        st = begin_at(src, err);
    } else {
        position_set(&src->at, gtid_set, file, offset);
        st = src->flavour->verify(src, err);
    }
    if (st != WEIR_OK) {
        return st;
    }
    src->reached = true;
    host_remember(src);
    /* By GTID the server says in which file it is: it may be another server's
     * than the one that we know of. */
    const bool by_gtid = gtid_set.len > 0 && src->by_gtid;
    return weir_feed_position(
        src->in, (struct weir_str){ src->at.gtid, strlen(src->at.gtid) },
        (struct weir_str){ by_gtid ? "" : src->at.file,
                           by_gtid ? 0 : strlen(src->at.file) },
        by_gtid ? 0 : src->at.offset, err);
}

static enum weir_status
run_once(struct source *src, struct weir_str gtid_set, struct weir_str file,
         uint64_t offset, struct weir_err *err)
{
    char             at[160], cipher[80];
    enum weir_status st = conn_open(&src->dump, err);

    if (st == WEIR_OK) {
        st = choose_flavour(src, err);
    }
    if (st == WEIR_OK) {
        st = checks_run(src, err);
    }
    if (st == WEIR_OK) {
        st = say_who(src, gtid_set, file, offset, err);
    }
    if (st == WEIR_OK) {
        st = find_place(src, gtid_set, file, offset, err);
    }
    if (st == WEIR_OK) {
        st = src->flavour->dump(src, err);
    }
    if (st != WEIR_OK) {
        return st;
    }
    conn_cipher(&src->dump, cipher, sizeof cipher);
    weir_log(src->in, WEIR_INFO,
             "connected to %s (%s%s%s) as replica %" PRIu32 ", behind %s",
             src->name, src->version, *cipher ? "; " : "", cipher,
             src->server_id, position_text(&src->at, at, sizeof at));
    return dump_stream(src, err);
}

/* The hosts in turn, from the present one on, until one gives its log.  Once it
 * has, its loss ends the round: the position is another one then. */
static enum weir_status
run_hosts(struct source *src, struct weir_str gtid_set, struct weir_str file,
          uint64_t offset, struct weir_err *err)
{
    const size_t n = src->nhosts ? src->nhosts : 1;

    for (size_t i = 0; i < n; i++) {
        src->reached = src->fed = false;
        const enum weir_status st =
            run_once(src, gtid_set, file, offset, err);
        conn_close(&src->dump);
        conn_close(&src->ask);
        if (src->fed) {
            src->lost_ms = now_ms();
        }
        if (st != WEIR_RETRY || src->stopping || src->fed || n == 1) {
            return st;
        }
        host_use(src, (src->current + 1) % n);
        if (src->reached) {
            return st;
        }
        if (i + 1 < n) {
            weir_log(src->in, WEIR_WARN, "%s; trying %s", err->text,
                     src->name);
        }
    }
    char last[sizeof err->text];
    memcpy(last, err->text, sizeof last);
    return weir_fail(err, WEIR_RETRY, "none of the %zu hosts can be followed "
                     "now; the last one: %.400s", n, last);
}

static enum weir_status
source_run(void *self, struct weir_str gtid_set, struct weir_str file,
           uint64_t offset, struct weir_err *err)
{
    struct source *src = self;

    src->stopping = false;
    const enum weir_status st = run_hosts(src, gtid_set, file, offset, err);
    return src->stopping && st == WEIR_RETRY ? WEIR_OK : st;
}

static enum weir_status
source_describe(void *self, struct weir_str schema, struct weir_str table,
                struct weir_err *err)
{
    return describe_table(self, schema, table, err);
}

WEIR_MODULE = {
    WEIR_HEAD,
    .stage = WEIR_SOURCE,
    .name = "mysql",
    .version = "0.1.0",
    .summary = "a live MariaDB or MySQL, as a replica",
    .conf_size = sizeof(struct mysql_conf),
    .directives = directives,
    .check = source_check,
    .open = source_open,
    .close = source_close,
    .run = source_run,
    .describe = source_describe,
};
