/*
 * source_skel.c - feeds the events of one binlog file, from its begin or from
 * where it stood.  The contract of sources may still change with each release.
 */
#include <weir/module.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAGIC = 4, HEADER = 19, LENGTH_AT = 9, MAX_EVENT = 1 << 30 };

struct skel_conf {
    const char *path;
};

struct skel {
    struct weir_instance   *in;
    const struct skel_conf *conf;
    char                   *event;
    size_t                  room;
};

static const struct weir_directive skel_directives[] = {
    WEIR_STR(struct skel_conf, path, .flags = WEIR_REQUIRED,
             .help = "a binlog file"),
    WEIR_END
};

static enum weir_status
skel_open(struct weir_instance *in, const void *conf, void **self,
          struct weir_err *err)
{
    struct skel *s = calloc(1, sizeof *s);

    if (!s) {
        return weir_fail(err, WEIR_RETRY, "no memory");
    }
    s->in = in;
    s->conf = conf;
    *self = s;
    return WEIR_OK;
}

static void
skel_close(void *self)
{
    struct skel *s = self;

    free(s->event);
    free(s);
}

static bool
is_stopped(const struct skel *s)
{
    struct pollfd p = { .fd = weir_stop_fd(s->in), .events = POLLIN };

    return poll(&p, 1, 0) > 0;
}

/* All of an event: its length stands in its header, low byte first.  DROP at
 * the end of the file. */
static enum weir_status
read_event(struct skel *s, FILE *f, size_t *len, struct weir_err *err)
{
    unsigned char header[HEADER];

    if (fread(header, 1, HEADER, f) != HEADER) {
        return WEIR_DROP;
    }
    *len = header[LENGTH_AT] | (size_t)header[LENGTH_AT + 1] << 8 |
           (size_t)header[LENGTH_AT + 2] << 16 |
           (size_t)header[LENGTH_AT + 3] << 24;
    if (*len < HEADER || *len > MAX_EVENT) {
        return weir_fail(err, WEIR_FATAL, "%s: an event of %zu bytes",
                         s->conf->path, *len);
    }
    if (*len > s->room) {
        char *more = realloc(s->event, *len);
        if (!more) {
            return weir_fail(err, WEIR_RETRY, "no memory for %zu bytes", *len);
        }
        s->event = more;
        s->room = *len;
    }
    memcpy(s->event, header, HEADER);
    return fread(s->event + HEADER, 1, *len - HEADER, f) == *len - HEADER
               ? WEIR_OK
               : WEIR_DROP;
}

static enum weir_status
feed(struct skel *s, FILE *f, struct weir_err *err)
{
    enum weir_status st = WEIR_OK;
    size_t           len;

    while (st == WEIR_OK && !is_stopped(s)) {
        st = read_event(s, f, &len, err);
        if (st == WEIR_OK) {
            st = weir_feed_binlog(s->in, s->event, len, err);
        }
    }
    if (st != WEIR_OK && st != WEIR_DROP) {
        return st;
    }
    return weir_feed_flush(s->in, err);
}

static enum weir_status
run_from(struct skel *s, FILE *f, uint64_t offset, struct weir_err *err)
{
    const struct weir_str name = { s->conf->path, strlen(s->conf->path) };
    char                  magic[MAGIC];

    if (fread(magic, 1, MAGIC, f) != MAGIC ||
        memcmp(magic, "\xfe" "bin", MAGIC) != 0) {
        return weir_fail(err, WEIR_FATAL, "%s is not a binlog file",
                         s->conf->path);
    }
    enum weir_status st = weir_feed_server(
        s->in, (struct weir_str){ "", 0 }, (struct weir_str){ "", 0 }, err);
    if (st == WEIR_OK) {
        st = weir_feed_position(s->in, (struct weir_str){ "", 0 }, name,
                                offset ? offset : MAGIC, err);
    }
    /* The first event says how to read the others: it is always fed. */
    size_t len;
    if (st == WEIR_OK) {
        st = read_event(s, f, &len, err);
    }
    if (st == WEIR_OK) {
        st = weir_feed_binlog(s->in, s->event, len, err);
    }
    if (st == WEIR_OK && offset > MAGIC && fseek(f, (long)offset, SEEK_SET)) {
        st = weir_fail(err, WEIR_FATAL, "%s: seek to %llu: %s", s->conf->path,
                       (unsigned long long)offset, strerror(errno));
    }
    return st == WEIR_OK ? feed(s, f, err) : st == WEIR_DROP ? WEIR_OK : st;
}

static enum weir_status
skel_run(void *self, struct weir_str gtid_set, struct weir_str file,
         uint64_t offset, struct weir_err *err)
{
    struct skel *s = self;

    (void)gtid_set;
    if (is_stopped(s)) {
        return WEIR_OK;
    }
    FILE *f = fopen(s->conf->path, "re");
    if (!f) {
        return weir_fail(err, WEIR_RETRY, "open %s: %s", s->conf->path,
                         strerror(errno));
    }
    const enum weir_status st = run_from(s, f, file.len ? offset : 0, err);
    fclose(f);
    return st;
}

WEIR_MODULE = {
    WEIR_HEAD,
    .stage = WEIR_SOURCE,
    .name = "skel",
    .version = "0.1.0",
    .summary = "one binlog file",
    .conf_size = sizeof(struct skel_conf),
    .directives = skel_directives,
    .open = skel_open,
    .close = skel_close,
    .run = skel_run,
};
