/* test_xa.c - files of prepared XA transactions: names, records, cut tails. */
#include "unit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "receive/xa_file.h"

static void
names_are_plain_and_differ(void **state)
{
    char text[400], name[NAME_MAX + 1], other[NAME_MAX + 1];
    char digits[129];

    (void)state;
    memset(digits, 'f', 128);
    digits[128] = '\0';
    snprintf(text, sizeof text, "X'%s',X'%s',-1", digits, digits);
    assert_true(xa_file_name(str_of(text), name));
    assert_true(strlen(name) < NAME_MAX - 20);
    assert_int_equal(strspn(name, "0123456789abcdefghijklmnopqrstuv"),
                     strlen(name));
    /* Where one part ends and the next begins is part of the name. */
    assert_true(xa_file_name(STR("X'6161',X'',1"), name));
    assert_true(xa_file_name(STR("X'61',X'61',1"), other));
    assert_string_not_equal(name, other);
    assert_true(xa_file_name(STR("X'6161',X'',2 "), other));
    assert_string_not_equal(name, other);
    assert_true(xa_file_name(STR("X'6161',X'',1 "), other));
    assert_string_equal(name, other);
    static const char *const bad[] = {
        "", "X", "X'6", "X'6',X'',1", "X'61',X'',", "X'61',X''", "'a','',1",
        "X'61',X'',1x", "X'61',X'',99999999999", "X'2f',X'',1,../../x",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(xa_file_name(str_of(bad[i]), name));
    }
    digits[126] = '\0';
    snprintf(text, sizeof text, "X'%sffffff',X'',1", digits);
    assert_false(xa_file_name(str_of(text), name));
}

static unsigned
whole_records(const char *path, bool *prepared)
{
    struct xa_reader in;
    struct frame     f;
    struct weir_err  err;
    unsigned         n = 0;

    *prepared = false;
    assert_int_equal(xa_reader_open(&in, path, &err), WEIR_OK);
    while (xa_reader_next(&in, &f, &err) == WEIR_OK) {
        *prepared |= (int)f.type == XA_RECORD_PREPARED;
        n++;
    }
    xa_reader_close(&in);
    return n;
}

static void
what_is_cut_off_was_never_there(void **state)
{
    char             dir[] = "/tmp/weir-xa.XXXXXX", path[64], command[64];
    struct xa_writer w;
    struct weir_err  err;
    struct stat      s;
    struct buf       mark = { 0 };
    bool             prepared;

    (void)state;
    assert_non_null(mkdtemp(dir));
    xa_writer_init(&w, dir, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(xa_writer_put(&w, XA_RECORD_ROW, "head", 4, "body", 4,
                                       &err), WEIR_OK);
    }
    assert_int_equal(xa_writer_keep(&w, STR("X'61',X'',1"), "n", &err),
                     WEIR_OK);
    snprintf(path, sizeof path, "%s/n", dir);
    assert_int_equal(whole_records(path, &prepared), 4);
    assert_true(prepared);
    assert_int_equal(xa_mark_read(path, &mark, &err), WEIR_OK);
    assert_int_equal(mark.len, 0);
    assert_int_equal(xa_mark_write(path, STR("0-1-7"), &err), WEIR_OK);
    assert_int_equal(xa_mark_read(path, &mark, &err), WEIR_OK);
    assert_true(str_is(buf_view(&mark), "0-1-7"));
    assert_int_equal(whole_records(path, &prepared), 4);
    assert_int_equal(stat(path, &s), 0);
    unsigned last = 4;
    for (off_t n = s.st_size - 8; n >= 0; n--) {
        assert_int_equal(truncate(path, n), 0);
        const unsigned have = whole_records(path, &prepared);
        assert_true(have <= last && !prepared);
        last = have;
        if (n < 13) {
            assert_int_equal(xa_mark_read(path, &mark, &err), WEIR_OK);
            assert_int_equal(mark.len, 0);
        }
    }
    assert_int_equal(last, 0);
    buf_free(&mark);
    xa_writer_free(&w);
    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

static void
a_group_has_a_bound(void **state)
{
    char             dir[] = "/tmp/weir-xa.XXXXXX";
    struct xa_writer w;
    struct weir_err  err;

    (void)state;
    assert_non_null(mkdtemp(dir));
    xa_writer_init(&w, dir, 4096);
    enum weir_status st = WEIR_OK;
    int              n = 0;
    while (st == WEIR_OK && n < 1000) {
        st = xa_writer_put(&w, XA_RECORD_ROW, "head", 4, "body", 4, &err);
        n++;
    }
    assert_int_equal(st, WEIR_FATAL);
    assert_true(n > 50 && n < 200);
    assert_non_null(strstr(err.text, "max_transaction"));
    xa_writer_free(&w);
    assert_int_equal(rmdir(dir), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_plain_and_differ),
        cmocka_unit_test(what_is_cut_off_was_never_there),
        cmocka_unit_test(a_group_has_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
