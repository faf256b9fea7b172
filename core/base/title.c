/* title.c - see title.h. */
#include "base/title.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"

static struct {
    char  *start;
    size_t room;
} title;

/* Arguments and environment are one run of strings, as the kernel lays them
 * out; anything that isn't next to the one before ends it. */
static void
take(char **string, char **end)
{
    if (*string == *end) {
        *end = *string + strlen(*string) + 1;
    }
    *string = xstrdup(*string);
}

void
title_init(int argc, char **argv)
{
    if (argc < 1) {
        return;
    }
    char *end = argv[0] + strlen(argv[0]) + 1;
    char *start = argv[0];
    for (int i = 1; i < argc; i++) {
        take(&argv[i], &end);
    }
    for (char **variable = environ; variable && *variable; variable++) {
        take(variable, &end);
    }
    argv[0] = xstrdup(argv[0]);
    title.start = start;
    title.room = (size_t)(end - start);
}

void
title_set(const char *fmt, ...)
{
    va_list ap;

    if (!title.start) {
        return;
    }
    va_start(ap, fmt);
    const int n = vsnprintf(title.start, title.room, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < title.room) {
        memset(title.start + n, 0, title.room - (size_t)n);
    }
}
