/* log.c - see log.h. */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"

enum { LINE_MAX_BYTES = 4096, REPEAT_USEC = 60 * 1000000 };

static const char *const level_names[] = { "debug", "info", "warn", "error" };

static struct {
    int             fd;
    char            path[PATH_MAX]; /* empty: standard error */
    enum weir_level least;
    char            context[160];
    pthread_mutex_t lock;
    char            last[LINE_MAX_BYTES];
    enum weir_level last_level;
    unsigned        repeats;
    int64_t         since; /* steady clock */
} logger = { .fd = STDERR_FILENO,
             .least = WEIR_INFO,
             .context = "weir",
             .lock = PTHREAD_MUTEX_INITIALIZER };

static int
open_log(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW |
                          O_NONBLOCK, 0640);
}

enum weir_status
log_open(const char *path, struct weir_err *err)
{
    if (!path) {
        logger.path[0] = '\0';
        logger.fd = STDERR_FILENO;
        return WEIR_OK;
    }
    const int fd = open_log(path);
    if (fd == -1) {
        return fail_errno(err, WEIR_FATAL, "open %s", path);
    }
    if (logger.fd != STDERR_FILENO) {
        close(logger.fd);
    }
    logger.fd = fd;
    snprintf(logger.path, sizeof logger.path, "%s", path);
    return WEIR_OK;
}

void
log_reopen(void)
{
    if (!logger.path[0]) {
        return;
    }
    const int fd = open_log(logger.path);
    if (fd == -1) {
        log_warn("open %s: %s; the old log file is kept", logger.path,
                 strerror(errno));
        return;
    }
    pthread_mutex_lock(&logger.lock);
    close(logger.fd);
    logger.fd = fd;
    pthread_mutex_unlock(&logger.lock);
}

int
log_fd(void)
{
    return logger.fd;
}

void
log_level(enum weir_level least)
{
    logger.least = least;
}

bool
log_level_parse(const char *name, enum weir_level *out)
{
    for (int i = WEIR_DEBUG; i <= WEIR_ERROR; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *out = (enum weir_level)i;
            return true;
        }
    }
    return false;
}

bool
log_enabled(enum weir_level level)
{
    return level >= logger.least;
}

void
log_context(const char *context)
{
    snprintf(logger.context, sizeof logger.context, "%s", context);
    logger.last[0] = '\0';
    logger.repeats = 0;
}

static void
emit(enum weir_level level, const char *sentence)
{
    char line[LINE_MAX_BYTES + 256], now[25];

    clock_format(clock_usec(), now);
    int n = snprintf(line, sizeof line, "%s %s %d %s: %s", now,
                     level_names[level], (int)getpid(), logger.context,
                     sentence);
    if (n > (int)sizeof line - 2) {
        n = (int)sizeof line - 2;
    }
    for (int i = 0; i < n; i++) {
        if (line[i] == '\n' || line[i] == '\r') {
            line[i] = ' '; /* what a server says must not forge a line */
        }
    }
    line[n++] = '\n';
    ssize_t ignored = write(logger.fd, line, (size_t)n);
    (void)ignored;
}

static void
say_repeats(void)
{
    char text[96];

    if (logger.repeats) {
        snprintf(text, sizeof text, "the last line %u more time%s in %d s",
                 logger.repeats, logger.repeats == 1 ? "" : "s",
                 (int)((clock_steady() - logger.since) / 1000000));
        emit(logger.last_level, text);
    }
    logger.repeats = 0;
    logger.last[0] = '\0';
}

void
log_vwrite(enum weir_level level, const char *fmt, va_list ap)
{
    char text[LINE_MAX_BYTES];

    if (!log_enabled(level)) {
        return;
    }
    vsnprintf(text, sizeof text, fmt, ap);
    pthread_mutex_lock(&logger.lock);
    const bool same = level == logger.last_level && logger.last[0] &&
                      strcmp(text, logger.last) == 0 &&
                      clock_steady() - logger.since < REPEAT_USEC;
    if (same) {
        logger.repeats++;
    } else {
        say_repeats();
        memcpy(logger.last, text, sizeof text);
        logger.last_level = level;
        logger.since = clock_steady();
        emit(level, text);
    }
    pthread_mutex_unlock(&logger.lock);
}

void
log_flush(void)
{
    pthread_mutex_lock(&logger.lock);
    if (logger.repeats && clock_steady() - logger.since >= REPEAT_USEC) {
        say_repeats();
    }
    pthread_mutex_unlock(&logger.lock);
}

#define LOG_AT(function, level)                                                \
    void function(const char *fmt, ...)                                        \
    {                                                                          \
        va_list ap;                                                            \
        va_start(ap, fmt);                                                     \
        log_vwrite(level, fmt, ap);                                            \
        va_end(ap);                                                            \
    }
LOG_AT(log_debug, WEIR_DEBUG)
LOG_AT(log_info, WEIR_INFO)
LOG_AT(log_warn, WEIR_WARN)
LOG_AT(log_error, WEIR_ERROR)
