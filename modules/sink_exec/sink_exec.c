/*
 * sink_exec.c - a program in any language as a sink: a batch is lines on its
 * standard input and one called `end`, its answer is lines on its standard
 * output.  Knows the protocol; pipes and processes are in sink_exec_child.c.
 */
#include <weir/module.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink_exec_child.h"

struct exec_conf {
    struct weir_list          command;
    const struct weir_format *format;
    int64_t                   timeout, grace;
};

struct sink {
    struct weir_instance   *in;
    const struct exec_conf *conf;
    char                  **argv;
    struct child            child;
    char                   *data; /* the batch as it is sent */
    size_t                  len, room;
    uint32_t               *lines; /* the event that each line is of */
    size_t                  nlines, lines_room;
};

/* clang-format off */
static const struct weir_directive exec_directives[] = {
    WEIR_LIST(struct exec_conf, command, .flags = WEIR_REQUIRED,
              .help = "path of a program, and its arguments"),
    WEIR_FORMAT(struct exec_conf, format, .value = "weir",
                .help = "how an event is written"),
    WEIR_MSEC(struct exec_conf, timeout, .value = "30s", .min = 1,
              .max = 86400000, .help = "a program that has not answered a "
              "batch by then is killed; less than the sink's timeout"),
    WEIR_MSEC(struct exec_conf, grace, .value = "5s", .max = 3600000,
              .help = "when its input has ended it is killed after so long"),
    WEIR_END
};
/* clang-format on */

static enum weir_status
exec_check(const void *conf, struct weir_err *err)
{
    const struct exec_conf *c = conf;

    if (c->command.n == 0) {
        return weir_fail(err, WEIR_FATAL,
                         "command: is empty; name a program, "
                         "as in {\"/usr/bin/python3\", \"/etc/weir/s.py\"}");
    }
    if (c->command.items[0][0] != '/') {
        return weir_fail(err, WEIR_FATAL,
                         "command: \"%s\" is not absolute; write the whole "
                         "path: no shell reads it",
                         c->command.items[0]);
    }
    return WEIR_OK;
}

static void
exec_batching(const void *conf, struct weir_batching *batching)
{
    (void)conf;
    batching->guarantee = WEIR_AT_LEAST_ONCE;
    batching->max_lanes = 16; /* a program for each */
}

/* ---- The program */

/* Stops it at once: what it would still say belongs to nothing. */
static void
give_up(struct sink *s)
{
    char how[100];

    child_stop(&s->child, 0, how, sizeof how);
}

static enum weir_status
fail_answer(struct sink *s, struct weir_str line, const char *wanted,
            struct weir_err *err)
{
    char   text[100];
    size_t n = line.len < sizeof text ? line.len : sizeof text;

    for (size_t i = 0; i < n; i++) {
        text[i] =
            line.data[i] < ' ' || line.data[i] == 127 ? ' ' : line.data[i];
    }
    return weir_fail(err, WEIR_FATAL,
                     "%s answered \"%.*s\" where %s was due; its output is for "
                     "answers, all else goes to standard error",
                     s->argv[0], (int)n, text, wanted);
}

static enum weir_status
ensure_ready(struct sink *s, struct weir_err *err)
{
    struct weir_str nothing = { NULL, 0 };
    struct weir_str line;

    if (s->child.pid != 0) {
        return WEIR_OK;
    }
    enum weir_status st = child_start(&s->child, s->argv, weir_dir(s->in), err);
    if (st != WEIR_OK) {
        return st;
    }
    st = child_line(&s->child, &nothing, child_now_ms() + s->conf->timeout,
                    &line, err);
    if (st == WEIR_OK &&
        (line.len != 5 || memcmp(line.data, "ready", 5) != 0)) {
        st = fail_answer(s, line, "\"ready\"", err);
    }
    if (st != WEIR_OK) {
        give_up(s);
    }
    return st;
}

/* Between calls: it may have ended, or say what nobody asked for. */
static void
exec_tick(void *self)
{
    struct sink *s = self;
    char         how[100];

    if (s->child.pid != 0 && !child_look(&s->child)) {
        const bool spoke = s->child.output.len > s->child.output.taken;
        child_stop(&s->child, spoke ? 0 : 1000, how, sizeof how);
        weir_log(s->in, WEIR_WARN,
                 "%s %s; it is started again for the next "
                 "batch",
                 s->argv[0], spoke ? "spoke unasked and was killed" : how);
    }
}

static void
exec_close(void *self)
{
    struct sink *s = self;
    char         how[100];

    child_stop(&s->child, s->conf->grace, how, sizeof how);
    free(s->argv);
    free(s->data);
    free(s->lines);
    free(s);
}

static enum weir_status
exec_open(struct weir_instance *in, const void *conf, void **self,
          struct weir_err *err)
{
    const struct exec_conf *c = conf;
    struct sink            *s = calloc(1, sizeof *s);

    if (!s || !(s->argv = calloc(c->command.n + 1, sizeof *s->argv))) {
        free(s);
        return weir_fail(err, WEIR_RETRY, "open the exec sink: no memory");
    }
    for (size_t i = 0; i < c->command.n; i++) {
        s->argv[i] = (char *)(uintptr_t)c->command.items[i];
    }
    s->in = in;
    s->conf = c;
    s->child = (struct child){ .in = in, .input = -1 };
    const enum weir_status st = ensure_ready(s, err);
    if (st != WEIR_OK) {
        exec_close(s);
        return st;
    }
    *self = s;
    return WEIR_OK;
}

/* ---- A batch */

static bool
add(struct sink *s, struct weir_str text)
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

static bool
make_room(struct sink *s, size_t nevents)
{
    if (s->lines_room < nevents) {
        uint32_t *more = realloc(s->lines, nevents * sizeof *more);
        if (!more) {
            return false;
        }
        s->lines = more;
        s->lines_room = nevents;
    }
    return true;
}

static enum weir_status
collect(struct sink *s, struct weir_batch *b, struct weir_err *err)
{
    char end[40];
    bool good = make_room(s, b->nevents);

    s->len = s->nlines = 0;
    for (size_t i = 0; good && i < b->nevents; i++) {
        struct weir_str        body;
        const enum weir_status st =
            weir_body(b, i, s->conf->format, &body, err);
        if (st == WEIR_REJECT) {
            weir_verdict(b, i, st, "%s", err->text);
        } else if (st != WEIR_OK) {
            return st;
        } else if (body.len > 0) {
            s->lines[s->nlines++] = (uint32_t)i;
            good = add(s, body);
        }
    }
    const int len = snprintf(end, sizeof end, "end %zu\n", s->nlines);
    good = good && add(s, (struct weir_str){ end, (size_t)len });
    return good ? WEIR_OK
                : weir_fail(err, WEIR_RETRY, "batch of %zu events: no memory",
                            b->nevents);
}

/* `line` without that word, and the blank behind it. */
static bool
take_word(struct weir_str *line, const char *word)
{
    const size_t n = strlen(word);

    if (line->len < n || memcmp(line->data, word, n) != 0 ||
        (line->len > n && line->data[n] != ' ')) {
        return false;
    }
    const size_t skip = line->len > n ? n + 1 : n;
    line->data += skip;
    line->len -= skip;
    return true;
}

/* The number of a line, from 1; 0: none that was sent. */
static size_t
take_number(const struct sink *s, struct weir_str *line)
{
    size_t n = 0;
    size_t i = 0;

    for (; i < line->len && line->data[i] >= '0' && line->data[i] <= '9'; i++) {
        n = n * 10 + (size_t)(line->data[i] - '0');
        if (n > s->nlines) {
            return 0;
        }
    }
    if (i < line->len && line->data[i] != ' ') {
        return 0;
    }
    i += i < line->len;
    line->data += i;
    line->len -= i;
    return n;
}

static struct weir_str
reason_of(struct weir_str text)
{
    const struct weir_str none = { "no reason given", 15 };

    text.len = text.len < 300 ? text.len : 300;
    return text.len ? text : none;
}

/* PENDING: a verdict on one event; more is to come. */
static enum weir_status
answer(struct sink *s, struct weir_batch *b, struct weir_str line,
       struct weir_err *err)
{
    struct weir_str rest = line;

    if (take_word(&rest, "ok") && rest.len == 0) {
        return WEIR_OK;
    }
    rest = line;
    if (take_word(&rest, "reject")) {
        const size_t n = take_number(s, &rest);
        if (n > 0) {
            rest = reason_of(rest);
            weir_verdict(b, s->lines[n - 1], WEIR_REJECT, "%s: %.*s",
                         s->argv[0], (int)rest.len, rest.data);
            return WEIR_PENDING;
        }
    }
    rest = line;
    const bool is_retry = take_word(&rest, "retry");
    if (is_retry || take_word(&rest, "fatal")) {
        rest = reason_of(rest);
        return weir_fail(err, is_retry ? WEIR_RETRY : WEIR_FATAL, "%s: %.*s",
                         s->argv[0], (int)rest.len, rest.data);
    }
    return fail_answer(s, line, "ok, retry WHY, reject N WHY or fatal WHY",
                       err);
}

static enum weir_status
talk(struct sink *s, struct weir_batch *b, struct weir_err *err)
{
    const int64_t    deadline = child_now_ms() + s->conf->timeout;
    struct weir_str  rest = { s->data, s->len };
    struct weir_str  line;
    enum weir_status st = WEIR_PENDING;

    while (st == WEIR_PENDING) {
        st = child_line(&s->child, &rest, deadline, &line, err);
        if (st != WEIR_OK) {
            give_up(s);
            return st;
        }
        st = answer(s, b, line, err);
    }
    if (st == WEIR_OK && rest.len > 0) {
        st = fail_answer(s, line, "the end of the batch", err);
    }
    if (st == WEIR_FATAL || rest.len > 0) {
        give_up(s);
    }
    return st;
}

static enum weir_status
exec_write(void *self, struct weir_batch *b, struct weir_err *err)
{
    struct sink *s = self;

    exec_tick(s); /* while it was idle it may have ended */
    enum weir_status st = collect(s, b, err);
    if (st != WEIR_OK || s->nlines == 0) {
        return st;
    }
    st = ensure_ready(s, err);
    return st == WEIR_OK ? talk(s, b, err) : st;
}

WEIR_MODULE = {
    WEIR_HEAD,
    .stage = WEIR_SINK,
    .name = "exec",
    .version = "0.1.0",
    .summary = "a program in any language",
    .conf_size = sizeof(struct exec_conf),
    .directives = exec_directives,
    .check = exec_check,
    .batching = exec_batching,
    .open = exec_open,
    .close = exec_close,
    .tick = exec_tick,
    .write = exec_write,
};
