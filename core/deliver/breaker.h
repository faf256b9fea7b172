/*
 * breaker.h - a circuit breaker: closed while things go well, open for a while
 * after too many failures in a row, then half open: one is tried.  Knows no
 * clock and no threads: the caller gives the time (steady, microseconds) and
 * calls one at a time.
 */
#ifndef WEIR_DELIVER_BREAKER_H
#define WEIR_DELIVER_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

struct breaker {
    unsigned limit, failures; /* in a row */
    int64_t  open_usec, until;
    bool     open, probing;
};

void breaker_init(struct breaker *b, unsigned limit, int64_t open_usec);
/* 0: go on, and say how it went.  Else ask again after so many microseconds. */
int64_t breaker_ask(struct breaker *b, int64_t now);
/* What was let through went well, or badly (true: it has opened by that), or
 * was never tried. */
void breaker_success(struct breaker *b);
bool breaker_failure(struct breaker *b, int64_t now);
void breaker_untried(struct breaker *b);

#endif
