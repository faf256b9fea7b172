/*
 * inflate.h - what MariaDB deflates: parts of events and, one by one, values
 * of compressed columns.  The inflater itself is one for each thread and ends
 * with it.
 */
#ifndef WEIR_BINLOG_INFLATE_H
#define WEIR_BINLOG_INFLATE_H

#include <stddef.h>

#include <weir/module.h>

/* The size of a deflated part of an event once inflated.  REJECT: malformed,
 * more than `max`, or more than so few bytes can become. */
enum weir_status inflate_event_size(struct weir_str part, size_t max,
                                    size_t *size, struct weir_err *err);
/* `size` as told by the above; exactly so much comes out. */
enum weir_status inflate_event(struct weir_str part, char *out, size_t size,
                               struct weir_err *err);

/* The same of a value in a compressed column.  `plain`: nothing to inflate, it
 * is the value's bytes. */
enum weir_status inflate_column_size(struct weir_str value, size_t *size,
                                     struct weir_str *plain,
                                     struct weir_err *err);
enum weir_status inflate_column(struct weir_str value, char *out, size_t size,
                                struct weir_err *err);

#endif
