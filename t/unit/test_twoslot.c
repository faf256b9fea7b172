/*
 * test_twoslot.c - a value in two slots: whatever byte is lost or altered, the
 * newest valid value comes back or a sentence; never nothing.
 */
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "base/twoslot.h"

static char path[] = "/dev/shm/weir-twoslot-XXXXXX/value";

static int
folder_make(void **state)
{
    (void)state;
    if (access("/dev/shm", W_OK) == -1) {
        strcpy(path, "/tmp/weir-twoslot-XXXXXX/value");
    }
    char *slash = strrchr(path, '/');
    *slash = '\0';
    const bool made = mkdtemp(path) != NULL;
    *slash = '/';
    return made ? 0 : -1;
}

static int
folder_remove(void **state)
{
    (void)state;
    unlink(path);
    *strrchr(path, '/') = '\0';
    return rmdir(path);
}

static struct twoslot *
open_it(void)
{
    struct weir_err err;
    struct twoslot *t;

    if (twoslot_open(path, &t, &err) != WEIR_OK) {
        fail_msg("%s", err.text);
    }
    return t;
}

static void
store(struct twoslot *t, struct weir_str value)
{
    struct weir_err err;

    if (twoslot_write(t, value, true, &err) != WEIR_OK) {
        fail_msg("%s", err.text);
    }
}

/* OK, FATAL; the value both ways of reading give. */
static enum weir_status
load(char *out, size_t room)
{
    struct weir_err err;
    struct weir_str value;
    struct twoslot *t;
    struct arena    a = { 0 };

    const enum weir_status st = twoslot_open(path, &t, &err);
    const enum weir_status other = twoslot_read(&a, path, &value, &err);
    assert_int_equal(st, other);
    if (st == WEIR_OK) {
        assert_true(str_eq(twoslot_value(t), value));
        assert_true(value.len < room);
        memcpy(out, value.len ? value.data : "", value.len);
        out[value.len] = '\0';
        twoslot_close(&t);
    } else {
        assert_int_equal(st, WEIR_FATAL);
        assert_null(t);
        assert_non_null(strstr(err.text, path));
    }
    arena_free(&a);
    return st;
}

static void
put_file(const char *data, size_t len)
{
    struct weir_err err;
    const int       fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_int_not_equal(fd, -1);
    assert_int_equal(file_write(fd, path, data, len, &err), WEIR_OK);
    close(fd);
}

static void
values_come_back(void **state)
{
    char            text[64], got[64];
    struct weir_str value;
    struct arena    a = { 0 };
    struct weir_err err;

    (void)state;
    unlink(path);
    assert_int_equal(twoslot_read(&a, path, &value, &err), WEIR_OK);
    assert_int_equal(value.len, 0);
    struct twoslot *t = open_it();
    assert_int_equal(twoslot_value(t).len, 0);
    for (int i = 0; i < 9; i++) {
        snprintf(text, sizeof text, "value %d", i);
        store(t, str_of(text));
        assert_true(str_is(twoslot_value(t), text));
        assert_int_equal(load(got, sizeof got), WEIR_OK);
        assert_string_equal(got, text);
        if (i % 2) {
            twoslot_close(&t);
            t = open_it();
        }
    }
    twoslot_close(&t);
}

static void
larger_slots(void **state)
{
    (void)state;
    char           *text = malloc(300001), *got = malloc(300002);
    struct twoslot *t = open_it();
    const size_t    sizes[] = { 4072, 4073, 300000, 10, 4096 };

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        memset(text, 'a' + (int)i, sizes[i]);
        store(t, (struct weir_str){ text, sizes[i] });
        assert_int_equal(load(got, 300002), WEIR_OK);
        assert_int_equal(strlen(got), sizes[i]);
        assert_memory_equal(got, text, sizes[i]);
    }
    twoslot_close(&t);
    free(text);
    free(got);
}

/* The newest is `newest`; the one before it is "older". */
static void
damage(const char *newest)
{
    struct arena    a = { 0 };
    struct weir_str file;
    struct weir_err err;
    char            got[64];
    int             fell_back = 0, refused = 0;

    assert_int_equal(file_read(&a, path, 1 << 20, &file, &err), WEIR_OK);
    char *copy = arena_copy(&a, file.data, file.len);
    for (size_t i = 0; i < file.len; i++) {
        copy[i] ^= (char)(1 << i % 8);
        put_file(copy, file.len);
        assert_int_equal(load(got, sizeof got), WEIR_OK);
        if (strcmp(got, newest) != 0) {
            assert_string_equal(got, "older");
            fell_back++;
        }
        copy[i] = file.data[i];
    }
    assert_int_equal(fell_back, 24 + (int)strlen(newest));
    for (size_t n = 0; n < file.len; n++) {
        put_file(copy, n);
        if (load(got, sizeof got) != WEIR_OK) {
            refused++;
        } else if (strcmp(got, newest) != 0) {
            assert_string_equal(got, "older");
        }
    }
    assert_true(refused > 24);
    /* Both heads: nothing is left. */
    copy[5] ^= 1;
    copy[4096 + 5] ^= 1;
    put_file(copy, file.len);
    assert_int_equal(load(got, sizeof got), WEIR_FATAL);
    put_file(file.data, file.len);
    arena_free(&a);
}

static void
every_byte_lost_or_altered(void **state)
{
    (void)state;
    unlink(path);
    struct twoslot *t = open_it();
    store(t, STR("first"));
    store(t, STR("older"));
    store(t, STR("newest, in one"));
    damage("newest, in one");
    store(t, STR("older"));
    store(t, STR("newest, in the other"));
    damage("newest, in the other");
    twoslot_close(&t);
    /* One value only: it is in both slots, so that losing one loses nothing. */
    unlink(path);
    t = open_it();
    store(t, STR("older"));
    twoslot_close(&t);
    struct arena    a = { 0 };
    struct weir_str file;
    struct weir_err err;
    char            got[64];
    assert_int_equal(file_read(&a, path, 1 << 20, &file, &err), WEIR_OK);
    for (size_t i = 0; i < file.len; i++) {
        ((char *)file.data)[i] ^= 0x10;
        put_file(file.data, file.len);
        assert_int_equal(load(got, sizeof got), WEIR_OK);
        assert_string_equal(got, "older");
        ((char *)file.data)[i] ^= 0x10;
    }
    arena_free(&a);
}

/* Values are numbers, so that a reader sees if one goes back. */
static void
read_while_written_and_killed(void **state)
{
    uint64_t last = 0, n;
    char     text[5000], got[5001];

    (void)state;
    unlink(path);
    struct twoslot *t = open_it();
    twoslot_close(&t);
    for (int round = 0; round < 30; round++) {
        const pid_t child = fork();
        if (child == 0) {
            struct weir_err err;
            if (twoslot_open(path, &t, &err) != WEIR_OK) {
                _exit(1);
            }
            for (uint64_t i = last + 1;; i++) {
                const int len = snprintf(text, sizeof text, "%llu%*s",
                                         (unsigned long long)i,
                                         round < 15 ? (int)(i % 3000) : 4100,
                                         "");
                if (twoslot_write(t, (struct weir_str){ text, (size_t)len },
                                  false, &err) != WEIR_OK) {
                    _exit(1);
                }
            }
        }
        /* Until it has written: it may not have had a processor so far. */
        const uint64_t had = last;
        for (int i = 0; i < 200 || last == had; i++) {
            struct arena    a = { 0 };
            struct weir_str value;
            struct weir_err err;
            if (twoslot_read(&a, path, &value, &err) != WEIR_OK) {
                fail_msg("%s", err.text);
            }
            assert_true(value.len < sizeof got);
            memcpy(got, value.data, value.len);
            got[value.len] = '\0';
            n = strtoull(got, NULL, 10);
            assert_true(n >= last);
            last = n;
            arena_free(&a);
        }
        int status;
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(load(got, sizeof got), WEIR_OK);
        n = strtoull(got, NULL, 10);
        assert_true(n >= last);
        last = n;
    }
    assert_true(last >= 30);
}

static void
other_files_are_refused(void **state)
{
    char got[64];

    (void)state;
    put_file("", 0);
    assert_int_equal(load(got, sizeof got), WEIR_FATAL);
    put_file("WSLT", 4);
    assert_int_equal(load(got, sizeof got), WEIR_FATAL);
    char zeroes[8192] = { 0 };
    put_file(zeroes, sizeof zeroes);
    assert_int_equal(load(got, sizeof got), WEIR_FATAL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_back),
        cmocka_unit_test(larger_slots),
        cmocka_unit_test(every_byte_lost_or_altered),
        cmocka_unit_test(read_while_written_and_killed),
        cmocka_unit_test(other_files_are_refused),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
