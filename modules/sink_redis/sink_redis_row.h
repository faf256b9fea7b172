/*
 * sink_redis_row.h - a row as commands: HSET, HDEL, DEL.  What is the same for
 * all rows of a table is made once.  Knows neither transactions nor keys: the
 * key is given.
 */
#ifndef SINK_REDIS_ROW_H
#define SINK_REDIS_ROW_H

#include "sink_redis_wire.h"

struct row_table {
    const struct weir_table *table;
    size_t                   ncolumns;
    struct weir_str         *words; /* "$4\r\nname\r\n" of each column */
};

/* NULL: no memory. */
struct row_table *row_table_new(const struct weir_table *table);
void              row_table_free(struct row_table *t);

/* What stands in both images counts as it is after; *whole: no column is
 * missing.  `merged` has ncolumns values. */
void row_merge(const struct row_table *t, const struct weir_value *before,
               const struct weir_value *after, struct weir_value *merged,
               bool *whole);

/* Adds the commands that make the hash have these values: HSET of what is
 * there, HDEL of NULLs, nothing of what is absent.  *ncommands grows by as
 * many.  REJECT: a value larger than Redis takes; nothing was added then. */
enum weir_status row_store(struct weir_instance *in, struct wire *w,
                           const struct row_table *t, struct weir_str key,
                           const struct weir_value *values, size_t *ncommands,
                           struct weir_err *err);
void row_remove(struct wire *w, struct weir_str key, size_t *ncommands);

#endif
