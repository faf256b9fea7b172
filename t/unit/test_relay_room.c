/*
 * test_relay_room.c - where the relay's offsets go on after a stop, what it
 * lets go of and what it writes over.
 */
#include "unit.h"

#include <unistd.h>

#include "base/bytes.h"
#include "relay_box.h"

/* ---- Where offsets go on */

static void
offsets_only_grow(void **state)
{
    struct box b;

    (void)state;
    box_clock = 1000000000000;
    box_make(&b, 0, 0);
    b.settings.now = box_now;
    box_open(&b);
    assert_true(relay_end(b.relay) == 1000000000000);
    box_write(&b, 0, 1, 1, 10);
    uint64_t end = relay_end(b.relay);
    box_clock += 5000000000;
    box_close(&b, true); /* STOP and END, then on without a jump */
    box_open(&b);
    assert_true(relay_end(b.relay) == end + 64);
    box_write(&b, 1, 1, 1, 10);
    end = relay_end(b.relay);
    box_close(&b, false); /* on at the clock */
    box_open(&b);
    box_write(&b, 2, 1, 1, 10);
    assert_true(relay_end(b.relay) > (uint64_t)box_clock);
    assert_true(relay_end(b.relay) < (uint64_t)box_clock + 1000);
    end = relay_end(b.relay);
    for (int i = 3; i < 9; i++) { /* set back: on where it ended */
        box_clock = 77;
        box_close(&b, i % 2);
        box_open(&b);
        box_write(&b, (uint64_t)i, 1, 1, 10);
        assert_true(relay_end(b.relay) > end);
        assert_true(relay_end(b.relay) < end + 10000);
        end = relay_end(b.relay);
    }
    assert_int_equal(box_read(&b, 0), 9);
    struct follower *f = box_follow(&b, 1001000000000);
    struct reading   r = { .next = 2 }; /* from within the jump */
    assert_int_equal(reading_go(f, &r, &b.err), WEIR_DROP);
    assert_int_equal(r.next, 9);
    follower_close(&f);
    box_close(&b, true);
    box_remove(&b);
}

/* A STOP whose relay was opened again is not believed, whatever was lost. */
static void
a_stop_is_believed_once(void **state)
{
    struct box b;
    char       path[PATH_MAX];

    (void)state;
    box_clock = 1000000000000;
    box_make(&b, 0, 0);
    b.settings.now = box_now;
    box_open(&b);
    box_write(&b, 0, 1, 1, 10);
    box_close(&b, true);
    box_clock += 1000000;
    box_open(&b);
    box_write(&b, 1, 5, 1, 10);
    const uint64_t given = relay_end(b.relay);
    box_close(&b, false);
    box_forget_boot(&b);
    box_last_segment(&b, path);
    assert_int_equal(truncate(path, 88), 0);
    box_clock += 1000000;
    box_open(&b);
    assert_int_equal(box_read(&b, 0), 1);
    box_write(&b, 1, 1, 1, 10);
    assert_true(relay_end(b.relay) > given);
    assert_true(relay_end(b.relay) > (uint64_t)box_clock);
    box_close(&b, true);
    box_remove(&b);
}

/* ---- Room */

static void
what_is_needed_stays(void **state)
{
    struct box b;
    int64_t    used;
    int        n;

    (void)state;
    box_clock = 1000000000000;
    box_make(&b, 64 << 10, 1 << 20);
    b.settings.now = box_now;
    b.settings.keep_usec = 60000000;
    box_open(&b);
    box_write(&b, 0, 1, 0, 10);
    const uint64_t needed = relay_first(b.relay);
    box_write(&b, 1, 300, 2, 2000);
    const int64_t all = box_bytes(&b, ".relay", &n);
    assert_true(all > 2 << 20);
    assert_int_equal(relay_retain(b.relay, needed, &used, &b.err), WEIR_OK);
    assert_true(used > all - 100 && used <= all);
    assert_int_equal(box_read(&b, 0), 301);
    /* Done, but beyond what fits: only as much is kept. */
    assert_int_equal(relay_retain(b.relay, relay_published(b.relay), &used,
                                  &b.err), WEIR_OK);
    assert_int_equal(used, 0);
    assert_true(box_bytes(&b, "", &n) <= 1 << 20);
    assert_true(box_bytes(&b, ".relay", &n) > 800000);
    struct follower *f = box_follow_first(&b);
    assert_int_equal(follower_seek(f, needed, &b.err), WEIR_REJECT);
    follower_close(&f);
    /* Within size until it is old. */
    box_bytes(&b, ".relay", &n);
    const int before = n;
    box_clock += 59000000000;
    relay_retain(b.relay, relay_published(b.relay), &used, &b.err);
    box_bytes(&b, ".relay", &n);
    assert_int_equal(n, before);
    box_clock += 2000000000;
    relay_retain(b.relay, relay_published(b.relay), &used, &b.err);
    box_bytes(&b, ".relay", &n);
    assert_int_equal(n, 1);
    box_bytes(&b, "spare", &n);
    assert_true(n >= 1 && n <= 3);
    box_close(&b, true);
    box_open(&b);
    assert_false(relay_is_new(b.relay));
    box_close(&b, true);
    box_remove(&b);
}

/* What is left in a segment that is written over is never given. */
static void
stale_frames_stay_unseen(void **state)
{
    struct box b, killed;
    int64_t    used;
    int        spares, most = 0;

    (void)state;
    box_make(&b, 16 << 10, 1 << 20);
    box_make(&killed, 16 << 10, 1 << 20);
    box_open(&b);
    for (uint64_t i = 0; i < 300; i++) {
        box_write(&b, i, 1, 3, 300);
        relay_retain(b.relay, relay_published(b.relay), &used, &b.err);
        box_bytes(&b, "spare", &spares);
        most = spares > most ? spares : most;
        if (i % 7 == 0) {
            struct follower *f = box_follow_first(&b);
            struct frame     frame;
            assert_int_equal(follower_next(f, &frame, &b.err), WEIR_OK);
            /* It may be in the middle of a transaction. */
            const struct reading r = { get_le64(frame.payload.data), 5,
                                       (unsigned)frame.payload.data[16] };
            follower_close(&f);
            box_copy(&b, &killed);
            box_open(&killed);
            assert_int_equal(box_read_on(&killed, r), i + 1);
            box_close(&killed, true);
        }
    }
    assert_true(most >= 1 && most <= 3);
    box_close(&b, true);
    box_remove(&b);
    box_remove(&killed);
}

static void
a_transaction_too_large(void **state)
{
    struct box b;

    (void)state;
    box_make(&b, 64 << 10, 1 << 20);
    b.settings.max_transaction = 200000;
    box_open(&b);
    box_write(&b, 0, 1, 1, 10);
    const struct txn large = { 1, 1, 100, 5000 };
    assert_int_equal(txn_append(b.relay, &large, UINT32_MAX, &b.err),
                     WEIR_FATAL);
    assert_non_null(strstr(b.err.text, "max_transaction"));
    assert_int_equal(relay_cut(b.relay, &b.err), WEIR_OK);
    box_write(&b, 1, 1, 1, 10);
    assert_int_equal(box_read(&b, 0), 2);
    box_close(&b, true);
    box_remove(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_only_grow),
        cmocka_unit_test(a_stop_is_believed_once),
        cmocka_unit_test(what_is_needed_stays),
        cmocka_unit_test(stale_frames_stay_unseen),
        cmocka_unit_test(a_transaction_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
