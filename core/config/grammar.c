/*
 * grammar.c - see grammar.h.  All of libconfuse is here.
 *
 * It alters texts on their way (escapes, comments within words, ${}), counts
 * lines wrongly behind comments and forgets where a value stood.  So it is
 * given one statement of the top level at a time, one token a line, and instead
 * of each value and title the number of its token: what comes back has its
 * place and its text as they were.  `=` is handed on as `+=`, so that what is
 * set twice is all there.
 */
#include "config/grammar.h"

#include <confuse.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/str.h"
#include "config/unknown.h"
#include "module/directive.h"

enum { GRAMMAR_MAX_ERRORS = 20 }; /* of one statement of the top level */

struct parse {
    struct grammar      *g;
    const struct tokens *t;
    size_t               from, to;
    bool                *dropped; /* of tokens: in a statement with an error */
    size_t              *lines;   /* the token of each line handed on */
    size_t               nlines;
    bool                 failed;
    size_t               bad; /* the token that the error is about */
};

/* libconfuse gives its error function no argument. */
static struct parse *current;

static bool
is_value(const struct tokens *t, size_t i)
{
    return i > 0 && (token_is(t, i - 1, '=') || token_is(t, i - 1, ',') ||
                     (i > 1 && token_is(t, i - 1, '{') &&
                      token_is(t, i - 2, '=')));
}

static bool
is_title(const struct tokens *t, size_t from, size_t i)
{
    return i > from && token_is(t, i + 1, '{') && token_is_text(t, i - 1) &&
           !is_value(t, i - 1);
}

size_t
grammar_statement_end(const struct tokens *t, size_t i)
{
    size_t at = i + 1;

    if (token_is(t, at, '=')) {
        at++;
    } else if (token_is_text(t, at) && token_is(t, at + 1, '{')) {
        at++;
    }
    if (token_is(t, at, '{') || token_is(t, at, '(')) {
        return t->items[at].partner + 1;
    }
    if (token_is(t, at - 1, '=')) {
        return token_is_text(t, at) ? at + 1 : at;
    }
    /* Not a statement: to the end of its line. */
    at = i + 1;
    while (at < t->n && t->items[at].at.line == t->items[i].at.line &&
           !token_is(t, at, '}') && !token_is(t, at + 1, '=')) {
        at = token_is(t, at, '{') ? t->items[at].partner + 1 : at + 1;
    }
    return at;
}

/* ---- Syntax as libconfuse wants it */

static cfg_opt_t *
make_options(struct arena *a, const struct syntax *s)
{
    const size_t nd =
        s->directives ? directive_count(s->directives, s->directive_size) : 0;
    cfg_opt_t *opts = arena_array(a, nd + s->nblocks + 1, sizeof *opts);

    for (size_t i = 0; i < nd; i++) {
        const struct weir_directive d =
            directive_get(s->directives, s->directive_size, i);
        opts[i] = (cfg_opt_t)CFG_STR_LIST(d.name, 0, CFGF_NODEFAULT);
    }
    for (size_t i = 0; i < s->nblocks; i++) {
        opts[nd + i] =
            (cfg_opt_t)CFG_SEC(s->blocks[i]->name,
                               make_options(a, s->blocks[i]),
                               CFGF_MULTI | CFGF_TITLE);
    }
    opts[nd + s->nblocks] = (cfg_opt_t)CFG_END();
    return opts;
}

/* ---- Tokens as libconfuse reads them */

static bool
is_plain_name(const struct token *t)
{
    if (t->kind != TOKEN_WORD || isdigit((unsigned char)t->text.data[0])) {
        return false; /* a number stands for a token */
    }
    for (const char *p = t->text.data; *p; p++) {
        if (!isalnum((unsigned char)*p) && *p != '_') {
            return false;
        }
    }
    return true;
}

/* Of one without a title. */
static bool
is_name_of_block(const struct parse *p, size_t i)
{
    return !p->t->items[i].mark && !is_value(p->t, i) &&
           !is_title(p->t, p->from, i) && token_is(p->t, i + 1, '{');
}

static void
hand_on_token(const struct parse *p, size_t i, struct buf *out)
{
    const struct token *token = &p->t->items[i];
    const bool value = is_value(p->t, i) || is_title(p->t, p->from, i);

    if (token->mark) {
        buf_text(out, token->mark == '=' ? "+=" : "");
        buf_add(out, &token->mark, token->mark != '=');
    } else if (value || !is_plain_name(token)) {
        buf_printf(out, "'%zu'", i);
    } else {
        buf_str(out, token->text);
    }
    if (is_name_of_block(p, i)) {
        buf_printf(out, " '%zu'", i); /* a title for blocks without one */
    }
    buf_byte(out, '\n');
}

static void
hand_on(struct parse *p, struct buf *out)
{
    out->len = 0;
    p->nlines = 0;
    for (size_t i = p->from; i < p->to; i++) {
        if (!p->dropped[i - p->from]) {
            hand_on_token(p, i, out);
            p->lines[p->nlines++] = i;
        }
    }
    buf_byte(out, '\0');
}

/* ---- Errors */

/* The statement that token `at` is in, and the block around it. */
struct spot {
    const struct syntax *syntax;
    size_t               begin, end;
};

static const struct syntax *
child_syntax(const struct syntax *s, const char *name)
{
    for (size_t i = 0; i < s->nblocks; i++) {
        if (strcmp(s->blocks[i]->name, name) == 0) {
            return s->blocks[i];
        }
    }
    return NULL;
}

static struct spot
find_spot(const struct parse *p, size_t at)
{
    const struct tokens *t = p->t;
    struct spot          spot = { p->g->root, p->from, p->to };
    size_t               stop = p->to;

    for (size_t i = p->from; i < stop;) {
        const size_t end = grammar_statement_end(t, i);
        if (at >= end) {
            i = end;
            continue;
        }
        const size_t body = token_is(t, i + 1, '{') ? i + 1 : i + 2;
        const struct syntax *child =
            token_is(t, body, '{') && token_is_text(t, body - 1) &&
                    t->items[i].mark == 0
                ? child_syntax(spot.syntax, t->items[i].text.data)
                : NULL;
        if (child && at > body && at < t->items[body].partner) {
            spot.syntax = child;
            stop = t->items[body].partner;
            i = body + 1;
            continue;
        }
        spot.begin = i;
        spot.end = end;
        return spot;
    }
    return spot;
}

/* Which token the sentence of libconfuse is about. */
static size_t
blamed_token(const struct parse *p, size_t line, const char *fmt)
{
    if (line >= p->nlines) {
        line = p->nlines - 1;
    }
    const size_t at = p->lines[line];
    if (is_name_of_block(p, at)) {
        return at; /* the title that stands for none is on its line */
    }
    const bool before = strstr(fmt, "missing") || token_is(p->t, at, '}');
    return p->lines[line > 0 && before ? line - 1 : line];
}

__attribute__((format(printf, 2, 0))) static void
say_syntax_error(const struct parse *p, const char *fmt, va_list ap)
{
    const struct token *bad = &p->t->items[p->bad];
    const char         *text = bad->kind == TOKEN_STRING ? "\"...\""
                                                         : bad->text.data;
    const int len = bad->mark ? 1 : (int)strnlen(text, 80);

    if (strstr(fmt, "missing equal sign") && is_name_of_block(p, p->bad)) {
        report(p->g->errors, bad->at, "'%.*s' is no block: write %.*s = ...",
               len, text, len, text);
    } else if (strstr(fmt, "missing equal sign")) {
        report(p->g->errors, bad->at, "there is no '=' behind '%.*s'", len,
               text);
    } else if (strstr(fmt, "missing title")) {
        report(p->g->errors, bad->at, "'%.*s' is a block: write %.*s { ... }",
               len, text, len, text);
    } else if (strstr(fmt, "missing opening brace")) {
        report(p->g->errors, bad->at, "there is no '{' behind '%.*s'", len,
               text);
    } else if (strstr(fmt, "premature end")) {
        report(p->g->errors, bad->at, "there is no value behind '%.*s'", len,
               text);
    } else if (strstr(fmt, "unexpected")) {
        const bool no_value = bad->mark == '=';
        report(p->g->errors, bad->at,
               no_value ? "there is no value behind '%.*s'"
                        : "'%.*s' can't stand here", len, text);
    } else {
        char sentence[512];
        vsnprintf(sentence, sizeof sentence, fmt, ap);
        report(p->g->errors, bad->at, "%s", sentence);
    }
}

__attribute__((format(printf, 2, 0))) static void
on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
    struct parse *p = current;

    if (p->failed) {
        return;
    }
    p->failed = true;
    const size_t line = cfg->line > 0 ? (size_t)cfg->line - 1 : 0;
    p->bad = blamed_token(p, line, fmt);
    if (strstr(fmt, "no such option")) {
        unknown_name(p->g, find_spot(p, p->bad).syntax, p->bad);
    } else {
        say_syntax_error(p, fmt, ap);
    }
}

/* ---- The tree */

static bool
token_number(const struct parse *p, const char *text, size_t *out)
{
    char               *end;
    const unsigned long i = strtoul(text, &end, 10);

    *out = i;
    return *end == '\0' && end != text && i >= p->from && i < p->to;
}

static int
by_place(const void *a, const void *b)
{
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return x < y ? -1 : x > y;
}

/* The values of one option: a setting for each time that it was set.  Where a
 * broken statement was dropped, what stood behind it may be taken for a value:
 * that is no news, the error was said. */
static void
take_settings(const struct parse *p, cfg_opt_t *opt, struct buf *settings)
{
    struct arena *a = p->g->arena;
    const size_t  n = cfg_opt_size(opt), before = settings->len;
    const struct token **values = arena_array(a, n + 1, sizeof *values);

    for (size_t i = 0; i < n; i++) {
        size_t at;
        if (!token_number(p, cfg_opt_getnstr(opt, (unsigned)i), &at) ||
            !is_value(p->t, at)) {
            return;
        }
        values[i] = &p->t->items[at];
        const bool list = token_is(p->t, at - 1, '{');
        if (list || token_is(p->t, at - 1, '=')) {
            const struct setting s = { .name = &p->t->items[at - 2 - list],
                                       .list = list,
                                       .values = &values[i] };
            buf_add(settings, &s, sizeof s);
        }
        if (settings->len == before) {
            return;
        }
        struct setting *last =
            (struct setting *)(void *)(settings->data + settings->len) - 1;
        last->nvalues++;
    }
}

static bool
was_dropped_within(const struct parse *p, size_t from, size_t to)
{
    return memchr(p->dropped + from - p->from, true, to - from) != NULL;
}

static struct block *take_block(const struct parse *p, cfg_t *cfg,
                                const struct syntax *syntax, size_t from,
                                size_t to);

static bool
is_good_title(struct weir_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!isalnum((unsigned char)s.data[i]) && s.data[i] != '_' &&
            s.data[i] != '-') {
            return false;
        }
    }
    return s.len > 0 && s.len <= 64;
}

static void
take_title(const struct parse *p, struct block *b, size_t at)
{
    const struct syntax *s = b->syntax;
    const bool           titled = is_title(p->t, p->from, at);

    b->name = &p->t->items[at - titled];
    b->title = titled ? &p->t->items[at] : NULL;
    if (titled && !s->titled) {
        report(p->g->errors, b->title->at, "block '%s' takes no name",
               s->name);
    } else if (!titled && s->titled) {
        report(p->g->errors, b->name->at,
               "this %s has no name: write %s NAME { ... }", s->name, s->name);
        b->title = b->name;
        b->damaged = true;
    } else if (titled && !is_good_title(b->title->text)) {
        report(p->g->errors, b->title->at,
               "'%.80s' can't be a %s's name: 1 to 64 letters, digits, '_' "
               "and '-'", b->title->text.data, s->name);
    }
}

static void
take_blocks(const struct parse *p, cfg_opt_t *opt, const struct syntax *syntax,
            struct buf *found, struct buf *blocks)
{
    for (unsigned i = 0; i < cfg_opt_size(opt); i++) {
        cfg_t *section = cfg_opt_getnsec(opt, i);
        size_t at;
        if (!token_number(p, cfg_title(section), &at) ||
            !token_is(p->t, at + 1, '{')) {
            continue;
        }
        struct block *b = take_block(p, section, syntax, at + 2,
                                     p->t->items[at + 1].partner);
        take_title(p, b, at);
        buf_add(found, &at, sizeof at);
        buf_add(blocks, &b, sizeof b);
    }
}

/* In the order of the text, whatever their names: filters and transforms take
 * turns. */
static void
sort_blocks(struct arena *a, struct block *b, struct buf *found,
            struct buf *blocks)
{
    const size_t  n = blocks->len / sizeof(struct block *);
    struct pair { size_t at; struct block *b; } *pairs =
        arena_array(a, n + 1, sizeof *pairs);

    for (size_t i = 0; i < n; i++) {
        memcpy(&pairs[i].at, found->data + i * sizeof(size_t), sizeof(size_t));
        memcpy(&pairs[i].b, blocks->data + i * sizeof(struct block *),
               sizeof(struct block *));
    }
    if (n > 0) {
        qsort(pairs, n, sizeof *pairs, by_place);
    }
    b->nblocks = n;
    b->blocks = arena_array(a, n + 1, sizeof *b->blocks);
    for (size_t i = 0; i < n; i++) {
        b->blocks[i] = pairs[i].b;
    }
}

static struct block *
take_block(const struct parse *p, cfg_t *cfg, const struct syntax *syntax,
           size_t from, size_t to)
{
    struct arena *a = p->g->arena;
    struct block *b = arena_alloc(a, sizeof *b);
    struct buf    settings = { 0 }, blocks = { 0 }, found = { 0 };

    b->syntax = syntax;
    b->damaged = was_dropped_within(p, from, to);
    b->end = &p->t->items[to < p->t->n ? to : to - 1];
    for (cfg_opt_t *opt = cfg->opts; opt->name; opt++) {
        if (opt->type == CFGT_SEC) {
            take_blocks(p, opt, child_syntax(syntax, opt->name), &found,
                        &blocks);
        } else {
            take_settings(p, opt, &settings);
        }
    }
    b->nsettings = settings.len / sizeof(struct setting);
    b->settings = arena_copy(a, settings.data, settings.len);
    sort_blocks(a, b, &found, &blocks);
    buf_free(&settings);
    buf_free(&blocks);
    buf_free(&found);
    return b;
}

/* ---- One statement of the top level */

static struct block *
parse_once(struct parse *p, cfg_opt_t *options, struct buf *text)
{
    struct block *b = NULL;

    hand_on(p, text);
    if (p->nlines == 0) {
        return NULL;
    }
    cfg_t *cfg = cfg_init(options, CFGF_NONE);
    assert(cfg);
    cfg_set_error_function(cfg, on_error);
    p->failed = false;
    current = p;
    const int rc = cfg_parse_buf(cfg, text->data);
    current = NULL;
    if (rc == CFG_SUCCESS && !p->failed) {
        b = take_block(p, cfg, p->g->root, p->from, p->to);
    } else if (!p->failed) {
        p->failed = true;
        p->bad = p->from;
        report(p->g->errors, p->t->items[p->from].at,
               "'%.80s' can't be understood", p->t->items[p->from].text.data);
    }
    cfg_free(cfg);
    return b;
}

/* Errors drop the statement that they are in, and the rest is read again: so
 * that one run says them all. */
static struct block *
parse_statement(struct parse *p, cfg_opt_t *options)
{
    struct buf    text = { 0 };
    struct block *b = NULL;

    for (int tries = 0; tries < GRAMMAR_MAX_ERRORS; tries++) {
        b = parse_once(p, options, &text);
        if (b || p->nlines == 0) {
            break;
        }
        const struct spot spot = find_spot(p, p->bad);
        for (size_t i = spot.begin; i < spot.end && i < p->to; i++) {
            p->dropped[i - p->from] = true;
        }
    }
    buf_free(&text);
    return b;
}

static bool
is_load_module(const struct tokens *t, size_t i)
{
    return token_is(t, i + 1, '(') && t->items[i].mark == 0 &&
           strcmp(t->items[i].text.data, "load_module") == 0;
}

/* libconfuse forgets that it saw one. */
static void
refuse_empty_lists(const struct grammar *g)
{
    const struct tokens *t = g->tokens;

    for (size_t i = 1; i + 2 < t->n; i++) {
        if (token_is(t, i, '=') && token_is(t, i + 1, '{') &&
            token_is(t, i + 2, '}')) {
            report(g->errors, t->items[i - 1].at,
                   "the list of '%.*s' is empty: leave it out, or name "
                   "something", STR_ARG(t->items[i - 1].text));
        }
    }
}

struct block *
grammar_parse(struct grammar *g)
{
    const struct tokens *t = g->tokens;
    struct block        *root = arena_alloc(g->arena, sizeof *root);
    cfg_opt_t           *options = make_options(g->arena, g->root);
    struct buf           settings = { 0 }, blocks = { 0 };

    root->syntax = g->root;
    refuse_empty_lists(g);
    for (size_t i = 0, end; i < t->n; i = end) {
        end = grammar_statement_end(t, i);
        if (is_load_module(t, i)) {
            continue;
        }
        struct parse p = { .g = g, .t = t, .from = i, .to = end };
        p.dropped = arena_array(g->arena, end - i, sizeof *p.dropped);
        p.lines = arena_array(g->arena, end - i, sizeof *p.lines);
        const struct block *b = parse_statement(&p, options);
        root->damaged |= !b || b->damaged;
        if (b) {
            buf_add(&settings, b->settings,
                    b->nsettings * sizeof *b->settings);
            buf_add(&blocks, b->blocks, b->nblocks * sizeof *b->blocks);
        }
    }
    root->nsettings = settings.len / sizeof *root->settings;
    root->settings = arena_copy(g->arena, settings.data, settings.len);
    root->nblocks = blocks.len / sizeof *root->blocks;
    root->blocks = arena_copy(g->arena, blocks.data, blocks.len);
    buf_free(&settings);
    buf_free(&blocks);
    return root;
}
