/* test_template.c - "user:{id}", and what may not leave its folder. */
#include "unit.h"

#include "base/str.h"
#include "format/template.h"

static struct arena    a;
static struct buf      out;
static struct weir_err err;

static const char *
text(void)
{
    buf_byte(&out, '\0');
    out.len = 0;
    return out.data;
}

static const struct weir_column id_column = { .name = { "id", 2 } };
static const struct weir_column name_column = { .name = { "Name", 4 } };
static const struct weir_column *const columns[] = { &id_column,
                                                     &name_column };
static const struct weir_table table = {
    .schema = { "shop", 4 },
    .name = { "users", 5 },
    .ncolumns = 2,
    .columns = columns,
};

static const struct weir_template *
parse(const char *s, unsigned flags)
{
    const struct weir_template *t = NULL;
    if (template_parse(&a, s, flags, &t, &err) != WEIR_OK) {
        fail_msg("%s: %s", s, err.text);
    }
    return t;
}

static enum weir_status
expand(const char *s, unsigned flags, struct weir_value name)
{
    const struct weir_template *t = parse(s, flags);
    uint32_t                    bound[8];
    const struct weir_value image[] = { { .type = WEIR_INT, .i = -7 }, name };
    assert_int_equal(template_bind(t, &table, bound, &err), WEIR_OK);
    return template_expand(t, bound, &table, image, &out, &err);
}

static const char *
expanded(const char *s, unsigned flags, const char *name)
{
    const struct weir_value v = { .type = WEIR_TEXT, .s = str_of(name) };
    assert_int_equal(expand(s, flags, v), WEIR_OK);
    return text();
}

static void
filled_in(void **state)
{
    (void)state;
    assert_string_equal(expanded("user:{id}", 0, ""), "user:-7");
    assert_string_equal(expanded("{database}.{table}/{name}", 0, "a/../b"),
                        "shop.users/a/../b");
    assert_string_equal(expanded("{{{id}}}", 0, ""), "{-7}");
    assert_string_equal(expanded("}}{{", 0, ""), "}{");
    assert_string_equal(expanded("", 0, ""), "");
    assert_string_equal(expanded("{Name}{NAME}", 0, "x"), "xx");
}

/* Of the second column: a DATETIME in place of a text. */
static void
dates(void **state)
{
    static const struct weir_column made = { .name = { "made", 4 },
                                             .type = WEIR_DATETIME };
    static const struct weir_column *const both[] = { &id_column, &made };
    const struct weir_table dated = { .schema = { "s", 1 }, .name = { "t", 1 },
                                      .ncolumns = 2, .columns = both };
    struct weir_value image[] = {
        { .type = WEIR_INT, .i = 1 },
        { .type = WEIR_DATETIME, .t = { .year = 2026, .month = 1, .day = 2,
                                        .hour = 3, .minute = 4, .second = 5 } },
    };
    uint32_t                    bound[8];
    const struct weir_template *t = parse("o-{made:%Y.%m}/{made:%d%%%H:%M:%S}", 0);

    (void)state;
    assert_int_equal(template_bind(t, &dated, bound, &err), WEIR_OK);
    assert_int_equal(template_expand(t, bound, &dated, image, &out, &err),
                     WEIR_OK);
    assert_string_equal(text(), "o-2026.01/02%03:04:05");
    image[1].t = (struct weir_time){ 0 };
    t = parse("{made:%Y.%m}", 0);
    assert_int_equal(template_bind(t, &dated, bound, &err), WEIR_OK);
    assert_int_equal(template_expand(t, bound, &dated, image, &out, &err),
                     WEIR_OK);
    assert_string_equal(text(), "0000.00");
    image[1].type = WEIR_NULL;
    assert_int_equal(template_expand(t, bound, &dated, image, &out, &err),
                     WEIR_REJECT);
    assert_int_equal(template_bind(parse("{id:%Y}", 0), &dated, bound, &err),
                     WEIR_REJECT);
    assert_string_equal(err.text, "template \"{id:%Y}\": column id of s.t is no "
                                  "date, so it has no \"%Y\"");
}

static void
refused(void **state)
{
    static const struct { const char *text; unsigned flags; const char *why; }
    cases[] = {
        { "a{id", 0, "template \"a{id\": the { at \"{id\" has no } behind it; "
          "a brace itself is written {{" },
        { "a}b", 0, "template \"a}b\": the } at \"}b\" has no { before it; a "
          "brace itself is written }}" },
        { "{}", 0, "template \"{}\": {} names no column" },
        { "{a{b}", 0, "template \"{a{b}\": the { at \"{a{b}\" has no } behind "
          "it; a brace itself is written {{" },
        { "{a:%Y%y}", 0, "template \"{a:%Y%y}\": \"%Y%y\" is not a date by its "
          "parts; they are %Y, %m, %d, %H, %M, %S, as in "
          "\"{created:%Y.%m}\"" },
        { "{a:%}", 0, "template \"{a:%}\": \"%\" is not a date by its "
          "parts; they are %Y, %m, %d, %H, %M, %S, as in "
          "\"{created:%Y.%m}\"" },
        { "", WEIR_PATH, "template \"\": a path is needed" },
        { "../{id}", WEIR_PATH, "template \"../{id}\": \"..\" may not stand "
          "in a path that is made of what columns bring" },
        { "{id}/", WEIR_PATH, "template \"{id}/\": it ends in \"/\", where a "
          "file's name is needed" },
    };
    const struct weir_template *t;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(template_parse(&a, cases[i].text, cases[i].flags, &t,
                                        &err),
                         WEIR_FATAL);
        assert_string_equal(err.text, cases[i].why);
    }
}

static void
unknown_columns(void **state)
{
    uint32_t bound[8];
    (void)state;
    assert_int_equal(template_bind(parse("k:{uid}", 0), &table, bound, &err),
                     WEIR_REJECT);
    assert_string_equal(err.text, "template \"k:{uid}\": shop.users has no "
                                  "column uid; it has id, Name");
    assert_int_equal(template_bind(parse("k{database}{name}", 0), &table,
                                   bound, &err), WEIR_OK);
    assert_int_equal(bound[0], UINT32_MAX);
    assert_int_equal(bound[1], UINT32_MAX);
    assert_int_equal(bound[2], 1);
}

static void
null_in_a_key(void **state)
{
    const struct weir_value null = { .type = WEIR_NULL };
    const struct weir_value absent = { .type = WEIR_ABSENT };
    (void)state;
    buf_text(&out, "kept");
    assert_int_equal(expand("k:{name}", 0, null), WEIR_REJECT);
    assert_string_equal(err.text, "template \"k:{name}\": column Name of "
                                  "shop.users is NULL in this row");
    assert_int_equal(expand("k:{name}", WEIR_PATH, absent), WEIR_REJECT);
    assert_string_equal(err.text,
                        "template \"k:{name}\": column Name of shop.users is "
                        "not in the row image (binlog_row_image=FULL would "
                        "log it) in this row");
    assert_string_equal(text(), "kept");
}

static void
paths_stay_where_they_are(void **state)
{
    const char *const path = "{database}/{name}.jsonl";
    (void)state;
    assert_string_equal(expanded(path, WEIR_PATH, "a"), "shop/a.jsonl");
    assert_string_equal(expanded(path, WEIR_PATH, "../../etc/passwd"),
                        "shop/%2E.%2F..%2Fetc%2Fpasswd.jsonl");
    assert_string_equal(expanded(path, WEIR_PATH, "..") , "shop/%2E..jsonl");
    assert_string_equal(expanded(path, WEIR_PATH, ""), "shop/%.jsonl");
    assert_string_equal(expanded(path, WEIR_PATH, "%2F"), "shop/%252F.jsonl");
    assert_string_equal(expanded(path, WEIR_PATH, "a\\b\n"),
                        "shop/a%5Cb%0A.jsonl");
    assert_string_equal(expanded(path, WEIR_PATH, "caf\xc3\xa9 1"),
                        "shop/caf\xc3\xa9 1.jsonl");
    assert_string_equal(expanded("{name}", WEIR_PATH, "/"), "%2F");
    const struct weir_value nul = { .type = WEIR_TEXT, .s = { "a\0b", 3 } };
    assert_int_equal(expand("{name}", WEIR_PATH, nul), WEIR_OK);
    assert_string_equal(text(), "a%00b");
}

/* No name longer than 255 bytes; those that differ stay different. */
static void
long_names(void **state)
{
    char one[401], two[401], first[300];
    (void)state;
    memset(one, 'x', 400);
    one[400] = '\0';
    memcpy(two, one, 401);
    two[399] = 'y';
    const char *path = expanded("{database}/{name}.jsonl", WEIR_PATH, one);
    assert_int_equal(strlen(path), strlen("shop/") + 255);
    assert_string_equal(path + strlen(path) - 6, ".jsonl");
    snprintf(first, sizeof first, "%s", path);
    assert_string_not_equal(
        expanded("{database}/{name}.jsonl", WEIR_PATH, two), first);
    one[249] = '\0'; /* just fits */
    path = expanded("{name}.jsonl", WEIR_PATH, one);
    assert_int_equal(strlen(path), 255);
    assert_null(strchr(path, '~'));
    for (unsigned i = 0; i < 126; i++) { /* never half a character */
        memcpy(one + 2 * i, "\xc3\xa9", 2);
    }
    one[252] = '\0';
    path = expanded("{name}.jsonl", WEIR_PATH, one);
    const char *end = strchr(path, '~');
    assert_non_null(end);
    assert_int_equal((end - path) % 2, 0);
    path = expanded("{name}{name}{name}", WEIR_PATH, two);
    assert_true(strlen(path) <= 255);
}

static void
globs(void **state)
{
    size_t literal;
    (void)state;
    template_glob(parse("user:{id}:{name}", 0), &table, &out, &literal);
    assert_int_equal(literal, 5);
    assert_string_equal(text(), "user:*:*");
    template_glob(parse("[a*]?\\{id}", 0), &table, &out, &literal);
    assert_string_equal(text(), "\\[a\\*\\]\\?\\\\*");
    template_glob(parse("{database}.{table}.{id}x", 0), &table, &out,
                  &literal);
    assert_int_equal(literal, 11);
    assert_string_equal(text(), "shop.users.*x");
    template_glob(parse("{id}x", 0), NULL, &out, &literal);
    assert_int_equal(literal, 0);
    assert_string_equal(text(), "*x");
    template_glob(parse("fixed", 0), NULL, &out, &literal);
    assert_int_equal(literal, 5);
    assert_string_equal(text(), "fixed");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filled_in),
        cmocka_unit_test(dates),
        cmocka_unit_test(refused),
        cmocka_unit_test(unknown_columns),
        cmocka_unit_test(null_in_a_key),
        cmocka_unit_test(paths_stay_where_they_are),
        cmocka_unit_test(long_names),
        cmocka_unit_test(globs),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_free(&out);
    arena_free(&a);
    return failed;
}
