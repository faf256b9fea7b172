/*
 * quiet.h - from here on nothing may be touched: no file, socket, process or
 * thread.  The kernel traps who does, which is a failed point and ends the
 * process.
 */
#ifndef WEIR_TOOLS_MODTEST_QUIET_H
#define WEIR_TOOLS_MODTEST_QUIET_H

#include <stdbool.h>

/* False: this machine has no such filter. */
bool quiet_arm(void);

#endif
