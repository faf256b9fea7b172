/*
 * test_flow.c - events in, through receiver, relay and deliverer, batches out:
 * what is stored where in mid-transaction, and what memory it takes.
 */
#include "unit.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/str.h"
#include "deliver/internal.h"
#include "feed_box.h"

/* ---- The sink */

static struct {
    char   got[1 << 16];   /* "1 2( 3)": first and last in their transaction */
    size_t len, tables, largest, commits;
    enum weir_status next; /* of the next write() */
} out;

static enum weir_status
sink_table(void *self, const struct weir_table *t, void **slot,
           struct weir_err *err)
{
    (void)self, (void)t, (void)slot, (void)err;
    out.tables++;
    return WEIR_OK;
}

static enum weir_status
sink_write(void *self, struct weir_batch *b, struct weir_err *err)
{
    const enum weir_status st = out.next;

    (void)self;
    out.next = WEIR_OK;
    if (st != WEIR_OK) {
        return weir_fail(err, st, "as the test says");
    }
    out.largest = b->nevents > out.largest ? b->nevents : out.largest;
    for (size_t i = 0; i < b->nevents; i++) {
        const struct weir_event *ev = b->events[i];
        if (out.len + 64 < sizeof out.got) {
            out.len += (size_t)snprintf(
                out.got + out.len, 64, "%s%lld%s ",
                ev->flags & WEIR_FIRST_IN_TXN ? "(" : "",
                ev->after ? (long long)ev->after[0].i : -1,
                ev->flags & WEIR_LAST_IN_TXN ? ")" : "");
        }
    }
    return WEIR_OK;
}

static enum weir_status
sink_commit(void *self, struct weir_batch *b, struct weir_err *err)
{
    (void)self, (void)b, (void)err;
    out.commits++;
    return WEIR_OK;
}

static enum weir_status
drop_odd(void *self, void *slot, const struct weir_event *ev,
         struct weir_err *err)
{
    (void)self, (void)slot, (void)err;
    return ev->after[0].i % 2 ? WEIR_DROP : WEIR_OK;
}

static struct weir_module sink = { .stage = WEIR_SINK, .name = "test",
                                   .version = "0", .table = sink_table,
                                   .write = sink_write };
static const struct weir_module filter = { .stage = WEIR_FILTER,
                                           .name = "odd", .filter = drop_odd };
static struct conf_stage    stage = { .name = "odd",
                                      .use = { .module = &filter } };
static struct conf_sink     sink_conf = { .name = "s" };
static struct conf_pipeline pipeline = { .name = "p", .nsinks = 1,
                                         .sinks = &sink_conf };

static struct deliverer *
start(int64_t events, int64_t from, bool filtered)
{
    struct weir_err err = { .text = "" };

    memset(&out, 0, sizeof out);
    pipeline.relay.size = 1 << 30;
    sink_conf.use.module = &sink;
    sink_conf.set.start = from;
    sink_conf.stages = &stage;
    sink_conf.nstages = filtered;
    sink_conf.set.lanes = 1;
    sink_conf.set.window = 64 << 20;
    sink_conf.retry = (struct conf_retry){ .base_ms = 60000, .cap_ms = 60000 };
    sink_conf.breaker = (struct conf_breaker){ .failures = 10, .open_ms = 1 };
    sink_conf.batching = (struct weir_batching){
        .events = events, .bytes = 64 << 20,
        .share = sink.commit ? WEIR_KEEP_TXN : WEIR_BY_KEY };
    const struct deliver_settings settings = {
        .pipeline = &pipeline, .sink = &sink_conf, .state = in.state,
        .page = &in.page_out, .stop_fd = -1,
    };
    struct deliverer *d = deliver_new(&settings);
    if (deliver_open(d, &err) != WEIR_OK || deliver_start(d, &err) != WEIR_OK) {
        fail_msg("%s", err.text);
    }
    return d;
}

/* A step, and what it gave the lane is done, or failed. */
static enum weir_status
step(struct deliverer *d)
{
    struct weir_err  err = { .text = "" };
    char             why[512];
    enum weir_status st = deliver_step(d, &err);
    enum weir_status done = WEIR_OK;

    while (done == WEIR_OK && !lanes_quiet(d) &&
           !deliver_trouble(d, why, sizeof why)) {
        lanes_wait(d, 10000);
        done = lanes_attend(d, &err);
    }
    st = done != WEIR_OK ? done : d->held_up ? WEIR_OK : st;
    if (st != WEIR_OK && st != WEIR_DROP && st != WEIR_RETRY) {
        fail_msg("%s", err.text);
    }
    return st;
}

/* To the end, through what is tried again after a while. */
static void
run_all(struct deliverer *d)
{
    char why[512];

    for (;;) {
        if (step(d) == WEIR_OK) {
            continue;
        }
        if (!deliver_trouble(d, why, sizeof why)) {
            return;
        }
        lanes_wait(d, 10000);
    }
}

/* ---- Tests */

static void
transaction(uint64_t seq, uint32_t first, uint32_t n, size_t size)
{
    feed_gtid(seq);
    feed_map(10, "t");
    for (uint32_t i = 0; i < n; i++) {
        feed_row(10, first + i, size);
    }
}

static void
limit_files(rlim_t bytes)
{
    const struct rlimit limit = { bytes, RLIM_INFINITY };
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* The disk is full when a segment has to begin for the commit. */
static void
commit_that_fails_is_read_again(void **state)
{
    enum { N = 500 };
    unsigned failed = 0;
    bool     again = false;

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    box_up(4096);
    for (uint64_t seq = 1; seq <= N; seq++) {
        transaction(seq, (uint32_t)seq, 1, 128 + seq * 37 % 600);
        limit_files(again ? RLIM_INFINITY : 1);
        const enum weir_status st = feed_xid();
        limit_files(RLIM_INFINITY);
        again = st != WEIR_OK;
        if (again) {
            struct buf      gtids = { 0 };
            struct weir_str file;
            uint64_t        offset;
            char            want[32];
            assert_int_equal(st, WEIR_RETRY);
            assert_int_equal(receiver_disconnected(in.receiver, &in.err),
                             WEIR_OK);
            receiver_position(in.receiver, &gtids, &file, &offset);
            buf_byte(&gtids, '\0');
            snprintf(want, sizeof want, "0-1-%d", (int)seq - 1);
            assert_string_equal(gtids.data, want);
            buf_free(&gtids);
            connect_source();
            seq--;
            failed++;
        } else {
            publish();
        }
    }
    assert_true(failed > 2);
    struct deliverer *d = start(1000, CONF_START_RELAY, false);
    run_all(d);
    deliver_close(&d);
    const char *p = out.got;
    for (int i = 1; i <= N; i++) {
        char want[16];
        const int n = snprintf(want, sizeof want, "(%d) ", i);
        assert_memory_equal(p, want, n);
        p += n;
    }
    assert_int_equal(*p, '\0');
    box_down();
}

/* A sink that has no checkpoint of its own is given nothing more as long as the
 * one here can't be written. */
static void
checkpoint_that_fails_holds_what_comes(void **state)
{
    char why[512];

    (void)state;
    box_up(1 << 20);
    for (uint64_t seq = 1; seq <= 3; seq++) {
        transaction(seq, (uint32_t)seq, 1, 10);
        assert_int_equal(feed_xid(), WEIR_OK);
    }
    publish();
    struct deliverer *d = start(1, CONF_START_RELAY, false);
    signal(SIGXFSZ, SIG_IGN);
    limit_files(1);
    d->saved_at = 0; /* due */
    step(d);
    step(d);
    assert_string_equal(out.got, "(1) ");
    assert_true(deliver_trouble(d, why, sizeof why));
    assert_non_null(strstr(why, "checkpoint: write"));
    assert_non_null(strstr(why, "nothing more is written"));
    limit_files(RLIM_INFINITY);
    d->saved_at = 0;
    run_all(d);
    assert_string_equal(out.got, "(1) (2) (3) ");
    assert_false(deliver_trouble(d, why, sizeof why));
    deliver_close(&d);
    box_down();
}

/* What write() took is not kept before commit(). */
static void
nothing_is_stored_before_commit(void **state)
{
    (void)state;
    box_up(1 << 20);
    sink.commit = sink_commit;
    struct weir_err err;
    transaction(1, 1, 6, 10);
    assert_int_equal(feed_xid(), WEIR_OK);
    publish();
    struct deliverer *d = start(2, CONF_START_RELAY, false);
    assert_int_equal(step(d), WEIR_OK);
    assert_string_equal(out.got, "(1 2 ");
    assert_int_equal(out.commits, 0);
    out.next = WEIR_RETRY;
    assert_int_equal(step(d), WEIR_RETRY);
    assert_int_equal(deliver_start(d, &err), WEIR_OK);
    run_all(d);
    assert_string_equal(out.got, "(1 2 (1 2 3 4 5 6) ");
    assert_int_equal(out.commits, 1);
    deliver_close(&d);
    sink.commit = NULL;
    box_down();
}

/* The last segment begins in the middle of a transaction. */
static void
now_is_behind_half_a_transaction(void **state)
{
    (void)state;
    box_up(4096);
    transaction(1, 1, 9, 900);
    assert_int_equal(feed_xid(), WEIR_OK);
    publish();
    struct deliverer *d = start(2, CONF_START_NOW, false);
    transaction(2, 20, 2, 10);
    assert_int_equal(feed_xid(), WEIR_OK);
    publish();
    out.next = WEIR_RETRY;
    step(d);
    char            why[512];
    struct weir_err err;
    assert_true(deliver_trouble(d, why, sizeof why));
    transaction(3, 30, 1, 10);
    assert_int_equal(feed_xid(), WEIR_OK);
    publish();
    assert_int_equal(deliver_start(d, &err), WEIR_OK);
    run_all(d);
    assert_string_equal(out.got, "(20 21) (30) ");
    deliver_close(&d);
    box_down();
}

/* Rows of little use far from each other: not as many blocks in memory. */
static void
rare_rows_hold_little(void **state)
{
    (void)state;
    box_up(64 << 20);
    for (uint64_t seq = 1; seq <= 60; seq++) {
        transaction(seq, seq % 2 ? 2 : 1, 1, 1 << 20);
        assert_int_equal(feed_xid(), WEIR_OK);
    }
    publish();
    struct deliverer *d = start(1000, CONF_START_RELAY, true);
    run_all(d);
    assert_true(out.largest > 0 && out.largest <= 20);
    deliver_close(&d);
    box_down();
}

static void
rows_left_out_take_no_memory(void **state)
{
    (void)state;
    box_up(64 << 20);
    feed_gtid(1);
    feed_map(10, "t");
    feed_row(10, 2, 10);
    for (uint32_t i = 0; i < 100000; i++) {
        feed_row(10, 1, 10);
    }
    feed_row(10, 4, 10);
    assert_int_equal(feed_xid(), WEIR_OK);
    publish();
    struct deliverer *d = start(1, CONF_START_RELAY, true);
    assert_int_equal(step(d), WEIR_OK);
    assert_string_equal(out.got, "(2 ");
    size_t spare = 0;
    for (const void *b = d->round->arena.spare; b; b = *(void *const *)b) {
        spare++;
    }
    assert_true(spare <= 4);
    run_all(d);
    assert_string_equal(out.got, "(2 4) ");
    deliver_close(&d);
    box_down();
}

/* A statement in the middle that the sink does not want. */
static void
last_is_known_behind_statements(void **state)
{
    static const char *const tables[] = { "db.t" };

    (void)state;
    box_up(1 << 20);
    sink_conf.set.tables = (struct weir_list){ 1, tables };
    transaction(1, 1, 2, 10);
    feed_query("INSERT INTO other VALUES (1)");
    assert_int_equal(feed_xid(), WEIR_OK);
    publish();
    struct deliverer *d = start(10, CONF_START_RELAY, false);
    run_all(d);
    assert_string_equal(out.got, "(1 2) ");
    deliver_close(&d);
    sink_conf.set.tables = (struct weir_list){ 0, NULL };
    box_down();
}

/* Servers give new table ids all the time, and names are many. */
static void
views_do_not_pile_up(void **state)
{
    (void)state;
    box_up(1 << 20);
    for (uint64_t seq = 1; seq <= 50; seq++) {
        feed_gtid(seq);
        feed_map(seq + 10, "t");
        feed_row(seq + 10, (uint32_t)seq, 10);
        assert_int_equal(feed_xid(), WEIR_OK);
    }
    publish();
    struct deliverer *d = start(10, CONF_START_RELAY, false);
    run_all(d);
    assert_int_equal(out.tables, 1);
    for (uint64_t seq = 51; seq <= 6000; seq++) {
        char text[64];
        feed_gtid(seq);
        snprintf(text, sizeof text, "CREATE TABLE t%d (i INT)", (int)seq);
        feed_query(text);
        assert_int_equal(feed_xid(), WEIR_OK);
    }
    publish();
    run_all(d);
    assert_true(d->nviews < 3000);
    deliver_close(&d);
    box_down();
}

/* A segment's header has the GTID of what left no frame before it. */
static void
transaction_without_frames_ends_a_segment(void **state)
{
    (void)state;
    box_up(4096);
    transaction(1, 1, 1, 3000);
    assert_int_equal(feed_xid(), WEIR_OK);
    publish();
    feed_gtid(2);
    feed_query("ANALYZE TABLE t");
    assert_int_equal(feed_xid(), WEIR_OK);
    transaction(3, 3, 1, 3000);
    assert_int_equal(feed_xid(), WEIR_OK);
    publish();
    struct deliverer *d = start(10, CONF_START_RELAY, false);
    run_all(d);
    assert_string_equal(out.got, "(1) (3) ");
    deliver_close(&d);
    box_down();
}

/* ---- XA: "a" with one row, by MariaDB's log */

enum { GTID = 162, QUERY = 2, XA_PREPARE = 38 };

static struct relay *killed;

static void
feed_prepare(uint64_t seq, uint32_t i)
{
    struct buf b = { 0 };

    feed_add(&b, seq, 8);
    feed_add(&b, 0, 4);
    feed_add(&b, 0x40, 1); /* FL_PREPARED_XA */
    feed_add(&b, 1, 4);
    feed_add(&b, 1, 1);
    feed_add(&b, 0, 1);
    buf_text(&b, "a");
    FEEDS(GTID, &b);
    feed_map(10, "t");
    feed_row(10, i, 10);
    b.len = 0;
    feed_add(&b, 0, 1);
    feed_add(&b, 1, 4);
    feed_add(&b, 1, 4);
    feed_add(&b, 0, 4);
    buf_text(&b, "a");
    FEEDS(XA_PREPARE, &b);
    buf_free(&b);
}

static void
feed_finish(uint64_t seq, const char *text)
{
    feed_gtid(seq);
    feed_query(text);
}

/* As after kill -9: what is in the files stays. */
static void
reopen(void)
{
    killed = in.relay;
    receiver_free(&in.receiver);
    box_open();
}

/* Killed before anything was whole, and told then by the server which GTIDs the
 * place in its file stands for: no frame has told sinks of them. */
static void
place_named_later_is_no_gap(void **state)
{
    (void)state;
    box_up(1 << 20);
    feed_gtid(1);
    assert_int_equal(feed_xid(), WEIR_OK);
    feed_gtid(2);
    feed_map(10, "t");
    feed_row(10, 2, 200 << 10); /* at once in the file */
    in_gtids = "0-1-1";
    reopen();
    in_gtids = "";
    relay_close(&killed, false, &in.err);
    transaction(2, 2, 1, 10);
    assert_int_equal(feed_xid(), WEIR_OK);
    publish();
    struct deliverer *d = start(10, CONF_START_RELAY, false);
    run_all(d);
    assert_string_equal(out.got, "(2) ");
    deliver_close(&d);
    box_down();
}

static unsigned
kept_groups(void)
{
    char command[200];

    snprintf(command, sizeof command, "ls %s 2>/dev/null | grep -cvx new",
             in.xa_dir);
    FILE *p = popen(command, "r");
    unsigned n = 99;
    assert_int_equal(fscanf(p, "%u", &n), 1);
    pclose(p);
    return n;
}

static void
copy_relay(const char *from, const char *to)
{
    char command[400];

    snprintf(command, sizeof command, "cd %s/p && rm -rf %s && cp -a %s %s",
             in.state, to, from, to);
    assert_int_equal(system(command), 0);
}

static void
got_all(const char *want)
{
    struct deliverer *d = start(10, CONF_START_RELAY, false);

    run_all(d);
    assert_string_equal(out.got, want);
    deliver_close(&d);
}

/* Killed between the commit in the relay and the end of the file. */
static void
xa_killed_behind_its_commit(void **state)
{
    (void)state;
    box_up(1 << 20);
    transaction(1, 1, 1, 10);
    assert_int_equal(feed_xid(), WEIR_OK);
    feed_prepare(2, 5);
    publish();
    assert_int_equal(kept_groups(), 1);
    feed_finish(3, "XA COMMIT X'61',X'',1");
    assert_int_equal(relay_publish(in.relay, &in.err), WEIR_OK);
    assert_int_equal(kept_groups(), 1);
    reopen();
    assert_int_equal(kept_groups(), 0);
    got_all("(1) (5) ");
    relay_close(&killed, false, &in.err);
    box_down();
}

/* A power cut took the relay's end with the commit in it: it comes again. */
static void
xa_commit_that_was_lost_comes_again(void **state)
{
    (void)state;
    box_up(1 << 20);
    feed_prepare(1, 5);
    publish();
    copy_relay("relay", "before");
    feed_finish(2, "XA COMMIT X'61',X'',1");
    assert_int_equal(relay_publish(in.relay, &in.err), WEIR_OK);
    copy_relay("before", "relay");
    reopen();
    assert_int_equal(kept_groups(), 1);
    feed_finish(2, "XA COMMIT X'61',X'',1");
    feed_prepare(3, 6); /* the same XID at once: the first has to go */
    feed_finish(4, "XA COMMIT X'61',X'',1");
    feed_prepare(5, 7);
    feed_finish(6, "XA ROLLBACK X'61',X'',1");
    receiver_look_for_room(in.receiver, &in.err);
    publish();
    got_all("(5) (6) ");
    assert_int_equal(kept_groups(), 0);
    relay_close(&killed, false, &in.err);
    box_down();
}

static void
xa_file_that_is_damaged_stops(void **state)
{
    char command[300];

    (void)state;
    box_up(1 << 20);
    feed_prepare(1, 5);
    publish();
    snprintf(command, sizeof command, "cd %s && truncate -s -8 $(ls | "
             "grep -vx new)", in.xa_dir);
    assert_int_equal(system(command), 0);
    feed_gtid(2);
    struct buf b = { 0 };
    feed_add(&b, 0, 8);
    feed_add(&b, 2, 1);
    feed_add(&b, 0, 4);
    buf_text(&b, "db");
    feed_add(&b, 0, 1);
    buf_text(&b, "XA COMMIT X'61',X'',1");
    assert_int_equal(feed(QUERY, &b), WEIR_FATAL);
    assert_non_null(strstr(in.err.text, "damaged"));
    assert_int_equal(receiver_disconnected(in.receiver, &in.err), WEIR_OK);
    got_all("");
    buf_free(&b);
    box_down();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commit_that_fails_is_read_again),
        cmocka_unit_test(checkpoint_that_fails_holds_what_comes),
        cmocka_unit_test(nothing_is_stored_before_commit),
        cmocka_unit_test(now_is_behind_half_a_transaction),
        cmocka_unit_test(rare_rows_hold_little),
        cmocka_unit_test(rows_left_out_take_no_memory),
        cmocka_unit_test(last_is_known_behind_statements),
        cmocka_unit_test(views_do_not_pile_up),
        cmocka_unit_test(transaction_without_frames_ends_a_segment),
        cmocka_unit_test(place_named_later_is_no_gap),
        cmocka_unit_test(xa_killed_behind_its_commit),
        cmocka_unit_test(xa_commit_that_was_lost_comes_again),
        cmocka_unit_test(xa_file_that_is_damaged_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
