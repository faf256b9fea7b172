/* test_crc32c.c - against the definition, bit by bit, at each length. */
#include "unit.h"

#include "base/crc32c.h"

static uint32_t
by_definition(uint32_t crc, uint8_t byte)
{
    crc ^= byte;
    for (int bit = 0; bit < 8; bit++) {
        crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return crc;
}

static void
each_length_and_start(void **state)
{
    static uint8_t data[20000];
    uint32_t       random = 1;

    (void)state;
    assert_true(crc32c(0, "123456789", 9) == 0xe3069283u);
    for (size_t i = 0; i < sizeof data; i++) {
        random = random * 1664525 + 1013904223;
        data[i] = (uint8_t)(random >> 24);
    }
    for (size_t start = 0; start < 9; start++) {
        uint32_t want = UINT32_MAX;
        for (size_t n = 0; start + n < sizeof data; n++) {
            if (n < 7000 || n % 61 == 0) {
                assert_true(crc32c(0, data + start, n) == ~want);
            }
            want = by_definition(want, data[start + n]);
        }
    }
    for (size_t n = 0; n < sizeof data; n += 97) {
        assert_true(crc32c(crc32c(0, data, n), data + n, sizeof data - n) ==
                    crc32c(0, data, sizeof data));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_length_and_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
