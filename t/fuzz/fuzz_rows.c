/*
 * fuzz_rows.c - any bytes as a table and its rows.  An input is a table frame
 * (schema/table_frame.c) with four bytes of length in front, then rows events'
 * bodies, each with a byte of type and four of length.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "binlog/event.h"
#include "schema/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each byte of a value has to be there; the sum keeps the reads. */
static unsigned
touch(const struct weir_value *values, uint32_t n)
{
    unsigned sum = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (values[i].type >= WEIR_DECIMAL && values[i].type <= WEIR_JSON) {
            for (size_t k = 0; k < values[i].s.len; k++) {
                sum += (unsigned char)values[i].s.data[k];
            }
        }
    }
    return sum;
}

/* Decoding a row and stepping over it end at the same place. */
static void
fuzz_rows(const struct table *t, enum binlog_type type, struct weir_str body)
{
    const uint32_t     n = t->pub.ncolumns;
    struct weir_value *before = calloc(n, sizeof *before);
    struct weir_value *after = calloc(n, sizeof *after);
    struct arena       a = { 0 };
    struct binlog_rows r, skipping;
    static volatile unsigned sum;

    if (binlog_rows_open(&r, type, body.data, body.len, t->columns, n, NULL) ==
        WEIR_OK) {
        for (int i = 0; i < 1000; i++) {
            skipping = r;
            const enum weir_status skip = binlog_rows_skip(&skipping, 1, NULL);
            const enum weir_status st =
                binlog_rows_next(&r, NULL, before, after, &a, NULL);
            if (st == WEIR_OK && (skip != WEIR_OK || skipping.p != r.p)) {
                abort();
            }
            if (skip != WEIR_OK) {
                break;
            }
            if (st == WEIR_OK) {
                sum += r.op != WEIR_INSERT ? touch(before, n) : 0;
                sum += r.op != WEIR_DELETE ? touch(after, n) : 0;
            }
            r = skipping;
            arena_reset(&a);
        }
    }
    arena_free(&a);
    free(before);
    free(after);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader         r = reader_of(data, size);
    struct arena          a = { 0 };
    const struct weir_str frame = read_str(&r, read_le(&r, 4));
    struct table         *t;
    struct weir_err       err;

    if (!r.bad && table_load(&a, frame, 1, &t, &err) == WEIR_OK) {
        while (reader_left(&r) > 0 && !r.bad) {
            const enum binlog_type type = (enum binlog_type)read_le(&r, 1);
            const struct weir_str  body = read_str(&r, read_le(&r, 4));
            if (!r.bad) {
                fuzz_rows(t, type, body);
            }
        }
    }
    arena_free(&a);
    return 0;
}
