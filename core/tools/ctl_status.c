/* ctl_status.c - weirctl status and lag: pages of a server that runs, and
 * checkpoints where none does. */
#include "tools/ctl.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "base/twoslot.h"
#include "master/status.h"
#include "relay/progress.h"

enum { WATCH_SECONDS = 1 };

/* ---- As JSON */

static void
put_behind(struct buf *out, const struct status_worker *w)
{
    if (w->behind >= 0) {
        ctl_uint(out, "behind_bytes", (uint64_t)w->behind);
    } else {
        ctl_key(out, "behind_bytes");
        buf_text(out, "null");
    }
}

static void
put_worker(struct buf *out, const struct status_worker *w)
{
    const struct worker_page *p = &w->page;

    buf_text(out, "{");
    ctl_text(out, "name", str_of(w->sink ? w->sink : "source"));
    ctl_text(out, "state", str_of(w->has_page
                  ? status_word((enum page_state)p->state) : "unknown"));
    ctl_bool(out, "ok", w->is_well);
    ctl_text(out, "why", str_of(w->why));
    ctl_text(out, "log_trouble", str_of(w->log_trouble));
    ctl_int(out, "pid", p->pid);
    ctl_text(out, "module", str_of(w->module));
    if (!w->sink) {
        ctl_text(out, "server", str_of(w->server ? w->server : ""));
    }
    ctl_text(out, "gtid", str_of(w->gtid));
    ctl_text(out, "file", str_of(w->file));
    ctl_uint(out, "file_offset", p->file_offset);
    ctl_uint(out, "relay_offset", p->relay_offset);
    ctl_int(out, "lag_usec", w->lag_usec);
    put_behind(out, w);
    ctl_bool(out, "caught_up", p->caught_up);
    ctl_time(out, "commit_time", p->commit_usec);
    ctl_time(out, "started", p->started_usec);
    ctl_uint(out, "transactions", p->transactions);
    ctl_uint(out, "rows", p->rows);
    ctl_uint(out, "rows_read", p->rows_read);
    ctl_uint(out, "rows_filtered", p->rows_filtered);
    ctl_uint(out, "rows_parked", p->rows_parked);
    ctl_uint(out, "rows_dead", p->rows_dead);
    ctl_uint(out, "rows_skipped", p->rows_skipped);
    ctl_uint(out, "batches", p->batches);
    ctl_uint(out, "bytes", p->bytes);
    ctl_uint(out, "retries", p->retries);
    ctl_uint(out, "rejects", p->rejects);
    ctl_int(out, "parked_tables", p->parked_tables);
    ctl_bool(out, "dead_letters", p->dead_letters);
    ctl_int(out, "restarts", p->restarts);
    buf_text(out, "}");
}

static bool
put_status(struct ctl *c, const struct status *s, struct buf *out)
{
    bool all_well = true;

    buf_text(out, "{");
    ctl_bool(out, "running", true);
    ctl_int(out, "pid", c->holder.pid);
    ctl_text(out, "configuration", str_of(c->holder.path));
    ctl_time(out, "since", c->holder.since_usec);
    ctl_key(out, "pipelines");
    buf_text(out, "[");
    for (size_t i = 0; i < s->n; i++) {
        const struct status_worker *w = &s->workers[i];
        all_well = all_well && w->is_well;
        if (w->sink) {
            buf_text(out, out->data[out->len - 1] == '[' ? "" : ",");
        } else {
            buf_text(out, i ? "]},{" : "{");
            ctl_text(out, "name", str_of(w->pipeline));
            ctl_uint(out, "relay_used", w->page.relay_used);
            ctl_uint(out, "relay_size", w->page.relay_size);
            ctl_key(out, "workers");
            buf_text(out, "[");
        }
        put_worker(out, w);
    }
    buf_text(out, s->n ? "]}]" : "]");
    ctl_bool(out, "ok", all_well);
    buf_text(out, "}");
    return all_well;
}

/* ---- Where nothing runs: what is stored */

static int
is_folder(const struct dirent *e)
{
    return e->d_name[0] != '.' && strcmp(e->d_name, "run") != 0 &&
           strcmp(e->d_name, "relay") != 0;
}

static void
put_stored(struct ctl *c, const char *pipeline, const char *sink,
           struct buf *json)
{
    struct weir_str blob;
    struct weir_err err;
    struct progress p;

    struct arena *a = &c->arena;
    const char   *path = arena_printf(a, "%s/%s/%s/checkpoint", c->state,
                                      pipeline, sink);
    if (access(path, F_OK) == -1) {
        return;
    }
    if (twoslot_read(a, path, &blob, &err) != WEIR_OK || blob.len == 0 ||
        progress_parse(blob, &p, &err) != WEIR_OK) {
        p = (struct progress){ 0 };
    }
    if (!c->json) {
        char when[25] = "-";
        if (p.time_usec) {
            clock_format(p.time_usec, when);
        }
        printf("  %s/%s stands at %s (%s:%" PRIu64 "), as of %s\n", pipeline,
               sink, ctl_shown(a, p.gtid_set), ctl_shown(a, p.file),
               p.file_offset, when);
        return;
    }
    buf_text(json, json->data[json->len - 1] == '[' ? "{" : ",{");
    ctl_text(json, "pipeline", str_of(pipeline));
    ctl_text(json, "sink", str_of(sink));
    ctl_text(json, "gtid", p.gtid_set);
    ctl_text(json, "file", p.file);
    ctl_uint(json, "file_offset", p.file_offset);
    ctl_uint(json, "relay_offset", p.next);
    ctl_time(json, "time", p.time_usec);
    buf_text(json, "}");
}

static void
each_stored(struct ctl *c, struct buf *json)
{
    struct dirent **pipelines, **sinks;

    const int n = scandir(c->state, &pipelines, is_folder, alphasort);
    for (int i = 0; i < n; i++) {
        const char *dir = arena_printf(&c->arena, "%s/%s", c->state,
                                       pipelines[i]->d_name);
        const int   m = scandir(dir, &sinks, is_folder, alphasort);
        for (int k = 0; k < m; k++) {
            put_stored(c, pipelines[i]->d_name, sinks[k]->d_name, json);
            free(sinks[k]);
        }
        if (m >= 0) {
            free(sinks);
        }
        free(pipelines[i]);
    }
    if (n >= 0) {
        free(pipelines);
    }
}

static int
say_stored(struct ctl *c)
{
    struct buf out = { 0 };

    const char *why = arena_printf(&c->arena, "no weir runs in %s: start it "
                                   "with `weir`; its log says why it ended",
                                   c->state);
    if (!c->json) {
        printf("%s\n", why);
        each_stored(c, NULL);
        return CTL_NOT_RUNNING;
    }
    buf_text(&out, "{");
    ctl_bool(&out, "running", false);
    ctl_bool(&out, "ok", false);
    ctl_text(&out, "why", str_of(why));
    ctl_key(&out, "sinks");
    buf_text(&out, "[");
    each_stored(c, &out);
    buf_text(&out, "]}");
    ctl_print(&out);
    buf_free(&out);
    return CTL_NOT_RUNNING;
}

/* ---- Commands */

static int
status_once(struct ctl *c)
{
    struct weir_err err;
    struct status   s;
    struct buf      out = { 0 };

    if (!c->is_running) {
        return say_stored(c);
    }
    enum weir_status st = c->json
                              ? status_read(&c->arena, c->state, &s, &err)
                              : status_print(c->state, &c->holder, &err);
    if (st != WEIR_OK && st != WEIR_DROP) {
        return ctl_say(CTL_FAILED, "%s", err.text);
    }
    if (c->json) {
        st = put_status(c, &s, &out) ? WEIR_OK : WEIR_DROP;
        ctl_print(&out);
        buf_free(&out);
    }
    return st == WEIR_OK ? CTL_OK : CTL_FAILED;
}

int
ctl_status(struct ctl *c)
{
    struct weir_err err;
    int             result = status_once(c);

    while (c->watch && fflush(stdout) == 0) {
        clock_sleep(WATCH_SECONDS * INT64_C(1000000));
        if (!c->json && isatty(STDOUT_FILENO)) {
            printf("\033[H\033[J");
        }
        const char *state = arena_strdup(&c->arena, c->state);
        c->is_running = state_holder(&c->arena, state, &c->holder, &err) ==
                        WEIR_OK;
        result = status_once(c);
    }
    return result;
}

static void
print_lag(struct ctl *c, const struct status_worker *w, struct buf *json)
{
    char lag[24] = "-", behind[24], when[25] = "-";

    if (c->json) {
        buf_text(json, json->len > 1 ? ",{" : "{");
        ctl_text(json, "pipeline", str_of(w->pipeline));
        ctl_text(json, "sink", str_of(w->sink));
        ctl_text(json, "state",
                  str_of(status_word((enum page_state)w->page.state)));
        ctl_int(json, "lag_usec", w->lag_usec);
        put_behind(json, w);
        ctl_time(json, "commit_time", w->page.commit_usec);
        buf_text(json, "}");
        return;
    }
    if (w->lag_usec >= 0) {
        status_time(w->lag_usec, lag);
        clock_format(w->page.commit_usec, when);
    }
    if (w->behind >= 0) {
        status_bytes((uint64_t)w->behind, behind);
    }
    char *name = arena_printf(&c->arena, "%s/%s", w->pipeline, w->sink);
    printf("%-24s  %-10s  %8s  %10s  %s\n", name,
           status_word((enum page_state)w->page.state), lag, behind, when);
}

int
ctl_lag(struct ctl *c)
{
    struct weir_err err;
    struct status   s;
    struct buf      json = { 0 };

    if (!c->is_running) {
        return ctl_say(CTL_NOT_RUNNING, "no weir runs in %s", c->state);
    }
    if (status_read(&c->arena, c->state, &s, &err) != WEIR_OK) {
        return ctl_say(CTL_FAILED, "%s", err.text);
    }
    if (c->json) {
        buf_text(&json, "[");
    } else {
        printf("%-24s  %-10s  %8s  %10s  %s\n", "SINK", "STATE", "LAG",
               "BEHIND", "LAST COMMIT");
    }
    for (size_t i = 0; i < s.n; i++) {
        if (s.workers[i].sink) {
            print_lag(c, &s.workers[i], &json);
        }
    }
    if (c->json) {
        buf_text(&json, "]");
        ctl_print(&json);
    }
    buf_free(&json);
    return CTL_OK;
}
