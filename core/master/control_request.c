/* control_request.c - one line of weirctl, understood and done; what a worker
 * has to do itself is handed on to it.  Knows no sockets. */
#include "config.h"

#include "master/control.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/request.h"
#include "base/str.h"
#include "master/child.h"
#include "master/pause.h"

enum { WORDS = 9 };

struct asking {
    struct server   *s;
    struct weir_str  words[WORDS];
    size_t           n;
    struct weir_str  line;
    unsigned         uid;
    char            *sentence; /* CONTROL_SENTENCE_MAX bytes */
};

static bool say(struct asking *a, bool ok, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static bool
say(struct asking *a, bool ok, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(a->sentence, CONTROL_SENTENCE_MAX, fmt, ap);
    va_end(ap);
    return ok;
}

/* The sink that words 3 and 4 name; NULL, with a sentence. */
static struct child *
find_sink(struct asking *a)
{
    const struct weir_str pipeline = a->words[3], sink = a->words[4];

    for (struct child *c = a->s->children; c && a->n > 4; c = c->next) {
        if (c->sink && c->is_wanted && str_is(pipeline, c->pipeline) &&
            str_is(sink, c->sink)) {
            return c;
        }
    }
    say(a, false, "no sink %.64s/%.64s runs here: weirctl status lists them",
        arena_cstr(&a->s->call, pipeline), arena_cstr(&a->s->call, sink));
    return NULL;
}

static bool
do_pause(struct asking *a)
{
    struct weir_err err;
    struct weir_str reason = { 0 };

    struct child *c = find_sink(a);
    if (!c) {
        return false;
    }
    if (c->paused[0]) {
        return say(a, false, "%s/%s is %s", c->pipeline, c->sink, c->paused);
    }
    if (a->n > 5) {
        reason.data = a->words[5].data;
        reason.len = (size_t)(a->line.data + a->line.len - reason.data);
    }
    if (reason.len > PAUSE_REASON_MAX) {
        return say(a, false, "a reason has at most %d bytes",
                   PAUSE_REASON_MAX);
    }
    if (pause_sink(a->s, c, a->uid, reason, &err) != WEIR_OK) {
        return say(a, false, "%s; nothing was changed", err.text);
    }
    return say(a, true, "%s/%s drains and is held; meanwhile the relay keeps "
               "what it needs, within relay { size }", c->pipeline, c->sink);
}

static bool
do_resume(struct asking *a)
{
    struct weir_err err;

    struct child *c = find_sink(a);
    if (!c) {
        return false;
    }
    if (!c->paused[0]) {
        return say(a, false, "%s/%s is not paused", c->pipeline, c->sink);
    }
    if (pause_resume(a->s, c, &err) != WEIR_OK) {
        return say(a, false, "%s; nothing was changed", err.text);
    }
    return say(a, true, "%s/%s goes on", c->pipeline, c->sink);
}

/* Handed on; the worker that starts next does it. */
static bool
pass_on(struct asking *a, const struct request *request)
{
    struct server  *s = a->s;
    struct weir_err err;

    struct child *c = find_sink(a);
    if (!c) {
        return false;
    }
    const char *path = request_path(&s->call, s->state.dir, c->pipeline,
                                    c->sink);
    if (request_write(path, request, &err) != WEIR_OK) {
        return say(a, false, "%s", err.text);
    }
    log_info("%s: uid %u asks for %.*s", c->what, a->uid,
             STR_ARG(a->words[2]));
    if (c->state == CHILD_RUNNING) {
        child_end(c, SIGQUIT, s->generation.drain_ms);
    } else if (c->state == CHILD_DUE || c->state == CHILD_RESTING) {
        child_renew(c);
    }
    return say(a, true, "%s", c->paused[0]
                   ? "it is done when the sink is resumed"
                   : "the sink drains and begins there");
}

static bool
do_at(struct asking *a, enum request_verb verb)
{
    struct request r = { .verb = verb };

    if (a->n != 7 || !str_u64(a->words[5], &r.offset) ||
        !str_u64(a->words[6], &r.id)) {
        return say(a, false, "%.*s needs PIPELINE SINK NUMBER ID",
                   STR_ARG(a->words[2]));
    }
    return pass_on(a, &r);
}

static bool
do_rewind(struct asking *a)
{
    return do_at(a, REQUEST_REWIND);
}

static bool
do_park_resume(struct asking *a)
{
    return do_at(a, REQUEST_PARK_RESUME);
}

static bool
do_park_discard(struct asking *a)
{
    return do_at(a, REQUEST_PARK_DISCARD);
}

static bool
do_dead_replay(struct asking *a)
{
    return do_at(a, REQUEST_DEAD_REPLAY);
}

static bool
do_dead_discard(struct asking *a)
{
    return do_at(a, REQUEST_DEAD_DISCARD);
}

static bool
do_adopt(struct asking *a)
{
    struct request r = { .verb = REQUEST_ADOPT };

    if (a->n != 6 || !str_u64(a->words[5], &r.id)) {
        return say(a, false, "a takeover needs PIPELINE SINK ID");
    }
    return pass_on(a, &r);
}

/* A sink that stopped, or rests, tries again. */
static bool
do_begin(struct asking *a)
{
    struct child *c = find_sink(a);

    if (!c) {
        return false;
    }
    const bool stopped =
        c->state == CHILD_RUNNING &&
        atomic_load(&c->page->state) == PAGE_STOPPED;
    if (stopped) {
        child_end(c, SIGQUIT, a->s->generation.drain_ms);
    } else if (c->state == CHILD_DUE || c->state == CHILD_RESTING) {
        child_renew(c);
    } else {
        return say(a, false, "%s/%s has not stopped", c->pipeline, c->sink);
    }
    return say(a, true, "%s/%s begins again", c->pipeline, c->sink);
}

static struct child *
find_source(struct asking *a)
{
    struct child *c = a->s->children;

    while (c && (c->sink || !c->is_wanted ||
                 !str_is(a->words[3], c->pipeline))) {
        c = c->next;
    }
    if (!c) {
        say(a, false, "no pipeline %.64s runs here: weirctl status lists them",
            arena_cstr(&a->s->call, a->words[3]));
    }
    return c;
}

/* Of a source; it is done when its worker begins. */
static bool
do_define(struct asking *a)
{
    struct request  r = { .verb = REQUEST_DEFINE };
    struct server  *s = a->s;
    struct weir_err err;

    if (a->n != 9 || !str_u64(a->words[4], &r.offset) ||
        !str_u64(a->words[5], &r.id)) {
        return say(a, false, "a definition needs PIPELINE VERSION ID DATABASE "
                   "TABLE STATEMENT");
    }
    struct child *c = find_source(a);
    if (!c) {
        return false;
    }
    r.text.data = a->words[6].data;
    r.text.len = (size_t)(a->words[8].data + a->words[8].len - r.text.data);
    const char *path =
        request_path(&s->call, s->state.dir, c->pipeline, NULL);
    if (request_write(path, &r, &err) != WEIR_OK) {
        return say(a, false, "%s", err.text);
    }
    log_info("%s: uid %u gives a table's definition", c->what, a->uid);
    if (c->state == CHILD_RUNNING) {
        child_end(c, SIGQUIT, s->generation.drain_ms);
    } else if (c->state == CHILD_DUE || c->state == CHILD_RESTING) {
        child_renew(c);
    }
    return say(a, true, "the source drains and begins with it");
}

static bool
do_version(struct asking *a)
{
    return say(a, true, "weir " PACKAGE_VERSION ", master %d, %s",
               (int)getpid(), a->s->options->path);
}

static const struct { const char *verb; bool (*act)(struct asking *a); }
requests[] = {
    { "version", do_version }, { "pause", do_pause }, { "resume", do_resume },
    { "rewind", do_rewind },   { "adopt", do_adopt },
    { "park-resume", do_park_resume }, { "park-discard", do_park_discard },
    { "dead-replay", do_dead_replay }, { "dead-discard", do_dead_discard },
    { "begin", do_begin }, { "define", do_define },
};

static void
split(struct asking *a)
{
    const char *p = a->line.data, *end = p + a->line.len;

    while (p < end && a->n < WORDS) {
        const char *space = memchr(p, ' ', (size_t)(end - p));
        const char *stop = space ? space : end;
        a->words[a->n++] = (struct weir_str){ p, (size_t)(stop - p) };
        p = stop + 1;
    }
}

static bool
has_control_byte(struct weir_str line, size_t *at)
{
    for (*at = 0; *at < line.len; ++*at) {
        const unsigned char c = (unsigned char)line.data[*at];
        if (c < ' ' || c == 127) {
            return true;
        }
    }
    return false;
}

bool
control_request(struct server *s, unsigned uid, struct weir_str line,
                char *sentence)
{
    struct asking  asking = { .s = s, .uid = uid, .line = line,
                              .sentence = sentence };
    struct asking *a = &asking;
    size_t         at;

    if (has_control_byte(line, &at)) {
        return say(a, false, "byte %zu of the line is a control character",
                   at + 1);
    }
    split(a);
    if (a->n < 3 || !str_is(a->words[0], "weir")) {
        return say(a, false, "that is no request: weir 1 VERB ...");
    }
    if (!str_is(a->words[1], "1")) {
        return say(a, false, "this weir speaks version 1 of the protocol: use "
                   "the weirctl that came with it");
    }
    if (s->is_ending) {
        return say(a, false, "the server is ending");
    }
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        if (str_is(a->words[2], requests[i].verb)) {
            return requests[i].act(a);
        }
    }
    return say(a, false, "this weir knows no such request");
}
