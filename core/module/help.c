/*
 * help.c - what `weir -h sink_redis` prints: all of it is in the module.  See
 * load.h.
 */
#include "module/load.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "module/directive.h"

static void
fill_defaults(const struct weir_module *m, void *conf)
{
    const size_t n =
        m->directives ? directive_count(m->directives, m->directive_size) : 0;

    for (size_t i = 0; i < n; i++) {
        const struct weir_directive d =
            directive_get(m->directives, m->directive_size, i);
        struct weir_err err;
        int64_t         value;
        if (!d.value) {
            continue;
        }
        if (d.kind == WEIR_K_STR) {
            memcpy((char *)conf + d.offset, &d.value, sizeof d.value);
        } else if (directive_is_number(d.kind) &&
                   directive_number(&d, str_of(d.value), &value, &err) ==
                       WEIR_OK) {
            directive_store(&d, conf, value);
        }
    }
}

const char *
module_guarantee_name(enum weir_guarantee guarantee)
{
    switch (guarantee) {
    case WEIR_AT_MOST_ONCE:
        return "at-most-once";
    case WEIR_AT_LEAST_ONCE:
        return "at-least-once";
    case WEIR_EFFECTIVELY_ONCE:
        return "effectively-once";
    case WEIR_EXACTLY_ONCE:
        return "exactly-once";
    }
    return "unknown";
}

struct weir_batching
module_batching(const struct weir_module *m, const void *conf,
                int64_t asked_events, int64_t asked_bytes,
                int64_t asked_wait_ms)
{
    struct weir_batching b = { .guarantee = WEIR_AT_LEAST_ONCE,
                               .share = WEIR_BY_KEY,
                               .events = asked_events ? asked_events : 1000,
                               .bytes = asked_bytes ? asked_bytes : 1 << 20,
                               .wait_ms = asked_wait_ms,
                               .max_lanes = 1 };
    if (m->batching) {
        m->batching(conf, &b);
    }
    b.events = asked_events ? asked_events : b.events;
    b.bytes = asked_bytes ? asked_bytes : b.bytes;
    b.wait_ms = asked_wait_ms ? asked_wait_ms : b.wait_ms;
    return b;
}

void
module_help(const struct weir_module *m)
{
    printf("%s_%s %s: %s\n", module_stage_name(m->stage), m->name, m->version,
           m->summary);
    printf("ABI %u.%u", m->abi_major, m->abi_minor);
    if (m->stage == WEIR_SINK) {
        struct arena a = { 0 };
        void        *conf = arena_alloc(&a, m->conf_size);
        fill_defaults(m, conf);
        const struct weir_batching b = module_batching(m, conf, 0, 0, 0);
        printf("; by default %s, causal per %s, checkpoint kept %s",
               module_guarantee_name(b.guarantee),
               b.share == WEIR_BY_KEY ? "key" : "transaction",
               m->restore ? "in the sink" : "here");
        arena_free(&a);
    }
    printf("\n\n%s%s { %s { ... } }\n", module_stage_name(m->stage),
           m->stage == WEIR_SOURCE ? "" : " NAME", m->name);
    directive_help(m->directives, m->directive_size, stdout);
}
