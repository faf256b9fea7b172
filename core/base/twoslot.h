/*
 * twoslot.h - a small value in a file that a crash can't harm: two slots of
 * 4 KiB (or a larger power of two), written in turn, each with a generation and
 * a CRC; the valid one with the higher generation counts.  One writing process
 * a file; any may read.
 *
 * A slot: "WSLT", u32 crc (CRC32C of the rest), u32 slot_size, u32 len,
 * u64 generation, data.
 */
#ifndef WEIR_BASE_TWOSLOT_H
#define WEIR_BASE_TWOSLOT_H

#include <weir/module.h>

#include "base/arena.h"

struct twoslot;

/* Opens or makes it.  FATAL if it is there and neither slot is valid: a value
 * that was stored is never taken for none. */
enum weir_status twoslot_open(const char *path, struct twoslot **out,
                              struct weir_err *err);
void twoslot_close(struct twoslot **t);

/* What was stored last; empty if nothing was.  Lives until the next call. */
struct weir_str twoslot_value(const struct twoslot *t);
/* `sync`: durable when it returns.  A value larger than a slot makes the file
 * anew, with larger ones. */
enum weir_status twoslot_write(struct twoslot *t, struct weir_str value,
                               bool sync, struct weir_err *err);

/* By another process: a copy in `a`, empty if there is no such file. */
enum weir_status twoslot_read(struct arena *a, const char *path,
                              struct weir_str *out, struct weir_err *err);

#endif
