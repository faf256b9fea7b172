/* pause.c - see pause.h. */
#include "master/pause.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"

enum { LIST_MAX = 4 << 20 };

static const char *
list_path(const struct server *s, struct arena *a)
{
    return arena_printf(a, "%s/paused.list", s->state.dir);
}

enum weir_status
pause_load(struct server *s, struct weir_err *err)
{
    struct arena     a = { 0 };
    struct weir_str  text = { 0 };
    enum weir_status st = WEIR_OK;

    const char *path = list_path(s, &a);
    if (access(path, F_OK) == 0 || errno != ENOENT) {
        st = file_read(&a, path, LIST_MAX, &text, err);
    }
    s->paused.len = 0;
    buf_str(&s->paused, text);
    arena_free(&a);
    return st;
}

/* The next line of `*rest`, without its end; false where there is none. */
static bool
next_line(struct weir_str *rest, struct weir_str *line)
{
    const char *end = rest->len ? memchr(rest->data, '\n', rest->len) : NULL;

    if (!end) {
        return false;
    }
    *line = (struct weir_str){ rest->data, (size_t)(end - rest->data) };
    rest->data = end + 1;
    rest->len -= line->len + 1;
    return true;
}

static void
name_of(const struct child *c, char out[static 160])
{
    snprintf(out, 160, "%s %s ", c->pipeline, c->sink);
}

void
pause_look(const struct server *s, struct child *c)
{
    struct weir_str rest = buf_view(&s->paused), line;
    char            name[160], text[512], since[25], reason[256] = "";
    int64_t         usec = 0;
    unsigned        uid = 0;

    c->paused[0] = '\0';
    if (!c->sink) {
        return;
    }
    name_of(c, name);
    while (next_line(&rest, &line)) {
        if (!str_has_prefix(line, name)) {
            continue;
        }
        snprintf(text, sizeof text, "%.*s", STR_ARG(line));
        sscanf(text + strlen(name), "%" SCNd64 " %u %255[^\n]", &usec, &uid,
               reason);
        clock_format(usec, since);
        snprintf(c->paused, sizeof c->paused,
                 "paused since %s by uid %u%s%s; weirctl resume %s/%s lets it "
                 "go on", since, uid, reason[0] ? ": " : "", reason,
                 c->pipeline, c->sink);
    }
}

/* The list without `c`, and with `more` behind it, in memory and on disk. */
static enum weir_status
replace(struct server *s, const struct child *c, struct weir_str more,
        struct weir_err *err)
{
    struct arena    a = { 0 };
    struct buf      next = { 0 };
    struct weir_str rest = buf_view(&s->paused), line;
    char            name[160];

    name_of(c, name);
    while (next_line(&rest, &line)) {
        if (!str_has_prefix(line, name)) {
            buf_str(&next, line);
            buf_byte(&next, '\n');
        }
    }
    buf_str(&next, more);
    const enum weir_status st =
        file_replace(list_path(s, &a), buf_view(&next), 0644, err);
    if (st == WEIR_OK) {
        const struct buf old = s->paused;
        s->paused = next;
        next = old;
    }
    buf_free(&next);
    arena_free(&a);
    return st;
}

enum weir_status
pause_sink(struct server *s, struct child *c, unsigned uid,
           struct weir_str reason, struct weir_err *err)
{
    char line[512];

    const int n = snprintf(line, sizeof line,
                           "%s %s %" PRId64 " %u %.*s\n", c->pipeline, c->sink,
                           clock_usec(), uid, (int)reason.len, reason.data);
    const enum weir_status st =
        replace(s, c, (struct weir_str){ line, (size_t)n }, err);
    if (st != WEIR_OK) {
        return st;
    }
    pause_look(s, c);
    log_info("%s is %s", c->what, c->paused);
    if (c->state == CHILD_RUNNING) {
        child_end(c, SIGQUIT, s->generation.drain_ms);
    } else if (c->state == CHILD_DUE || c->state == CHILD_RESTING) {
        child_renew(c);
    }
    return WEIR_OK;
}

enum weir_status
pause_resume(struct server *s, struct child *c, struct weir_err *err)
{
    const enum weir_status st = replace(s, c, STR(""), err);

    if (st != WEIR_OK) {
        return st;
    }
    c->paused[0] = '\0';
    log_info("%s is resumed", c->what);
    if (c->state == CHILD_PAUSED) {
        child_renew(c);
    }
    return WEIR_OK;
}
