/*
 * transform_skel.c - puts stars in place of text in columns of a certain name:
 * as many as it has bytes.  NULL stays NULL, and what is not known stays so.
 */
#include <weir/module.h>

#include <stdlib.h>
#include <string.h>

struct skel_conf {
    const char *column;
};

struct skel {
    struct weir_instance   *in;
    const struct skel_conf *conf;
};

/* What table() finds: which columns to go through. */
struct skel_table {
    size_t   n;
    uint32_t columns[];
};

static const struct weir_directive skel_directives[] = {
    WEIR_STR(struct skel_conf, column, .value = "password*",
             .help = "columns of these names (a glob) become stars"),
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

static enum weir_status
skel_table(void *self, const struct weir_table *table, void **slot,
           struct weir_err *err)
{
    struct skel          *s = self;
    const struct weir_str glob = { s->conf->column, strlen(s->conf->column) };
    struct skel_table    *t =
        malloc(sizeof *t + table->ncolumns * sizeof t->columns[0]);

    if (!t) {
        return weir_fail(err, WEIR_RETRY, "no memory");
    }
    t->n = 0;
    for (uint32_t i = 0; i < table->ncolumns; i++) {
        const struct weir_column *c = table->columns[i];
        if (c->type == WEIR_TEXT && weir_glob(glob, c->name)) {
            t->columns[t->n++] = i;
        }
    }
    *slot = t;
    return WEIR_OK;
}

static void
skel_table_end(void *self, void *slot)
{
    (void)self;
    free(slot);
}

/* Memory of weir_alloc() lives as long as the batch. */
static void
hide(struct skel *s, const struct skel_table *t, struct weir_value *row)
{
    for (size_t i = 0; row && i < t->n; i++) {
        struct weir_value *v = &row[t->columns[i]];
        if (v->type == WEIR_TEXT) {
            char *stars = weir_alloc(s->in, v->s.len + 1);
            memset(stars, '*', v->s.len);
            v->s.data = stars;
        }
    }
}

/* before and after are the rows to be: filled in already, to be changed. */
static enum weir_status
skel_transform(void *self, void *slot, const struct weir_event *in,
               struct weir_value *before, struct weir_value *after,
               struct weir_err *err)
{
    (void)in;
    (void)err;
    hide(self, slot, before);
    hide(self, slot, after);
    return WEIR_OK;
}

WEIR_MODULE = {
    WEIR_HEAD,
    .stage = WEIR_TRANSFORM,
    .name = "skel",
    .version = "0.1.0",
    .summary = "stars in place of text",
    .conf_size = sizeof(struct skel_conf),
    .directives = skel_directives,
    .open = skel_open,
    .close = skel_close,
    .table = skel_table,
    .table_end = skel_table_end,
    .transform = skel_transform,
};
