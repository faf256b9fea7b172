/*
 * dump.c - the stream: raw packets from the library's public parts
 * (db_command() and mysql_net_read_packet()), each event fed as it came.
 * Reads of an event only its type, to know when the server has begun.
 */
#include "source_mysql.h"

#include <errmsg.h>
#include <errno.h>
#include <ma_pvio.h>
#include <mysqld_error.h>
#include <poll.h>
#include <stdio.h>
#include <stddef.h>
#include <string.h>

/* The parts of the library's structs that are used here have stood at these
 * places in all of 3.3 and 3.4; a build against others must not pass. */
#if defined(__x86_64__)
_Static_assert(offsetof(MYSQL, net) == 0, "MYSQL.net moved");
_Static_assert(offsetof(NET, pvio) == 0, "NET.pvio moved");
_Static_assert(offsetof(NET, read_pos) == 32, "NET.read_pos moved");
_Static_assert(offsetof(MYSQL, methods) == 1232, "MYSQL.methods moved");
_Static_assert(sizeof(MYSQL) == 1272, "MYSQL changed");
_Static_assert(offsetof(struct st_mariadb_methods, db_command) == 16,
               "db_command moved");
_Static_assert(offsetof(struct st_ma_pvio, cache) == 8, "cache moved");
_Static_assert(offsetof(struct st_ma_pvio, cache_pos) == 16,
               "cache_pos moved");
_Static_assert(offsetof(struct st_ma_pvio, cache_size) == 24,
               "cache_size moved");
#endif

/* Until the first event of its own a server searches its binlogs for the
 * position, and sends no heartbeats. */
#define GRACE_MS (10 * 60 * 1000)

enum { /* sql/log_event.h */
    HEADER_BYTES = 19,
    HEADER_TYPE = 4,
    HEADER_FLAGS = 17,
    FLAG_ARTIFICIAL = 0x20,
    FORMAT_DESCRIPTION = 15,
    HEARTBEAT = 27,
    PREVIOUS_GTIDS = 35,
    CHECKPOINT = 161,
    GTID_LIST = 163,
};

/* The second connection is given up when nothing was asked for so long. */
#define ASK_IDLE_MS (60 * 1000)

enum weir_status
dump_command(struct conn *c, int command, const void *data, size_t len,
             struct weir_err *err)
{
    if (c->mysql->methods->db_command(c->mysql,
                                      (enum enum_server_command)command, data,
                                      len, 1, NULL)) {
        return conn_fail(c, c->src->name, err);
    }
    return WEIR_OK;
}

/* ---- Waiting */

static bool
has_read_ahead(const MYSQL *m)
{
    const MARIADB_PVIO *pvio = m->net.pvio;

    return pvio && pvio->cache && pvio->cache + pvio->cache_size >
                                      pvio->cache_pos && pvio->cache_pos;
}

/* poll() of both descriptors: OK, RETRY if the time is up or it failed. */
static enum weir_status
poll_both(struct source *src, int64_t timeout_ms, struct weir_err *err)
{
    struct pollfd p[2] = {
        { .fd = conn_fd(&src->dump), .events = POLLIN },
        { .fd = weir_stop_fd(src->in), .events = POLLIN },
    };
    const int64_t deadline = timeout_ms ? now_ms() + timeout_ms : 0;
    int           n;

    while ((n = poll(p, 2, (int)timeout_ms)) == -1 && errno == EINTR) {
        timeout_ms = timeout_ms ? deadline - now_ms() : 0;
        timeout_ms = timeout_ms < 0 ? 0 : timeout_ms;
    }
    if (n == -1) {
        return weir_fail(err, WEIR_RETRY, "%s: poll: %s", src->name,
                         strerror(errno));
    }
    if (p[1].revents) {
        src->stopping = true;
        return weir_fail(err, WEIR_RETRY, "asked to stop");
    }
    return n > 0 ? WEIR_OK
                 : weir_fail(err, WEIR_RETRY,
                             "%s has said nothing for %lld ms, not even a "
                             "heartbeat", src->name, (long long)timeout_ms);
}

/* Until something can be read; before it sleeps, sinks may see what is there.
 * `feeding` false: nothing was fed yet. */
static enum weir_status
wait_readable(struct source *src, int64_t timeout_ms, bool feeding,
              struct weir_err *err)
{
    if (has_read_ahead(src->dump.mysql)) {
        return WEIR_OK;
    }
    enum weir_status st = poll_both(src, 0, err);
    if (st == WEIR_OK || src->stopping) {
        return st;
    }
    if (feeding) {
        st = weir_feed_flush(src->in, err);
        if (st != WEIR_OK) {
            return st;
        }
    }
    return poll_both(src, timeout_ms, err);
}

/* ---- Packets */

static enum weir_status
read_fail(struct source *src, struct weir_err *err)
{
    const unsigned code = mysql_errno(src->dump.mysql);
    char           reason[MYSQL_ERRMSG_SIZE];

    /* The next call of the library's overwrites both. */
    snprintf(reason, sizeof reason, "%s", mysql_error(src->dump.mysql));
    switch (code) {
    case ER_MASTER_FATAL_ERROR_READING_BINLOG:
    case ER_SLAVE_SAME_ID: /* which MySQL sends as the first */
        return src->flavour->explain(src, reason, err);
    case CR_SERVER_LOST:
    case CR_SERVER_GONE_ERROR:
    case 0:
        return weir_fail(err, WEIR_RETRY, "%s: the connection is lost: %.200s",
                         src->name, reason);
    case ER_NET_PACKET_TOO_LARGE:
    case CR_NET_PACKET_TOO_LARGE:
        return weir_fail(err, WEIR_FATAL, "%s sent an event beyond 1 GiB, the "
                         "largest that there can be: %.200s", src->name,
                         reason);
    default:
        return weir_fail(err, WEIR_RETRY, "%s: %.300s (error %u)", src->name,
                         reason, code);
    }
}

static enum weir_status
read_packet(struct source *src, struct weir_str *out, struct weir_err *err)
{
    MYSQL *const        m = src->dump.mysql;
    const unsigned long n = mysql_net_read_packet(m);

    /* Of type unsigned int: never equal to (unsigned long)-1. */
    if (n == packet_error) {
        return read_fail(src, err);
    }
    *out = (struct weir_str){ (const char *)m->net.read_pos, n };
    return WEIR_OK;
}

enum weir_status
dump_read(struct source *src, int64_t timeout_ms, struct weir_str *out,
          struct weir_err *err)
{
    const enum weir_status st = wait_readable(src, timeout_ms, false, err);

    return st == WEIR_OK ? read_packet(src, out, err) : st;
}

/* ---- Events */

/* An event of the server's log itself, not one that only opens the stream. */
static bool
is_live(const unsigned char *event)
{
    const unsigned flags =
        event[HEADER_FLAGS] | (unsigned)event[HEADER_FLAGS + 1] << 8;

    switch (event[HEADER_TYPE]) {
    case HEARTBEAT:
        return true;
    case FORMAT_DESCRIPTION:
    case PREVIOUS_GTIDS:
    case CHECKPOINT:
    case GTID_LIST:
        return false;
    default:
        return !(flags & FLAG_ARTIFICIAL);
    }
}

static enum weir_status
feed_packet(struct source *src, struct weir_str packet, bool *live,
            struct weir_err *err)
{
    const unsigned char *p = (const unsigned char *)packet.data;

    if (packet.len > 0 && p[0] == 0xfe && packet.len < 9) {
        return weir_fail(err, WEIR_RETRY, "%s ended the stream, as a server "
                         "does that shuts down", src->name);
    }
    if (packet.len < 1 + HEADER_BYTES || p[0] != 0) {
        return weir_fail(err, WEIR_RETRY,
                         "%s sent a packet of %zu bytes that is no event",
                         src->name, packet.len);
    }
    *live = *live || is_live(p + 1);
    if (p[1 + HEADER_TYPE] == HEARTBEAT && src->ask.mysql &&
        now_ms() - src->asked_ms > ASK_IDLE_MS) {
        conn_close(&src->ask);
    }
    return weir_feed_binlog(src->in, p + 1, packet.len - 1, err);
}

enum weir_status
dump_stream(struct source *src, struct weir_err *err)
{
    const int64_t quiet_ms = src->conf->heartbeat * 4 + 1000;
    bool          live = false, fed = false;

    for (;;) {
        struct weir_str  packet = { "", 0 };
        enum weir_status st =
            wait_readable(src, live ? quiet_ms : GRACE_MS, fed, err);
        if (src->stopping) {
            return WEIR_OK;
        }
        if (st == WEIR_OK) {
            st = read_packet(src, &packet, err);
        }
        if (st == WEIR_OK) {
            st = feed_packet(src, packet, &live, err);
        }
        if (st != WEIR_OK) {
            return st;
        }
        fed = src->fed = true;
    }
}
