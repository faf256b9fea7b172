/* clock.c - see clock.h. */
#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

static int64_t
read_clock(clockid_t id, int64_t per_second)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return ts.tv_sec * per_second + ts.tv_nsec / (1000000000 / per_second);
}

int64_t
clock_usec(void)
{
    return read_clock(CLOCK_REALTIME, 1000000);
}

int64_t
clock_nsec(void)
{
    return read_clock(CLOCK_REALTIME, 1000000000);
}

int64_t
clock_steady(void)
{
    return read_clock(CLOCK_MONOTONIC, 1000000);
}

void
clock_sleep(int64_t usec)
{
    struct timespec ts = { usec / 1000000, usec % 1000000 * 1000 };
    while (nanosleep(&ts, &ts) == -1 && errno == EINTR) {
    }
}

void
clock_format(int64_t usec, char out[static 25])
{
    const time_t seconds = usec / 1000000;
    struct tm    tm;

    gmtime_r(&seconds, &tm);
    const size_t n = strftime(out, 21, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, 25 - n, ".%03dZ", (int)(usec / 1000 % 1000));
}

int64_t
clock_backoff(unsigned attempt, int64_t base, int64_t cap)
{
    uint32_t random = 0;
    int64_t  wait = base;

    while (attempt-- > 0 && wait < cap) {
        wait *= 2;
    }
    if (wait > cap) {
        wait = cap;
    }
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) == -1) {
        random = (uint32_t)clock_nsec();
    }
    return wait - (int64_t)((double)random / UINT32_MAX * (double)wait / 2);
}

void
clock_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
}

void
clock_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t usec)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += usec / 1000000;
    until.tv_nsec += usec % 1000000 * 1000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(cond, lock, &until);
}
