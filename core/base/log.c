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
#include "base/str.h"

enum { LINE_MAX_BYTES = 4096, REPEAT_USEC = 60 * 1000000 };

static const char *const level_names[] = { "debug", "info", "warn", "error" };

static struct {
    int             fd;
    char            path[PATH_MAX]; /* empty: standard error */
    enum weir_level least;
    bool            json;
    char            context[160];
    pthread_mutex_t lock;
    char            last[LINE_MAX_BYTES];
    enum weir_level last_level;
    unsigned        repeats;
    int64_t         since; /* steady clock */
    _Atomic int     trouble; /* errno of a write() */
    unsigned        lost;    /* lines, since it began */
    bool            torn;    /* the last one ends in its middle */
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

void
log_json(bool on)
{
    logger.json = on;
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

/* How many bytes of `p` are one UTF-8 sequence; 0: none that JSON may have. */
static int
utf8_length(const unsigned char *p)
{
    static const unsigned least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    const int n = *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : 2;

    if (*p < 0xc2 || *p > 0xf4) {
        return 0;
    }
    unsigned code = *p & (0xffu >> (n + 1));
    for (int i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) { /* also the NUL at the end */
            return 0;
        }
        code = code << 6 | (p[i] & 0x3f);
    }
    const bool surrogate = code >= 0xd800 && code < 0xe000;
    return code < least[n] || code > 0x10ffff || surrogate ? 0 : n;
}

/* `text` as a JSON string, cut to `room` bytes with its quotes. */
static size_t
put_json(char *out, size_t room, const char *text)
{
    static const char     digits[] = "0123456789abcdef";
    const unsigned char  *p = (const unsigned char *)text;
    size_t                n = 0;

    out[n++] = '"';
    while (*p && n + 8 < room) {
        const int whole = *p < 0x80 ? 1 : utf8_length(p);
        if (*p == '"' || *p == '\\') {
            out[n++] = '\\';
            out[n++] = (char)*p++;
        } else if (*p < ' ' || *p == 127) {
            memcpy(out + n, "\\u00", 4);
            out[n + 4] = digits[*p >> 4];
            out[n + 5] = digits[*p++ & 15];
            n += 6;
        } else if (whole == 0) {
            memcpy(out + n, "\\ufffd", 6);
            n += 6;
            p++;
        } else {
            memcpy(out + n, p, (size_t)whole);
            n += (size_t)whole;
            p += whole;
        }
    }
    out[n++] = '"';
    return n;
}

static size_t
format_json(char *line, size_t room, enum weir_level level, const char *now,
            const char *sentence)
{
    size_t n = (size_t)snprintf(line, room, "{\"time\":\"%s\",\"level\":\"%s\","
                                "\"pid\":%d,\"context\":", now,
                                level_names[level], (int)getpid());
    n += put_json(line + n, room - n, logger.context);
    n += (size_t)snprintf(line + n, room - n, ",\"message\":");
    n += put_json(line + n, room - n - 2, sentence);
    line[n++] = '}';
    return n;
}

static size_t
format_text(char *line, size_t room, enum weir_level level, const char *now,
            const char *sentence)
{
    const int all = snprintf(line, room, "%s %s %d %s: %s", now,
                             level_names[level], (int)getpid(),
                             logger.context, sentence);
    const size_t n = all > (int)room - 2 ? room - 2 : (size_t)all;
    for (size_t i = 0; i < n; i++) {
        if (line[i] == '\n' || line[i] == '\r') {
            line[i] = ' '; /* what a server says must not forge a line */
        }
    }
    str_tame(line, n);
    return n;
}

/* Whole, or counted as lost.  A disk that is full takes what there is room for. */
static bool
put_line(const char *line, size_t n)
{
    const ssize_t wrote = write(logger.fd, line, n);

    if (wrote == (ssize_t)n) {
        logger.trouble = 0;
        logger.torn = false;
    } else {
        logger.trouble = wrote == -1 ? errno : ENOSPC;
        logger.torn = logger.torn || wrote > 0;
    }
    return wrote == (ssize_t)n;
}

static bool
write_line(enum weir_level level, const char *sentence)
{
    char line[2 * LINE_MAX_BYTES], now[25];

    clock_format(clock_usec(), now);
    size_t n = logger.json
                   ? format_json(line, sizeof line, level, now, sentence)
                   : format_text(line, LINE_MAX_BYTES + 256, level, now,
                                 sentence);
    line[n++] = '\n';
    return put_line(line, n);
}

/* Before the first line that can be written again. */
static bool
say_lost(void)
{
    char      text[160];
    const int why = logger.trouble;

    if (logger.lost == 0) {
        return true;
    }
    snprintf(text, sizeof text, "%u line%s of this process could not be "
             "written here: %s", logger.lost, logger.lost == 1 ? "" : "s",
             strerror(why));
    if ((logger.torn && !put_line("\n", 1)) || !write_line(WEIR_WARN, text)) {
        return false;
    }
    logger.lost = 0;
    return true;
}

static void
emit(enum weir_level level, const char *sentence)
{
    if (!say_lost() || !write_line(level, sentence)) {
        logger.lost++;
    }
}

int
log_trouble(void)
{
    return logger.trouble;
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
    say_lost();
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
