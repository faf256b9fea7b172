/* unknown.c - see unknown.h. */
#include "config/unknown.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "module/directive.h"
#include "module/load.h"

const char *
syntax_place(const struct syntax *s)
{
    static char text[96];

    if (!s->name) {
        return "the top level";
    }
    snprintf(text, sizeof text, "block '%.64s'", s->name);
    return text;
}

static const char *
nearest_directive(const struct grammar *g, const struct syntax *s,
                  const char *typed)
{
    const size_t n =
        s->directives ? directive_count(s->directives, s->directive_size) : 0;
    const char **names = arena_array(g->arena, n + 1, sizeof *names);

    for (size_t i = 0; i < n; i++) {
        names[i] = directive_get(s->directives, s->directive_size, i).name;
    }
    return str_nearest(typed, names, n);
}

static const char *
nearest_block(const struct grammar *g, const struct syntax *s,
              const char *typed)
{
    const char **names = arena_array(g->arena, s->nblocks + 1, sizeof *names);

    for (size_t i = 0; i < s->nblocks; i++) {
        names[i] = s->blocks[i]->name;
    }
    return str_nearest(typed, names, s->nblocks);
}

static bool
has_failed(const struct grammar *g, const char *file)
{
    for (size_t i = 0; i < g->nfailed; i++) {
        if (strcmp(g->failed[i], file) == 0) {
            return true;
        }
    }
    return false;
}

/* The module that gives a block of that name, at whatever stage. */
static const struct weir_module *
find_module(const struct syntax *s, const char *name)
{
    const struct weir_module *found = NULL;

    if (s->module && strcmp(s->module->name, name) == 0) {
        return s->module;
    }
    for (size_t i = 0; i < s->nblocks && !found; i++) {
        found = find_module(s->blocks[i], name);
    }
    return found;
}

static void
unknown_module(const struct grammar *g, const struct syntax *s,
               const struct token *name, const char *near)
{
    const char *file =
        arena_printf(g->arena, "%s_%s.so", module_stage_name(s->stage),
                     name->text.data);

    if (has_failed(g, file)) {
        return; /* why it isn't there was said where it was to be loaded */
    }
    const struct weir_module *other = find_module(g->root, name->text.data);
    if (other && !module_is_installed(file)) {
        report(g->errors, name->at,
               "'%.64s' is a %s, and this is %s: it belongs in a block '%s'",
               name->text.data, module_stage_name(other->stage),
               syntax_place(s), module_stage_name(other->stage));
        return;
    }
    if (near && !module_is_installed(file)) {
        report(g->errors, name->at,
               "there is no block '%.64s' in %s: did you mean '%s'?",
               name->text.data, syntax_place(s), near);
    } else {
        report(g->errors, name->at,
               "no module gives the block '%.64s': add load_module(\"%s\")",
               name->text.data, file);
    }
}

static const char *
where_listed(const struct grammar *g, const struct syntax *s)
{
    if (s->module) {
        return arena_printf(g->arena, "%s_%s",
                            module_stage_name(s->module->stage),
                            s->module->name);
    }
    return s->name ? s->name : "global";
}

void
unknown_name(const struct grammar *g, const struct syntax *s, size_t at)
{
    const struct tokens *t = g->tokens;
    const struct token  *name = &t->items[at];
    const size_t body = token_is_text(t, at + 1) ? at + 2 : at + 1;
    const bool   is_block = token_is(t, body, '{');
    const char *what = is_block ? "block" : "directive";

    if (name->kind == TOKEN_STRING) {
        report(g->errors, name->at,
               "a name is expected here, without quotes");
        return;
    }
    if (token_is(t, at + 1, '(')) {
        report(g->errors, name->at,
               strcmp(name->text.data, "load_module") == 0
                   ? "load_module() stands at the top level, not in a block"
                   : "there is only load_module(\"...\") and include(\"...\"), "
                     "no '%.64s('", name->text.data);
        return;
    }
    const char *near = is_block ? nearest_block(g, s, name->text.data)
                                : nearest_directive(g, s, name->text.data);
    if (is_block && s->stage) {
        unknown_module(g, s, name, near);
        return;
    }
    if (near) {
        report(g->errors, name->at,
               "there is no %s '%.64s' in %s: did you mean '%s'?", what,
               name->text.data, syntax_place(s), near);
    } else {
        report(g->errors, name->at,
               "there is no %s '%.64s' in %s: weir -h %s lists them", what,
               name->text.data, syntax_place(s), where_listed(g, s));
    }
}
