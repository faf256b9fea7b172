/* test_schema.c - tables, from the log alone and with definitions. */
#include "unit.h"

#include "base/bytes.h"
#include "base/str.h"
#include "log_text.h"
#include "schema/charset.h"
#include "schema/sql_type.h"

/* As information_schema.COLUMNS describes them; mariadb1011_nolog.sql. */
static struct definition_column plain_columns[] = {
    DEFINED("k", "bigint(20) unsigned", ""),
    DEFINED("i", "int(11)", ""),
    DEFINED("iu", "int(10) unsigned", ""),
    DEFINED("d", "decimal(10,2)", ""),
    DEFINED("v", "varchar(20)", "latin1_swedish_ci"),
    DEFINED("n", "char(3)", "utf8mb4_general_ci"),
    DEFINED("b", "varbinary(9)", ""),
    DEFINED("bi", "binary(4)", ""),
    DEFINED("t", "text", "utf8mb4_general_ci"),
    DEFINED("e", "enum('a','b')", "latin1_swedish_ci"),
    DEFINED("s", "set('x','y')", "latin1_swedish_ci"),
    DEFINED("js", "json", "utf8mb4_bin"),
    DEFINED("u", "uuid", ""),
    DEFINED("i4", "inet4", ""),
    DEFINED("i6", "inet6", ""),
    DEFINED("c", "varchar(500) /*M!100301 COMPRESSED*/", "latin1_swedish_ci"),
    { STR("g"), STR("int(11)"), STR(""), WEIR_GENERATED },
    DEFINED("y", "year(4)", ""),
    DEFINED("bt", "bit(10)", ""),
};
static uint32_t                first_column[] = { 0 };
static const struct definition plain = { 19, 1, plain_columns, first_column };

#define NOLOG "mariadb1011_nolog.binlog"
#define Z50 "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"

static void
assert_log(const char *file, const char *table, const struct definition *def,
           const char *want)
{
    struct buf            out = { 0 };
    const struct weir_str got = log_rows(file, table, def, &out);

    assert_string_equal(got.data, want);
    buf_free(&out);
}

static void
definitions_add_what_the_log_leaves_out(void **state)
{
    (void)state;
    assert_log(NOLOG, "plain", &plain,
               "plain insert 18446744073709551615u, -1, 4294967295u, -1.50, "
               "'\303\251', '\303\244\303\266\303\274', x'ff', x'61620000', "
               "'text', 'b', 'x,y', "
               "json'{\"a\": 1}', '123e4567-e89b-12d3-a456-426655440000', "
               "'192.0.2.1', '2001:db8::1', '" Z50 Z50 Z50 Z50 Z50 Z50 Z50 Z50
               "', 0, 1999, 513u\n"
               "plain insert 2u, 1, 1u, 1.50, '', '', x'', x'00000000', '', "
               "'a', '', json'[]', '00000000-0000-0000-0000-000000000000', "
               "'0.0.0.0', '::', '', 2, 0, 0u\n");
}

static void
without_any_it_says_so(void **state)
{
    struct buf            out = { 0 };
    const struct weir_str got = log_rows(NOLOG, "plain", NULL, &out);

    (void)state;
    /* Signed, the text that is UTF-8 as text, members by number. */
    assert_true(str_has_prefix(got, "plain insert -1, -1, -1, -1.50, x'e9', "
                                    "'\303\244\303\266\303\274', x'ff', 'ab', "
                                    "'text', 2u, 3u, '{\"a\": 1}', x'123e"));
    buf_free(&out);
}

static void
old_times_need_one(void **state)
{
    static struct definition_column columns[] = {
        DEFINED("k", "int(11)", ""),
        DEFINED("t", "time /* mariadb-5.3 */", ""),
        DEFINED("dt", "datetime /* mariadb-5.3 */", ""),
        DEFINED("ts", "timestamp /* mariadb-5.3 */", ""),
    };
    static struct definition_column fractions[] = {
        DEFINED("k", "int(11)", ""),
        DEFINED("t", "time(3) /* mariadb-5.3 */", ""),
        DEFINED("dt", "datetime(6) /* mariadb-5.3 */", ""),
        DEFINED("ts", "timestamp(2) /* mariadb-5.3 */", ""),
    };
    const struct definition old = { 4, 0, columns, NULL };
    const struct definition hires = { 4, 0, fractions, NULL };
    struct buf              log = log_read(NOLOG);
    struct binlog_stream    s;
    struct arena            a = { 0 };
    struct binlog_table_map map;
    struct table           *t;
    struct binlog_rows      r;
    struct weir_err         err;

    (void)state;
    assert_log(NOLOG, "oldtimes", &old,
               "oldtimes insert 1, -838:59:59.000000, "
               "2024-02-29 23:59:58.000000, 2024-02-29 23:59:58.000000\n"
               "oldtimes insert 2, 00:00:00.000000, "
               "0000-00-00 00:00:00.000000, 0000-00-00 00:00:00.000000\n"
               "oldtimes insert 3, 12:34:56.000000, "
               "9999-12-31 23:59:59.000000, 2038-01-19 03:14:07.000000\n");
    assert_log(NOLOG, "hires", &hires,
               "hires insert 1, 01:02:03.456000, 2024-02-29 23:59:58.123456, "
               "2024-02-29 23:59:58.120000\n");
    /* Not even stepped over: how long they are, is not known. */
    struct binlog_event ev = log_event(log, BINLOG_TABLE_MAP, 2, &s, NULL);
    assert_int_equal(binlog_table_map_parse(ev.body, ev.body_len, &map, &err),
                     WEIR_OK);
    assert_true(str_is(map.name, "hires"));
    assert_int_equal(table_make(&a, s.flavour, &map, NULL, NULL, &t, &err),
                     WEIR_OK);
    assert_true(table_is_untold(t));
    ev = log_event(log, BINLOG_WRITE_V1, 2, &s, NULL);
    assert_int_equal(binlog_rows_open(&r, ev.type, ev.body, ev.body_len,
                                      t->columns, 4, &err),
                     WEIR_OK);
    assert_int_equal(binlog_rows_skip(&r, 1, &err), WEIR_REJECT);
    assert_non_null(strstr(err.text, "MariaDB's old format"));
    arena_free(&a);
    buf_free(&log);
}

/* The table of a file's n-th TABLE_MAP. */
static enum weir_status
table_of(struct arena *a, const char *file, int nth,
         const struct definition *def, struct table **out, struct weir_err *err)
{
    struct buf              log = log_read(file), inner = { 0 };
    struct binlog_stream    s;
    struct binlog_table_map map;
    struct binlog_event ev = log_event(log, BINLOG_TABLE_MAP, nth, &s, &inner);

    assert_int_equal(binlog_table_map_parse(ev.body, ev.body_len, &map, err),
                     WEIR_OK);
    const enum weir_status st =
        table_make(a, s.flavour, &map, def, "nobody told", out, err);
    buf_free(&log); /* nothing points into them */
    buf_free(&inner);
    return st;
}

static void
assert_column(const struct table *t, uint32_t i, const char *name,
              const char *sql_type, enum weir_type type, unsigned facets)
{
    const struct weir_column *c = t->pub.columns[i];

    if (!str_is(c->name, name) || !str_is(c->sql_type, sql_type)) {
        fail_msg("column %u is %.*s %.*s", i, STR_ARG(c->name),
                 STR_ARG(c->sql_type));
    }
    assert_int_equal(c->type, type);
    assert_int_equal(c->facets, facets);
}

static void
full_metadata_says_it_all(void **state)
{
    struct arena  a = { 0 };
    struct table *t;

    (void)state;
    assert_int_equal(
        table_of(&a, "mariadb1011_alltypes.binlog", 0, NULL, &t, NULL),
        WEIR_OK);
    assert_true(t->names_known);
    assert_null(t->reason);
    assert_true(str_is(t->pub.schema, "p"));
    assert_true(str_is(t->pub.name, "alltypes"));
    assert_int_equal(t->pub.ncolumns, 39);
    assert_int_equal(t->pub.nkey, 1);
    assert_int_equal(t->pub.key[0], 0);
    assert_column(t, 0, "id", "bigint unsigned", WEIR_UINT,
                  WEIR_UNSIGNED | WEIR_NOT_NULL);
    assert_column(t, 1, "ti", "tinyint", WEIR_INT, 0);
    assert_column(t, 7, "d1", "decimal(10,2)", WEIR_DECIMAL, 0);
    assert_column(t, 9, "f", "float", WEIR_DOUBLE, WEIR_FLOAT);
    assert_column(t, 12, "b64", "bit(64)", WEIR_UINT, 0);
    assert_column(t, 13, "y", "year", WEIR_INT, 0);
    assert_column(t, 16, "t6", "time(6)", WEIR_TIME, 0);
    assert_column(t, 18, "dt3", "datetime(3)", WEIR_DATETIME, 0);
    assert_column(t, 22, "c255", "char(255)", WEIR_TEXT, 0);
    assert_column(t, 23, "vc", "varchar(50)", WEIR_TEXT, 0);
    assert_column(t, 25, "bin5", "binary(5)", WEIR_BYTES, 0);
    assert_column(t, 27, "tx", "tinytext", WEIR_TEXT, 0);
    assert_column(t, 30, "bl", "blob", WEIR_BYTES, 0);
    assert_column(t, 31, "e", "enum('a','b','c')", WEIR_TEXT, WEIR_ENUM);
    assert_column(t, 32, "s", "set('x','y','z')", WEIR_TEXT, WEIR_SET);
    assert_column(t, 34, "js", "longtext", WEIR_TEXT, 0);
    assert_column(t, 37, "vcc", "varchar(500) compressed", WEIR_TEXT, 0);
    assert_true(str_is(t->pub.columns[22]->collation, "utf8mb4_general_ci"));
    assert_int_equal(t->pub.columns[22]->length, 255);
    assert_int_equal(t->pub.columns[8]->scale, 30);
    assert_int_equal(t->pub.columns[31]->nmembers, 3);
    assert_true(str_is(t->pub.columns[31]->members[2], "c"));
    arena_free(&a);
}

static void
mysql_metadata(void **state)
{
    struct arena  a = { 0 };
    struct table *t;

    (void)state;
    assert_int_equal(table_of(&a, "mysql97_features.binlog", 0, NULL, &t, NULL),
                     WEIR_OK);
    assert_column(t, 1, "c10", "char(10)", WEIR_TEXT, 0);
    assert_true(str_is(t->pub.columns[1]->collation, "utf8mb4_0900_ai_ci"));
    assert_column(t, 3, "j", "json", WEIR_JSON, 0);
    assert_column(t, 4, "v", "vector(3)", WEIR_BYTES, 0);
    assert_column(t, 5, "inv", "int", WEIR_INT, WEIR_INVISIBLE);
    assert_column(t, 6, "u", "int unsigned", WEIR_UINT, WEIR_UNSIGNED);
    /* MySQL's default: signs and charsets, no names. */
    assert_int_equal(
        table_of(&a, "unit/mysql97_json.binlog", 4, NULL, &t, NULL), WEIR_OK);
    assert_false(t->names_known);
    assert_string_equal(t->reason, "nobody told");
    assert_column(t, 2, "@3", "varchar(10)", WEIR_TEXT, 0);
    assert_true(str_is(t->pub.columns[2]->collation, "latin1_swedish_ci"));
    assert_column(t, 5, "@6", "enum (number)", WEIR_UINT, WEIR_ENUM);
    assert_column(t, 6, "@7", "set (bits)", WEIR_UINT, WEIR_SET);
    assert_column(t, 7, "@8", "point", WEIR_BYTES, 0);
    arena_free(&a);
}

static void
keys(void **state)
{
    static struct definition_column columns[] = { DEFINED("a", "int(11)", ""),
                                                  DEFINED("b", "int(11)", "") };
    static uint32_t unique[] = { 1 }, beyond[] = { 2 }, twice[] = { 1, 1 };
    const struct definition def = { 2, 1, columns, unique };
    const struct definition bad = { 2, 1, columns, beyond };
    const struct definition worse = { 2, 2, columns, twice };
    struct arena            a = { 0 };
    struct table           *t;
    struct weir_err         err;

    (void)state;
    const char *file = "mariadb1011_extremes.binlog";
    assert_int_equal(table_of(&a, file, 7, NULL, &t, &err), WEIR_OK);
    assert_true(str_is(t->pub.name, "nokey"));
    assert_int_equal(t->pub.nkey, 0);
    assert_int_equal(table_of(&a, file, 7, &def, &t, &err), WEIR_OK);
    assert_int_equal(t->pub.nkey, 1);
    assert_int_equal(t->pub.key[0], 1);
    assert_int_equal(table_of(&a, file, 7, &bad, &t, &err), WEIR_REJECT);
    assert_int_equal(table_of(&a, file, 7, &worse, &t, &err), WEIR_REJECT);
    assert_int_equal(table_of(&a, file, 8, NULL, &t, &err), WEIR_OK);
    assert_int_equal(t->pub.nkey, 2); /* in the key's own order */
    assert_int_equal(t->pub.key[0], 2);
    assert_int_equal(t->pub.key[1], 0);
    assert_int_equal(table_of(&a, file, 9, NULL, &t, &err), WEIR_OK);
    assert_int_equal(t->pub.nkey, 1); /* of a prefix: the column is unique */
    assert_int_equal(t->pub.key[0], 1);
    arena_free(&a);
}

static void
definitions_that_do_not_fit(void **state)
{
    static const struct {
        uint32_t    column;
        const char *type, *collation;
    } bad[] = {
        { 0, "int(11)", "" },
        { 3, "decimal(10,3)", "" },
        { 3, "decimal(11,2)", "" },
        { 4, "varchar(21)", "latin1_swedish_ci" },
        { 4, "varchar(20)", "utf8mb4_general_ci" },
        { 5, "char(4)", "utf8mb4_general_ci" },
        { 6, "varbinary(8)", "" },
        { 8, "longtext", "utf8mb4_general_ci" },
        { 9, "set('a','b')", "latin1_swedish_ci" },
        { 10, "set('1','2','3','4','5','6','7','8','9')", "latin1_swedish_ci" },
        { 12, "inet4", "" },
        { 15, "varchar(500)", "utf8mb4_bin" },
        { 17, "date", "" },
        { 18, "bit(11)", "" },
        { 1, "", "" },
        { 1, "hyperint(11)", "" },
        { 1, "int(", "" },
        { 9, "enum('a','b'", "latin1_swedish_ci" },
        { 9, "enum('a,b)", "latin1_swedish_ci" },
    };
    struct arena    a = { 0 };
    struct table   *t;
    struct weir_err err;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct definition_column columns[19];
        memcpy(columns, plain_columns, sizeof columns);
        columns[bad[i].column].sql_type = str_of(bad[i].type);
        columns[bad[i].column].collation = str_of(bad[i].collation);
        const struct definition def = { 19, 0, columns, NULL };
        if (table_of(&a, NOLOG, 0, &def, &t, &err) != WEIR_REJECT) {
            fail_msg("column %u as %s", bad[i].column, bad[i].type);
        }
        assert_non_null(strstr(err.text, "table p.plain, column"));
    }
    const struct definition fewer = { 18, 0, plain_columns, NULL };
    assert_int_equal(table_of(&a, NOLOG, 0, &fewer, &t, &err), WEIR_REJECT);
    assert_non_null(strstr(err.text, "18 columns and the log 19"));
    arena_free(&a);
}

static void
names_that_changed(void **state)
{
    static struct definition_column columns[] = { DEFINED("a", "int(11)", ""),
                                                  DEFINED("c", "int(11)", "") };
    const struct definition         def = { 2, 0, columns, NULL };
    struct arena                    a = { 0 };
    struct table                   *t;
    struct weir_err                 err;

    (void)state;
    assert_int_equal(
        table_of(&a, "mariadb1011_extremes.binlog", 7, &def, &t, &err),
        WEIR_REJECT);
    assert_non_null(strstr(err.text, "has another name for it"));
    arena_free(&a);
}

static void
frames(void **state)
{
    struct buf            log = log_read(NOLOG), frame = { 0 };
    struct binlog_stream  s;
    struct binlog_event   ev = log_event(log, BINLOG_TABLE_MAP, 0, &s, NULL);
    struct arena          a = { 0 };
    struct table         *t;
    struct weir_err       err;
    const struct weir_str body = { (const char *)ev.body, ev.body_len };

    (void)state;
    table_save(&frame, s.flavour, body, &plain, NULL);
    assert_int_equal(table_load(&a, buf_view(&frame), 77, &t, &err), WEIR_OK);
    assert_true(t->pub.version == 77);
    assert_true(t->names_known);
    assert_column(t, 12, "u", "uuid", WEIR_TEXT, 0);
    assert_column(t, 16, "g", "int(11)", WEIR_INT, WEIR_GENERATED);
    assert_int_equal(t->pub.nkey, 1);
    for (size_t cut = 1; cut <= frame.len; cut++) {
        const struct weir_str less = { frame.data, frame.len - cut };
        assert_int_equal(table_load(&a, less, 1, &t, &err), WEIR_REJECT);
        arena_reset(&a);
    }
    frame.len = 0;
    table_save(&frame, s.flavour, body, NULL, "the server is silent");
    assert_int_equal(table_load(&a, buf_view(&frame), 78, &t, &err), WEIR_OK);
    assert_false(t->names_known);
    assert_string_equal(t->reason, "the server is silent");
    assert_true(str_is(t->pub.columns[0]->name, "@1"));
    assert_int_equal(t->flavour, FLAVOUR_MARIADB);
    buf_byte(&frame, 0);
    assert_int_equal(table_load(&a, buf_view(&frame), 1, &t, &err),
                     WEIR_REJECT);
    arena_free(&a);
    buf_free(&frame);
    buf_free(&log);
}

/* Each truncation and each changed byte is either refused or makes a table
 * that can be freed: what the sanitizers look at. */
static void
damaged_table_maps(void **state)
{
    struct buf              log = log_read("mysql97_features.binlog");
    struct binlog_stream    s;
    struct binlog_event     ev = log_event(log, BINLOG_TABLE_MAP, 0, &s, NULL);
    struct arena            a = { 0 };
    struct binlog_table_map map;
    struct table           *t;
    struct weir_err         err;

    (void)state;
    for (size_t len = 0; len < ev.body_len; len++) {
        uint8_t *copy = malloc(len);
        memcpy(copy, ev.body, len);
        enum weir_status st = binlog_table_map_parse(copy, len, &map, &err);
        if (st == WEIR_OK) {
            st = table_make(&a, s.flavour, &map, NULL, NULL, &t, &err);
        }
        free(copy);
        arena_reset(&a);
        assert_true(st == WEIR_OK || st == WEIR_REJECT);
        assert_true(st == WEIR_REJECT || len > 48); /* behind the fixed part */
    }
    for (size_t i = 0; i < 255 * ev.body_len; i++) {
        uint8_t *copy = malloc(ev.body_len);
        memcpy(copy, ev.body, ev.body_len);
        copy[i / 255] ^= (uint8_t)(1 + i % 255);
        if (binlog_table_map_parse(copy, ev.body_len, &map, &err) == WEIR_OK) {
            table_make(&a, s.flavour, &map, NULL, NULL, &t, &err);
        }
        free(copy);
        arena_reset(&a);
    }
    arena_free(&a);
    buf_free(&log);
}

static void
assert_charset(uint64_t id, const char *collation, const char *charset,
               enum binlog_text text)
{
    struct arena         a = { 0 };
    struct weir_str      name;
    const struct charset c = charset_of_id(&a, id, &name);

    if (!str_is(name, collation) || !str_is(c.name, charset)) {
        fail_msg("%u is %.*s", (unsigned)id, STR_ARG(name));
    }
    assert_int_equal(c.text, text);
    arena_free(&a);
}

static void
charsets(void **state)
{
    (void)state;
    assert_charset(8, "latin1_swedish_ci", "latin1", TEXT_LATIN1);
    assert_charset(11, "ascii_general_ci", "ascii", TEXT_UTF8);
    assert_charset(33, "utf8mb3_general_ci", "utf8mb3", TEXT_UTF8);
    assert_charset(63, "binary", "binary", TEXT_BINARY);
    assert_charset(51, "cp1251_general_ci", "cp1251", TEXT_CODED);
    assert_charset(224, "utf8mb4_unicode_ci", "utf8mb4", TEXT_UTF8);
    assert_charset(247, "utf8mb4_vietnamese_ci", "utf8mb4", TEXT_UTF8);
    assert_charset(255, "utf8mb4_0900_ai_ci", "utf8mb4", TEXT_UTF8);
    assert_charset(300, "utf8mb4_vi_0900_as_cs", "utf8mb4", TEXT_UTF8);
    assert_charset(309, "utf8mb4_0900_bin", "utf8mb4", TEXT_UTF8);
    assert_charset(608, "utf8mb4_croatian_ci", "utf8mb4", TEXT_UTF8);
    assert_charset(1069, "utf8mb4_general_nopad_ci", "utf8mb4", TEXT_UTF8);
    assert_charset(1071, "latin1_nopad_bin", "latin1", TEXT_LATIN1);
    assert_charset(2048, "utf8mb3_uca1400_ai_ci", "utf8mb3", TEXT_UTF8);
    assert_charset(2319, "utf8mb4_uca1400_icelandic_nopad_as_cs", "utf8mb4",
                   TEXT_UTF8);
    assert_charset(3072, "utf32_uca1400_ai_ci", "utf32", TEXT_CODED);
    assert_charset(272, "", "", TEXT_UNKNOWN);
    assert_charset(5000, "", "", TEXT_UNKNOWN);
    assert_charset(UINT64_MAX, "", "", TEXT_UNKNOWN);
}

/* All that MySQL 9.7, MariaDB 10.11 and 11.8 list: number, name, charset. */
static void
all_collations(void **state)
{
    const char *const source = getenv("WEIR_SOURCE");
    struct arena      a = { 0 };
    char              path[4096], name[128], charset[32];
    unsigned          id, n = 0;

    (void)state;
    snprintf(path, sizeof path, "%s/t/data/unit/collations.txt",
             source ? source : ".");
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    while (fscanf(in, "%u %127s %31s", &id, name, charset) == 3) {
        struct weir_str      got;
        const struct charset c = charset_of_id(&a, id, &got);
        if (!str_is(c.name, charset) || c.text == TEXT_UNKNOWN ||
            c.maxlen == 0 ||
            (!str_is(got, name) && !strstr(name, "mysql561"))) {
            fail_msg("%u is %s, not %.*s", id, name, STR_ARG(got));
        }
        arena_reset(&a);
        n++;
    }
    fclose(in);
    assert_true(n > 1300);
    arena_free(&a);
}

static void
members_of_types(void **state)
{
    struct arena    a = { 0 };
    struct sql_type type;

    (void)state;
    assert_true(
        sql_type_parse(&a, STR("enum('it''s','a,b','\\\\','')"), &type));
    assert_int_equal(type.nmembers, 4);
    assert_true(str_is(type.members[0], "it's"));
    assert_true(str_is(type.members[1], "a,b"));
    assert_true(str_is(type.members[2], "\\"));
    assert_true(str_is(type.members[3], ""));
    assert_true(
        sql_type_parse(&a, STR("DECIMAL(10,2) unsigned zerofill"), &type));
    assert_true(str_is(type.base, "decimal"));
    assert_true(type.first == 10 && type.second == 2 && type.is_unsigned);
    arena_free(&a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(definitions_add_what_the_log_leaves_out),
        cmocka_unit_test(without_any_it_says_so),
        cmocka_unit_test(old_times_need_one),
        cmocka_unit_test(full_metadata_says_it_all),
        cmocka_unit_test(mysql_metadata),
        cmocka_unit_test(keys),
        cmocka_unit_test(definitions_that_do_not_fit),
        cmocka_unit_test(names_that_changed),
        cmocka_unit_test(frames),
        cmocka_unit_test(damaged_table_maps),
        cmocka_unit_test(charsets),
        cmocka_unit_test(all_collations),
        cmocka_unit_test(members_of_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
