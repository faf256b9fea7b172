/* test_instant.c - times as `start` of source mysql takes them. */
#include "unit.h"

#include "instant.h"

static void
assert_instant(const char *text, int64_t usec)
{
    int64_t got = -1;

    if (!instant_parse(text, &got) || got != usec) {
        fail_msg("%s: %lld, not %lld", text, (long long)got, (long long)usec);
    }
}

static void
test_times(void **state)
{
    (void)state;
    assert_instant("1970-01-01 00:00:00", 0);
    assert_instant("2026-11-01 00:00:00", INT64_C(1793491200000000));
    assert_instant("2026-11-01T00:00:00", INT64_C(1793491200000000));
    assert_instant("2026-11-01T00:00:00Z", INT64_C(1793491200000000));
    assert_instant("2026-11-01 02:00:00+02:00", INT64_C(1793491200000000));
    assert_instant("2026-10-31T18:30:00-05:30", INT64_C(1793491200000000));
    assert_instant("2026-11-01 00:00:00.5", INT64_C(1793491200500000));
    assert_instant("2026-11-01 00:00:00.000001Z", INT64_C(1793491200000001));
    assert_instant("2024-02-29 23:59:59", INT64_C(1709251199000000));
    assert_instant("2000-02-29 00:00:00", INT64_C(951782400000000));
    assert_instant("2038-01-19 03:14:08", INT64_C(2147483648000000));
    assert_instant("2105-12-31 23:59:59", INT64_C(4291747199000000));
}

static void
test_not_times(void **state)
{
    static const char *const texts[] = {
        "", " ", "now", "2026-11-01", "2026-11-01 ", "2026-11-01 00:00",
        "2026-11-01  00:00:00", "2026-11-01_00:00:00", "26-11-01 00:00:00",
        "2026-1-1 00:00:00", "2026-13-01 00:00:00", "2026-00-01 00:00:00",
        "2026-11-31 00:00:00", "2026-11-00 00:00:00", "2025-02-29 00:00:00",
        "2100-02-29 00:00:00", "2026-11-01 24:00:00", "2026-11-01 23:60:00",
        "2026-11-01 23:59:60", "2026-11-01 00:00:00.", "2026-11-01 00:00:00.z",
        "2026-11-01 00:00:00.1234567", "2026-11-01 00:00:00 ",
        "2026-11-01 00:00:00z", "2026-11-01 00:00:00ZZ",
        "2026-11-01 00:00:00 UTC", "2026-11-01 00:00:00+2",
        "2026-11-01 00:00:00+0200", "2026-11-01 00:00:00+02:60",
        "2026-11-01 00:00:00+14:01", "2026-11-01 00:00:00+-2:00",
        "1969-12-31 23:59:59", "1970-01-01 00:00:00+00:01",
        "2106-01-01 00:00:00", "-026-11-01 00:00:00", "1793491200",
        "2026-11-01 -1:00:00", "2026-11-01 00:00:00\n",
    };
    int64_t usec;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (instant_parse(texts[i], &usec)) {
            fail_msg("\"%s\" is taken as %lld", texts[i], (long long)usec);
        }
    }
}

static void
test_text(void **state)
{
    char text[INSTANT_TEXT];

    (void)state;
    assert_string_equal(instant_format(INT64_C(1793491200000000), text),
                        "2026-11-01 00:00:00 UTC");
    assert_string_equal(instant_format(INT64_C(1793491200000020), text),
                        "2026-11-01 00:00:00.000020 UTC");
    assert_string_equal(instant_format(0, text), "1970-01-01 00:00:00 UTC");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_not_times),
        cmocka_unit_test(test_text),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
