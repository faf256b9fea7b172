/*
 * sink_stdout.c - one line an event on standard output: for trying out a
 * configuration in the foreground, and for feeding another program.  Keeps no
 * checkpoint: what was read at the other end of the pipe can't be known.
 */
#include <weir/module.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct stdout_conf {
    const struct weir_format *format;
};

struct sink {
    const struct stdout_conf *conf;
    char                     *data;
    size_t                    len, room;
};

/* clang-format off */
static const struct weir_directive stdout_directives[] = {
    WEIR_FORMAT(struct stdout_conf, format, .value = "weir",
                .help = "how an event is written"),
    WEIR_END
};
/* clang-format on */

static void
stdout_batching(const void *conf, struct weir_batching *batching)
{
    (void)conf;
    batching->guarantee = WEIR_AT_LEAST_ONCE;
    batching->max_lanes = 1; /* or lines of two lanes would run together */
}

static enum weir_status
stdout_open(struct weir_instance *in, const void *conf, void **self,
            struct weir_err *err)
{
    struct sink *s = calloc(1, sizeof *s);

    (void)in;
    if (!s) {
        return weir_fail(err, WEIR_RETRY, "open standard output: no memory");
    }
    s->conf = conf;
    *self = s;
    return WEIR_OK;
}

static void
stdout_close(void *self)
{
    struct sink *s = self;

    free(s->data);
    free(s);
}

static bool
sink_add(struct sink *s, struct weir_str text)
{
    if (s->room - s->len < text.len) {
        const size_t room = (s->len + text.len) * 2;
        char        *data = realloc(s->data, room);
        if (!data) {
            return false;
        }
        s->data = data;
        s->room = room;
    }
    if (text.len) {
        memcpy(s->data + s->len, text.data, text.len);
    }
    s->len += text.len;
    return true;
}

/* write() to a pipe that nobody reads raises SIGPIPE, whose default would end
 * the worker: it is held back for this thread, and taken away if it came. */
static ssize_t
write_quietly(const char *data, size_t len)
{
    sigset_t pipe_signal;
    sigset_t before;

    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    const ssize_t n = write(STDOUT_FILENO, data, len);
    const int     saved = errno;
    if (n == -1 && saved == EPIPE) {
        while (sigtimedwait(&pipe_signal, NULL, &(struct timespec){ 0 }) ==
                   -1 &&
               errno == EINTR) {
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = saved;
    return n;
}

/* The rest of the line that was cut at `at` stays in the buffer, so that the
 * next batch, which is this one again, begins with a whole line. */
static void
keep_cut_line(struct sink *s, size_t at)
{
    size_t end = at;

    if (at > 0 && s->data[at - 1] != '\n') {
        const char *newline = memchr(s->data + at, '\n', s->len - at);
        end = newline ? (size_t)(newline - s->data) + 1 : s->len;
    }
    memmove(s->data, s->data + at, end - at);
    s->len = end - at;
}

static enum weir_status
sink_flush(struct sink *s, struct weir_err *err)
{
    size_t at = 0;

    while (at < s->len) {
        const ssize_t n = write_quietly(s->data + at, s->len - at);
        if (n >= 0) {
            at += (size_t)n;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            poll(&(struct pollfd){ .fd = STDOUT_FILENO, .events = POLLOUT }, 1,
                 -1);
        } else if (errno != EINTR) {
            const int why = errno;
            keep_cut_line(s, at);
            if (why == EPIPE) {
                return weir_fail(err, WEIR_FATAL,
                                 "write to standard output: whoever read it "
                                 "has closed it; start Weir again together "
                                 "with its reader");
            }
            return weir_fail(err,
                             why == ENOSPC || why == EDQUOT || why == EIO
                                 ? WEIR_RETRY
                                 : WEIR_FATAL,
                             "write to standard output: %s", strerror(why));
        }
    }
    s->len = 0;
    return WEIR_OK;
}

static enum weir_status
stdout_write(void *self, struct weir_batch *b, struct weir_err *err)
{
    struct sink *s = self;
    const size_t cut = s->len;

    for (size_t i = 0; i < b->nevents; i++) {
        struct weir_str        body;
        const enum weir_status st =
            weir_body(b, i, s->conf->format, &body, err);
        if (st == WEIR_REJECT) {
            weir_verdict(b, i, st, "%s", err->text);
        } else if (st != WEIR_OK) {
            s->len = cut;
            return st;
        } else if (!sink_add(s, body)) {
            s->len = cut;
            return weir_fail(err, WEIR_RETRY,
                             "write to standard output: no memory for a batch "
                             "of %zu events",
                             b->nevents);
        }
    }
    return sink_flush(s, err);
}

WEIR_MODULE = {
    WEIR_HEAD,
    .stage = WEIR_SINK,
    .name = "stdout",
    .version = "0.1.0",
    .summary = "one line an event on standard output",
    .conf_size = sizeof(struct stdout_conf),
    .directives = stdout_directives,
    .batching = stdout_batching,
    .open = stdout_open,
    .close = stdout_close,
    .write = stdout_write,
};
