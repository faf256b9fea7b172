/*
 * sink_redis_row.h - a row as commands: HSET, HDEL, PEXPIRE; SET; DEL.  What is
 * the same for all rows of a table is made once.  Knows neither transactions
 * nor keys: the key is given.
 */
#ifndef SINK_REDIS_ROW_H
#define SINK_REDIS_ROW_H

#include "sink_redis_wire.h"

enum { ROW_LARGE = 1 << 18 }; /* from here on sent from where it is */

struct row_table {
    const struct weir_table *table;
    size_t                   ncolumns;
    size_t                   column; /* the one that is the value of a string */
    struct weir_str          null;   /* what NULL is written as; or no data */
    enum weir_type           least;  /* of what is written: NULL or behind it */
    int64_t                  ttl;    /* in ms, or 0 */
    struct weir_str         *words;  /* "$4\r\nname\r\n" of each column */
};

/* `null` may be NULL: then NULL is not written.  NULL: no memory. */
struct row_table *row_table_new(const struct weir_table *table,
                                const char *null, int64_t ttl);
void              row_table_free(struct row_table *t);

/* What stands in both images counts as it is after; *whole: no column is
 * missing.  `merged` has ncolumns values. */
void row_merge(const struct row_table *t, const struct weir_value *before,
               const struct weir_value *after, struct weir_value *merged,
               bool *whole);

/* Adds the commands that make the hash have these values: HSET of what is
 * there, HDEL of NULLs, nothing of what is absent; and the hash live for ttl.
 * *ncommands grows by as many.  REJECT: a value larger than Redis takes;
 * nothing was added then. */
enum weir_status row_store(struct weir_instance *in, struct wire *w,
                           const struct row_table *t, struct weir_str key,
                           const struct weir_value *values, size_t *ncommands,
                           struct weir_err *err);
/* The same for a string: SET.  row_set_column(): of one value, which is not
 * absent; a NULL that is not written removes the key. */
enum weir_status row_set(struct wire *w, const struct row_table *t,
                         struct weir_str key, struct weir_str value,
                         size_t *ncommands, struct weir_err *err);
enum weir_status row_set_column(struct weir_instance *in, struct wire *w,
                                const struct row_table *t, struct weir_str key,
                                const struct weir_value *value,
                                size_t *ncommands, struct weir_err *err);
void row_remove(struct wire *w, struct weir_str key, size_t *ncommands);

#endif
