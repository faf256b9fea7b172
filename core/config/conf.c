/* conf.c - from text to struct conf; see config.h and build.h. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/str.h"
#include "config/build.h"
#include "config/expand.h"

static enum weir_status
said_errors(const struct conf_errors *errors, struct weir_err *err)
{
    if (errors->n == 0) {
        return WEIR_OK;
    }
    return weir_fail(err, WEIR_FATAL, "the configuration has %u error%s",
                     errors->n, errors->n == 1 ? "" : "s");
}

/* ---- Files to text */

static const char *
absolute(struct arena *a, const char *base, const char *path)
{
    if (path[0] == '/') {
        return path;
    }
    return arena_printf(a, "%s/%s", base, path);
}

static const char *
absolute_prefix(struct arena *a, const char *prefix)
{
    char dir[PATH_MAX];

    if (!prefix) {
        return WEIR_PREFIX;
    }
    if (prefix[0] != '/' && getcwd(dir, sizeof dir)) {
        return absolute(a, dir, prefix);
    }
    return prefix;
}

enum weir_status
conf_expand(struct arena *a, const char *path, const char *prefix,
            const char *overrides, struct conf_errors *errors,
            struct weir_str *expanded, struct weir_err *err)
{
    const char *start = absolute_prefix(a, prefix);

    if (!path) {
        path = WEIR_SYSCONFDIR "/weir/weir.conf";
    } else if (prefix) {
        path = absolute(a, start, path);
    }
    expand_files(a, path, start, overrides, errors, expanded);
    return said_errors(errors, err);
}

const char *
conf_user(struct arena *a, struct weir_str expanded)
{
    struct conf_errors silent = { 0 };
    struct tokens      t;

    if (!scan_text(a, expanded, "text", true, &silent, &t)) {
        return NULL;
    }
    for (size_t i = 0; i < t.n; i = grammar_statement_end(&t, i)) {
        if (!t.items[i].mark && strcmp(t.items[i].text.data, "user") == 0 &&
            token_is(&t, i + 1, '=') && token_is_text(&t, i + 2)) {
            return t.items[i + 2].text.data;
        }
    }
    return NULL;
}

/* ---- Modules */

static void
module_failed(struct build *b, const char *name, struct place at,
              const struct weir_err *err)
{
    const char *slash = strrchr(name, '/');

    report(b->errors, at, "%s", err->text);
    b->failed[b->nfailed++] = slash ? slash + 1 : name;
}

static bool
is_loaded(struct build *b, const struct loaded_module *have, size_t n,
          const struct loaded_module *m, struct place at)
{
    for (size_t i = 0; i < n; i++) {
        if (have[i].module->stage == m->module->stage &&
            strcmp(have[i].module->name, m->module->name) == 0) {
            report(b->errors, at, "%s %s is loaded twice: also from %s",
                   module_stage_name(m->module->stage), m->module->name,
                   have[i].path);
            return true;
        }
    }
    return false;
}

static void
load_one(struct build *b, size_t i, struct loaded_module *modules, size_t *n)
{
    const struct tokens *t = &b->tokens;
    const struct place   at = t->items[i].at;
    struct weir_err      err;

    if (!token_is_text(t, i + 2) || !token_is(t, i + 3, ')')) {
        report(b->errors, at, "load_module is written load_module(\"FILE\")");
        return;
    }
    const char *name = t->items[i + 2].text.data;
    const char *path =
        strchr(name, '/') ? absolute(b->arena, t->prefix, name) : name;
    if (module_load(b->arena, path, &modules[*n], &err) != WEIR_OK) {
        module_failed(b, name, at, &err);
    } else if (!is_loaded(b, modules, *n, &modules[*n], at)) {
        ++*n;
    }
}

/* Before anything else, wherever they stand: modules bring blocks. */
static void
load_modules(struct build *b, struct conf *c)
{
    const struct tokens *t = &b->tokens;
    size_t               calls = 0;

    for (size_t i = 0; i < t->n; i++) {
        calls += token_is(t, i, '(');
    }
    struct loaded_module *modules =
        arena_array(b->arena, calls + 1, sizeof *modules);
    b->failed = arena_array(b->arena, calls + 1, sizeof *b->failed);
    for (size_t i = 0; i < t->n; i = grammar_statement_end(t, i)) {
        if (!t->items[i].mark && token_is(t, i + 1, '(') &&
            strcmp(t->items[i].text.data, "load_module") == 0) {
            load_one(b, i, modules, &c->nmodules);
        }
    }
    c->modules = modules;
}

/* ---- The top level */

static bool
is_override(const struct setting *s)
{
    return strcmp(s->name->at.file, EXPAND_OVERRIDES) == 0;
}

/* What -g says goes before what files say. */
static void
apply_overrides(struct block *root)
{
    size_t kept = 0;

    for (size_t i = 0; i < root->nsettings; i++) {
        bool replaced = false;
        for (size_t k = 0; k < root->nsettings; k++) {
            replaced |= is_override(&root->settings[k]) &&
                        !is_override(&root->settings[i]) &&
                        strcmp(root->settings[k].name->text.data,
                               root->settings[i].name->text.data) == 0;
        }
        if (!replaced) {
            root->settings[kept++] = root->settings[i];
        }
    }
    root->nsettings = kept;
}

/* Line ends would break the lines of a generation (base/generation.h). */
static void
check_line(struct build *b, const struct block *root, const char *name,
           const char *value)
{
    if (value && (strpbrk(value, "\r\n") || !*value)) {
        report(b->errors, settings_place(root, name),
               "%s: an empty text or one of two lines can't be", name);
    }
}

static void
build_globals(struct build *b, struct block *root, struct conf *c)
{
    struct global_settings g = { 0 };

    apply_overrides(root);
    settings_fill(&b->settings, root, &g);
    check_line(b, root, "state", g.state);
    check_line(b, root, "user", g.user);
    check_line(b, root, "pid", g.pid);
    check_line(b, root, "log", g.log);
    check_line(b, root, "control", g.control);
    if (!g.state) {
        g.state = WEIR_STATEDIR; /* what was there was reported */
    }
    const char *prefix = b->tokens.prefix;
    c->state = absolute(b->arena, prefix, g.state);
    c->user = g.user;
    c->pid = g.pid ? absolute(b->arena, prefix, g.pid)
                   : arena_printf(b->arena, "%s/weir.pid", c->state);
    if (g.log && strcmp(g.log, "stderr") != 0) {
        c->log = absolute(b->arena, prefix, g.log);
    } else if (!g.log && g.daemon) {
        c->log = arena_printf(b->arena, "%s/weir.log", c->state);
    }
    c->control = g.control ? absolute(b->arena, prefix, g.control) : NULL;
    c->log_json = g.log_format == 1;
    c->log_level = (enum weir_level)g.log_level;
    c->daemon = g.daemon;
    c->drain_ms = g.drain_ms;
}

static void
check_pipeline_name(struct build *b, const struct block *root, size_t i)
{
    const struct token *title = root->blocks[i]->title;

    if (str_is(title->text, "run") || str_is(title->text, "lock")) {
        report(b->errors, title->at,
               "a pipeline can't be called '%s': the state folder has "
               "something of that name", title->text.data);
    }
    for (size_t k = 0; k < i; k++) {
        const struct token *other = root->blocks[k]->title;
        if (str_eq(other->text, title->text)) {
            report(b->errors, title->at,
                   "there are two pipelines named '%s': the first is at "
                   "%s:%u", title->text.data, other->at.file, other->at.line);
            return;
        }
    }
}

static void
build_pipelines(struct build *b, const struct block *root, struct conf *c)
{
    c->pipelines =
        arena_array(b->arena, root->nblocks + 1, sizeof *c->pipelines);
    c->npipelines = root->nblocks;
    for (size_t i = 0; i < root->nblocks; i++) {
        check_pipeline_name(b, root, i);
        pipeline_build(b, root->blocks[i], &c->pipelines[i]);
        digest_pipeline(&b->tokens, root->blocks[i], &c->pipelines[i]);
    }
    if (c->npipelines == 0 && b->errors->n == 0) {
        report(b->errors, (struct place){ b->tokens.end.file, 0 },
               "there is no pipeline: write pipeline NAME { ... }");
    }
}

static enum weir_status
build_all(struct build *b, struct weir_str expanded, struct conf **out,
          struct weir_err *err)
{
    struct conf_whole *whole = arena_alloc(b->arena, sizeof *whole);
    struct conf       *c = &whole->conf;

    if (!scan_text(b->arena, expanded, "text", true, b->errors, &b->tokens)) {
        return said_errors(b->errors, err);
    }
    if (!b->tokens.prefix) {
        b->tokens.prefix = WEIR_PREFIX;
    }
    c->nlines = b->tokens.lines;
    load_modules(b, c);
    struct grammar g = { .arena = b->arena,
                         .errors = b->errors,
                         .tokens = &b->tokens,
                         .root = blocks_syntax(b->arena, c->nmodules,
                                               c->modules),
                         .nfailed = b->nfailed,
                         .failed = b->failed };
    struct block *root = grammar_parse(&g);
    build_globals(b, root, c);
    build_pipelines(b, root, c);
    whole->nsecrets = b->settings.secrets.len / sizeof *whole->secrets;
    whole->secrets = arena_copy(b->arena, b->settings.secrets.data,
                                b->settings.secrets.len);
    *out = c;
    return said_errors(b->errors, err);
}

static enum weir_status
build_text(struct arena *a, struct weir_str expanded, bool check,
           struct conf_errors *errors, struct conf **out, struct weir_err *err)
{
    struct build b = { .arena = a,
                       .errors = errors,
                       .settings = { .arena = a, .errors = errors },
                       .check = check };

    const enum weir_status st = build_all(&b, expanded, out, err);
    buf_free(&b.settings.secrets);
    return st;
}

enum weir_status
conf_parse(struct arena *a, struct weir_str expanded,
           struct conf_errors *errors, struct conf **out, struct weir_err *err)
{
    return build_text(a, expanded, false, errors, out, err);
}

enum weir_status
conf_check(struct arena *a, struct weir_str expanded,
           struct conf_errors *errors, struct conf **out, struct weir_err *err)
{
    return build_text(a, expanded, true, errors, out, err);
}

enum weir_status
conf_read(struct arena *a, const char *path, const char *prefix,
          const char *overrides, struct conf_errors *errors, struct conf **out,
          struct weir_str *expanded, struct weir_err *err)
{
    const enum weir_status st =
        conf_expand(a, path, prefix, overrides, errors, expanded, err);
    return st == WEIR_OK ? conf_check(a, *expanded, errors, out, err) : st;
}
