/*
 * digest.c - whether a block says the same as before; see build.h.  A worker
 * whose digest is unchanged is left running by a reload, so all that it
 * depends on has to be in there, and nothing else.
 */
#include <string.h>

#include "base/str.h"
#include "config/build.h"

static uint64_t
hash_text(uint64_t h, const char *text)
{
    return str_hash(h, (struct weir_str){ text, strlen(text) + 1 });
}

/* Another version of a module is another worker, too. */
static uint64_t
hash_module(uint64_t h, const struct block *b)
{
    if (b->syntax->module) {
        h = hash_text(h, b->syntax->module->version);
    }
    for (size_t i = 0; i < b->nblocks; i++) {
        h = hash_module(h, b->blocks[i]);
    }
    return h;
}

static uint64_t
hash_block(uint64_t h, const struct tokens *t, const struct block *b)
{
    for (const struct token *p = b->name; p <= b->end && p < t->items + t->n;
         p++) {
        h = str_hash(h, p->mark ? STR("\1") : STR("\2"));
        h = str_hash(h, p->text);
        h = str_hash(h, (struct weir_str){ "", 1 });
    }
    return hash_module(h, b);
}

static bool
is_block(const struct block *b, const char *name)
{
    return strcmp(b->syntax->name, name) == 0;
}

void
digest_pipeline(const struct tokens *t, const struct block *block,
                struct conf_pipeline *p)
{
    const uint64_t start = hash_text(0, p->adopt ? "adopt" : "");
    uint64_t       source = start, stages = start;
    size_t         n = 0;

    for (size_t i = 0; i < block->nblocks; i++) {
        const struct block *b = block->blocks[i];
        if (is_block(b, "source") || is_block(b, "relay")) {
            source = hash_block(source, t, b);
        } else if (!is_block(b, "sink")) {
            stages = hash_block(stages, t, b);
        }
    }
    for (size_t i = 0; i < p->tables_kept.n; i++) {
        const char *glob = p->tables_kept.items[i];
        source = hash_text(source, glob ? glob : "");
    }
    p->digest = source;
    for (size_t i = 0; i < block->nblocks && n < p->nsinks; i++) {
        if (is_block(block->blocks[i], "sink")) {
            p->sinks[n++].digest = hash_block(stages, t, block->blocks[i]);
        }
    }
}
