/*
 * test_deliver.c - outcomes of a sink that keeps its checkpoint, and what is
 * put aside: what is written again and when, what a kill at the worst moment
 * leaves, a disk without room.  The target outlives the process that wrote it.
 */
#include "unit.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/request.h"
#include "base/str.h"
#include "deliver/aside.h"
#include "deliver/sidelog.h"
#include "feed_box.h"

enum { SLOTS = 4, KILLED = 9, NONE = -1, QUIET = 200000 };

/* ---- The target, and what it is told to do */

struct stored {
    bool     found;
    uint64_t epoch;
    size_t   len;
    char     data[4096];
};
static struct target {
    struct stored slots[SLOTS];
    char          rows[4096];  /* "1 2 T ": what was written, T: TRUNCATE */
    char          calls[4096]; /* w(rite), c(ommit), r(estore) */
    int           bad;         /* is refused, as EXEC does: all else is done */
    int           down;        /* a lane that has this event is told RETRY */
    int           kill_at;     /* dies behind the write that has this one, */
    int           kill_from;   /* or one from there on */
    int           fence;       /* of the next write() or commit() */
    int           commit;
    const char   *refused;     /* by table() */
    int           of_ddl;      /* outcome of a statement */
    int64_t       slow_usec;   /* each write() */
    size_t        takes, most; /* memory of the batch: each write(), and all */
} *target;

static void
add(char *text, const char *more)
{
    const size_t len = strlen(text);

    if (len + strlen(more) < sizeof target->rows) {
        strcpy(text + len, more);
    }
}

static enum weir_status
sink_open(struct weir_instance *at, const void *conf, void **self,
          struct weir_err *err)
{
    (void)conf, (void)err;
    *self = at;
    return WEIR_OK;
}

static enum weir_status
sink_table(void *self, const struct weir_table *t, void **slot,
           struct weir_err *err)
{
    (void)self, (void)slot;
    if (target->refused && str_is(t->name, target->refused)) {
        return weir_fail(err, WEIR_REJECT, "as the test says");
    }
    return WEIR_OK;
}

static void
store(const struct weir_checkpoint *cp)
{
    struct stored *s = &target->slots[cp->slot];

    assert_true(cp->slot < SLOTS && cp->data.len <= sizeof s->data);
    s->found = true;
    s->epoch = cp->epoch;
    s->len = cp->data.len;
    memcpy(s->data, cp->data.data, cp->data.len);
}

static int
number(const struct weir_event *ev)
{
    return ev->after ? (int)ev->after[0].i : 0;
}

static enum weir_status
trouble(const struct weir_batch *b, struct weir_err *err)
{
    for (size_t i = 0; i < b->nevents; i++) {
        if (target->down && number(b->events[i]) == target->down) {
            return weir_fail(err, WEIR_RETRY, "it is down");
        }
        if (b->events[i]->op == WEIR_DDL && target->of_ddl) {
            return weir_fail(err, target->of_ddl, "no such statement");
        }
    }
    if (target->fence) {
        return weir_fail(err, target->fence, "as the test says");
    }
    return WEIR_OK;
}

static void
write_event(struct weir_batch *b, size_t i)
{
    const struct weir_event *ev = b->events[i];
    char                     text[32];

    snprintf(text, sizeof text, "%d ", number(ev));
    if (target->bad && number(ev) == target->bad) {
        answers.verdict(b, i, WEIR_REJECT, "of another type");
        return;
    }
    add(target->rows, ev->op == WEIR_TRUNCATE ? "T "
                      : ev->op == WEIR_DDL    ? "D "
                                              : text);
}

/* Rows, verdicts and the checkpoint are one unit, as with Redis. */
static enum weir_status
sink_write(void *self, struct weir_batch *b, struct weir_err *err)
{
    add(target->calls, "w");
    if (target->takes) {
        struct arena *a = ((struct weir_instance *)self)->scratch;
        arena_alloc(a, target->takes);
        target->most = a->used > target->most ? a->used : target->most;
    }
    const enum weir_status st = trouble(b, err);
    if (st != WEIR_OK) {
        return st;
    }
    if (target->slow_usec && b->nevents > 0) {
        clock_sleep(target->slow_usec);
    }
    for (size_t i = 0; i < b->nevents; i++) {
        write_event(b, i);
    }
    store(&b->checkpoint);
    for (size_t i = 0; i < b->nevents; i++) {
        const int n = number(b->events[i]);
        if ((target->kill_at && n == target->kill_at) ||
            (target->kill_from && n >= target->kill_from)) {
            _exit(KILLED);
        }
    }
    return WEIR_OK;
}

static enum weir_status
sink_commit(void *self, struct weir_batch *b, struct weir_err *err)
{
    (void)self, (void)b;
    add(target->calls, "c");
    return target->commit ? weir_fail(err, target->commit, "not known") : WEIR_OK;
}

static enum weir_status
sink_restore(void *self, struct weir_str id, uint32_t slot,
             struct weir_err *err)
{
    (void)err;
    add(target->calls, "r");
    for (uint32_t k = 0; k < SLOTS; k++) {
        const struct stored *s = &target->slots[k];
        if (s->found && (slot == WEIR_ALL_SLOTS || slot == k)) {
            const struct weir_checkpoint cp = {
                .id = id, .slot = k, .epoch = s->epoch,
                .data = { s->data, s->len } };
            answers.found(((struct weir_instance *)self)->arg, &cp);
        }
    }
    return WEIR_OK;
}

static struct weir_module module = {
    .stage = WEIR_SINK, .name = "test", .version = "0", .open = sink_open,
    .table = sink_table, .write = sink_write, .restore = sink_restore };
static struct conf_sink     sink_conf = { .name = "s" };
static struct conf_pipeline pipeline = { .name = "p", .nsinks = 1,
                                         .sinks = &sink_conf };

/* ---- The deliverer */

static void
up(void)
{
    const int shared = MAP_SHARED | MAP_ANONYMOUS;

    target = mmap(NULL, sizeof *target, PROT_READ | PROT_WRITE, shared, -1, 0);
    assert_true(target != MAP_FAILED);
    box_up(1 << 20);
    pipeline.relay.size = 1 << 30;
    module.commit = NULL;
    sink_conf = (struct conf_sink){ .name = "s", .keeps_checkpoint = true };
    sink_conf.use.module = &module;
    sink_conf.set.start = CONF_START_RELAY;
    sink_conf.set.lanes = 1;
    sink_conf.set.window = 64 << 20;
    sink_conf.set.aside = 64 << 20;
    sink_conf.retry = (struct conf_retry){ .base_ms = 20, .cap_ms = 20 };
    sink_conf.breaker = (struct conf_breaker){ .failures = 1000, .open_ms = 1 };
    sink_conf.batching = (struct weir_batching){
        .events = 100, .bytes = 64 << 20, .share = WEIR_BY_KEY };
}

static void
down(void)
{
    box_down();
    munmap(target, sizeof *target);
}

static struct deliverer *
make(void)
{
    const struct deliver_settings settings = {
        .pipeline = &pipeline, .sink = &sink_conf, .state = in.state,
        .page = &in.page_out, .stop_fd = -1, .drain_ms = 1000,
    };
    return deliver_new(&settings);
}

static struct deliverer *
start(void)
{
    struct weir_err   err = { .text = "" };
    struct deliverer *d = make();

    if (deliver_open(d, &err) != WEIR_OK || deliver_start(d, &err) != WEIR_OK) {
        fail_msg("%s", err.text);
    }
    return d;
}

/* Until there is nothing to do, or it can't go on. */
static enum weir_status
run(struct deliverer *d, struct weir_err *err)
{
    enum weir_status st = WEIR_OK;

    while (st == WEIR_OK || (st == WEIR_DROP && !lanes_quiet(d))) {
        st = deliver_step(d, err);
        if (st == WEIR_DROP && !lanes_quiet(d)) {
            lanes_wait(d, 10000);
        }
    }
    return st;
}

static void
run_all(struct deliverer *d)
{
    struct weir_err err = { .text = "" };

    if (run(d, &err) != WEIR_DROP) {
        fail_msg("%s", err.text);
    }
}

/* In a process of its own, which is killed by what the target is told. */
static void
run_killed(void)
{
    struct weir_err err;
    int             status;

    const pid_t pid = fork();
    assert_true(pid != -1);
    if (pid == 0) {
        struct deliverer *d = start();
        run(d, &err);
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), KILLED);
    target->kill_at = target->kill_from = 0;
}

static void
rows(uint64_t seq, const char *table, uint32_t first, uint32_t n)
{
    feed_gtid(seq);
    feed_map(10, table);
    for (uint32_t i = 0; i < n; i++) {
        feed_row(10, first + i, 10);
    }
    assert_int_equal(feed_xid(), WEIR_OK);
    publish();
}

static void
statement(uint64_t seq, const char *text)
{
    feed_gtid(seq);
    feed_query(text);
    assert_int_equal(feed_xid(), WEIR_OK);
    publish();
}

/* How many events a side log below the sink's folder has. */
static unsigned
kept_in(const char *folder)
{
    char               dir[200];
    struct follower   *f;
    struct side_record r;
    struct weir_err    err;
    unsigned           n = 0;

    snprintf(dir, sizeof dir, "%s/p/s/%s", in.state, folder);
    if (sidelog_read(dir, &f, &err) != WEIR_OK) {
        return 0;
    }
    while (sidelog_next(f, &r, &err) == WEIR_OK) {
        n++;
    }
    follower_close(&f);
    return n;
}

/* ---- What is written again, and when */

/* What became of a commit is for restore() to say: nothing is written before. */
static void
failed_commit_is_asked_about(void **state)
{
    struct weir_err err;

    (void)state;
    up();
    module.commit = sink_commit;
    sink_conf.batching.share = WEIR_MERGE_TXN; /* all that is there */
    rows(1, "t", 1, 2);
    struct deliverer *d = start();
    target->calls[0] = '\0';
    target->commit = WEIR_RETRY;
    assert_int_equal(run(d, &err), WEIR_RETRY);
    /* Another thread could do it at any moment: there is nothing to wait for. */
    const int64_t until = clock_steady() + QUIET;
    while (strcmp(target->calls, "wc") == 0 && clock_steady() < until) {
        clock_sleep(1000);
    }
    assert_string_equal(target->calls, "wc");
    target->commit = 0;
    assert_int_equal(deliver_start(d, &err), WEIR_OK);
    run_all(d);
    assert_memory_equal(target->calls, "wcr", 3);
    deliver_close(&d);
    down();
}

static void
fenced_and_fatal_end_the_sink(void **state)
{
    static const enum weir_status all[] = { WEIR_FENCED, WEIR_FATAL };

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        const enum weir_status st = all[i / 2];
        struct weir_err        err = { .text = "" };
        up();
        if (i % 2) {
            module.commit = sink_commit;
            sink_conf.batching.share = WEIR_KEEP_TXN;
            target->commit = st;
        } else {
            target->fence = st;
        }
        rows(1, "t", 1, 2);
        struct deliverer *d = start();
        assert_int_equal(run(d, &err), st);
        assert_true(err.text[0] != '\0');
        deliver_close(&d);
        down();
    }
}

/* A drain ends when its time is over, or at once where the target is down; what
 * it left is the next start's, and nothing comes twice. */
static void
drain_has_an_end(void **state)
{
    enum { N = 300 };

    (void)state;
    up();
    sink_conf.batching.events = 1;
    sink_conf.retry = (struct conf_retry){ .base_ms = 60000, .cap_ms = 60000 };
    rows(1, "t", 1, N);
    for (int i = 0; i < 2; i++) {
        target->slow_usec = i ? 0 : 20000;
        target->down = i ? N : 0;
        struct deliverer *d = start();
        struct weir_err   err;
        for (int k = 0; k < 2 * N; k++) { /* all of it is on its way */
            deliver_step(d, &err);
        }
        const int64_t began = clock_steady();
        deliver_close(&d);
        assert_in_range(clock_steady() - began, 0, 5000000);
    }
    target->slow_usec = target->down = 0;
    assert_null(strstr(target->rows, " 300 "));
    struct deliverer *d = start();
    run_all(d);
    deliver_close(&d);
    const char *p = target->rows;
    for (int i = 1; i <= N; i++) {
        char      want[16];
        const int n = snprintf(want, sizeof want, "%d ", i);
        assert_memory_equal(p, want, n);
        p += n;
    }
    assert_int_equal(*p, '\0');
    down();
}

/* Steps until the target was tried so often. */
static void
step_until_tried(struct deliverer *d, size_t tries)
{
    struct weir_err err;
    const int64_t   until = clock_steady() + 30000000;

    target->calls[0] = '\0';
    while (strlen(target->calls) < tries) {
        const enum weir_status st = deliver_step(d, &err);
        assert_true(st == WEIR_OK || st == WEIR_DROP);
        assert_true(clock_steady() < until);
        lanes_wait(d, 1000);
    }
}

/* A target that is down for hours. */
static void
tries_in_vain_take_no_more_memory(void **state)
{
    (void)state;
    up();
    sink_conf.keeps_checkpoint = false;
    sink_conf.retry = (struct conf_retry){ .base_ms = 1, .cap_ms = 1 };
    target->down = 1;
    target->takes = 1 << 20;
    rows(1, "t", 1, 1);
    struct deliverer *d = start();
    step_until_tried(d, 50);
    assert_in_range(target->most, 1 << 20, 4 << 20);
    deliver_close(&d);
    down();
}

/* Blocks of 1 MiB that are held for the sake of a small row each. */
static void
blocks_on_their_way_are_bounded(void **state)
{
    (void)state;
    up();
    sink_conf.keeps_checkpoint = false;
    sink_conf.set.window = 4 << 20;
    static const char *const tables[] = { "db.t" };
    sink_conf.set.tables = (struct weir_list){ 1, tables };
    for (uint32_t i = 1; i <= 40; i++) {
        feed_gtid(i);
        feed_map(11, "other");
        feed_row(11, 1000, 1 << 20);
        feed_row(11, 1000, 1 << 20);
        feed_map(10, "t");
        feed_row(10, i, 10);
        assert_int_equal(feed_xid(), WEIR_OK);
    }
    publish();
    target->down = 1;
    struct deliverer *d = start();
    step_until_tried(d, 5);
    for (int i = 0; i < 100; i++) {
        struct weir_err err;
        deliver_step(d, &err);
    }
    size_t blocks = 0;
    for (const struct round *r = d->oldest; r; r = r->next) {
        blocks += r->nblocks;
    }
    assert_in_range(blocks, 1, 12);
    target->down = 0;
    run_all(d);
    assert_non_null(strstr(target->rows, " 39 40 "));
    deliver_close(&d);
    down();
}

/* ---- Tables that are refused */

static void
refused_table(const char *text, const char *want)
{
    struct weir_err err;

    up();
    target->refused = "bad";
    rows(1, "t", 1, 1);
    statement(2, text);
    rows(3, "t", 2, 1);
    rows(4, "bad", 7, 2);
    rows(5, "t", 3, 1);
    struct deliverer *d = start();
    run_all(d);
    assert_string_equal(target->rows, want);
    assert_true(kept_in("park/db.bad") >= 2);
    assert_non_null(aside_find(d, STR("db"), STR("bad")));
    assert_null(aside_find(d, STR("db"), STR("t")));
    deliver_close(&d);
    /* Mended, and resumed: the statement first. */
    target->refused = NULL;
    char request[200];
    snprintf(request, sizeof request, "%s/p.s.request", in.state);
    const struct request resume = {
        .verb = REQUEST_PARK_RESUME, .id = 1,
        .offset = str_hash(0, STR("db.bad")) };
    assert_int_equal(request_write(request, &resume, &err), WEIR_OK);
    d = start();
    run_all(d);
    assert_null(aside_find(d, STR("db"), STR("bad")));
    assert_int_equal(access(request, F_OK), -1);
    deliver_close(&d);
}

static void
truncate_of_a_refused_table_parks_it(void **state)
{
    (void)state;
    refused_table("TRUNCATE TABLE bad", "1 2 3 ");
    assert_string_equal(target->rows, "1 2 3 T 7 8 ");
    down();
}

/* A statement may mend what the table is refused for: the sink is asked. */
static void
statement_for_a_refused_table_is_passed_on(void **state)
{
    (void)state;
    refused_table("ALTER TABLE bad ADD c INT", "1 D 2 3 ");
    assert_string_equal(target->rows, "1 D 2 3 7 8 ");
    down();
}

static void
refused_statement_parks_the_table_it_is_about(void **state)
{
    struct weir_err err;

    (void)state;
    up();
    target->refused = "bad";
    target->of_ddl = WEIR_REJECT;
    rows(1, "bad", 7, 1); /* known by then, and refused */
    statement(2, "ALTER TABLE bad ADD c INT");
    rows(3, "t", 1, 1);
    statement(4, "ALTER TABLE fine ADD c INT");
    rows(5, "t", 2, 1);
    struct deliverer *d = start();
    assert_int_equal(run(d, &err), WEIR_DROP);
    assert_string_equal(target->rows, "1 2 ");
    assert_int_equal(kept_in("park/db.bad"), 2);
    assert_int_equal(kept_in("park/db.fine"), 1);
    deliver_close(&d);
    down();
}

/* ---- Lanes that stand apart */

/* One lane fails and the others go on, then all are killed; what a person asks
 * for next is done when they have met. */
static void
request_waits_until_lanes_meet(void **state)
{
    char            request[200], answer[200], sentence[600];
    struct weir_err err;
    bool            ok = true;

    (void)state;
    up();
    sink_conf.set.lanes = 2;
    sink_conf.batching.events = 1;
    rows(1, "t", 1, 1); /* a table without a key is one lane's */
    rows(2, "other", 50, 1);
    rows(3, "u", 60, 1);
    rows(4, "v", 70, 1);
    rows(5, "w", 80, 1);
    target->down = 1;
    target->kill_from = 50;
    run_killed();
    target->down = 0;
    assert_memory_not_equal(target->slots[0].data, target->slots[1].data,
                            target->slots[0].len);
    snprintf(request, sizeof request, "%s/p.s.request", in.state);
    snprintf(answer, sizeof answer, "%s/p/s/answer", in.state);
    const struct request replay = { .verb = REQUEST_DEAD_REPLAY, .id = 7 };
    assert_int_equal(request_write(request, &replay, &err), WEIR_OK);
    struct deliverer *d = start();
    run_all(d);
    assert_true(answer_read(answer, 7, &ok, sentence, sizeof sentence));
    assert_string_equal(sentence, "there are no dead letters");
    assert_int_equal(target->slots[0].len, target->slots[1].len);
    deliver_close(&d);
    assert_non_null(strstr(target->rows, "1 "));
    down();
}

/* ---- What is put aside */

/* Killed when the target has the checkpoint, and nobody has the refused row. */
static void
kill_before_the_side_log_loses_nothing(void **state)
{
    static const int64_t policies[] = { CONF_REJECT_DEAD_LETTER,
                                        CONF_REJECT_PARK };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        up();
        sink_conf.batching.resend = true;
        sink_conf.set.on_reject = policies[i];
        target->bad = 2;
        rows(1, "t", 1, 3);
        for (int kills = 0; kills < 3; kills++) {
            target->kill_at = 1 + kills; /* another one of the batch */
            run_killed();
        }
        rows(2, "t", 4, 1);
        struct deliverer *d = start();
        run_all(d);
        deliver_close(&d);
        assert_true(kept_in(i ? "park/db.t" : "dead") >= 1);
        if (i == 0) {
            assert_int_equal(kept_in("dead"), 1);
            assert_int_equal(atomic_load(&in.page_out.rows_dead), 1);
        }
        d = start(); /* and it is not kept again */
        const unsigned kept = kept_in(i ? "park/db.t" : "dead");
        run_all(d);
        assert_int_equal(kept_in(i ? "park/db.t" : "dead"), kept);
        deliver_close(&d);
        down();
    }
}

static void
limit_files(rlim_t bytes)
{
    const struct rlimit limit = { bytes, RLIM_INFINITY };
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* The row is neither lost nor passed: the sink waits, and says for what. */
static void
full_disk_holds_the_sink(void **state)
{
    struct weir_err err;
    char            why[512] = "";

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    up();
    sink_conf.set.on_reject = CONF_REJECT_DEAD_LETTER;
    sink_conf.batching.events = 2;
    target->bad = 2;
    rows(1, "t", 1, 2);
    rows(2, "t", 3, 2);
    struct deliverer *d = start();
    limit_files(1);
    const int64_t until = clock_steady() + 20000000;
    while (!deliver_trouble(d, why, sizeof why) && clock_steady() < until) {
        const enum weir_status st = deliver_step(d, &err);
        assert_true(st == WEIR_OK || st == WEIR_DROP);
        lanes_wait(d, 1000);
    }
    limit_files(RLIM_INFINITY);
    assert_non_null(strstr(why, "side log"));
    assert_string_equal(target->rows, "1 "); /* nothing behind it */
    run_all(d);
    assert_string_equal(target->rows, "1 3 4 ");
    assert_int_equal(kept_in("dead"), 1);
    assert_false(deliver_trouble(d, why, sizeof why));
    deliver_close(&d);
    down();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failed_commit_is_asked_about),
        cmocka_unit_test(fenced_and_fatal_end_the_sink),
        cmocka_unit_test(drain_has_an_end),
        cmocka_unit_test(tries_in_vain_take_no_more_memory),
        cmocka_unit_test(blocks_on_their_way_are_bounded),
        cmocka_unit_test(truncate_of_a_refused_table_parks_it),
        cmocka_unit_test(statement_for_a_refused_table_is_passed_on),
        cmocka_unit_test(refused_statement_parks_the_table_it_is_about),
        cmocka_unit_test(request_waits_until_lanes_meet),
        cmocka_unit_test(kill_before_the_side_log_loses_nothing),
        cmocka_unit_test(full_disk_holds_the_sink),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
