/* ctl_aside.c - weirctl park and weirctl dead: what sinks have put aside, read
 * from their side logs; to resume, replay and discard is asked of the sink's
 * worker, which alone writes there. */
#include "tools/ctl.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/str.h"
#include "deliver/refuse.h"
#include "deliver/sidelog.h"
#include "relay/follow.h"
#include "tools/frame_json.h"

struct side { /* one log */
    const char *pipeline, *sink, *folder, *dir;
    bool        dead;
};

struct asked {
    struct ctl *c;
    bool        dead;
    const char *pipeline, *sink; /* NULL: all */
    const char *what;            /* a table, or the number of a letter */
    struct buf  json;
    uint64_t    found;
    int         result;
};

/* ---- Which logs there are */

typedef void each_log(struct asked *a, const struct side *log);

static void
each_parked(struct asked *a, struct side *log, each_log *each)
{
    const char    *top = log->dir;
    struct dirent **names;

    const int n = scandir(top, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        if (names[i]->d_name[0] != '.' && !strstr(names[i]->d_name, "%gone")) {
            log->folder = arena_strdup(&a->c->arena, names[i]->d_name);
            log->dir = arena_printf(&a->c->arena, "%s/%s", top, log->folder);
            each(a, log);
        }
        free(names[i]);
    }
    if (n >= 0) {
        free(names);
    }
}

static void
look_at(struct asked *a, const char *pipeline, const char *sink,
        each_log *each)
{
    struct side log = { .pipeline = pipeline, .sink = sink, .dead = a->dead,
                        .folder = "dead" };

    if ((a->pipeline && strcmp(a->pipeline, pipeline) != 0) ||
        (a->sink && strcmp(a->sink, sink) != 0)) {
        return;
    }
    log.dir = arena_printf(&a->c->arena, "%s/%s/%s/%s", a->c->state, pipeline,
                           sink, a->dead ? "dead" : "park");
    if (access(log.dir, F_OK) == -1) {
        return;
    }
    if (a->dead) {
        each(a, &log);
    } else {
        each_parked(a, &log, each);
    }
}

static void
each_sink(struct asked *a, each_log *each)
{
    struct dirent **pipelines, **sinks;

    const int n = scandir(a->c->state, &pipelines, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        const char *name = arena_strdup(&a->c->arena, pipelines[i]->d_name);
        const char *dir =
            arena_printf(&a->c->arena, "%s/%s", a->c->state, name);
        const int m = name[0] == '.' ? -1
                                     : scandir(dir, &sinks, NULL, alphasort);
        for (int k = 0; k < m; k++) {
            if (sinks[k]->d_name[0] != '.') {
                look_at(a, name,
                        arena_strdup(&a->c->arena, sinks[k]->d_name), each);
            }
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

/* ---- Reading one */

/* Records that are not done with. */
static bool
is_left(const struct side *log, uint64_t done, struct weir_str handled,
        const struct side_record *r)
{
    char line[24];

    if (!log->dead) {
        return r->at >= done;
    }
    snprintf(line, sizeof line, "%020" PRIu64 "\n", r->next);
    return !handled.len || !memmem(handled.data, handled.len, line, 21);
}

static struct weir_str
read_handled(struct asked *a, const struct side *log)
{
    struct weir_str text = { NULL, 0 };
    struct weir_err err;

    const char *path = arena_printf(&a->c->arena, "%s/handled", log->dir);
    if (access(path, F_OK) == 0 &&
        file_read(&a->c->arena, path, 256 << 20, &text, &err) != WEIR_OK) {
        text.len = 0;
    }
    return text;
}

typedef void each_record(struct asked *a, const struct side *log,
                         const struct side_record *r, void *arg);

static void
walk(struct asked *a, const struct side *log, each_record *each, void *arg)
{
    struct follower   *f;
    struct side_record r;
    struct weir_err    err;
    uint64_t           done = 0;

    const struct weir_str handled =
        log->dead ? read_handled(a, log) : (struct weir_str){ NULL, 0 };
    enum weir_status st = sidelog_done(log->dir, &done, &err);
    if (st == WEIR_OK) {
        st = sidelog_read(log->dir, &f, &err);
    }
    if (st == WEIR_OK) {
        while ((st = sidelog_next(f, &r, &err)) == WEIR_OK) {
            if (is_left(log, done, handled, &r)) {
                each(a, log, &r, arg);
            }
        }
        follower_close(&f);
    }
    if (st != WEIR_DROP) {
        a->result = ctl_say(CTL_FAILED, "%s", err.text);
    }
}

/* ---- list */

struct sum {
    uint64_t events, rows;
    int64_t  since_usec;
    char     reason[512];
};

static void
sum_up(struct asked *a, const struct side *log, const struct side_record *r,
       void *arg)
{
    struct sum *s = arg;

    (void)a;
    (void)log;
    if (s->events++ == 0) {
        s->since_usec = r->usec;
        snprintf(s->reason, sizeof s->reason, "%.*s", STR_ARG(r->reason));
    }
    s->rows += r->nrows;
}

static void
list_parked(struct asked *a, const struct side *log)
{
    struct sum      s = { 0 };
    struct weir_err err;
    struct weir_str schema, table;
    char            since[25];

    if (sidelog_names(log->dir, &a->c->arena, &schema, &table, &err) !=
        WEIR_OK) {
        return;
    }
    walk(a, log, sum_up, &s);
    a->found++;
    if (a->c->json) {
        struct buf *out = &a->json;
        buf_text(out, out->data[out->len - 1] == '[' ? "{" : ",{");
        ctl_text(out, "pipeline", str_of(log->pipeline));
        ctl_text(out, "sink", str_of(log->sink));
        ctl_text(out, "database", schema);
        ctl_text(out, "table", table);
        ctl_uint(out, "events", s.events);
        ctl_uint(out, "rows", s.rows);
        ctl_time(out, "since", s.since_usec);
        ctl_text(out, "reason", str_of(s.reason));
        ctl_text(out, "folder", str_of(log->dir));
        buf_text(out, "}");
        return;
    }
    clock_format(s.since_usec, since);
    struct arena *arena = &a->c->arena;
    const char   *name = arena_printf(arena, "%s.%s", ctl_shown(arena, schema),
                                      ctl_shown(arena, table));
    printf("%s/%s  %s: %" PRIu64 " rows kept, since %s\n    %s\n"
           "    mend that, then: weirctl park resume %s/%s %s\n",
           log->pipeline, log->sink, name, s.rows, since,
           ctl_shown(arena, str_of(s.reason)), log->pipeline, log->sink, name);
}

static void
list_letter(struct asked *a, const struct side *log,
            const struct side_record *r, void *arg)
{
    char when[25];

    (void)arg;
    a->found++;
    if (a->c->json) {
        struct buf *out = &a->json;
        buf_text(out, out->data[out->len - 1] == '[' ? "{" : ",{");
        ctl_text(out, "pipeline", str_of(log->pipeline));
        ctl_text(out, "sink", str_of(log->sink));
        ctl_uint(out, "id", r->at);
        ctl_uint(out, "relay_offset", r->frame);
        ctl_uint(out, "rows", r->nrows);
        ctl_int(out, "attempts", r->attempts);
        ctl_time(out, "time", r->usec);
        ctl_text(out, "reason", r->reason);
        buf_text(out, "}");
        return;
    }
    clock_format(r->usec, when);
    printf("%s/%s  %" PRIu64 "  %s  %u attempts\n    %s\n", log->pipeline,
           log->sink, r->at, when, r->attempts,
           ctl_shown(&a->c->arena, r->reason));
}

static void
list_dead(struct asked *a, const struct side *log)
{
    walk(a, log, list_letter, NULL);
}

static int
list(struct asked *a)
{
    if (a->c->json) {
        buf_text(&a->json, "[");
    }
    each_sink(a, a->dead ? list_dead : list_parked);
    if (a->c->json) {
        buf_text(&a->json, "]");
        ctl_print(&a->json);
    } else if (a->found == 0 && a->result == CTL_OK) {
        puts(a->dead ? "no dead letters" : "no table is parked");
    }
    return a->result;
}

/* ---- show */

static bool
is_named(struct asked *a, const struct side *log)
{
    struct weir_str schema, table;
    struct weir_err err;

    if (log->dead) {
        return true;
    }
    return sidelog_names(log->dir, &a->c->arena, &schema, &table, &err) ==
               WEIR_OK &&
           strcmp(arena_printf(&a->c->arena, "%.*s.%.*s", STR_ARG(schema),
                               STR_ARG(table)), a->what) == 0;
}

struct showing {
    struct relaylog    log;
    struct frame_json *json;
    struct arena       arena;
};

static void
put_raw(struct buf *out, const struct frame *body)
{
    const size_t skip = body->type == FRAME_ROW ? 24 : 16;

    ctl_key(out, "raw");
    buf_byte(out, '"');
    for (size_t i = skip; i < body->payload.len; i++) {
        buf_printf(out, "%02x", (unsigned char)body->payload.data[i]);
    }
    buf_byte(out, '"');
}

/* The one segment that holds both, found again for each: few are looked at. */
static bool
read_body(struct showing *s, uint64_t offset, struct frame *out)
{
    struct weir_err err;

    for (size_t i = s->log.names.nbases; i-- > 0;) {
        if (s->log.names.bases[i] <= offset) {
            return relaylog_enter(&s->log, i, &err) == WEIR_OK &&
                   relaylog_read(&s->log, offset, &s->arena, out, &err) ==
                       WEIR_OK;
        }
    }
    return false;
}

static void
show_record(struct asked *a, const struct side *log,
            const struct side_record *r, void *arg)
{
    struct showing *s = arg;
    struct frame    body;
    struct buf      out = { 0 };

    (void)log;
    if (a->dead && a->what && strtoull(a->what, NULL, 10) != r->at) {
        return;
    }
    a->found++;
    buf_text(&out, "{");
    ctl_uint(&out, "id", r->at);
    ctl_uint(&out, "relay_offset", r->frame);
    if (r->row == REFUSED_ALL_ROWS) {
        ctl_int(&out, "from_row", r->from);
    } else {
        ctl_int(&out, "row", r->row);
    }
    if (r->part) {
        ctl_text(&out, "half", r->part == ROW_LEAVES ? STR("delete")
                                                    : STR("insert"));
    }
    ctl_time(&out, "time", r->usec);
    ctl_int(&out, "attempts", r->attempts);
    ctl_text(&out, "reason", r->reason);
    if (read_body(s, r->body, &body)) {
        ctl_key(&out, "event");
        frame_json_put(s->json, &s->log, &body, &out);
        put_raw(&out, &body);
    }
    buf_text(&out, "}");
    ctl_print(&out);
    buf_free(&out);
    arena_reset(&s->arena);
}

static void
show_log(struct asked *a, const struct side *log)
{
    struct showing  s = { 0 };
    struct weir_err err;

    if (!is_named(a, log)) {
        return;
    }
    const char *page = arena_printf(&a->c->arena, "%s/page", log->dir);
    if (relaylog_open(log->dir, page, &s.log, &err) != WEIR_OK) {
        a->result = ctl_say(CTL_FAILED, "%s", err.text);
        return;
    }
    s.json = frame_json_new();
    walk(a, log, show_record, &s);
    frame_json_free(&s.json);
    relaylog_close(&s.log);
    arena_free(&s.arena);
}

static int
show(struct asked *a)
{
    each_sink(a, show_log);
    return a->found || a->result ? a->result
                                 : ctl_say(CTL_FAILED, a->dead
                                               ? "there is no such dead letter"
                                               : "no such table is parked");
}

/* ---- What the worker does */

static void
find_folder(struct asked *a, const struct side *log)
{
    if (is_named(a, log)) {
        a->found = str_hash(0, str_of(log->folder));
    }
}

static int
hand_on(struct asked *a, const char *verb)
{
    struct ctl *c = a->c;

    if (!c->is_running) {
        return ctl_say(CTL_NOT_RUNNING, "no weir runs in %s: start it first",
                       c->state);
    }
    if (!a->dead) {
        if (!a->what) {
            return ctl_say(CTL_USAGE, "which table?  DATABASE.TABLE");
        }
        each_sink(a, find_folder);
        while (!a->found && ctl_is_starting(c, a->pipeline, a->sink)) {
            each_sink(a, find_folder);
        }
        if (!a->found) {
            return ctl_say(CTL_FAILED, "%s is not parked in %s/%s", a->what,
                           a->pipeline, a->sink);
        }
    } else if (a->what && strcmp(a->what, "all") != 0) {
        if (!str_u64(str_of(a->what), &a->found) || a->found == 0) {
            return ctl_say(CTL_USAGE, "%.40s: the number of a dead letter, or "
                           "all", a->what);
        }
    } else if (!a->what) {
        return ctl_say(CTL_USAGE, "which one?  The number that weirctl dead "
                       "list shows, or all");
    }
    return ctl_hand_on(c, a->pipeline, a->sink,
                       arena_printf(&c->arena, "%s-%s",
                                    a->dead ? "dead" : "park", verb),
                       arena_printf(&c->arena, "%" PRIu64, a->found));
}

static int
aside(struct ctl *c, bool dead)
{
    struct asked a = { .c = c, .dead = dead };

    const char *verb = c->argc > 0 ? c->argv[0] : "";
    const bool  steers = strcmp(verb, dead ? "replay" : "resume") == 0 ||
                        strcmp(verb, "discard") == 0;
    if (!steers && strcmp(verb, "list") != 0 && strcmp(verb, "show") != 0) {
        return ctl_say(CTL_USAGE, dead
                           ? "dead list, show, replay or discard?"
                           : "park list, show, resume or discard?");
    }
    c->argc--;
    c->argv++;
    if ((steers || strcmp(verb, "show") == 0 || c->argc > 0) &&
        !ctl_sink(c, &a.pipeline, &a.sink)) {
        return CTL_USAGE;
    }
    a.what = c->argc > 1 ? c->argv[1] : NULL;
    int result;
    if (steers) {
        result = hand_on(&a, verb);
    } else if (strcmp(verb, "list") == 0) {
        result = list(&a);
    } else if (!dead && !a.what) {
        result = ctl_say(CTL_USAGE, "which table?  DATABASE.TABLE");
    } else {
        result = show(&a);
    }
    buf_free(&a.json);
    return result;
}

int
ctl_park(struct ctl *c)
{
    return aside(c, false);
}

int
ctl_dead(struct ctl *c)
{
    return aside(c, true);
}
