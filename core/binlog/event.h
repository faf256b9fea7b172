/*
 * event.h - binlog v4 events, from bytes: headers, checksums, and the bodies
 * of those that are not about rows.  No I/O, no policy; every length is
 * checked before it is used.  Facts: MariaDB sql/log_event.h, MySQL
 * libs/mysql/binlog/event/.
 *
 * Statuses: OK; REJECT where the bytes are not what they should be (the reason
 * says what and where in the event).
 */
#ifndef WEIR_BINLOG_EVENT_H
#define WEIR_BINLOG_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/module.h>

#include "base/arena.h"
#include "base/buf.h"

enum {
    BINLOG_HEADER = 19,      /* bytes of the common header */
    BINLOG_MAGIC_BYTES = 4,  /* a file begins with "\xfe" "bin" */
    BINLOG_MAX_EVENT = 1 << 30,
    BINLOG_MAX_COLUMNS = 4096,
};

enum binlog_type {
    BINLOG_QUERY = 2, BINLOG_STOP = 3, BINLOG_ROTATE = 4, BINLOG_INTVAR = 5,
    BINLOG_RAND = 13, BINLOG_USER_VAR = 14, BINLOG_FORMAT = 15,
    BINLOG_XID = 16, BINLOG_TABLE_MAP = 19,
    BINLOG_WRITE_V1 = 23, BINLOG_UPDATE_V1 = 24, BINLOG_DELETE_V1 = 25,
    BINLOG_INCIDENT = 26, BINLOG_HEARTBEAT = 27, BINLOG_IGNORABLE = 28,
    BINLOG_ROWS_QUERY = 29,
    BINLOG_WRITE = 30, BINLOG_UPDATE = 31, BINLOG_DELETE = 32,
    BINLOG_GTID = 33, BINLOG_ANONYMOUS_GTID = 34, BINLOG_PREVIOUS_GTIDS = 35,
    BINLOG_TRANSACTION_CONTEXT = 36, BINLOG_VIEW_CHANGE = 37,
    BINLOG_XA_PREPARE = 38, BINLOG_PARTIAL_UPDATE = 39,
    BINLOG_TRANSACTION_PAYLOAD = 40, BINLOG_HEARTBEAT_V2 = 41,
    BINLOG_GTID_TAGGED = 42,
    BINLOG_ANNOTATE_ROWS = 160, BINLOG_CHECKPOINT = 161,
    BINLOG_MARIADB_GTID = 162, BINLOG_GTID_LIST = 163,
    BINLOG_START_ENCRYPTION = 164, BINLOG_QUERY_COMPRESSED = 165,
    BINLOG_WRITE_COMPRESSED_V1 = 166, BINLOG_UPDATE_COMPRESSED_V1 = 167,
    BINLOG_DELETE_COMPRESSED_V1 = 168,
    BINLOG_WRITE_COMPRESSED = 169, BINLOG_UPDATE_COMPRESSED = 170,
    BINLOG_DELETE_COMPRESSED = 171,
};

enum { /* header flags */
    BINLOG_F_THREAD_SPECIFIC = 4,
    BINLOG_F_ARTIFICIAL = 0x20,
    BINLOG_F_IGNORABLE = 0x80,
};

enum binlog_flavour { FLAVOUR_UNKNOWN, FLAVOUR_MYSQL, FLAVOUR_MARIADB };

/* What the last format description said of the events behind it.  Zeroed, then
 * binlog_stream_init(), at the start of each connection or file. */
struct binlog_stream {
    enum binlog_flavour flavour;
    bool                checksums; /* events end in a CRC32 */
    bool                verify;    /* and it is compared; on after init */
    char                server_version[51];
    size_t              npost;
    uint8_t             post_header[256]; /* [type - 1] */
};

void binlog_stream_init(struct binlog_stream *s);

/* One event.  `body` is what stands between header and checksum; it points into
 * the caller's bytes, as `data` does. */
struct binlog_event {
    enum binlog_type type;
    uint16_t         flags;
    uint32_t         timestamp, server_id;
    uint32_t         log_pos; /* low 32 bits of its end; 0 if artificial */
    const uint8_t   *data;    /* the whole event, checksum included */
    size_t           len;
    const uint8_t   *body;
    size_t           body_len;
};

/* `len` is all there is and must be the event's own length.  Takes note of a
 * format description; without one before (`npost` 0) only artificial rotate
 * events, heartbeats and format descriptions pass. */
enum weir_status binlog_event_parse(struct binlog_stream *s, const void *data,
                                    size_t len, struct binlog_event *out,
                                    struct weir_err *err);
/* Events inside a TRANSACTION_PAYLOAD: never a checksum. */
enum weir_status binlog_event_parse_inner(const struct binlog_stream *s,
                                          const void *data, size_t left,
                                          struct binlog_event *out,
                                          struct weir_err *err);

bool        binlog_is_rows(enum binlog_type type); /* compressed ones too */
bool        binlog_is_compressed(enum binlog_type type);
const char *binlog_type_name(enum binlog_type type); /* "WRITE_ROWS_V1" */

struct binlog_rotate { uint64_t position; struct weir_str file; };
enum weir_status binlog_rotate_parse(const struct binlog_event *ev,
                                     struct binlog_rotate *out,
                                     struct weir_err *err);

/* HEARTBEAT (both flavours) and HEARTBEAT_V2. */
enum weir_status binlog_heartbeat_parse(const struct binlog_stream *s,
                                        const struct binlog_event *ev,
                                        struct binlog_rotate *out,
                                        struct weir_err *err);

struct binlog_gtid { /* of GTID, ANONYMOUS_GTID, GTID_TAGGED, MARIADB_GTID */
    char     text[96];     /* "0-1-7", "uuid:7", "uuid:tag:7"; "" anonymous */
    bool     standalone;   /* no BEGIN/COMMIT: exactly one statement follows */
    bool     not_done;     /* its ALTER begins or has failed: what it does comes
                              with another GTID, if it is done */
    bool     prepared_xa, completed_xa;
    int64_t  commit_usec;  /* immediate commit time-stamp; 0 if not logged */
    uint32_t thread_id;    /* 0 if not logged */
};
enum weir_status binlog_gtid_parse(const struct binlog_event *ev,
                                   struct binlog_gtid *out,
                                   struct weir_err *err);
/* GTID_LIST and PREVIOUS_GTIDS, as text that gtid_set_add() takes. */
enum weir_status binlog_gtid_list_parse(const struct binlog_event *ev,
                                        struct buf *out, struct weir_err *err);

struct binlog_query { /* points into the event, or into `a` */
    uint32_t        thread_id, exec_time;
    uint16_t        error;
    struct weir_str schema, text; /* text in the client's charset, inflated */
    uint32_t        flags2;
    uint64_t        sql_mode;
    uint16_t        client_charset, connection_collation, server_collation;
    struct weir_str time_zone;
    uint32_t        usec; /* to be added to the header's seconds */
};
enum weir_status binlog_query_parse(const struct binlog_event *ev,
                                    struct arena *a, struct binlog_query *out,
                                    struct weir_err *err);

/* "X'7831',X'',1", as the server writes an XID, of XA_PREPARE. */
enum weir_status binlog_xa_parse(const struct binlog_event *ev, bool *one_phase,
                                 char *out, size_t room, struct weir_err *err);
enum weir_status binlog_incident_parse(const struct binlog_event *ev,
                                       struct weir_str *out,
                                       struct weir_err *err);

/*
 * Inflating, within `max` bytes.  One for each thread.  A rows event in
 * MariaDB's compressed form becomes the same event uncompressed, type and
 * length changed and without a checksum; a payload becomes the events in it,
 * end to end.  `out` is overwritten.
 */
struct binlog_inflater;
struct binlog_inflater *binlog_inflater_new(void);
void                    binlog_inflater_free(struct binlog_inflater **in);
enum weir_status binlog_inflate_rows(struct binlog_inflater *in,
                                     const struct binlog_event *ev, size_t max,
                                     struct buf *out, struct weir_err *err);
enum weir_status binlog_inflate_payload(struct binlog_inflater *in,
                                        const struct binlog_event *ev,
                                        size_t max, struct buf *out,
                                        struct weir_err *err);

#endif
