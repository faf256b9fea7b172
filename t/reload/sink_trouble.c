/*
 * sink_trouble.c - a sink that misbehaves at the rows of one table, in the way
 * that its config names.  For the tests of what the server makes of that.
 */
#include <weir/module.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum how { FINE, SEGFAULT, ABORT, HANG, EXIT, FATAL };

struct trouble_conf {
    const char *table;
    int64_t     how, status;
};

struct trouble {
    const struct trouble_conf *conf;
};

static const struct weir_name hows[] = {
    { "fine", FINE }, { "segfault", SEGFAULT }, { "abort", ABORT },
    { "hang", HANG }, { "exit", EXIT },         { "fatal", FATAL },
    { NULL, 0 },
};

/* clang-format off */
static const struct weir_directive directives[] = {
    WEIR_STR(struct trouble_conf, table, .flags = WEIR_REQUIRED,
        .help = "the table at whose rows it happens"),
    WEIR_CHOICE(struct trouble_conf, how, .value = "fine", .names = hows,
        .help = "what happens"),
    WEIR_INT(struct trouble_conf, status, .value = "0", .max = 255,
        .help = "of exit"),
    WEIR_END
};
/* clang-format on */

static enum weir_status
trouble_open(struct weir_instance *in, const void *conf, void **self,
             struct weir_err *err)
{
    struct trouble *t = malloc(sizeof *t);

    (void)in;
    if (!t) {
        return weir_fail(err, WEIR_RETRY, "no memory");
    }
    t->conf = conf;
    *self = t;
    return WEIR_OK;
}

static void
trouble_close(void *self)
{
    free(self);
}

static enum weir_status
misbehave(const struct trouble_conf *conf, struct weir_err *err)
{
    switch (conf->how) {
    case SEGFAULT:
        raise(SIGSEGV);
        break;
    case ABORT:
        abort();
    case HANG:
        for (;;) {
            pause();
        }
    case EXIT:
        exit((int)conf->status);
    case FATAL:
        return weir_fail(err, WEIR_FATAL, "it has had enough");
    }
    return WEIR_OK;
}

static enum weir_status
trouble_write(void *self, struct weir_batch *b, struct weir_err *err)
{
    const struct trouble_conf *conf = ((struct trouble *)self)->conf;

    for (size_t i = 0; i < b->nevents; i++) {
        const struct weir_table *table = b->events[i]->table;
        if (table && table->name.len == strlen(conf->table) &&
            memcmp(table->name.data, conf->table, table->name.len) == 0) {
            const enum weir_status st = misbehave(conf, err);
            if (st != WEIR_OK) {
                return st;
            }
        }
    }
    return WEIR_OK;
}

WEIR_MODULE = {
    WEIR_HEAD,
    .stage = WEIR_SINK,
    .name = "trouble",
    .version = "7.1",
    .summary = "misbehaves",
    .conf_size = sizeof(struct trouble_conf),
    .directives = directives,
    .open = trouble_open,
    .close = trouble_close,
    .write = trouble_write,
};
