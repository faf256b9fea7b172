/*
 * test_hold.c - definitions that a server was asked for, held until the stream
 * proves them; what a hold takes back; and what is known after a restart.  The
 * server is a script.
 */
#include "unit.h"

#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/str.h"
#include "feed_box.h"
#include "relay/follow.h"
#include "schema/given.h"
#include "schema/table.h"

enum { TABLE_MAP = 19, WRITE_ROWS = 23 };

/* ---- The server */

static struct {
    const char *columns[3]; /* of every table; none: it is gone */
    uint64_t    ahead;      /* of the stream, in bytes */
    unsigned    asked;
} server;

static enum weir_status
describe(void *arg, struct weir_str schema, struct weir_str table,
         struct weir_err *err)
{
    const struct feed_ops *ops = &receiver_feed_ops;

    (void)arg, (void)schema, (void)table;
    server.asked++;
    if (!server.columns[0]) {
        return weir_fail(err, WEIR_REJECT, "there is no such table");
    }
    for (int i = 0; server.columns[i]; i++) {
        ops->define(in.receiver, str_of(server.columns[i]), STR("int(11)"),
                    STR(""), 0);
    }
    ops->define_defaults(in.receiver, STR("latin1_swedish_ci"),
                         STR("latin1_swedish_ci"));
    ops->define_at(in.receiver, STR(""), STR("bin.000001"),
                   in.log_pos + server.ahead);
    return WEIR_OK;
}

static void
server_has(const char *a, const char *b, uint64_t ahead)
{
    server.columns[0] = a;
    server.columns[1] = b;
    server.columns[2] = NULL;
    server.ahead = ahead;
}

/* ---- The stream: two INTs, no names */

static void
map(uint64_t id, const char *name)
{
    struct buf b = { 0 };

    feed_add(&b, id, 6);
    feed_add(&b, 0, 2);
    feed_add(&b, 2, 1);
    buf_text(&b, "db");
    feed_add(&b, 0, 1);
    feed_add(&b, strlen(name), 1);
    buf_text(&b, name);
    feed_add(&b, 0, 1);
    feed_add(&b, 2, 1);
    feed_add(&b, 3, 1);
    feed_add(&b, 3, 1);
    feed_add(&b, 0, 1); /* no metadata */
    feed_add(&b, 0, 1);
    FEEDS(TABLE_MAP, &b);
    buf_free(&b);
}

static void
row(uint64_t id)
{
    struct buf b = { 0 };

    feed_add(&b, id, 6);
    feed_add(&b, 1, 2);
    feed_add(&b, 2, 1);
    feed_add(&b, 3, 1);
    feed_add(&b, 0, 1);
    feed_add(&b, 1, 4);
    feed_add(&b, 2, 4);
    FEEDS(WRITE_ROWS, &b);
    buf_free(&b);
}

static enum weir_status
change(uint64_t seq, uint64_t id, const char *name)
{
    feed_gtid(seq);
    map(id, name);
    row(id);
    return feed_xid();
}

#define CHANGES(...) assert_int_equal(change(__VA_ARGS__), WEIR_OK)

/* As a transaction of its own, as MariaDB sends it. */
static enum weir_status
query(uint64_t seq, const char *sql)
{
    struct buf gtid = { 0 }, b = { 0 };

    feed_add(&gtid, seq, 8);
    feed_add(&gtid, 0, 4);
    feed_add(&gtid, 1, 1); /* standalone */
    feed_add(&gtid, 0, 6);
    FEEDS(162, &gtid);
    feed_add(&b, 0, 8);
    feed_add(&b, 2, 1);
    feed_add(&b, 0, 4);
    buf_text(&b, "db");
    feed_add(&b, 0, 1);
    buf_text(&b, sql);
    const enum weir_status st = feed(2, &b);
    buf_free(&b);
    buf_free(&gtid);
    return st;
}

#define QUERIES(...) assert_int_equal(query(__VA_ARGS__), WEIR_OK)

/* As the source worker does when run() has ended. */
static void
reconnect(void)
{
    assert_int_equal(receiver_disconnected(in.receiver, &in.err), WEIR_OK);
    connect_source();
}

/* ---- What is published: "t(a,b) u(?) " for each row event */

struct named { uint64_t offset; char text[64]; };

static void
name_table(const struct frame *f, struct named *to)
{
    struct arena    a = { 0 };
    struct table   *t;
    struct given   *list;
    struct weir_err err;
    struct weir_str payload = f->payload;

    assert_int_equal(given_read(&a, in.given, &list, &err), WEIR_OK);
    given_payload(&a, list, f->payload, f->offset, &payload);
    assert_int_equal(table_load(&a, payload, f->offset, &t, &err), WEIR_OK);
    to->offset = f->offset;
    if (t->names_known) {
        snprintf(to->text, sizeof to->text, "%.*s(%.*s,%.*s) ",
                 STR_ARG(t->pub.name), STR_ARG(t->pub.columns[0]->name),
                 STR_ARG(t->pub.columns[1]->name));
    } else {
        snprintf(to->text, sizeof to->text, "%.*s(?) ", STR_ARG(t->pub.name));
    }
    arena_free(&a);
}

static const char *
published(void)
{
    static char      text[1 << 12];
    static struct named tables[256];
    size_t           n = 0;
    struct follower *f;
    struct frame     frame;
    uint64_t         first;

    text[0] = '\0';
    assert_int_equal(follower_open(in.relay_dir, in.page, 1, &f, &in.err),
                     WEIR_OK);
    if (follower_first(f, &first, &in.err) == WEIR_OK) {
        assert_int_equal(follower_seek(f, first, &in.err), WEIR_OK);
        while (follower_next(f, &frame, &in.err) == WEIR_OK) {
            if (frame.type == FRAME_TABLE) {
                assert_true(n < 256);
                name_table(&frame, &tables[n++]);
            }
            for (size_t i = 0; frame.type == FRAME_ROW && i < n; i++) {
                if (get_le64(frame.payload.data + 8) == tables[i].offset) {
                    strncat(text, tables[i].text,
                            sizeof text - strlen(text) - 1);
                }
            }
        }
    }
    follower_close(&f);
    return text;
}

static void
up(int64_t segment)
{
    memset(&server, 0, sizeof server);
    in_describe = describe;
    in_schema_wait = 60 * 1000000;
    box_up(segment);
}

/* ---- The cases */

static void
proved_by_the_stream(void **state)
{
    (void)state;
    up(1 << 20);
    server_has("a", "b", 300);
    CHANGES(1, 10, "t");
    publish();
    assert_string_equal(published(), "");
    QUERIES(2, "CREATE TABLE other (x INT)");
    CHANGES(3, 10, "t");
    CHANGES(4, 10, "t");
    publish();
    assert_string_equal(published(), "t(a,b) t(a,b) t(a,b) ");
    assert_int_equal(server.asked, 1);
    box_down();
}

/* What it was before can't be known; what it is behind the statement can. */
static void
ddl_on_the_way(void **state)
{
    (void)state;
    up(1 << 20);
    server_has("a", "c", 1000);
    CHANGES(1, 10, "t");
    assert_int_equal(query(2, "ALTER TABLE t RENAME COLUMN b TO c"),
                     WEIR_RETRY);
    reconnect();
    assert_string_equal(published(), "");
    server_has("a", "c", 0);
    CHANGES(1, 10, "t");
    QUERIES(2, "ALTER TABLE t RENAME COLUMN b TO c");
    CHANGES(3, 11, "t");
    publish();
    assert_string_equal(published(), "t(?) t(a,c) ");
    box_down();
}

/* Followed while another was held: taken back with it, and followed again. */
static void
followed_meanwhile(void **state)
{
    (void)state;
    up(1 << 20);
    QUERIES(1, "CREATE TABLE u (a INT, b INT)");
    QUERIES(2, "CREATE TABLE w (a INT, b INT)");
    CHANGES(3, 20, "u");
    server_has("x", "y", 5000);
    CHANGES(4, 10, "t");
    QUERIES(5, "ALTER TABLE u RENAME COLUMN a TO b, RENAME COLUMN b TO a");
    QUERIES(6, "DROP TABLE w");
    QUERIES(7, "CREATE TABLE w (c INT, d INT)");
    QUERIES(8, "ALTER TABLE w RENAME COLUMN c TO cc");
    QUERIES(9, "RENAME TABLE w TO w2");
    CHANGES(10, 21, "u");
    assert_int_equal(query(11, "DROP TABLE t"), WEIR_RETRY);
    reconnect();
    publish();
    assert_string_equal(published(), "u(a,b) ");
    CHANGES(4, 10, "t");
    CHANGES(5, 20, "u");
    CHANGES(6, 30, "w");
    QUERIES(7, "ALTER TABLE u RENAME COLUMN a TO b, RENAME COLUMN b TO a");
    QUERIES(8, "RENAME TABLE w TO w2");
    CHANGES(9, 21, "u");
    CHANGES(10, 31, "w2");
    publish();
    assert_string_equal(published(),
                        "u(a,b) t(?) u(a,b) w(a,b) u(b,a) w2(a,b) ");
    assert_int_equal(server.asked, 1);
    box_down();
}

/* A schema's default that came with what was held goes with it. */
static void
defaults_go_back(void **state)
{
    (void)state;
    up(1 << 20);
    server_has("a", "b", 5000);
    CHANGES(1, 10, "t");
    assert_int_equal(query(2, "ALTER DATABASE db CHARACTER SET utf8mb4"),
                     WEIR_RETRY);
    reconnect();
    CHANGES(1, 10, "t");
    QUERIES(2, "CREATE TABLE v (x VARCHAR(9), y INT)");
    server_has("a", "b", 0);
    CHANGES(3, 40, "v"); /* not followed: asked, and INTs they are */
    publish();
    assert_string_equal(published(), "t(?) v(a,b) ");
    assert_int_equal(server.asked, 2);
    box_down();
}

static void
too_late(void **state)
{
    (void)state;
    in_schema_wait = 0;
    up(1 << 20);
    box_close();
    in_schema_wait = 0;
    box_open();
    server_has("a", "b", 5000);
    assert_int_equal(change(1, 10, "t"), WEIR_RETRY);
    reconnect();
    CHANGES(1, 10, "t");
    publish();
    assert_string_equal(published(), "t(?) ");
    box_down();
}

/* What the user says needs no proof; what does not fit is not taken. */
static void
assumed(void **state)
{
    static const char *const globs[] = { "db.t*" };

    (void)state;
    in_assumed = (struct weir_list){ 1, globs };
    up(1 << 20);
    in_assumed = (struct weir_list){ 0, NULL };
    server_has("a", "c", 5000);
    CHANGES(1, 10, "t");
    publish();
    assert_string_equal(published(), "t(a,c) ");
    QUERIES(2, "ALTER TABLE t RENAME COLUMN b TO c");
    CHANGES(3, 11, "t");
    server_has("a", NULL, 5000);
    CHANGES(4, 12, "t2");
    server_has("a", "b", 0);
    CHANGES(5, 13, "u");
    publish();
    assert_string_equal(published(), "t(a,c) t(a,c) t2(?) u(a,b) ");
    box_down();
}

/* Not understood: asked again, from there on. */
static void
not_understood(void **state)
{
    (void)state;
    up(1 << 20);
    QUERIES(1, "CREATE TABLE t (a INT, b INT)");
    CHANGES(2, 10, "t");
    QUERIES(3, "ALTER TABLE t FROBNICATE");
    server_has("c", "d", 0);
    CHANGES(4, 11, "t");
    QUERIES(5, "ALTER TABLE t RENAME COLUMN c TO e");
    CHANGES(6, 12, "t");
    QUERIES(7, "CREATE TABLE t2 LIKE t");
    CHANGES(8, 13, "t2");
    publish();
    assert_string_equal(published(), "t(a,b) t(c,d) t(e,d) t2(e,d) ");
    assert_int_equal(server.asked, 1);
    box_down();
}

/* The server folds names; the log's TABLE_MAP has them in lower case. */
static void
other_spellings(void **state)
{
    (void)state;
    up(1 << 20);
    QUERIES(1, "CREATE TABLE t (a INT, b INT)");
    CHANGES(2, 10, "t");
    QUERIES(3, "ALTER TABLE T RENAME COLUMN a TO c");
    server_has("c", "b", 0);
    CHANGES(4, 11, "t");
    QUERIES(5, "RENAME TABLE T TO U, u TO V");
    CHANGES(6, 12, "v");
    publish();
    assert_string_equal(published(), "t(a,b) t(c,b) v(c,b) ");
    assert_int_equal(server.asked, 2);
    box_down();
}

/* CREATE TABLE ... SELECT is one transaction; half of it never happened. */
static void
half_a_create(void **state)
{
    (void)state;
    up(1 << 20);
    feed_gtid(1);
    feed_query("CREATE TABLE t (a INT, b INT)");
    map(10, "t");
    row(10);
    reconnect();
    server_has("x", "y", 0);
    CHANGES(1, 10, "t");
    publish();
    assert_string_equal(published(), "t(x,y) ");
    feed_gtid(2);
    feed_query("CREATE TABLE u (a INT, b INT)");
    feed_query("ROLLBACK");
    QUERIES(3, "CREATE TABLE IF NOT EXISTS u (c INT, d INT)");
    CHANGES(4, 11, "u");
    feed_gtid(5);
    feed_query("CREATE TABLE w (a INT, b INT)");
    map(12, "w");
    row(12);
    assert_int_equal(feed_xid(), WEIR_OK);
    CHANGES(6, 13, "w");
    publish();
    assert_string_equal(published(), "t(x,y) u(c,d) w(a,b) w(a,b) ");
    box_down();
}

/* Killed while more is held than is kept in memory: none of it was proved. */
static void
killed_while_held(void **state)
{
    int how;

    (void)state;
    up(64 << 10);
    QUERIES(1, "CREATE TABLE u (a INT, b INT)");
    CHANGES(2, 20, "u");
    publish();
    box_close();
    const pid_t child = fork();
    if (child == 0) {
        box_open();
        server_has("a", "b", UINT32_MAX / 4);
        for (uint64_t seq = 3; seq < 20000; seq++) {
            if (change(seq, 10, "t") != WEIR_OK) {
                _exit(1);
            }
        }
        _exit(0);
    }
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    box_open();
    struct buf      gtids = { 0 };
    struct weir_str file;
    uint64_t        offset;
    receiver_position(in.receiver, &gtids, &file, &offset);
    assert_int_equal(gtids.len, 5);
    assert_memory_equal(gtids.data, "0-1-2", 5);
    buf_free(&gtids);
    publish();
    assert_string_equal(published(), "u(a,b) ");
    CHANGES(3, 20, "u");
    publish();
    assert_string_equal(published(), "u(a,b) u(a,b) ");
    box_down();
}

/* What is proved is whole after a crash, too. */
static void
killed_when_proved(void **state)
{
    int how;

    (void)state;
    up(64 << 10);
    box_close();
    const pid_t child = fork();
    if (child == 0) {
        box_open();
        server_has("a", "b", 200);
        change(1, 10, "t");
        change(2, 10, "t");
        change(3, 10, "t");
        publish();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &how, 0), child);
    box_open();
    publish();
    assert_string_equal(published(), "t(a,b) t(a,b) t(a,b) ");
    box_down();
}

/* Segments later: what is known of a table that they don't have. */
static void
restart_in_a_backlog(void **state)
{
    (void)state;
    up(4096);
    QUERIES(1, "CREATE TABLE t (a INT, b INT)");
    CHANGES(2, 10, "t");
    QUERIES(3, "CREATE DATABASE e CHARACTER SET latin1");
    for (uint64_t seq = 4; seq < 60; seq++) {
        CHANGES(seq, 10, "t");
    }
    QUERIES(60, "ALTER TABLE t RENAME COLUMN a TO c");
    QUERIES(61, "CREATE TABLE u (a INT, b INT)");
    for (uint64_t seq = 62; seq < 160; seq++) {
        CHANGES(seq, 11, "u");
    }
    publish();
    box_close();
    server_has(NULL, NULL, 0);
    box_open();
    QUERIES(160, "CREATE TABLE v LIKE t");
    CHANGES(161, 12, "v");
    CHANGES(162, 13, "t");
    publish();
    const char *text = published();
    assert_string_equal(text + strlen(text) - 14, "v(c,b) t(c,b) ");
    assert_int_equal(server.asked, 0);
    box_down();
}

/* Wherever a segment begins, also right behind a statement that fills one: it
 * counts, and once. */
static void
restarts_between_statements(void **state)
{
    enum { SEGMENT = 4096, ROUNDS = 120 };
    char want[1 << 12] = "", sql[SEGMENT];

    (void)state;
    up(SEGMENT);
    QUERIES(1, "CREATE TABLE t (a INT, b INT)");
    for (uint64_t round = 0; round < ROUNDS; round++) {
        publish();
        box_close();
        box_open();
        snprintf(sql, sizeof sql, "ALTER TABLE t CHANGE a b INT, CHANGE b a "
                 "INT /* %*s */", SEGMENT - 1400 + (int)round * 8, "");
        QUERIES(2 * round + 2, sql);
        publish();
        box_close();
        box_open();
        CHANGES(2 * round + 3, 10, "t");
        strcat(want, round % 2 ? "t(a,b) " : "t(b,a) ");
    }
    publish();
    assert_string_equal(published(), want);
    assert_int_equal(server.asked, 0);
    box_down();
}

/* ---- What a person says */

static char said[GIVEN_SENTENCE];

static enum weir_status
define(const char *statement, uint64_t from)
{
    const struct receiver_given given = { .schema = STR("db"),
                                          .name = STR("t"),
                                          .statement = str_of(statement),
                                          .from = from };
    return receiver_define(in.receiver, &given, said, &in.err);
}

static void
restart(void)
{
    publish();
    box_close();
    box_open();
}

#define REFUSED(why, ...)                                                      \
    do {                                                                       \
        assert_int_equal(define(__VA_ARGS__), WEIR_REJECT);                    \
        assert_non_null(strstr(in.err.text, why));                             \
    } while (0)

static void
given_by_a_person(void **state)
{
    static const char made[] = "CREATE TABLE t (a INT, b INT)";
    (void)state;
    up(1 << 20);
    CHANGES(1, 10, "t");
    QUERIES(2, "ALTER TABLE t RENAME COLUMN b TO c");
    CHANGES(3, 11, "t");
    restart();
    assert_string_equal(published(), "t(?) t(?) ");
    const unsigned asked = server.asked;
    REFUSED("--from now", made, GIVEN_FIND);
    REFUSED("column 2 (b)", "CREATE TABLE t (a INT, b BIGINT)", GIVEN_FIND);
    REFUSED("makes db.u", "CREATE TABLE u (a INT, b INT)", GIVEN_FIND);
    REFUSED("no CREATE", "DROP TABLE t", GIVEN_FIND);
    assert_string_equal(published(), "t(?) t(?) ");
    assert_int_equal(define(made, GIVEN_FIND), WEIR_REJECT);
    const char *version = strstr(in.err.text, "--from ");
    assert_non_null(version);
    const uint64_t from = strtoull(version + 7, NULL, 10);
    REFUSED("", made, from + 8);
    assert_int_equal(define(made, from), WEIR_OK);
    assert_string_equal(published(), "t(a,b) t(a,c) ");
    /* Nothing has been appended since that could say it. */
    restart();
    restart();
    CHANGES(4, 10, "t");
    restart();
    QUERIES(5, "ALTER TABLE t RENAME COLUMN a TO z");
    restart();
    CHANGES(6, 10, "t");
    publish();
    assert_string_equal(published(), "t(a,b) t(a,c) t(a,c) t(z,c) ");
    assert_int_equal(server.asked, asked);
    REFUSED("names are known", made, GIVEN_FIND);
    assert_int_equal(define(made, GIVEN_NOW), WEIR_OK);
    CHANGES(7, 12, "t");
    publish();
    assert_string_equal(published(), "t(a,b) t(a,c) t(a,c) t(z,c) t(a,b) ");
    box_down();
}

/* It ends where it can't be followed; the next one goes on from there. */
static void
given_in_parts(void **state)
{
    static const char made[] = "CREATE TABLE t (a INT, b INT)";
    (void)state;
    up(1 << 20);
    CHANGES(1, 10, "t");
    QUERIES(2, "ALTER TABLE t FROBNICATE");
    CHANGES(3, 11, "t");
    restart();
    assert_int_equal(define(made, GIVEN_FIND), WEIR_REJECT);
    const uint64_t from =
        strtoull(strstr(in.err.text, "--from ") + 7, NULL, 10);
    assert_int_equal(define(made, from), WEIR_OK);
    assert_non_null(strstr(said, "can't be followed"));
    assert_string_equal(published(), "t(a,b) t(?) ");
    assert_int_equal(define("CREATE TABLE t (x INT, y INT)", GIVEN_FIND),
                     WEIR_OK);
    assert_string_equal(published(), "t(a,b) t(x,y) ");
    CHANGES(4, 12, "t");
    publish();
    assert_string_equal(published(), "t(a,b) t(x,y) t(x,y) ");
    box_down();
}

static void
given_file_damaged(void **state)
{
    struct arena    a = { 0 };
    struct given   *list;
    struct weir_str text;
    (void)state;
    up(1 << 20);
    assert_int_equal(define("CREATE TABLE t (a INT, b INT)", GIVEN_FIND),
                     WEIR_OK);
    assert_int_equal(file_read(&a, in.given, 1 << 20, &text, &in.err),
                     WEIR_OK);
    for (size_t i = 0; i < text.len; i++) {
        struct weir_str bad = arena_str(&a, text);
        ((char *)bad.data)[i] ^= 0x40;
        assert_int_equal(file_replace(in.given, bad, 0600, &in.err), WEIR_OK);
        assert_int_equal(given_read(&a, in.given, &list, &in.err), WEIR_FATAL);
        bad.len = i;
        assert_int_equal(file_replace(in.given, bad, 0600, &in.err), WEIR_OK);
        assert_int_equal(given_read(&a, in.given, &list, &in.err), WEIR_FATAL);
    }
    arena_free(&a);
    box_down();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(proved_by_the_stream),
        cmocka_unit_test(ddl_on_the_way),
        cmocka_unit_test(followed_meanwhile),
        cmocka_unit_test(defaults_go_back),
        cmocka_unit_test(too_late),
        cmocka_unit_test(assumed),
        cmocka_unit_test(not_understood),
        cmocka_unit_test(other_spellings),
        cmocka_unit_test(half_a_create),
        cmocka_unit_test(killed_while_held),
        cmocka_unit_test(killed_when_proved),
        cmocka_unit_test(restart_in_a_backlog),
        cmocka_unit_test(restarts_between_statements),
        cmocka_unit_test(given_by_a_person),
        cmocka_unit_test(given_in_parts),
        cmocka_unit_test(given_file_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
