/* test_gtid.c - sets of GTIDs of both flavours. */
#include "unit.h"

#include "base/str.h"
#include "binlog/gtid.h"

#define U1 "3e11fa47-71ca-11e1-9e33-c80aa9429562"
#define U2 "3e11fa47-71ca-11e1-9e33-c80aa9429563"

static struct gtid_set *
set_of(const char *text)
{
    struct gtid_set *set = gtid_set_new();
    struct weir_err  err;

    if (gtid_set_add(set, str_of(text), &err) != WEIR_OK) {
        fail_msg("%s", err.text);
    }
    return set;
}

static void
assert_set(const struct gtid_set *set, const char *want)
{
    struct buf out = { 0 };

    gtid_set_format(set, &out);
    buf_byte(&out, '\0');
    assert_string_equal(out.data, want);
    buf_free(&out);
}

static void
assert_reads_as(const char *text, const char *want)
{
    struct gtid_set *set = set_of(text);

    assert_set(set, want);
    gtid_set_free(&set);
}

static void
text_round_trips(void **state)
{
    (void)state;
    assert_reads_as("", "");
    assert_reads_as("0-1-100", "0-1-100");
    assert_reads_as("7-2-9, 0-1-100\n", "0-1-100,7-2-9");
    assert_reads_as("4294967295-4294967295-18446744073709551615",
                    "4294967295-4294967295-18446744073709551615");
    assert_reads_as(U1 ":23", U1 ":23");
    assert_reads_as(U1 ":1-3:5:7-9", U1 ":1-3:5:7-9");
    assert_reads_as(U2 ":1,\n" U1 ":2", U1 ":2," U2 ":1");
    assert_reads_as(U1 ":4-5:1-3:2:9:10", U1 ":1-5:9-10");
    assert_reads_as("3E11FA47-71CA-11E1-9E33-C80AA9429562:1", U1 ":1");
    assert_reads_as(U1 ":1-3:Tag_1:2:1:other:7", U1 ":1-3:other:7:tag_1:1-2");
    assert_reads_as(U1 ":1-9223372036854775806", U1 ":1-9223372036854775806");
}

static void
other_text_is_refused(void **state)
{
    static const char *const bad[] = {
        "0",
        "0-1",
        "0-1-",
        "0-1-1-1",
        "-1-1-1",
        "a-1-1",
        "0-1-1,",
        "0-1-1,,0-1-2",
        "0-1-1 0-1-2",
        "4294967296-1-1",
        "0-1-18446744073709551616",
        U1,
        U1 ":",
        U1 ":0",
        U1 ":3-2",
        U1 ":1-",
        U1 ":tag",
        U1 ":1:tag",
        U1 ":1tag",
        U1 ":1,0-1-1",
        U1 ":-1",
        ":1",
        U1 "1:1",
        U1 ":9223372036854775807",
        U1 ":a-b:1",
        U1 ":aaaaaaaaaabbbbbbbbbbccccccccccddd:1",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct gtid_set *set = set_of("");
        struct weir_err  err = { { 0 } };
        if (gtid_set_add(set, str_of(bad[i]), &err) != WEIR_REJECT) {
            fail_msg("\"%s\" was taken", bad[i]);
        }
        assert_non_null(strstr(err.text, "is not a GTID"));
        assert_true(gtid_set_empty(set));
        gtid_set_free(&set);
    }
}

static void
a_set_keeps_its_flavour(void **state)
{
    struct gtid_set *set = set_of("0-1-5");
    struct weir_err  err;

    (void)state;
    assert_int_equal(gtid_set_add(set, STR(U1 ":1"), &err), WEIR_REJECT);
    assert_non_null(strstr(err.text, "is MySQL's"));
    assert_set(set, "0-1-5");
    gtid_set_free(&set);
    set = set_of(U1 ":1");
    assert_int_equal(gtid_set_add(set, STR("0-1-5"), &err), WEIR_REJECT);
    assert_non_null(strstr(err.text, "is MariaDB's"));
    gtid_set_free(&set);
}

static void
transactions_are_added(void **state)
{
    struct gtid_set *set = set_of("0-1-5,1-1-7");

    (void)state;
    assert_int_equal(gtid_set_add(set, STR("0-2-6"), NULL), WEIR_OK);
    assert_int_equal(gtid_set_add(set, STR("1-1-3"), NULL), WEIR_OK);
    assert_set(set, "0-2-6,1-1-7");
    gtid_set_free(&set);

    set = set_of(U1 ":1-3:7");
    assert_int_equal(gtid_set_add(set, STR(U1 ":4"), NULL), WEIR_OK);
    assert_set(set, U1 ":1-4:7");
    assert_int_equal(gtid_set_add(set, STR(U1 ":5-6"), NULL), WEIR_OK);
    assert_set(set, U1 ":1-7");
    assert_int_equal(gtid_set_add(set, STR(U1 ":tag:1"), NULL), WEIR_OK);
    assert_int_equal(gtid_set_add(set, STR(U1 ":2"), NULL), WEIR_OK);
    assert_set(set, U1 ":1-7:tag:1");
    gtid_set_free(&set);
}

static void
membership(void **state)
{
    struct gtid_set *set = set_of("0-1-100,3-1-1");

    (void)state;
    assert_true(gtid_set_has(set, STR("0-1-100")));
    assert_true(gtid_set_has(set, STR("0-9-99")));
    assert_false(gtid_set_has(set, STR("0-1-101")));
    assert_false(gtid_set_has(set, STR("1-1-1")));
    assert_false(gtid_set_has(set, STR(U1 ":1")));
    assert_false(gtid_set_has(set, STR("nonsense")));
    assert_false(gtid_set_has(set, STR("")));
    gtid_set_free(&set);

    set = set_of(U1 ":2-4:8:tag:5");
    assert_false(gtid_set_has(set, STR(U1 ":1")));
    assert_true(gtid_set_has(set, STR(U1 ":2")));
    assert_true(gtid_set_has(set, STR(U1 ":4")));
    assert_false(gtid_set_has(set, STR(U1 ":5")));
    assert_true(gtid_set_has(set, STR(U1 ":8")));
    assert_false(gtid_set_has(set, STR(U1 ":tag:4")));
    assert_true(gtid_set_has(set, STR(U1 ":tag:5")));
    assert_false(gtid_set_has(set, STR(U2 ":2")));
    gtid_set_free(&set);
}

static void
assert_covers(const char *set, const char *part, bool want)
{
    struct gtid_set *a = set_of(set), *b = set_of(part);

    if (gtid_set_covers(a, b) != want) {
        fail_msg("%s covers %s", set, part);
    }
    gtid_set_free(&a);
    gtid_set_free(&b);
}

static void
covering(void **state)
{
    (void)state;
    assert_covers("0-1-5", "", true);
    assert_covers("", "", true);
    assert_covers("", "0-1-5", false);
    assert_covers("0-1-5,1-1-1", "0-2-5", true);
    assert_covers("0-1-5", "0-1-5,1-1-1", false);
    assert_covers(U1 ":1-9", U1 ":2-3:5", true);
    assert_covers(U1 ":1-4:6-9", U1 ":4-6", false);
    assert_covers(U1 ":1-9", U1 ":9-10", false);
    assert_covers(U1 ":1-9", U2 ":1", false);
    assert_covers(U1 ":1-9", "0-1-5", false);
}

static void
assert_common(const char *set, const char *other, const char *want)
{
    struct gtid_set *a = set_of(set), *b = set_of(other);
    struct gtid_set *copy = gtid_set_copy(a);

    gtid_set_intersect(a, b);
    assert_set(a, want);
    assert_true(gtid_set_covers(copy, a));
    assert_true(gtid_set_covers(b, a));
    gtid_set_free(&a);
    gtid_set_free(&b);
    gtid_set_free(&copy);
}

static void
intersecting(void **state)
{
    (void)state;
    assert_common("0-1-5,1-1-9", "0-2-7,2-1-1", "0-1-5");
    assert_common("0-1-9", "0-2-7", "0-2-7");
    assert_common("0-1-9", "", "");
    assert_common("0-1-9", U1 ":1", "");
    assert_common(U1 ":1-5:8-10", U1 ":4-9:20," U2 ":1", U1 ":4-5:8-9");
    assert_common(U1 ":1-9:tag:1-3", U1 ":tag:2-5", U1 ":tag:2-3");
    assert_common(U1 ":1-3:5-7:9-11", U1 ":2-10", U1 ":2-3:5-7:9-10");
}

/* A hostile list is read in time that grows with its length. */
static void
many_intervals(void **state)
{
    struct buf       text = { 0 };
    struct gtid_set *set = gtid_set_new();
    struct weir_err  err;

    (void)state;
    buf_text(&text, U1);
    for (int i = 400000; i > 0; i--) {
        buf_printf(&text, ":%d", 2 * i);
    }
    assert_int_equal(gtid_set_add(set, buf_view(&text), &err), WEIR_OK);
    assert_true(gtid_set_has(set, STR(U1 ":800000")));
    assert_false(gtid_set_has(set, STR(U1 ":800001")));
    for (int i = 1; i <= 700000; i++) {
        buf_printf(&text, ":%d", 1000000 + 2 * i);
    }
    assert_int_equal(gtid_set_add(set, buf_view(&text), &err), WEIR_REJECT);
    assert_non_null(strstr(err.text, "more than a million"));
    gtid_set_free(&set);
    buf_free(&text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_round_trips),
        cmocka_unit_test(other_text_is_refused),
        cmocka_unit_test(a_set_keeps_its_flavour),
        cmocka_unit_test(transactions_are_added),
        cmocka_unit_test(membership),
        cmocka_unit_test(covering),
        cmocka_unit_test(intersecting),
        cmocka_unit_test(many_intervals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
