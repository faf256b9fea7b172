/* traces.c - what an instance may not leave in its process; see host.h. */
#include "tools/modtest/host.h"

#include <dirent.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"

static size_t
entries(const char *path)
{
    DIR   *dir = opendir(path);
    size_t n = 0;

    while (dir && readdir(dir)) {
        n++;
    }
    if (dir) {
        closedir(dir);
    }
    return n;
}

/* Of all our threads: a file of pids for each. */
static size_t
children(void)
{
    DIR           *dir = opendir("/proc/self/task");
    struct dirent *e;
    size_t         n = 0;

    while (dir && (e = readdir(dir)) != NULL) {
        char path[320];
        int  pid;
        snprintf(path, sizeof path, "/proc/self/task/%s/children", e->d_name);
        FILE *f = e->d_name[0] == '.' ? NULL : fopen(path, "r");
        while (f && fscanf(f, "%d", &pid) == 1) {
            n++;
        }
        if (f) {
            fclose(f);
        }
    }
    if (dir) {
        closedir(dir);
    }
    return n;
}

static uint64_t
memory_used(void)
{
#ifdef __GLIBC__
    const struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
#else
    return 0;
#endif
}

/* Of signals only what a module could have changed. */
static uint64_t
process_state(void)
{
    char         dir[PATH_MAX] = "";
    uint64_t     hash = 0;
    sigset_t     mask;
    const mode_t um = umask(0);

    umask(um);
    for (int s = 1; s < 32; s++) {
        struct sigaction action;
        if (sigaction(s, NULL, &action) == 0) {
            hash = str_hash(hash, (struct weir_str){
                                      (const char *)&action.sa_handler,
                                      sizeof action.sa_handler });
        }
    }
    sigprocmask(SIG_BLOCK, NULL, &mask);
    for (int s = 1; s < 32; s++) {
        const char blocked = (char)sigismember(&mask, s);
        hash = str_hash(hash, (struct weir_str){ &blocked, 1 });
    }
    if (getcwd(dir, sizeof dir)) {
        hash = str_hash(hash, str_of(dir));
    }
    return str_hash(hash, (struct weir_str){ (const char *)&um, sizeof um });
}

struct traces
traces_now(void)
{
    return (struct traces){ .nfds = entries("/proc/self/fd"),
                            .nthreads = entries("/proc/self/task"),
                            .nchildren = children(),
                            .handlers = process_state() };
}

void
leak_note(struct leak *l, int cycle)
{
    if (cycle % LEAK_WINDOW == 0) {
        l->at[cycle / LEAK_WINDOW] = memory_used();
    }
}

void
leak_point(const struct leak *l, const char *what)
{
    const uint64_t last = memory_used();
    uint64_t       least = UINT64_MAX;

    if (last == 0) {
        skipped(what, "this C library does not say how much memory is in use");
        return;
    }
    for (int i = 1; i < LEAK_WINDOWS; i++) {
        const uint64_t next = i + 1 < LEAK_WINDOWS ? l->at[i + 1] : last;
        const uint64_t more = next > l->at[i] ? next - l->at[i] : 0;
        least = more < least ? more : least;
    }
    point(least < (uint64_t)LEAK_WINDOW * 8,
          "%s keeps no memory (each time it is %llu bytes more)", what,
          (unsigned long long)least / LEAK_WINDOW);
}

void
traces_compare(const struct traces *before, const char *what)
{
    struct traces now = traces_now();

    /* A thread that was joined, or told to end, may take a moment to go. */
    for (int i = 0; i < 100 && now.nthreads > before->nthreads; i++) {
        usleep(20000);
        now = traces_now();
    }
    point(now.nfds <= before->nfds, "%s leaves no file descriptor open (%zu)",
          what, now.nfds > before->nfds ? now.nfds - before->nfds : 0);
    point(now.nthreads <= before->nthreads, "%s leaves no thread (%zu)", what,
          now.nthreads > before->nthreads ? now.nthreads - before->nthreads
                                          : 0);
    point(now.handlers == before->handlers,
          "%s leaves signals, umask and working folder as they were", what);
    point(now.nchildren <= before->nchildren, "%s leaves no process (%zu)",
          what, now.nchildren > before->nchildren
                    ? now.nchildren - before->nchildren
                    : 0);
}
