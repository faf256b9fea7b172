/*
 * test_relay_crash.c - a source worker that is killed at any moment, refused by
 * the disk, closed and opened again, and a follower in another process that
 * must see each transaction once, whole and in order.  WEIR_SEED repeats a run,
 * WEIR_ROUNDS makes it longer.
 */
#include "unit.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "relay_box.h"

enum { SEGMENT = 512 << 10, SIZE = 16 << 20, OPS = 60 };

static struct shared { /* what the follower has: always between transactions */
    _Atomic uint64_t offset, next;
} *shared;

/* ---- The writer, in a process of its own */

static size_t
random_size(struct dice *d)
{
    const unsigned bits = (unsigned)dice_roll(d, 100) < 97
                              ? 1 + (unsigned)dice_roll(d, 13)
                              : 15 + (unsigned)dice_roll(d, 7);
    const size_t   most = 3 << 20;
    const size_t   size = 1 + dice_roll(d, (uint64_t)1 << bits);
    return size < most ? size : most;
}

static struct txn
random_txn(struct dice *d, uint64_t number)
{
    return (struct txn){ number, dice_roll(d, UINT32_MAX),
                         (unsigned)dice_roll(d, 7), random_size(d) };
}

/* Its next number, from the relay itself, where the follower stands on. */
static uint64_t
writer_resume(struct box *b)
{
    struct reading   r = { .next = atomic_load(&shared->next) };
    const uint64_t   from = atomic_load(&shared->offset);
    struct follower *f = from ? box_follow(b, from) : box_follow_first(b);

    if (!f) {
        return r.next;
    }
    if (reading_go(f, &r, &b->err) != WEIR_DROP || r.index) {
        box_abort("the writer reads %s", b->err.text);
    }
    follower_close(&f);
    return r.next;
}

static void
limit_files(rlim_t bytes)
{
    const struct rlimit limit = { bytes, RLIM_INFINITY };
    setrlimit(RLIMIT_FSIZE, &limit);
}

static bool
writer_retries(struct box *b, enum weir_status st)
{
    if (st != WEIR_OK && st != WEIR_RETRY) {
        box_abort("%s", b->err.text);
    }
    return st == WEIR_RETRY;
}

/* A disk that is full in the middle of anything, and then is not. */
static void
writer_refused(struct box *b, struct dice *d, struct txn t, uint64_t *next)
{
    limit_files(dice_roll(d, SEGMENT + SEGMENT / 4));
    const bool failed =
        writer_retries(b, txn_append(b->relay, &t, UINT32_MAX, &b->err));
    if (!failed) {
        relay_commit(b->relay);
        *next += 1;
    }
    writer_retries(b, relay_publish(b->relay, &b->err));
    if (failed && dice_roll(d, 2)) {
        writer_retries(b, relay_cut(b->relay, &b->err));
    }
    limit_files(RLIM_INFINITY);
    if (failed && relay_cut(b->relay, &b->err) != WEIR_OK) {
        box_abort("%s", b->err.text);
    }
}

static void
writer_cuts(struct box *b, struct dice *d, struct txn t)
{
    if (txn_append(b->relay, &t, (unsigned)dice_roll(d, t.rows + 2),
                   &b->err) != WEIR_OK) {
        box_abort("%s", b->err.text);
    }
    if (dice_roll(d, 3) == 0) {
        relay_publish(b->relay, &b->err);
    }
    if (dice_roll(d, 20) == 0) {
        _exit(0);
    }
    if (relay_cut(b->relay, &b->err) != WEIR_OK) {
        box_abort("%s", b->err.text);
    }
}

static void
writer_retain(struct box *b)
{
    int64_t        used;
    const pid_t    parent = getppid();

    do {
        if (relay_retain(b->relay, atomic_load(&shared->offset), &used,
                         &b->err) != WEIR_OK ||
            relay_publish(b->relay, &b->err) != WEIR_OK) {
            box_abort("%s", b->err.text);
        }
        sched_yield();
    } while (used > SIZE && getppid() == parent);
}

static void
writer_append(struct box *b, struct dice *d, struct txn t)
{
    if (txn_append(b->relay, &t, UINT32_MAX, &b->err) != WEIR_OK) {
        box_abort("%s", b->err.text);
    }
    relay_commit(b->relay);
    if (dice_roll(d, 2) && relay_publish(b->relay, &b->err) != WEIR_OK) {
        box_abort("%s", b->err.text);
    }
}

static _Noreturn void
writer_run(struct box *b, uint64_t seed)
{
    struct dice d = { seed };

    signal(SIGXFSZ, SIG_IGN);
    b->settings.sync = (enum relay_sync)dice_roll(&d, 3);
    box_open(b);
    uint64_t next = writer_resume(b);
    for (int i = 0; i < OPS; i++) {
        const struct txn t = random_txn(&d, next);
        const uint64_t   what = dice_roll(&d, 100);
        if (what < 60) {
            writer_append(b, &d, t);
            next++;
        } else if (what < 75) {
            writer_cuts(b, &d, t);
        } else if (what < 82) {
            writer_refused(b, &d, t, &next);
        } else if (what < 94) {
            writer_retain(b);
        } else if (what < 98) {
            box_close(b, dice_roll(&d, 2));
            box_open(b);
            next = writer_resume(b);
        } else if (dice_roll(&d, 2)) {
            _exit(0);
        }
    }
    box_close(b, dice_roll(&d, 2));
    _exit(0);
}

/* ---- The follower and the killer */

static void
follow_open(struct box *b, struct follower **f, struct reading *r)
{
    const uint64_t from = atomic_load(&shared->offset);

    follower_close(f);
    *r = (struct reading){ .next = atomic_load(&shared->next) };
    if (access(b->page, F_OK) == -1 ||
        follower_open(b->dir, b->page, 1, f, &b->err) != WEIR_OK) {
        return;
    }
    uint64_t first = from;
    if (from == 0 && follower_first(*f, &first, &b->err) != WEIR_OK) {
        follower_close(f);
        return;
    }
    if (follower_seek(*f, first, &b->err) != WEIR_OK) {
        box_abort("%s", b->err.text);
    }
}

static void
follow_some(struct box *b, struct follower **f, struct reading *r,
            uint64_t transactions)
{
    if (!*f) {
        follow_open(b, f, r);
        sched_yield();
        return;
    }
    r->stop_at = r->next + transactions;
    const enum weir_status st = reading_go(*f, r, &b->err);
    if ((st != WEIR_DROP && st != WEIR_OK) || r->index) {
        box_abort("the follower: %s", st == WEIR_DROP ? "half a transaction"
                                                      : b->err.text);
    }
    atomic_store(&shared->next, r->next);
    atomic_store(&shared->offset, follower_offset(*f));
    if (st == WEIR_DROP) {
        follower_wait(*f, 2000);
    }
}

static void
round_run(struct box *b, struct dice *d, struct follower **f,
          struct reading *r)
{
    int           status = 0;
    const int64_t life_usec = (int64_t)dice_roll(d, 30000);
    const bool    kills = dice_roll(d, 4) != 0;
    const pid_t   child = fork();

    if (child == 0) {
        writer_run(b, dice_roll(d, UINT64_MAX));
    }
    const int64_t start = clock_steady();
    bool          ended = false;
    while (!ended) {
        if (kills && clock_steady() - start > life_usec) {
            kill(child, SIGKILL);
            ended = waitpid(child, &status, 0) == child;
        } else {
            ended = waitpid(child, &status, WNOHANG) == child;
        }
        follow_some(b, f, r, 1 + dice_roll(d, 20));
    }
    if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) {
        box_abort("the writer died of signal %d", WTERMSIG(status));
    }
    if (dice_roll(d, 3) == 0) {
        follow_open(b, f, r);
    }
}

static void
killed_at_any_moment(void **state)
{
    struct box       b;
    struct follower *f = NULL;
    struct reading   r = { 0 };
    const char      *seed = getenv("WEIR_SEED"), *n = getenv("WEIR_ROUNDS");
    struct dice      d = { seed ? strtoull(seed, NULL, 10)
                                : (uint64_t)clock_nsec() };
    const int        rounds = n ? atoi(n) : 200;

    (void)state;
    printf("# WEIR_SEED=%llu\n", (unsigned long long)d.state);
    fflush(stdout);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    box_make(&b, SEGMENT, SIZE);
    for (int i = 0; i < rounds; i++) {
        round_run(&b, &d, &f, &r);
    }
    box_open(&b);
    follow_some(&b, &f, &r, UINT32_MAX);
    const uint64_t end = r.next;
    printf("# %llu transactions\n", (unsigned long long)end);
    assert_true(end > (uint64_t)rounds);
    follower_close(&f);
    box_close(&b, true);
    box_remove(&b);
    munmap(shared, sizeof *shared);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
