/*
 * crash.h - places at which a test kills the process: WEIR_CRASH=point:n ends
 * with SIGKILL the process that passes the point as the n-th of all of this
 * Weir, once.  Only in builds with --enable-debug or --enable-sanitizers; in
 * others a point is nothing at all.
 */
#ifndef WEIR_BASE_CRASH_H
#define WEIR_BASE_CRASH_H

#ifdef WEIR_CRASH_POINTS
/* Reads WEIR_CRASH; before the first fork, so that all count together. */
void crash_init(void);
/* `name` is "room.step"; t/fault/30-crash-points.t has a line for each. */
void crash_point(const char *name);
#define CRASH_POINT(name) crash_point(name)
#else
#define crash_init() ((void)0)
#define CRASH_POINT(name) ((void)0)
#endif

#endif
