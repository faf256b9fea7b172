/*
 * sink_try.c - a sink for the tests of configurations, with a directive of each
 * kind.  Built several times: TRY_FAULT makes a module that must not load.
 */
#include <weir/module.h>

#include <stdlib.h>
#include <string.h>

struct try_conf {
    const char                 *path;
    struct weir_list            items;
    struct weir_map             options;
    bool                        fast;
    int64_t                     count, mode, room, pause;
    const struct weir_template *key;
    const struct weir_format   *format;
    const char                 *token;
};

enum { TRY_LEAST, TRY_EXACT, TRY_WHOLE };
static const struct weir_name modes[] = {
    { "least", TRY_LEAST }, { "exact", TRY_EXACT }, { "whole", TRY_WHOLE },
    { NULL, 0 },
};

#define T struct try_conf
static const struct weir_directive directives[] = {
#if TRY_FAULT == 1
    WEIR_STR(T, path, .value = "x", .help = "one"),
    WEIR_STR(T, path, .value = "y", .help = "two"),
#elif TRY_FAULT == 2
    WEIR_MSEC(T, pause, .value = "5x", .help = "a bad default"),
#elif TRY_FAULT == 3
    { .name = "far", .kind = WEIR_K_INT, .offset = sizeof(T),
      .help = "behind its struct" },
#endif
    WEIR_STR(T, path, .value = "out", .help = "a path"),
    WEIR_LIST(T, items, .value = "{a, \"b c\"}", .help = "some texts"),
    WEIR_MAP(T, options, .help = "some pairs"),
    WEIR_BOOL(T, fast, .value = "on", .help = "on or off"),
    WEIR_INT(T, count, .value = "10", .min = -5, .max = 100,
             .help = "a number"),
    WEIR_CHOICE(T, mode, .value = "least", .names = modes, .help = "a choice"),
    WEIR_SIZE(T, room, .value = "64k", .min = 1024, .max = 1 << 30,
              .help = "a size"),
    WEIR_MSEC(T, pause, .value = "250ms", .help = "a time"),
    WEIR_TEMPLATE(T, key, .value = "k:{id}", .flags = WEIR_ORDER,
                  .help = "a template"),
    WEIR_FORMAT(T, format, .value = "weir", .help = "a format"),
    WEIR_STR(T, token, .flags = WEIR_SECRET | WEIR_ENV, .help = "a secret"),
    WEIR_END
};

static enum weir_status
try_check(const void *conf, struct weir_err *err)
{
    const T *c = conf;

    /* Not weir_fail(): the program that loads this one exports nothing. */
    if (c->path && strcmp(c->path, "refused") == 0) {
        strcpy(err->text, "path: this one is refused");
        return WEIR_FATAL;
    }
    if (c->path && strcmp(c->path, "crash") == 0) {
        abort();
    }
    return WEIR_OK;
}

static void
try_batching(const void *conf, struct weir_batching *b)
{
    const T *c = conf;

    b->guarantee = c->mode == TRY_LEAST ? WEIR_AT_LEAST_ONCE
                                        : WEIR_EXACTLY_ONCE;
    b->share = c->mode == TRY_WHOLE ? WEIR_MERGE_TXN : WEIR_BY_KEY;
    b->events = 500;
}

#if TRY_FAULT != 7
static enum weir_status
try_write(void *self, struct weir_batch *b, struct weir_err *err)
{
    (void)self, (void)b, (void)err;
    return WEIR_OK;
}
#endif

static enum weir_status
try_restore(void *self, struct weir_str id, uint32_t slot,
            struct weir_err *err)
{
    (void)self, (void)id, (void)slot, (void)err;
    return WEIR_OK;
}

#if TRY_FAULT == 8
void weir_from_the_future(void);
#endif

WEIR_MODULE = {
#if TRY_FAULT == 4
    .size = sizeof(struct weir_module),
    .directive_size = sizeof(struct weir_directive),
    .abi_major = WEIR_ABI_MAJOR + 1,
    .abi_minor = 0,
#elif TRY_FAULT == 5
    .size = sizeof(struct weir_module),
    .directive_size = sizeof(struct weir_directive),
    .abi_major = WEIR_ABI_MAJOR,
    .abi_minor = WEIR_ABI_MINOR - 1,
#elif TRY_FAULT == 6
    .size = sizeof(struct weir_module) - 8,
    .directive_size = sizeof(struct weir_directive),
    .abi_major = WEIR_ABI_MAJOR,
    .abi_minor = WEIR_ABI_MINOR,
#else
    WEIR_HEAD,
#endif
    .stage = WEIR_SINK,
    .name = "try",
    .version = "1.2.3",
    .summary = "a sink for tests",
    .conf_size = sizeof(T),
    .directives = directives,
    .check = try_check,
    .batching = try_batching,
#if TRY_FAULT == 8
    .tick = (void (*)(void *))weir_from_the_future,
#endif
#if TRY_FAULT != 7
    .write = try_write,
#endif
    .restore = try_restore,
};
