/*
 * test_relay.c - the relay's promises one by one: what was written is read,
 * from any frame on; torn tails, altered bytes and power cuts.  Room and offsets
 * are in test_relay_room.c, all at once and at random in test_relay_crash.c.
 */
#include "unit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/str.h"
#include "relay/segment.h"
#include "relay_box.h"

/* ---- What is there */

static void
a_new_relay(void **state)
{
    struct box       b;
    struct follower *f;
    uint64_t         first;

    (void)state;
    box_make(&b, 0, 0);
    assert_int_equal(follower_open(b.dir, b.page, 0, &f, &b.err), WEIR_DROP);
    const uint64_t before = (uint64_t)clock_nsec();
    box_open(&b);
    assert_true(relay_is_new(b.relay));
    assert_true(relay_end(b.relay) >= before);
    assert_true(relay_end(b.relay) <= (uint64_t)clock_nsec() + 8);
    f = box_follow(&b, relay_published(b.relay));
    assert_int_equal(follower_first(f, &first, &b.err), WEIR_DROP);
    struct reading r = { 0 };
    assert_int_equal(reading_go(f, &r, &b.err), WEIR_DROP);
    box_write(&b, 0, 3, 2, 100);
    assert_int_equal(reading_go(f, &r, &b.err), WEIR_DROP);
    assert_int_equal(r.next, 3);
    assert_true(str_is(follower_origin(f), "origin of a test"));
    follower_close(&f);
    box_close(&b, true);
    box_open(&b);
    assert_false(relay_is_new(b.relay));
    assert_int_equal(box_read(&b, 0), 3);
    box_close(&b, true);
    box_remove(&b);
}

static void
large_frames(void **state)
{
    struct box b;

    (void)state;
    box_make(&b, 1 << 20, 0);
    box_open(&b);
    box_write(&b, 0, 1, 3, 20 << 20);
    box_write(&b, 1, 40, 2, (1 << 20) - 100);
    for (size_t i = 0; i < 200; i++) { /* about the edges of buffers */
        box_write(&b, 41 + i, 1, 1, (128 << 10) - 164 + i);
    }
    assert_int_equal(box_read(&b, 0), 241);
    box_close(&b, true);
    box_remove(&b);
}

static void
seek_to_each_offset(void **state)
{
    struct box       b;
    struct frame     frame, again;
    struct arena     a = { 0 };
    static uint64_t  offsets[4000];
    size_t           n = 0;

    (void)state;
    box_make(&b, 8192, 0);
    box_open(&b);
    box_write(&b, 0, 40, 4, 300);
    struct follower *f = box_follow_first(&b), *g = box_follow_first(&b);
    const uint64_t   first = follower_offset(f);
    while (follower_next(f, &frame, &b.err) == WEIR_OK) {
        assert_int_equal(follower_read(g, frame.offset, &a, &again, &b.err),
                         WEIR_OK);
        assert_true(str_eq(frame.payload, again.payload));
        offsets[n++] = frame.offset;
    }
    assert_int_equal(n, 240);
    size_t refused = 0, at = 0;
    for (uint64_t o = first; o < relay_published(b.relay); o += 4) {
        at += at < n && offsets[at] < o;
        const enum weir_status st = follower_seek(g, o, &b.err);
        if (st == WEIR_OK && at < n) { /* frames, ENDs and headers */
            assert_int_equal(follower_next(g, &frame, &b.err), WEIR_OK);
            assert_true(frame.offset == offsets[at]);
        } else if (st != WEIR_OK) {
            assert_int_equal(st, WEIR_REJECT);
            assert_true(at == n || o != offsets[at]);
            assert_int_equal(follower_read(g, o, &a, &again, &b.err),
                             WEIR_REJECT);
            refused++;
        }
    }
    assert_true(refused > 2 * n);
    assert_int_equal(follower_seek(g, first - 1000, &b.err), WEIR_REJECT);
    assert_non_null(strstr(b.err.text, "older than"));
    assert_int_equal(follower_seek(g, relay_published(b.relay) + 8, &b.err),
                     WEIR_REJECT);
    assert_int_equal(follower_seek(g, relay_published(b.relay), &b.err),
                     WEIR_OK);
    box_write(&b, 40, 1, 0, 1);
    assert_int_equal(follower_next(g, &frame, &b.err), WEIR_OK);
    follower_close(&f);
    follower_close(&g);
    arena_free(&a);
    box_close(&b, true);
    box_remove(&b);
}

/* Blocks that somebody holds are left alone. */
static void
held_blocks_stay(void **state)
{
    enum { HELD = 64 };
    struct box      b;
    struct frame    frames[HELD];
    struct block   *blocks[HELD];
    struct reading  r = { 0 };

    (void)state;
    box_make(&b, 4 << 20, 0);
    box_open(&b);
    box_write(&b, 0, 32, 0, 200000);
    struct follower *f = box_follow_first(&b);
    for (int i = 0; i < HELD; i++) {
        assert_int_equal(follower_next(f, &frames[i], &b.err), WEIR_OK);
        blocks[i] = follower_block(f);
        block_ref(blocks[i]);
    }
    struct follower *g = box_follow_first(&b);
    for (int i = 0; i < HELD; i++) {
        struct frame again;
        assert_int_equal(follower_next(g, &again, &b.err), WEIR_OK);
        assert_true(str_eq(again.payload, frames[i].payload));
    }
    follower_close(&f);
    for (int i = 0; i < HELD; i++) {
        assert_true(frames[i].payload.data[20] == 0);
        block_unref(&blocks[i]);
        assert_null(blocks[i]);
    }
    follower_close(&g);
    f = box_follow_first(&b);
    assert_int_equal(reading_go(f, &r, &b.err), WEIR_DROP);
    assert_int_equal(r.next, 32);
    follower_close(&f);
    box_close(&b, true);
    box_remove(&b);
}

/* ---- Damage */

static void
torn_at_each_byte(void **state)
{
    struct box b, torn;
    char       path[PATH_MAX];
    uint64_t   ends[3];

    (void)state;
    box_make(&b, 0, 0);
    box_make(&torn, 0, 0);
    box_open(&b);
    const uint64_t start = relay_end(b.relay);
    for (uint64_t i = 0; i < 3; i++) {
        box_write(&b, i, 1, 1, 40);
        ends[i] = relay_published(b.relay) - start;
    }
    for (uint64_t n = ends[0]; n <= ends[2]; n++) {
        for (int kind = 0; kind < 2; kind++) {
            box_copy(&b, &torn);
            box_last_segment(&torn, path);
            assert_int_equal(truncate(path, (off_t)n), 0);
            if (kind == 1) { /* the rest of a recycled one, or of a page */
                assert_int_equal(truncate(path, 1 << 16), 0);
            }
            box_open(&torn);
            /* A COMMIT of 106 bytes is whole without its padding. */
            const uint64_t want = n >= ends[2] - 6 ? 3 : n >= ends[1] - 6 ? 2
                                                                          : 1;
            assert_int_equal(box_read(&torn, 0), want);
            box_write(&torn, want, 2, 1, 10);
            assert_int_equal(box_read(&torn, 0), want + 2);
            box_close(&torn, true);
        }
    }
    box_close(&b, true);
    box_remove(&b);
    box_remove(&torn);
}

/* In an ended segment: what stands before it is given, then a sentence. */
static void
each_bit_altered(void **state)
{
    struct box     b;
    char           path[PATH_MAX];
    struct dice    d = { 1 };
    int            harmless = 0;

    (void)state;
    box_make(&b, 0, 0);
    box_open(&b);
    box_write(&b, 0, 3, 1, 30);
    const int64_t size = box_last_segment(&b, path);
    box_close(&b, true);
    box_open(&b);
    for (int64_t i = 0; i < size; i++) {
        struct reading   r = { 0 };
        struct follower *f;
        uint64_t         first;
        const uint8_t    bit = (uint8_t)(1 << dice_roll(&d, 8));
        file_flip(path, (uint64_t)i, bit);
        assert_int_equal(follower_open(b.dir, b.page, 3, &f, &b.err), WEIR_OK);
        enum weir_status st = follower_first(f, &first, &b.err);
        if (st == WEIR_OK) {
            st = follower_seek(f, first, &b.err);
        }
        if (st == WEIR_OK) {
            st = reading_go(f, &r, &b.err);
        }
        if (st == WEIR_DROP) {
            assert_int_equal(r.next, 3); /* padding */
            harmless++;
        } else {
            assert_true(st == WEIR_FATAL || st == WEIR_REJECT);
            assert_non_null(strstr(b.err.text, path));
            assert_true(r.frames < 9);
        }
        follower_close(&f);
        file_flip(path, (uint64_t)i, bit);
    }
    assert_true(harmless <= 9 * 7);
    assert_int_equal(box_read(&b, 0), 3);
    box_close(&b, true);
    box_remove(&b);
}

static void
holes_of_a_power_cut(void **state)
{
    struct box           b, cut;
    struct segment_names names;
    char                 path[PATH_MAX];

    (void)state;
    box_make(&b, 8192, 0);
    box_make(&cut, 8192, 0);
    box_open(&b);
    box_write(&b, 0, 100, 2, 150);
    const uint64_t end = relay_end(b.relay);
    assert_int_equal(segment_list(b.dir, &names, &b.err), WEIR_OK);
    assert_true(names.nbases > 5);
    for (int kind = 0; kind < 4; kind++) {
        const uint64_t base = names.bases[names.nbases / 2];
        box_copy(&b, &cut);
        box_forget_boot(&cut);
        segment_path(path, cut.dir, base);
        if (kind == 0) {
            file_flip(path, 4096, 255);
        } else if (kind == 1) {
            file_flip(path, 3, 255); /* the header */
        } else if (kind == 2) {
            unlink(path);
        }
        box_open(&cut);
        const uint64_t got = box_read(&cut, 0);
        assert_true(kind == 3 ? got == 100 : got > 20 && got < 80);
        assert_true(relay_end(cut.relay) <= end + 64);
        box_write(&cut, got, 1, 1, 10);
        assert_true(relay_end(cut.relay) > end);
        assert_int_equal(box_read(&cut, 0), got + 1);
        box_close(&cut, true);
    }
    /* The same damage without a power cut is nobody's to mend. */
    box_copy(&b, &cut);
    segment_path(path, cut.dir, names.bases[1]);
    file_flip(path, 3, 255);
    cut.settings.dir = cut.dir;
    cut.settings.page_path = cut.page;
    assert_int_equal(relay_open(&cut.settings, &cut.relay, &cut.err),
                     WEIR_FATAL);
    assert_non_null(strstr(cut.err.text, path));
    segment_names_free(&names);
    box_close(&b, true);
    box_remove(&b);
    box_remove(&cut);
}

static void
another_pipelines_relay(void **state)
{
    struct box b;

    (void)state;
    box_make(&b, 0, 0);
    box_open(&b);
    box_write(&b, 0, 1, 1, 10);
    box_close(&b, true);
    b.settings.pipeline_id[3]++;
    assert_int_equal(relay_open(&b.settings, &b.relay, &b.err), WEIR_FATAL);
    assert_non_null(strstr(b.err.text, "another pipeline"));
    assert_null(b.relay);
    box_remove(&b);
}

/* ---- Waiting */

static void
waiting_ends(void **state)
{
    struct box b;

    (void)state;
    box_make(&b, 0, 0);
    box_open(&b);
    struct follower *f = box_follow(&b, relay_published(b.relay));
    const int64_t    start = clock_steady();
    follower_wait(f, 20000); /* the time is over */
    assert_true(clock_steady() - start >= 20000);
    box_write(&b, 0, 1, 0, 1);
    follower_wait(f, 100000000); /* there is something already */
    const pid_t child = fork();
    if (child == 0) { /* woken, however late this process comes */
        struct reading r = { 0 };
        while (r.next < 500) {
            if (reading_go(f, &r, &b.err) != WEIR_DROP) {
                _exit(1);
            }
            if (r.next < 500) {
                follower_wait(f, 100000000);
            }
        }
        _exit(0);
    }
    box_write(&b, 1, 499, 0, 1);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(clock_steady() - start < 50000000);
    follower_close(&f);
    box_close(&b, true);
    box_remove(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_relay),
        cmocka_unit_test(large_frames),
        cmocka_unit_test(seek_to_each_offset),
        cmocka_unit_test(held_blocks_stay),
        cmocka_unit_test(torn_at_each_byte),
        cmocka_unit_test(each_bit_altered),
        cmocka_unit_test(holes_of_a_power_cut),
        cmocka_unit_test(another_pipelines_relay),
        cmocka_unit_test(waiting_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
