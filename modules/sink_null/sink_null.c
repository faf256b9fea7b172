/*
 * sink_null.c - takes every event and keeps nothing: for measuring what comes
 * before a sink, and for trying out a source.  With `format` each event is
 * rendered first.  Knows no target, so it has no checkpoint of its own.
 */
#include <weir/module.h>

#include <stdlib.h>

struct null_conf {
    const struct weir_format *format;
};

struct null {
    struct weir_instance   *in;
    const struct null_conf *conf;
};

/* clang-format off */
static const struct weir_directive null_directives[] = {
    WEIR_FORMAT(struct null_conf, format,
                .help = "renders each event as this, then lets it go"),
    WEIR_END
};
/* clang-format on */

static void
null_batching(const void *conf, struct weir_batching *batching)
{
    (void)conf;
    batching->guarantee = WEIR_AT_MOST_ONCE;
}

static enum weir_status
null_open(struct weir_instance *in, const void *conf, void **self,
          struct weir_err *err)
{
    struct null *n = malloc(sizeof *n);

    if (!n) {
        return weir_fail(err, WEIR_RETRY, "open the null sink: no memory");
    }
    *n = (struct null){ .in = in, .conf = conf };
    *self = n;
    return WEIR_OK;
}

static void
null_close(void *self)
{
    free(self);
}

static enum weir_status
null_table(void *self, const struct weir_table *table, void **slot,
           struct weir_err *err)
{
    const struct null *n = self;

    (void)table;
    (void)slot;
    (void)err;
    if (!n->conf->format) {
        weir_use(n->in, WEIR_NONE); /* then nothing needs to be decoded */
    }
    return WEIR_OK;
}

static enum weir_status
null_write(void *self, struct weir_batch *b, struct weir_err *err)
{
    const struct null *n = self;
    uint64_t           bytes = 0;

    for (size_t i = 0; n->conf->format && i < b->nevents; i++) {
        struct weir_str        body;
        const enum weir_status st =
            weir_body(b, i, n->conf->format, &body, err);
        if (st == WEIR_REJECT) {
            weir_verdict(b, i, st, "%s", err->text);
            continue;
        }
        if (st != WEIR_OK) {
            return st;
        }
        bytes += body.len;
    }
    weir_count(n->in, "events", b->nevents);
    weir_count(n->in, "bytes", bytes);
    return WEIR_OK;
}

WEIR_MODULE = {
    WEIR_HEAD,
    .stage = WEIR_SINK,
    .name = "null",
    .version = "0.1.0",
    .summary = "takes every event and keeps nothing",
    .conf_size = sizeof(struct null_conf),
    .directives = null_directives,
    .batching = null_batching,
    .open = null_open,
    .close = null_close,
    .table = null_table,
    .write = null_write,
};
