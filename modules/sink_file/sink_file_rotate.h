/*
 * sink_file_rotate.h - a file in parts: when the next one begins, and which of
 * those that are done with are removed.  Parts count from 1 without a gap, so
 * no list of the old ones is needed.
 */
#ifndef SINK_FILE_ROTATE_H
#define SINK_FILE_ROTATE_H

#include "sink_file_set.h"

struct rotation { /* 0: no limit */
    int64_t size, every_ms;
    int64_t keep_files, keep_ms, keep_bytes;
};

bool    rotation_is_on(const struct rotation *r);
int64_t rotation_now_ms(void); /* since 1970 */

/* A file that is new to us begins with the first part that is not there. */
enum weir_status rotation_begin(const struct rotation *r, struct file_set *set,
                                struct file *f, struct weir_err *err);
/* Before so many bytes are written: on to the next part, if that is due. */
void rotation_move(const struct rotation *r, struct file_set *set,
                   struct file *f, uint64_t bytes);
/* Removes the parts that are too many, too old or too large in all, the oldest
 * first, and never the one that is written to. */
enum weir_status rotation_retain(const struct rotation *r, struct file_set *set,
                                 const struct file *f, struct weir_err *err);

#endif
