/*
 * confcheck.c - reads a configuration as the checker does and says what it
 * finds, for the tests: errors, or what each pipeline became.
 *
 *     confcheck [-p PREFIX] [-g TEXT] [-d | -T | -r] FILE
 *     confcheck -h NAME
 *
 * -d digests, -T the text without secrets, -r reads the expanded text again, as
 * workers do.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "config/config.h"
#include "module/load.h"

static void
say(void *arg, const char *where, const char *sentence)
{
    (void)arg;
    printf("%s: %s\n", where, sentence);
}

static void
print_list(const char *what, const struct weir_list *l)
{
    printf(" %s={", what);
    for (size_t i = 0; i < l->n; i++) {
        printf("%s%s", i ? "," : "", l->items[i]);
    }
    printf("}");
}

static void
print_use(const struct conf_use *use)
{
    printf(" %s", use->module->name);
    /* The test modules begin with a text. */
    if (use->module->conf_size >= sizeof(char *)) {
        const char *text = *(const char *const *)use->conf;
        printf("(%s)", text ? text : "");
    }
}

static void
print_stages(size_t n, const struct conf_stage *stages)
{
    for (size_t i = 0; i < n; i++) {
        printf(" %s %s:", module_stage_name(stages[i].use.module->stage),
               stages[i].name);
        print_use(&stages[i].use);
    }
}

static void
print_sink(const struct conf_sink *s)
{
    printf("  sink %s:", s->name);
    print_use(&s->use);
    printf(" events=%" PRId64 " bytes=%" PRId64 " wait=%" PRId64
           " timeout=%" PRId64 " start=%" PRId64 " adopt=%d was=%s",
           s->batching.events, s->batching.bytes, s->batching.wait_ms,
           s->set.timeout_ms, s->set.start, s->set.adopt,
           s->set.was ? s->set.was : "");
    print_list("tables", &s->set.tables);
    print_stages(s->nstages, s->stages);
    printf("\n");
}

static void
print_pipeline(const struct conf_pipeline *p)
{
    printf("pipeline %s: source", p->name);
    print_use(&p->source);
    printf(" adopt=%d", p->adopt);
    print_list("tables_kept", &p->tables_kept);
    print_stages(p->nstages, p->stages);
    printf("\n  relay size=%" PRId64 " keep=%" PRId64 " segment=%" PRId64
           " sync=%" PRId64 " full=%" PRId64 "\n", p->relay.size,
           p->relay.keep_ms, p->relay.segment, p->relay.sync, p->relay.full);
    for (size_t i = 0; i < p->nsinks; i++) {
        print_sink(&p->sinks[i]);
    }
}

static void
print_conf(const struct conf *c)
{
    printf("state=%s user=%s pid=%s log=%s level=%d daemon=%d drain=%" PRId64
           "\n", c->state, c->user ? c->user : "", c->pid,
           c->log ? c->log : "", (int)c->log_level, c->daemon, c->drain_ms);
    for (size_t i = 0; i < c->npipelines; i++) {
        print_pipeline(&c->pipelines[i]);
    }
}

static void
print_digests(const struct conf *c)
{
    for (size_t i = 0; i < c->npipelines; i++) {
        const struct conf_pipeline *p = &c->pipelines[i];
        printf("%s %016" PRIx64 "\n", p->name, p->digest);
        for (size_t k = 0; k < p->nsinks; k++) {
            printf("%s/%s %016" PRIx64 "\n", p->name, p->sinks[k].name,
                   p->sinks[k].digest);
        }
    }
}

static int
help(const char *name)
{
    struct arena         a = { 0 };
    struct loaded_module m;
    struct weir_err      err;
    int                  status = 0;

    if (!conf_help(name)) {
        const char *file = arena_printf(&a, "%s.so", name);
        if (module_load(&a, file, &m, &err) == WEIR_OK) {
            module_help(m.module);
        } else {
            printf("%s\n", err.text);
            status = 1;
        }
    }
    arena_free(&a);
    return status;
}

static void
print_as_asked(int how, const struct conf *c, struct weir_str expanded)
{
    struct buf out = { 0 };

    if (how == 'T') {
        conf_print_masked(c, expanded, &out);
    } else if (how == 'd') {
        print_digests(c);
    } else {
        print_conf(c);
        conf_print_guarantees(c, &out);
    }
    printf("%.*s", (int)out.len, out.data ? out.data : "");
    buf_free(&out);
}

int
main(int argc, char **argv)
{
    const char        *prefix = NULL, *overrides = NULL;
    struct arena       a = { 0 };
    struct conf_errors errors = { .say = say };
    struct weir_str    expanded;
    struct weir_err    err;
    struct conf       *c;
    int                how = 0, option;

    while ((option = getopt(argc, argv, "p:g:h:dTr")) != -1) {
        if (option == 'h') {
            return help(optarg);
        }
        prefix = option == 'p' ? optarg : prefix;
        overrides = option == 'g' ? optarg : overrides;
        how = strchr("dTr", option) ? option : how;
    }
    enum weir_status st = conf_read(&a, argv[optind], prefix, overrides,
                                    &errors, &c, &expanded, &err);
    if (st == WEIR_OK && how == 'r') {
        st = conf_parse(&a, expanded, &errors, &c, &err);
    }
    if (st == WEIR_OK) {
        print_as_asked(how, c, expanded);
    } else {
        printf("%s\n", err.text);
    }
    arena_free(&a);
    return st == WEIR_OK ? 0 : 1;
}
