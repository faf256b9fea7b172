/* test_progress.c - checkpoint blobs: there and back, and nothing damaged. */
#include "unit.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/str.h"
#include "relay/progress.h"

static const struct progress full = {
    .pipeline_id = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 255 },
    .epoch = UINT64_MAX, .first = INT64_MAX, .next = 1, .head = 77,
    .first_row = UINT32_MAX, .next_row = 3, .seq = 1795361257174280024,
    .gtid_set = { "0-1-100,1-2-7", 13 }, .file = { "bin.000007", 10 },
    .file_offset = UINT64_MAX, .lanes = 4, .time_usec = -1,
    .host = { "db1", 3 }, .snapshot = { "a\0b", 3 },
};

static void
expect_equal(const struct progress *a, const struct progress *b)
{
    assert_memory_equal(a->pipeline_id, b->pipeline_id, 16);
    assert_true(a->epoch == b->epoch && a->first == b->first &&
                a->next == b->next && a->head == b->head &&
                a->first_row == b->first_row && a->next_row == b->next_row &&
                a->seq == b->seq && a->file_offset == b->file_offset &&
                a->lanes == b->lanes && a->time_usec == b->time_usec);
    assert_true(str_eq(a->gtid_set, b->gtid_set) && str_eq(a->file, b->file) &&
                str_eq(a->host, b->host) && str_eq(a->snapshot, b->snapshot));
}

static void
there_and_back(void **state)
{
    const struct progress empty = { 0 };
    struct progress       got;
    struct weir_err       err;
    struct buf            blob = { 0 };

    (void)state;
    progress_format(&full, &blob);
    assert_int_equal(progress_parse(buf_view(&blob), &got, &err), WEIR_OK);
    expect_equal(&full, &got);
    blob.len = 0;
    progress_format(&empty, &blob);
    assert_int_equal(progress_parse(buf_view(&blob), &got, &err), WEIR_OK);
    expect_equal(&empty, &got);
    buf_free(&blob);
}

static void
every_flip_and_cut_is_found(void **state)
{
    struct progress got;
    struct weir_err err;
    struct buf      blob = { 0 };

    (void)state;
    progress_format(&full, &blob);
    for (size_t i = 0; i < 8 * blob.len; i++) {
        blob.data[i / 8] ^= (char)(1 << i % 8);
        assert_int_equal(progress_parse(buf_view(&blob), &got, &err),
                         WEIR_REJECT);
        blob.data[i / 8] ^= (char)(1 << i % 8);
    }
    for (size_t n = 0; n < blob.len; n++) {
        char *copy = malloc(n ? n : 1); /* of that size, for the sanitizer */
        memcpy(copy, blob.data, n);
        assert_int_equal(progress_parse((struct weir_str){ copy, n }, &got,
                                        &err), WEIR_REJECT);
        free(copy);
    }
    buf_free(&blob);
}

/* What somebody could have made who knows the checksum. */
static enum weir_status
parse_made(const char *body, size_t len, struct weir_err *err)
{
    struct progress got;
    struct buf      blob = { 0 };
    char            crc[4];

    buf_add(&blob, body, len);
    put_le32(crc, crc32c(0, blob.data, blob.len));
    buf_add(&blob, crc, 4);
    const enum weir_status st = progress_parse(buf_view(&blob), &got, err);
    buf_free(&blob);
    return st;
}

#define MADE(text) parse_made(text, sizeof(text) - 1, &err)
#define ID "\1\20\0\0\0" "0123456789abcdef"

static void
made_up_ones(void **state)
{
    struct weir_err err;

    (void)state;
    assert_int_equal(MADE("WCP1\1" ID), WEIR_OK);
    assert_int_equal(MADE("WCP1\1" ID "\372\3\0\0\0new"), WEIR_OK);
    assert_int_equal(MADE("WCP1\2" ID), WEIR_REJECT);
    assert_non_null(strstr(err.text, "newer"));
    assert_int_equal(MADE("WCP1\1"), WEIR_REJECT);
    assert_int_equal(MADE("WCP1\1\1\17\0\0\0" "0123456789abcde"), WEIR_REJECT);
    assert_int_equal(MADE("WCP1\1" ID "\2\4\0\0\0" "abcd"), WEIR_REJECT);
    assert_int_equal(MADE("WCP1\1" ID "\5\10\0\0\0"
                          "\377\377\377\377\377\377\377\377"), WEIR_REJECT);
    assert_int_equal(MADE("WCP1\1" ID "\11\377\377\377\377" "x"), WEIR_REJECT);
    assert_int_equal(MADE("WCP1\1" ID "\11\1"), WEIR_REJECT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(every_flip_and_cut_is_found),
        cmocka_unit_test(made_up_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
