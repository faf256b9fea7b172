/* test_sidelog.c - what is put aside is there once, after any cut of its end. */
#include "unit.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/str.h"
#include "deliver/dead.h"
#include "deliver/refuse.h"
#include "deliver/sidelog.h"
#include "relay/follow.h"

enum { EACH = 5 };

static char dir[64];

static void
make_dir(void)
{
    snprintf(dir, sizeof dir, "/tmp/weir-side.XXXXXX");
    assert_non_null(mkdtemp(dir));
}

static void
drop_dir(void)
{
    char command[96];

    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

static struct sidelog *
open_log(void)
{
    struct sidelog *s;
    struct weir_err err;

    if (sidelog_open(dir, STR("shop"), STR("t"), &s, &err) != WEIR_OK) {
        fail_msg("%s", err.text);
    }
    return s;
}

/* Rows 0 to 1 of the frame at `frame`, in two transactions of the relay. */
static enum weir_status
put_it(struct sidelog *s, struct side_put p)
{
    char            body[64] = { 0 };
    struct weir_err err;
    const struct frame f = { .offset = p.frame, .type = FRAME_ROW,
                             .payload = { body, sizeof body } };
    const struct frame head = { .offset = p.frame / 1000 * 1000,
                                .type = FRAME_TXN_HEAD,
                                .payload = STR("a head") };
    const struct frame table = { .offset = 8, .type = FRAME_TABLE,
                                 .payload = STR("a table") };

    put_le64(body + 16, p.frame); /* source offset */
    p.attempts = 3;
    p.body = &f;
    p.head = &head;
    p.table = &table;
    const enum weir_status st = sidelog_put(s, &p, &err);
    if (st != WEIR_OK && st != WEIR_DROP) {
        fail_msg("%s", err.text);
    }
    return st;
}

static enum weir_status
put_rows(struct sidelog *s, uint64_t frame, uint32_t row, uint32_t nrows,
         const char *reason)
{
    return put_it(s, (struct side_put){ .frame = frame, .row = row,
                                        .nrows = nrows,
                                        .reason = str_of(reason) });
}

static enum weir_status
put_part(struct sidelog *s, uint64_t frame, uint32_t row, enum row_part part,
         uint32_t nrows)
{
    return put_it(s, (struct side_put){ .frame = frame, .row = row,
                                        .part = part, .nrows = nrows,
                                        .reason = STR("because") });
}

static enum weir_status
put(struct sidelog *s, uint64_t frame, uint32_t row, const char *reason)
{
    return put_rows(s, frame, row, 1, reason);
}

static void
settle(struct sidelog *s)
{
    struct weir_err err;

    assert_int_equal(sidelog_settle(s, &err), WEIR_OK);
}

/* How many there are; each is whole, in order, and leads to its frame. */
static unsigned
check_all(void)
{
    struct follower   *f, *other;
    struct side_record r;
    struct weir_err    err;
    unsigned           n = 0;
    uint64_t           last = 0;

    if (sidelog_read(dir, &f, &err) != WEIR_OK) {
        return 0;
    }
    assert_int_equal(sidelog_read(dir, &other, &err), WEIR_OK);
    enum weir_status st;
    while ((st = sidelog_next(f, &r, &err)) == WEIR_OK) {
        struct arena a = { 0 };
        struct frame body, head, table;
        assert_true(r.frame >= last);
        last = r.frame;
        assert_int_equal(r.attempts, 3);
        assert_true(str_is(r.reason, "because"));
        assert_int_equal(follower_read(other, r.body, &a, &body, &err),
                         WEIR_OK);
        assert_int_equal(body.type, FRAME_ROW);
        assert_int_equal(get_le64(body.payload.data + 16), r.frame);
        assert_int_equal(follower_read(other, get_le64(body.payload.data), &a,
                                       &head, &err), WEIR_OK);
        assert_true(str_is(head.payload, "a head"));
        assert_int_equal(follower_read(other, get_le64(body.payload.data + 8),
                                       &a, &table, &err), WEIR_OK);
        assert_true(str_is(table.payload, "a table"));
        arena_free(&a);
        n++;
    }
    assert_int_equal(st, WEIR_DROP);
    follower_close(&f);
    follower_close(&other);
    return n;
}

static void
put_all(struct sidelog *s)
{
    for (uint64_t i = 1; i <= EACH; i++) {
        put(s, 1000 * i + 8, 0, "because");
        put(s, 1000 * i + 8, 1, "because");
        settle(s);
    }
}

static void
each_is_there_once(void **state)
{
    struct arena    a = { 0 };
    struct weir_str schema, table;
    struct weir_err err;
    uint64_t        done;

    (void)state;
    make_dir();
    struct sidelog *s = open_log();
    put_all(s);
    assert_int_equal(put(s, 1008, 1, "because"), WEIR_DROP);
    assert_int_equal(put(s, 9008, REFUSED_ALL_ROWS, "because"), WEIR_OK);
    assert_int_equal(put(s, 9008, 1, "because"), WEIR_DROP);
    sidelog_close(&s); /* that one was not settled */
    assert_int_equal(check_all(), 2 * EACH);
    s = open_log();
    assert_int_equal(sidelog_rows(s), 2 * EACH);
    assert_int_equal(put(s, 5008, 1, "because"), WEIR_DROP);
    assert_int_equal(put(s, 9008, 1, "because"), WEIR_OK);
    /* All rows, of which that one is there: the two others. */
    assert_int_equal(put_rows(s, 9008, REFUSED_ALL_ROWS, 3, "because"),
                     WEIR_OK);
    assert_int_equal(put_rows(s, 9008, REFUSED_ALL_ROWS, 3, "because"),
                     WEIR_DROP);
    assert_int_equal(sidelog_rows(s), 2 * EACH + 3);
    settle(s);
    sidelog_close(&s);
    assert_int_equal(check_all(), 2 * EACH + 3);
    assert_int_equal(sidelog_names(dir, &a, &schema, &table, &err), WEIR_OK);
    assert_true(str_is(schema, "shop") && str_is(table, "t"));
    assert_int_equal(sidelog_done(dir, &done, &err), WEIR_OK);
    assert_int_equal(done, 0);
    assert_int_equal(sidelog_set_done(dir, 12345678901, &err), WEIR_OK);
    assert_int_equal(sidelog_done(dir, &done, &err), WEIR_OK);
    assert_int_equal(done, 12345678901);
    assert_int_equal(sidelog_remove(dir, &err), WEIR_OK);
    assert_int_equal(access(dir, F_OK), -1);
    assert_int_equal(check_all(), 0);
    arena_free(&a);
}

/* Halves of a row that changes its key: each once, and of the whole what is not
 * there yet; a row all the same. */
static void
halves_are_a_row(void **state)
{
    struct weir_err    err;
    struct follower   *f;
    struct side_record r;
    unsigned           parts = 0;

    (void)state;
    make_dir();
    struct sidelog *s = open_log();
    assert_int_equal(put_part(s, 1008, 1, ROW_ARRIVES, 0), WEIR_OK);
    assert_int_equal(put_part(s, 1008, 1, ROW_ARRIVES, 0), WEIR_DROP);
    settle(s);
    sidelog_close(&s);
    s = open_log();
    assert_int_equal(sidelog_rows(s), 1);
    assert_int_equal(put_part(s, 1008, 1, ROW_WHOLE, 1), WEIR_OK);
    assert_int_equal(put_part(s, 1008, 1, ROW_LEAVES, 1), WEIR_DROP);
    assert_int_equal(put_part(s, 1008, 1, ROW_WHOLE, 1), WEIR_DROP);
    assert_int_equal(sidelog_rows(s), 1);
    assert_int_equal(put_part(s, 1008, 2, ROW_WHOLE, 1), WEIR_OK);
    assert_int_equal(put_part(s, 1008, 2, ROW_ARRIVES, 0), WEIR_DROP);
    settle(s);
    sidelog_close(&s);
    assert_int_equal(sidelog_read(dir, &f, &err), WEIR_OK);
    while (sidelog_next(f, &r, &err) == WEIR_OK) {
        parts = parts * 10 + r.part;
    }
    follower_close(&f);
    assert_int_equal(parts, 210); /* arrives, leaves, whole */
    assert_int_equal(sidelog_remove(dir, &err), WEIR_OK);
}

static void
segment_of(char *path, size_t room)
{
    DIR           *d = opendir(dir);
    struct dirent *e;

    path[0] = '\0';
    while ((e = readdir(d))) {
        if (strstr(e->d_name, ".relay")) {
            assert_true(path[0] == '\0');
            snprintf(path, room, "%s/%s", dir, e->d_name);
        }
    }
    closedir(d);
}

/* As a power cut may leave it: what was settled before the cut is there, and
 * what is put again is there once. */
static void
any_end_may_be_lost(void **state)
{
    char        path[400], command[900];
    struct stat st;
    unsigned    last = 2 * EACH;

    (void)state;
    make_dir();
    struct sidelog *s = open_log();
    put_all(s);
    sidelog_close(&s);
    segment_of(path, sizeof path);
    assert_int_equal(stat(path, &st), 0);
    snprintf(command, sizeof command, "cp %s %s/keep", path, dir);
    assert_int_equal(system(command), 0);
    snprintf(command, sizeof command,
             "cd %s && rm -f *.relay page spare.* && cp keep %s", dir, path);
    for (off_t n = st.st_size; n > 200; n -= 8) {
        assert_int_equal(system(command), 0);
        assert_int_equal(truncate(path, n), 0);
        s = open_log();
        const unsigned have = (unsigned)sidelog_rows(s);
        assert_true(have <= last && have % 2 == 0);
        last = have;
        put_all(s);
        sidelog_close(&s);
        assert_int_equal(check_all(), 2 * EACH);
    }
    assert_int_equal(last, 0);
    drop_dir();
}

/* Part of a line, as a full disk leaves it, spoils none of the others. */
static void
torn_line_of_handled_counts_for_nothing(void **state)
{
    struct dead_list *list;
    struct weir_err   err;
    char              command[120];

    (void)state;
    make_dir();
    struct sidelog *s = open_log();
    put_all(s);
    sidelog_close(&s);
    struct follower   *f;
    struct side_record r;
    assert_int_equal(sidelog_read(dir, &f, &err), WEIR_OK);
    for (int i = 0; sidelog_next(f, &r, &err) == WEIR_OK; i++) {
        assert_int_equal(sidelog_set_handled(dir, r.next, &err), WEIR_OK);
        snprintf(command, sizeof command, "printf 00000017 >> %s/handled", dir);
        assert_int_equal(i % 3 ? 0 : system(command), 0);
    }
    follower_close(&f);
    assert_int_equal(dead_list_load(dir, 0, &list, &err), WEIR_OK);
    assert_int_equal(dead_count(list), 0);
    dead_list_free(&list);
    drop_dir();
}

static void
folders_have_plain_names(void **state)
{
    struct arena    a = { 0 };
    struct weir_str plain = STR("t-1"), bad = STR("../x/\xff%.");
    char            text[300];

    (void)state;
    assert_string_equal(sidelog_folder(&a, STR("shop"), plain), "shop.t-1");
    assert_string_equal(sidelog_folder(&a, bad, plain),
                        "%2e%2e%2fx%2f%ff%25%2e.t-1");
    memset(text, '.', sizeof text);
    const struct weir_str longer = { text, 256 }, other = { text, 255 };
    const char *one = sidelog_folder(&a, longer, plain);
    assert_true(strlen(one) < 200);
    assert_string_not_equal(one, sidelog_folder(&a, other, plain));
    arena_free(&a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_there_once),
        cmocka_unit_test(halves_are_a_row),
        cmocka_unit_test(any_end_may_be_lost),
        cmocka_unit_test(torn_line_of_handled_counts_for_nothing),
        cmocka_unit_test(folders_have_plain_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
