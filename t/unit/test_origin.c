/* test_origin.c - origins of segments, and what is kept in them. */
#include "unit.h"

#include "base/str.h"
#include "relay/origin.h"

static struct weir_list
list(const char *const *items, size_t n)
{
    return (struct weir_list){ n, items };
}

static void
comes_back(void **state)
{
    static const char *const kept[] = { "shop.users", "x.*" };
    const struct origin      o = { .server = STR("uid"),
                                   .version = STR("10.11"),
                                   .gtid_set = STR("0-1-7,1-2-3"),
                                   .file = STR("bin.000007"),
                                   .file_offset = 1ull << 40,
                                   .kept = list(kept, 2) };
    struct buf      bytes = { 0 };
    struct arena    a = { 0 };
    struct origin   back;
    struct weir_err err;

    (void)state;
    origin_format(&o, &bytes);
    assert_int_equal(origin_parse(&a, buf_view(&bytes), &back, &err), WEIR_OK);
    assert_true(str_eq(back.gtid_set, o.gtid_set));
    assert_true(str_eq(back.file, o.file) && str_eq(back.server, o.server));
    assert_true(back.file_offset == o.file_offset);
    assert_int_equal(back.kept.n, 2);
    assert_string_equal(back.kept.items[1], "x.*");
    for (size_t n = 0; n < bytes.len; n++) { /* cut anywhere: refused, or a
                                                whole number of fields */
        const struct weir_str part = { bytes.data, n };
        origin_parse(&a, part, &back, &err);
    }
    buf_free(&bytes);
    arena_free(&a);
}

static void
what_is_kept(void **state)
{
    static const char *const some[] = { "shop.users", "log.*" };
    static const char *const all[] = { "*.*" };
    static const char *const users[] = { "shop.users" };
    static const char *const logs[] = { "log.a*", "log.b" };
    static const char *const more[] = { "shop.users", "shop.orders" };
    static const char *const wide[] = { "shop.*" };
    struct origin            o = { .kept = list(some, 2) };

    (void)state;
    assert_null(origin_lacks(&o, list(users, 1)));
    assert_null(origin_lacks(&o, list(logs, 2)));
    assert_string_equal(origin_lacks(&o, list(more, 2)), "shop.orders");
    assert_string_equal(origin_lacks(&o, list(wide, 1)), "shop.*");
    assert_non_null(origin_lacks(&o, list(NULL, 0)));
    o.kept = list(all, 1);
    assert_null(origin_lacks(&o, list(NULL, 0)));
    assert_null(origin_lacks(&o, list(more, 2)));
    o.kept = list(NULL, 0);
    assert_null(origin_lacks(&o, list(wide, 1)));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back),
        cmocka_unit_test(what_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
