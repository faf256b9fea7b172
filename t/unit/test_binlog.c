/* test_binlog.c - framing, and the events that are not about rows. */
#include "unit.h"

#include <libdeflate.h>

#include "base/bytes.h"
#include "base/str.h"
#include "log_text.h"

/* An event of these bytes, with or without a right checksum. */
struct made {
    uint8_t bytes[512];
    size_t  len;
};

static struct made
make_event(enum binlog_type type, unsigned flags, const void *body, size_t len,
           bool checksum)
{
    struct made m = { .len = BINLOG_HEADER + len + (checksum ? 4 : 0) };

    assert_true(m.len <= sizeof m.bytes);
    put_le32(m.bytes, 1700000000);
    m.bytes[4] = (uint8_t)type;
    put_le32(m.bytes + 5, 42);
    put_le32(m.bytes + 9, (uint32_t)m.len);
    put_le32(m.bytes + 13, 1000);
    put_le16(m.bytes + 17, (uint16_t)flags);
    memcpy(m.bytes + BINLOG_HEADER, body, len);
    if (checksum) {
        put_le32(m.bytes + m.len - 4, libdeflate_crc32(0, m.bytes, m.len - 4));
    }
    return m;
}

static struct binlog_event
event_of(enum binlog_type type, const void *body, size_t len)
{
    return (struct binlog_event){ .type = type,
                                  .len = BINLOG_HEADER + len,
                                  .server_id = 9,
                                  .body = body,
                                  .body_len = len };
}

/* A stream that has seen the format description of a recorded file. */
static struct binlog_stream
stream_of(const char *file)
{
    struct binlog_stream s;
    struct buf           log = log_read(file);

    log_event(log, BINLOG_FORMAT, 0, &s, NULL);
    buf_free(&log);
    return s;
}

static void
format_descriptions(void **state)
{
    (void)state;
    struct binlog_stream s = stream_of("mariadb1011_alltypes.binlog");
    assert_int_equal(s.flavour, FLAVOUR_MARIADB);
    assert_true(s.checksums);
    assert_string_equal(s.server_version, "10.11.19-MariaDB-0+deb12u1-log");
    assert_int_equal(s.npost, 171);
    s = stream_of("mysql97_features.binlog");
    assert_int_equal(s.flavour, FLAVOUR_MYSQL);
    assert_string_equal(s.server_version, "9.7.4-2");
    assert_int_equal(s.npost, 42);
    /* This one's file was still open: a flag that the checksum leaves out. */
    s = stream_of("mariadb1011_compressed_rows.binlog");
    assert_true(s.checksums);
}

static void
assert_refused(struct binlog_stream *s, const void *data, size_t len,
               const char *why)
{
    struct binlog_event ev;
    struct weir_err     err = { { 0 } };

    assert_int_equal(binlog_event_parse(s, data, len, &ev, &err), WEIR_REJECT);
    if (!strstr(err.text, why)) {
        fail_msg("\"%s\" does not say \"%s\"", err.text, why);
    }
}

static void
damage_is_noticed(void **state)
{
    struct buf           log = log_read("mariadb1011_alltypes.binlog");
    struct binlog_stream s;
    struct binlog_event  ev = log_event(log, BINLOG_XID, 0, &s, NULL), out;
    uint8_t              bytes[64];

    (void)state;
    for (size_t i = 0; i < 8 * ev.len; i++) {
        memcpy(bytes, ev.data, ev.len);
        bytes[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_int_equal(binlog_event_parse(&s, bytes, ev.len, &out, NULL),
                         WEIR_REJECT);
    }
    memcpy(bytes, ev.data, ev.len);
    bytes[20] ^= 1;
    assert_refused(&s, bytes, ev.len, "checksum is wrong");
    s.verify = false;
    assert_int_equal(binlog_event_parse(&s, bytes, ev.len, &out, NULL),
                     WEIR_OK);
    assert_refused(&s, bytes, 18, "shorter than its header");
    assert_refused(&s, bytes, 30, "but 30 are there");
    assert_refused(&s, bytes, 32, "but 32 came");
    buf_free(&log);
}

static void
damaged_formats_are_refused(void **state)
{
    struct buf           log = log_read("mysql97_features.binlog");
    struct binlog_stream s;
    struct binlog_event  ev = log_event(log, BINLOG_FORMAT, 0, &s, NULL);
    uint8_t              bytes[256];

    (void)state;
    for (size_t i = 0; i < ev.len; i++) {
        memcpy(bytes, ev.data, ev.len);
        bytes[i] ^= 0x40;
        binlog_stream_init(&s);
        struct binlog_event out;
        if (binlog_event_parse(&s, bytes, ev.len, &out, NULL) == WEIR_OK) {
            fail_msg("with byte %zu changed it passed", i);
        }
        assert_int_equal(s.npost, 0);
    }
    s.verify = false;
    memcpy(bytes, ev.data, ev.len);
    bytes[ev.len - 5] = 255;
    assert_refused(&s, bytes, ev.len, "checksum algorithm 255");
    bytes[ev.len - 5] = 1;
    bytes[19] = 3;
    assert_refused(&s, bytes, ev.len, "binlog version 3");
    bytes[19] = 4;
    bytes[19 + 57 + BINLOG_TABLE_MAP - 1] = 6;
    assert_refused(&s, bytes, ev.len, "post header of 6 bytes");
    buf_free(&log);
}

static void
before_the_format(void **state)
{
    static const uint8_t body[] = "\4\0\0\0\0\0\0\0bin.000007";
    const size_t         len = sizeof body - 1;
    struct binlog_event  ev;
    struct binlog_rotate to;

    (void)state;
    for (int checksum = 0; checksum < 2; checksum++) {
        struct binlog_stream s;
        binlog_stream_init(&s);
        struct made m =
            make_event(BINLOG_ROTATE, BINLOG_F_ARTIFICIAL, body, len, checksum);
        assert_int_equal(binlog_event_parse(&s, m.bytes, m.len, &ev, NULL),
                         WEIR_OK);
        assert_int_equal(binlog_rotate_parse(&ev, &to, NULL), WEIR_OK);
        assert_int_equal(to.position, 4);
        assert_true(str_is(to.file, "bin.000007"));
        m = make_event(BINLOG_ROTATE, 0, body, len, checksum);
        assert_refused(&s, m.bytes, m.len, "before any format description");
        m = make_event(BINLOG_QUERY, 0, body, len, checksum);
        assert_refused(&s, m.bytes, m.len, "event QUERY comes before");
    }
    ev = event_of(BINLOG_ROTATE, body, 8);
    assert_int_equal(binlog_rotate_parse(&ev, &to, NULL), WEIR_REJECT);
    ev = event_of(BINLOG_ROTATE, "\4\0\0\0\0\0\0\0bin\n1", 13);
    assert_int_equal(binlog_rotate_parse(&ev, &to, NULL), WEIR_REJECT);
}

static void
encryption(void **state)
{
    struct binlog_stream s = stream_of("mariadb1011_alltypes.binlog");
    struct binlog_event  ev;
    uint8_t              body[17] = { 1 };

    (void)state;
    struct made m = make_event(BINLOG_START_ENCRYPTION, 0, body, 17, true);
    assert_refused(&s, m.bytes, m.len, "the binlog is encrypted");
    m = make_event(BINLOG_START_ENCRYPTION, BINLOG_F_IGNORABLE, body, 17, true);
    assert_int_equal(binlog_event_parse(&s, m.bytes, m.len, &ev, NULL),
                     WEIR_OK);
}

static void
heartbeats(void **state)
{
    struct binlog_stream mysql = { .flavour = FLAVOUR_MYSQL };
    struct binlog_stream mariadb = { .flavour = FLAVOUR_MARIADB };
    struct binlog_rotate at;
    struct binlog_event  ev = event_of(BINLOG_HEARTBEAT, "bin.000001", 10);

    (void)state;
    ev.log_pos = 777;
    assert_int_equal(binlog_heartbeat_parse(&mysql, &ev, &at, NULL), WEIR_OK);
    assert_int_equal(at.position, 777);
    assert_true(str_is(at.file, "bin.000001"));
    ev = event_of(BINLOG_HEARTBEAT, "\0\0\0\0\1\0\0\0bin.000001", 18);
    assert_int_equal(binlog_heartbeat_parse(&mariadb, &ev, &at, NULL), WEIR_OK);
    assert_true(at.position == UINT64_C(1) << 32);
    assert_true(str_is(at.file, "bin.000001"));
    ev = event_of(BINLOG_HEARTBEAT_V2, "\1\3bin\2\3\xfc\1\2\0", 11);
    assert_int_equal(binlog_heartbeat_parse(&mysql, &ev, &at, NULL), WEIR_OK);
    assert_int_equal(at.position, 0x201);
    assert_true(str_is(at.file, "bin"));
    ev = event_of(BINLOG_HEARTBEAT_V2,
                  "\1\xfa"
                  "bin",
                  5);
    assert_int_equal(binlog_heartbeat_parse(&mysql, &ev, &at, NULL),
                     WEIR_REJECT);
}

static void
assert_gtid(const char *file, enum binlog_type type, int nth, const char *want,
            bool standalone, int64_t usec)
{
    struct buf           log = log_read(file);
    struct binlog_stream s;
    struct binlog_event  ev = log_event(log, type, nth, &s, NULL);
    struct binlog_gtid   gtid;

    assert_int_equal(binlog_gtid_parse(&ev, &gtid, NULL), WEIR_OK);
    assert_string_equal(gtid.text, want);
    assert_int_equal(gtid.standalone, standalone);
    assert_true(gtid.commit_usec == usec);
    for (size_t cut = 0; cut < 13; cut++) { /* all shorter ones are refused */
        ev.body_len = cut;
        assert_int_equal(binlog_gtid_parse(&ev, &gtid, NULL), WEIR_REJECT);
    }
    buf_free(&log);
}

static void
gtids(void **state)
{
    (void)state;
    assert_gtid("mariadb1011_alltypes.binlog", BINLOG_MARIADB_GTID, 0, "3-77-1",
                true, 0);
    assert_gtid("mariadb1011_alltypes.binlog", BINLOG_MARIADB_GTID, 3, "3-77-4",
                false, 0);
    assert_gtid("mysql97_features.binlog", BINLOG_GTID, 0,
                "3d19249d-e65e-11f1-a337-02fc00000001:4", false,
                1795342857794365);
    assert_gtid("mysql97_features.binlog", BINLOG_GTID_TAGGED, 0,
                "3d19249d-e65e-11f1-a337-02fc00000001:mytag:1", false,
                1795342857797665);
}

static void
gtid_variants(void **state)
{
    /* Flags GROUP_COMMIT and PREPARED_XA, then extra flags with a thread. */
    static const uint8_t xa[] = "\5\0\0\0\0\0\0\0\1\0\0\0\x42"
                                "\0\0\0\0\0\0\0\0"
                                "\1\0\0\0\2\1gtb"
                                "\x10\x39\x30\0\0\0\0\0\0";
    struct binlog_event  ev = event_of(BINLOG_MARIADB_GTID, xa, sizeof xa - 1);
    struct binlog_gtid   gtid;

    (void)state;
    assert_int_equal(binlog_gtid_parse(&ev, &gtid, NULL), WEIR_OK);
    assert_string_equal(gtid.text, "1-9-5");
    assert_true(gtid.prepared_xa && !gtid.completed_xa && !gtid.standalone);
    assert_int_equal(gtid.thread_id, 12345);
    ev = event_of(BINLOG_ANONYMOUS_GTID, (uint8_t[42]){ 0 }, 42);
    assert_int_equal(binlog_gtid_parse(&ev, &gtid, NULL), WEIR_OK);
    assert_string_equal(gtid.text, "");
    ev.type = BINLOG_GTID; /* a number of 0 is none */
    assert_int_equal(binlog_gtid_parse(&ev, &gtid, NULL), WEIR_REJECT);
}

static void
assert_list(enum binlog_type type, const void *body, size_t len,
            const char *want)
{
    struct binlog_event    ev = event_of(type, body, len);
    struct buf             out = { 0 };
    const enum weir_status st = binlog_gtid_list_parse(&ev, &out, NULL);

    assert_int_equal(st, want ? WEIR_OK : WEIR_REJECT);
    if (want && !str_is(buf_view(&out), want)) {
        fail_msg("\"%.*s\" is not \"%s\"", (int)out.len, out.data, want);
    }
    buf_free(&out);
}

static void
gtid_lists(void **state)
{
    static const uint8_t mariadb[] = "\2\0\0\x10" /* and a flag */
                                     "\0\0\0\0\1\0\0\0\7\0\0\0\0\0\0\0"
                                     "\3\0\0\0\2\0\0\0\1\1\0\0\0\0\0\0";
    static const uint8_t tagged[] =
        "\1\2\0\0\0\0\0\1"
        "0123456789abcdef\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\6\0\0\0\0\0\0\0"
        "0123456789abcdef\6tag\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0";
    struct buf           log = log_read("mysql97_features.binlog");
    struct binlog_stream s;
    struct binlog_event ev = log_event(log, BINLOG_PREVIOUS_GTIDS, 0, &s, NULL);

    (void)state;
    assert_list(BINLOG_PREVIOUS_GTIDS, ev.body, ev.body_len,
                "3d19249d-e65e-11f1-a337-02fc00000001:1-3");
    for (size_t cut = 1; cut < ev.body_len; cut++) {
        assert_list(BINLOG_PREVIOUS_GTIDS, ev.body, ev.body_len - cut, NULL);
    }
    assert_list(BINLOG_GTID_LIST, mariadb, sizeof mariadb - 1, "0-1-7,3-2-257");
    assert_list(BINLOG_GTID_LIST, mariadb, sizeof mariadb - 2, NULL);
    assert_list(BINLOG_GTID_LIST, "\0\0\0\0\0\0", 6, "");
    assert_list(BINLOG_PREVIOUS_GTIDS, tagged, sizeof tagged,
                "30313233-3435-3637-3839-616263646566:1-5,"
                "30313233-3435-3637-3839-616263646566:tag:1");
    assert_list(BINLOG_PREVIOUS_GTIDS, "\xff\xff\xff\xff\xff\xff\xff\0", 8,
                NULL);
    buf_free(&log);
}

static void
statements(void **state)
{
    struct buf           log = log_read("mysql97_features.binlog");
    struct binlog_stream s;
    struct arena         a = { 0 };
    struct binlog_query  q;
    struct binlog_event  ev = log_event(log, BINLOG_QUERY, 1, &s, NULL);

    (void)state;
    assert_int_equal(binlog_query_parse(&ev, &a, &q, NULL), WEIR_OK);
    assert_true(str_is(q.text, "BEGIN"));
    assert_true(str_is(q.schema, "p"));
    assert_true(str_is(q.time_zone, "SYSTEM"));
    assert_int_equal(q.thread_id, 9);
    assert_int_equal(q.client_charset, 33);
    assert_int_equal(q.server_collation, 255);
    assert_true(q.sql_mode == 0x45a00020);
    buf_free(&log);

    log = log_read("mariadb1011_extremes.binlog");
    ev = log_event(log, BINLOG_QUERY_COMPRESSED, 0, &s, NULL);
    assert_int_equal(binlog_query_parse(&ev, &a, &q, NULL), WEIR_OK);
    assert_true(str_has_prefix(q.text, "CREATE TABLE ints (k int primary"));
    assert_memory_equal(q.text.data + q.text.len - 19, "bu bigint unsigned)",
                        19);
    for (size_t cut = 1; cut < ev.body_len; cut++) {
        struct binlog_event less = ev;
        less.body_len -= cut;
        assert_int_equal(binlog_query_parse(&less, &a, &q, NULL), WEIR_REJECT);
    }
    buf_free(&log);
    arena_free(&a);
}

static void
status_variables(void **state)
{
    /* An unknown one ends the list; what came before it counts. */
    static const char   body[] = "\1\0\0\0\2\0\0\0\1\7\0\x1a\0"
                                 "\0\4\0\0\0"
                                 "\3\1\0\1\0"
                                 "\5\3UTC"
                                 "\x0c\2a\0b\0"
                                 "\x80\x40\xe2\1"
                                 "\xc8"
                                 "p\0SELECT 1";
    struct arena        a = { 0 };
    struct binlog_query q;
    struct binlog_event ev = event_of(BINLOG_QUERY, body, sizeof body - 1);

    (void)state;
    assert_int_equal(binlog_query_parse(&ev, &a, &q, NULL), WEIR_OK);
    assert_int_equal(q.flags2, 4);
    assert_true(str_is(q.time_zone, "UTC"));
    assert_int_equal(q.usec, 123456);
    assert_int_equal(q.error, 7);
    assert_int_equal(q.exec_time, 2);
    assert_true(str_is(q.text, "SELECT 1"));
    arena_free(&a);
}

static void
xids(void **state)
{
    struct buf           log = log_read("mysql97_features.binlog");
    struct binlog_stream s;
    char                 text[400];
    bool                 one_phase;
    struct binlog_event  ev = log_event(log, BINLOG_XA_PREPARE, 0, &s, NULL);

    (void)state;
    assert_int_equal(binlog_xa_parse(&ev, &one_phase, text, sizeof text, NULL),
                     WEIR_OK);
    assert_false(one_phase);
    assert_string_equal(text, "X'7831',X'',1");
    assert_int_equal(binlog_xa_parse(&ev, &one_phase, text, 13, NULL),
                     WEIR_REJECT);
    for (size_t cut = 1; cut <= ev.body_len; cut++) {
        struct binlog_event less = ev;
        less.body_len -= cut;
        assert_int_equal(
            binlog_xa_parse(&less, &one_phase, text, sizeof text, NULL),
            WEIR_REJECT);
    }
    ev = log_event(log, BINLOG_XA_PREPARE, 1, &s, NULL);
    assert_int_equal(binlog_xa_parse(&ev, &one_phase, text, sizeof text, NULL),
                     WEIR_OK);
    assert_true(one_phase);
    buf_free(&log);
}

static void
incidents(void **state)
{
    struct binlog_event ev = event_of(BINLOG_INCIDENT, "\1\0\4lost", 7);
    struct weir_str     text;

    (void)state;
    assert_int_equal(binlog_incident_parse(&ev, &text, NULL), WEIR_OK);
    assert_true(str_is(text, "lost"));
    ev.body_len = 6;
    assert_int_equal(binlog_incident_parse(&ev, &text, NULL), WEIR_REJECT);
}

static void
payloads(void **state)
{
    struct buf log = log_read("unit/mysql97_json.binlog"), out = { 0 };
    struct binlog_stream    s;
    struct binlog_inflater *in = binlog_inflater_new();
    struct weir_err         err;
    struct binlog_event     ev =
        log_event(log, BINLOG_TRANSACTION_PAYLOAD, 0, &s, NULL);

    (void)state;
    for (int i = 0; i < 2; i++) { /* and again with the same context */
        assert_int_equal(binlog_inflate_payload(in, &ev, 1 << 20, &out, &err),
                         WEIR_OK);
        assert_true(out.len > 70000);
    }
    const size_t exact = out.len;
    assert_int_equal(binlog_inflate_payload(in, &ev, exact, &out, &err),
                     WEIR_OK);
    assert_int_equal(out.len, exact);
    assert_int_equal(binlog_inflate_payload(in, &ev, exact - 1, &out, &err),
                     WEIR_REJECT);
    assert_non_null(strstr(err.text, "becomes more than"));
    for (size_t cut = 1; cut < ev.body_len; cut++) {
        struct binlog_event less = ev;
        less.body_len -= cut;
        assert_int_equal(binlog_inflate_payload(in, &less, 1 << 20, &out, &err),
                         WEIR_REJECT);
    }
    /* Not compressed: the algorithm is 255. */
    ev = event_of(BINLOG_TRANSACTION_PAYLOAD, "\2\3\xfc\xff\0\1\1\4\0abcd", 13);
    assert_int_equal(binlog_inflate_payload(in, &ev, 4, &out, &err), WEIR_OK);
    assert_true(str_is(buf_view(&out), "abcd"));
    assert_int_equal(binlog_inflate_payload(in, &ev, 3, &out, &err),
                     WEIR_REJECT);
    ev = event_of(BINLOG_TRANSACTION_PAYLOAD, "\2\1\1\0abcd", 8);
    assert_int_equal(binlog_inflate_payload(in, &ev, 9, &out, &err),
                     WEIR_REJECT);
    assert_non_null(strstr(err.text, "algorithm 1"));
    binlog_inflater_free(&in);
    buf_free(&out);
    buf_free(&log);
}

static void
compressed_rows(void **state)
{
    struct buf log = log_read("mariadb1011_compressed_rows.binlog"),
               out = { 0 };
    struct binlog_stream    s;
    struct binlog_inflater *in = binlog_inflater_new();
    struct binlog_event     plain;
    struct weir_err         err;
    struct binlog_event     ev =
        log_event(log, BINLOG_UPDATE_COMPRESSED_V1, 0, &s, NULL);

    (void)state;
    assert_int_equal(binlog_inflate_rows(in, &ev, 1 << 20, &out, &err),
                     WEIR_OK);
    assert_int_equal(
        binlog_event_parse_inner(&s, out.data, out.len, &plain, &err), WEIR_OK);
    assert_int_equal(plain.type, BINLOG_UPDATE_V1);
    assert_int_equal(plain.len, out.len);
    assert_int_equal(plain.timestamp, ev.timestamp);
    assert_int_equal(binlog_inflate_rows(in, &ev, out.len - 1, &out, &err),
                     WEIR_REJECT);
    assert_non_null(strstr(err.text, "are allowed"));
    for (size_t cut = 1; cut < ev.body_len; cut++) {
        struct binlog_event less = ev;
        less.body_len -= cut;
        assert_int_equal(binlog_inflate_rows(in, &less, 1 << 20, &out, &err),
                         WEIR_REJECT);
    }
    binlog_inflater_free(&in);
    buf_free(&out);
    buf_free(&log);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(format_descriptions),
        cmocka_unit_test(damage_is_noticed),
        cmocka_unit_test(damaged_formats_are_refused),
        cmocka_unit_test(before_the_format),
        cmocka_unit_test(encryption),
        cmocka_unit_test(heartbeats),
        cmocka_unit_test(gtids),
        cmocka_unit_test(gtid_variants),
        cmocka_unit_test(gtid_lists),
        cmocka_unit_test(statements),
        cmocka_unit_test(status_variables),
        cmocka_unit_test(xids),
        cmocka_unit_test(incidents),
        cmocka_unit_test(payloads),
        cmocka_unit_test(compressed_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
