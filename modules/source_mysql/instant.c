/*
 * instant.c - a point in time from text and to text, by the calendar only: the
 * machine's zone is never asked.
 */
#include "instant.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>

enum { YEAR_FIRST = 1970, YEAR_LAST = 2105, ZONE_MAX_HOURS = 14 };

/* Exactly n digits at *p, moving it behind them. */
static bool
digits_take(const char **p, int n, int *out)
{
    int v = 0;

    for (int i = 0; i < n; i++) {
        const char c = (*p)[i];
        if (c < '0' || c > '9') {
            return false;
        }
        v = v * 10 + (c - '0');
    }
    *p += n;
    *out = v;
    return true;
}

static bool
char_take(const char **p, char c)
{
    if (**p != c) {
        return false;
    }
    (*p)++;
    return true;
}

static int
days_of(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30,
                                31 };
    const bool leap =
        (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

static bool
date_take(const char **p, int64_t *days)
{
    int year, month, day;

    if (!digits_take(p, 4, &year) || !char_take(p, '-') ||
        !digits_take(p, 2, &month) || !char_take(p, '-') ||
        !digits_take(p, 2, &day) || year < YEAR_FIRST || year > YEAR_LAST ||
        month < 1 || month > 12 || day < 1 || day > days_of(year, month)) {
        return false;
    }
    *days = day - 1;
    for (int y = YEAR_FIRST; y < year; y++) {
        *days += 337 + days_of(y, 2);
    }
    for (int m = 1; m < month; m++) {
        *days += days_of(year, m);
    }
    return true;
}

static bool
clock_take(const char **p, int64_t *usec)
{
    int hour, minute, second, digit, fraction = 0, unit = 100000;

    if (!digits_take(p, 2, &hour) || !char_take(p, ':') ||
        !digits_take(p, 2, &minute) || !char_take(p, ':') ||
        !digits_take(p, 2, &second) || hour > 23 || minute > 59 ||
        second > 59) {
        return false;
    }
    if (char_take(p, '.')) {
        const char *const from = *p;
        for (; unit > 0 && digits_take(p, 1, &digit); unit /= 10) {
            fraction += digit * unit;
        }
        if (*p == from) {
            return false;
        }
    }
    *usec = (hour * INT64_C(3600) + minute * 60 + second) * 1000000 + fraction;
    return true;
}

/* How far the zone's clocks are ahead of UTC. */
static bool
zone_take(const char **p, int64_t *usec)
{
    int hours, minutes;

    *usec = 0;
    if (**p == '\0' || char_take(p, 'Z')) {
        return true;
    }
    const int sign = char_take(p, '-') ? -1 : char_take(p, '+') ? 1 : 0;
    if (sign == 0 || !digits_take(p, 2, &hours) || !char_take(p, ':') ||
        !digits_take(p, 2, &minutes) || minutes > 59 ||
        hours * 60 + minutes > ZONE_MAX_HOURS * 60) {
        return false;
    }
    *usec = sign * (hours * 60 + minutes) * INT64_C(60000000);
    return true;
}

bool
instant_parse(const char *text, int64_t *usec)
{
    const char *p = text;
    int64_t     days, of_day, zone;

    if (!date_take(&p, &days) || (!char_take(&p, ' ') && !char_take(&p, 'T')) ||
        !clock_take(&p, &of_day) || !zone_take(&p, &zone) || *p) {
        return false;
    }
    *usec = days * INT64_C(86400000000) + of_day - zone;
    return *usec >= 0;
}

const char *
instant_format(int64_t usec, char out[INSTANT_TEXT])
{
    const time_t seconds = (time_t)(usec / 1000000);
    const int    fraction = (int)(usec % 1000000);
    struct tm    tm;
    char         text[24] = "?";

    if (gmtime_r(&seconds, &tm)) {
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
    }
    if (fraction) {
        snprintf(out, INSTANT_TEXT, "%s.%06d UTC", text, fraction);
    } else {
        snprintf(out, INSTANT_TEXT, "%s UTC", text);
    }
    return out;
}
