/*
 * log_text.h - a recorded binlog as text to compare with: a line for each row,
 * "users insert 1, 'joe', NULL".  Bytes are x'00ff', absent columns "-",
 * unsigned numbers end in "u", errors stand in the line of their row.
 */
#ifndef WEIR_T_LOG_TEXT_H
#define WEIR_T_LOG_TEXT_H

#include "base/buf.h"
#include "schema/table.h"

/* t/data/NAME, whole. */
struct buf log_read(const char *name);

/* The n-th event of that type, from 0, with the stream as it is then; inside
 * payloads, too, which are put into *inner. */
struct binlog_event log_event(struct buf log, enum binlog_type type, int nth,
                              struct binlog_stream *s, struct buf *inner);

/* The rows of table `name`, or of all if it is NULL. */
struct weir_str log_rows(const char *file, const char *name,
                         const struct definition *def, struct buf *out);

/* One value; decimals as they are, doubles by %.17g. */
void put_value(const struct weir_value *v, struct buf *out);

/* A column of that definition. */
#define DEFINED(column, type, collated)                                        \
    { STR(column), STR(type), STR(collated), 0 }

#endif
