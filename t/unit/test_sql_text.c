/* test_sql_text.c - names and values as SQL, whatever bytes they hold. */
#include "unit.h"

#include "sink_mysql.h"

/* What the server gives for a value that the module has no text for. */
struct weir_str
weir_text(struct weir_instance *in, const struct weir_column *c,
          const struct weir_value *v)
{
    (void)in;
    (void)c;
    (void)v;
    return (struct weir_str){ "2.5", 3 };
}

struct weir_str
weir_raw(struct weir_instance *in, const struct weir_column *c,
         const struct weir_value *v)
{
    (void)in;
    (void)c;
    return v->logged ? (struct weir_str){ "\x81\x5f'", 3 }
                     : (struct weir_str){ 0 };
}

static struct text sql;

static void
expect(const char *want, size_t len)
{
    assert_false(sql.failed);
    assert_int_equal(sql.len, len);
    assert_memory_equal(sql.data, want, len);
    sql.len = 0;
}

static void
test_names_and_quotes(void **state)
{
    (void)state;
    text_name(&sql, (struct weir_str){ "a`b.c'", 6 });
    expect("`a``b.c'`", 9);
    text_name(&sql, (struct weir_str){ "``", 2 });
    expect("``````", 6);
    text_quote(&sql, (struct weir_str){ "it's \\ \0`", 9 });
    expect("'it''s \\ \0`'", 12);
    text_quote(&sql, (struct weir_str){ "'''", 3 });
    expect("''''''''", 8);
    text_quote(&sql, (struct weir_str){ "", 0 });
    expect("''", 2);
    text_bytes(&sql, (struct weir_str){ "\xff'", 2 });
    expect("_binary'\xff'''", 12);
}

static void
value(const struct weir_column *c, struct weir_value v, bool exact,
      const char *want)
{
    text_plain(&sql, NULL, c, &v, exact);
    expect(want, strlen(want));
}

static void
test_values(void **state)
{
    const struct weir_column plain = { .type = WEIR_INT };
    const struct weir_column rough = { .facets = WEIR_FLOAT };

    (void)state;
    value(&plain, (struct weir_value){ .type = WEIR_NULL }, false, "NULL");
    value(&plain, (struct weir_value){ .type = WEIR_INT, .i = INT64_MIN },
          false, "-9223372036854775808");
    value(&plain, (struct weir_value){ .type = WEIR_INT, .i = 0 }, false, "0");
    value(&plain, (struct weir_value){ .type = WEIR_UINT, .u = UINT64_MAX },
          false, "18446744073709551615");
    value(&plain, (struct weir_value){ .type = WEIR_DOUBLE, .d = 2.5 }, true,
          "2.5e0");
    value(&rough, (struct weir_value){ .type = WEIR_DOUBLE, .d = 2.5 }, false,
          "2.5e0");
    value(&rough, (struct weir_value){ .type = WEIR_DOUBLE, .d = 0.1F }, true,
          "1.0000000149011612e-01");
    /* The shortest form of the largest FLOAT would be out of its range. */
    value(&rough,
          (struct weir_value){ .type = WEIR_DOUBLE, .d = 3.4028234663852886e38 },
          false, "3.4028234663852886e+38");
}

static void
test_charsets(void **state)
{
    static const struct weir_str    members[] = { { "", 0 } };
    const struct weir_column        c = { .type = WEIR_TEXT,
                                          .nmembers = 1,
                                          .members = members };
    const struct weir_column *const columns[] = { &c, &c };
    const struct weir_table table = { .ncolumns = 2, .columns = columns };
    struct weir_str         charsets[2] = { { "sjis", 4 }, { 0 } };
    bool                    enums[2] = { 0 };
    const struct target     target = { .table = &table, .charsets = charsets,
                                       .enums = enums };
    struct weir_value       v = { .type = WEIR_TEXT,
                                  .logged = 1,
                                  .s = { "\xef\xbc\xbc'", 4 } };

    (void)state;
    text_value(&sql, NULL, &target, 0, &v, true);
    expect("_sjis'\x81\x5f'''", 11);
    text_value(&sql, NULL, &target, 1, &v, true);
    expect("'\xef\xbc\xbc'''", 7);
    v.logged = 0; /* a transform made it */
    text_value(&sql, NULL, &target, 0, &v, true);
    expect("'\xef\xbc\xbc'''", 7);
    enums[1] = true;
    v.s.len = 0;
    text_value(&sql, NULL, &target, 1, &v, true);
    expect("''", 2);
    v.logged = 1;
    text_value(&sql, NULL, &target, 1, &v, true);
    expect("0", 1);
}

static void
test_growth(void **state)
{
    (void)state;
    for (int i = 0; i < 100000; i++) {
        text_quote(&sql, (struct weir_str){ "'", 1 });
    }
    assert_int_equal(sql.len, 400000);
    sql.len = 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_quotes),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_charsets),
        cmocka_unit_test(test_growth),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);

    text_free(&sql);
    return failed;
}
