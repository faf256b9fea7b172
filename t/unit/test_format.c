/* test_format.c - numbers, strings, values, envelopes. */
#include "unit.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <math.h>

#include "base/str.h"
#include "format/digits.h"
#include "format/format.h"
#include "format/json.h"
#include "format/shortest.h"
#include "format/value.h"
#include "format/wkt.h"

static struct buf out;

static const char *
text(void)
{
    buf_byte(&out, '\0');
    out.len = 0;
    return out.data;
}

/* ---- Numbers */

static uint64_t
next_random(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15); /* SplitMix64 */
    uint64_t z = *state;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static void
integers(void **state)
{
    (void)state;
    char     p[DIGITS_INT + 1], want[DIGITS_INT + 8];
    uint64_t seed = 1;
    for (unsigned i = 0; i < 20000; i++) {
        const uint64_t v = next_random(&seed) >> i % 64;
        *digits_u64(p, v) = '\0';
        snprintf(want, sizeof want, "%llu", (unsigned long long)v);
        assert_string_equal(p, want);
        *digits_i64(p, (int64_t)v) = '\0';
        snprintf(want, sizeof want, "%lld", (long long)v);
        assert_string_equal(p, want);
    }
    for (unsigned n = 0; n < 20; n++) {
        assert_int_equal(digits_count(digits_pow10[n]), n + 1);
        assert_int_equal(digits_count(digits_pow10[n] - 1), n ? n : 1);
    }
    *digits_u64(p, UINT64_MAX) = '\0';
    assert_string_equal(p, "18446744073709551615");
    *digits_i64(p, INT64_MIN) = '\0';
    assert_string_equal(p, "-9223372036854775808");
    *digits_u64(p, 0) = '\0';
    assert_string_equal(p, "0");
}

static const char *
dtoa(double d)
{
    static char p[SHORTEST_ROOM + 1];
    char       *end = shortest_double(p, d);
    assert_true(end - p <= SHORTEST_ROOM);
    *end = '\0';
    return p;
}

static const char *
ftoa(float f)
{
    static char p[SHORTEST_ROOM + 1];
    char       *end = shortest_float(p, f);
    assert_true(end - p <= SHORTEST_ROOM);
    *end = '\0';
    return p;
}

static void
doubles_of_note(void **state)
{
    static const struct { double d; const char *text; } cases[] = {
        { 0.0, "0" },
        { -0.0, "-0" },
        { 1.0, "1" },
        { -2.5, "-2.5" },
        { 0.1, "0.1" },
        { 100.0, "100" },
        { 123456.789, "123456.789" },
        { 1e20, "100000000000000000000" },
        { 1e21, "1e+21" },
        { 1e23, "1e+23" },
        { 1e-6, "0.000001" },
        { 1.5e-7, "1.5e-7" },
        { 9007199254740991.0, "9007199254740991" },
        { 9007199254740993.0, "9007199254740992" },
        { 5e-324, "5e-324" },
        { 2.2250738585072014e-308, "2.2250738585072014e-308" },
        { 1.7976931348623157e308, "1.7976931348623157e+308" },
        { 2.0 / 3, "0.6666666666666666" },
        { 9.5367431640625e-7, "9.5367431640625e-7" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_string_equal(dtoa(cases[i].d), cases[i].text);
    }
    assert_string_equal(ftoa(1.1f), "1.1");
    assert_string_equal(ftoa(16777216.0f), "16777216");
    assert_string_equal(ftoa(3.4028235e38f), "3.4028235e+38");
    assert_string_equal(ftoa(1e-45f), "1e-45");
    assert_string_equal(ftoa(-0.3f), "-0.3");
}

/* Digits without leading zeroes, point, sign and exponent. */
static size_t
significant(const char *s)
{
    size_t n = 0, zeroes = 0;
    for (; *s && *s != 'e'; s++) {
        if (*s == '0' && n + zeroes > 0) {
            zeroes++;
        } else if (*s >= '1' && *s <= '9') {
            n += zeroes + 1;
            zeroes = 0;
        }
    }
    return n;
}

static void
one_double(double d)
{
    char        shorter[64];
    const char *s = dtoa(d);
    if (strtod(s, NULL) != d) {
        fail_msg("%a became %s", d, s);
    }
    const size_t n = significant(s);
    if (n > 1) { /* with one digit fewer it is another number */
        snprintf(shorter, sizeof shorter, "%.*e", (int)n - 2, d);
        if (strtod(shorter, NULL) == d) {
            fail_msg("%a became %s, but %s is shorter", d, s, shorter);
        }
    }
    snprintf(shorter, sizeof shorter, "%.*e", (int)n - 1, d);
    if (strtod(shorter, NULL) == d && significant(shorter) == n) {
        char mine[64]; /* of all with as many digits, the nearest */
        snprintf(mine, sizeof mine, "%.*e", (int)n - 1, strtod(s, NULL));
        assert_string_equal(mine, shorter);
    }
}

static void
doubles_read_back(void **state)
{
    uint64_t seed = 2;
    (void)state;
    for (unsigned i = 0; i < 300000; i++) {
        uint64_t bits = next_random(&seed);
        double   d;
        if (i % 4 == 1) { /* of everyday size */
            bits = (bits & UINT64_C(0x800fffffffffffff)) |
                   (1003 + bits % 80) << 52;
        } else if (i % 64 == 2) { /* powers of two: uneven intervals */
            bits &= UINT64_C(0xfff0000000000000);
        } else if (i % 64 == 3) { /* subnormal */
            bits &= UINT64_C(0x800fffffffffffff);
        }
        memcpy(&d, &bits, sizeof d);
        if (isfinite(d) && d != 0) {
            one_double(d);
        }
        one_double((double)(int64_t)(next_random(&seed) % 100000000 + 1) /
                   1000);
    }
}

static void
floats_read_back(void **state)
{
    uint64_t seed = 3;
    char     shorter[64];
    (void)state;
    for (unsigned i = 0; i < 300000; i++) {
        uint32_t bits = (uint32_t)next_random(&seed);
        float    f;
        bits = i % 64 == 2 ? bits & 0xff800000 : bits;
        bits = i % 64 == 3 ? bits & 0x807fffff : bits;
        memcpy(&f, &bits, sizeof f);
        if (!isfinite(f) || f == 0) {
            continue;
        }
        const char *s = ftoa(f);
        if (strtof(s, NULL) != f) {
            fail_msg("%a became %s", (double)f, s);
        }
        const size_t n = significant(s);
        if (n > 1) {
            snprintf(shorter, sizeof shorter, "%.*e", (int)n - 2, (double)f);
            assert_true(strtof(shorter, NULL) != f);
        }
    }
}

/* ---- Dates */

static void
instants(void **state)
{
    static const struct { int64_t usec; const char *text; } cases[] = {
        { 0, "1970-01-01T00:00:00.000000Z" },
        { -1, "1969-12-31T23:59:59.999999Z" },
        { INT64_C(1709210096123456), "2024-02-29T12:34:56.123456Z" },
        { INT64_C(951782400000000), "2000-02-29T00:00:00.000000Z" },
        { INT64_C(951868799999999), "2000-02-29T23:59:59.999999Z" },
        { INT64_C(4107542400000000), "2100-03-01T00:00:00.000000Z" },
        { INT64_C(253402300799999999), "9999-12-31T23:59:59.999999Z" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char p[DIGITS_TIME];
        *digits_instant(p, cases[i].usec) = '\0';
        assert_string_equal(p, cases[i].text);
    }
    char p[DIGITS_TIME]; /* whatever comes stays within its room */
    assert_true(digits_instant(p, INT64_MAX) - p <= DIGITS_TIME);
    assert_true(digits_instant(p, INT64_MIN) - p <= DIGITS_TIME);
    const struct weir_time worst = { 65535, 255, 255, 255, 255, 65535,
                                     UINT32_MAX, true };
    assert_true(digits_clock(digits_date(p, &worst), &worst, 99) - p <=
                DIGITS_TIME);
}

/* ---- Strings */

static const char *
quoted(const char *s, size_t n)
{
    format_json_string((struct weir_str){ s, n }, &out);
    return text();
}

static void
strings(void **state)
{
    (void)state;
    assert_string_equal(quoted("", 0), "\"\"");
    assert_string_equal(quoted("a\"b\\c/d", 7), "\"a\\\"b\\\\c/d\"");
    assert_string_equal(quoted("\0\1\b\t\n\f\r\x1f\x7f", 9),
                        "\"\\u0000\\u0001\\b\\t\\n\\f\\r\\u001f\x7f\"");
    assert_string_equal(quoted("h\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 10),
                        "\"h\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
}

#define BAD "\xef\xbf\xbd"
static void
invalid_utf8_is_replaced(void **state)
{
    (void)state;
    assert_string_equal(quoted("\x80", 1), "\"" BAD "\"");
    assert_string_equal(quoted("a\xc3", 2), "\"a" BAD "\"");
    assert_string_equal(quoted("\xc0\xaf", 2), "\"" BAD BAD "\"");
    assert_string_equal(quoted("\xed\xa0\x80", 3), "\"" BAD BAD BAD "\"");
    assert_string_equal(quoted("\xf4\x90\x80\x80", 4),
                        "\"" BAD BAD BAD BAD "\"");
    assert_string_equal(quoted("\xe2\x28\xa1z", 4), "\"" BAD "(" BAD "z\"");
    assert_string_equal(quoted("\xff", 1), "\"" BAD "\"");
}

/* The same, character by character. */
static void
plainly_quoted(const char *s, size_t n, struct buf *to)
{
    buf_byte(to, '"');
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)s[i];
        if (c == '"' || c == '\\') {
            buf_printf(to, "\\%c", c);
        } else if (c == '\n') {
            buf_text(to, "\\n");
        } else if (c < 0x20) {
            buf_printf(to, "\\u%04x", c);
        } else {
            buf_byte(to, s[i]);
        }
    }
    buf_byte(to, '"');
}

static void
strings_of_all_lengths(void **state)
{
    static const char *const pieces[] = { "a",    "\"", "\\", "\n",
                                          "\x01", "z",  "\xc3\xa9", "0" };
    struct buf in = { 0 }, want = { 0 };
    uint64_t   seed = 4;
    (void)state;
    for (unsigned i = 0; i < 6000; i++) {
        const unsigned length = i < 5000 ? i % 70 : i * 3;
        in.len = want.len = 0;
        while (in.len < length) {
            const uint64_t r = next_random(&seed);
            buf_text(&in, i % 3 ? pieces[r % 8] : r % 40 ? "x" : pieces[r % 7]);
        }
        /* On the heap and of its exact size: reading beyond it would show. */
        char *exact = malloc(in.len + 1);
        memcpy(exact, in.data ? in.data : "", in.len);
        exact = realloc(exact, in.len ? in.len : 1);
        plainly_quoted(exact, in.len, &want);
        out.len = 0;
        format_json_string((struct weir_str){ exact, in.len }, &out);
        assert_int_equal(out.len, want.len);
        assert_memory_equal(out.data, want.data, want.len);
        free(exact);
    }
    out.len = 0;
    buf_free(&in);
    buf_free(&want);
}

static const char *
embedded(const char *s)
{
    buf_need(&out, 1);
    out.len = (size_t)(json_embed(&out, out.data, 1, str_of(s)) - out.data);
    return text();
}

static void
json_in_json(void **state)
{
    static const char *const good[] = {
        "{}", "[]", "[[],{}]", "{\"a\":1,\"b\":[1,2.5e-3,\"x\",true,null]}",
        "null", "-0.5", "\"\\u00e9\\n\"", "[1 , 2]", "1e5", "[[[]]]",
        "{\"\":{\"\":[{}]}}", "false", "0",
    };
    static const char *const bad[] = {
        "", "{", "}", "[1,]", "{\"a\"}", "{\"a\":}", "01", "1.", ".5", "+1",
        "[1}", "{\"a\":1]", "nul", "\"a", "\"\\x\"", "\"\\u12g4\"", "[] []",
        "{a:1}", "1 2", "[,1]", "{,}", "\"\t\"", "'a'", "-", "1e", "[1 2]",
        "{\"a\":1,}", "]", ",",
    };
    char deep[1200];
    int  breaks;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_string_equal(embedded(good[i]), good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (json_valid(str_of(bad[i]), &breaks)) {
            fail_msg("taken for JSON: %s", bad[i]);
        }
        assert_int_equal(embedded(bad[i])[0], '"');
    }
    assert_string_equal(embedded("{\n\t\"a\": 1\r\n}"), "{  \"a\": 1  }");
    memset(deep, '[', 512);
    memset(deep + 512, ']', 512);
    assert_true(json_valid((struct weir_str){ deep + 256, 512 }, &breaks));
    assert_false(json_valid((struct weir_str){ deep + 255, 514 }, &breaks));
}

/* ---- Values */

static struct weir_column
column(const char *name, unsigned facets, uint32_t scale)
{
    return (struct weir_column){
        .name = str_of(name), .facets = facets, .scale = scale
    };
}

static void
check_value(struct weir_column c, struct weir_value v, const char *json,
            const char *sql)
{
    format_json_value(&c, &v, false, &out);
    assert_string_equal(text(), json);
    format_text(&c, &v, &out);
    assert_string_equal(text(), sql);
}

#define STRING(type_, text_)                                                   \
    (struct weir_value){ .type = (type_), .s = STR(text_) }

static void
values(void **state)
{
    const struct weir_column c = column("c", 0, 0);
    (void)state;
    check_value(c, (struct weir_value){ .type = WEIR_NULL }, "null", "");
    check_value(c, (struct weir_value){ .type = WEIR_INT, .i = INT64_MIN },
                "-9223372036854775808", "-9223372036854775808");
    check_value(c, (struct weir_value){ .type = WEIR_UINT, .u = UINT64_MAX },
                "18446744073709551615", "18446744073709551615");
    check_value(c, (struct weir_value){ .type = WEIR_DOUBLE, .d = 1.1f },
                "1.100000023841858", "1.100000023841858");
    check_value(column("c", WEIR_FLOAT, 0),
                (struct weir_value){ .type = WEIR_DOUBLE, .d = 1.1f }, "1.1",
                "1.1");
    check_value(c, (struct weir_value){ .type = WEIR_DOUBLE, .d = -INFINITY },
                "\"-Infinity\"", "-Infinity");
    check_value(c, STRING(WEIR_DECIMAL, "-12345678.90"), "-12345678.90",
                "-12345678.90");
    check_value(c, STRING(WEIR_DECIMAL, "1,5"), "\"1,5\"", "1,5");
    check_value(c, STRING(WEIR_TEXT, "a\"b"), "\"a\\\"b\"", "a\"b");
    check_value(c, STRING(WEIR_BYTES, "\0\xff"), "\"AP8=\"", "");
    check_value(c, STRING(WEIR_BYTES, "any carnal pleas"),
                "\"YW55IGNhcm5hbCBwbGVhcw==\"", "any carnal pleas");
    check_value(c, STRING(WEIR_BYTES, "sure."), "\"c3VyZS4=\"", "sure.");
    check_value(c, STRING(WEIR_BYTES, "\xfb\xff"), "\"+/8=\"", "\xfb\xff");
    check_value(c, STRING(WEIR_BYTES, ""), "\"\"", "");
    check_value(c, STRING(WEIR_JSON, "{\"a\": 1}"), "{\"a\": 1}",
                "{\"a\": 1}");
    check_value(c, STRING(WEIR_JSON, "{oops"), "\"{oops\"", "{oops");

    struct weir_column vector = c;
    vector.sql_type = STR("vector(2)");
    check_value(vector, STRING(WEIR_BYTES, "\xcd\xcc\xcc\x3d\0\0\0\x80"),
                "[0.1,-0]", "\xcd\xcc\xcc\x3d");
    check_value(vector, STRING(WEIR_BYTES, ""), "[]", "");
    check_value(vector, STRING(WEIR_BYTES, "\0\0\xc0\x7f"), "\"AADAfw==\"", "");
    check_value(vector, STRING(WEIR_BYTES, "abc"), "\"YWJj\"", "abc");

    struct weir_value decimal = STRING(WEIR_DECIMAL, "1.50");
    format_json_value(&c, &decimal, true, &out);
    assert_string_equal(text(), "\"1.50\"");
}

static struct weir_value
when(enum weir_type type, struct weir_time t)
{
    return (struct weir_value){ .type = type, .t = t };
}

static void
times(void **state)
{
    const struct weir_time t = { 2024, 1, 2, 4, 5, 3, 123456, false };
    (void)state;
    check_value(column("c", 0, 0), when(WEIR_DATE, t), "\"2024-01-02\"",
                "2024-01-02");
    check_value(column("c", 0, 0), when(WEIR_DATETIME, t),
                "\"2024-01-02 03:04:05\"", "2024-01-02 03:04:05");
    check_value(column("c", 0, 3), when(WEIR_DATETIME, t),
                "\"2024-01-02 03:04:05.123\"", "2024-01-02 03:04:05.123");
    check_value(column("c", 0, 6), when(WEIR_TIMESTAMP, t),
                "\"2024-01-02T03:04:05.123456Z\"",
                "2024-01-02 03:04:05.123456");
    const struct weir_time zero = { 0 };
    check_value(column("c", 0, 0), when(WEIR_DATE, zero), "\"0000-00-00\"",
                "0000-00-00");
    check_value(column("c", 0, 0), when(WEIR_TIMESTAMP, zero),
                "\"0000-00-00 00:00:00\"", "0000-00-00 00:00:00");
    check_value(column("c", 0, 1), when(WEIR_DATETIME, zero),
                "\"0000-00-00 00:00:00.0\"", "0000-00-00 00:00:00.0");
    const struct weir_time long_ago = { .hour = 838,
                                        .minute = 59,
                                        .second = 59,
                                        .negative = true };
    check_value(column("c", 0, 0), when(WEIR_TIME, long_ago),
                "\"-838:59:59\"", "-838:59:59");
    const struct weir_time just = { .usec = 1, .negative = true };
    check_value(column("c", 0, 6), when(WEIR_TIME, just),
                "\"-00:00:00.000001\"", "-00:00:00.000001");
}

/* ---- Events */

static const struct weir_column id_column = { .name = { "id", 2 } };
static const struct weir_column odd_column = { .name = { "a \"b\"", 5 } };
static const struct weir_column long_column = {
    .name = { "a_name_that_is_longer_than_thirty_two_bytes", 43 }
};
static const struct weir_column *const columns[] = { &id_column, &odd_column,
                                                     &long_column };
static const struct weir_table table = {
    .schema = { "shop", 4 },
    .name = { "users", 5 },
    .ncolumns = 3,
    .columns = columns,
};

static const struct weir_format *
format(const char *name)
{
    static struct arena       a;
    const struct weir_format *f;
    struct weir_err           err;
    assert_int_equal(format_find(&a, name, &f, &err), WEIR_OK);
    return f;
}

static void
format_to(const char *name, const struct weir_event *ev)
{
    const struct weir_format *f = format(name);
    struct format_table *ft = ev->table ? format_table_new(f, ev->table) : NULL;
    format_event(f, ft, ev, &out);
    format_table_free(&ft);
}

static const struct weir_value before[] = {
    { .type = WEIR_INT, .i = 1 },
    { .type = WEIR_TEXT, .s = { "x", 1 } },
    { .type = WEIR_NULL },
};
static const struct weir_value after[] = {
    { .type = WEIR_ABSENT },
    { .type = WEIR_ABSENT },
    { .type = WEIR_UINT, .u = 7 },
};
static const struct weir_value nothing[3];

#define HEAD                                                                   \
    "{\"schema\":{\"version\":\"1\",\"type\":\"row\"},\"payload\":{"           \
    "\"source\":{\"server\":\"7\",\"database\":\"shop\",\"table\":\"users\","  \
    "\"timestamp\":\"2024-02-29T12:34:56.000000Z\",\"position\":{\"file\":"    \
    "\"bin.000002\",\"offset\":5000000000,\"gtid\":"
#define BEFORE "{\"id\":1,\"a \\\"b\\\"\":\"x\","                              \
    "\"a_name_that_is_longer_than_thirty_two_bytes\":null}"
#define AFTER "{\"a_name_that_is_longer_than_thirty_two_bytes\":7}"
#define METADATA                                                               \
    ",\"metadata\":{\"connector\":\"weir\",\"version\":\"" PACKAGE_VERSION     \
    "\",\"transaction_id\":"

static const struct weir_txn txn = {
    .gtid = { "0-1-7", 5 },
    .file = { "bin.000002", 10 },
    .offset = UINT64_C(5000000000),
    .server_id = 7,
    .commit_usec = INT64_C(1709210096000000),
};

static void
envelopes(void **state)
{
    struct weir_event ev = { .op = WEIR_UPDATE,
                             .seq = UINT64_MAX,
                             .table = &table,
                             .txn = &txn,
                             .before = before,
                             .after = after };
    (void)state;
    format_to("weir", &ev);
    assert_string_equal(text(), HEAD "\"0-1-7\"}},\"operation\":\"update\","
        "\"before\":" BEFORE ",\"after\":" AFTER METADATA
        "\"0-1-7\",\"seq\":\"18446744073709551615\"}}}\n");
    ev.op = WEIR_DELETE;
    ev.after = NULL;
    format_to("weir", &ev);
    assert_string_equal(text(), HEAD "\"0-1-7\"}},\"operation\":\"delete\","
        "\"before\":" BEFORE ",\"after\":null" METADATA
        "\"0-1-7\",\"seq\":\"18446744073709551615\"}}}\n");
    ev.op = WEIR_INSERT;
    ev.before = NULL;
    ev.after = nothing;
    format_to("weir", &ev);
    assert_string_equal(text(), HEAD "\"0-1-7\"}},\"operation\":\"insert\","
        "\"before\":null,\"after\":{}" METADATA
        "\"0-1-7\",\"seq\":\"18446744073709551615\"}}}\n");
}

/* Head and tail are kept from row to row, but never beyond a transaction: not
 * even if the next lies at the same address. */
static void
another_transaction(void **state)
{
    const struct weir_format *f = format("weir");
    struct format_table      *ft = format_table_new(f, &table);
    struct weir_txn           next = txn;
    char                      gtid[] = "0-1-7";
    struct weir_event ev = { .op = WEIR_SNAPSHOT, .seq = 1, .table = &table,
                             .txn = &next, .after = after };
    (void)state;
    next.gtid = (struct weir_str){ gtid, 5 };
    format_event(f, ft, &ev, &out);
    assert_non_null(strstr(text(), "\"transaction_id\":\"0-1-7\""));
    gtid[4] = '8';
    format_event(f, ft, &ev, &out);
    const char *line = text();
    assert_non_null(strstr(line, "\"transaction_id\":\"0-1-8\""));
    assert_non_null(strstr(line, "\"gtid\":\"0-1-8\""));
    assert_null(strstr(line, "0-1-7"));
    next.gtid.len = 0;
    format_event(f, ft, &ev, &out);
    line = text();
    assert_non_null(strstr(line, "\"gtid\":null"));
    assert_non_null(strstr(line,
                           "\"transaction_id\":\"bin.000002:5000000000\""));
    assert_non_null(strstr(line, "\"operation\":\"snapshot\""));
    next.server = STR("3e11fa47-71ca-11e1-9e33-c80aa9429562");
    format_event(f, ft, &ev, &out);
    assert_non_null(strstr(text(), "\"server\":\"3e11fa47-71ca-11e1-9e33"));
    format_table_free(&ft);
}

static void
statements(void **state)
{
    const struct weir_ddl ddl = { .kind = STR("alter table"),
                                  .schema = STR("shop"),
                                  .text = STR("ALTER TABLE t ADD \"x\" INT") };
    struct weir_event     ev = { .op = WEIR_DDL, .seq = 9, .txn = &txn,
                                 .ddl = &ddl };
    (void)state;
    format_to("weir", &ev);
    assert_string_equal(text(),
        "{\"schema\":{\"version\":\"1\",\"type\":\"ddl\"},\"payload\":{"
        "\"source\":{\"server\":\"7\",\"database\":\"shop\",\"table\":null,"
        "\"timestamp\":\"2024-02-29T12:34:56.000000Z\",\"position\":{\"file\":"
        "\"bin.000002\",\"offset\":5000000000,\"gtid\":\"0-1-7\"}},"
        "\"operation\":\"ddl\",\"kind\":\"alter table\",\"statement\":"
        "\"ALTER TABLE t ADD \\\"x\\\" INT\",\"before\":null,\"after\":null"
        METADATA "\"0-1-7\",\"seq\":\"9\"}}}\n");
    ev.op = WEIR_TRUNCATE;
    ev.table = &table;
    ev.ddl = NULL;
    format_to("weir", &ev);
    const char *line = text();
    assert_non_null(strstr(line, "\"table\":\"users\""));
    assert_non_null(strstr(line, "\"operation\":\"truncate\",\"before\":null"));
    ev.op = WEIR_SNAPSHOT_BEGIN;
    format_to("weir", &ev);
    assert_int_equal(out.len, 0);
}

static void
bare_rows(void **state)
{
    struct weir_event ev = { .op = WEIR_UPDATE, .table = &table, .txn = &txn,
                             .before = before, .after = after };
    (void)state;
    format_to("row", &ev);
    assert_string_equal(text(), AFTER "\n");
    ev.op = WEIR_DELETE;
    ev.after = NULL;
    format_to("row", &ev);
    assert_int_equal(out.len, 0);
    ev.op = WEIR_TRUNCATE;
    format_to("row", &ev);
    assert_int_equal(out.len, 0);
}

/* Larger than any room made beforehand, in the middle of a row. */
static void
large_values(void **state)
{
    const size_t n = 3 << 20;
    char        *big = malloc(n);
    (void)state;
    memset(big, '\1', n);
    const struct weir_value image[] = {
        { .type = WEIR_TEXT, .s = { big, n } },
        { .type = WEIR_BYTES, .s = { big, n } },
        { .type = WEIR_UINT, .u = 7 },
    };
    const struct weir_event ev = { .op = WEIR_INSERT, .table = &table,
                                   .txn = &txn, .after = image };
    format_to("row", &ev);
    assert_int_equal(out.len, 7 + 6 * n + 13 + n / 3 * 4 + 51);
    assert_memory_equal(out.data, "{\"id\":\"\\u0001\\u0001", 19);
    assert_memory_equal(out.data + out.len - 5, "\":7}\n", 5);
    out.len = 0;
    free(big);
}

static void
unknown_formats(void **state)
{
    struct arena              a = { 0 };
    const struct weir_format *f;
    struct weir_err           err;
    (void)state;
    assert_int_equal(format_find(&a, "xml", &f, &err), WEIR_FATAL);
    assert_string_equal(err.text,
                        "there is no format \"xml\"; known are weir and row");
    assert_int_equal(format_find(&a, "weir:decimals=text", &f, &err),
                     WEIR_FATAL);
    assert_string_equal(err.text,
                        "format \"weir:decimals=text\": there is no option "
                        "\"decimals=text\"; known are decimals=number (the "
                        "default) and decimals=string, zero_dates=text (the "
                        "default) and zero_dates=null, geometry=base64 (the "
                        "default) and geometry=wkt");
    assert_int_equal(format_find(&a, "row:zero_dates=null,geometry=wkt,"
                                 "decimals=string,decimals=number", &f, &err),
                     WEIR_OK);
    assert_int_equal(f->style, STYLE_ZERO_DATES_NULL | STYLE_GEOMETRY_WKT);
    assert_int_equal(format_find(&a, "weir:", &f, &err), WEIR_FATAL);
    assert_int_equal(format_find(&a, "row:decimals=string", &f, &err),
                     WEIR_OK);
    assert_int_equal(f->style, STYLE_DECIMALS_AS_STRING);
    arena_free(&a);
}

/* ---- Geometries */

/* SRID 4326, then WKB, which `n` bytes of are there. */
static const char *
wkt(const char *wkb, size_t n)
{
    struct buf bytes = { 0 };

    buf_add(&bytes, "\xe6\x10\0\0", 4);
    buf_add(&bytes, wkb, n);
    out.len = 0;
    const bool good = wkt_json(buf_view(&bytes), &out);
    assert_true(good || out.len == 0);
    buf_byte(&out, '\0');
    buf_free(&bytes);
    return good ? out.data : "no";
}

#define WKB(text) text, sizeof text - 1
#define ONE  "\0\0\0\0\0\0\xf0\x3f"
#define TWO5 "\0\0\0\0\0\0\x04\x40"
#define NAN_ "\0\0\0\0\0\0\xf8\x7f"

static void
geometries(void **state)
{
    char deep[5 + 20 * 9 + 1] = "";

    (void)state;
    assert_string_equal(wkt(WKB("\1\1\0\0\0" TWO5 ONE)), "\"POINT(2.5 1)\"");
    assert_string_equal(wkt(WKB("\1\2\0\0\0\2\0\0\0" ONE ONE TWO5 ONE)),
                        "\"LINESTRING(1 1,2.5 1)\"");
    assert_string_equal(wkt(WKB("\1\3\0\0\0\1\0\0\0\1\0\0\0" ONE ONE)),
                        "\"POLYGON((1 1))\"");
    assert_string_equal(wkt(WKB("\1\4\0\0\0\1\0\0\0\1\1\0\0\0" ONE ONE)),
                        "\"MULTIPOINT((1 1))\"");
    assert_string_equal(wkt(WKB("\1\7\0\0\0\1\0\0\0\1\1\0\0\0" ONE ONE)),
                        "\"GEOMETRYCOLLECTION(POINT(1 1))\"");
    assert_string_equal(wkt(WKB("\1\7\0\0\0\0\0\0\0")),
                        "\"GEOMETRYCOLLECTION EMPTY\"");
    /* What isn't one: cut, too long, of another byte order, of no shape, of no
     * number, of more points than bytes, too deep. */
    assert_string_equal(wkt(WKB("\1\1\0\0\0" TWO5)), "no");
    assert_string_equal(wkt(WKB("\1\1\0\0\0" TWO5 ONE "x")), "no");
    assert_string_equal(wkt(WKB("\0\0\0\0\1" TWO5 ONE)), "no");
    assert_string_equal(wkt(WKB("\1\x09\0\0\0" TWO5 ONE)), "no");
    assert_string_equal(wkt(WKB("\1\1\0\0\0" ONE NAN_)), "no");
    assert_string_equal(wkt(WKB("\1\2\0\0\0\xff\xff\xff\xff" ONE ONE)), "no");
    for (size_t i = 0; i < 20; i++) {
        memcpy(deep + 9 * i, "\1\7\0\0\0\1\0\0\0", 9);
    }
    assert_string_equal(wkt(deep, 20 * 9), "no");
    assert_true(wkt_is_geometry(STR("geometrycollection")));
    assert_false(wkt_is_geometry(STR("varbinary(9)")));
}

static void
styles(void **state)
{
    static const struct weir_column d = { .name = { "d", 1 }, .type = WEIR_DATE };
    static const struct weir_column g = { .name = { "g", 1 },
                                          .type = WEIR_BYTES,
                                          .sql_type = { "point", 5 } };
    static const struct weir_column *const pair[] = { &d, &g };
    const struct weir_table  t = { .ncolumns = 2, .columns = pair };
    const struct weir_value  row[] = {
        { .type = WEIR_DATE, .t = { .year = 2024 } },
        { .type = WEIR_BYTES, .s = { "\0\0\0\0\1\1\0\0\0" ONE TWO5, 25 } },
    };
    const struct weir_event  ev = { .op = WEIR_INSERT, .table = &t, .after = row };
    struct arena              a = { 0 };
    const struct weir_format *f;
    struct weir_err           err;
    static const struct { const char *format, *want; } cases[] = {
        { "row", "{\"d\":\"2024-00-00\",\"g\":\"AAAAAAEBAAAAAAAAAAAA8D8AAAAA"
                 "AAAEQA==\"}\n" },
        { "row:zero_dates=null,geometry=wkt",
          "{\"d\":null,\"g\":\"POINT(1 2.5)\"}\n" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(format_find(&a, cases[i].format, &f, &err), WEIR_OK);
        struct format_table *ft = format_table_new(f, &t);
        out.len = 0;
        format_event(f, ft, &ev, &out);
        buf_byte(&out, '\0');
        assert_string_equal(out.data, cases[i].want);
        format_table_free(&ft);
    }
    arena_free(&a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers),
        cmocka_unit_test(doubles_of_note),
        cmocka_unit_test(doubles_read_back),
        cmocka_unit_test(floats_read_back),
        cmocka_unit_test(instants),
        cmocka_unit_test(strings),
        cmocka_unit_test(invalid_utf8_is_replaced),
        cmocka_unit_test(strings_of_all_lengths),
        cmocka_unit_test(json_in_json),
        cmocka_unit_test(values),
        cmocka_unit_test(times),
        cmocka_unit_test(envelopes),
        cmocka_unit_test(another_transaction),
        cmocka_unit_test(statements),
        cmocka_unit_test(bare_rows),
        cmocka_unit_test(large_values),
        cmocka_unit_test(unknown_formats),
        cmocka_unit_test(geometries),
        cmocka_unit_test(styles),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_free(&out);
    return failed;
}
