/*
 * srchost.c - runs a source module without a server around it: its functions
 * of weir/module.h print what the module says, a line each, for source.t.
 * Knows of events only what it takes to go on behind the last transaction.
 *
 *     srchost MODULE.so [@OPTION=VALUE...] [DIRECTIVE=VALUE...]
 *
 * @gtid, @file, @offset: where to begin; @runs: run() again after a RETRY, so
 * often; @describe=SCHEMA.TABLE: once, at the first event; @quiet: only counts
 * of events; @name: the instance's.  SIGTERM asks the module to stop.
 */
#include <weir/module.h>

#include <dlfcn.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct weir_instance { int stop[2]; };

static struct weir_instance      instance;
static const struct weir_module *module;
static void                     *self, *conf; /* until the end */
static const char               *describe, *name = "host";
static bool                      quiet;
static char                      gtid[1024], pending[1024], file[256];
static uint64_t                  offset, nevents, nbytes, nflushes;
static bool                      standalone;

WEIR_PRINTF(1, 2) static void
say(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
    fflush(stdout);
}

/* ---- What the server does for modules */

enum weir_status
weir_fail(struct weir_err *err, enum weir_status why, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    return why;
}

void
weir_log(struct weir_instance *in, enum weir_level level, const char *fmt, ...)
{
    static const char *const names[] = { "debug", "info", "warn", "error" };
    char                     text[1024];
    va_list                  ap;

    (void)in;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    say("log %s: %s", names[level], text);
}

int
weir_stop_fd(struct weir_instance *in)
{
    return in->stop[0];
}

const char *
weir_name(struct weir_instance *in)
{
    (void)in;
    return name;
}

enum weir_status
weir_secret(struct weir_instance *in, const char *path, struct weir_str *out,
            struct weir_err *err)
{
    static char line[256];
    FILE       *f = fopen(path, "r");

    (void)in;
    if (!f || !fgets(line, sizeof line, f)) {
        return weir_fail(err, WEIR_FATAL, "open %s failed", path);
    }
    fclose(f);
    *out = (struct weir_str){ line, strcspn(line, "\n") };
    return WEIR_OK;
}

enum weir_status
weir_feed_server(struct weir_instance *in, struct weir_str id,
                 struct weir_str version, struct weir_err *err)
{
    (void)in;
    (void)err;
    say("server %.*s (%.*s)", (int)id.len, id.data, (int)version.len,
        version.data);
    return WEIR_OK;
}

enum weir_status
weir_feed_host(struct weir_instance *in, struct weir_str name,
               struct weir_str id, struct weir_str version, bool covers,
               struct weir_err *err)
{
    (void)name;
    (void)covers;
    return weir_feed_server(in, id, version, err);
}

enum weir_status
weir_feed_diverged(struct weir_instance *in, struct weir_str name,
                   struct weir_str executed, struct weir_err *err)
{
    (void)in;
    return weir_fail(err, WEIR_FATAL, "diverged: %.*s is at %.*s",
                     (int)name.len, name.data, (int)executed.len,
                     executed.data);
}

const char *
weir_dir(struct weir_instance *in)
{
    (void)in;
    return ".";
}

enum weir_status
weir_feed_position(struct weir_instance *in, struct weir_str gtid_set,
                   struct weir_str in_file, uint64_t at, struct weir_err *err)
{
    (void)in;
    (void)err;
    snprintf(gtid, sizeof gtid, "%.*s", (int)gtid_set.len, gtid_set.data);
    snprintf(file, sizeof file, "%.*s", (int)in_file.len, in_file.data);
    offset = at;
    say("position [%s] %s:%" PRIu64, gtid, file, offset);
    return WEIR_OK;
}

enum weir_status
weir_feed_flush(struct weir_instance *in, struct weir_err *err)
{
    (void)in;
    (void)err;
    nflushes++;
    say("flush %" PRIu64 " after %" PRIu64 " events, %" PRIu64 " bytes",
        nflushes, nevents, nbytes);
    return WEIR_OK;
}

static uint64_t
get(const unsigned char *p, size_t n)
{
    uint64_t v = 0;

    while (n--) {
        v = v << 8 | p[n];
    }
    return v;
}

/* One domain is enough here. */
static void
follow(const unsigned char *e, size_t len)
{
    const unsigned type = e[4];

    if (type == 162 && len >= 19 + 13) {
        snprintf(pending, sizeof pending, "%" PRIu64 "-%" PRIu64 "-%" PRIu64,
                 get(e + 27, 4), get(e + 5, 4), get(e + 19, 8));
        standalone = e[31] & 1;
    } else if (type == 16 || (type == 2 && standalone)) {
        strcpy(gtid, pending);
        offset = get(e + 13, 4);
    } else if (type == 4 && len > 27) {
        /* The artificial one ends in a checksum; a name has none of these. */
        size_t n = len - 27;
        while (n > 0 && (e[27 + n - 1] < '0' || e[27 + n - 1] > '9')) {
            n--;
        }
        snprintf(file, sizeof file, "%.*s", (int)n, (const char *)e + 27);
        offset = get(e + 19, 8);
    }
}

enum weir_status
weir_feed_binlog(struct weir_instance *in, const void *event, size_t len,
                 struct weir_err *err)
{
    const unsigned char *e = event;

    (void)in;
    if (len < 19 || get(e + 9, 4) != len) {
        return weir_fail(err, WEIR_REJECT, "an event of a wrong length");
    }
    nevents++;
    nbytes += len;
    follow(e, len);
    if (!quiet) {
        say("event type=%u len=%zu end=%" PRIu64 " flags=%" PRIx64, e[4], len,
            get(e + 13, 4), get(e + 17, 2));
    }
    if (describe) {
        const char *dot = strchr(describe, '.');
        const struct weir_str schema = { describe,
                                         (size_t)(dot - describe) };
        const struct weir_str table = { dot + 1, strlen(dot + 1) };
        describe = NULL;
        const enum weir_status st = module->describe(self, schema, table, err);
        say("described %d %s", st, st == WEIR_OK ? "" : err->text);
    }
    return WEIR_OK;
}

void
weir_define(struct weir_instance *in, struct weir_str column,
            struct weir_str sql_type, struct weir_str collation,
            unsigned facets)
{
    (void)in;
    say("column %.*s %.*s [%.*s] %u", (int)column.len, column.data,
        (int)sql_type.len, sql_type.data, (int)collation.len, collation.data,
        facets);
}

void
weir_define_key(struct weir_instance *in, size_t n, const uint32_t *columns)
{
    (void)in;
    for (size_t i = 0; i < n; i++) {
        say("key %u", columns[i]);
    }
}

void
weir_define_index(struct weir_instance *in, struct weir_str index, bool unique,
                  bool partial, size_t n, const uint32_t *columns)
{
    (void)in;
    say("index %.*s%s%s", (int)index.len, index.data, unique ? " unique" : "",
        partial ? " partial" : "");
    for (size_t i = 0; i < n; i++) {
        say("of %u", columns[i]);
    }
}

void
weir_define_defaults(struct weir_instance *in, struct weir_str of_table,
                     struct weir_str of_schema)
{
    (void)in;
    say("defaults [%.*s] [%.*s]", (int)of_table.len, of_table.data,
        (int)of_schema.len, of_schema.data);
}

void
weir_define_at(struct weir_instance *in, struct weir_str gtid_set,
               struct weir_str at_file, uint64_t at)
{
    (void)in;
    say("defined at [%.*s] %.*s:%" PRIu64, (int)gtid_set.len, gtid_set.data,
        (int)at_file.len, at_file.data, at);
}

/* ---- Directives */

static void
die(const char *what, const char *of)
{
    fprintf(stderr, "srchost: %s: %s\n", of, what);
    exit(2);
}

static void
store(const struct weir_directive *d, const char *value)
{
    char *const at = (char *)conf + d->offset;

    switch (d->kind) {
    case WEIR_K_STR:
        *(const char **)at = value;
        break;
    case WEIR_K_INT:
        *(int64_t *)at = atoll(value);
        break;
    case WEIR_K_MSEC:
        *(int64_t *)at = atoll(value) * (strstr(value, "ms") ? 1 : 1000);
        break;
    case WEIR_K_BOOL:
        *(bool *)at = strcmp(value, "on") == 0;
        break;
    case WEIR_K_ENUM:
        for (const struct weir_name *n = d->names; n->name; n++) {
            if (strcmp(n->name, value) == 0) {
                *(int64_t *)at = n->value;
            }
        }
        break;
    case WEIR_K_LIST: { /* each occurrence adds one */
        struct weir_list *list = (struct weir_list *)at;
        const char      **items =
            realloc((void *)(uintptr_t)list->items,
                    (list->n + 1) * sizeof *items);
        items[list->n++] = value;
        list->items = items;
        break;
    }
    default:
        die("a kind of directive not known here", d->name);
    }
}

static void
set(const char *argument)
{
    const size_t n = strcspn(argument, "=");

    for (const struct weir_directive *d = module->directives; d->name; d++) {
        if (strlen(d->name) == n && strncmp(d->name, argument, n) == 0) {
            store(d, argument + n + 1);
            return;
        }
    }
    die("no such directive", argument);
}

static void
asked_to_stop(int signal_number)
{
    (void)signal_number;
    const ssize_t ignored = write(instance.stop[1], "x", 1);
    (void)ignored;
}

static const char *
option(int argc, char **argv, const char *key, const char *otherwise)
{
    for (int i = 2; i < argc; i++) {
        if (argv[i][0] == '@' &&
            strncmp(argv[i] + 1, key, strlen(key)) == 0) {
            const char *equals = strchr(argv[i], '=');
            return equals ? equals + 1 : "";
        }
    }
    return otherwise;
}

static int
run(int runs)
{
    enum weir_status st;
    struct weir_err  err;

    do {
        struct timespec begin, end;
        const struct weir_str set_of = { gtid, strlen(gtid) };
        const struct weir_str in_file = { file, strlen(file) };
        clock_gettime(CLOCK_MONOTONIC, &begin);
        err.text[0] = '\0';
        st = module->run(self, set_of, in_file, offset, &err);
        clock_gettime(CLOCK_MONOTONIC, &end);
        say("end %d after %.0f ms, %" PRIu64 " events: %s", st,
            (double)(end.tv_sec - begin.tv_sec) * 1e3 +
                (double)(end.tv_nsec - begin.tv_nsec) / 1e6,
            nevents, st == WEIR_OK ? "" : err.text);
        if (st == WEIR_RETRY && runs > 1) {
            nanosleep(&(struct timespec){ .tv_nsec = 200000000 }, NULL);
        }
    } while (st == WEIR_RETRY && --runs > 0);
    return st == WEIR_OK ? 0 : 1;
}

int
main(int argc, char **argv)
{
    struct weir_err err = { "" };
    void *const     so = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;

    module = so ? dlsym(so, "weir_module") : NULL;
    if (!module) {
        die(argc > 1 ? dlerror() : "which module?", argv[0]);
    }
    conf = calloc(1, module->conf_size);
    for (const struct weir_directive *d = module->directives; d->name; d++) {
        if (d->value && d->kind != WEIR_K_LIST) {
            store(d, d->value);
        }
    }
    for (int i = 2; i < argc; i++) {
        if (argv[i][0] != '@') {
            set(argv[i]);
        }
    }
    describe = option(argc, argv, "describe", NULL);
    quiet = option(argc, argv, "quiet", NULL) != NULL;
    name = option(argc, argv, "name", "host");
    snprintf(gtid, sizeof gtid, "%s", option(argc, argv, "gtid", ""));
    snprintf(file, sizeof file, "%s", option(argc, argv, "file", ""));
    offset = strtoull(option(argc, argv, "offset", "0"), NULL, 10);
    if (pipe(instance.stop) == -1) {
        die("pipe", argv[0]);
    }
    signal(SIGTERM, asked_to_stop);
    enum weir_status st = module->check ? module->check(conf, &err) : WEIR_OK;
    if (st != WEIR_OK) {
        say("check %d: %s", st, err.text);
        return 1;
    }
    st = module->open(&instance, conf, &self, &err);
    if (st != WEIR_OK) {
        say("open %d: %s", st, err.text);
        return 1;
    }
    const int status = run(atoi(option(argc, argv, "runs", "1")));
    module->close(self);
    return status;
}
