/* crash.c - see crash.h. */
#include "base/crash.h"

#ifdef WEIR_CRASH_POINTS

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static char         wanted[64];
static atomic_uint *left; /* shared with all that are forked */

void
crash_init(void)
{
    const char *text = getenv("WEIR_CRASH");
    unsigned    n;

    if (!text || sscanf(text, "%63[^:]:%u", wanted, &n) != 2 || n == 0) {
        return;
    }
    left = mmap(NULL, sizeof *left, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (left == MAP_FAILED) {
        fprintf(stderr, "weir: WEIR_CRASH: no memory\n");
        exit(1);
    }
    atomic_store(left, n);
}

void
crash_point(const char *name)
{
    if (!left || strcmp(name, wanted) != 0 || atomic_load(left) == 0 ||
        atomic_fetch_sub(left, 1) != 1) {
        return;
    }
    fprintf(stderr, "weir: crash point %s\n", name);
    kill(getpid(), SIGKILL);
    pause();
}

#else

/* A translation unit may not be empty. */
typedef int crash_points_are_compiled_out;

#endif
