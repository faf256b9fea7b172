/* check.c - where a failed assert() ends. */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

void
check_failed(const char *what, const char *file, int line)
{
    fprintf(stderr, "weir: %s:%d: assertion failed: %s\n", file, line, what);
    abort();
}
