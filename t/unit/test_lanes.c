/* test_lanes.c - the pure parts of the delivery: the ring's low-water mark, who
 * touched what last, hashes of values, the circuit breaker. */
#include "unit.h"

#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "deliver/breaker.h"
#include "deliver/conflict.h"
#include "deliver/order.h"
#include "deliver/ring.h"

static void
low_water_follows_the_oldest(void **state)
{
    struct ring r = { 0 };

    (void)state;
    assert_true(ring_is_empty(&r));
    for (uint64_t id = 1; id <= 200; id++) {
        assert_int_equal(ring_push(&r), id);
    }
    assert_false(ring_done(&r, 2));
    assert_false(ring_done(&r, 200));
    assert_int_equal(r.low, 1);
    assert_true(ring_done(&r, 1));
    assert_int_equal(r.low, 3);
    for (uint64_t id = 199; id > 3; id--) {
        assert_false(ring_done(&r, id));
    }
    assert_true(ring_done(&r, 3));
    assert_int_equal(r.low, 201);
    assert_true(ring_is_empty(&r));
    ring_push(&r);
    ring_clear(&r);
    assert_true(ring_is_empty(&r));
    assert_int_equal(ring_push(&r), 202);
    assert_true(ring_done(&r, 202));
    ring_free(&r);
}

/* Any order of a window that moves: the mark is what a plain count says. */
static void
low_water_in_any_order(void **state)
{
    enum { N = 5000, WINDOW = 97 };
    static bool done[N + 1];
    struct ring r = { 0 };
    uint64_t    low = 1, next = 1;
    unsigned    random = 12345;

    (void)state;
    memset(done, 0, sizeof done);
    while (low <= N) {
        random = random * 1103515245 + 12345;
        if (next <= N && next - low < WINDOW && random >> 16 & 1) {
            assert_int_equal(ring_push(&r), next);
            next++;
            continue;
        }
        const uint64_t id = low + (random >> 17) % (next - low + 1);
        if (id >= next || done[id]) {
            continue;
        }
        done[id] = true;
        const bool moves = id == low;
        assert_int_equal(ring_done(&r, id), moves);
        while (low < next && done[low]) {
            low++;
        }
        assert_int_equal(r.low, low);
    }
    ring_free(&r);
}

static void
conflicts_remember_the_last(void **state)
{
    struct conflicts c = { 0 };

    (void)state;
    assert_int_equal(conflicts_last(&c, 5), 0);
    for (uint64_t id = 1; id <= 100000; id++) {
        conflicts_touch(&c, order_mix(id % 1000 + 1), id,
                        id > 500 ? id - 500 : 0);
    }
    for (uint64_t k = 501; k <= 1000; k++) { /* the last 500 */
        const uint64_t last = conflicts_last(&c, order_mix(k % 1000 + 1));
        assert_int_equal(last, 99000 + k);
    }
    assert_int_equal(conflicts_last(&c, order_mix(5000)), 0);
    assert_true(c.room <= 8192); /* what is done was forgotten */
    conflicts_free(&c);
}

static uint64_t
folded(const char *text)
{
    uint64_t h = 1;

    assert_true(order_folded(&h, str_of(text)));
    return h;
}

static void
equal_texts_have_equal_hashes(void **state)
{
    static const char long_text[] =
        "Abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnop";
    static const char long_other[] =
        "aBcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnop";
    uint64_t h = 1;

    (void)state;
    assert_int_equal(folded("Ada"), folded("aDA   "));
    assert_int_equal(folded(long_text), folded(long_other));
    assert_int_equal(folded("w"), folded("V"));
    assert_int_equal(folded("Y"), folded("i"));
    assert_true(folded("a") != folded("b"));
    assert_true(folded("a b") != folded("ab"));
    assert_false(order_folded(&h, STR("\xc3\xa9")));
    assert_false(order_folded(&h, STR("a\1")));
}

/* Another type of the same column, as after an ALTER, is the same key. */
static void
equal_values_have_equal_hashes(void **state)
{
    const struct weir_value i = { .type = WEIR_INT, .i = 7 };
    const struct weir_value u = { .type = WEIR_UINT, .u = 7 };
    const struct weir_value t = { .type = WEIR_TEXT, .s = STR("7") };
    const struct weir_value d = { .type = WEIR_DECIMAL, .s = STR("7") };
    const struct weir_value zero = { .type = WEIR_DOUBLE, .d = 0.0 };
    const struct weir_value minus = { .type = WEIR_DOUBLE, .d = -0.0 };
    unsigned                lanes[8] = { 0 };

    (void)state;
    assert_int_equal(order_value(3, &i), order_value(3, &u));
    assert_int_equal(order_value(3, &t), order_value(3, &d));
    assert_int_equal(order_value(3, &zero), order_value(3, &minus));
    for (int64_t k = 0; k < 8000; k++) {
        const struct weir_value v = { .type = WEIR_INT, .i = k };
        lanes[(order_value(1, &v) >> 32) % 8]++;
    }
    for (int k = 0; k < 8; k++) { /* spread */
        assert_in_range(lanes[k], 850, 1150);
    }
}

static void
breaker_opens_probes_and_closes(void **state)
{
    struct breaker b;

    (void)state;
    breaker_init(&b, 3, 1000);
    assert_int_equal(breaker_ask(&b, 0), 0);
    assert_false(breaker_failure(&b, 0));
    breaker_success(&b); /* in a row: counted anew */
    assert_false(breaker_failure(&b, 1));
    assert_false(breaker_failure(&b, 2));
    assert_true(breaker_failure(&b, 3));
    assert_int_equal(breaker_ask(&b, 3), 1000);
    assert_false(breaker_failure(&b, 500)); /* one begun before */
    assert_int_equal(breaker_ask(&b, 1002), 1);
    assert_int_equal(breaker_ask(&b, 1003), 0);  /* half open: the probe */
    assert_true(breaker_ask(&b, 1003) > 0);      /* and nobody else */
    assert_false(breaker_failure(&b, 1100));     /* open as before */
    assert_int_equal(breaker_ask(&b, 1100), 1000);
    assert_int_equal(breaker_ask(&b, 2100), 0);
    breaker_untried(&b);
    assert_int_equal(breaker_ask(&b, 2100), 0);
    breaker_success(&b);
    assert_int_equal(breaker_ask(&b, 2101), 0);
    assert_int_equal(breaker_ask(&b, 2101), 0);
}

/* Doubled up to the cap; a random half is taken away, never more. */
static void
back_off_stays_within_its_bounds(void **state)
{
    enum { BASE = 100000, CAP = 60000000 };

    (void)state;
    for (unsigned attempt = 0; attempt < 40; attempt++) {
        const int64_t most = attempt < 10 ? (int64_t)BASE << attempt : CAP;
        const int64_t whole = most < CAP ? most : CAP;
        int64_t       low = INT64_MAX, high = 0;
        for (int i = 0; i < 500; i++) {
            const int64_t wait = clock_backoff(attempt, BASE, CAP);
            low = wait < low ? wait : low;
            high = wait > high ? wait : high;
        }
        assert_in_range(low, whole / 2, whole / 100 * 60);
        assert_in_range(high, whole / 100 * 90, whole);
    }
    assert_in_range(clock_backoff(UINT32_MAX, BASE, CAP), CAP / 2, CAP);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(low_water_follows_the_oldest),
        cmocka_unit_test(low_water_in_any_order),
        cmocka_unit_test(conflicts_remember_the_last),
        cmocka_unit_test(equal_texts_have_equal_hashes),
        cmocka_unit_test(equal_values_have_equal_hashes),
        cmocka_unit_test(breaker_opens_probes_and_closes),
        cmocka_unit_test(back_off_stays_within_its_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
