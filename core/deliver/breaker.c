/* breaker.c - see breaker.h. */
#include "deliver/breaker.h"

enum { PROBE_PAUSE = 100000 };

void
breaker_init(struct breaker *b, unsigned limit, int64_t open_usec)
{
    *b = (struct breaker){ .limit = limit, .open_usec = open_usec };
}

int64_t
breaker_ask(struct breaker *b, int64_t now)
{
    if (!b->open) {
        return 0;
    }
    if (now < b->until) {
        return b->until - now;
    }
    if (b->probing) {
        return PROBE_PAUSE;
    }
    b->probing = true;
    return 0;
}

void
breaker_success(struct breaker *b)
{
    b->failures = 0;
    b->open = b->probing = false;
}

bool
breaker_failure(struct breaker *b, int64_t now)
{
    const bool was_open = b->open;

    b->failures++;
    if (b->failures < b->limit) {
        return false;
    }
    /* A late answer of a try begun before it opened is no probe's. */
    if (!was_open || b->probing) {
        b->until = now + b->open_usec;
    }
    b->open = true;
    b->probing = false;
    return !was_open;
}

void
breaker_untried(struct breaker *b)
{
    b->probing = false;
}
