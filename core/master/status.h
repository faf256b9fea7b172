/*
 * status.h - what `weir -s status` prints: the pages in <state>/run as a table
 * for each pipeline.  Asks no process, so it works whatever they are at.
 */
#ifndef WEIR_MASTER_STATUS_H
#define WEIR_MASTER_STATUS_H

#include "master/state.h"

/* OK: printed, and everything runs.  DROP: printed, and something does not. */
enum weir_status status_print(const char *dir, const struct holder *holder,
                              struct weir_err *err);

#endif
