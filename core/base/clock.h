/*
 * clock.h - the two clocks.  Timers and back-off go by the steady one; only
 * what is shown or stored goes by the wall clock.
 */
#ifndef WEIR_BASE_CLOCK_H
#define WEIR_BASE_CLOCK_H

#include <stddef.h>
#include <pthread.h>
#include <stdint.h>

int64_t clock_usec(void);   /* since 1970, UTC */
int64_t clock_nsec(void);   /* the same, in nanoseconds */
int64_t clock_steady(void); /* microseconds since some start; never goes back */
void    clock_sleep(int64_t usec);

/* A condition that clock_wait() can wait for: until it is signalled, or so many
 * microseconds of the steady clock have passed, or for no reason. */
void clock_cond_init(pthread_cond_t *cond);
void clock_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t usec);


/* "2026-08-22T10:11:12.123Z", 25 bytes with its NUL. */
void clock_format(int64_t usec, char out[static 25]);

/*
 * Waiting before try `attempt` (from 0): base doubled each time up to cap, of
 * which a random half is taken away so that many don't come back at once.
 * Microseconds.
 */
int64_t clock_backoff(unsigned attempt, int64_t base, int64_t cap);

#endif
