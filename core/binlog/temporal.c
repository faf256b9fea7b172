/*
 * temporal.c - dates and times to fields.  Formats: MySQL mysys/my_time.cc,
 * MariaDB sql/compat56.cc.  Days and months may be 0 wherever the server let
 * them in.
 */
#include "base/bytes.h"
#include "binlog/table_map.h"
#include "binlog/value.h"

static bool
clock_fits(const struct weir_time *t)
{
    return t->minute < 60 && t->second < 60 && t->usec < 1000000;
}

static bool
calendar_fits(const struct weir_time *t)
{
    return t->year <= 9999 && t->month <= 12 && t->day <= 31 && t->hour < 24;
}

/* Microseconds of a fraction as stored with so many digits. */
static uint32_t
fraction_usec(uint64_t fraction, unsigned digits)
{
    static const uint32_t unit[4] = { 0, 10000, 100, 1 };
    return (uint32_t)fraction * unit[(digits + 1) / 2];
}

/* Microseconds of the last of so many digits. */
static uint32_t
digits_unit(unsigned digits)
{
    static const uint32_t unit[7] = { 1000000, 100000, 10000, 1000,
                                      100,     10,     1 };
    return unit[digits];
}

bool
time_of_date(uint32_t packed, struct weir_time *t)
{
    *t = (struct weir_time){ .year = (uint16_t)(packed >> 9),
                             .month = packed >> 5 & 15,
                             .day = packed & 31 };
    return calendar_fits(t);
}

bool
time_of_datetime2(const uint8_t *p, unsigned digits, struct weir_time *t)
{
    const uint64_t v = (uint64_t)get_be32(p) << 8 | p[4];
    const uint64_t half = UINT64_C(1) << 39; /* all valid ones are above */
    const uint32_t months = (uint32_t)((v - half) >> 22);

    *t = (struct weir_time){
        .year = (uint16_t)(months / 13),
        .month = (uint8_t)(months % 13),
        .day = v >> 17 & 31,
        .hour = v >> 12 & 31,
        .minute = v >> 6 & 63,
        .second = v & 63,
        .usec = fraction_usec(get_be(p + 5, (digits + 1) / 2), digits),
    };
    return v >= half && months / 13 <= 9999 && calendar_fits(t) &&
           clock_fits(t);
}

/* From days since 1970 to a date, by years that begin in March, so that the
 * leap day is the last. */
static void
civil_date(uint32_t days, struct weir_time *t)
{
    const uint32_t since0 = days + 719468; /* 0000-03-01 */
    const uint32_t era = since0 / 146097, in_era = since0 % 146097;
    const uint32_t year =
        (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    const uint32_t in_year = in_era - (365 * year + year / 4 - year / 100);
    const uint32_t month = (5 * in_year + 2) / 153; /* 0 is March */

    t->day = (uint8_t)(in_year - (153 * month + 2) / 5 + 1);
    t->month = (uint8_t)(month < 10 ? month + 3 : month - 9);
    t->year = (uint16_t)(year + era * 400 + (month >= 10));
}

bool
time_of_epoch(uint32_t seconds, uint32_t usec, struct weir_time *t)
{
    *t = (struct weir_time){ .usec = usec };
    if (seconds == 0) {
        return usec < 1000000; /* the zero date: 1970 begins at 1 */
    }
    const uint32_t in_day = seconds % 86400;
    civil_date(seconds / 86400, t);
    t->hour = (uint16_t)(in_day / 3600);
    t->minute = (uint8_t)(in_day / 60 % 60);
    t->second = (uint8_t)(in_day % 60);
    return usec < 1000000;
}

bool
time_of_timestamp2(const uint8_t *p, unsigned digits, struct weir_time *t)
{
    return time_of_epoch(get_be32(p),
                         fraction_usec(get_be(p + 4, (digits + 1) / 2),
                                       digits),
                         t);
}

/* A whole of hours, minutes, seconds with the fraction behind, of which zero
 * is in the middle: a negative time's fraction counts backwards. */
bool
time_of_time2(const uint8_t *p, unsigned digits, struct weir_time *t)
{
    const unsigned bytes = (digits + 1) / 2, bits = 8 * bytes;
    const int64_t  v =
        (int64_t)get_be(p, 3 + bytes) - (INT64_C(0x800000) << bits);
    const uint64_t u = v < 0 ? (uint64_t)-v : (uint64_t)v;
    const uint64_t whole = u >> bits;

    *t = (struct weir_time){
        .hour = whole >> 12 & 1023,
        .minute = whole >> 6 & 63,
        .second = whole & 63,
        .usec = fraction_usec(u & ((UINT64_C(1) << bits) - 1), digits),
        .negative = v < 0,
    };
    return whole >> 22 == 0 && t->hour <= 838 && clock_fits(t);
}

static bool
old_time(uint32_t packed, struct weir_time *t)
{
    const int32_t v = (int32_t)(packed << 8) >> 8;
    const uint32_t u = v < 0 ? (uint32_t)-v : (uint32_t)v;

    *t = (struct weir_time){ .hour = (uint16_t)(u / 10000),
                             .minute = u / 100 % 100,
                             .second = u % 100,
                             .negative = v < 0 };
    return t->hour <= 838 && clock_fits(t);
}

static bool
old_datetime(uint64_t packed, struct weir_time *t)
{
    const uint64_t date = packed / 1000000;
    const uint32_t clock = (uint32_t)(packed % 1000000);

    *t = (struct weir_time){
        .year = (uint16_t)(date / 10000), .month = date / 100 % 100,
        .day = date % 100,                .hour = (uint16_t)(clock / 10000),
        .minute = clock / 100 % 100,      .second = clock % 100,
    };
    return date / 10000 <= 9999 && calendar_fits(t) && clock_fits(t);
}

/* Field_time_hires, Field_datetime_hires and Field_timestamp_hires of MariaDB
 * sql/field.cc: whole numbers, big-endian, in units of the last digit. */
unsigned
time_old_bytes(uint8_t type, unsigned digits)
{
    static const uint8_t of_time[7] = { 3, 4, 4, 5, 5, 5, 6 };
    static const uint8_t of_datetime[7] = { 8, 6, 6, 7, 7, 7, 8 };
    static const uint8_t of_timestamp[7] = { 4, 5, 5, 6, 6, 7, 7 };

    return type == COLUMN_TIME       ? of_time[digits]
           : type == COLUMN_DATETIME ? of_datetime[digits]
                                     : of_timestamp[digits];
}

/* 0 is -839 hours. */
static bool
old_fraction_time(uint64_t v, unsigned digits, struct weir_time *t)
{
    const int64_t  unit = (int64_t)digits_unit(digits);
    const int64_t  zero = INT64_C(839) * 3600 * 1000000 / unit;
    const int64_t  usec = ((int64_t)v - zero) * unit;
    const uint64_t u = usec < 0 ? (uint64_t)-usec : (uint64_t)usec;

    *t = (struct weir_time){ .hour = (uint16_t)(u / 3600000000),
                             .minute = u / 60000000 % 60,
                             .second = u / 1000000 % 60,
                             .usec = (uint32_t)(u % 1000000),
                             .negative = usec < 0 };
    return u < UINT64_C(839) * 3600 * 1000000;
}

/* Months of a year of 13 and days of a month of 32, so that there is a 0. */
static bool
old_fraction_datetime(uint64_t v, unsigned digits, struct weir_time *t)
{
    const uint64_t per_second = 1000000 / digits_unit(digits);
    const uint64_t seconds = v / per_second, days = seconds / 86400;

    *t = (struct weir_time){
        .year = (uint16_t)(days / 32 / 13),
        .month = days / 32 % 13,
        .day = days % 32,
        .hour = (uint16_t)(seconds / 3600 % 24),
        .minute = seconds / 60 % 60,
        .second = seconds % 60,
        .usec = (uint32_t)(v % per_second * digits_unit(digits)),
    };
    return days / 32 / 13 <= 9999 && calendar_fits(t);
}

static bool
old_fraction(uint8_t type, const uint8_t *p, unsigned digits,
             struct weir_time *t)
{
    const unsigned bytes = time_old_bytes(type, digits);

    switch (type) {
    case COLUMN_TIME:
        return old_fraction_time(get_be(p, bytes), digits, t);
    case COLUMN_DATETIME:
        return old_fraction_datetime(get_be(p, bytes), digits, t);
    default:
        return time_of_epoch(
            get_be32(p),
            (uint32_t)(get_be(p + 4, bytes - 4) * digits_unit(digits)), t);
    }
}

bool
time_of_old(uint8_t type, const uint8_t *p, unsigned digits,
            struct weir_time *t)
{
    if (digits > 0) {
        return old_fraction(type, p, digits, t);
    }
    switch (type) {
    case COLUMN_TIME:
        return old_time((uint32_t)get_le(p, 3), t);
    case COLUMN_DATETIME:
        return old_datetime(get_le64(p), t);
    default:
        return time_of_epoch(get_le32(p), 0, t);
    }
}

bool
time_of_packed(int64_t packed, bool is_time, struct weir_time *t)
{
    const bool     negative = packed < 0;
    const uint64_t u = negative ? -(uint64_t)packed : (uint64_t)packed;
    const uint64_t whole = u >> 24;
    const uint64_t months = whole >> 22;

    *t = (struct weir_time){
        .minute = whole >> 6 & 63,
        .second = whole & 63,
        .usec = u & 0xffffff,
        .negative = negative,
    };
    if (is_time) {
        t->hour = whole >> 12 & 1023;
        return whole >> 22 == 0 && t->hour <= 838 && clock_fits(t);
    }
    t->hour = whole >> 12 & 31;
    t->day = whole >> 17 & 31;
    t->month = (uint8_t)(months % 13);
    t->year = (uint16_t)(months / 13);
    return !negative && months / 13 <= 9999 && calendar_fits(t) &&
           clock_fits(t);
}
