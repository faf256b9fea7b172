/* pipeline.c - one pipeline of a tree into its struct; see build.h. */
#include <stdlib.h>
#include <string.h>

#include "base/generation.h"
#include "base/str.h"
#include "config/build.h"

enum { SEGMENT_DEFAULT = 64 << 20, SEGMENT_LEAST = 64 << 10 };

static bool
is_stage_block(const struct block *b)
{
    return strcmp(b->syntax->name, "filter") == 0 ||
           strcmp(b->syntax->name, "transform") == 0;
}

static const struct block *
find_block(const struct block *in, const char *name)
{
    for (size_t i = 0; i < in->nblocks; i++) {
        if (strcmp(in->blocks[i]->syntax->name, name) == 0) {
            return in->blocks[i];
        }
    }
    return NULL;
}

static const char *
block_title(struct build *b, const struct block *block)
{
    return block->title ? arena_printf(b->arena, "%s '%s'",
                                       block->syntax->name,
                                       block->title->text.data)
                        : block->syntax->name;
}

static void
check_once(struct build *b, const struct block *block, const char *name)
{
    const struct block *first = find_block(block, name);

    for (size_t i = 0; i < block->nblocks; i++) {
        const struct block *other = block->blocks[i];
        if (other != first && strcmp(other->syntax->name, name) == 0) {
            report(b->errors, other->name->at,
                   "%s has two blocks '%s': the first is at %s:%u",
                   block_title(b, block), name, first->name->at.file,
                   first->name->at.line);
        }
    }
}

/* A block of directives that may be left out; where to point for them. */
static const struct block *
build_inner(struct build *b, const struct block *block, const char *name,
            void *out)
{
    const struct block *found = find_block(block, name);
    struct block       *absent;

    for (size_t i = 0; !found && i < block->syntax->nblocks; i++) {
        if (strcmp(block->syntax->blocks[i]->name, name) == 0) {
            absent = arena_alloc(b->arena, sizeof *absent);
            *absent = (struct block){ .syntax = block->syntax->blocks[i],
                                      .name = block->name };
            found = absent;
        }
    }
    settings_fill(&b->settings, found, out);
    return found;
}

/* ---- A module's block */

static void
build_use(struct build *b, const struct block *block, struct conf_use *use)
{
    const struct weir_module *m = block->syntax->module;
    const unsigned            before = b->errors->n;
    struct weir_err           err = { "" };

    void *conf = arena_alloc(b->arena, m->conf_size + 1);
    use->module = m;
    use->conf = conf;
    use->file = block->name->at.file;
    use->line = (int)block->name->at.line;
    settings_fill(&b->settings, block, conf);
    if (b->check && m->check && b->errors->n == before && !block->damaged &&
        m->check(conf, &err) != WEIR_OK) {
        report(b->errors, block->name->at, "%s: %s", m->name, err.text);
    }
}

/* The one module's block in a source, filter, transform or sink. */
static void
build_only_use(struct build *b, const struct block *block,
               struct conf_use *use)
{
    const char *what = block->syntax->name;

    for (size_t i = 0; i < block->nblocks; i++) {
        const struct block *inner = block->blocks[i];
        if (!inner->syntax->module) {
            continue;
        }
        if (use->module) {
            report(b->errors, inner->name->at,
                   "%s has two modules, '%s' and '%s': a %s has one",
                   block_title(b, block), use->module->name,
                   inner->syntax->name, what);
            continue;
        }
        build_use(b, inner, use);
    }
    if (!use->module && !block->damaged) {
        report(b->errors, block->name->at,
               "%s has no module: write %s%s { MODULE { ... } }",
               block_title(b, block), what,
               block->syntax->titled ? " NAME" : "");
    }
}

/* ---- Stages */

static void
check_twins(struct build *b, const struct block *in, size_t i)
{
    const struct block *block = in->blocks[i];

    for (size_t k = 0; k < i; k++) {
        const struct block *other = in->blocks[k];
        if (other->syntax == block->syntax && block->title &&
            str_eq(other->title->text, block->title->text)) {
            report(b->errors, block->title->at,
                   "there are two %ss named '%s' in %s: the first is at "
                   "%s:%u", block->syntax->name, block->title->text.data,
                   block_title(b, in), other->title->at.file,
                   other->title->at.line);
            return;
        }
    }
}

static struct conf_stage *
build_stages(struct build *b, const struct block *in, size_t *n)
{
    struct conf_stage *stages =
        arena_array(b->arena, in->nblocks + 1, sizeof *stages);

    for (size_t i = 0; i < in->nblocks; i++) {
        const struct block *block = in->blocks[i];
        if (!is_stage_block(block)) {
            continue;
        }
        check_twins(b, in, i);
        stages[*n].name = block->title->text.data;
        build_only_use(b, block, &stages[*n].use);
        ++*n;
    }
    return stages;
}

/* ---- Sinks */

static void
check_guarantee(struct build *b, const struct block *block,
                const struct conf_sink *s)
{
    const struct weir_batching *has = &s->batching;

    if (s->set.guarantee > (int64_t)has->guarantee) {
        report(b->errors, settings_place(block, "guarantee"),
               "sink '%s' asks for %s, but '%s' gives %s as it is configured",
               s->name,
               module_guarantee_name((enum weir_guarantee)s->set.guarantee),
               s->use.module->name, module_guarantee_name(has->guarantee));
    }
    if (has->guarantee == WEIR_EXACTLY_ONCE && !s->keeps_checkpoint) {
        report(b->errors, block->name->at,
               "module '%s' says exactly-once but has no restore(): mend the "
               "module", s->use.module->name);
    }
    if (has->share != WEIR_BY_KEY && !s->use.module->commit) {
        report(b->errors, block->name->at,
               "module '%s' wants whole transactions but has no commit(): "
               "mend the module", s->use.module->name);
    }
}

static void
check_lanes(struct build *b, const struct block *block,
            const struct conf_sink *s)
{
    if (s->set.lanes > s->batching.max_lanes) {
        report(b->errors, settings_place(block, "lanes"),
               "lanes = %lld: '%s' has %u at most, as it is configured",
               (long long)s->set.lanes, s->use.module->name,
               s->batching.max_lanes);
    }
}

static void
check_sink(struct build *b, const struct block *block,
           const struct conf_sink *s)
{
    if (str_is(block->title->text, "relay") ||
        str_is(block->title->text, "id")) {
        report(b->errors, block->title->at,
               "a sink can't be called '%s': a pipeline's folder has "
               "something of that name", s->name);
    }
    if (s->set.was && strcmp(s->set.was, s->name) == 0) {
        report(b->errors, settings_place(block, "was"),
               "was: '%s' is the sink's name now; leave it out", s->name);
    }
}

static void
build_sink(struct build *b, const struct block *block, struct conf_sink *s)
{
    const unsigned before = b->errors->n;

    s->name = block->title->text.data;
    settings_fill(&b->settings, block, &s->set);
    check_once(b, block, "retry");
    check_once(b, block, "breaker");
    build_inner(b, block, "retry", &s->retry);
    build_inner(b, block, "breaker", &s->breaker);
    s->stages = build_stages(b, block, &s->nstages);
    build_only_use(b, block, &s->use);
    check_sink(b, block, s);
    if (!s->use.module || b->errors->n != before) {
        return; /* what is wrong in its conf is nothing to ask a module about */
    }
    s->keeps_checkpoint = s->use.module->restore != NULL;
    s->batching = module_batching(s->use.module, s->use.conf, s->set.events,
                                  s->set.bytes, s->set.wait_ms);
    check_guarantee(b, block, s);
    check_lanes(b, block, s);
}

static bool
is_good_name(const char *s)
{
    return *s && strlen(s) <= 64 &&
           s[strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                       "0123456789_-")] == '\0';
}

/* `was` names a folder of the state directory: it can't be another sink's. */
static void
check_former_name(struct build *b, const struct block *block,
                  const struct conf_pipeline *p, const struct conf_sink *s)
{
    if (!s->set.was) {
        return;
    }
    const struct place at = settings_place(block, "was");
    if (!is_good_name(s->set.was)) {
        report(b->errors, at, "was: '%.80s' can't be a sink's name",
               s->set.was);
    }
    for (size_t i = 0; i < p->nsinks; i++) {
        const struct conf_sink *other = &p->sinks[i];
        if (other == s) {
            continue;
        }
        if (strcmp(other->name, s->set.was) == 0) {
            report(b->errors, at,
                   "was: there is another sink named '%s' in this pipeline",
                   s->set.was);
        } else if (other < s && other->set.was &&
                   strcmp(other->set.was, s->set.was) == 0) {
            report(b->errors, at, "was: sink '%s' says that it was '%s', too",
                   other->name, s->set.was);
        }
    }
}

static void
build_sinks(struct build *b, const struct block *block,
            struct conf_pipeline *p)
{
    const struct block **blocks =
        arena_array(b->arena, block->nblocks + 1, sizeof *blocks);

    p->sinks = arena_array(b->arena, block->nblocks + 1, sizeof *p->sinks);
    for (size_t i = 0; i < block->nblocks; i++) {
        const struct block *sink = block->blocks[i];
        if (strcmp(sink->syntax->name, "sink") != 0) {
            continue;
        }
        check_twins(b, block, i);
        if (p->nsinks == GENERATION_MAX_SINKS) {
            report(b->errors, sink->name->at,
                   "pipeline '%s' has more than %d sinks", p->name,
                   GENERATION_MAX_SINKS);
            break;
        }
        blocks[p->nsinks] = sink;
        build_sink(b, sink, &p->sinks[p->nsinks++]);
    }
    for (size_t i = 0; i < p->nsinks; i++) {
        check_former_name(b, blocks[i], p, &p->sinks[i]);
    }
}

/* ---- What is kept */

static int
by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted, each once, so that the order of sinks does not matter. */
static struct weir_list
union_of_tables(struct build *b, const struct conf_pipeline *p)
{
    size_t n = 0, kept = 0;

    for (size_t i = 0; i < p->nsinks; i++) {
        if (p->sinks[i].set.tables.n == 0) {
            return (struct weir_list){ 0, NULL };
        }
        n += p->sinks[i].set.tables.n;
    }
    const char **items = arena_array(b->arena, n + 1, sizeof *items);
    n = 0;
    for (size_t i = 0; i < p->nsinks; i++) {
        const struct weir_list *l = &p->sinks[i].set.tables;
        for (size_t k = 0; k < l->n; k++) {
            items[n++] = l->items[k] ? l->items[k] : "";
        }
    }
    qsort(items, n, sizeof *items, by_name);
    for (size_t i = 0; i < n; i++) {
        if (kept == 0 || strcmp(items[kept - 1], items[i]) != 0) {
            items[kept++] = items[i];
        }
    }
    return (struct weir_list){ kept, items };
}

static bool
is_covered(const struct weir_list *by, const char *glob)
{
    for (size_t i = 0; i < by->n; i++) {
        if (by->items[i] && str_glob(str_of(by->items[i]), str_of(glob))) {
            return true;
        }
    }
    return false;
}

/* A sink's table that the relay leaves out would silently never come. */
static void
check_covered(struct build *b, const struct block *block,
              const struct conf_pipeline *p)
{
    for (size_t i = 0; i < p->nsinks && p->relay.tables.n > 0; i++) {
        const struct weir_list *l = &p->sinks[i].set.tables;
        for (size_t k = 0; k < l->n; k++) {
            if (l->items[k] && !is_covered(&p->relay.tables, l->items[k])) {
                report(b->errors, settings_place(block, "tables"),
                       "sink '%s' wants '%s', which is not in the relay's "
                       "tables", p->sinks[i].name, l->items[k]);
            }
        }
    }
}

static void
check_globs(struct build *b, const struct block *block,
            const struct weir_list *tables)
{
    for (size_t i = 0; i < tables->n; i++) {
        const char *glob = tables->items[i];
        if (glob && !strchr(glob, '.') && strcmp(glob, "*") != 0) {
            report(b->errors, settings_place(block, "tables"),
                   "tables: '%.80s' has no '.': write \"database.table\"",
                   glob);
        }
    }
}

static void
build_relay(struct build *b, const struct block *block,
            struct conf_pipeline *p)
{
    const unsigned before = b->errors->n;

    const struct block *relay = build_inner(b, block, "relay", &p->relay);
    if (p->relay.segment == 0) {
        const int64_t quarter = p->relay.size / 4;
        p->relay.segment = quarter < SEGMENT_LEAST     ? SEGMENT_LEAST
                           : quarter > SEGMENT_DEFAULT ? SEGMENT_DEFAULT
                                                       : quarter;
    }
    if (b->errors->n == before && p->relay.segment * 2 > p->relay.size) {
        report(b->errors, settings_place(relay, "segment"),
               "segment: size has to hold two segments at least");
    }
    check_globs(b, relay, &p->relay.tables);
    check_globs(b, relay, &p->relay.leave_out);
}

void
pipeline_build(struct build *b, const struct block *block,
               struct conf_pipeline *p)
{
    struct pipeline_settings set = { 0 };

    p->name = block->title->text.data;
    settings_fill(&b->settings, block, &set);
    p->adopt = set.adopt;
    check_once(b, block, "source");
    check_once(b, block, "relay");
    const struct block *source = find_block(block, "source");
    if (source) {
        build_only_use(b, source, &p->source);
    } else if (!block->damaged) {
        report(b->errors, block->name->at,
               "pipeline '%s' has no source: write source { mysql { ... } }",
               p->name);
    }
    build_relay(b, block, p);
    p->stages = build_stages(b, block, &p->nstages);
    build_sinks(b, block, p);
    for (size_t i = 0, n = 0; i < block->nblocks && n < p->nsinks; i++) {
        if (strcmp(block->blocks[i]->syntax->name, "sink") == 0) {
            check_globs(b, block->blocks[i], &p->sinks[n++].set.tables);
        }
    }
    const struct block *relay = find_block(block, "relay");
    if (relay) {
        check_covered(b, relay, p);
    }
    p->tables_kept = p->relay.tables.n > 0 ? p->relay.tables
                                           : union_of_tables(b, p);
}
