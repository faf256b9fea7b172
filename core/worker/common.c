/* common.c - see common.h. */
#include "worker/common.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/generation.h"
#include "base/log.h"
#include "base/str.h"

enum { SECOND = 1000000, BEAT = 500000, FIRST_WAIT = 100000,
       LONGEST_WAIT = 60 * SECOND, ROOM_WAIT = 2 * SECOND };

static _Noreturn void
refuse(const struct worker *w, const char *reason)
{
    log_error("%s", reason);
    if (w->page) {
        page_set_state(w->page, PAGE_STOPPED, reason);
    }
    _exit(WORKER_EXIT_CONFIG);
}

/* ---- Signals, all taken by one thread, so that nothing else is interrupted */

static void *
take_signals(void *arg)
{
    const struct worker *w = arg;
    sigset_t             set;
    int                  signal;

    sigfillset(&set);
    while (sigwait(&set, &signal) == 0) {
        if (signal == SIGTERM) {
            _exit(0); /* at any point: that is what checkpoints are for */
        }
        if (signal == SIGQUIT) {
            page_set_state(w->page, PAGE_DRAINING, NULL);
            if (eventfd_write(w->stop_fd, 1) == -1) {
                _exit(0);
            }
        }
        if (signal == SIGUSR1) {
            log_reopen();
        }
    }
    return NULL;
}

static void
start_signals(struct worker *w)
{
    pthread_attr_t attributes;
    pthread_t      thread;
    sigset_t       set;

    sigfillset(&set);
    sigdelset(&set, SIGSEGV);
    sigdelset(&set, SIGBUS);
    sigdelset(&set, SIGFPE);
    sigdelset(&set, SIGILL);
    sigdelset(&set, SIGABRT);
    pthread_sigmask(SIG_SETMASK, &set, NULL);
    w->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 256 << 10);
    if (w->stop_fd == -1 ||
        pthread_create(&thread, &attributes, take_signals, w) != 0) {
        refuse(w, "no thread to take signals can be started");
    }
    pthread_attr_destroy(&attributes);
}

/* ---- The generation */

static void
say(void *arg, const char *where, const char *sentence)
{
    (void)arg;
    log_error("%s: %s", where, sentence);
}

static void
find_part(struct worker *w)
{
    for (size_t i = 0; i < w->conf->npipelines; i++) {
        const struct conf_pipeline *p = &w->conf->pipelines[i];
        if (strcmp(p->name, w->args->pipeline) != 0) {
            continue;
        }
        w->pipeline = p;
        for (size_t s = 0; w->args->sink && s < p->nsinks; s++) {
            if (strcmp(p->sinks[s].name, w->args->sink) == 0) {
                w->sink = &p->sinks[s];
            }
        }
    }
    if (!w->pipeline || (w->args->sink && !w->sink)) {
        refuse(w, "this worker's block is not in the configuration");
    }
}

void
worker_setup(struct worker *w, const struct worker_args *args)
{
    struct generation  g;
    struct conf       *conf;
    struct weir_err    err;
    struct conf_errors errors = { .say = say };

    *w = (struct worker){ .args = args, .stop_fd = -1 };
    if (page_open(args->page_path, true, &w->page, &err) != WEIR_OK) {
        refuse(w, err.text);
    }
    atomic_store(&w->page->pid, (int32_t)getpid());
    atomic_store(&w->page->started_usec, clock_usec());
    page_set_state(w->page, PAGE_STARTING, NULL);
    start_signals(w);
    if (getppid() != args->parent) {
        _exit(0); /* the master went before it could be missed */
    }
    if (generation_read(&w->arena, args->generation_fd, true, &g, &err) !=
            WEIR_OK ||
        conf_parse(&w->arena, g.text, &errors, &conf, &err) != WEIR_OK) {
        refuse(w, err.text);
    }
    w->conf = conf;
    find_part(w);
}

/* ---- Waiting */

bool
worker_stopping(const struct worker *w)
{
    struct pollfd p = { .fd = w->stop_fd, .events = POLLIN };
    return poll(&p, 1, 0) == 1;
}

bool
worker_wait(const struct worker *w, int64_t usec)
{
    struct pollfd p = { .fd = w->stop_fd, .events = POLLIN };

    const int64_t until = clock_steady() + usec;
    for (int64_t left = usec; left > 0; left = until - clock_steady()) {
        page_beat(w->page);
        log_flush();
        const int64_t slice = left < BEAT ? left : BEAT;
        if (poll(&p, 1, (int)((slice + 999) / 1000)) == 1) {
            return true;
        }
    }
    return worker_stopping(w);
}

void
worker_stopped(const struct worker *w, const char *reason)
{
    log_error("stopped: %s", reason);
    page_set_state(w->page, PAGE_STOPPED, reason);
    while (!worker_wait(w, BEAT)) {
    }
}

bool
worker_retry(const struct worker *w, unsigned *tries, const char *reason)
{
    char    nth[16];
    int64_t wait =
        clock_backoff(*tries, w->retry_base ? w->retry_base : FIRST_WAIT,
                      w->retry_cap ? w->retry_cap : LONGEST_WAIT);

    /* Trying a disk of ours again costs nobody anything. */
    if (strstr(reason, ERR_NO_ROOM) && wait > ROOM_WAIT) {
        wait = ROOM_WAIT;
    }
    ++*tries;
    atomic_fetch_add(&w->page->retries, 1);
    log_warn("%s; next try in %.1f s (%s)", reason, (double)wait / SECOND,
             str_ordinal(*tries + 1, nth));
    page_set_waiting(w->page, reason);
    return worker_wait(w, wait);
}
