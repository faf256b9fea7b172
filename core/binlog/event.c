/*
 * event.c - framing: common headers, checksums, format descriptions, and the
 * events that name a file and a position.  Bytes in, structs out; it doesn't
 * know where the bytes are from, nor what a transaction is.
 */
#include "binlog/event.h"

#include <string.h>

#include <libdeflate.h>

#include "base/bytes.h"
#include "base/str.h"

enum {
    CHECKSUM_BYTES = 4,
    CHECKSUM_OFF = 0,
    CHECKSUM_CRC32 = 1,
    F_IN_USE = 1,         /* of a file that is still written to */
    FORMAT_FIXED = 57,    /* version, server's version, created, header len */
    MARIADB_TYPES = 160,  /* only MariaDB describes that many types */
    FIRST_TYPES = 27,     /* a 5.0 server's, the first with this format */
};

void
binlog_stream_init(struct binlog_stream *s)
{
    *s = (struct binlog_stream){ .verify = true };
}

/* As the server computed it: without the flag that is cleared in the file when
 * it is closed (both servers, event_checksum_test()). */
static uint32_t
event_crc(const uint8_t *data, size_t len)
{
    uint8_t head[BINLOG_HEADER];

    memcpy(head, data, sizeof head);
    if (head[4] == BINLOG_FORMAT) {
        head[17] &= (uint8_t)~F_IN_USE;
    }
    const uint32_t crc = libdeflate_crc32(0, head, sizeof head);
    return libdeflate_crc32(crc, data + sizeof head, len - sizeof head);
}

static bool
crc_is_right(const uint8_t *data, size_t len)
{
    return len >= BINLOG_HEADER + CHECKSUM_BYTES &&
           event_crc(data, len - CHECKSUM_BYTES) ==
               get_le32(data + len - CHECKSUM_BYTES);
}

static enum weir_status
header_parse(const uint8_t *data, size_t left, struct binlog_event *out,
             struct weir_err *err)
{
    if (left < BINLOG_HEADER) {
        return weir_fail(err, WEIR_REJECT,
                         "event of %zu bytes is shorter than its header",
                         left);
    }
    *out = (struct binlog_event){
        .timestamp = get_le32(data),
        .type = data[4],
        .server_id = get_le32(data + 5),
        .len = get_le32(data + 9),
        .log_pos = get_le32(data + 13),
        .flags = get_le16(data + 17),
        .data = data,
        .body = data + BINLOG_HEADER,
    };
    if (out->len < BINLOG_HEADER || out->len > BINLOG_MAX_EVENT ||
        out->len > left) {
        return weir_fail(err, WEIR_REJECT,
                         "event %s says it has %zu bytes, but %zu are there",
                         binlog_type_name(out->type), out->len, left);
    }
    out->body_len = out->len - BINLOG_HEADER;
    return WEIR_OK;
}

/* The lengths of post headers that rows.c and its like count on. */
static enum weir_status
format_check_layout(const struct binlog_stream *s, struct weir_err *err)
{
    static const struct { uint8_t type, len, or_len; } want[] = {
        { BINLOG_QUERY, 13, 13 },
        { BINLOG_ROTATE, 8, 8 },
        { BINLOG_TABLE_MAP, 8, 8 },
        { BINLOG_WRITE_V1, 8, 0 },  /* newer MySQL no longer has v1 */
        { BINLOG_UPDATE_V1, 8, 0 },
        { BINLOG_DELETE_V1, 8, 0 },
        { BINLOG_WRITE, 10, 0 },    /* MariaDB doesn't write v2 */
        { BINLOG_UPDATE, 10, 0 },
        { BINLOG_DELETE, 10, 0 },
        { BINLOG_PARTIAL_UPDATE, 10, 0 },
    };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        if (want[i].type > s->npost) {
            continue;
        }
        const uint8_t len = s->post_header[want[i].type - 1];
        if (len != want[i].len && len != want[i].or_len) {
            return weir_fail(err, WEIR_REJECT,
                             "format description of server %s: %s has a post "
                             "header of %u bytes, where %u are known",
                             s->server_version,
                             binlog_type_name(want[i].type), len, want[i].len);
        }
    }
    return WEIR_OK;
}

static void
format_server(struct binlog_stream *s, const uint8_t *version, size_t npost)
{
    s->npost = npost;
    memcpy(s->server_version, version, 50);
    for (char *c = s->server_version; *c; c++) {
        *c = *c < ' ' || *c > '~' ? '?' : *c; /* it is shown to people */
    }
    s->flavour =
        npost >= MARIADB_TYPES || strstr(s->server_version, "MariaDB")
            ? FLAVOUR_MARIADB
            : FLAVOUR_MYSQL;
}

/* It always brings the byte that names the algorithm, and room for a checksum,
 * be it used or not. */
static enum weir_status
format_parse(struct binlog_stream *s, struct binlog_event *ev,
             struct weir_err *err)
{
    const size_t tail = 1 + CHECKSUM_BYTES;
    const uint8_t *body = ev->body;

    if (ev->body_len < FORMAT_FIXED + FIRST_TYPES + tail) {
        return weir_fail(err, WEIR_REJECT,
                         "format description of %zu bytes is too short",
                         ev->body_len);
    }
    const size_t npost = ev->body_len - FORMAT_FIXED - tail;
    const uint8_t algorithm = body[FORMAT_FIXED + npost];
    if (get_le16(body) != 4 || body[FORMAT_FIXED - 1] != BINLOG_HEADER ||
        npost > sizeof s->post_header) {
        return weir_fail(err, WEIR_REJECT,
                         "format description: binlog version %u with headers "
                         "of %u bytes and %zu event types, where version 4 "
                         "and 19 bytes are known",
                         get_le16(body), body[FORMAT_FIXED - 1], npost);
    }
    if (algorithm != CHECKSUM_OFF && algorithm != CHECKSUM_CRC32) {
        return weir_fail(err, WEIR_REJECT,
                         "format description: checksum algorithm %u is not "
                         "known; servers before 5.6 can't be read",
                         algorithm);
    }
    if (s->verify && algorithm == CHECKSUM_CRC32 &&
        !crc_is_right(ev->data, ev->len)) {
        return weir_fail(err, WEIR_REJECT,
                         "format description: its checksum is wrong: the "
                         "bytes were damaged on disk or on the way");
    }
    struct binlog_stream next = { .verify = s->verify };
    memcpy(next.post_header, body + FORMAT_FIXED, npost);
    format_server(&next, body + 2, npost);
    next.checksums = algorithm == CHECKSUM_CRC32;
    const enum weir_status st = format_check_layout(&next, err);
    if (st == WEIR_OK) {
        *s = next;
        ev->body_len -= CHECKSUM_BYTES;
    }
    return st;
}

/* Before the format description nothing says whether there are checksums (it
 * depends on a variable of the session): one is there if it is right. */
static enum weir_status
first_event(struct binlog_event *ev, struct weir_err *err)
{
    const bool rotate =
        ev->type == BINLOG_ROTATE && (ev->flags & BINLOG_F_ARTIFICIAL);

    if (!rotate && ev->type != BINLOG_HEARTBEAT &&
        ev->type != BINLOG_HEARTBEAT_V2) {
        return weir_fail(err, WEIR_REJECT,
                         "event %s comes before any format description",
                         binlog_type_name(ev->type));
    }
    if (crc_is_right(ev->data, ev->len)) {
        ev->body_len -= CHECKSUM_BYTES;
    }
    return WEIR_OK;
}

static enum weir_status
event_check_crc(const struct binlog_stream *s, struct binlog_event *ev,
                struct weir_err *err)
{
    if (ev->body_len < CHECKSUM_BYTES) {
        return weir_fail(err, WEIR_REJECT,
                         "event %s of %zu bytes has no room for its checksum",
                         binlog_type_name(ev->type), ev->len);
    }
    if (s->verify && !crc_is_right(ev->data, ev->len)) {
        return weir_fail(err, WEIR_REJECT,
                         "event %s of %zu bytes, ending at %u: its checksum "
                         "is wrong: the bytes were damaged on disk or on the "
                         "way",
                         binlog_type_name(ev->type), ev->len, ev->log_pos);
    }
    ev->body_len -= CHECKSUM_BYTES;
    return WEIR_OK;
}

enum weir_status
binlog_event_parse(struct binlog_stream *s, const void *data, size_t len,
                   struct binlog_event *out, struct weir_err *err)
{
    enum weir_status st = header_parse(data, len, out, err);

    if (st != WEIR_OK) {
        return st;
    }
    if (out->len != len) {
        return weir_fail(err, WEIR_REJECT,
                         "event %s says it has %zu bytes, but %zu came",
                         binlog_type_name(out->type), out->len, len);
    }
    if (out->type == BINLOG_FORMAT) {
        return format_parse(s, out, err);
    }
    if (s->npost == 0) {
        return first_event(out, err);
    }
    if (s->checksums) {
        st = event_check_crc(s, out, err);
    }
    /* A server that decrypts as it sends marks the event as one to ignore. */
    if (st == WEIR_OK && out->type == BINLOG_START_ENCRYPTION &&
        !(out->flags & BINLOG_F_IGNORABLE)) {
        return weir_fail(err, WEIR_REJECT,
                         "the binlog is encrypted from here on: read it from "
                         "the server, which decrypts it, and not from its "
                         "file");
    }
    return st;
}

enum weir_status
binlog_event_parse_inner(const struct binlog_stream *s, const void *data,
                         size_t left, struct binlog_event *out,
                         struct weir_err *err)
{
    (void)s; /* inner events have the layout of the stream they stand in */
    enum weir_status st = header_parse(data, left, out, err);
    if (st == WEIR_OK && (out->type == BINLOG_FORMAT ||
                          out->type == BINLOG_TRANSACTION_PAYLOAD)) {
        st = weir_fail(err, WEIR_REJECT, "event %s inside another event",
                       binlog_type_name(out->type));
    }
    return st;
}

bool
binlog_is_rows(enum binlog_type type)
{
    return (type >= BINLOG_WRITE_V1 && type <= BINLOG_DELETE_V1) ||
           (type >= BINLOG_WRITE && type <= BINLOG_DELETE) ||
           type == BINLOG_PARTIAL_UPDATE ||
           (type >= BINLOG_WRITE_COMPRESSED_V1 &&
            type <= BINLOG_DELETE_COMPRESSED);
}

bool
binlog_is_compressed(enum binlog_type type)
{
    return type == BINLOG_TRANSACTION_PAYLOAD ||
           (type >= BINLOG_QUERY_COMPRESSED &&
            type <= BINLOG_DELETE_COMPRESSED);
}

const char *
binlog_type_name(enum binlog_type type)
{
    static const char *const names[256] = {
        [1] = "START_V3",
        [BINLOG_QUERY] = "QUERY",
        [BINLOG_STOP] = "STOP",
        [BINLOG_ROTATE] = "ROTATE",
        [BINLOG_INTVAR] = "INTVAR",
        [BINLOG_RAND] = "RAND",
        [BINLOG_USER_VAR] = "USER_VAR",
        [BINLOG_FORMAT] = "FORMAT_DESCRIPTION",
        [BINLOG_XID] = "XID",
        [17] = "BEGIN_LOAD_QUERY",
        [18] = "EXECUTE_LOAD_QUERY",
        [BINLOG_TABLE_MAP] = "TABLE_MAP",
        [BINLOG_WRITE_V1] = "WRITE_ROWS_V1",
        [BINLOG_UPDATE_V1] = "UPDATE_ROWS_V1",
        [BINLOG_DELETE_V1] = "DELETE_ROWS_V1",
        [BINLOG_INCIDENT] = "INCIDENT",
        [BINLOG_HEARTBEAT] = "HEARTBEAT",
        [BINLOG_IGNORABLE] = "IGNORABLE",
        [BINLOG_ROWS_QUERY] = "ROWS_QUERY",
        [BINLOG_WRITE] = "WRITE_ROWS",
        [BINLOG_UPDATE] = "UPDATE_ROWS",
        [BINLOG_DELETE] = "DELETE_ROWS",
        [BINLOG_GTID] = "GTID",
        [BINLOG_ANONYMOUS_GTID] = "ANONYMOUS_GTID",
        [BINLOG_PREVIOUS_GTIDS] = "PREVIOUS_GTIDS",
        [BINLOG_TRANSACTION_CONTEXT] = "TRANSACTION_CONTEXT",
        [BINLOG_VIEW_CHANGE] = "VIEW_CHANGE",
        [BINLOG_XA_PREPARE] = "XA_PREPARE",
        [BINLOG_PARTIAL_UPDATE] = "PARTIAL_UPDATE_ROWS",
        [BINLOG_TRANSACTION_PAYLOAD] = "TRANSACTION_PAYLOAD",
        [BINLOG_HEARTBEAT_V2] = "HEARTBEAT_V2",
        [BINLOG_GTID_TAGGED] = "GTID_TAGGED",
        [BINLOG_ANNOTATE_ROWS] = "ANNOTATE_ROWS",
        [BINLOG_CHECKPOINT] = "BINLOG_CHECKPOINT",
        [BINLOG_MARIADB_GTID] = "MARIADB_GTID",
        [BINLOG_GTID_LIST] = "GTID_LIST",
        [BINLOG_START_ENCRYPTION] = "START_ENCRYPTION",
        [BINLOG_QUERY_COMPRESSED] = "QUERY_COMPRESSED",
        [BINLOG_WRITE_COMPRESSED_V1] = "WRITE_ROWS_COMPRESSED_V1",
        [BINLOG_UPDATE_COMPRESSED_V1] = "UPDATE_ROWS_COMPRESSED_V1",
        [BINLOG_DELETE_COMPRESSED_V1] = "DELETE_ROWS_COMPRESSED_V1",
        [BINLOG_WRITE_COMPRESSED] = "WRITE_ROWS_COMPRESSED",
        [BINLOG_UPDATE_COMPRESSED] = "UPDATE_ROWS_COMPRESSED",
        [BINLOG_DELETE_COMPRESSED] = "DELETE_ROWS_COMPRESSED",
    };
    const unsigned i = (unsigned)type;
    return i < 256 && names[i] ? names[i] : "of an unknown type";
}

/* File names go into messages, logs and checkpoints. */
static bool
file_name_is_sane(struct weir_str name)
{
    if (name.len == 0 || name.len > 512) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        if ((unsigned char)name.data[i] < ' ' || name.data[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

static enum weir_status
rotate_check(const struct binlog_event *ev, const struct reader *r,
             const struct binlog_rotate *out, struct weir_err *err)
{
    if (r->bad || !file_name_is_sane(out->file)) {
        return weir_fail(err, WEIR_REJECT,
                         "event %s of %zu bytes does not name a file",
                         binlog_type_name(ev->type), ev->len);
    }
    return WEIR_OK;
}

enum weir_status
binlog_rotate_parse(const struct binlog_event *ev, struct binlog_rotate *out,
                    struct weir_err *err)
{
    struct reader r = reader_of(ev->body, ev->body_len);

    out->position = read_le(&r, 8);
    out->file = read_str(&r, reader_left(&r));
    return rotate_check(ev, &r, out, err);
}

/* Fields of type, length, value; 1 is the file, 2 the position, 0 the end. */
static enum weir_status
heartbeat_v2_parse(const struct binlog_event *ev, struct binlog_rotate *out,
                   struct weir_err *err)
{
    struct reader r = reader_of(ev->body, ev->body_len);

    *out = (struct binlog_rotate){ 0 };
    while (reader_left(&r) > 0) {
        const uint64_t field = read_lenenc(&r);
        if (field == 0) {
            break;
        }
        const struct weir_str value = read_str(&r, read_lenenc(&r));
        if (field == 1) {
            out->file = value;
        } else if (field == 2) {
            struct reader number = reader_of(value.data, value.len);
            out->position = read_lenenc(&number);
            r.bad = r.bad || number.bad;
        }
    }
    return rotate_check(ev, &r, out, err);
}

enum weir_status
binlog_heartbeat_parse(const struct binlog_stream *s,
                       const struct binlog_event *ev,
                       struct binlog_rotate *out, struct weir_err *err)
{
    if (ev->type == BINLOG_HEARTBEAT_V2) {
        return heartbeat_v2_parse(ev, out, err);
    }
    struct reader r = reader_of(ev->body, ev->body_len);
    out->position = ev->log_pos;
    /* MariaDB beyond 4 GiB: HB_SUB_HEADER_LEN, log_event.h. */
    if (ev->log_pos == 0 && s->flavour == FLAVOUR_MARIADB) {
        out->position = read_le(&r, 8);
    }
    out->file = read_str(&r, reader_left(&r));
    return rotate_check(ev, &r, out, err);
}
