/* test_base.c - strings, arenas, readers, checksums. */
#include "unit.h"

#include "base/arena.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/str.h"

static void
globs(void **state)
{
    (void)state;
    assert_true(str_glob(STR("shop.*"), STR("shop.users")));
    assert_false(str_glob(STR("shop.*"), STR("shopping")));
    assert_true(str_glob(STR("*.tmp_*"), STR("a.b.tmp_c")));
    assert_true(str_glob(STR("a?c"), STR("abc")));
    assert_false(str_glob(STR("a\\?c"), STR("abc")));
    assert_true(str_glob(STR("a\\*"), STR("a*")));
    assert_true(str_glob(STR("*"), STR("")));
    assert_false(str_glob(STR(""), STR("x")));
}

static void
nearest_names(void **state)
{
    static const char *const names[] = { "host", "port", "password" };
    (void)state;
    assert_string_equal(str_nearest("prot", names, 3), "port");
    assert_string_equal(str_nearest("pasword", names, 3), "password");
    assert_null(str_nearest("zebra", names, 3));
}

static void
numbers(void **state)
{
    uint64_t v;
    (void)state;
    assert_true(str_u64(STR("18446744073709551615"), &v));
    assert_true(v == UINT64_MAX);
    assert_false(str_u64(STR("18446744073709551616"), &v));
    assert_false(str_u64(STR(""), &v));
    assert_false(str_u64(STR("1a"), &v));
}

static void
reader_stops_at_the_end(void **state)
{
    const uint8_t bytes[] = { 0xfc, 1, 2, 7 };
    (void)state;
    struct reader r = reader_of(bytes, sizeof bytes);
    assert_int_equal(read_lenenc(&r), 0x201);
    assert_int_equal(read_le(&r, 1), 7);
    assert_false(r.bad);
    assert_int_equal(read_le(&r, 1), 0);
    assert_true(r.bad);
    r = reader_of(bytes, sizeof bytes);
    assert_null(read_str(&r, UINT64_MAX).data);
    assert_true(r.bad);
}

static void
crc_of_known_bytes(void **state)
{
    (void)state;
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
}

static void
arenas(void **state)
{
    struct arena a = { 0 };
    (void)state;
    for (int i = 1; i < 2000; i++) {
        char *p = arena_alloc(&a, (size_t)i);
        assert_int_equal(p[i - 1], 0);
        memset(p, 0xff, (size_t)i);
        assert_int_equal((uintptr_t)p % 16, 0);
    }
    arena_reset(&a);
    assert_int_equal(a.used, 0);
    for (int i = 0; i < 1000; i++) {
        char              *kept = arena_alloc(&a, 100);
        const struct arena mark = a;
        memset(arena_alloc(&a, (size_t)(i * i)), 0xff, (size_t)(i * i));
        arena_rewind(&a, &mark);
        assert_int_equal(a.used, (i + 1) * 112);
        assert_int_equal(kept[99], 0);
    }
    arena_reset(&a);
    assert_string_equal(arena_printf(&a, "%d-%s", 7, "x"), "7-x");
    arena_free(&a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(globs),
        cmocka_unit_test(nearest_names),
        cmocka_unit_test(numbers),
        cmocka_unit_test(reader_stops_at_the_end),
        cmocka_unit_test(crc_of_known_bytes),
        cmocka_unit_test(arenas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
