/* digits.c - see digits.h. */
#include "format/digits.h"

#include <stdbool.h>

#define TEN(t)                                                                 \
    t "0" t "1" t "2" t "3" t "4" t "5" t "6" t "7" t "8" t "9"
_Static_assert(sizeof TEN("0") == 21, "ten pairs and a NUL");

const char digit_pairs[201] =
    TEN("0") TEN("1") TEN("2") TEN("3") TEN("4")
    TEN("5") TEN("6") TEN("7") TEN("8") TEN("9");

const uint64_t digits_pow10[20] = {
    1u,
    10u,
    100u,
    1000u,
    10000u,
    100000u,
    1000000u,
    10000000u,
    100000000u,
    1000000000u,
    10000000000u,
    100000000000u,
    1000000000000u,
    10000000000000u,
    100000000000000u,
    1000000000000000u,
    10000000000000000u,
    100000000000000000u,
    1000000000000000000u,
    10000000000000000000u,
};

char *
digits_date(char *p, const struct weir_time *t)
{
    if (t->year > 9999) {
        p = digits_u64(p, t->year);
    } else {
        p = digits_two(p, t->year / 100);
        p = digits_two(p, t->year % 100);
    }
    *p++ = '-';
    p = digits_two(p, t->month);
    *p++ = '-';
    return digits_two(p, t->day);
}

char *
digits_clock(char *p, const struct weir_time *t, unsigned scale)
{
    if (t->negative) {
        *p++ = '-';
    }
    p = digits_two(p, t->hour);
    *p++ = ':';
    p = digits_two(p, t->minute);
    *p++ = ':';
    p = digits_two(p, t->second);
    if (scale) {
        *p++ = '.';
        digits_two(p, t->usec / 10000 % 100);
        digits_two(p + 2, t->usec / 100 % 100);
        digits_two(p + 4, t->usec % 100);
        p += scale < 6 ? scale : 6;
    }
    return p;
}

/* Days since 1970 to a date of the Gregorian calendar: whole eras of 400 years,
 * years that begin in March. */
static void
date_of_day(int64_t day, struct weir_time *t)
{
    day += 719468;
    const int64_t  era = (day >= 0 ? day : day - 146096) / 146097;
    const uint32_t doe = (uint32_t)(day - era * 146097);
    const uint32_t yoe =
        (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    const uint32_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    const uint32_t month = (5 * doy + 2) / 153;
    const bool     next_year = month >= 10;

    t->day = (uint8_t)(doy - (153 * month + 2) / 5 + 1);
    t->month = (uint8_t)(next_year ? month - 9 : month + 3);
    t->year = (uint16_t)((int64_t)yoe + era * 400 + next_year);
}

char *
digits_instant(char *p, int64_t usec)
{
    const int64_t day_usec = INT64_C(86400000000);
    int64_t       day = usec / day_usec;
    int64_t       rest = usec % day_usec;
    if (rest < 0) {
        rest += day_usec;
        day--;
    }
    struct weir_time t = { .usec = (uint32_t)(rest % 1000000) };
    rest /= 1000000;
    t.second = (uint8_t)(rest % 60);
    t.minute = (uint8_t)(rest / 60 % 60);
    t.hour = (uint16_t)(rest / 3600);
    date_of_day(day, &t);
    p = digits_date(p, &t);
    *p++ = 'T';
    p = digits_clock(p, &t, 6);
    *p++ = 'Z';
    return p;
}
