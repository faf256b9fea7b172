/*
 * value.h - one value of a row, from its bytes.  Knows columns, not rows.
 */
#ifndef WEIR_BINLOG_VALUE_H
#define WEIR_BINLOG_VALUE_H

#include "binlog/rows.h"

/* Where values that can't point into the event are put. */
struct value_space {
    struct arena *a;
    size_t        limit; /* of a->used: what one row may become */
};

/* Room for `size` bytes, or NULL: that is more than a row may become. */
char *value_room(struct value_space *space, size_t size);

/* Both give where the next value begins, or NULL: it doesn't fit into the
 * event, or, of value_read(), can't be given unaltered.  Not for NULLs. */
const uint8_t *value_read(const struct binlog_column *c, const uint8_t *p,
                          const uint8_t *end, struct weir_value *v,
                          struct value_space *space, struct weir_err *err);
const uint8_t *value_skip(const struct binlog_column *c, const uint8_t *p,
                          const uint8_t *end, struct weir_err *err);

/* ---- decimal.c */
enum { DECIMAL_TEXT_MAX = 72 };
unsigned decimal_bytes(unsigned precision, unsigned scale);
/* Writes all its digits; their number, or 0 if the bytes make no decimal. */
size_t decimal_text(const uint8_t *p, unsigned precision, unsigned scale,
                    char *out);

/* ---- temporal.c: false if there is no such time.  Zero dates are ones. */
bool time_of_date(uint32_t packed, struct weir_time *t);
bool time_of_datetime2(const uint8_t *p, unsigned digits, struct weir_time *t);
bool time_of_timestamp2(const uint8_t *p, unsigned digits,
                        struct weir_time *t);
bool time_of_time2(const uint8_t *p, unsigned digits, struct weir_time *t);
bool time_of_epoch(uint32_t seconds, uint32_t usec, struct weir_time *t);
/* A TIME, DATETIME or TIMESTAMP of before MySQL 5.6, MariaDB's with fractions of
 * up to 6 digits; and how many bytes it takes. */
bool time_of_old(uint8_t type, const uint8_t *p, unsigned digits,
                 struct weir_time *t);
unsigned time_old_bytes(uint8_t type, unsigned digits);
/* MySQL's form inside JSON, of a date and time, or of a time. */
bool time_of_packed(int64_t packed, bool is_time, struct weir_time *t);

/* ---- json.c: MySQL's binary form as compact JSON text. */
bool json_text(const uint8_t *p, size_t len, struct value_space *space,
               struct weir_str *out, struct weir_err *err);

/* ---- json_diff.c: that form before, and PARTIAL_UPDATE's changes to it, as
 * the text of what it is after. */
bool json_diff_text(struct weir_str before, struct weir_str changes,
                    struct value_space *space, struct weir_str *out,
                    struct weir_err *err);

#endif
