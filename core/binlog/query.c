/*
 * query.c - statements, with what the session had set, and the two other
 * events that are text: XIDs and incidents.  It doesn't know SQL.
 */
#include <stdio.h>

#include "base/bytes.h"
#include "base/err.h"
#include "binlog/event.h"
#include "binlog/inflate.h"

enum { /* status variables: MariaDB sql/log_event.h, MySQL statement_events.h */
    Q_FLAGS2 = 0, Q_SQL_MODE = 1, Q_CATALOG = 2, Q_AUTO_INCREMENT = 3,
    Q_CHARSET = 4, Q_TIME_ZONE = 5, Q_CATALOG_NZ = 6, Q_LC_TIME = 7,
    Q_CHARSET_DATABASE = 8, Q_TABLE_MAP = 9, Q_DATA_WRITTEN = 10,
    Q_INVOKER = 11, Q_UPDATED_DBS = 12, Q_MICROSECONDS = 13,
    Q_EXPLICIT_TIMESTAMP = 16, Q_DDL_XID = 17, Q_DEFAULT_COLLATION = 18,
    Q_REQUIRE_PK = 19, Q_DEFAULT_ENCRYPTION = 20,
    Q_MARIADB_MICROSECONDS = 128, Q_MARIADB_XID = 129, Q_MARIADB_GTID = 130,
    Q_MARIADB_COLLATIONS = 131,
    Q_OVER_MAX_DBS = 254, /* too many to be listed */
    Q_GTID_ALTER = 4 | 8, /* flags that come with a sequence number */
};

static void
skip_updated_databases(struct reader *r)
{
    uint64_t n = read_le(r, 1);

    n = n == Q_OVER_MAX_DBS ? 0 : n;
    while (n > 0 && !r->bad) {
        n -= read_le(r, 1) == 0; /* each ends in a NUL */
    }
}

/* Those that are only stepped over; false if the code isn't known. */
static bool
status_skip(struct reader *r, uint64_t code)
{
    switch (code) {
    case Q_CATALOG:
        read_str(r, read_le(r, 1) + 1);
        return true;
    case Q_CATALOG_NZ:
        read_str(r, read_le(r, 1));
        return true;
    case Q_AUTO_INCREMENT:
    case Q_DATA_WRITTEN:
        read_bytes(r, 4);
        return true;
    case Q_LC_TIME:
    case Q_CHARSET_DATABASE:
    case Q_DEFAULT_COLLATION:
        read_bytes(r, 2);
        return true;
    case Q_TABLE_MAP:
    case Q_DDL_XID:
    case Q_MARIADB_XID:
        read_bytes(r, 8);
        return true;
    case Q_INVOKER:
        read_str(r, read_le(r, 1));
        read_str(r, read_le(r, 1));
        return true;
    case Q_UPDATED_DBS:
        skip_updated_databases(r);
        return true;
    case Q_EXPLICIT_TIMESTAMP:
    case Q_REQUIRE_PK:
    case Q_DEFAULT_ENCRYPTION:
        read_bytes(r, 1);
        return true;
    case Q_MARIADB_GTID:
        if (read_le(r, 1) & Q_GTID_ALTER) {
            read_bytes(r, 8);
        }
        return true;
    case Q_MARIADB_COLLATIONS:
        read_str(r, 4 * read_le(r, 1));
        return true;
    default:
        return false;
    }
}

static bool
status_read(struct reader *r, uint64_t code, struct binlog_query *out)
{
    switch (code) {
    case Q_FLAGS2:
        out->flags2 = (uint32_t)read_le(r, 4);
        return true;
    case Q_SQL_MODE:
        out->sql_mode = read_le(r, 8);
        return true;
    case Q_CHARSET:
        out->client_charset = (uint16_t)read_le(r, 2);
        out->connection_collation = (uint16_t)read_le(r, 2);
        out->server_collation = (uint16_t)read_le(r, 2);
        return true;
    case Q_TIME_ZONE:
        out->time_zone = read_str(r, read_le(r, 1));
        return true;
    case Q_MICROSECONDS:
    case Q_MARIADB_MICROSECONDS:
        out->usec = (uint32_t)read_le(r, 3);
        return true;
    default:
        return status_skip(r, code);
    }
}

static bool
status_parse(struct weir_str vars, struct binlog_query *out)
{
    struct reader r = reader_of(vars.data, vars.len);

    while (reader_left(&r) > 0 && !r.bad) {
        if (!status_read(&r, read_le(&r, 1), out)) {
            return true; /* how long that one is, only newer servers know */
        }
    }
    return !r.bad;
}

enum weir_status
binlog_query_parse(const struct binlog_event *ev, struct arena *a,
                   struct binlog_query *out, struct weir_err *err)
{
    struct reader r = reader_of(ev->body, ev->body_len);

    *out = (struct binlog_query){ 0 };
    out->thread_id = (uint32_t)read_le(&r, 4);
    out->exec_time = (uint32_t)read_le(&r, 4);
    const uint64_t schema_len = read_le(&r, 1);
    out->error = (uint16_t)read_le(&r, 2);
    const struct weir_str vars = read_str(&r, read_le(&r, 2));
    out->schema = read_str(&r, schema_len);
    const uint64_t nul = read_le(&r, 1);
    if (r.bad || nul != 0 || !status_parse(vars, out)) {
        return weir_fail(err, WEIR_REJECT,
                         "event %s of %zu bytes: its fields don't fit into it",
                         binlog_type_name(ev->type), ev->len);
    }
    out->text = read_str(&r, reader_left(&r));
    if (ev->type != BINLOG_QUERY_COMPRESSED) {
        return WEIR_OK;
    }
    size_t size;
    enum weir_status st =
        inflate_event_size(out->text, BINLOG_MAX_EVENT, &size, err);
    if (st == WEIR_OK) {
        char *text = arena_take(a, size + 1);
        st = inflate_event(out->text, text, size, err);
        out->text = (struct weir_str){ text, size };
    }
    return st == WEIR_OK ? st
                         : weir_wrap(err, st, "event %s",
                                     binlog_type_name(ev->type));
}

enum { XID_PART_MAX = 64 }; /* MAXGTRIDSIZE, MAXBQUALSIZE */

static char *
put_hex(char *p, struct weir_str s)
{
    static const char hex[] = "0123456789abcdef";

    *p++ = 'X';
    *p++ = '\'';
    for (size_t i = 0; i < s.len; i++) {
        *p++ = hex[(unsigned char)s.data[i] >> 4];
        *p++ = hex[s.data[i] & 15];
    }
    *p++ = '\'';
    *p++ = ',';
    *p = '\0';
    return p;
}

enum weir_status
binlog_xa_parse(const struct binlog_event *ev, bool *one_phase, char *out,
                size_t room, struct weir_err *err)
{
    struct reader r = reader_of(ev->body, ev->body_len);
    char          text[4 * XID_PART_MAX + 32];

    *one_phase = read_le(&r, 1) != 0;
    const int32_t         format = (int32_t)read_le(&r, 4);
    const uint64_t        gtrid_len = read_le(&r, 4);
    const uint64_t        bqual_len = read_le(&r, 4);
    const struct weir_str gtrid = read_str(&r, gtrid_len);
    const struct weir_str bqual = read_str(&r, bqual_len);
    if (r.bad || gtrid.len > XID_PART_MAX || bqual.len > XID_PART_MAX) {
        return weir_fail(err, WEIR_REJECT,
                         "event %s of %zu bytes: its XID doesn't fit into it",
                         binlog_type_name(ev->type), ev->len);
    }
    char     *p = put_hex(put_hex(text, gtrid), bqual);
    const int n = snprintf(p, 16, "%d", (int)format);
    if ((size_t)(p - text) + (size_t)n >= room) {
        return weir_fail(err, WEIR_REJECT, "XID %s is too long", text);
    }
    snprintf(out, room, "%s", text);
    return WEIR_OK;
}

enum weir_status
binlog_incident_parse(const struct binlog_event *ev, struct weir_str *out,
                      struct weir_err *err)
{
    struct reader r = reader_of(ev->body, ev->body_len);

    read_le(&r, 2);
    *out = read_str(&r, read_le(&r, 1));
    return r.bad ? weir_fail(err, WEIR_REJECT,
                             "event %s of %zu bytes: its message doesn't fit "
                             "into it",
                             binlog_type_name(ev->type), ev->len)
                 : WEIR_OK;
}
