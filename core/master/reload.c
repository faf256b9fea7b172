/* reload.c - see reload.h. */
#include "master/reload.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "master/child.h"
#include "master/notify.h"
#include "master/pause.h"

enum { SOURCE_TIMEOUT_MS = 60000, SLOTS = GENERATION_MAX_SINKS };

struct tally { unsigned unchanged, changed, added, removed; };

static bool
same_name(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static struct child *
find_child(struct server *s, const char *pipeline, const char *sink)
{
    for (struct child *c = s->children; c; c = c->next) {
        if (strcmp(c->pipeline, pipeline) == 0 && same_name(c->sink, sink)) {
            return c;
        }
    }
    return NULL;
}

static enum weir_status
add_child(struct server *s, const char *pipeline, const char *sink,
          struct child **out, struct weir_err *err)
{
    const enum weir_status st = child_new(s, pipeline, sink, out, err);
    if (st == WEIR_OK) {
        struct child **last = &s->children;
        while (*last) {
            last = &(*last)->next;
        }
        *last = *out;
    }
    return st;
}

/* One that reports why it can't go on waits for a person, who has now spoken:
 * what was wrong may have been mended elsewhere. */
static bool
is_to_start_anew(const struct child *c, uint64_t digest)
{
    return c->running_digest != digest ||
           atomic_load(&c->page->state) == PAGE_STOPPED;
}

/* Room for each that is new, or none of it: pages are what a full disk refuses. */
static enum weir_status
prepare_children(struct server *s, const struct generation *next,
                 struct tally *tally, struct weir_err *err)
{
    struct child *c;

    for (size_t i = 0; i < next->npipelines; i++) {
        const struct generation_pipeline *p = &next->pipelines[i];
        for (size_t k = 0; k <= p->nsinks; k++) {
            const char *sink = k ? p->sinks[k - 1].name : NULL;
            if (find_child(s, p->name, sink)) {
                continue;
            }
            const enum weir_status st = add_child(s, p->name, sink, &c, err);
            if (st != WEIR_OK) {
                return st; /* who is not wanted is forgotten */
            }
            pause_look(s, c);
            tally->added++;
        }
    }
    return WEIR_OK;
}

/* What the new generation means for a worker that it has; the source has no
 * name. */
static void
want(struct server *s, const char *pipeline, const struct generation_sink *as,
     struct tally *tally)
{
    struct child *c = find_child(s, pipeline, as->name);

    if (c->state == CHILD_RUNNING && is_to_start_anew(c, as->digest)) {
        tally->changed++;
        child_end(c, SIGQUIT, s->generation.drain_ms);
    } else if (c->state == CHILD_DUE || c->state == CHILD_RESTING) {
        tally->changed++;
        child_renew(c);
    } else {
        tally->unchanged += c->state == CHILD_RUNNING;
    }
    c->is_wanted = true;
    c->digest = as->digest;
    c->timeout_ms = as->timeout_ms;
    c->memory = as->memory;
}

static void
drop_unwanted(struct server *s, struct tally *tally)
{
    for (struct child *c = s->children; c; c = c->next) {
        if (c->is_wanted) {
            continue;
        }
        tally->removed++;
        log_info("%s is no longer in the configuration%s", c->what,
                 c->pid ? ": it drains and ends" : "");
        if (c->state == CHILD_RUNNING) {
            child_end(c, SIGQUIT, s->generation.drain_ms);
        } else if (c->state != CHILD_ENDING) {
            c->state = CHILD_RESTING;
        }
    }
}

static void
compare(struct server *s, struct tally *tally)
{
    const struct generation *g = &s->generation;

    for (struct child *c = s->children; c; c = c->next) {
        c->is_wanted = false;
    }
    for (size_t i = 0; i < g->npipelines; i++) {
        const struct generation_pipeline *p = &g->pipelines[i];
        const struct generation_sink source = {
            .digest = p->digest, .timeout_ms = SOURCE_TIMEOUT_MS,
        };
        want(s, p->name, &source, tally);
        for (size_t k = 0; k < p->nsinks; k++) {
            want(s, p->name, &p->sinks[k], tally);
        }
    }
    drop_unwanted(s, tally);
}

/* What can't change while we run. */
static enum weir_status
check_change(const struct server *s, const struct generation *next,
             struct weir_err *err)
{
    const struct generation *now = &s->generation;

    if (strcmp(now->state, next->state) != 0) {
        return weir_fail(err, WEIR_FATAL,
                         "`state` changes from %s to %s: that needs a restart "
                         "(weir -s quit, then weir)", now->state, next->state);
    }
    if (!same_name(now->user, next->user)) {
        log_warn("`user` has changed: that needs a restart; workers go on "
                 "as before");
    }
    if (!same_name(now->pid, next->pid)) {
        log_warn("`pid` has changed: that needs a restart; the file stays %s",
                 now->pid ? now->pid : "unwritten");
    }
    if (!same_name(now->log, next->log)) {
        log_warn("`log` has changed: that needs a restart; %s is written to "
                 "until then", now->log ? now->log : "standard error");
    }
    if (!same_name(now->control, next->control)) {
        log_warn("`control` has changed: that needs a restart; the socket "
                 "stays where it is");
    }
    if (now->log_level != next->log_level) {
        log_warn("`log_level` has changed: workers that go on unchanged keep "
                 "the old one until a restart");
    }
    return WEIR_OK;
}

/* Only names the first time; the strings live as long as `next`. */
static void
keep_unchangeable(const struct server *s, struct generation *next,
                  struct arena *a)
{
    const struct generation *now = &s->generation;

    next->user = now->user ? arena_strdup(a, now->user) : NULL;
    next->pid = now->pid ? arena_strdup(a, now->pid) : NULL;
    next->control = now->control ? arena_strdup(a, now->control) : NULL;
    next->log = now->log ? arena_strdup(a, now->log) : NULL;
}

static void
keep_text(const struct server *s)
{
    struct arena    a = { 0 };
    struct weir_err err;

    const char *path = arena_printf(&a, "%s/running.conf", s->state.dir);
    if (file_replace(path, s->generation.masked, 0640, &err) != WEIR_OK ||
        account_own(&s->account, path, &err) != WEIR_OK) {
        log_warn("running.conf is not up to date: %s", err.text);
    }
    arena_free(&a);
}

enum weir_status
reload_apply(struct server *s, int fd, struct weir_err *err)
{
    struct arena      a = { 0 };
    struct generation next;
    struct tally      tally = { 0 };

    const bool       is_first = !s->generation.state;
    enum weir_status st = generation_read(&a, fd, true, &next, err);
    if (st == WEIR_OK && !is_first) {
        st = check_change(s, &next, err);
    }
    if (st == WEIR_OK) {
        st = prepare_children(s, &next, &tally, err);
    }
    if (st != WEIR_OK) {
        close(fd);
        arena_free(&a);
        return st;
    }
    if (!is_first) {
        keep_unchangeable(s, &next, &a);
        close(s->generation.fd);
        arena_free(&s->arena);
    }
    s->arena = a;
    s->generation = next;
    s->generation.fd = fd;
    log_level(next.log_level);
    log_json(next.log_json);
    keep_text(s);
    compare(s, &tally);
    s->is_settling = true;
    log_info("%s %s: %u workers unchanged, %u changed or stopped before, %u "
             "new, %u removed",
             is_first ? "read" : "reloaded", s->options->path,
             tally.unchanged, tally.changed, tally.added, tally.removed);
    return WEIR_OK;
}

/* ---- Until everything is as the generation wants it */

/* Which reader of the page directory a sink is; slots of those that run stay
 * the same. */
static enum weir_status
write_slots(struct server *s, const char *pipeline)
{
    struct arena    a = { 0 };
    struct buf      text = { 0 };
    struct weir_err err;

    for (struct child *c = s->children; c; c = c->next) {
        if (c->sink && c->slot < SLOTS && strcmp(c->pipeline, pipeline) == 0) {
            buf_printf(&text, "%u %s\n", c->slot, c->sink);
        }
    }
    const char *name = arena_printf(&a, "%s.sinks", pipeline);
    const enum weir_status st =
        state_put(&s->state, name, buf_view(&text), &err);
    if (st != WEIR_OK) {
        log_error("the list of sinks of %s is not up to date: %s", pipeline,
                  err.text);
    }
    buf_free(&text);
    arena_free(&a);
    return st;
}

static unsigned
free_slot(struct server *s, const char *pipeline)
{
    uint64_t taken = 0;

    for (struct child *c = s->children; c; c = c->next) {
        if (c->sink && c->slot < SLOTS && strcmp(c->pipeline, pipeline) == 0) {
            taken |= UINT64_C(1) << c->slot;
        }
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        if (!(taken >> i & 1)) {
            return i;
        }
    }
    return SLOTS;
}

static bool
pipeline_drains(const struct server *s, const char *pipeline)
{
    for (const struct child *c = s->children; c; c = c->next) {
        if (c->state == CHILD_ENDING && strcmp(c->pipeline, pipeline) == 0) {
            return true;
        }
    }
    return false;
}

/* A new sink may be an old one under another name, whose checkpoint it takes
 * over: so it waits until nobody of its pipeline drains. */
static void
release_held(struct server *s)
{
    for (struct child *c = s->children; c; c = c->next) {
        if (c->state != CHILD_HELD || pipeline_drains(s, c->pipeline)) {
            continue;
        }
        if (c->sink) {
            c->slot = free_slot(s, c->pipeline);
        }
        /* Without it the relay would keep nothing for a new sink. */
        if (write_slots(s, c->pipeline) == WEIR_OK) {
            child_renew(c);
        }
    }
}

static void
free_ended(struct server *s)
{
    struct child **at = &s->children;

    while (*at) {
        struct child *c = *at;
        if (c->is_wanted || c->pid) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        struct arena a = { 0 };
        const char  *pipeline = arena_strdup(&a, c->pipeline);
        child_free(&c);
        if (!s->is_ending) {
            write_slots(s, pipeline);
        }
        arena_free(&a);
    }
}

static void
publish(struct server *s)
{
    struct weir_err err;

    if (state_publish(&s->state, &s->reload, &err) != WEIR_OK) {
        log_warn("`weir -s reload` may wait in vain: %s", err.text);
    }
}

static void
finish(struct server *s, bool ok, const char *reason)
{
    s->reload.finished = s->reload.started;
    s->reload.ok = ok;
    snprintf(s->reload.reason, sizeof s->reload.reason, "%s", reason);
    publish(s);
    if (s->reload.started) {
        notify_ready(); /* again; the first is the master's to say */
    }
}

void
reload_settle(struct server *s)
{
    free_ended(s);
    release_held(s);
    if (!s->is_settling || s->is_ending) {
        return;
    }
    for (const struct child *c = s->children; c; c = c->next) {
        if (c->state == CHILD_ENDING || c->state == CHILD_HELD ||
            (c->state == CHILD_DUE && c->at == 0)) {
            return;
        }
    }
    s->is_settling = false;
    if (!s->checker.pid) {
        finish(s, true, "");
    }
}

/* ---- The test, in a child */

void
reload_begin(struct server *s)
{
    struct weir_err err;

    s->reload.started++;
    publish(s);
    notify_reloading();
    log_info("reloading %s", s->options->path);
    if (checker_start(&s->checker, s->options, true, server_let_go, s, &err) !=
        WEIR_OK) {
        log_error("reload refused, everything goes on as before: %s",
                  err.text);
        finish(s, false, err.text);
    }
}

/* What it had to say although all is well. */
static void
pass_on_warnings(const struct checker *c)
{
    struct weir_str line;
    size_t          at = 0;

    while (checker_line(c, &at, &line)) {
        log_warn("%.*s", STR_ARG(line));
    }
}

bool
reload_reaped(struct server *s, pid_t pid, int status)
{
    struct weir_err err;
    int             fd = -1;

    if (!s->checker.pid || pid != s->checker.pid) {
        return false;
    }
    enum weir_status st = checker_finish(&s->checker, status, &fd, &err);
    if (st == WEIR_OK && s->is_ending) {
        close(fd);
        return true;
    }
    if (st == WEIR_OK) {
        pass_on_warnings(&s->checker);
        st = reload_apply(s, fd, &err);
    }
    if (st != WEIR_OK) {
        log_error("reload refused, everything goes on as before: %s",
                  err.text);
        finish(s, false, err.text);
    }
    return true;
}
