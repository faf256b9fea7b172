/*
 * weir.c - the command line, with nginx's manners.  Ties the master to what its
 * children do, which the master itself knows nothing of.
 */
#include "config.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/module.h>

#include "base/arena.h"
#include "base/crash.h"
#include "base/str.h"
#include "base/title.h"
#include "config/config.h"
#include "master/master.h"
#include "module/load.h"
#include "worker/worker.h"

#ifndef WEIR_BUILD
#define WEIR_BUILD "unknown"
#endif
#ifndef WEIR_LIBRARIES
#define WEIR_LIBRARIES "unknown"
#endif

_Static_assert((int)MASTER_WORKER_CONFIG == (int)WORKER_EXIT_CONFIG &&
                   (int)MASTER_WORKER_FATAL == (int)WORKER_EXIT_FATAL,
               "master and workers agree on exit statuses");

enum { EXIT_BAD_USAGE = 64 }; /* sysexits.h */

static const char *const signals[] = { "stop", "quit", "reload", "reopen",
                                       "status" };

static const char help_text[] =
"weir " PACKAGE_VERSION ": keeps other systems in step with MySQL and MariaDB\n"
"\n"
"usage: weir [-c FILE] [-p PREFIX] [-g TEXT]             start the server\n"
"       weir [-c FILE] [-p PREFIX] [-g TEXT] -t | -T     test the configuration\n"
"       weir [-c FILE] [-p PREFIX] [-g TEXT] -s SIGNAL   tell the running server\n"
"       weir -h [MODULE | BLOCK] | -v | -V\n"
"\n"
"  -c FILE    the configuration (default: " WEIR_SYSCONFDIR "/weir/weir.conf;\n"
"             with -p: PREFIX/weir.conf)\n"
"  -p PREFIX  where relative paths start, also that of -c; without it -c\n"
"             starts here, and what the file names at " WEIR_PREFIX "\n"
"  -g TEXT    directives that count more than the file's own, such as\n"
"             -g 'daemon = off'.  No secrets: ps shows them for a moment\n"
"  -t         read and check everything, say what each sink guarantees, end\n"
"  -T         the same, and print the whole text as it would run, with its\n"
"             includes, secrets as ***\n"
"  -s SIGNAL  stop    end at once; each sink goes on from its checkpoint later\n"
"             quit    drain: end at a transaction's end, with a checkpoint\n"
"             reload  test the file, then change over to it; pipelines and\n"
"                     sinks that did not change are not touched.  Waits, and\n"
"                     exits with the result\n"
"             reopen  open the log again, after it was rotated\n"
"             status  what each source and sink is doing\n"
"             stop and quit wait until the server is gone\n"
"  -v, -V     the version; with compiler, flags, ABI and libraries\n"
"  -h         this text; with a module's name (sink_redis), its directives;\n"
"             with global, pipeline, relay or sink, those of that block\n"
"\n"
"Signals to the master: TERM stop, QUIT quit, HUP reload, USR1 reopen; INT is\n"
"quit with daemon = off (Ctrl-C; the second time: stop), else stop.\n"
"\n"
"Exit status: 0 all is well; 1 it failed (status: something is not running);\n"
"2 with -s, no server runs; 64 the command line is wrong.\n"
"\n"
"See weir(8), weir.conf(5), weirctl(8).  Modules are looked for in " WEIR_MODULE_DIR ".\n";

/* ---- What runs in the master's children */

static void
run_checker(const char *path, const char *prefix, const char *overrides,
            int socket)
{
    const struct checker_args args = { .path = path,
                                       .prefix = prefix,
                                       .overrides = overrides,
                                       .socket = socket };
    checker_main(&args);
}

static void
run_worker(int generation_fd, const char *pipeline, const char *sink,
           unsigned slot, const char *page_path)
{
    const struct worker_args args = { .generation_fd = generation_fd,
                                      .pipeline = pipeline,
                                      .sink = sink,
                                      .slot = slot,
                                      .page_path = page_path,
                                      .parent = getppid() };
    if (sink) {
        sink_main(&args);
    }
    source_main(&args);
}

/* ---- Options */

struct command {
    const char *path, *prefix, *overrides, *signal;
    int         test; /* 't', 'T' or 0 */
};

static _Noreturn void
refuse(const char *what, const char *why)
{
    fprintf(stderr, "weir: %s%s; weir -h explains the options\n", what, why);
    exit(EXIT_BAD_USAGE);
}

static const char *
check_signal(const char *name)
{
    char         text[200];
    const size_t n = sizeof signals / sizeof *signals;

    for (size_t i = 0; i < n; i++) {
        if (strcmp(name, signals[i]) == 0) {
            return signals[i];
        }
    }
    const char *nearest = str_nearest(name, signals, n);
    snprintf(text, sizeof text, "-s \"%.40s\": there is no such signal%s%s%s",
             name, nearest ? ", did you mean \"" : "", nearest ? nearest : "",
             nearest ? "\"?" : "");
    refuse(text, " (stop, quit, reload, reopen, status)");
}

static int
is_module_file(const struct dirent *e)
{
    const size_t len = strlen(e->d_name);
    return len > 3 && strcmp(e->d_name + len - 3, ".so") == 0;
}

static void
list_modules(void)
{
    struct dirent **entries;

    const char *dir = getenv("WEIR_MODULE_DIR");
    dir = dir ? dir : WEIR_MODULE_DIR;
    const int n = scandir(dir, &entries, is_module_file, alphasort);
    for (int i = 0; i < n; i++) {
        fprintf(stderr, "%s%s%s", i == 0 ? "weir: there are: " : ", ",
                entries[i]->d_name, i == n - 1 ? "\n" : "");
    }
}

/* "sink_redis", "sink_redis.so", a path, or "redis" of any stage. */
static _Noreturn void
help_module(const char *name)
{
    static const char *const stages[] = { "", "sink_", "source_", "filter_",
                                          "transform_" };
    struct arena             a = { 0 };
    struct loaded_module     m;
    struct weir_err          err, first;

    const bool   is_file = strstr(name, ".so") || strchr(name, '/');
    const size_t tries = is_file ? 1 : sizeof stages / sizeof *stages;
    for (size_t i = 0; i < tries; i++) {
        const char *file = arena_printf(&a, "%s%s%s", stages[i], name,
                                        is_file ? "" : ".so");
        if (module_load(&a, file, &m, &err) == WEIR_OK) {
            module_help(m.module);
            exit(0);
        }
        first = i == 0 ? err : first;
    }
    fprintf(stderr, "weir: -h %s: %s\n", name, first.text);
    list_modules();
    exit(MASTER_FAILED);
}

static _Noreturn void
print_version(bool with_build)
{
    puts("weir " PACKAGE_VERSION);
    if (with_build) {
        printf("modules: ABI %d.%d, in %s\n"
               "built with: %s\n"
               "compiler: %s\n"
               "libraries: %s\n"
               "configuration: %s/weir/weir.conf\n"
               "state: %s\n",
               WEIR_ABI_MAJOR, WEIR_ABI_MINOR, WEIR_MODULE_DIR, WEIR_BUILD,
               __VERSION__, WEIR_LIBRARIES, WEIR_SYSCONFDIR, WEIR_STATEDIR);
#ifdef WEIR_CRASH_POINTS
        puts("crash points: yes (a build for tests)");
#endif
    }
    exit(0);
}

static _Noreturn void
print_help(const char *about)
{
    if (!about) {
        fputs(help_text, stdout);
    } else if (!conf_help(about)) {
        help_module(about);
    }
    exit(0);
}

static void
parse_options(int argc, char **argv, struct command *out)
{
    char text[64];
    int  option;

    opterr = 0;
    while ((option = getopt(argc, argv, ":c:p:g:s:tTvVh")) != -1) {
        switch (option) {
        case 'c':
            out->path = optarg;
            break;
        case 'p':
            out->prefix = optarg;
            break;
        case 'g':
            out->overrides = optarg;
            break;
        case 's':
            out->signal = check_signal(optarg);
            break;
        case 't':
        case 'T':
            out->test = out->test == 'T' ? 'T' : option;
            break;
        case 'v':
        case 'V':
            print_version(option == 'V');
        case 'h':
            print_help(argv[optind]);
        default:
            snprintf(text, sizeof text, "-%c", optopt);
            refuse(text, option == ':' ? " needs a value behind it"
                                       : " is no option of weir's");
        }
    }
    if (optind < argc) {
        refuse(argv[optind], ": options only, there is nothing else to give");
    }
    if (out->test && out->signal) {
        refuse("-t and -s", ": one at a time");
    }
}

/* ---- Paths, made absolute: the master goes to another folder */

static const char *
absolute(struct arena *a, const char *base, const char *path)
{
    char here[PATH_MAX];

    if (path[0] == '/') {
        return path;
    }
    if (!base && !getcwd(here, sizeof here)) {
        refuse(path, ": not an absolute path, and there is no current folder");
    }
    return arena_printf(a, "%s/%s", base ? base : here, path);
}

static const char *
find_path(struct arena *a, const struct command *c, const char *prefix)
{
    if (c->path) {
        return absolute(a, prefix, c->path);
    }
    return prefix ? absolute(a, prefix, "weir.conf")
                  : WEIR_SYSCONFDIR "/weir/weir.conf";
}

static _Noreturn void
test_config(const struct master_options *o, int print)
{
    const struct checker_args args = { .path = o->path,
                                       .prefix = o->prefix,
                                       .overrides = o->overrides,
                                       .socket = -1,
                                       .print = print };
    checker_main(&args);
}

int
main(int argc, char **argv)
{
    struct command command = { 0 };
    struct arena   a = { 0 };

    title_init(argc, argv);
    crash_init();
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        print_help(NULL);
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        print_version(false);
    }
    parse_options(argc, argv, &command);
    const char *prefix =
        command.prefix ? absolute(&a, NULL, command.prefix) : NULL;
    const struct master_options options = {
        .path = find_path(&a, &command, prefix),
        .prefix = prefix ? prefix : WEIR_PREFIX,
        .overrides = command.overrides,
        .checker = run_checker,
        .worker = run_worker,
    };
    if (command.test) {
        test_config(&options, command.test);
    }
    const int status = command.signal
                           ? master_signal(&options, command.signal)
                           : master_run(&options);
    arena_free(&a);
    return status;
}
