/*
 * modtest.c - weir-modtest: the contract of weir/module.h as a program.  Loads
 * a module as the server does and tries each promise; prints TAP.  Each section
 * runs in a process of its own, so that a module that crashes, hangs or exits
 * fails one point, by name, and the rest goes on.  Knows the sections, not what
 * they try.
 */
#include <errno.h>
#include <getopt.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "tools/modtest/sections.h"

enum { ANY = 0, NEEDS_RESTORE = 1 };

static const struct section {
    const char *name;
    unsigned    stages; /* a set of 1u << stage */
    int         needs;
    void (*run)(struct host *h);
} sections[] = {
    { "load", ~0u, ANY, section_load },
    { "directives", ~0u, ANY, section_directives },
    { "check", ~0u, ANY, section_check },
    { "open", ~0u, ANY, section_open },
    { "no-fds", ~0u, ANY, section_no_fds },
    { "tables", ~0u ^ 1u << WEIR_SOURCE, ANY, section_tables },
    { "table-leaks", ~0u ^ 1u << WEIR_SOURCE, ANY, section_table_leaks },
    { "pure", 1u << WEIR_FILTER | 1u << WEIR_TRANSFORM, ANY, section_pure },
    { "write", 1u << WEIR_SINK, ANY, section_write },
    { "values", 1u << WEIR_SINK, ANY, section_values },
    { "again", 1u << WEIR_SINK, ANY, section_again },
    { "cut", 1u << WEIR_SINK, ANY, section_cut },
    { "write-leaks", 1u << WEIR_SINK, ANY, section_write_leaks },
    { "restore", 1u << WEIR_SINK, NEEDS_RESTORE, section_restore },
    { "slots", 1u << WEIR_SINK, NEEDS_RESTORE, section_slots },
    { "fence", 1u << WEIR_SINK, NEEDS_RESTORE, section_fence },
    { "killed", 1u << WEIR_SINK, NEEDS_RESTORE, section_killed },
    { "uncommitted", 1u << WEIR_SINK, NEEDS_RESTORE, section_uncommitted },
    { "run", 1u << WEIR_SOURCE, ANY, section_run },
};
enum { SECTIONS = sizeof sections / sizeof sections[0] };

struct tap {
    unsigned n, failed;
    bool     is_ended; /* the section said its last line */
};

/* ---- In the section's process */

static void
redirect(const char *path)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
    const int nothing = open("/dev/null", O_RDWR);

    assert(fd != -1 && nothing != -1);
    assert(dup2(nothing, 0) == 0);
    assert(dup2(nothing, 1) == 1 && dup2(fd, 2) == 2);
    close(fd);
    close(nothing);
}

static bool
wanted(const struct section *s, const struct host *h)
{
    return s->stages & 1u << h->m->stage &&
           (s->needs != NEEDS_RESTORE || h->m->restore);
}

static void
run_section(const struct options *opt, const struct section *s,
            struct report_page *page)
{
    struct host     h = { .opt = opt };
    struct weir_err err = { "" };

    h.folder = arena_printf(&h.arena, "%s/%s", opt->work, s->name);
    const struct traces before = traces_now();
    if (host_load(&h, &err) != WEIR_OK) {
        point(false, "it loads: %s", err.text);
        return;
    }
    page->stage = (int)h.m->stage;
    snprintf(page->title, sizeof page->title, "%s %s %s, ABI %u.%u",
             module_stage_name(h.m->stage), h.m->name, h.m->version,
             h.m->abi_major, h.m->abi_minor);
    if (!wanted(s, &h)) {
        return;
    }
    if (s->run == section_load) {
        point(true, "it loads: %s", page->title);
        traces_compare(&before, "loading it");
    } else if (host_configure(&h, &err) != WEIR_OK) {
        return; /* the first section said so */
    }
    if (h.m->stage == WEIR_SINK && h.conf) {
        h.batching = module_batching(h.m, h.conf, 0, 0, 0);
    }
    s->run(&h);
}

_Noreturn static void
section_process(const struct options *opt, const struct section *s,
                struct report_page *page, int fd, const char *noise)
{
    struct weir_err err;

    static const int deadly[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL };

    /* A sanitizer's handlers would make of them an exit like any other. */
    for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++) {
        signal(deadly[i], SIG_DFL);
    }
    setpgid(0, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* orphans of the module's come to us */
    redirect(noise);
    log_open(NULL, &err);
    log_level(WEIR_DEBUG);
    signal(SIGPIPE, SIG_IGN);
    report_to(fd, page);
    run_section(opt, s, page);
    report_end();
    _exit(0);
}

/* ---- What came of it */

static void
print_point(struct tap *tap, bool pass, const char *section, const char *text)
{
    tap->n++;
    tap->failed += !pass;
    printf("%sok %u - %s: %s\n", pass ? "" : "not ", tap->n, section, text);
}

static void
print_line(struct tap *tap, const char *section, char *line)
{
    if (strncmp(line, "ok ", 3) == 0) {
        print_point(tap, true, section, line + 3);
    } else if (strncmp(line, "not ok ", 7) == 0) {
        print_point(tap, false, section, line + 7);
    } else if (strncmp(line, "note ", 5) == 0) {
        printf("# %s: %s\n", section, line + 5);
    } else if (strncmp(line, "skip ", 5) == 0) {
        char *why = strchr(line, '\t');
        printf("ok %u - %s: %.*s # SKIP %s\n", ++tap->n, section,
               (int)(why - line - 5), line + 5, why + 1);
    } else if (strncmp(line, "end ", 4) == 0) {
        tap->is_ended = true;
    }
    fflush(stdout);
}

/* Lines until its end, or until its time is over: false. */
static bool
read_lines(struct tap *tap, const struct section *s, int fd, int seconds)
{
    const int64_t end = clock_steady() + (int64_t)seconds * 1000000;
    static char    text[65536];
    size_t         len = 0;

    tap->is_ended = false;
    while (!tap->is_ended) {
        const int64_t now = clock_steady();
        struct pollfd  p = { .fd = fd, .events = POLLIN };
        if (now >= end || poll(&p, 1, (int)((end - now) / 1000) + 1) == 0) {
            return false;
        }
        const ssize_t n = read(fd, text + len, sizeof text - len - 1);
        if (n <= 0) {
            return true;
        }
        len += (size_t)n;
        text[len] = '\0';
        char *line = text, *newline;
        while ((newline = strchr(line, '\n')) != NULL) {
            *newline = '\0';
            print_line(tap, s->name, line);
            line = newline + 1;
        }
        len -= (size_t)(line - text);
        memmove(text, line, len);
    }
    return true;
}

/* What became of it; false: it went on without a word, and was killed. */
static bool
reap(pid_t pid, int *status, int seconds)
{
    const int64_t end = clock_steady() + (int64_t)seconds * 1000000;

    while (waitpid(pid, status, WNOHANG) == 0) {
        if (clock_steady() >= end) {
            kill(-pid, SIGKILL);
            waitpid(pid, status, 0);
            return false;
        }
        poll(NULL, 0, 1);
    }
    return true;
}

static void
print_noise(const char *path)
{
    FILE *f = fopen(path, "r");
    char  line[512];
    int   n = 0;

    while (f && n++ < 40 && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        printf("#   %s\n", line);
    }
    if (f) {
        fclose(f);
    }
}

static void
print_death(struct tap *tap, const struct section *s,
            const struct report_page *page, int status, bool hung, int seconds)
{
    const char *call = page->call[0] ? page->call : "the test";
    char        text[256];

    if (hung) {
        snprintf(text, sizeof text, "%s hangs: no end after %d s", call,
                 seconds);
    } else if (WIFSIGNALED(status)) {
        snprintf(text, sizeof text, "%s dies of signal %d (%s)", call,
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    } else {
        snprintf(text, sizeof text, "%s ends the process, with status %d",
                 call, WEXITSTATUS(status));
    }
    print_point(tap, false, s->name, text);
}

static void
try_section(const struct options *opt, const struct section *s,
            struct report_page *page, struct tap *tap)
{
    const unsigned failed = tap->failed;
    char           noise[512];
    int            lines[2], status = 0;

    snprintf(noise, sizeof noise, "%s/said", opt->work);
    page->call[0] = '\0';
    fflush(stdout);
    assert(pipe2(lines, O_CLOEXEC) == 0);
    const pid_t pid = fork();
    assert(pid != -1);
    if (pid == 0) {
        close(lines[0]);
        section_process(opt, s, page, lines[1], noise);
    }
    setpgid(pid, pid);
    close(lines[1]);
    bool in_time = read_lines(tap, s, lines[0], opt->seconds);
    if (!in_time || tap->is_ended) {
        kill(-pid, SIGKILL);
    }
    in_time = reap(pid, &status, opt->seconds) && in_time;
    kill(-pid, SIGKILL); /* what it left behind */
    close(lines[0]);
    if (!tap->is_ended) {
        print_death(tap, s, page, status, !in_time, opt->seconds);
    }
    if (tap->failed > failed) {
        print_noise(noise);
    }
}

/* ---- Command line */

static void
usage(FILE *out)
{
    fprintf(out,
            "usage: weir-modtest [-t SECONDS] [-b BYTES] [-s SECTION] "
            "MODULE.so [CONF]\n"
            "\n"
            "Tries each promise of weir/module.h on a module; prints TAP.\n"
            "CONF is a file with the module's block: sink_foo's \"foo { ... "
            "}\".\n"
            "\n"
            "  -t, --timeout SECONDS  a section may take so long (30)\n"
            "  -b, --big BYTES        of the largest value (16777216)\n"
            "  -s, --section NAME     only this one, and what comes first\n"
            "  -h, --help             this, and the sections\n"
            "\n"
            "Sections:");
    for (int i = 0; i < SECTIONS; i++) {
        fprintf(out, " %s", sections[i].name);
    }
    fprintf(out, "\n\nStatus: 0 it keeps them, 1 it breaks one, 2 it could "
                 "not be tried.\n");
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static int
run_all(struct options *opt, const char *only)
{
    struct tap          tap = { 0 };
    struct report_page *page =
        mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert(page != MAP_FAILED);
    for (int i = 0; i < SECTIONS; i++) {
        if (i > 0 && only && strcmp(only, sections[i].name) != 0) {
            continue;
        }
        try_section(opt, &sections[i], page, &tap);
        if (i == 0 && (page->stage == 0 || tap.failed)) {
            break; /* without it there is nothing to try */
        }
    }
    printf("1..%u\n", tap.n);
    if (tap.failed) {
        printf("# %u of %u promises are broken by %s\n", tap.failed, tap.n,
               page->title[0] ? page->title : opt->module);
    }
    return tap.failed ? 1 : 0;
}

/* A path is needed: a bare name would be looked for among those installed. */
static const char *
module_path(const char *name, char *room, size_t size)
{
    if (strchr(name, '/') || access(name, F_OK) == -1) {
        return name;
    }
    snprintf(room, size, "./%s", name);
    return room;
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        { "timeout", required_argument, NULL, 't' },
        { "big", required_argument, NULL, 'b' },
        { "section", required_argument, NULL, 's' },
        { "help", no_argument, NULL, 'h' },
        { 0 },
    };
    struct options opt = { .seconds = 30, .big = 16 << 20 };
    const char    *only = NULL;
    char           work[] = "/tmp/weir-modtest.XXXXXX", path[4096];
    int            c;

    while ((c = getopt_long(argc, argv, "t:b:s:h", options, NULL)) != -1) {
        switch (c) {
        case 't':
            opt.seconds = atoi(optarg);
            break;
        case 'b':
            opt.big = strtoul(optarg, NULL, 10);
            break;
        case 's':
            only = optarg;
            break;
        case 'h':
            usage(stdout);
            return 0;
        default:
            usage(stderr);
            return 2;
        }
    }
    if (argc - optind < 1 || argc - optind > 2 || opt.seconds < 1 ||
        opt.big < 1 || opt.big > (1u << 30)) {
        usage(stderr);
        return 2;
    }
    if (!mkdtemp(work)) {
        fprintf(stderr, "weir-modtest: mkdtemp %s: %s\n", work,
                strerror(errno));
        return 2;
    }
    opt.module = module_path(argv[optind], path, sizeof path);
    opt.conf = argv[optind + 1];
    opt.work = work;
    const int status = run_all(&opt, only);
    nftw(work, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return status;
}
