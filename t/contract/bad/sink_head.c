/*
 * sink_head.c - a sink whose struct weir_module is wrong in the way that the
 * compiler is told by -D.
 */
#include <weir/module.h>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct head_conf {
    const char *a, *b;
    int64_t     n;
    struct { const char *password; } more;
};

#ifndef SECOND
#define SECOND WEIR_STR(struct head_conf, b, .help = "another")
#endif
static const struct weir_directive directives[] = {
    WEIR_STR(struct head_conf, a, .help = "one"),
    SECOND,
    WEIR_END
};

static enum weir_status
head_write(void *self, struct weir_batch *b, struct weir_err *err)
{
    (void)self;
    (void)b;
    (void)err;
    return WEIR_OK;
}

#ifdef LOADER
static __attribute__((constructor)) void
at_load(void)
{
    LOADER;
}
#endif
#ifdef EXACTLY
static void
head_batching(const void *conf, struct weir_batching *b)
{
    (void)conf;
    b->guarantee = WEIR_EXACTLY_ONCE;
}
#endif
#ifdef BY_TXN
static void
head_batching(const void *conf, struct weir_batching *b)
{
    (void)conf;
    b->share = WEIR_KEEP_TXN;
}
#endif

#ifndef NAME
#define NAME "head"
#endif
#ifndef VERSION
#define VERSION "1"
#endif
#ifndef STAGE
#define STAGE WEIR_SINK
#endif
#ifndef CONF_SIZE
#define CONF_SIZE sizeof(struct head_conf)
#endif
WEIR_MODULE = {
    WEIR_HEAD,
#ifdef HEAD
    HEAD,
#endif
    .stage = STAGE,
    .name = NAME,
    .version = VERSION,
    .summary = "wrong",
    .conf_size = CONF_SIZE,
    .directives = directives,
#if defined(EXACTLY) || defined(BY_TXN)
    .batching = head_batching,
#endif
#ifndef NO_WRITE
    .write = head_write,
#endif
};
