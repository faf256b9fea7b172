/*
 * test_transcode.c - bytes that are no text, and partial updates of JSON that
 * no server writes.  That sound ones come out as the server has them, recorded
 * binlogs show (t/replay/values.t).
 */
#include "unit.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/str.h"
#include "binlog/text.h"
#include "binlog/table_map.h"
#include "binlog/transcode.h"
#include "binlog/value.h"
#include "schema/charset.h"

static void
assert_text(const char *charset, const char *bytes, size_t len,
            const char *want)
{
    const struct transcoder *t = transcoder_of(str_of(charset));
    assert_non_null(t);
    char        *in = malloc(len), *out = malloc(3 * len + 1);
    const size_t n = transcode(t, memcpy(in, bytes, len), len, out);

    assert_ptr_equal(t, transcoder_of(str_of(charset)));
    assert_true(want ? n == strlen(want) && memcmp(out, want, n) == 0
                     : n == SIZE_MAX);
    free(in);
    free(out);
}
#define TEXT(charset, bytes, want) \
    assert_text(charset, bytes, sizeof bytes - 1, want)

static void
characters(void **state)
{
    (void)state;
    TEXT("cp1251", "\xc8\xec\xff", "\320\230\320\274\321\217");
    TEXT("swe7", "[\\]}", "\303\204\303\226\303\205\303\245");
    TEXT("armscii8", "a\xb2", "a\324\261");
    TEXT("ucs2", "\0A\x20\xac", "A\342\202\254");
    TEXT("utf16", "\xd8\x3d\xde\x00", "\360\237\230\200");
    TEXT("utf16le", "\x3d\xd8\x00\xde", "\360\237\230\200");
    TEXT("utf32", "\0\x10\xff\xff", "\364\217\277\277");
    TEXT("gb18030", "\x90\x30\x81\x30", "\360\220\200\200");
    TEXT("gb18030", "\xe3\x32\x9a\x35", "\364\217\277\277");
    TEXT("big5", "\xc6\xe7", "\343\202\203"); /* iconv has another */
    TEXT("sjis", "\x81\x5f\\~\xb1", "\\\\~\357\275\261");
    TEXT("ujis", "\x8f\xa2\xb7\x8e\xb1", "~\357\275\261");
    TEXT("euckr", "\x81\x41", "\352\260\202");
}

static void
no_text(void **state)
{
    (void)state;
    TEXT("cp1251", "ok\x98", NULL);
    TEXT("swe7", "\x80", NULL);
    TEXT("tis620", "\xa0", NULL);
    TEXT("ucs2", "\0", NULL);
    TEXT("ucs2", "\xd8\x3d\xde\x00", NULL);
    TEXT("utf16", "\xd8\x3d", NULL);
    TEXT("utf16", "\xd8\x3d\0A", NULL);
    TEXT("utf16", "\xde\0", NULL);
    TEXT("utf32", "\0\x11\0\0", NULL);
    TEXT("utf32", "\0\0\xd8\0", NULL);
    TEXT("utf32", "\0\0\0", NULL);
    TEXT("gbk", "\x81", NULL);
    TEXT("gbk", "\x81\x30", NULL);
    TEXT("gb18030", "\xe3\x32\x9a\x36", NULL);
    TEXT("gb18030", "\x85\x30\x81\x30", NULL);
    TEXT("gb18030", "\x81\x30\x81", NULL);
    TEXT("ujis", "\x8f\xa2", NULL);
    TEXT("ujis", "\x8f\x41\x41", NULL);
    TEXT("sjis", "\xa1\x80", NULL);
    assert_null(transcoder_of(STR("klingon")));
    assert_null(transcoder_of(STR("")));
}

/* ---- The bytes that a text was made from */
static void
assert_logged(enum binlog_text text, const char *collation, const char *row,
              const char *want, const char *bytes)
{
    const struct weir_str    name = str_of(collation);
    const struct weir_column column = { .type = WEIR_TEXT, .collation = name };
    const struct binlog_column c = {
        .type = COLUMN_VARCHAR,
        .text = text,
        .coder = charset_of_collation(name).coder,
        .out = WEIR_TEXT,
        .length_size = 1,
    };
    struct arena       a = { 0 };
    struct value_space space = { &a, 1 << 20 };
    struct weir_err    err = { { 0 } };
    struct weir_value  v;
    const uint8_t     *p = (const uint8_t *)row, *end = p + 1 + p[0];

    assert_ptr_equal(value_read(&c, p, end, &v, &space, &err), end);
    assert_true(str_is(v.s, want));
    assert_true(str_is(charset_bytes(&column, &v), bytes));
    v.logged = 0; /* as if a module had made it */
    assert_true(text_is_ascii(want, strlen(want)) && text != TEXT_CODED
                    ? str_is(charset_bytes(&column, &v), want)
                    : text == TEXT_UTF8 || !charset_bytes(&column, &v).data);
    arena_free(&a);
}

static void
logged_bytes(void **state)
{
    (void)state;
    assert_logged(TEXT_CODED, "cp932_japanese_ci", "\3a\x81\xe0",
                  "a\342\211\222", "a\x81\xe0");
    assert_logged(TEXT_CODED, "cp932_bin", "\2\x87\x90", "\342\211\222",
                  "\x87\x90");
    assert_logged(TEXT_CODED, "sjis_bin", "\1\\", "\\", "\\");
    assert_logged(TEXT_CODED, "cp1251_bin", "", "", "");
    assert_logged(TEXT_LATIN1, "latin1_bin", "\1\xe9", "\303\251", "\xe9");
    assert_logged(TEXT_LATIN1, "latin1_bin", "\1a", "a", "a");
    assert_logged(TEXT_UTF8, "utf8mb4_bin", "\2\303\251", "\303\251",
                  "\303\251");
}

/* Whatever the bytes, it ends within them and what it writes is UTF-8. */
static void
any_bytes(void **state)
{
    static const char *const names[] = { "big5", "gbk", "gb2312", "gb18030",
                                         "sjis", "cp932", "ujis", "eucjpms",
                                         "euckr", "utf16", "utf16le", "utf32",
                                         "ucs2", "hebrew" };
    unsigned seed = 1;

    (void)state;
    for (int round = 0; round < 200000; round++) {
        const size_t len = (size_t)(rand_r(&seed) % 6 + 1);
        char        *in = malloc(len), *out = malloc(3 * len);
        for (size_t i = 0; i < len; i++) {
            in[i] = (char)(rand_r(&seed) >> 4);
        }
        const char  *name = names[(size_t)round % (sizeof names / sizeof *names)];
        const size_t n = transcode(transcoder_of(str_of(name)), in, len, out);
        assert_true(n == SIZE_MAX || (n <= 3 * len && text_is_utf8(out, n)));
        free(in);
        free(out);
    }
}

/* ---- Partial updates.  {"a":1,"b":[1,2]} */
#define DOC                                              \
    "\0\2\0\x1e\0\x12\0\1\0\x13\0\1\0\5\1\0\2\x14\0" \
    "ab\2\0\x0a\0\5\1\0\5\2\0"

static void
assert_diff(const char *changes, size_t len, const char *want)
{
    struct arena       a = { 0 };
    struct value_space space = { &a, 1 << 20 };
    struct weir_str    out;
    struct weir_err    err = { { 0 } };
    char              *copy = malloc(len + 1);

    memcpy(copy, changes, len);
    const bool ok =
        json_diff_text((struct weir_str){ DOC, sizeof DOC - 1 },
                       (struct weir_str){ copy, len }, &space, &out, &err);
    if (ok ? !str_is(out, want) : !strstr(err.text, want)) {
        fail_msg("\"%.*s\" is not \"%s\"", ok ? (int)out.len : 512,
                 ok ? out.data : err.text, want);
    }
    free(copy);
    arena_free(&a);
}
#define DIFF(changes, want) assert_diff(changes, sizeof changes - 1, want)

static void
partial_updates(void **state)
{
    (void)state;
    DIFF("", "{\"a\":1,\"b\":[1,2]}");
    DIFF("\0\3$.a\3\5\7\0", "{\"a\":7,\"b\":[1,2]}");
    DIFF("\1\5$.\"c\"\3\5\7\0", "{\"a\":1,\"b\":[1,2],\"c\":7}");
    DIFF("\1\6$.\"\\\\\"\3\5\7\0", "{\"\\\\\":7,\"a\":1,\"b\":[1,2]}");
    DIFF("\1\6$.b[9]\3\5\7\0", "{\"a\":1,\"b\":[1,2,7]}");
    DIFF("\1\6$.b[0]\3\5\7\0", "{\"a\":1,\"b\":[7,1,2]}");
    DIFF("\2\6$.b[0]\2\6$.b[0]\2\3$.a", "{\"b\":[]}");
    DIFF("\2\x0b$.b[last-1]", "{\"a\":1,\"b\":[2]}");
    /* What it puts in can be changed again. */
    DIFF("\0\3$.a\5\2\0\0\4\0\1\6$.a[0]\2\4\1",
         "{\"a\":[true],\"b\":[1,2]}");
}

static void
hostile_partial_updates(void **state)
{
    (void)state;
    DIFF("\0\3$.c\3\5\7\0", "to what it doesn't have");
    DIFF("\0\6$.b[2]\3\5\7\0", "to what it doesn't have");
    DIFF("\0\5$.a.x\3\5\7\0", "to what it doesn't have");
    DIFF("\0\4$[0]\3\5\7\0", "to what it doesn't have");
    DIFF("\1\3$.a\3\5\7\0", "to what it doesn't have");
    DIFF("\1\6$.a[0]\3\5\7\0", "to what it doesn't have");
    DIFF("\2\3$.c", "to what it doesn't have");
    DIFF("\2\x0b$.b[last-2]", "to what it doesn't have");
    DIFF("\0\1$\3\5\7\0", "path that can't be read");
    DIFF("\0\2$.\3\5\7\0", "path that can't be read");
    DIFF("\0\4$.\"a\3\5\7\0", "path that can't be read");
    DIFF("\0\6$.b[1.\3\5\7\0", "path that can't be read");
    DIFF("\0\5$.b[]\3\5\7\0", "path that can't be read");
    DIFF("\0\5$**.a\3\5\7\0", "path that can't be read");
    DIFF("\0\5x.a.b\3\5\7\0", "path that can't be read");
    DIFF("\0\0\3\5\7\0", "path that can't be read");
    DIFF("\3\3$.a", "malformed");
    DIFF("\0\3$.a", "malformed");
    DIFF("\0\3$.a\0", "malformed");
    DIFF("\0\3$.a\x7f\5", "malformed");
    DIFF("\0\x7f$.a", "malformed");
    DIFF("\0\3$.a\2\5\7", "a value in it is malformed");
    DIFF("\1\4$.\xff\xfe\3\5\7\0", "not valid UTF-8");
    DIFF("\0\3$.a\5\2\xff\xff\4\0\1\6$.a[0]\2\4\1", "ends beyond it");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters),
        cmocka_unit_test(no_text),
        cmocka_unit_test(logged_bytes),
        cmocka_unit_test(any_bytes),
        cmocka_unit_test(partial_updates),
        cmocka_unit_test(hostile_partial_updates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
