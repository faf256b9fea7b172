/* status.c - see status.h. */
#include "master/status.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/str.h"

#define SECOND INT64_C(1000000)

enum { SINKS_FILE_MAX = 8192, SILENT_SECONDS = 10, WIDTH_MIN = 8,
       MAX_WORKERS = 4096 };

void
status_bytes(uint64_t n, char out[static 24])
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

void
status_time(int64_t usec, char out[static 24])
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

const char *
status_word(enum page_state state)
{
    return state == PAGE_FULL      ? "full"
           : state == PAGE_NO_ROOM ? "diskfull"
                                   : page_state_name(state);
}

/* ---- Reading */

/* What a server or module wrote must not steer a terminal. */
static const char *
get_text(struct arena *a, const struct worker_page *page, enum page_text which)
{
    char text[1024] = "";

    page_get_text(page, which, text, sizeof text);
    str_tame(text, strlen(text));
    return arena_strdup(a, text);
}

static bool
is_well(const struct status_worker *w)
{
    const enum page_state state = (enum page_state)w->page.state;

    return w->has_page && state != PAGE_WAITING && state != PAGE_FULL &&
           state != PAGE_NO_ROOM &&
           state != PAGE_STOPPED && state != PAGE_PAUSED &&
           w->silent < SILENT_SECONDS;
}

/* Why it is not running, where it has not said so itself. */
static const char *
explain(struct arena *a, const struct status_worker *w,
        const struct status_worker *source)
{
    const bool is_sink = w->sink != NULL;

    switch ((enum page_state)w->page.state) {
    case PAGE_STARTING:
        if (is_sink && source->has_page &&
            source->page.state != PAGE_RUNNING &&
            source->page.state != PAGE_ENDED) {
            return arena_printf(a, "waits for the source, which is %s",
                                status_word((enum page_state)
                                                source->page.state));
        }
        return is_sink ? "opens its target and looks up where it stands"
                       : "opens the relay";
    case PAGE_CONNECTING:
        return "connects to its server; if there is no answer it says so and "
               "tries again";
    case PAGE_DRAINING:
        return "ends at a transaction's end, or after drain_timeout";
    case PAGE_ENDED:
        return is_sink ? "has ended"
                       : "has read all that there is; nothing more comes";
    default:
        return "";
    }
}

static const char *
find_why(struct arena *a, const struct status_worker *w,
         const struct status_worker *source, const char *reason)
{
    const char *why = reason[0] ? reason : explain(a, w, source);

    if (w->silent >= SILENT_SECONDS) {
        return arena_printf(a, "%s%sno sign of life for %" PRId64 " s; the "
                            "master ends a worker that hangs and starts it "
                            "anew", why, why[0] ? "; " : "", w->silent);
    }
    if (w->page.state == PAGE_WAITING || w->page.state == PAGE_NO_ROOM) {
        return arena_printf(a, "%s; it is tried again and again", why);
    }
    return why;
}

static const char *
find_log_trouble(struct arena *a, int error)
{
    const char *remedy = err_remedy(error);

    return error == 0 ? ""
                      : arena_printf(a, "the log can't be written, and it goes "
                                     "on without: %s%s%s", strerror(error),
                                     *remedy ? ": " : "", remedy);
}

/* How far behind: what it says itself, or what the source has had since. */
static void
find_lag(struct status_worker *w, const struct status_worker *source)
{
    const int64_t done = w->page.commit_usec;

    w->behind = -1;
    if (w->sink && source->has_page && w->page.relay_offset) {
        w->behind = source->page.relay_offset > w->page.relay_offset
            ? (int64_t)(source->page.relay_offset - w->page.relay_offset) : 0;
    }
    w->lag_usec = done ? w->page.lag_usec : -1;
    if (done && w->sink && source->has_page && !w->page.caught_up) {
        const int64_t since = source->page.commit_usec - done;
        w->lag_usec = since > w->lag_usec ? since : w->lag_usec;
    }
}

static void
read_worker(struct arena *a, const char *path, struct status_worker *w,
            const struct status_worker *source)
{
    struct worker_page *page;
    struct weir_err     err;

    w->gtid = w->file = w->module = w->server = w->log_trouble = "";
    if (page_open(path, false, &page, &err) != WEIR_OK) {
        w->why = arena_strdup(a, err.text);
        w->lag_usec = -1;
        return;
    }
    w->has_page = true;
    memcpy(&w->page, page, sizeof w->page);
    w->gtid = get_text(a, page, PAGE_GTID);
    w->file = get_text(a, page, PAGE_FILE);
    w->module = get_text(a, page, PAGE_MODULE);
    w->server = get_text(a, page, PAGE_SERVER);
    const char *reason = get_text(a, page, PAGE_REASON);
    page_close(page);
    w->silent = w->page.pid
                    ? (clock_steady() - w->page.heartbeat) / SECOND
                    : 0;
    find_lag(w, source);
    w->why = find_why(a, w, source, reason);
    w->log_trouble = find_log_trouble(a, w->page.log_errno);
    w->is_well = is_well(w);
}

/* The source, then sinks as the master lists them. */
static void
read_pipeline(struct arena *a, const char *run, const char *pipeline,
              struct status *out)
{
    struct weir_str text;
    struct weir_err err;

    struct status_worker *source = &out->workers[out->n++];
    source->pipeline = pipeline;
    read_worker(a, arena_printf(a, "%s/%s.source", run, pipeline), source,
                source);
    if (file_read(a, arena_printf(a, "%s/%s.sinks", run, pipeline),
                  SINKS_FILE_MAX, &text, &err) != WEIR_OK) {
        return;
    }
    char *rest = (char *)text.data;
    for (char *line = strsep(&rest, "\n"); line && out->n < MAX_WORKERS;
         line = strsep(&rest, "\n")) {
        const char *name = strchr(line, ' ');
        if (!name) {
            continue;
        }
        struct status_worker *w = &out->workers[out->n++];
        w->pipeline = pipeline;
        w->sink = name + 1;
        read_worker(a, arena_printf(a, "%s/%s.%s.sink", run, pipeline,
                                    w->sink), w, source);
    }
}

static int
is_source_page(const struct dirent *e)
{
    const size_t len = strlen(e->d_name);
    return len > 7 && strcmp(e->d_name + len - 7, ".source") == 0;
}

enum weir_status
status_read(struct arena *a, const char *dir, struct status *out,
            struct weir_err *err)
{
    struct dirent **entries;

    const char *run = arena_printf(a, "%s/run", dir);
    const int   n = scandir(run, &entries, is_source_page, alphasort);
    if (n == -1) {
        return fail_errno(err, WEIR_FATAL, "read folder %s", run);
    }
    const size_t most = (size_t)n * 65 < MAX_WORKERS ? (size_t)n * 65
                                                     : MAX_WORKERS;
    *out = (struct status){ .workers = arena_array(a, most + 1,
                                                   sizeof *out->workers) };
    for (int i = 0; i < n; i++) {
        entries[i]->d_name[strlen(entries[i]->d_name) - 7] = '\0';
        if (out->n < most) {
            read_pipeline(a, run, arena_strdup(a, entries[i]->d_name), out);
        }
        free(entries[i]);
    }
    free(entries);
    return WEIR_OK;
}

/* ---- Printing */

static void
print_position(const struct status_worker *w)
{
    if (w->gtid[0] && w->file[0]) {
        printf("%s (%s:%" PRIu64 ")\n", w->gtid, w->file, w->page.file_offset);
    } else if (w->file[0]) {
        printf("%s:%" PRIu64 "\n", w->file, w->page.file_offset);
    } else {
        printf("%s\n", w->gtid[0] ? w->gtid : "-");
    }
}

static void
print_worker(const struct status_worker *w, int width)
{
    char        pid[16] = "-", lag[24] = "-", parked[16] = "-", rows[24] = "-";
    const char *name = w->sink ? w->sink : "source";

    if (!w->has_page) {
        printf("  %-*s  %s\n", width, name, w->why);
        return;
    }
    if (w->page.pid) {
        snprintf(pid, sizeof pid, "%d", w->page.pid);
    }
    if (w->sink) {
        snprintf(parked, sizeof parked, "%u", w->page.parked_tables);
        snprintf(rows, sizeof rows, "%" PRIu64, w->page.rows);
    }
    if (w->lag_usec >= 0) {
        status_time(w->lag_usec, lag);
    }
    printf("  %-*s  %-10s  %7s  %8s  %12s  %6s  %8u  ", width, name,
           status_word((enum page_state)w->page.state), pid, lag, rows, parked,
           w->page.restarts);
    print_position(w);
    if (w->why[0]) {
        printf("  %-*s  `- %s\n", width, "", w->why);
    }
    if (w->log_trouble[0]) {
        printf("  %-*s  `- %s\n", width, "", w->log_trouble);
    }
    if (w->page.parked_tables) {
        printf("  %-*s  `- tables are parked: weirctl park list says why and "
               "what to do\n", width, "");
    }
    if (w->page.dead_letters) {
        printf("  %-*s  `- dead letters: weirctl dead list\n", width, "");
    }
}

static void
print_relay(const struct status_worker *source)
{
    char used[24], size[24];

    const uint64_t of = source->page.relay_size;
    if (of) {
        status_bytes(source->page.relay_used, used);
        status_bytes(of, size);
        printf(": relay %s of %s (%.0f %%)", used, size,
               100.0 * (double)source->page.relay_used / (double)of);
    }
    if (source->server && source->server[0]) {
        printf("%s from %s", of ? "," : ":", source->server);
    }
    printf("\n");
}

static int
width_of(const struct status *s, const char *pipeline)
{
    int width = WIDTH_MIN;

    for (size_t i = 0; i < s->n; i++) {
        const struct status_worker *w = &s->workers[i];
        const int len = w->sink ? (int)strlen(w->sink) : 0;
        if (strcmp(w->pipeline, pipeline) == 0 && len > width) {
            width = len;
        }
    }
    return width;
}

enum weir_status
status_print(const char *dir, const struct holder *holder,
             struct weir_err *err)
{
    struct arena  a = { 0 };
    struct status s;
    char          since[25];
    int           width = WIDTH_MIN;
    bool          all_well = true;

    const enum weir_status st = status_read(&a, dir, &s, err);
    if (st != WEIR_OK) {
        arena_free(&a);
        return st;
    }
    clock_format(holder->since_usec, since);
    printf("weir: master %d, %s, since %s\n", (int)holder->pid, holder->path,
           since);
    for (size_t i = 0; i < s.n; i++) {
        const struct status_worker *w = &s.workers[i];
        if (!w->sink) {
            width = width_of(&s, w->pipeline);
            printf("\npipeline %s", w->pipeline);
            print_relay(w);
            printf("  %-*s  %-10s  %7s  %8s  %12s  %6s  %8s  %s\n", width, "",
                   "STATE", "PID", "LAG", "ROWS", "PARKED", "RESTARTS",
                   "POSITION");
        }
        print_worker(w, width);
        all_well = all_well && w->is_well;
    }
    arena_free(&a);
    return all_well ? WEIR_OK : WEIR_DROP;
}
