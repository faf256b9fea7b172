/* filter_try.c - a filter for the tests of configurations; built as a transform
 * with TRY_TRANSFORM. */
#include <weir/module.h>

struct try_conf { const char *word; };

static const struct weir_directive directives[] = {
    WEIR_STR(struct try_conf, word, .help = "a word"),
    WEIR_END
};

static enum weir_status
try_table(void *self, const struct weir_table *table, void **slot,
          struct weir_err *err)
{
    (void)self, (void)table, (void)slot, (void)err;
    return WEIR_OK;
}

#ifndef TRY_TRANSFORM
static enum weir_status
try_filter(void *self, void *slot, const struct weir_event *ev,
           struct weir_err *err)
{
    (void)self, (void)slot, (void)ev, (void)err;
    return WEIR_OK;
}
#endif

WEIR_MODULE = {
    WEIR_HEAD,
#ifdef TRY_TRANSFORM
    .stage = WEIR_TRANSFORM,
    .name = "change",
#else
    .stage = WEIR_FILTER,
    .name = "only",
    .filter = try_filter,
#endif
    .version = "1.2.3",
    .summary = "a stage for tests",
    .conf_size = sizeof(struct try_conf),
    .directives = directives,
    .table = try_table,
};
