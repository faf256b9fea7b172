/*
 * instant.h - a point in time as people write it, and as messages show it.
 * Knows no server and no configuration.
 */
#ifndef SOURCE_MYSQL_INSTANT_H
#define SOURCE_MYSQL_INSTANT_H

#include <stdbool.h>
#include <stdint.h>

/* "2026-11-01 00:00:00", a T in place of the space, up to six digits of a
 * fraction, and a zone: Z, +02:00, or none, which is UTC.  Microseconds since
 * 1970; false: it isn't one, or not of 1970 to 2105, which is what the seconds
 * of a binlog reach. */
bool instant_parse(const char *text, int64_t *usec);

/* "2026-11-01 00:00:00 UTC", with a fraction if it has one. */
enum { INSTANT_TEXT = 40 };
const char *instant_format(int64_t usec, char out[INSTANT_TEXT]);

#endif
