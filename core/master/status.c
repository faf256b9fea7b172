/* status.c - see status.h. */
#include "master/status.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/page.h"

#define SECOND INT64_C(1000000)

enum { SINKS_FILE_MAX = 8192, SILENT_SECONDS = 10, WIDTH_MIN = 8 };

struct row { /* a worker, as shown */
    const char         *name;
    struct worker_page *page; /* or NULL: */
    const char         *error;
    bool                is_source;
};

static void
format_bytes(uint64_t n, char out[static 24])
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    double                   value = (double)n;
    size_t                   unit = 0;

    while (value >= 1024 && unit < sizeof units / sizeof *units - 1) {
        value /= 1024;
        unit++;
    }
    snprintf(out, 24, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

static void
format_time(int64_t usec, char out[static 24])
{
    if (usec <= 0) {
        snprintf(out, 24, "0");
    } else if (usec < SECOND) {
        snprintf(out, 24, "%.1f ms", (double)usec / 1000);
    } else if (usec < 120 * SECOND) {
        snprintf(out, 24, "%.1f s", (double)usec / SECOND);
    } else if (usec < 7200 * SECOND) {
        snprintf(out, 24, "%" PRId64 " min", usec / SECOND / 60);
    } else {
        snprintf(out, 24, "%" PRId64 " h", usec / SECOND / 3600);
    }
}

/* What a server or module wrote must not steer a terminal. */
static void
get_text(const struct worker_page *page, enum page_text which, char *out,
         size_t room)
{
    out[0] = '\0';
    page_get_text(page, which, out, room);
    for (char *p = out; *p; p++) {
        if ((unsigned char)*p < ' ' || *p == 127) {
            *p = '?';
        }
    }
}

/* One word each, for scripts. */
static const char *
state_word(enum page_state state)
{
    return state == PAGE_FULL ? "full" : page_state_name(state);
}

static bool
is_well(enum page_state state)
{
    return state != PAGE_WAITING && state != PAGE_FULL &&
           state != PAGE_STOPPED;
}

/* How far behind: what it says itself, or what the source has had since. */
static void
format_lag(const struct row *r, const struct worker_page *source,
           char out[static 24])
{
    const struct worker_page *page = r->page;

    const int64_t done = atomic_load(&page->commit_usec);
    if (done == 0) {
        snprintf(out, 24, "-");
        return;
    }
    int64_t lag = atomic_load(&page->lag_usec);
    if (!r->is_source && source && !atomic_load(&page->caught_up)) {
        const int64_t behind = atomic_load(&source->commit_usec) - done;
        lag = behind > lag ? behind : lag;
    }
    format_time(lag, out);
}

static void
print_position(const struct worker_page *page)
{
    char gtid[1024], file[1024];

    get_text(page, PAGE_GTID, gtid, sizeof gtid);
    get_text(page, PAGE_FILE, file, sizeof file);
    const uint64_t offset = atomic_load(&page->file_offset);
    if (gtid[0] && file[0]) {
        printf("%s (%s:%" PRIu64 ")\n", gtid, file, offset);
    } else if (file[0]) {
        printf("%s:%" PRIu64 "\n", file, offset);
    } else {
        printf("%s\n", gtid[0] ? gtid : "-");
    }
}

static bool
print_row(const struct row *r, int width, const struct worker_page *source)
{
    char pid[16] = "-", lag[24], parked[16] = "-", rows[24] = "-";
    char reason[1024];

    if (!r->page) {
        printf("  %-*s  %s\n", width, r->name, r->error);
        return false;
    }
    const enum page_state state =
        (enum page_state)atomic_load(&r->page->state);
    if (atomic_load(&r->page->pid)) {
        snprintf(pid, sizeof pid, "%d", atomic_load(&r->page->pid));
    }
    if (!r->is_source) {
        snprintf(parked, sizeof parked, "%u",
                 atomic_load(&r->page->parked_tables));
        snprintf(rows, sizeof rows, "%" PRIu64, atomic_load(&r->page->rows));
    }
    format_lag(r, source, lag);
    printf("  %-*s  %-10s  %7s  %8s  %12s  %6s  %8u  ", width, r->name,
           state_word(state), pid, lag, rows, parked,
           atomic_load(&r->page->restarts));
    print_position(r->page);
    get_text(r->page, PAGE_REASON, reason, sizeof reason);
    if (reason[0]) {
        printf("  %-*s  `- %s\n", width, "", reason);
    }
    const int64_t silent =
        (clock_steady() - atomic_load(&r->page->heartbeat)) / SECOND;
    if (atomic_load(&r->page->pid) && silent >= SILENT_SECONDS) {
        printf("  %-*s  `- no sign of life for %" PRId64 " s\n", width, "",
               silent);
        return false;
    }
    return is_well(state);
}

static void
open_row(struct arena *a, struct row *r, const char *path)
{
    struct weir_err err;

    if (page_open(path, false, &r->page, &err) != WEIR_OK) {
        r->page = NULL;
        r->error = arena_strdup(a, err.text);
    }
}

/* The source, then sinks as the master lists them. */
static size_t
open_rows(struct arena *a, const char *run, const char *pipeline,
          struct row *rows, size_t room)
{
    struct weir_str text;
    struct weir_err err;
    size_t          n = 0;

    rows[n] = (struct row){ .name = "source", .is_source = true };
    open_row(a, &rows[n++], arena_printf(a, "%s/%s.source", run, pipeline));
    if (file_read(a, arena_printf(a, "%s/%s.sinks", run, pipeline),
                  SINKS_FILE_MAX, &text, &err) != WEIR_OK) {
        return n;
    }
    char *rest = (char *)text.data;
    for (char *line = strsep(&rest, "\n"); line && n < room;
         line = strsep(&rest, "\n")) {
        const char *name = strchr(line, ' ');
        if (name) {
            name++;
            rows[n] = (struct row){ .name = name };
            open_row(a, &rows[n++],
                     arena_printf(a, "%s/%s.%s.sink", run, pipeline, name));
        }
    }
    return n;
}

static void
print_relay(const struct worker_page *source)
{
    char used[24], size[24];

    const uint64_t of = source ? atomic_load(&source->relay_size) : 0;
    if (of) {
        const uint64_t n = atomic_load(&source->relay_used);
        format_bytes(n, used);
        format_bytes(of, size);
        printf(": relay %s of %s (%.0f %%)", used, size,
               100.0 * (double)n / (double)of);
    }
    printf("\n");
}

static bool
print_pipeline(const char *run, const char *pipeline)
{
    struct arena a = { 0 };
    struct row   rows[65];
    int          width = WIDTH_MIN;
    bool         all_well = true;

    const size_t n = open_rows(&a, run, pipeline, rows,
                               sizeof rows / sizeof *rows);
    for (size_t i = 0; i < n; i++) {
        const int len = (int)strlen(rows[i].name);
        width = len > width ? len : width;
    }
    printf("\npipeline %s", pipeline);
    print_relay(rows[0].page);
    printf("  %-*s  %-10s  %7s  %8s  %12s  %6s  %8s  %s\n", width, "", "STATE",
           "PID", "LAG", "ROWS", "PARKED", "RESTARTS", "POSITION");
    for (size_t i = 0; i < n; i++) {
        all_well = print_row(&rows[i], width, rows[0].page) && all_well;
    }
    for (size_t i = 0; i < n; i++) {
        page_close(rows[i].page);
    }
    arena_free(&a);
    return all_well;
}

static int
is_source_page(const struct dirent *e)
{
    const size_t len = strlen(e->d_name);
    return len > 7 && strcmp(e->d_name + len - 7, ".source") == 0;
}

enum weir_status
status_print(const char *dir, const struct holder *holder,
             struct weir_err *err)
{
    struct arena    a = { 0 };
    struct dirent **entries;
    char            since[25];
    bool            all_well = true;

    const char *run = arena_printf(&a, "%s/run", dir);
    const int   n = scandir(run, &entries, is_source_page, alphasort);
    if (n == -1) {
        const enum weir_status st =
            fail_errno(err, WEIR_FATAL, "read folder %s", run);
        arena_free(&a);
        return st;
    }
    clock_format(holder->since_usec, since);
    printf("weir: master %d, %s, since %s\n", (int)holder->pid, holder->path,
           since);
    for (int i = 0; i < n; i++) {
        entries[i]->d_name[strlen(entries[i]->d_name) - 7] = '\0';
        all_well = print_pipeline(run, entries[i]->d_name) && all_well;
        free(entries[i]);
    }
    free(entries);
    arena_free(&a);
    return all_well ? WEIR_OK : WEIR_DROP;
}
