/*
 * filter_skel.c - leaves out the rows that have a certain text in a certain
 * column.  Tables without that column pass as they are.
 */
#include <weir/module.h>

#include <stdlib.h>
#include <string.h>

struct skel_conf {
    const char *column, *text;
};

struct skel {
    struct weir_instance   *in;
    const struct skel_conf *conf;
};

static const struct weir_directive skel_directives[] = {
    WEIR_STR(struct skel_conf, column, .flags = WEIR_REQUIRED,
             .help = "the column that is looked at"),
    WEIR_STR(struct skel_conf, text, .flags = WEIR_REQUIRED,
             .help = "rows with this in it are left out"),
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
    free(self);
}

/* Once for each version of a table: finds the column, so that no row has to.
 * The slot holds its number, from 1; NULL is no such column. */
static enum weir_status
skel_table(void *self, const struct weir_table *table, void **slot,
           struct weir_err *err)
{
    struct skel *s = self;
    const size_t len = strlen(s->conf->column);

    (void)err;
    for (uint32_t i = 0; i < table->ncolumns; i++) {
        const struct weir_column *c = table->columns[i];
        if (c->type == WEIR_TEXT && c->name.len == len &&
            memcmp(c->name.data, s->conf->column, len) == 0) {
            weir_use(s->in, i);
            *slot = (void *)(uintptr_t)(i + 1);
            return WEIR_OK;
        }
    }
    weir_use(s->in, WEIR_NONE);
    return WEIR_OK;
}

static enum weir_status
skel_filter(void *self, void *slot, const struct weir_event *ev,
            struct weir_err *err)
{
    const struct skel       *s = self;
    const uintptr_t          column = (uintptr_t)slot;
    const struct weir_value *row = ev->after ? ev->after : ev->before;

    (void)err;
    if (column == 0) {
        return WEIR_OK;
    }
    const struct weir_value *v = &row[column - 1];
    return v->type == WEIR_TEXT && v->s.len == strlen(s->conf->text) &&
                   memcmp(v->s.data, s->conf->text, v->s.len) == 0
               ? WEIR_DROP
               : WEIR_OK;
}

WEIR_MODULE = {
    WEIR_HEAD,
    .stage = WEIR_FILTER,
    .name = "skel",
    .version = "0.1.0",
    .summary = "leaves out rows with a certain text",
    .conf_size = sizeof(struct skel_conf),
    .directives = skel_directives,
    .open = skel_open,
    .close = skel_close,
    .table = skel_table,
    .filter = skel_filter,
};
