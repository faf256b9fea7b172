/*
 * transform_bad.c - a transform, or with FILTER a filter, that breaks the
 * promise that its block names.
 */
#include <weir/module.h>

#include <stdlib.h>
#include <string.h>

struct bad_conf { const char *how; };
struct bad {
    struct weir_instance  *in;
    const struct bad_conf *conf;
    unsigned               calls;
};

static const struct weir_directive directives[] = {
    WEIR_STR(struct bad_conf, how, .value = "not",
             .help = "the promise that is broken"),
    WEIR_END
};

static int
is(const struct bad *s, const char *how)
{
    return strcmp(s->conf->how, how) == 0;
}

static enum weir_status
bad_open(struct weir_instance *in, const void *conf, void **self,
         struct weir_err *err)
{
    struct bad *s = calloc(1, sizeof *s);

    (void)err;
    s->in = in;
    s->conf = conf;
    *self = s;
    return WEIR_OK;
}

static void
bad_close(void *self)
{
    free(self);
}

#ifdef FILTER
static enum weir_status
bad_filter(void *self, void *slot, const struct weir_event *ev,
           struct weir_err *err)
{
    static unsigned all;
    struct bad     *s = self;

    (void)slot;
    (void)err;
    s->calls++;
    all++;
    if (is(s, "impure")) {
        return s->calls % 2 ? WEIR_OK : WEIR_DROP;
    }
    if (is(s, "shared")) {
        return all % 5 ? WEIR_OK : WEIR_DROP;
    }
    if (is(s, "no_reason")) {
        return WEIR_REJECT;
    }
    if (is(s, "pending")) {
        return WEIR_PENDING;
    }
    if (is(s, "delete_crashes")) {
        return ev->after->type == WEIR_NULL ? WEIR_DROP : WEIR_OK;
    }
    return WEIR_OK;
}
#else
static enum weir_status
bad_table(void *self, const struct weir_table *table, void **slot,
          struct weir_err *err)
{
    static const struct weir_str id = { "id", 2 }, none = { "", 0 };
    struct bad                  *s = self;

    (void)slot;
    (void)err;
    if (is(s, "two_names")) {
        weir_keep(s->in, 0, id);
        weir_keep(s->in, 1, id);
    } else if (is(s, "no_name")) {
        weir_keep(s->in, 0, none);
    } else if (is(s, "keep_beyond")) {
        weir_keep(s->in, table->ncolumns, id);
    } else if (is(s, "bare_type")) {
        weir_add(s->in, id, none, WEIR_NULL, WEIR_NONE);
    }
    return WEIR_OK;
}

static enum weir_status
bad_transform(void *self, void *slot, const struct weir_event *in,
              struct weir_value *before, struct weir_value *after,
              struct weir_err *err)
{
    static char        text[16];
    struct bad        *s = self;
    struct weir_value *v = after ? after : before;

    (void)slot;
    (void)err;
    s->calls++;
    if (is(s, "impure")) {
        v->type = WEIR_INT;
        v->i = s->calls;
    } else if (is(s, "static_text")) {
        for (uint32_t i = 0; i < in->table->ncolumns; i++) {
            if (v[i].type == WEIR_TEXT) {
                memset(text, 'a' + (int)(v[0].i % 20), sizeof text);
                v[i].s = (struct weir_str){ text, sizeof text };
            }
        }
    } else if (is(s, "wrong_type")) {
        *v = (struct weir_value){ .type = WEIR_DOUBLE, .d = 1.5 };
    } else if (is(s, "not_utf8")) {
        for (uint32_t i = 0; i < in->table->ncolumns; i++) {
            if (v[i].type == WEIR_TEXT) {
                v[i].s = (struct weir_str){ "\xff\xfe", 2 };
            }
        }
    } else if (is(s, "edits")) {
        const struct weir_value *row = in->after ? in->after : in->before;
        ((struct weir_value *)(uintptr_t)row)->i = 7;
    } else if (is(s, "before_of_insert")) {
        before[0].type = WEIR_NULL;
    }
    return WEIR_OK;
}
#endif

WEIR_MODULE = {
    WEIR_HEAD,
#ifdef FILTER
    .stage = WEIR_FILTER,
    .filter = bad_filter,
#else
    .stage = WEIR_TRANSFORM,
    .table = bad_table,
    .transform = bad_transform,
#endif
    .name = "bad",
    .version = "6.6.6",
    .summary = "breaks a promise",
    .conf_size = sizeof(struct bad_conf),
    .directives = directives,
    .open = bad_open,
    .close = bad_close,
};
