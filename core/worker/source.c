/*
 * source.c - the source worker's main loop: a source module feeds the receiver,
 * the receiver fills the relay; between two connections it waits, for the
 * server, for room, or for a person.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/request.h"
#include "base/str.h"
#include "base/twoslot.h"
#include "binlog/gtid.h"
#include "receive/receiver.h"
#include "relay/identity.h"
#include "relay/progress.h"
#include "schema/given.h"
#include "worker/common.h"

enum { SECOND = 1000000, FIRST_WAIT = 100000,
       ROOM_WAIT = 200000, RUN_IS_FINE = 10 * SECOND };

struct source_worker {
    struct worker        w;
    struct weir_instance in;
    struct receiver     *receiver;
    struct relay        *relay;
    char                *dir, *relay_dir, *relay_page, *sinks_path, *xa_dir;
    uint8_t              id[IDENTITY_BYTES];
    unsigned             tries;    /* in vain, one after another */
    int64_t              began;    /* when the last run did: steady clock */
    uint64_t             had;      /* transactions then */
    bool                 alarmed; /* the relay is 80 % full, and that was said */
    struct buf           sinks;   /* the master's list, as read last */
};

static enum weir_status
find_id(struct source_worker *s, struct weir_err *err)
{
    const char *path = arena_printf(&s->w.arena, "%s/id", s->dir);

    const enum weir_status st = identity_read(path, s->id, err);
    return st == WEIR_DROP ? identity_make(path, s->id, err) : st;
}

/* ---- Retention: what sinks still need, by their checkpoint files */

static enum weir_status
read_progress(struct source_worker *s, const char *sink, struct arena *a,
              struct progress *out, struct weir_err *err)
{
    struct weir_str blob;

    const char      *path = arena_printf(a, "%s/%s/checkpoint", s->dir, sink);
    enum weir_status st = twoslot_read(a, path, &blob, err);
    if (st == WEIR_OK && blob.len == 0) {
        return WEIR_DROP;
    }
    return st == WEIR_OK ? progress_parse(blob, out, err) : st;
}

/* A sink that has not stored anything yet may still want all. */
static uint64_t
needed_by(struct source_worker *s, const char *sink, struct arena *a)
{
    struct progress p;
    struct weir_err err;

    if (read_progress(s, sink, a, &p, &err) != WEIR_OK ||
        memcmp(p.pipeline_id, s->id, IDENTITY_BYTES) != 0) {
        return 0;
    }
    return p.first < p.next ? p.first : p.next;
}

struct holder { const char *sink; uint64_t offset; };

static void
said_once(struct source_worker *s, struct weir_str list, struct arena *a)
{
    if (str_eq(buf_view(&s->sinks), list)) {
        return;
    }
    /* Names that were in the list before and no longer are. */
    char *old = arena_cstr(a, buf_view(&s->sinks));
    for (char *rest = old, *line; (line = strsep(&rest, "\n"));) {
        const char *name = strchr(line, ' ');
        if (name && !memmem(list.data, list.len, name, strlen(name))) {
            log_info("sink%s has left: the relay no longer keeps anything for "
                     "it", name);
        }
    }
    s->sinks.len = 0;
    buf_str(&s->sinks, list);
}

/* One that is so far behind that it would fill the relay, where full = detach;
 * what it has not read is let go of, and it stops where it finds that out. */
static bool
is_detached(struct source_worker *s, const char *sink, uint64_t offset)
{
    const uint64_t published = relay_published(s->relay);
    const uint64_t size = (uint64_t)s->w.pipeline->relay.size;

    if (offset == 0 || offset >= relay_first(s->relay)) {
        if (!s->w.pipeline->relay.full || offset == 0 ||
            published - offset < size) {
            return false;
        }
        log_error("sink %s is detached: what it has not read yet fills the "
                  "relay, and full = detach lets go of it.  It stops with its "
                  "checkpoint kept; to come back, copy its tables anew and "
                  "remove %s/%s/checkpoint", sink, s->dir, sink);
    }
    return true;
}

/* The lowest offset that any sink in the master's list needs. */
static struct holder
lowest_needed(struct source_worker *s, struct arena *a)
{
    struct weir_str text;
    struct weir_err err;
    struct holder   lowest = { NULL, relay_published(s->relay) };

    if (file_read(a, s->sinks_path, 64 << 10, &text, &err) != WEIR_OK) {
        return (struct holder){ "(unknown)", 0 };
    }
    said_once(s, text, a);
    char *list = arena_cstr(a, text);
    for (char *rest = list, *line; (line = strsep(&rest, "\n"));) {
        const char *name = strchr(line, ' ');
        if (!name) {
            continue;
        }
        const uint64_t offset = needed_by(s, name + 1, a);
        if (is_detached(s, name + 1, offset)) {
            continue;
        }
        if (offset < lowest.offset || !lowest.sink) {
            lowest = (struct holder){ name + 1, offset < lowest.offset
                                                    ? offset
                                                    : lowest.offset };
        }
    }
    return lowest;
}

static void
alarm_at(struct source_worker *s, int64_t used, const char *sink)
{
    const int64_t size = s->w.pipeline->relay.size;
    const bool    high = used > size / 10 * 8;

    if (high && !s->alarmed) {
        log_warn("the relay is %lld %% full: sink %s holds %lld MiB of "
                 "%lld MiB", (long long)(used * 100 / size), sink ? sink : "?",
                 (long long)(used >> 20), (long long)(size >> 20));
    }
    s->alarmed = high;
}

static enum weir_status
retain(void *arg, bool *full, struct weir_err *err)
{
    struct source_worker *s = arg;
    struct arena          a = { 0 };
    int64_t               used;
    const int64_t         size = s->w.pipeline->relay.size;

    const struct holder lowest = lowest_needed(s, &a);
    const enum weir_status st =
        relay_retain(s->relay, lowest.offset, &used, err);
    if (st == WEIR_OK) {
        atomic_store(&s->w.page->relay_used, (uint64_t)used);
        atomic_store(&s->w.page->relay_size, (uint64_t)size);
        alarm_at(s, used, lowest.sink);
        /* Some room is needed before it is worth connecting again. */
        const bool was_full = *full;
        *full = used >= (was_full ? size / 10 * 9 : size);
        if (*full && !was_full) {
            log_warn("the relay is full: sink %s holds %lld MiB of its "
                     "%lld MiB; the source is disconnected until there is "
                     "room", lowest.sink ? lowest.sink : "?",
                     (long long)(used >> 20), (long long)(size >> 20));
        }
    }
    arena_free(&a);
    return st;
}

/* ---- Beginning */

static enum weir_status
describe(void *arg, struct weir_str schema, struct weir_str table,
         struct weir_err *err)
{
    struct source_worker *s = arg;
    return s->in.module->describe(s->in.self, schema, table, err);
}

static enum weir_status
open_relay(struct source_worker *s, struct weir_err *err)
{
    const struct conf_relay    *conf = &s->w.pipeline->relay;
    const struct relay_settings settings = {
        .dir = s->relay_dir,
        .page_path = s->relay_page,
        .segment_size = conf->segment,
        .size = conf->size,
        .max_transaction = conf->max_transaction,
        .keep_usec = conf->keep_ms * 1000,
        .sync = (enum relay_sync)conf->sync,
        .origin = receiver_origin,
        .arg = s->receiver,
    };
    struct relay_settings with_id = settings;

    memcpy(with_id.pipeline_id, s->id, IDENTITY_BYTES);
    const enum weir_status st = relay_open(&with_id, &s->relay, err);
    return st == WEIR_OK ? receiver_resume(s->receiver, s->relay,
                                           s->relay_dir, s->relay_page, err)
                         : weir_wrap(err, st, "relay");
}

/* ---- A definition that somebody gives */

static enum weir_status
define(struct source_worker *s, struct request *request, struct arena *a,
       char sentence[static GIVEN_SENTENCE], struct weir_err *err)
{
    struct receiver_given given = { .from = request->offset };

    if (request->verb != REQUEST_DEFINE ||
        !request_unword(a, &request->text, &given.schema) ||
        !request_unword(a, &request->text, &given.name) ||
        !request_unword(a, &request->text, &given.statement)) {
        return weir_fail(err, WEIR_REJECT, "that is no request to a source");
    }
    given.needed = lowest_needed(s, a).offset;
    return receiver_define(s->receiver, &given, sentence, err);
}

/* What was asked is answered, whatever comes of it; only what can't be read or
 * answered is left to the next start. */
static void
take_request(struct source_worker *s)
{
    struct arena    a = { 0 };
    struct request  request;
    struct weir_err err;
    char            sentence[GIVEN_SENTENCE];
    const char     *state = s->w.conf->state, *name = s->w.pipeline->name;

    const char      *path = request_path(&a, state, name, NULL);
    enum weir_status st = request_read(&a, path, &request, &err);
    if (st == WEIR_OK && request.verb != REQUEST_NONE) {
        st = define(s, &request, &a, sentence, &err);
    }
    if (st != WEIR_OK) {
        log_warn("what was asked is refused: %s", err.text);
    }
    if (st != WEIR_OK || request.verb != REQUEST_NONE) {
        st = answer_write(path, answer_path(&a, state, name, NULL),
                          request.id, st == WEIR_OK,
                          st == WEIR_OK ? sentence : err.text, &err);
        if (st != WEIR_OK) {
            log_warn("answer: %s", err.text);
        }
    }
    arena_free(&a);
}

static enum weir_status
begin(struct source_worker *s, struct weir_err *err)
{
    const struct conf_pipeline    *p = s->w.pipeline;
    const struct receiver_settings settings = {
        .kept = p->tables_kept,
        .left_out = p->relay.leave_out,
        .assumed = p->relay.assume_current_schema,
        .max_event = p->relay.max_event,
        .max_transaction = p->relay.max_transaction,
        .xa_dir = s->xa_dir,
        .schema_wait_usec = p->relay.schema_wait_ms * 1000,
        .retain_bytes = p->relay.size / 16,
        .page = s->w.page,
        .describe = p->source.module->describe ? describe : NULL,
        .retain = retain,
        .pipeline = p->name,
        .given = given_path(&s->w.arena, s->w.conf->state, p->name),
        .diverged = arena_printf(&s->w.arena, "%s/diverged", s->dir),
        .adopt = p->adopt,
        .arg = s,
    };

    enum weir_status st = file_mkdir(s->dir, 0700, err);
    if (st == WEIR_OK) {
        st = find_id(s, err);
    }
    if (st != WEIR_OK) {
        return st;
    }
    s->receiver = receiver_new(&settings);
    st = open_relay(s, err);
    if (st != WEIR_OK) {
        receiver_free(&s->receiver);
        return st;
    }
    take_request(s);
    return instance_open(&s->in, err);
}

/* A sink that was taken over says where it stands; the source has to begin
 * there.  True: time to end. */
static bool
await_sink(struct source_worker *s, const struct conf_sink *sink)
{
    struct worker_page *page;
    struct weir_err     err;

    const char *path =
        arena_printf(&s->w.arena, "%s/run/%s.%s.sink", s->w.conf->state,
                     s->w.pipeline->name, sink->name);
    bool known = false, ending = false, said = false;
    while (!known && !ending) {
        if (page_open(path, false, &page, &err) == WEIR_OK) {
            known = atomic_load(&page->restored) ||
                    atomic_load(&page->state) == PAGE_STOPPED ||
                    atomic_load(&page->state) == PAGE_PAUSED;
            page_close(page);
        }
        if (!known && !said) {
            said = true;
            log_info("waiting for sink %s to say where it stands", sink->name);
        }
        ending = !known && worker_wait(&s->w, FIRST_WAIT);
    }
    return ending;
}

static enum weir_status
begin_at_sinks(struct source_worker *s, struct weir_err *err)
{
    const struct conf_pipeline *p = s->w.pipeline;
    struct gtid_set            *lowest = NULL;
    enum weir_status            st = WEIR_OK;
    struct buf                  origin = { 0 };
    struct weir_str             file;
    uint64_t                    offset;

    /* A relay that lost its frames still has where it began. */
    receiver_position(s->receiver, &origin, &file, &offset);
    const bool known = origin.len || file.len;
    buf_free(&origin);
    if (known) {
        return WEIR_OK;
    }
    for (size_t i = 0; i < p->nsinks && st == WEIR_OK; i++) {
        struct progress at;
        if ((p->sinks[i].set.adopt && await_sink(s, &p->sinks[i])) ||
            read_progress(s, p->sinks[i].name, &s->w.arena, &at, err) !=
                WEIR_OK || at.gtid_set.len == 0) {
            continue;
        }
        struct gtid_set *one = gtid_set_new();
        st = gtid_set_add(one, at.gtid_set, err);
        if (st == WEIR_OK && lowest) {
            gtid_set_intersect(lowest, one);
            gtid_set_free(&one);
        } else if (st == WEIR_OK) {
            lowest = one;
        }
    }
    if (st == WEIR_OK && lowest && !gtid_set_empty(lowest)) {
        struct buf text = { 0 };
        gtid_set_format(lowest, &text);
        log_info("begins where the sinks stand: %.*s",
                 STR_ARG(buf_view(&text)));
        st = receiver_begin(s->receiver, buf_view(&text), STR(""), 0, err);
        buf_free(&text);
    }
    gtid_set_free(&lowest);
    return st;
}

/* ---- Running */

static enum weir_status
run(struct source_worker *s, struct weir_err *err)
{
    struct buf      gtids = { 0 };
    struct weir_str file;
    uint64_t        offset;

    receiver_position(s->receiver, &gtids, &file, &offset);
    page_set_state(s->w.page, PAGE_CONNECTING, NULL);
    s->began = clock_steady();
    s->had = atomic_load(&s->w.page->transactions);
    enum weir_status st = s->in.module->run(s->in.self, buf_view(&gtids),
                                            file, offset, err);
    buf_free(&gtids);
    struct weir_err        reason = *err;
    const enum weir_status cut = receiver_disconnected(s->receiver, err);
    if (cut != WEIR_OK && (st == WEIR_OK || st == WEIR_RETRY)) {
        return cut;
    }
    *err = reason;
    return st;
}

/* True: time to end. */
static bool
wait_for_room(struct source_worker *s)
{
    struct weir_err err;

    page_set_state(s->w.page, PAGE_FULL,
                   "what a sink still needs fills relay { size }; see which "
                   "one is behind");
    bool ending = false;
    while (receiver_full(s->receiver) && !ending) {
        ending = worker_wait(&s->w, ROOM_WAIT);
        if (receiver_look_for_room(s->receiver, &err) != WEIR_OK) {
            log_warn("%s", err.text);
        }
    }
    if (!ending) {
        log_info("there is room in the relay again");
    }
    return ending;
}

/* All files are read: the relay still serves the sinks. */
static void
ended(struct source_worker *s)
{
    struct weir_err err;

    log_info("read to its end");
    page_set_state(s->w.page, PAGE_ENDED, NULL);
    while (!worker_wait(&s->w, SECOND)) {
        if (receiver_look_for_room(s->receiver, &err) != WEIR_OK) {
            log_warn("%s", err.text);
        }
    }
}

static void
stopped(struct source_worker *s, const struct weir_err *err)
{
    char reason[sizeof err->text + 80];

    snprintf(reason, sizeof reason,
             "%s; mend it and reload (weir -s reload) or restart", err->text);
    worker_stopped(&s->w, reason);
}

/* Whether it came to anything: then what ended it is a first failure.  A
 * connection that breaks every few seconds must not wait longer each time. */
static bool
run_was_fine(const struct source_worker *s)
{
    return atomic_load(&s->w.page->transactions) != s->had ||
           clock_steady() - s->began > RUN_IS_FINE;
}

/* True: time to end. */
static bool
judge(struct source_worker *s, enum weir_status st, const struct weir_err *err)
{
    if (worker_stopping(&s->w)) {
        return true;
    }
    if (st == WEIR_OK) {
        ended(s);
        return true;
    }
    if (st == WEIR_RETRY && receiver_full(s->receiver)) {
        return wait_for_room(s);
    }
    if (st == WEIR_RETRY && receiver_reads_again(s->receiver)) {
        log_info("%s", err->text);
        return false;
    }
    if (st == WEIR_RETRY) {
        if (run_was_fine(s)) {
            s->tries = 0;
        }
        return worker_retry(&s->w, &s->tries, err->text);
    }
    stopped(s, err);
    return true;
}

static void
init(struct source_worker *s, const struct worker_args *args)
{
    char module[80];

    worker_setup(&s->w, args);
    const struct conf_use *use = &s->w.pipeline->source;
    const int n = snprintf(module, sizeof module, "%s %s", use->module->name,
                           use->module->version);
    page_set_text(s->w.page, PAGE_MODULE,
                  (struct weir_str){ module, (size_t)n });
    struct arena *a = &s->w.arena;
    const char   *state = s->w.conf->state;
    const char   *name = s->w.pipeline->name;
    s->dir = arena_printf(a, "%s/%s", state, name);
    s->relay_dir = arena_printf(a, "%s/relay", s->dir);
    s->xa_dir = arena_printf(a, "%s/xa.prepared", s->dir);
    s->relay_page = arena_printf(a, "%s/run/%s.relay", state, name);
    s->sinks_path = arena_printf(a, "%s/run/%s.sinks", state, name);
    instance_init(&s->in, use->module, use->conf, name);
    s->in.stop_fd = s->w.stop_fd;
    s->in.dir = arena_printf(a, "%s/source", s->dir);
    s->in.feed = &receiver_feed_ops;
}

/* True: it can run; false: time to end. */
static bool
begin_with_retries(struct source_worker *s)
{
    struct weir_err err = { .text = "" };

    for (;;) {
        enum weir_status st = s->receiver ? instance_open(&s->in, &err)
                                          : begin(s, &err);
        s->in.arg = s->receiver;
        if (st == WEIR_OK && relay_is_new(s->relay)) {
            st = begin_at_sinks(s, &err);
        }
        if (st == WEIR_OK) {
            s->tries = 0;
            return !worker_stopping(&s->w);
        }
        if (st != WEIR_RETRY) {
            stopped(s, &err);
            return false;
        }
        if (worker_retry(&s->w, &s->tries, err.text)) {
            return false;
        }
    }
}

void
source_main(const struct worker_args *args)
{
    struct source_worker s = { 0 };
    struct weir_err      err = { .text = "" };

    init(&s, args);
    if (begin_with_retries(&s)) {
        enum weir_status st;
        do {
            st = run(&s, &err);
        } while (!judge(&s, st, &err));
    }
    instance_close(&s.in);
    if (s.relay && relay_close(&s.relay, true, &err) != WEIR_OK) {
        log_warn("%s", err.text);
    }
    receiver_free(&s.receiver);
    page_set_state(s.w.page, PAGE_ENDED, NULL);
    log_info("drained");
    buf_free(&s.sinks);
    arena_free(&s.w.arena);
    _exit(0);
}
