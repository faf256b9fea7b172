/* child.c - see child.h. */
#include "master/child.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/title.h"

#define SECOND INT64_C(1000000)

enum {
    CRASHES_MAX = 5,      /* at one position: then it rests */
    ABORT_SECONDS = 5,    /* from SIGABRT to SIGKILL */
    WELL_SECONDS = 60,    /* running that long, earlier failures are forgotten */
    BACKOFF_MIN = 100000, /* microseconds */
    BACKOFF_MAX = 60000000,
    BEAT_SLACK = 2000000, /* who only waits shows itself each second */
};

enum weir_status
child_new(struct server *s, const char *pipeline, const char *sink,
          struct child **out, struct weir_err *err)
{
    struct child *c = xcalloc(1, sizeof *c);

    struct arena *a = &c->arena;
    c->pipeline = arena_strdup(a, pipeline);
    c->sink = sink ? arena_strdup(a, sink) : NULL;
    c->slot = UINT_MAX;
    c->what = sink ? arena_printf(a, "sink %s/%s", pipeline, sink)
                   : arena_printf(a, "source %s", pipeline);
    c->page_path =
        sink ? arena_printf(a, "%s/%s.%s.sink", s->state.run, pipeline, sink)
             : arena_printf(a, "%s/%s.source", s->state.run, pipeline);
    enum weir_status st =
        page_create(c->page_path, pipeline, sink ? sink : "", &c->page, err);
    if (st == WEIR_OK) {
        st = account_own(&s->account, c->page_path, err);
    }
    if (st != WEIR_OK) {
        child_free(&c);
        return st;
    }
    c->state = CHILD_HELD;
    *out = c;
    return WEIR_OK;
}

void
child_free(struct child **c)
{
    if (!*c) {
        return;
    }
    page_close((*c)->page);
    unlink((*c)->page_path);
    struct arena a = (*c)->arena;
    free(*c);
    arena_free(&a);
    *c = NULL;
}

/* The file stays the same over restarts, since others may have it mapped; what
 * a broken worker may have left in it doesn't. */
static void
reset_page(struct child *c)
{
    struct worker_page *page = c->page;

    page->magic = PAGE_MAGIC;
    page->size = sizeof *page;
    snprintf(page->pipeline, sizeof page->pipeline, "%s", c->pipeline);
    snprintf(page->sink, sizeof page->sink, "%s", c->sink ? c->sink : "");
    atomic_store(&page->sequence, 0);
    page_set_text(page, PAGE_WRITING, (struct weir_str){ 0 });
    page_set_text(page, PAGE_MODULE, (struct weir_str){ 0 });
    atomic_store(&page->restored, 0);
    atomic_store(&page->caught_up, 0);
    atomic_store(&page->parked_tables, 0);
    atomic_store(&page->dead_letters, 0);
    atomic_store(&page->started_usec, clock_usec());
    page_set_state(page, PAGE_STARTING, NULL);
}

static void
say_state(struct child *c, enum page_state state, const char *reason)
{
    /* A writer that died in mid-text has left it odd. */
    if (atomic_load(&c->page->sequence) & 1) {
        atomic_fetch_add(&c->page->sequence, 1);
    }
    page_set_state(c->page, state, reason);
}

static _Noreturn void
run_child(struct server *s, const struct child *c, pid_t parent)
{
    struct weir_err err;

    const char *context =
        c->sink ? arena_printf(&s->start, "%s/%s", c->pipeline, c->sink)
                : c->pipeline;
    log_context(context);
    title_set("weir: %s", c->what);
    /* Out of the terminal's group: Ctrl-C is for the master alone. */
    setpgid(0, 0);
    umask(027);
    server_let_go(s);
    if (account_become(&s->account, &err) != WEIR_OK) {
        log_error("%s", err.text);
        _exit(MASTER_WORKER_CONFIG);
    }
    /* After setuid(), which would undo it. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(1);
    }
    s->options->worker(s->generation.fd, c->pipeline, c->sink, c->slot,
                       c->page_path);
    _exit(1);
}

static int64_t
next_try(const struct child *c)
{
    return clock_backoff(c->failures ? c->failures - 1 : 0, BACKOFF_MIN,
                         BACKOFF_MAX);
}

static void
start(struct server *s, struct child *c, int64_t now)
{
    reset_page(c);
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid == 0) {
        run_child(s, c, parent);
    }
    if (pid == -1) {
        c->failures++;
        const int64_t wait = next_try(c);
        log_error("start %s: fork: %s; next try in %.1f s", c->what,
                  strerror(errno), (double)wait / SECOND);
        c->at = now + wait;
        return;
    }
    atomic_store(&c->page->pid, pid);
    c->pid = pid;
    c->state = CHILD_RUNNING;
    c->is_hung = false;
    c->started = now;
    c->running_digest = c->digest;
    log_debug("%s started, pid %d", c->what, (int)pid);
}

void
child_end(struct child *c, int signal, int64_t ms)
{
    const int64_t at = clock_steady() + ms * 1000;

    /* A second, more urgent one only brings the end nearer. */
    if (c->state != CHILD_ENDING || at < c->at) {
        c->at = at;
    }
    c->state = CHILD_ENDING;
    kill(c->pid, signal);
}

void
child_renew(struct child *c)
{
    c->failures = c->crashes = 0;
    c->position[0] = '\0';
    c->state = c->paused[0] ? CHILD_PAUSED : CHILD_DUE;
    c->at = 0;
    if (c->paused[0]) {
        say_state(c, PAGE_PAUSED, c->paused);
    }
}

/* What it was doing; empty if it was at no position yet. */
static void
find_position(const struct child *c, char *out, size_t room)
{
    char text[1000];

    page_get_text(c->page, PAGE_WRITING, text, sizeof text);
    if (text[0]) {
        snprintf(out, room, "%s", text);
        return;
    }
    out[0] = '\0';
    page_get_text(c->page, PAGE_GTID, text, sizeof text);
    if (text[0]) {
        snprintf(out, room, "what comes behind %s", text);
        return;
    }
    page_get_text(c->page, PAGE_FILE, text, sizeof text);
    if (text[0]) {
        snprintf(out, room, "what comes behind %s:%" PRIu64, text,
                 atomic_load(&c->page->file_offset));
    }
}

/* "sink shop/cache (redis 0.1.0)" */
static void
describe(const struct child *c, char *out, size_t room)
{
    char module[128];

    page_get_text(c->page, PAGE_MODULE, module, sizeof module);
    if (module[0]) {
        snprintf(out, room, "%s (%s)", c->what, module);
    } else {
        snprintf(out, room, "%s", c->what);
    }
}

static void
describe_end(const struct child *c, int status, char *out, size_t room)
{
    if (c->is_hung) {
        snprintf(out, room, "hung and was ended");
    } else if (WIFSIGNALED(status)) {
        snprintf(out, room, "died of signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    } else {
        snprintf(out, room, "ended by itself with status %d",
                 WEXITSTATUS(status));
    }
}

/* SIGKILL and SIGTERM come from people and from the kernel when memory is
 * short: they say nothing about the position. */
static bool
is_its_own_fault(const struct child *c, int status)
{
    return c->is_hung || !WIFSIGNALED(status) ||
           (WTERMSIG(status) != SIGKILL && WTERMSIG(status) != SIGTERM);
}

/* "5 events from X": how many follow X differs from one try to the next. */
static const char *
beginning(const char *position)
{
    const char *from = strstr(position, " from ");
    return from ? from : position;
}

static void
count_crash(struct child *c, const char *position, int status)
{
    if (!is_its_own_fault(c, status)) {
        return;
    }
    if (c->crashes &&
        strcmp(beginning(position), beginning(c->position)) == 0) {
        c->crashes++;
    } else {
        snprintf(c->position, sizeof c->position, "%s", position);
        c->crashes = 1;
    }
}

static void
crashed(struct child *c, int status)
{
    char who[256], how[96], position[1024], reason[1024];

    find_position(c, position, sizeof position);
    describe(c, who, sizeof who);
    describe_end(c, status, how, sizeof how);
    if (clock_steady() - c->started >= WELL_SECONDS * SECOND) {
        c->failures = 0;
    }
    c->failures++;
    count_crash(c, position, status);
    atomic_fetch_add(&c->page->restarts, 1);

    const char *at = position[0] ? " at "
                     : c->sink   ? " before its first batch"
                                 : "";
    if (c->sink && c->crashes >= CRASHES_MAX) {
        snprintf(reason, sizeof reason,
                 "%s %s %d times%s%.400s; it is not started again until a "
                 "reload (weir -s reload)", who, how, CRASHES_MAX, at,
                 position);
        c->state = CHILD_RESTING;
        say_state(c, PAGE_STOPPED, reason);
    } else {
        const int64_t wait = next_try(c);
        snprintf(reason, sizeof reason, "%s %s%s%.400s; it starts again in "
                 "%.1f s", who, how, at, position, (double)wait / SECOND);
        c->state = CHILD_DUE;
        c->at = clock_steady() + wait;
        say_state(c, PAGE_WAITING, reason);
    }
    log_error("%s", reason);
}

/* It said itself that starting it again would not help. */
static void
gave_up(struct child *c, int status)
{
    char reason[1024];

    c->state = CHILD_RESTING;
    page_get_text(c->page, PAGE_REASON, reason, sizeof reason);
    const bool has_said =
        atomic_load(&c->page->state) == PAGE_STOPPED && reason[0];
    if (!has_said) {
        snprintf(reason, sizeof reason, "ended with status %d: see the log",
                 WEXITSTATUS(status));
        say_state(c, PAGE_STOPPED, reason);
    }
    log_error("%s stopped until a reload: %s", c->what, reason);
}

static void
ended_as_told(struct server *s, struct child *c, int status)
{
    if (WIFSIGNALED(status) && WTERMSIG(status) != SIGTERM &&
        WTERMSIG(status) != SIGQUIT && WTERMSIG(status) != SIGKILL) {
        log_warn("%s died of signal %d (%s) while it was ending; nothing is "
                 "lost, its checkpoint stands", c->what, WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    }
    if (c->is_wanted && !s->is_ending) {
        log_info("%s drained; it %s", c->what,
                 c->paused[0] ? "is held" : "starts anew");
        child_renew(c);
    } else {
        log_info("%s ended", c->what);
        c->state = CHILD_RESTING;
    }
}

void
child_reaped(struct server *s, struct child *c, int status)
{
    const bool was_ending = c->state == CHILD_ENDING;

    c->pid = 0;
    atomic_store(&c->page->pid, 0);
    if (was_ending) {
        ended_as_told(s, c, status);
    } else if (WIFEXITED(status) && WEXITSTATUS(status) == 0 &&
               atomic_load(&c->page->state) == PAGE_ENDED) {
        c->state = CHILD_RESTING;
        log_info("%s ended: there is no more to do", c->what);
    } else if (WIFEXITED(status) && !c->is_hung &&
               (WEXITSTATUS(status) == MASTER_WORKER_CONFIG ||
                WEXITSTATUS(status) == MASTER_WORKER_FATAL)) {
        gave_up(c, status);
    } else {
        crashed(c, status);
    }
}

static void
abort_hung(struct child *c, int64_t now, int64_t age)
{
    char who[256], position[1024];

    describe(c, who, sizeof who);
    find_position(c, position, sizeof position);
    log_error("%s hangs%s%.400s: no sign of life for %.1f s; it is ended with "
              "SIGABRT", who, position[0] ? " at " : "", position,
              (double)age / SECOND);
    c->is_hung = true;
    c->at = now + ABORT_SECONDS * SECOND;
    kill(c->pid, SIGABRT);
}

static int64_t
tick_running(const struct server *s, struct child *c, int64_t now)
{
    if (c->is_hung) {
        if (now >= c->at) {
            kill(c->pid, SIGKILL);
            return INT64_MAX;
        }
        return c->at;
    }
    int64_t beat = atomic_load(&c->page->heartbeat);
    if (beat < c->started || beat > now + SECOND) {
        beat = c->started; /* a page overwritten with nonsense */
    }
    int64_t limit = beat + BEAT_SLACK + c->timeout_ms * 1000;
    limit = limit > s->grace_until ? limit : s->grace_until;
    if (now < limit) {
        return limit;
    }
    abort_hung(c, now, now - beat);
    return c->at;
}

static int64_t
tick_ending(struct child *c, int64_t now)
{
    if (now < c->at) {
        return c->at;
    }
    if (c->at != INT64_MAX) {
        char who[256], position[1024];
        describe(c, who, sizeof who);
        find_position(c, position, sizeof position);
        log_warn("%s did not end in time%s%.400s: killed; it goes on from its "
                 "checkpoint", who, position[0] ? ", at " : "", position);
        kill(c->pid, SIGKILL);
        c->at = INT64_MAX;
    }
    return INT64_MAX;
}

int64_t
child_tick(struct server *s, struct child *c, int64_t now)
{
    switch (c->state) {
    case CHILD_HELD:
        return now + SECOND; /* the list of sinks may have had no room */
    case CHILD_RESTING:
    case CHILD_PAUSED:
        return INT64_MAX;
    case CHILD_DUE:
        if (now < c->at) {
            return c->at;
        }
        start(s, c, now);
        return c->state == CHILD_RUNNING ? tick_running(s, c, now) : c->at;
    case CHILD_RUNNING:
        return tick_running(s, c, now);
    case CHILD_ENDING:
        return tick_ending(c, now);
    }
    return INT64_MAX;
}
