/*
 * test_rows.c - values of every type out of recorded binlogs, against what the
 * .sql file beside each of them put in; and rows that are not sound.
 */
#include "unit.h"

#include "base/bytes.h"
#include "base/str.h"
#include "binlog/table_map.h"
#include "binlog/value.h"
#include "log_text.h"

static void
assert_rows(const char *file, const char *table, const char *want)
{
    struct buf            out = { 0 };
    const struct weir_str got = log_rows(file, table, NULL, &out);

    assert_string_equal(got.data, want);
    buf_free(&out);
}

#define EXTREMES "mariadb1011_extremes.binlog"
#define Z50 "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"
#define Z400 Z50 Z50 Z50 Z50 Z50 Z50 Z50 Z50
#define NULLS5 "NULL, NULL, NULL, NULL, NULL, "
#define NULLS10 NULLS5 NULLS5
#define ABSENT10 "-, -, -, -, -, -, -, -, -, -, "

static void
mariadb_types(void **state)
{
    (void)state;
    assert_rows(
        "mariadb1011_alltypes.binlog", "alltypes",
        "alltypes insert 1u, -1, 255u, -2, -3, -4, -5, -12345678.90, "
        "1.500000000000000000000000000000, 1.25, -2.5, 1u, "
        "9223372036854775809u, 2024, 2024-02-29, -838:59:59.000000, "
        "-00:00:00.000001, 2024-01-02 03:04:05.000000, "
        "2024-01-02 03:04:05.678000, 2024-01-02 03:04:05.000000, "
        "2024-01-02 03:04:05.123456, 'h\303\251\303\251', 'wide', 'latin', "
        "'v1000', "
        "x'6162000000', x'00ff', 'tiny', 'text', 'medium', x'626c6f62', 'b', "
        "'x,z', x'e61000000101000000000000000000f03f0000000000000040', "
        "'{\"a\":1}', x'00000000000000000000000000000001', "
        "x'123e4567e89b12d3a456426655440000', '" Z400 "', 'hid'\n"
        "alltypes insert 100u, " NULLS10 NULLS10 NULLS10 NULLS5
        "NULL, NULL, 'hid'\n"
        "alltypes update 100u, " NULLS10 NULLS10 NULLS10 NULLS5
        "NULL, NULL, 'hid' -> 100u, NULL, NULL, NULL, NULL, 7, " NULLS10 NULLS10
            NULLS10 "NULL, NULL, 'hid'\n"
        /* binlog_row_image=MINIMAL: the key before, the change after */
        "alltypes update 100u, " ABSENT10 ABSENT10     ABSENT10
        "-, -, -, -, -, -, -, - -> -, -, -, " ABSENT10 ABSENT10
        "'changed', -, -, -, -, " ABSENT10 "-\n"
        "alltypes delete 100u, NULL, NULL, NULL, NULL, 7, " NULLS10 NULLS5
        "NULL, NULL, 'changed', " NULLS10 "NULL, NULL, NULL, NULL, 'hid'\n");
    assert_rows("mariadb1011_alltypes.binlog", "ch",
                "ch insert 1, 'hello', 42\n");
    assert_rows("mariadb1011_alltypes.binlog", "en",
                "en insert 1, 'b', 'zzz'\n");
}

static void
integers(void **state)
{
    (void)state;
    assert_rows(EXTREMES, "ints",
                "ints insert 1, -128, -32768, -8388608, -2147483648, "
                "-9223372036854775808, 0u, 0u, 0u, 0u, 0u\n"
                "ints insert 2, 127, 32767, 8388607, 2147483647, "
                "9223372036854775807, 255u, 65535u, 16777215u, 4294967295u, "
                "18446744073709551615u\n");
}

static void
decimals(void **state)
{
    (void)state;
    assert_rows(EXTREMES, "decimals",
                "decimals insert 1, 99999999999999999999999999999999999."
                "999999999999999999999999999999, 9999999999999999999999999999"
                "9999999999999999999999999999999999999, 0.9, 0.123456789, "
                "123456789.000000001, 0.00, 12345\n"
                "decimals insert 2, -99999999999999999999999999999999999."
                "999999999999999999999999999999, -1, -0.1, -0.000000001, "
                "-1.500000000, -0.01, 0\n");
}

static void
times(void **state)
{
    (void)state;
    assert_rows(EXTREMES, "times",
                "times insert 1, 0000-00-00, 0000-00-00 00:00:00.000000, "
                "0000-00-00 00:00:00.000000, 0000-00-00 00:00:00.000000, "
                "0000-00-00 00:00:00.000000, 0000-00-00 00:00:00.000000, "
                "00:00:00.000000, -00:00:00.100000, -00:00:00.001000, "
                "-838:59:59.999999, 0\n"
                "times insert 2, 9999-12-31, 9999-12-31 23:59:59.000000, "
                "9999-12-31 23:59:59.900000, 9999-12-31 23:59:59.999999, "
                "1970-01-01 00:00:01.000000, 2038-01-19 03:14:07.990000, "
                "838:59:59.000000, 838:59:59.900000, 01:02:03.456000, "
                "838:59:59.999999, 2155\n"
                "times insert 3, 2024-00-10, 2024-02-00 01:02:03.000000, "
                "1000-01-01 00:00:00.000000, 1000-01-01 00:00:00.000000, "
                "2000-02-29 12:34:56.000000, 2000-03-01 00:00:00.000000, "
                "-00:00:01.000000, -01:00:00.000000, -10:59:59.999000, "
                "-00:00:00.000001, 1901\n");
}

static void
texts(void **state)
{
    (void)state;
    assert_rows(EXTREMES, "texts",
                "texts insert 1, '\342\202\254\303\251\xc2\x81', 'plain', "
                "'\303\244\303\266\303\274', '\360\237\230\200x', "
                "x'010200000000', 'it's', 'x,y,z', x'00ff', '\303\251', NULL\n"
                "texts insert 2, '', '', '', '', x'000000000000', '', '', "
                "x'', '', NULL\n"
                "texts insert 3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, "
                "NULL, NULL, "
                "'\320\237\321\200\320\270\320\262\320\265\321\202'\n");
    assert_rows(EXTREMES, "big_enum",
                "big_enum insert 1, 'm9', 's33'\n"
                "big_enum insert 2, 'm0', 's1,s9,s33'\n");
}

static void
compressed_columns(void **state)
{
    struct buf            out = { 0 };
    const struct weir_str got = log_rows(EXTREMES, "packed", NULL, &out);

    (void)state;
    assert_true(str_has_prefix(got, "packed insert 1, 'long text long text"));
    assert_non_null(strstr(got.data, " long text ', 'short', x'00'\n"
                                     "packed insert 2, '', '', x''\n"
                                     "packed insert 3, NULL, 'vvvvvv"));
    assert_int_equal(got.len, 17 + 602 + 16 + 30 + 18 + 6 + 304 + 2003);
    buf_free(&out);
}

static void
mysql_types(void **state)
{
    (void)state;
    assert_rows(
        "unit/mysql97_json.binlog", "m",
        "m insert 4294967295u, -1, '\303\251', '\303\274', x'ff', 2u, 1u, "
        "x'000000000101000000000000000000f03f0000000000000040', "
        "x'0000803f00000040', -1.5, 0.10000000149011612\n");
    struct buf            out = { 0 };
    const struct weir_str got =
        log_rows("mysql97_features.binlog", "t", NULL, &out);
    assert_true(str_has_prefix(
        got,
        "t insert 1, 'h\303\251', 'b', "
        "json'{\"a\":1,\"b\":[1,2,3.5,\"s\",true,null],"
        "\"name\":\"long enough string to be partial updated ok\"}', "
        "x'0000803f0000004000004040', 5, 4000000000u, "
        "2024-01-02 03:04:05.123456, "
        "x'e610000001010000000000000000000040000000000000f03f', -1.50, 2024, "
        "682u, 'x,y', 'text', 2024-02-29, -01:02:03.456000\n"
        "t update 1, "));
    assert_non_null(strstr(
        got.data, "t insert 7, 'xa', NULL, NULL, NULL, 5, NULL, NULL, NULL, "
                  "NULL, NULL, NULL, NULL, NULL, NULL, NULL\n"));
    buf_free(&out);
    assert_rows("mysql97_features.binlog", "part",
                "part insert 1, 1\npart insert 2, 2\n"
                "part update 1, 1 -> 11, 1\npart update 2, 2 -> 12, 2\n");
}

static void
json(void **state)
{
    struct buf            out = { 0 };
    const struct weir_str got =
        log_rows("unit/mysql97_json.binlog", "j", NULL, &out);

    (void)state;
    assert_true(str_has_prefix(
        got,
        "j insert 1u, json'null'\nj insert 2u, json'true'\n"
        "j insert 3u, json'[]'\nj insert 4u, json'{}'\n"
        "j insert 5u, json'\"a\\\"b\\\\c\\n\\u0001\303\251\360\237\230\200\"'\n"
        "j insert 6u, json'[0,-1,32767,-32768,32768,65535,-32769,65536,"
        "2147483647,-2147483648,4294967295,4294967296,-2147483649,"
        "9223372036854775807,-9223372036854775808,18446744073709551615]'\n"
        "j insert 7u, json'[1.5,-0.1,1e+100,0.0000001,3.141592653589793,0.1,"
        "123456789.123,1.0,-2.0,5e-324,1.7976931348623157e+308]'\n"
        "j insert 8u, json'{\"\":[],\"b\":1,\"aa\":{\"c\":[1,{\"d\":\"e\"}]}}'"
        "\n"
        "j insert 9u, json'{\"d\":-12.340,\"n\":null,"
        "\"t\":\"-12:34:56.500000\",\"da\":\"2024-02-29\","
        "\"dt\":\"2024-02-29 12:34:56.123456\","
        "\"bin\":\"base64:type15:AP8Q\"}'\n"
        "j insert 10u, json'{\"m\":-5,\"n\":70000,\"s\":\"tail\","
        "\"long\":\"xxxxxxxxx"));
    assert_non_null(strstr(got.data, "yyy\",40000,3000000000,-2000000000,true]"
                                     "'\n"));
    buf_free(&out);
}

/* ---- JSON that no server writes */
static void
assert_bad_json(const void *bytes, size_t len, const char *why)
{
    struct arena       a = { 0 };
    struct value_space space = { &a, 1 << 20 };
    struct weir_str    out;
    struct weir_err    err = { { 0 } };

    assert_false(json_text(bytes, len, &space, &out, &err));
    if (!strstr(err.text, why)) {
        fail_msg("\"%s\" does not say \"%s\"", err.text, why);
    }
    arena_free(&a);
}

static void
hostile_json(void **state)
{
    uint8_t nested[4 + 200 * 7], bomb[4096];

    (void)state;
    assert_bad_json("\x02", 1, "beyond it");
    assert_bad_json("\x02\1\0\xff\0", 5, "beyond it");
    assert_bad_json("\x0c\5abc", 5, "beyond it");
    assert_bad_json("\x0c\2\xff\xff", 4, "not valid UTF-8");
    assert_bad_json("\x04\7", 2, "none of null");
    assert_bad_json("\x0d\7", 2, "unknown type");
    assert_bad_json("\x10\7", 2, "malformed");
    assert_bad_json("\x0b\0\0\0\0\0\0\xf0\x7f", 9, "not finite");
    assert_bad_json("\x0f\xf6\4\x05\x09\0\0", 7, "decimal in it");
    assert_bad_json("\x0f\x0c\x08\xff\xff\xff\xff\xff\xff\xff\x7f", 11,
                    "date or time");
    /* An array whose only member is itself. */
    assert_bad_json("\2\1\0\7\0\2\0\0", 8, "nested too deeply");
    /* Arrays of a hundred members that are all the next array. */
    size_t n = 1;
    bomb[0] = 2;
    for (int level = 0; level < 8; level++) {
        put_le16(bomb + n, 100);
        put_le16(bomb + n + 2, 4 + 300 + 2000);
        for (size_t i = 0; i < 100; i++) {
            bomb[n + 4 + 3 * i] = 2;
            put_le16(bomb + n + 5 + 3 * i, 304);
        }
        n += 304;
    }
    memset(bomb + n, 0, sizeof bomb - n);
    bomb[n + 2] = 4;                          /* the last one is empty */
    for (int level = 0; level < 8; level++) { /* each to the end of all */
        put_le16(bomb + 1 + 304 * level + 2, (uint16_t)(4095 - 304 * level));
    }
    assert_bad_json(bomb, sizeof bomb, "too large");
    memset(nested, 0, sizeof nested);
    for (size_t i = 0; i < 200; i++) {
        uint8_t *p = nested + 1 + 7 * i;
        put_le16(p, 1);
        put_le16(p + 2, (uint16_t)(sizeof nested - 1 - 7 * i));
        p[4] = 2;
        put_le16(p + 5, 7);
    }
    nested[0] = 2;
    assert_bad_json(nested, sizeof nested, "nested too deeply");
}

/* ---- Rows events made by hand, of two columns: INT and VARCHAR(9). */
static const struct binlog_column two[2] = {
    { .type = COLUMN_LONG, .size = 4, .out = WEIR_INT },
    { .type = COLUMN_VARCHAR,
      .meta = 9,
      .length_size = 1,
      .out = WEIR_TEXT,
      .text = TEXT_UTF8 },
};

static enum weir_status
first_row(enum binlog_type type, const void *body, size_t len,
          struct weir_value after[2], struct weir_err *err)
{
    struct weir_value  before[2];
    struct arena       a = { 0 };
    struct binlog_rows r;
    enum weir_status   st = binlog_rows_open(&r, type, body, len, two, 2, err);

    if (st == WEIR_OK) {
        st = binlog_rows_next(&r, NULL, before, after, &a, err);
    }
    arena_free(&a);
    return st;
}

#define HEAD "\7\0\0\0\0\0\1\0\2\3"

static void
rows_made_by_hand(void **state)
{
    static const char row[] = HEAD "\0\1\0\0\0\2hi";
    struct weir_value v[2];
    struct weir_err   err;

    (void)state;
    assert_int_equal(first_row(BINLOG_WRITE_V1, row, sizeof row - 1, v, &err),
                     WEIR_OK);
    assert_int_equal(v[0].i, 1);
    assert_true(str_is(v[1].s, "hi"));
    /* The end of the event is the end of the rows, nothing else is. */
    for (size_t len = 0; len < sizeof row - 1; len++) {
        const enum weir_status st =
            first_row(BINLOG_WRITE_V1, row, len, v, &err);
        assert_int_equal(st, len == 10 ? WEIR_DROP : WEIR_REJECT);
    }
    assert_int_equal(
        first_row(BINLOG_WRITE_V1, "\7\0\0\0\0\0\1\0\3\7", 10, v, &err),
        WEIR_REJECT);
    assert_non_null(strstr(err.text, "rows of 3 columns"));
    assert_int_equal(
        first_row(BINLOG_WRITE_V1, HEAD "\0\1\0\0\0\2\xffx", 18, v, &err),
        WEIR_REJECT);
    assert_non_null(strstr(err.text, "column 2"));
    /* No column is there: such rows would never end. */
    assert_int_equal(
        first_row(BINLOG_WRITE_V1, "\7\0\0\0\0\0\1\0\2\0x", 11, v, &err),
        WEIR_REJECT);
    assert_non_null(strstr(err.text, "has no bytes"));
    /* v2, with the partition in the extra part. */
    assert_int_equal(first_row(BINLOG_WRITE,
                               "\7\0\0\0\0\0\1\0\5\0\1\1\0\2\3\2\5\0\0\0", 20,
                               v, &err),
                     WEIR_OK);
    assert_int_equal(v[0].i, 5);
    assert_int_equal(v[1].type, WEIR_NULL);
    assert_int_equal(
        first_row(BINLOG_WRITE, "\7\0\0\0\0\0\1\0\1\0\2\3", 12, v, &err),
        WEIR_REJECT);
    /* The event that only ends a statement. */
    assert_int_equal(
        first_row(BINLOG_WRITE, "\xff\xff\xff\0\0\0\1\0\2\0\0\0", 12, v, &err),
        WEIR_DROP);
    assert_int_equal(
        first_row(BINLOG_WRITE_COMPRESSED, row, sizeof row - 1, v, &err),
        WEIR_REJECT);
}

static void
what_is_not_wanted_is_skipped(void **state)
{
    /* The second row's text is not UTF-8: nobody asks for it. */
    static const char  rows[] = HEAD "\0\1\0\0\0\1a"
                                     "\0\2\0\0\0\1\xff"
                                     "\0\3\0\0\0\1c";
    const uint8_t      first_only = 1;
    struct weir_value  v[2];
    struct arena       a = { 0 };
    struct binlog_rows r;
    struct weir_err    err;

    (void)state;
    assert_int_equal(binlog_rows_open(&r, BINLOG_WRITE_V1, rows,
                                      sizeof rows - 1, two, 2, &err),
                     WEIR_OK);
    assert_true(r.statement_end);
    assert_int_equal(r.op, WEIR_INSERT);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(binlog_rows_next(&r, &first_only, NULL, v, &a, &err),
                         WEIR_OK);
        assert_int_equal(r.index, i);
        assert_int_equal(v[0].i, i + 1);
        assert_int_equal(v[1].type, WEIR_ABSENT);
    }
    assert_int_equal(binlog_rows_next(&r, &first_only, NULL, v, &a, &err),
                     WEIR_DROP);

    binlog_rows_open(&r, BINLOG_WRITE_V1, rows, sizeof rows - 1, two, 2, &err);
    assert_int_equal(binlog_rows_skip(&r, 1, &err), WEIR_OK);
    for (int i = 0; i < 2; i++) { /* it stays before the row */
        assert_int_equal(binlog_rows_next(&r, NULL, NULL, v, &a, &err),
                         WEIR_REJECT);
        assert_string_equal(err.text,
                            "row 2 of its event, column 2: its bytes are not "
                            "valid in the column's charset");
    }
    assert_int_equal(binlog_rows_skip(&r, 1, &err), WEIR_OK);
    assert_int_equal(binlog_rows_next(&r, NULL, NULL, v, &a, &err), WEIR_OK);
    assert_int_equal(r.index, 2);
    assert_true(str_is(v[1].s, "c"));
    assert_int_equal(binlog_rows_skip(&r, 1, &err), WEIR_DROP);
    arena_free(&a);
}

/* One value of a column. */
static void
assert_value(struct binlog_column c, const void *bytes, size_t len,
             const char *want)
{
    struct arena       a = { 0 };
    struct value_space space = { &a, 1 << 20 };
    struct weir_value  v;
    struct weir_err    err = { { 0 } };
    struct buf         out = { 0 };
    const uint8_t     *p = bytes;

    if (value_read(&c, p, p + len, &v, &space, &err)) {
        put_value(&v, &out);
    } else {
        buf_text(&out, err.text);
    }
    buf_byte(&out, '\0');
    assert_string_equal(out.data, want);
    buf_free(&out);
    arena_free(&a);
}

static void
addresses(void **state)
{
    struct binlog_column c = { .type = COLUMN_STRING,
                               .meta = 16,
                               .pad = 16,
                               .length_size = 1,
                               .text = TEXT_BINARY,
                               .out = WEIR_TEXT,
                               .special = SPECIAL_INET6 };
    (void)state;
    /* What SELECT gave for each, MariaDB 10.11. */
    assert_value(c, "\0", 1, "'::'");
    assert_value(c, "\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 17, "'::1'");
    assert_value(c, "\x10\0\0\0\0\0\0\0\0\0\0\0\0\1\2\3\4", 17, "'::1.2.3.4'");
    assert_value(c, "\x10\0\0\0\0\0\0\0\0\0\0\xff\xff\1\2\3\4", 17,
                 "'::ffff:1.2.3.4'");
    assert_value(c, "\x10\0\1\0\0\0\2\0\3\0\4\0\5\0\6\0\7", 17,
                 "'1::2:3:4:5:6:7'");
    assert_value(c, "\x0e\0\1\0\0\0\0\0\3\0\0\0\0\0\6", 15, "'1::3:0:0:6:0'");
    assert_value(c, "\4\x20\1\x0d\xb8", 5, "'2001:db8::'");
    c.special = SPECIAL_UUID;
    assert_value(c, "\2\x12\x34", 3, "'12340000-0000-0000-0000-000000000000'");
    c.special = SPECIAL_INET4;
    c.pad = c.meta = 4;
    assert_value(c, "\3\xc0\0\2", 4, "'192.0.2.0'");
    assert_value(c, "\5\xc0\0\2\1\1", 6, "it is longer than its column");
}

static void
old_times(void **state)
{
    struct binlog_column c = { .type = COLUMN_TIME,
                               .size = 3,
                               .out = WEIR_TIME };
    (void)state;
    assert_value(c, "\x40\xe2\x01", 3, "12:34:56.000000");
    assert_value(c, "\x59\x0a\x80", 3, "-838:59:59.000000");
    assert_value(c, "\x70\x17\x00", 3, "its bytes make no date or time");
    c = (struct binlog_column){ .type = COLUMN_TIMESTAMP,
                                .size = 4,
                                .out = WEIR_TIMESTAMP };
    assert_value(c, "\0\0\0\0", 4, "0000-00-00 00:00:00.000000");
    assert_value(c, "\xff\xff\xff\xff", 4, "2106-02-07 06:28:15.000000");
    c = (struct binlog_column){ .type = COLUMN_DATETIME,
                                .size = 8,
                                .out = WEIR_DATETIME };
    assert_value(c, "\xf6\x7c\xac\x8b\x68\x12\x00\x00", 8,
                 "2024-02-29 23:59:58.000000");
    assert_value(c, "\xf6\x27\x3d\xcd\x68\x12\x00\x00", 8,
                 "its bytes make no date or time");
}

static void
malformed_values(void **state)
{
    static const struct weir_str names[2] = { { "a", 1 }, { "b", 1 } };
    struct binlog_column         c = { .type = COLUMN_ENUM,
                                       .size = 1,
                                       .out = WEIR_TEXT,
                                       .nmembers = 2,
                                       .members = names };
    (void)state;
    assert_value(c, "\0", 1, "''");
    assert_value(c, "\2", 1, "'b'");
    assert_value(c, "\3", 1, "its number is beyond the ENUM's last member");
    c.type = COLUMN_SET;
    assert_value(c, "\3", 1, "'a,b'");
    assert_value(c, "\4", 1, "it has bits beyond the SET's last member");
    c = (struct binlog_column){ .type = COLUMN_DECIMAL,
                                .size = 5,
                                .meta = 10 << 8 | 2,
                                .out = WEIR_DECIMAL };
    assert_value(c, "\x80\0\0\0\x63", 5, "0.99");
    assert_value(c, "\x80\0\0\0\x64", 5, "its bytes make no decimal");
    assert_value(c, "\xff\xff\xff\xff\0", 5, "its bytes make no decimal");
    c = (struct binlog_column){ .type = COLUMN_DOUBLE,
                                .size = 8,
                                .out = WEIR_DOUBLE };
    assert_value(c, "\0\0\0\0\0\0\xf0\x7f", 8, "it is not a finite number");
    c = (struct binlog_column){ .type = COLUMN_DATE,
                                .size = 3,
                                .out = WEIR_DATE };
    assert_value(c, "\xff\xff\xff", 3, "its bytes make no date or time");
    assert_value(c, "\xff\xff", 2, "its bytes end beyond the event");
    c = (struct binlog_column){ .type = COLUMN_DATETIME2,
                                .size = 5,
                                .out = WEIR_DATETIME };
    assert_value(c, "\0\0\0\0\0", 5, "its bytes make no date or time");
    assert_value(c, "\x80\0\0\0\x3c", 5, "its bytes make no date or time");
    c = (struct binlog_column){ .type = COLUMN_BLOB_COMPRESSED,
                                .length_size = 2,
                                .text = TEXT_BINARY,
                                .out = WEIR_BYTES };
    assert_value(c, "\6\0\x84\xff\xff\xff\xff\0", 8,
                 "its compressed value of 6 bytes is malformed");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mariadb_types),
        cmocka_unit_test(integers),
        cmocka_unit_test(decimals),
        cmocka_unit_test(times),
        cmocka_unit_test(texts),
        cmocka_unit_test(compressed_columns),
        cmocka_unit_test(mysql_types),
        cmocka_unit_test(json),
        cmocka_unit_test(hostile_json),
        cmocka_unit_test(rows_made_by_hand),
        cmocka_unit_test(what_is_not_wanted_is_skipped),
        cmocka_unit_test(addresses),
        cmocka_unit_test(old_times),
        cmocka_unit_test(malformed_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
