/*
 * check.h - assert() that stays in release builds: for mistakes in our own
 * code, never for bytes from a wire, a config or a disk.  A worker that dies
 * of one is started again by the master at its checkpoint.
 */
#ifndef WEIR_BASE_CHECK_H
#define WEIR_BASE_CHECK_H

_Noreturn void check_failed(const char *what, const char *file, int line);

#undef assert
#define assert(x) ((x) ? (void)0 : check_failed(#x, __FILE__, __LINE__))

#endif
