/*
 * sink_lines.c - a sink as anybody could write one: a line for each row, in one
 * file.  Built outside of Weir's tree, against what was installed.
 */
#include <weir/module.h>

#include <stdio.h>
#include <stdlib.h>

struct lines_conf {
    const char *path;
    bool        quiet; /* counts the rows only */
};

struct lines {
    struct weir_instance    *in;
    const struct lines_conf *conf;
    FILE                    *file;
};

static const struct weir_directive directives[] = {
    WEIR_STR(struct lines_conf, path, .help = "the file",
             .flags = WEIR_REQUIRED),
    WEIR_BOOL(struct lines_conf, quiet, .value = "off",
              .help = "writes no columns"),
    WEIR_END
};

static void
lines_batching(const void *conf, struct weir_batching *batching)
{
    (void)conf;
    batching->guarantee = WEIR_AT_LEAST_ONCE;
    batching->max_lanes = 1;
}

static enum weir_status
lines_open(struct weir_instance *in, const void *conf, void **self,
           struct weir_err *err)
{
    const struct lines_conf *c = conf;
    struct lines            *l = calloc(1, sizeof *l);

    if (!l) {
        return weir_fail(err, WEIR_RETRY, "no memory");
    }
    l->in = in;
    l->conf = c;
    l->file = fopen(c->path, "a");
    if (!l->file) {
        free(l);
        return weir_fail(err, WEIR_FATAL, "can't write to %s", c->path);
    }
    *self = l;
    return WEIR_OK;
}

static void
lines_close(void *self)
{
    struct lines *l = self;

    fclose(l->file);
    free(l);
}

static enum weir_status
lines_table(void *self, const struct weir_table *table, void **slot,
            struct weir_err *err)
{
    struct lines *l = self;

    (void)err;
    *slot = (void *)(uintptr_t)table->ncolumns;
    if (l->conf->quiet) {
        weir_use(l->in, WEIR_NONE);
    }
    return WEIR_OK;
}

static void
write_row(struct lines *l, const struct weir_event *ev)
{
    const struct weir_value *row = ev->after ? ev->after : ev->before;

    fprintf(l->file, "%d %.*s.%.*s", (int)ev->op, (int)ev->table->schema.len,
            ev->table->schema.data, (int)ev->table->name.len,
            ev->table->name.data);
    for (uint32_t i = 0; row && !l->conf->quiet && i < ev->table->ncolumns;
         i++) {
        const struct weir_column *column = ev->table->columns[i];
        const struct weir_str     text = weir_text(l->in, column, &row[i]);
        if (row[i].type == WEIR_INT || row[i].type == WEIR_UINT) {
            fprintf(l->file, " %.*s=%.*s", (int)column->name.len,
                    column->name.data, (int)text.len, text.data);
        }
    }
    fputc('\n', l->file);
}

static enum weir_status
lines_write(void *self, struct weir_batch *b, struct weir_err *err)
{
    struct lines *l = self;

    for (size_t i = 0; i < b->nevents; i++) {
        if (b->events[i]->table && b->events[i]->op <= WEIR_SNAPSHOT) {
            write_row(l, b->events[i]);
        }
    }
    return fflush(l->file) == 0
               ? WEIR_OK
               : weir_fail(err, WEIR_RETRY, "can't write to %s",
                           l->conf->path);
}

WEIR_MODULE = {
    WEIR_HEAD,
#ifdef OTHER_MAJOR
    .abi_major = OTHER_MAJOR,
#endif
#ifdef OTHER_MINOR
    .abi_minor = OTHER_MINOR,
#endif
    .stage = WEIR_SINK,
    .name = "lines",
    .version = "3.2.1",
    .summary = "a line for each row",
    .conf_size = sizeof(struct lines_conf),
    .directives = directives,
    .batching = lines_batching,
    .open = lines_open,
    .close = lines_close,
    .table = lines_table,
    .write = lines_write,
};
