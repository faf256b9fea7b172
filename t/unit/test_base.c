/* test_base.c - strings, arenas, readers, checksums. */
#include "unit.h"

#include <unistd.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/file.h"
#include "base/log.h"
#include "base/request.h"
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

/* What was logged, without time and pid. */
static void
assert_logged(const char *path, const char *sentence, const char *want)
{
    struct arena    a = { 0 };
    struct weir_str text;
    struct weir_err err;

    unlink(path);
    assert_int_equal(log_open(path, &err), WEIR_OK);
    log_warn("%s", sentence);
    assert_int_equal(file_read(&a, path, 1 << 20, &text, &err), WEIR_OK);
    const char *from = strstr(text.data, "\"context\":");
    assert_non_null(from);
    assert_string_equal(from, want);
    arena_free(&a);
}

static void
json_log(void **state)
{
    char dir[] = "/tmp/weir-unit-XXXXXX", path[64];
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/log", dir);
    log_json(true);
    log_context("shop/\"x\"");
    assert_logged(path, "a\nb\t\"c\" \\ \x7f",
                  "\"context\":\"shop/\\\"x\\\"\",\"message\":\"a\\u000ab"
                  "\\u0009\\\"c\\\" \\\\ \\u007f\"}\n");
    log_context("x");
    assert_logged(path, "\xc3\xa4 \xf0\x9f\x90\x9f",
                  "\"context\":\"x\",\"message\":\"\xc3\xa4 "
                  "\xf0\x9f\x90\x9f\"}\n");
    /* Cut short, overlong, a surrogate, beyond Unicode: none is UTF-8. */
    assert_logged(path, "\xc3 \xc0\xaf \xed\xa0\x80 \xf4\x90\x80\x80 \xe2\x82",
                  "\"context\":\"x\",\"message\":\"\\ufffd "
                  "\\ufffd\\ufffd \\ufffd\\ufffd\\ufffd "
                  "\\ufffd\\ufffd\\ufffd\\ufffd \\ufffd\\ufffd\"}\n");
    char *sentence = xmalloc(20000);
    memset(sentence, 1, 19999); /* six times as long when escaped */
    sentence[19999] = '\0';
    log_warn("%s", sentence);
    free(sentence);
    log_json(false);
    log_context("weir");
    struct weir_err err;
    assert_int_equal(log_open(NULL, &err), WEIR_OK);
    unlink(path);
    rmdir(dir);
}

static void
requests(void **state)
{
    static const char *const wrong[] = {
        "", "weir-request 1\n", "weir-request 2 rewind 1 2\n",
        "weir-request 1 none 1 2\n", "weir-request 1 explode 1 2\n",
        "weir-request 1 rewind x 2\n", "\x01\x02\x03",
    };
    char            dir[] = "/tmp/weir-unit-XXXXXX", path[64], answer[64];
    char            text[200];
    struct arena    a = { 0 };
    struct weir_err err;
    struct request  r;
    bool            ok;
    (void)state;

    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/p.s.request", dir);
    snprintf(answer, sizeof answer, "%s/answer", dir);
    assert_int_equal(request_read(&a, path, &r, &err), WEIR_OK);
    assert_int_equal(r.verb, REQUEST_NONE);
    const struct request asked = { REQUEST_REWIND, 7, UINT64_MAX,
                                   request_word(&a, STR("a % b\n")) };
    assert_int_equal(request_write(path, &asked, &err), WEIR_OK);
    assert_int_equal(request_write(path, &asked, &err), WEIR_RETRY);
    assert_int_equal(request_read(&a, path, &r, &err), WEIR_OK);
    assert_int_equal(r.verb, REQUEST_REWIND);
    assert_true(r.id == 7 && r.offset == UINT64_MAX);
    assert_true(str_is(r.text, "a%20%25%20b%0a"));
    assert_false(answer_read(answer, 7, &ok, text, sizeof text));
    assert_int_equal(answer_write(path, answer, 7, false, "no, sir", &err),
                     WEIR_OK);
    assert_int_equal(access(path, F_OK), -1);
    assert_false(answer_read(answer, 8, &ok, text, sizeof text));
    assert_true(answer_read(answer, 7, &ok, text, sizeof text));
    assert_false(ok);
    assert_string_equal(text, "no, sir");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(file_replace(path, str_of(wrong[i]), 0600, &err),
                         WEIR_OK);
        assert_int_equal(request_read(&a, path, &r, &err), WEIR_REJECT);
        assert_int_equal(r.verb, REQUEST_NONE);
    }
    unlink(path);
    unlink(answer);
    rmdir(dir);
    arena_free(&a);
}

static void
words(void **state)
{
    static const char *const wrong[] = { "", "%", "%2", "a%2g b", " b" };
    struct arena    a = { 0 };
    struct weir_str from = STR("a%20%25%20b%0a caf\xc3\xa9 x"), out;
    (void)state;

    assert_true(request_unword(&a, &from, &out));
    assert_true(str_is(out, "a % b\n"));
    assert_true(request_unword(&a, &from, &out));
    assert_true(str_is(out, "caf\xc3\xa9"));
    assert_true(request_unword(&a, &from, &out));
    assert_true(str_is(out, "x"));
    assert_false(request_unword(&a, &from, &out));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        from = str_of(wrong[i]);
        assert_false(request_unword(&a, &from, &out));
    }
    arena_free(&a);
}

static void
tamed_names(void **unused)
{
    char text[] = "a\tb\x1b[2Jc\nd\x7f \xc2\x9b\xc3\x9b caf\xc3\xa9 \xc2";

    (void)unused;
    str_tame(text, sizeof text - 1);
    assert_string_equal(text, "a\tb?[2Jc?d? ??\xc3\x9b caf\xc3\xa9 \xc2");
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
        cmocka_unit_test(json_log),
        cmocka_unit_test(requests),
        cmocka_unit_test(words),
        cmocka_unit_test(tamed_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
