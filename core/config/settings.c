/* settings.c - see settings.h. */
#include "config/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "config/unknown.h"
#include "format/format.h"
#include "format/template.h"
#include "module/directive.h"

struct fill { /* one directive of one block */
    struct settings             *s;
    const struct block          *block;
    const struct weir_directive *d;
    const struct setting        *setting; /* NULL: the default */
    struct place                 at;
    char                        *out;
};

static void
fill_failed(const struct fill *f, const struct weir_err *err)
{
    if (f->setting) {
        report(f->s->errors, f->at, "%s: %s", f->d->name, err->text);
    } else {
        report(f->s->errors, f->at,
               "the default of %s in %s is no good: %s", f->d->name,
               syntax_place(f->block->syntax), err->text);
    }
}

/* ---- ${NAME} */

static bool
expand_variable(const struct fill *f, struct weir_str name, struct buf *out)
{
    const char *text = arena_cstr(f->s->arena, name);
    const char *value = getenv(text);

    if (!value) {
        report(f->s->errors, f->at,
               "%s: there is no variable '%.80s' in the environment",
               f->d->name, text);
        return false;
    }
    buf_text(out, value);
    return true;
}

/* NULL if that was reported. */
static const char *
expand_environment(const struct fill *f, struct weir_str text)
{
    struct buf  out = { 0 };
    bool        ok = true;
    const char *p = text.data, *end = p + text.len;

    while (ok && p < end) {
        const char *dollar = strstr(p, "${");
        buf_add(&out, p, (size_t)((dollar ? dollar : end) - p));
        if (!dollar) {
            break;
        }
        const char *close = strchr(dollar, '}');
        if (!close) {
            report(f->s->errors, f->at, "%s: the ${ in it has no }",
                   f->d->name);
            ok = false;
            break;
        }
        ok = expand_variable(f,
                             (struct weir_str){ dollar + 2,
                                                (size_t)(close - dollar - 2) },
                             &out);
        p = close + 1;
    }
    const char *result =
        ok ? arena_cstr(f->s->arena, buf_view(&out)) : NULL;
    buf_free(&out);
    return result;
}

static const char *
text_of(const struct fill *f, const struct token *value)
{
    if (f->d->flags & WEIR_ENV) {
        return expand_environment(f, value->text);
    }
    return arena_strdup(f->s->arena, value->text.data);
}

/* ---- One kind each */

static void
fill_list(const struct fill *f)
{
    const size_t      n = f->setting->nvalues;
    const char      **items = arena_array(f->s->arena, n + 1, sizeof *items);
    struct weir_list  list = { n, items };

    for (size_t i = 0; i < n; i++) {
        items[i] = text_of(f, f->setting->values[i]);
    }
    memcpy(f->out, &list, sizeof list);
}

static void
fill_map(const struct fill *f)
{
    const size_t      n = f->setting->nvalues;
    struct weir_pair *items = arena_array(f->s->arena, n + 1, sizeof *items);
    struct weir_map   map = { n, items };

    for (size_t i = 0; i < n; i++) {
        const struct token *value = f->setting->values[i];
        const char         *text = text_of(f, value);
        const char         *equal = text ? strchr(text, '=') : NULL;
        if (!text) {
            continue;
        }
        if (!equal || equal == text) {
            report(f->s->errors, value->at,
                   "%s: '%.80s' is not \"NAME=TEXT\"", f->d->name, text);
            continue;
        }
        items[i].key = arena_cstr(f->s->arena,
                                  (struct weir_str){ text,
                                                     (size_t)(equal - text) });
        items[i].value = equal + 1;
        for (size_t k = 0; k < i; k++) {
            if (items[k].key && strcmp(items[k].key, items[i].key) == 0) {
                report(f->s->errors, value->at, "%s: '%.80s' is there twice",
                       f->d->name, items[i].key);
            }
        }
    }
    memcpy(f->out, &map, sizeof map);
}

/* It may yet be made, or given away: so it is a warning. */
static void
look_for_file(const struct fill *f, const char *path)
{
    if (path[0] == '/' && access(path, R_OK) == -1) {
        report_warning(f->s->errors, f->at,
                       "warning: %s: uid %u, as whom workers run, can't read "
                       "%s: %s", f->d->name, (unsigned)geteuid(), path,
                       strerror(errno));
    }
}

static void
fill_scalar(const struct fill *f, const char *text)
{
    const struct weir_template *template = NULL;
    const struct weir_format   *format = NULL;
    struct weir_err             err = { "" };
    enum weir_status            st = WEIR_OK;
    int64_t                     number = 0;

    if (f->d->kind == WEIR_K_STR) {
        memcpy(f->out, &text, sizeof text);
        if (f->d->flags & WEIR_FILE) {
            look_for_file(f, text);
        }
    } else if (f->d->kind == WEIR_K_TEMPLATE) {
        st = template_parse(f->s->arena, text, f->d->flags, &template, &err);
        memcpy(f->out, &template, sizeof template);
    } else if (f->d->kind == WEIR_K_FORMAT) {
        st = format_find(f->s->arena, text, &format, &err);
        memcpy(f->out, &format, sizeof format);
    } else {
        st = directive_number(f->d, str_of(text), &number, &err);
        directive_store(f->d, f->out - f->d->offset, number);
    }
    if (st != WEIR_OK) {
        fill_failed(f, &err);
    }
}

/* ---- One directive */

static const struct setting *
find_setting(const struct block *b, const char *name, size_t from)
{
    for (size_t i = from; i < b->nsettings; i++) {
        if (strcmp(b->settings[i].name->text.data, name) == 0) {
            return &b->settings[i];
        }
    }
    return NULL;
}

struct place
settings_place(const struct block *b, const char *name)
{
    const struct setting *s = find_setting(b, name, 0);

    if (s) {
        return s->name->at;
    }
    return b->name ? b->name->at : (struct place){ "weir.conf", 0 };
}

/* A default is written as in the configuration: "{a, b}" or a bare value. */
static void
fill_default(struct fill *f)
{
    struct conf_errors silent = { 0 };
    struct tokens      t;

    if (f->d->kind != WEIR_K_LIST && f->d->kind != WEIR_K_MAP) {
        fill_scalar(f, f->d->value);
        return;
    }
    const char *what = "default";
    if (!scan_text(f->s->arena, str_of(f->d->value), what, false, &silent,
                   &t)) {
        report(f->s->errors, f->at, "the default of %s in %s is no list",
               f->d->name, syntax_place(f->block->syntax));
        return;
    }
    const struct token **values =
        arena_array(f->s->arena, t.n + 1, sizeof *values);
    struct setting setting = { .values = values };
    for (size_t i = 0; i < t.n; i++) {
        if (token_is_text(&t, i)) {
            values[setting.nvalues++] = &t.items[i];
        }
    }
    f->setting = &setting;
    if (f->d->kind == WEIR_K_LIST) {
        fill_list(f);
    } else {
        fill_map(f);
    }
}

static void
note_secrets(const struct fill *f)
{
    for (size_t i = 0; i < f->setting->nvalues; i++) {
        const struct span span = { f->setting->values[i]->begin,
                                   f->setting->values[i]->end };
        buf_add(&f->s->secrets, &span, sizeof span);
    }
}

static void
fill_from_setting(struct fill *f)
{
    if (f->d->flags & WEIR_SECRET) {
        note_secrets(f);
    }
    if (f->d->kind == WEIR_K_LIST) {
        fill_list(f);
    } else if (f->d->kind == WEIR_K_MAP) {
        fill_map(f);
    } else if (f->setting->list) {
        report(f->s->errors, f->at, "'%s' takes one value, not a list",
               f->d->name);
    } else {
        const char *text = text_of(f, f->setting->values[0]);
        if (text) {
            fill_scalar(f, text);
        }
    }
}

static void
report_doubles(const struct fill *f)
{
    const struct setting *first = f->setting, *next = first;
    const size_t          base = (size_t)(first - f->block->settings);

    for (size_t from = base + 1;
         (next = find_setting(f->block, f->d->name, from)) != NULL;
         from = (size_t)(next - f->block->settings) + 1) {
        report(f->s->errors, next->name->at,
               "'%s' is set twice in %s: first at %s:%u", f->d->name,
               syntax_place(f->block->syntax), first->name->at.file,
               first->name->at.line);
    }
}

static void
fill_directive(struct settings *s, const struct block *b,
               const struct weir_directive *d, char *out)
{
    struct fill f = { .s = s, .block = b, .d = d };

    f.out = out + d->offset;
    f.setting = find_setting(b, d->name, 0);
    f.at = settings_place(b, d->name);
    if (f.setting) {
        f.at = f.setting->values[0]->at;
        report_doubles(&f);
        fill_from_setting(&f);
    } else if (d->value) {
        fill_default(&f);
    } else if ((d->flags & WEIR_REQUIRED) && !b->damaged) {
        report(s->errors, f.at, "%s needs '%s': %s", syntax_place(b->syntax),
               d->name, d->help);
    }
}

void
settings_fill(struct settings *s, const struct block *b, void *out)
{
    const struct syntax *syntax = b->syntax;
    const size_t n = syntax->directives
                         ? directive_count(syntax->directives,
                                           syntax->directive_size)
                         : 0;

    for (size_t i = 0; i < n; i++) {
        const struct weir_directive d =
            directive_get(syntax->directives, syntax->directive_size, i);
        fill_directive(s, b, &d, out);
    }
}
