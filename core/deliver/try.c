/* try.c - see try.h: waiting before a try, and what is noted after it. */
#include "deliver/try.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"

enum { SECOND = 1000000 };

/* Under the lock, at most so long; false: the batch is given up. */
static bool
wait_for(struct lane *l, int64_t usec)
{
    struct deliverer *d = l->d;
    const int64_t     until = clock_steady() + usec;

    while (!d->cancel && !d->finishing) {
        const int64_t left = until - clock_steady();
        if (left <= 0) {
            return true;
        }
        clock_wait(&l->wake, &d->lock, left);
    }
    return false;
}

bool
try_back_off(struct batch *b, bool in_vain, const struct weir_err *why)
{
    struct lane             *l = b->lane;
    struct deliverer        *d = l->d;
    const struct conf_retry *retry = &d->set.sink->retry;
    char                     nth[16], which[16] = "";

    const int64_t wait = clock_backoff(b->tries, retry->base_ms * 1000,
                                       retry->cap_ms * 1000);
    b->tries++;
    atomic_fetch_add(&d->set.page->retries, 1);
    if (d->nlanes > 1) {
        snprintf(which, sizeof which, "lane %u: ", l->index);
    }
    pthread_mutex_lock(&d->lock);
    const bool opened =
        in_vain && breaker_failure(&d->breaker, clock_steady());
    if (!in_vain) {
        breaker_success(&d->breaker);
    }
    l->state = LANE_WAITS;
    snprintf(l->why.text, sizeof l->why.text, "%s%.480s", which, why->text);
    pthread_mutex_unlock(&d->lock);
    log_warn("%s%s; next try in %.1f s (%s)", which, why->text,
             (double)wait / SECOND, str_ordinal(b->tries + 1, nth));
    if (opened) {
        log_warn("%u failures in a row: nothing is written for %.1f s, then "
                 "one batch is tried", d->breaker.limit,
                 (double)d->breaker.open_usec / SECOND);
    }
    pthread_mutex_lock(&d->lock);
    pthread_cond_broadcast(&d->changed);
    const bool goes_on = wait_for(l, wait);
    pthread_mutex_unlock(&d->lock);
    return goes_on;
}

bool
try_permitted(struct lane *l)
{
    struct deliverer *d = l->d;
    bool              goes_on = true;
    int64_t           wait;

    pthread_mutex_lock(&d->lock);
    while (goes_on &&
           (wait = breaker_ask(&d->breaker, clock_steady())) > 0) {
        if (l->state == LANE_FINE) {
            l->state = LANE_WAITS;
            snprintf(l->why.text, sizeof l->why.text,
                     "the sink failed %u times in a row: nothing is written "
                     "for a while", d->breaker.failures);
        }
        goes_on = wait_for(l, wait);
    }
    pthread_mutex_unlock(&d->lock);
    return goes_on;
}

void
try_answered(struct batch *b)
{
    struct lane      *l = b->lane;
    struct deliverer *d = l->d;

    pthread_mutex_lock(&d->lock);
    if (d->breaker.failures) {
        breaker_success(&d->breaker);
    }
    d->unproved = false;
    if (l->state == LANE_WAITS) {
        l->state = LANE_FINE;
        l->why.text[0] = '\0';
        pthread_cond_broadcast(&d->changed);
    }
    pthread_mutex_unlock(&d->lock);
}

void
try_went_well(struct batch *b)
{
    try_answered(b);
    b->tries = 0;
}

void
try_ends_lane(struct lane *l, enum weir_status st, const struct weir_err *why)
{
    struct deliverer *d = l->d;

    pthread_mutex_lock(&d->lock);
    l->fate = st;
    l->why = *why;
    if (st == WEIR_RETRY) {
        d->unproved = true;
        d->last_why = *why;
        breaker_failure(&d->breaker, clock_steady());
    }
    breaker_untried(&d->breaker);
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->lock);
}
