/* expand.c - see expand.h. */
#include "config/expand.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "config/scan.h"

/* A gap of so many lines, left by a comment, becomes a mark. */
enum { EXPAND_GAP = 3, EXPAND_MAX_FILES = 10000 };

struct expand {
    struct arena       *arena;
    struct conf_errors *errors;
    const char         *dir; /* of the main file: where includes start */
    unsigned            depth, nfiles;
    struct buf          out;
};

static void expand_file(struct expand *x, const char *path,
                        struct place asked);

static void
put_place(struct expand *x, struct place at)
{
    if (x->out.len && x->out.data[x->out.len - 1] != '\n') {
        buf_byte(&x->out, '\n');
    }
    buf_printf(&x->out, "#line %u ", at.line);
    scan_quote(&x->out, at.file);
    buf_byte(&x->out, '\n');
}

/* What stands between two tokens, without its comments: line ends, and the
 * indentation of the line on which the second begins. */
static void
put_gap(struct expand *x, struct weir_str text, size_t from,
        const struct token *to, unsigned line)
{
    const bool same_line = to->at.line == line;
    size_t     indent = to->begin;

    while (indent > from && (text.data[indent - 1] == ' ' ||
                             text.data[indent - 1] == '\t')) {
        indent--;
    }
    if (to->at.line - line > EXPAND_GAP) {
        put_place(x, to->at);
    } else {
        for (; line < to->at.line; line++) {
            buf_byte(&x->out, '\n');
        }
    }
    buf_add(&x->out, text.data + indent, to->begin - indent);
    if (same_line && indent == to->begin) {
        buf_byte(&x->out, ' '); /* a comment ended right before it */
    }
}

static bool
is_include(const struct tokens *t, size_t i)
{
    return t->items[i].kind == TOKEN_WORD &&
           strcmp(t->items[i].text.data, "include") == 0 &&
           (token_is(t, i + 1, '(') || token_is_text(t, i + 1)) &&
           !token_is(t, i - 1, '=') && !token_is(t, i - 1, ',');
}

static bool
has_wildcard(const char *path)
{
    return strpbrk(path, "*?[") != NULL;
}

/* A folder that is not there has no files. */
static int
is_glob_error(const char *path, int error)
{
    (void)path;
    return error != ENOENT && error != ENOTDIR;
}

static void
expand_glob(struct expand *x, const char *pattern, struct place asked)
{
    glob_t found;

    const char *full = pattern[0] == '/' ? pattern
                                         : arena_printf(x->arena, "%s/%s",
                                                        x->dir, pattern);
    if (!has_wildcard(full)) {
        expand_file(x, full, asked);
        return;
    }
    const int rc = glob(full, 0, is_glob_error, &found);
    if (rc == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++) {
            expand_file(x, arena_strdup(x->arena, found.gl_pathv[i]), asked);
        }
        globfree(&found);
    } else if (rc != GLOB_NOMATCH) {
        report(x->errors, asked, "include of %s: the folder can't be read",
               full);
    }
}

/* include("GLOB") at token i; gives the token behind it. */
static size_t
expand_include(struct expand *x, const struct tokens *t, size_t i)
{
    const struct place at = t->items[i].at;

    if (!token_is(t, i + 1, '(') || !token_is_text(t, i + 2) ||
        !token_is(t, i + 3, ')')) {
        report(x->errors, at, "include is written include(\"FILE\")");
        return i + 1;
    }
    if (x->depth >= EXPAND_MAX_DEPTH) {
        report(x->errors, at,
               "includes more than %d deep: does a file include itself?",
               EXPAND_MAX_DEPTH);
        return i + 4;
    }
    x->depth++;
    expand_glob(x, t->items[i + 2].text.data, at);
    x->depth--;
    return i + 4;
}

static void
expand_text(struct expand *x, struct weir_str text, const char *name)
{
    struct tokens t;
    size_t        from = 0;
    unsigned      line = 1;

    if (!scan_text(x->arena, text, name, false, x->errors, &t)) {
        return;
    }
    put_place(x, (struct place){ name, 1 });
    for (size_t i = 0; i < t.n;) {
        const struct token *item = &t.items[i];
        if (is_include(&t, i)) {
            i = expand_include(x, &t, i);
            from = t.items[i - 1].end;
            line = t.items[i - 1].at.line;
            put_place(x, (struct place){ name, line });
            continue;
        }
        if (item->begin > from) {
            put_gap(x, text, from, item, line);
        }
        buf_add(&x->out, text.data + item->begin, item->end - item->begin);
        from = item->end;
        line = item->at.line;
        i++;
    }
    buf_byte(&x->out, '\n');
}

static void
expand_file(struct expand *x, const char *path, struct place asked)
{
    struct weir_str text;
    struct weir_err err;

    /* Files that include each other by wildcards grow without end. */
    if (x->nfiles++ >= EXPAND_MAX_FILES) {
        if (x->nfiles == EXPAND_MAX_FILES + 1) {
            report(x->errors, asked, "more than %d files are included",
                   EXPAND_MAX_FILES);
        }
        return;
    }
    if (file_read(x->arena, path, EXPAND_MAX_BYTES, &text, &err) != WEIR_OK) {
        report(x->errors, asked, "%s", err.text);
        return;
    }
    if (x->out.len + text.len > EXPAND_MAX_BYTES) {
        report(x->errors, asked,
               "with %s the configuration has more than %d bytes", path,
               EXPAND_MAX_BYTES);
        return;
    }
    expand_text(x, text, path);
}

static const char *
folder_of(struct arena *a, const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash) {
        return ".";
    }
    return slash == path
               ? "/"
               : arena_cstr(a, (struct weir_str){ path,
                                                  (size_t)(slash - path) });
}

bool
expand_files(struct arena *a, const char *path, const char *prefix,
             const char *overrides, struct conf_errors *errors,
             struct weir_str *out)
{
    const unsigned before = errors->n;
    struct expand  x = { .arena = a, .errors = errors };

    x.dir = folder_of(a, path);
    buf_text(&x.out, "#prefix ");
    scan_quote(&x.out, prefix);
    buf_byte(&x.out, '\n');
    if (overrides) {
        expand_text(&x, str_of(overrides), EXPAND_OVERRIDES);
    }
    expand_file(&x, path, (struct place){ path, 0 });
    *out = arena_str(a, buf_view(&x.out));
    buf_free(&x.out);
    return errors->n == before;
}
