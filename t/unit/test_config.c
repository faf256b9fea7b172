/*
 * test_config.c - what t/config can't show: numbers at their limits, bytes that
 * are no text, expanded text that was tampered with, generations.
 */
#include "unit.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/generation.h"
#include "base/str.h"
#include "config/build.h"
#include "module/directive.h"

/* ---- Numbers */

static int64_t
number(enum weir_kind kind, const char *text)
{
    const struct weir_directive d = { .name = "x", .kind = kind };
    struct weir_err             err;
    int64_t                     value = -1;

    if (directive_number(&d, str_of(text), &value, &err) != WEIR_OK) {
        return INT64_MIN;
    }
    return value;
}

static void
numbers_at_their_limits(void **state)
{
    (void)state;
    assert_true(number(WEIR_K_INT, "9223372036854775807") == INT64_MAX);
    assert_true(number(WEIR_K_INT, "9223372036854775808") == INT64_MIN);
    assert_true(number(WEIR_K_INT, "-9223372036854775807") == -INT64_MAX);
    assert_true(number(WEIR_K_INT, "-") == INT64_MIN);
    assert_true(number(WEIR_K_INT, "0x10") == INT64_MIN);
    assert_true(number(WEIR_K_SIZE, "8589934591g") ==
                INT64_C(8589934591) << 30);
    assert_true(number(WEIR_K_SIZE, "8589934592g") == INT64_MIN);
    assert_true(number(WEIR_K_MSEC, "106751991167d") ==
                INT64_C(106751991167) * 86400000);
    assert_true(number(WEIR_K_MSEC, "106751991168d") == INT64_MIN);
    assert_true(number(WEIR_K_MSEC, "1ms") == 1);
    assert_true(number(WEIR_K_BOOL, "true") == 1);
    assert_true(number(WEIR_K_BOOL, "True") == INT64_MIN);
}

static void
numbers_as_they_are_written(void **state)
{
    static const struct {
        enum weir_kind kind;
        int64_t        value;
        const char    *text;
    } cases[] = {
        { WEIR_K_SIZE, 0, "0" },        { WEIR_K_SIZE, 65536, "64k" },
        { WEIR_K_SIZE, 65537, "65537" }, { WEIR_K_SIZE, 1 << 30, "1g" },
        { WEIR_K_MSEC, 250, "250ms" },  { WEIR_K_MSEC, 90000, "90s" },
        { WEIR_K_MSEC, 86400000, "1d" }, { WEIR_K_INT, 65536, "65536" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct weir_directive d = { .kind = cases[i].kind };
        struct buf                  out = { 0 };
        directive_format(&d, cases[i].value, &out);
        buf_byte(&out, '\0');
        assert_string_equal(out.data, cases[i].text);
        buf_free(&out);
    }
}

/* A table of an older header is shorter an entry, and has no bounds. */
static void
directives_of_older_headers(void **state)
{
    const size_t size = offsetof(struct weir_directive, min);
    char         table[3 * sizeof(struct weir_directive)] = { 0 };
    const struct weir_directive one = { .name = "one", .kind = WEIR_K_INT,
                                        .min = 7, .max = 7 };

    (void)state;
    memcpy(table, &one, size);
    memcpy(table + size, &one, size);
    const struct weir_directive *t = (const void *)table;
    assert_int_equal(directive_count(t, size), 2);
    assert_string_equal(directive_get(t, size, 1).name, "one");
    assert_int_equal(directive_get(t, size, 1).min, 0);
}

/* ---- Text */

static char said[4096];

static void
say(void *arg, const char *where, const char *sentence)
{
    (void)arg;
    const size_t n = strlen(said);
    snprintf(said + n, sizeof said - n, "%s: %s\n", where, sentence);
}

static bool
scan(struct arena *a, const char *text, size_t len, bool marked,
     struct tokens *out)
{
    struct conf_errors errors = { .say = say };

    said[0] = '\0';
    return scan_text(a, (struct weir_str){ text, len }, "x", marked, &errors,
                     out);
}

static void
bytes_that_are_no_text(void **state)
{
    struct arena  a = { 0 };
    struct tokens t;

    (void)state;
    assert_false(scan(&a, "a\0b", 3, false, &t));
    assert_string_equal(said, "x:1: a NUL byte: is this a text file?\n");
    assert_false(scan(&a, "a = \"b\0\"", 8, false, &t));
    assert_string_equal(said, "x:1: byte 0x00 within quotes: is this a text "
                              "file?\n");
    assert_false(scan(&a, "\x7f" "ELF", 4, false, &t));
    assert_string_equal(said, "x:1: byte 0x7f outside of quotes: only text in "
                              "quotes may have other bytes than ASCII\n");
    assert_false(scan(&a, "w\xc3\xa9r", 4, false, &t));
    assert_string_equal(said, "x:1: byte 0xc3 outside of quotes: only text in "
                              "quotes may have other bytes than ASCII\n");
    assert_true(scan(&a, "a = \"w\xc3\xa9r\"", 10, false, &t));
    assert_true(scan(&a, "", 0, false, &t));
    assert_int_equal(t.n, 0);
    arena_free(&a);
}

static void
marks_count_only_where_they_may(void **state)
{
    static const char text[] = "#line 7 \"a\\\"b\"\none\n two #line 3 \"c\"\n";
    struct arena      a = { 0 };
    struct tokens     t;

    (void)state;
    assert_true(scan(&a, text, sizeof text - 1, true, &t));
    assert_int_equal(t.n, 2);
    assert_string_equal(t.items[0].at.file, "a\"b");
    assert_int_equal(t.items[0].at.line, 7);
    assert_int_equal(t.items[1].at.line, 8);
    assert_true(scan(&a, text, sizeof text - 1, false, &t));
    assert_string_equal(t.items[1].at.file, "x");
    assert_int_equal(t.items[1].at.line, 3);
    arena_free(&a);
}

static void
quotes_are_read_as_they_are_written(void **state)
{
    static const char all[] = "a \"b\" 'c' \\ \n\r\t\\n { } ; # =";
    struct arena      a = { 0 };
    struct buf        quoted = { 0 };
    struct tokens     t;

    (void)state;
    scan_quote(&quoted, all);
    assert_true(scan(&a, quoted.data, quoted.len, false, &t));
    assert_int_equal(t.n, 1);
    assert_string_equal(t.items[0].text.data, all);
    buf_free(&quoted);
    arena_free(&a);
}

/* What a worker does with a text that was cut, as after a lost descriptor. */
static void
text_that_was_cut_is_refused(void **state)
{
    static const char text[] = "#prefix \"/usr\"\n#line 1 \"w.conf\"\n"
                               "user = nobody\n"
                               "pipeline p { relay { size = 1g } }\n";

    (void)state;
    for (size_t n = 0; n < sizeof text; n++) {
        struct arena       a = { 0 };
        struct conf_errors errors = { 0 };
        struct conf       *c;
        struct weir_err    err;
        assert_int_not_equal(conf_parse(&a, (struct weir_str){ text, n },
                                        &errors, &c, &err), WEIR_OK);
        assert_true(errors.n > 0);
        arena_free(&a);
    }
}

static void
whom_to_become_is_known_before_the_rest(void **state)
{
    struct arena a = { 0 };

    (void)state;
    assert_string_equal(conf_user(&a, STR("x = 1 user = \"some one\" y { }")),
                        "some one");
    assert_null(conf_user(&a, STR("pipeline p { user = a }")));
    assert_null(conf_user(&a, STR("log = user")));
    assert_null(conf_user(&a, STR("user = {")));
    assert_string_equal(conf_user(&a, STR("#line 1 \"-g\"\nuser = a\n"
                                          "#line 1 \"w\"\nuser = b\n")), "a");
    arena_free(&a);
}

/* ---- Generations */

static struct generation_sink sinks[] = {
    { "cache", 0xfedcba9876543210, 60000 }, { "lines", 1, 5 },
};
static struct generation_pipeline pipelines[] = {
    { "shop", UINT64_MAX, 2, sinks }, { "empty", 0, 0, NULL },
};

static int
written(void)
{
    struct generation g = { .state = "/var/lib/we ir", .pid = "/run/weir.pid",
                            .user = "weir", .log_level = WEIR_WARN,
                            .daemon = true, .drain_ms = 30000,
                            .npipelines = 2, .pipelines = pipelines,
                            .text = STR("state x\nsecret\n"),
                            .masked = STR("***\n") };
    struct weir_err   err;
    int               fd = -1;

    assert_int_equal(generation_write(&g, &fd, &err), WEIR_OK);
    return fd;
}

static void
generations_come_back(void **state)
{
    struct arena      a = { 0 };
    struct generation g;
    struct weir_err   err;
    const int         fd = written();

    (void)state;
    assert_int_equal(generation_read(&a, fd, true, &g, &err), WEIR_OK);
    assert_string_equal(g.state, "/var/lib/we ir");
    assert_string_equal(g.user, "weir");
    assert_null(g.log);
    assert_true(g.daemon);
    assert_int_equal(g.log_level, WEIR_WARN);
    assert_int_equal(g.drain_ms, 30000);
    assert_int_equal(g.npipelines, 2);
    assert_true(g.pipelines[0].digest == UINT64_MAX);
    assert_int_equal(g.pipelines[0].nsinks, 2);
    assert_true(g.pipelines[0].sinks[0].digest == 0xfedcba9876543210);
    assert_int_equal(g.pipelines[0].sinks[1].timeout_ms, 5);
    assert_string_equal(g.pipelines[1].name, "empty");
    assert_int_equal(g.pipelines[1].nsinks, 0);
    assert_true(str_is(g.text, "state x\nsecret\n"));
    assert_true(str_is(g.masked, "***\n"));
    assert_int_equal(generation_read(&a, fd, false, &g, &err), WEIR_OK);
    assert_int_equal(g.text.len, 0);
    close(fd);
    arena_free(&a);
}

static void
generations_are_sealed(void **state)
{
    const int fd = written();

    (void)state;
    assert_int_equal(pwrite(fd, "x", 1, 0), -1);
    assert_int_equal(ftruncate(fd, 1), -1);
    close(fd);
}

static enum weir_status
read_text(const char *text, size_t len)
{
    struct arena      a = { 0 };
    struct generation g;
    struct weir_err   err = { "" };
    const int         fd = memfd_create("test", 0);

    assert_int_equal(write(fd, text, len), len);
    const enum weir_status st = generation_read(&a, fd, true, &g, &err);
    assert_true(st == WEIR_OK || err.text[0] != '\0');
    close(fd);
    arena_free(&a);
    return st;
}

static void
generations_that_are_broken_are_refused(void **state)
{
    char      text[4096];
    const int fd = written();

    (void)state;
    const ssize_t len = pread(fd, text, sizeof text, 0);
    close(fd);
    assert_int_equal(read_text(text, (size_t)len), WEIR_OK);
    /* Its last line says how much text follows, so no cut goes unseen but
     * those at line ends before it: and those lack the text, not more. */
    const char *last = strstr(text, "\ntext ");
    assert_non_null(last);
    for (ssize_t n = last - text + 2; n < len; n++) {
        assert_int_equal(read_text(text, (size_t)n), WEIR_FATAL);
    }
    assert_int_equal(read_text("weir-generation 2\n", 18), WEIR_FATAL);
    static const char *const bad[] = {
        "sink a 0000000000000000\n",     "pipeline p 12\n",
        "pipeline p 00000000000000zz\n", "timeout_ms 5\n",
        "text 99\nshort",                "text -1\n",
        "log_level loud\n",              "unheard of\n",
        "drain_ms 9223372036854775808\n", "state \n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char whole[256];
        const int n = snprintf(whole, sizeof whole,
                               "weir-generation 1\nstate /s\npid /p\n%s",
                               bad[i]);
        assert_int_equal(read_text(whole, (size_t)n), WEIR_FATAL);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_at_their_limits),
        cmocka_unit_test(numbers_as_they_are_written),
        cmocka_unit_test(directives_of_older_headers),
        cmocka_unit_test(bytes_that_are_no_text),
        cmocka_unit_test(marks_count_only_where_they_may),
        cmocka_unit_test(quotes_are_read_as_they_are_written),
        cmocka_unit_test(text_that_was_cut_is_refused),
        cmocka_unit_test(whom_to_become_is_known_before_the_rest),
        cmocka_unit_test(generations_come_back),
        cmocka_unit_test(generations_are_sealed),
        cmocka_unit_test(generations_that_are_broken_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
