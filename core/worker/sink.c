/*
 * sink.c - a sink worker's main loop: what deliver/ says happened becomes
 * waiting, trying again, or stopping with the reason shown.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "deliver/deliver.h"
#include "worker/common.h"

enum { RELAY_WAIT = 50000 };

struct sink_worker {
    struct worker     w;
    struct deliverer *d;
    unsigned          tries;    /* in vain, one after another */
    bool              is_open, is_started;
    bool              told; /* that it waits for the source */
    char              why[512]; /* it waits, as shown */
};

static void
show_running(struct sink_worker *s)
{
    char why[512];

    if (deliver_trouble(s->d, why, sizeof why)) {
        if (strcmp(s->why, why) != 0 && !worker_stopping(&s->w)) {
            snprintf(s->why, sizeof s->why, "%s", why);
            page_set_waiting(s->w.page, why);
            s->tries += s->tries == 0; /* what comes then "goes on" */
        }
        return;
    }
    s->why[0] = '\0';
    if (atomic_load(&s->w.page->state) != PAGE_RUNNING &&
        !worker_stopping(&s->w)) {
        page_set_state(s->w.page, PAGE_RUNNING, NULL);
        log_info("%s", s->tries ? "goes on" : "running");
    }
    s->tries = 0;
}

/* What has to be done next.  DROP: nothing, now. */
static enum weir_status
step(struct sink_worker *s, struct weir_err *err)
{
    enum weir_status st = WEIR_OK;

    if (!s->is_open) {
        st = deliver_open(s->d, err);
        s->is_open = st == WEIR_OK;
    }
    if (st == WEIR_OK && !s->is_started) {
        st = deliver_start(s->d, err);
        s->is_started = st == WEIR_OK;
    }
    if (st == WEIR_DROP) {
        if (atomic_load(&s->w.page->state) != PAGE_STARTING || !s->told) {
            s->told = true;
            page_set_state(s->w.page, PAGE_STARTING,
                           "waits for the source worker to begin: see its "
                           "state");
        }
        worker_wait(&s->w, RELAY_WAIT);
        return WEIR_OK;
    }
    if (st != WEIR_OK) {
        return st;
    }
    st = deliver_step(s->d, err);
    if (st == WEIR_OK || st == WEIR_DROP) {
        show_running(s);
    }
    return st;
}

static const char *
mending(enum weir_status st)
{
    return st == WEIR_FENCED
               ? "; another Weir writes to this sink now: this one must not"
               : "; mend it and reload (weir -s reload) or restart";
}

/* By transaction a try ends here each time; by key, a lane counts its own. */
static bool
too_many_tries(const struct sink_worker *s)
{
    const int64_t max = s->w.sink->retry.max;

    return max > 0 && s->w.sink->use.module->commit && s->tries + 1 >= max;
}

/* True: time to end. */
static bool
judge(struct sink_worker *s, enum weir_status st, const struct weir_err *err)
{
    char reason[sizeof err->text + 160];

    switch (st) {
    case WEIR_OK:
        return worker_stopping(&s->w);
    case WEIR_DROP:
        deliver_wait(s->d);
        log_flush();
        return worker_stopping(&s->w);
    case WEIR_RETRY:
        s->is_started = false;
        if (too_many_tries(s)) {
            snprintf(reason, sizeof reason,
                     "%s (given up after %u tries, as retry { max } says)%s",
                     err->text, s->tries + 1, mending(WEIR_FATAL));
            worker_stopped(&s->w, reason);
            return true;
        }
        return worker_retry(&s->w, &s->tries, err->text);
    default:
        snprintf(reason, sizeof reason, "%s%s", err->text, mending(st));
        worker_stopped(&s->w, reason);
        return true;
    }
}

void
sink_main(const struct worker_args *args)
{
    struct sink_worker s = { 0 };
    struct weir_err    err = { .text = "" };
    char               module[80];

    worker_setup(&s.w, args);
    const struct weir_module *m = s.w.sink->use.module;
    const int n = snprintf(module, sizeof module, "%s %s", m->name,
                           m->version);
    page_set_text(s.w.page, PAGE_MODULE,
                  (struct weir_str){ module, (size_t)n });
    const struct deliver_settings settings = {
        .pipeline = s.w.pipeline,
        .sink = s.w.sink,
        .state = s.w.conf->state,
        .slot = args->slot,
        .page = s.w.page,
        .stop_fd = s.w.stop_fd,
        .drain_ms = s.w.conf->drain_ms,
    };
    s.w.retry_base = s.w.sink->retry.base_ms * 1000;
    s.w.retry_cap = s.w.sink->retry.cap_ms * 1000;
    s.d = deliver_new(&settings);
    enum weir_status st = WEIR_OK;
    do {
        deliver_beat(s.d);
        st = step(&s, &err);
    } while (!judge(&s, st, &err));
    deliver_close(&s.d);
    page_set_state(s.w.page, PAGE_ENDED, NULL);
    log_info("drained");
    arena_free(&s.w.arena);
    _exit(0);
}
