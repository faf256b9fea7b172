/*
 * hosts.c - which of several servers is followed: their names, the one that is
 * remembered over restarts, and whether one that lacks what was read may still
 * get it.  Decides by what servers say; moves nothing.
 */
#include "source_mysql.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The server that was followed may only be starting again, and the one that
 * lacks something be an old primary that nobody has switched off. */
enum { RETURN_MS = 10000 };

/* ---- Names */

static bool
port_parse(const char *text, int64_t *out)
{
    char      *end;
    const long port = strtol(text, &end, 10);

    *out = port;
    return *text >= '1' && *text <= '9' && !*end && port <= 65535;
}

enum weir_status
host_parse(const char *text, int64_t port, struct host *out,
           struct weir_err *err)
{
    const bool   bracket = *text == '[';
    const char  *end = bracket ? strchr(text, ']') : strchr(text, ':');
    const char  *from = bracket ? text + 1 : text;
    const size_t len = end ? (size_t)(end - from) : strlen(from);
    const char  *rest = !end ? "" : bracket ? end + 1 : end;

    *out = (struct host){ .port = port };
    if (len == 0 || len >= sizeof out->name || (bracket && !end) ||
        (*rest && *rest != ':') || (*rest && !port_parse(rest + 1,
                                                         &out->port))) {
        return weir_fail(err, WEIR_FATAL,
                         "hosts: \"%.100s\" is none of db1, db1:3306 and "
                         "[::1]:3306", text);
    }
    memcpy(out->name, from, len);
    if (strcmp(out->name, "localhost") == 0) {
        return weir_fail(err, WEIR_FATAL, "hosts: localhost means the unix "
                         "socket, and these are reached by TCP: write "
                         "127.0.0.1");
    }
    snprintf(out->label, sizeof out->label,
             strchr(out->name, ':') ? "[%s]:%" PRId64 : "%s:%" PRId64,
             out->name, out->port);
    return WEIR_OK;
}

enum weir_status
hosts_check(const struct mysql_conf *conf, struct weir_err *err)
{
    struct host a, b;

    for (size_t i = 0; i < conf->hosts.n; i++) {
        enum weir_status st =
            host_parse(conf->hosts.items[i], conf->port, &a, err);
        for (size_t j = 0; st == WEIR_OK && j < i; j++) {
            st = host_parse(conf->hosts.items[j], conf->port, &b, err);
            if (st == WEIR_OK && strcmp(a.label, b.label) == 0) {
                st = weir_fail(err, WEIR_FATAL, "hosts: %s stands there twice",
                               a.label);
            }
        }
        if (st != WEIR_OK) {
            return st;
        }
    }
    return WEIR_OK;
}

/* ---- The one that is followed */

void
host_use(struct source *src, size_t i)
{
    src->current = i;
    if (src->nhosts) {
        src->host = src->hosts[i].name;
        src->port = src->hosts[i].port;
        snprintf(src->name, sizeof src->name, "%s", src->hosts[i].label);
    }
}

static void
host_path(struct source *src, char *out, size_t room)
{
    snprintf(out, room, "%s/host", weir_dir(src->in));
}

/* After a restart the first of the list may be an old primary that is back:
 * where it went on last is where it goes on. */
static size_t
host_recall(struct source *src)
{
    char path[4096], label[300] = "";

    host_path(src, path, sizeof path);
    FILE *f = fopen(path, "re");
    if (!f) {
        return 0;
    }
    if (!fgets(label, sizeof label, f)) {
        *label = '\0';
    }
    fclose(f);
    label[strcspn(label, "\n")] = '\0';
    for (size_t i = 0; i < src->nhosts; i++) {
        if (strcmp(src->hosts[i].label, label) == 0) {
            return i;
        }
    }
    return 0;
}

void
host_remember(struct source *src)
{
    char path[4096], beside[4100];

    if (src->nhosts < 2 || src->remembered == src->current + 1) {
        return;
    }
    host_path(src, path, sizeof path);
    snprintf(beside, sizeof beside, "%s.new", path);
    FILE      *f = fopen(beside, "we");
    const bool wrote = f && fprintf(f, "%s\n", src->name) > 0;
    if ((f && fclose(f) != 0) || !wrote || rename(beside, path) != 0) {
        weir_log(src->in, WEIR_WARN,
                 "%s can't be written: after a restart the first of the hosts "
                 "is asked first again", path);
    }
    src->remembered = src->current + 1;
}

enum weir_status
hosts_open(struct source *src, struct weir_err *err)
{
    const struct mysql_conf *conf = src->conf;

    src->host = conf->host;
    src->port = conf->port;
    src->hosts = calloc(conf->hosts.n + 1, sizeof *src->hosts);
    if (!src->hosts) {
        return weir_fail(err, WEIR_RETRY, "out of memory");
    }
    for (; src->nhosts < conf->hosts.n; src->nhosts++) {
        const enum weir_status st =
            host_parse(conf->hosts.items[src->nhosts], conf->port,
                       &src->hosts[src->nhosts], err);
        if (st != WEIR_OK) {
            return st;
        }
    }
    src->lost_ms = now_ms();
    host_use(src, src->nhosts > 1 ? host_recall(src) : 0);
    return WEIR_OK;
}

/* ---- One that lacks what was read */

static struct weir_str
cell_named(const struct result *r, const char *old, const char *new_name)
{
    const MYSQL_FIELD *fields = mysql_fetch_fields(r->res);

    for (unsigned i = 0; i < r->ncells; i++) {
        if (strcmp(fields[i].name, old) == 0 ||
            strcmp(fields[i].name, new_name) == 0) {
            return result_str(r, i);
        }
    }
    return (struct weir_str){ "", 0 };
}

/* Whether it is a replica of somebody, and how well. */
static enum weir_status
read_replication(struct source *src, bool *is, char *how, size_t room,
                 struct weir_err *err)
{
    struct result          r;
    const enum weir_status st =
        conn_query(&src->dump, src->flavour->replication(src), &r, err);

    *is = false;
    while (st == WEIR_OK && result_next(&r)) {
        *is = true;
        snprintf(how, room, "receives: %.*s, applies: %.*s",
                 STR_ARG(cell_named(&r, "Slave_IO_Running",
                                    "Replica_IO_Running")),
                 STR_ARG(cell_named(&r, "Slave_SQL_Running",
                                    "Replica_SQL_Running")));
    }
    result_free(&r);
    return st;
}

enum weir_status
host_lacks(struct source *src, const struct position *lacks,
           struct weir_err *err)
{
    struct position  executed = { 0 };
    char             how[100] = "";
    bool             is_replica;
    enum weir_status st =
        read_replication(src, &is_replica, how, sizeof how, err);

    if (st != WEIR_OK) {
        return st;
    }
    if (is_replica) {
        return weir_fail(err, WEIR_RETRY,
                         "%s is behind: it has not executed GTIDs %.200s yet, "
                         "and is a replica (%s) that may get them",
                         src->name, lacks->gtid, how);
    }
    if (now_ms() - src->lost_ms < RETURN_MS) {
        return weir_fail(err, WEIR_RETRY,
                         "%s has not executed GTIDs %.200s, and is nobody's "
                         "replica that could get them; waiting %d s for the "
                         "one that was followed", src->name, lacks->gtid,
                         RETURN_MS / 1000);
    }
    st = src->flavour->executed(src, &executed, err);
    if (st == WEIR_OK) {
        st = weir_feed_diverged(
            src->in, (struct weir_str){ src->name, strlen(src->name) },
            (struct weir_str){ executed.gtid, strlen(executed.gtid) }, err);
    }
    position_clear(&executed);
    return st;
}
