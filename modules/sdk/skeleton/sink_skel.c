/*
 * sink_skel.c - writes each event as a line of text to one file.  Knows no
 * checkpoint: the server keeps it, so after a crash a batch may come again.
 */
#include <weir/module.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the block of the configuration says: filled in by the table below. */
struct skel_conf {
    const char               *path;
    const struct weir_format *format;
};

/* What open() makes and close() frees. */
struct skel {
    struct weir_instance   *in;
    const struct skel_conf *conf;
    FILE                   *file;
};

static const struct weir_directive skel_directives[] = {
    WEIR_STR(struct skel_conf, path, .flags = WEIR_REQUIRED,
             .help = "the file that lines are added to"),
    WEIR_FORMAT(struct skel_conf, format, .value = "weir",
                .help = "how an event is written"),
    WEIR_END
};

/* Looks at the block only: it touches no file. */
static enum weir_status
skel_check(const void *conf, struct weir_err *err)
{
    const struct skel_conf *c = conf;

    if (c->path[0] != '/') {
        return weir_fail(err, WEIR_FATAL,
                         "path: \"%s\" is not absolute; write the whole path",
                         c->path);
    }
    return WEIR_OK;
}

static void
skel_batching(const void *conf, struct weir_batching *batching)
{
    (void)conf;
    batching->guarantee = WEIR_AT_LEAST_ONCE;
    batching->max_lanes = 1; /* lines of two lanes would be mixed up */
}

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
    s->file = fopen(s->conf->path, "ae");
    if (!s->file) {
        weir_fail(err, WEIR_RETRY, "open %s: %s", s->conf->path,
                  strerror(errno));
        free(s);
        return WEIR_RETRY; /* asked again after a while */
    }
    *self = s;
    return WEIR_OK;
}

static void
skel_close(void *self)
{
    struct skel *s = self;

    fclose(s->file);
    free(s);
}

/* RETRY: all of the batch comes again.  A verdict is on one event: OK means
 * then that all the others are written. */
static enum weir_status
skel_write(void *self, struct weir_batch *b, struct weir_err *err)
{
    struct skel *s = self;

    clearerr(s->file);
    for (size_t i = 0; i < b->nevents; i++) {
        struct weir_str        line;
        const enum weir_status st =
            weir_body(b, i, s->conf->format, &line, err);
        if (st == WEIR_REJECT) {
            weir_verdict(b, i, st, "%s", err->text);
        } else if (st != WEIR_OK) {
            return st;
        } else {
            fwrite(line.data, 1, line.len, s->file);
        }
    }
    if (fflush(s->file) != 0 || ferror(s->file)) {
        return weir_fail(err, WEIR_RETRY, "write to %s: %s", s->conf->path,
                         strerror(errno));
    }
    weir_count(s->in, "events", b->nevents);
    return WEIR_OK;
}

WEIR_MODULE = {
    WEIR_HEAD,
    .stage = WEIR_SINK,
    .name = "skel",
    .version = "0.1.0",
    .summary = "lines in one file",
    .conf_size = sizeof(struct skel_conf),
    .directives = skel_directives,
    .check = skel_check,
    .batching = skel_batching,
    .open = skel_open,
    .close = skel_close,
    .write = skel_write,
};
