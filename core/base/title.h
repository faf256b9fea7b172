/*
 * title.h - what `ps` shows of this process.  Written over the memory that the
 * arguments and the environment came in, which is the only way that needs no
 * privilege; what was there is copied away first.
 */
#ifndef WEIR_BASE_TITLE_H
#define WEIR_BASE_TITLE_H

/* First thing in main().  The strings of `argv` may be kept: argv[1] and on
 * point to copies afterwards. */
void title_init(int argc, char **argv);

/* "weir: sink shop/cache"; cut to the room there is. */
void title_set(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
