/*
 * checks.c - whether a server can be followed: its settings and our rights, at
 * each connect and all in one go.  Each finding is a line of the log; what to
 * paste into my.cnf, and the GRANT, come behind them; the error sums up.
 */
#include "source_mysql.h"

#include <mysqld_error.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct settings {
    char log_bin[16], format[16], image[16], metadata[16], server_id[16],
        log_updates[16], replica_of[64], gtid_mode[24], partial[32];
};

struct findings {
    struct source *src;
    unsigned       errors;
    bool           my_cnf, grant; /* which remedy is to be printed */
    bool           log_updates;   /* my.cnf with log_slave_updates */
    char           sum[200];      /* "log_bin is OFF, ..." */
};

WEIR_PRINTF(2, 3) static void
find_error(struct findings *f, const char *fmt, ...)
{
    char    text[200];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    f->errors++;
    weir_log(f->src->in, WEIR_ERROR, "%s: %s", f->src->name, text);
    const size_t n = strlen(f->sum);
    snprintf(f->sum + n, sizeof f->sum - n, "%s%s", n ? ", " : "", text);
}

/* ---- Settings */

static void
setting_store(struct settings *s, struct weir_str name, struct weir_str value)
{
    const struct { const char *name; char *out; size_t room; } all[] = {
        { "log_bin", s->log_bin, sizeof s->log_bin },
        { "binlog_format", s->format, sizeof s->format },
        { "binlog_row_image", s->image, sizeof s->image },
        { "binlog_row_metadata", s->metadata, sizeof s->metadata },
        { "server_id", s->server_id, sizeof s->server_id },
        { "log_slave_updates", s->log_updates, sizeof s->log_updates },
        { "log_replica_updates", s->log_updates, sizeof s->log_updates },
        { "gtid_mode", s->gtid_mode, sizeof s->gtid_mode },
        { "binlog_row_value_options", s->partial, sizeof s->partial },
        { "gtid_slave_pos", s->replica_of, sizeof s->replica_of },
    };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (strlen(all[i].name) == name.len &&
            memcmp(all[i].name, name.data, name.len) == 0) {
            snprintf(all[i].out, all[i].room, "%.*s", STR_ARG(value));
        }
    }
}

static enum weir_status
settings_read(struct source *src, struct settings *out, struct weir_err *err)
{
    struct result    r;
    /* SHOW, as it takes no offence at what an old server doesn't have:
     * binlog_row_metadata came with 10.5. */
    enum weir_status st = conn_query(
        &src->dump,
        "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('log_bin', "
        "'binlog_format', 'binlog_row_image', 'binlog_row_metadata', "
        "'server_id', 'log_slave_updates', 'log_replica_updates', "
        "'gtid_slave_pos', 'gtid_mode', 'binlog_row_value_options')", &r,
        err);

    *out = (struct settings){ 0 };
    while (st == WEIR_OK && result_next(&r)) {
        setting_store(out, result_str(&r, 0), result_str(&r, 1));
    }
    result_free(&r);
    return st;
}

/* What going on with another host takes. */
static void
check_movable(struct findings *f, const struct settings *s)
{
    if (f->src->flavour == &flavour_mysql && strcmp(s->gtid_mode, "ON") != 0) {
        find_error(f, "gtid_mode is %s, and several hosts need GTIDs",
                   s->gtid_mode);
        f->my_cnf = true;
    }
    if (*s->replica_of && strcmp(s->log_updates, "ON") != 0) {
        find_error(f, "log_slave_updates is %s: what it replicated is not in "
                   "its binlog", s->log_updates);
        f->my_cnf = f->log_updates = true;
    }
}

static void
check_settings(struct findings *f, const struct settings *s)
{
    const uint32_t ours = f->src->server_id;
    char           text[16];

    if (strcmp(s->log_bin, "ON") != 0) {
        find_error(f, "log_bin is %s", s->log_bin);
        f->my_cnf = true;
    }
    if (*s->format && strcmp(s->format, "ROW") != 0) {
        find_error(f, "binlog_format is %s, not ROW", s->format);
        f->my_cnf = true;
    }
    if (f->src->nhosts > 1) {
        check_movable(f, s);
    }
    snprintf(text, sizeof text, "%lu", (unsigned long)ours);
    if (strcmp(s->server_id, text) == 0) {
        find_error(f, "its own server_id is ours, %s: set another one here",
                   text);
    }
}

/* MySQL's own. */
static void
warn_mysql(struct source *src, const struct settings *s)
{
    if (strcmp(s->gtid_mode, "ON") != 0) {
        weir_log(src->in, WEIR_WARN,
                 "%s: gtid_mode is %s: positions are files and offsets, which "
                 "mean nothing on another server", src->name, s->gtid_mode);
    }
    if (*s->partial) {
        weir_log(src->in, WEIR_WARN,
                 "%s: binlog_row_value_options is %s: of a JSON document that "
                 "an UPDATE changes, the log has only what changed; empty, it "
                 "has all of it", src->name, s->partial);
    }
    if (strcmp(s->log_updates, "OFF") == 0) {
        weir_log(src->in, WEIR_WARN,
                 "%s: log_replica_updates is OFF: what it replicates, if it is "
                 "a replica, is not in its binlog and will not be seen",
                 src->name);
    }
}

/* What can be lived with; said once, not at each connect. */
static void
warn_settings(struct source *src, const struct settings *s)
{
    if (src->warned) {
        return;
    }
    src->warned = true;
    if (strcmp(s->image, "FULL") != 0) {
        weir_log(src->in, WEIR_WARN,
                 "%s: binlog_row_image is %s: columns that a change does not "
                 "name are missing from its images; FULL has them",
                 src->name, s->image);
    }
    if (strcmp(s->metadata, "FULL") != 0) {
        weir_log(src->in, WEIR_WARN,
                 "%s: binlog_row_metadata is %s: column names are read from "
                 "information_schema; FULL has them in the binlog, for each "
                 "change as they were", src->name,
                 *s->metadata ? s->metadata : "not known to this release");
    }
    if (*s->replica_of && strcmp(s->log_updates, "ON") != 0) {
        weir_log(src->in, WEIR_WARN,
                 "%s is or was a replica (gtid_slave_pos is %s) and "
                 "log_slave_updates is OFF: what it replicates is not in its "
                 "binlog and will not be seen", src->name, s->replica_of);
    }
    if (src->flavour == &flavour_mysql) {
        warn_mysql(src, s);
    }
}

/* ---- Rights */

/* The server's own answer, which knows of roles and of newer names. */
static enum weir_status
check_register(struct findings *f, struct weir_err *err)
{
    struct source  *src = f->src;
    unsigned char   body[4 + 5 + 1 + 1 + 2 + 4 + 4] = { 0 };
    struct weir_str packet;

    put_le(body, src->server_id, 4);
    memcpy(body + 4, "\4weir", 5); /* for the server's list of replicas */
    enum weir_status st = dump_command(&src->dump, COM_REGISTER_SLAVE, body,
                                       sizeof body, err);
    if (st == WEIR_OK) {
        st = dump_read(src, 60000, &packet, err);
    }
    if (st == WEIR_OK || src->stopping) {
        return st;
    }
    const unsigned code = mysql_errno(src->dump.mysql);
    if (code != ER_SPECIFIC_ACCESS_DENIED_ERROR &&
        code != ER_ACCESS_DENIED_ERROR) {
        return st;
    }
    find_error(f, "the right REPLICATION SLAVE is missing");
    f->grant = true;
    return WEIR_OK;
}

static enum weir_status
check_monitor(struct findings *f, struct weir_err *err)
{
    struct result          r;
    const enum weir_status st =
        conn_query(&f->src->dump, f->src->flavour->status(f->src), &r, err);

    result_free(&r);
    if (st == WEIR_OK || f->src->stopping) {
        return st;
    }
    if (mysql_errno(f->src->dump.mysql) != ER_SPECIFIC_ACCESS_DENIED_ERROR) {
        return st;
    }
    find_error(f, "the right %s is missing", f->src->flavour->monitor(f->src));
    f->grant = true;
    return WEIR_OK;
}

/* One of several hosts is asked whether it is a replica. */
static enum weir_status
check_replica_right(struct findings *f, struct weir_err *err)
{
    struct result          r;
    const enum weir_status st = conn_query(
        &f->src->dump, f->src->flavour->replication(f->src), &r, err);

    result_free(&r);
    if (st == WEIR_OK || f->src->stopping ||
        mysql_errno(f->src->dump.mysql) != ER_SPECIFIC_ACCESS_DENIED_ERROR) {
        return st;
    }
    find_error(f, "the right SLAVE MONITOR, for several hosts, is missing");
    f->grant = true;
    return WEIR_OK;
}

/* SELECT on anything will do: which tables are wanted, only the sinks know.
 * What PUBLIC may do is what everybody may do with `test`. */
static bool
grants_select(const char *grant)
{
    const char *on = strstr(grant, " ON ");
    const char *select = strstr(grant, "SELECT");
    const char *all = strstr(grant, "ALL PRIVILEGES");

    return on && !strstr(grant, " TO PUBLIC") &&
           ((select && select < on) || (all && all < on));
}

static enum weir_status
check_select(struct findings *f, const struct settings *s,
             struct weir_err *err)
{
    struct result r;
    bool          found = false;

    if (strcmp(s->metadata, "FULL") == 0) {
        return WEIR_OK;
    }
    enum weir_status st = conn_query(&f->src->dump, "SHOW GRANTS", &r, err);
    while (st == WEIR_OK && result_next(&r)) {
        found = found || grants_select(result_str(&r, 0).data);
    }
    result_free(&r);
    if (st == WEIR_OK && !found) {
        find_error(f, "the right SELECT, to read column names, is missing");
        f->grant = true;
    }
    return st;
}

/* ---- What to do */

static void
say_my_cnf(struct source *src, const struct settings *s, bool log_updates)
{
    weir_log(src->in, WEIR_ERROR,
             "in my.cnf of %s, which is then to be started again:", src->name);
    weir_log(src->in, WEIR_ERROR, "[mysqld]");
    if (strcmp(s->log_bin, "ON") != 0) {
        weir_log(src->in, WEIR_ERROR, "log_bin = binlog");
    }
    if (strcmp(s->server_id, "0") == 0) {
        weir_log(src->in, WEIR_ERROR, "server_id = 1");
    }
    if (*s->format) {
        weir_log(src->in, WEIR_ERROR, "binlog_format = ROW");
    }
    weir_log(src->in, WEIR_ERROR, "binlog_row_image = FULL");
    if (*s->metadata) {
        weir_log(src->in, WEIR_ERROR, "binlog_row_metadata = FULL");
    }
    if (log_updates) {
        weir_log(src->in, WEIR_ERROR, "log_slave_updates = ON");
    }
    if (src->flavour == &flavour_mysql) {
        weir_log(src->in, WEIR_ERROR, "gtid_mode = ON");
        weir_log(src->in, WEIR_ERROR, "enforce_gtid_consistency = ON");
    }
}

static void
say_grant(struct source *src)
{
    struct result   r;
    struct weir_err ignored;
    char            account[200] = "";

    if (conn_query(&src->dump, "SELECT CURRENT_USER()", &r, &ignored) ==
            WEIR_OK && result_next(&r)) {
        snprintf(account, sizeof account, "%.*s", STR_ARG(result_str(&r, 0)));
    }
    result_free(&r);
    char *at = strrchr(account, '@');
    if (at) {
        *at = '\0';
    }
    weir_log(src->in, WEIR_ERROR,
             "as its administrator: GRANT SELECT, REPLICATION SLAVE, %s%s ON "
             "*.* TO '%s'@'%s';",
             src->flavour->monitor(src),
             src->nhosts > 1 && src->flavour == &flavour_mariadb
                 ? ", SLAVE MONITOR" : "",
             *account ? account : src->conf->user, at ? at + 1 : "%");
}

static enum weir_status
check_rights(struct findings *f, const struct settings *s,
             struct weir_err *err)
{
    enum weir_status st = check_register(f, err);

    if (st == WEIR_OK) {
        st = check_monitor(f, err);
    }
    if (st == WEIR_OK && f->src->nhosts > 1) {
        st = check_replica_right(f, err);
    }
    if (st == WEIR_OK) {
        st = check_select(f, s, err);
    }
    return st;
}

enum weir_status
checks_run(struct source *src, struct weir_err *err)
{
    struct settings  s;
    struct findings  f = { .src = src };
    enum weir_status st = settings_read(src, &s, err);

    if (st != WEIR_OK) {
        return st;
    }
    check_settings(&f, &s);
    st = check_rights(&f, &s, err);
    if (st != WEIR_OK) {
        return st;
    }
    warn_settings(src, &s);
    if (f.my_cnf) {
        say_my_cnf(src, &s, f.log_updates);
    }
    if (f.grant) {
        say_grant(src);
    }
    return f.errors == 0
               ? WEIR_OK
               : weir_fail(err, WEIR_FATAL,
                           "%s can't be followed as it is: %s (what to do "
                           "stands in the log above)", src->name, f.sum);
}
