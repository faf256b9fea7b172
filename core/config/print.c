/* print.c - a configuration for people; see config.h. */
#include <inttypes.h>
#include <stdlib.h>

#include "config/build.h"

static int
by_begin(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    return x->begin < y->begin ? -1 : x->begin > y->begin;
}

void
conf_print_masked(const struct conf *c, struct weir_str expanded,
                  struct buf *out)
{
    const struct conf_whole *whole = (const struct conf_whole *)c;
    const size_t             n = whole->nsecrets;
    struct arena             a = { 0 };
    size_t                   at = 0;

    struct span *secrets = arena_copy(&a, whole->secrets, n * sizeof *secrets);
    if (n > 0) {
        qsort(secrets, n, sizeof *secrets, by_begin);
    }
    for (size_t i = 0; i < n; i++) {
        if (secrets[i].begin < at || secrets[i].end > expanded.len) {
            continue;
        }
        buf_add(out, expanded.data + at, secrets[i].begin - at);
        buf_text(out, "\"***\"");
        at = secrets[i].end;
    }
    buf_add(out, expanded.data + at, expanded.len - at);
    arena_free(&a);
}

static void
print_guarantee(const char *pipeline, const struct conf_sink *s,
                struct buf *out)
{
    const bool by_key = s->batching.share == WEIR_BY_KEY;

    buf_printf(out, "sink %s/%s: %s, causal per %s; checkpoint kept %s; %s%s\n",
               pipeline, s->name,
               module_guarantee_name(s->batching.guarantee),
               by_key ? "key" : "transaction",
               s->keeps_checkpoint ? "in the sink" : "here",
               by_key ? "readers can see part of a transaction"
                      : "readers see whole transactions only",
               by_key && s->set.lanes > 1
                   ? "; with several lanes a row whose key changes is a "
                     "DELETE and an INSERT, which readers can see apart"
                   : "");
}

void
conf_print_guarantees(const struct conf *c, struct buf *out)
{
    for (size_t i = 0; i < c->npipelines; i++) {
        const struct conf_pipeline *p = &c->pipelines[i];
        for (size_t k = 0; k < p->nsinks; k++) {
            print_guarantee(p->name, &p->sinks[k], out);
        }
    }
}
