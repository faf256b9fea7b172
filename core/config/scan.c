/* scan.c - see scan.h. */
#include "config/scan.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

struct scan {
    struct arena       *arena;
    struct conf_errors *errors;
    const char         *text, *p, *end;
    struct place        at;
    bool                marked;
    const char         *prefix;
    struct buf          tokens; /* of struct token */
    struct buf          open;   /* of size_t: indexes of what is not closed */
};

static bool
is_word_byte(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("_.:/+-", c));
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static size_t
scan_count(const struct scan *s)
{
    return s->tokens.len / sizeof(struct token);
}

static struct token *
scan_item(const struct scan *s, size_t i)
{
    return (struct token *)(void *)s->tokens.data + i;
}

static void
scan_push(struct scan *s, enum token_kind kind, char mark,
          struct weir_str text, const char *begin)
{
    const struct token t = { .kind = kind,
                             .mark = mark,
                             .text = text,
                             .at = s->at,
                             .begin = (size_t)(begin - s->text),
                             .end = (size_t)(s->p - s->text) };
    buf_add(&s->tokens, &t, sizeof t);
}

static char
unescape(char c)
{
    switch (c) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case '"':
    case '\'':
    case '\\':
        return c;
    default:
        return 0;
    }
}

/* From the opening quote to behind the closing one. */
static bool
scan_string(struct scan *s, struct weir_str *out)
{
    const char  quote = *s->p++;
    const char *from = s->p;

    while (s->p < s->end && *s->p != quote && *s->p != '\n') {
        const bool escaped = *s->p == '\\' && s->p + 1 < s->end &&
                             unescape(s->p[1]);
        if (!escaped && (unsigned char)*s->p < ' ' && *s->p != '\t' &&
            *s->p != '\r') {
            report(s->errors, s->at,
                   "byte 0x%02x within quotes: is this a text file?",
                   (unsigned char)*s->p);
            return false;
        }
        s->p += 1 + escaped;
    }
    if (s->p >= s->end || *s->p != quote) {
        report(s->errors, s->at,
               "the %c that opens here is not closed on its line", quote);
        return false;
    }
    char  *text = arena_take(s->arena, (size_t)(s->p - from) + 1);
    size_t n = 0;
    for (const char *p = from; p < s->p; p++) {
        const char c = *p == '\\' ? unescape(p[1]) : 0;
        text[n++] = c ? c : *p;
        p += c != 0;
    }
    text[n] = '\0';
    s->p++;
    *out = (struct weir_str){ text, n };
    return true;
}

static void
skip_line(struct scan *s)
{
    const char *newline = memchr(s->p, '\n', (size_t)(s->end - s->p));
    s->p = newline ? newline : s->end;
}

static bool
scan_mark_is(struct scan *s, const char *mark)
{
    const struct weir_str rest = { s->p, (size_t)(s->end - s->p) };
    if (!str_has_prefix(rest, mark)) {
        return false;
    }
    s->p += strlen(mark);
    return true;
}

/* `#line N "FILE"` and `#prefix "PATH"`; leaves p at the line's end. */
static void
scan_place_mark(struct scan *s)
{
    struct weir_str text;

    if (scan_mark_is(s, "#prefix \"")) {
        s->p--;
        if (scan_string(s, &text)) {
            s->prefix = text.data;
        }
    } else if (scan_mark_is(s, "#line ")) {
        unsigned line = 0;
        while (s->p < s->end && isdigit((unsigned char)*s->p) &&
               line < 100000000) {
            line = line * 10 + (unsigned)(*s->p++ - '0');
        }
        if (scan_mark_is(s, " \"")) {
            s->p--;
            if (scan_string(s, &text)) {
                /* The newline behind it counts one up. */
                s->at = (struct place){ text.data, line ? line - 1 : 0 };
            }
        }
    }
    skip_line(s);
}

static void
skip_c_comment(struct scan *s)
{
    const struct place opened = s->at;

    for (s->p += 2; s->p + 1 < s->end; s->p++) {
        if (s->p[0] == '*' && s->p[1] == '/') {
            s->p += 2;
            return;
        }
        s->at.line += *s->p == '\n';
    }
    report(s->errors, opened, "the comment that opens here is never closed");
    s->p = s->end;
}

static void
skip_blanks(struct scan *s)
{
    while (s->p < s->end) {
        const bool line_begins = s->p == s->text || s->p[-1] == '\n';
        if (*s->p == '\n') {
            s->at.line++;
            s->p++;
        } else if (is_blank(*s->p)) {
            s->p++;
        } else if (*s->p == '#' && s->marked && line_begins) {
            scan_place_mark(s);
        } else if (*s->p == '#') {
            skip_line(s);
        } else if (s->end - s->p > 1 && s->p[0] == '/' && s->p[1] == '*') {
            skip_c_comment(s);
        } else {
            return;
        }
    }
}

/* A byte that can't stand there, and the whole of what it stands in. */
static void
refuse_byte(struct scan *s, const char *begin)
{
    const unsigned char c = (unsigned char)*s->p;

    if (c == ';') {
        s->p++;
        report(s->errors, s->at,
               "';' is not needed: a directive ends with its value");
        return;
    }
    if (c == '\0') {
        report(s->errors, s->at, "a NUL byte: is this a text file?");
        s->p = s->end;
        return;
    }
    while (s->p < s->end && !is_blank(*s->p) && !strchr("{}=,()\"';", *s->p)) {
        s->p++;
    }
    if (c == '#') {
        report(s->errors, s->at,
               "'#' within a word: put the word in quotes, or a space before "
               "a comment");
    } else if (c > ' ' && c < 0x7f) {
        report(s->errors, s->at, "'%c' needs quotes: write \"%.*s\"", c,
               (int)(s->p - begin > 80 ? 80 : s->p - begin), begin);
    } else {
        report(s->errors, s->at,
               "byte 0x%02x outside of quotes: only text in quotes may have "
               "other bytes than ASCII", c);
    }
}

static void
scan_word(struct scan *s)
{
    const char *begin = s->p;

    if (s->end - s->p > 1 && s->p[0] == '/' && s->p[1] == '/') {
        report(s->errors, s->at, "comments begin with '#'");
        skip_line(s);
        return;
    }
    while (s->p < s->end && is_word_byte(*s->p)) {
        s->p++;
    }
    if (s->p == begin ||
        (s->p < s->end && !is_blank(*s->p) && !strchr("{}=,()", *s->p))) {
        refuse_byte(s, begin);
        return;
    }
    if (s->p < s->end && *s->p == '=' && s->p[-1] == '+') {
        report(s->errors, s->at, "'+=' is not known: write the whole list");
        s->p++;
        return;
    }
    const struct weir_str word = { begin, (size_t)(s->p - begin) };
    scan_push(s, TOKEN_WORD, 0,
              (struct weir_str){ arena_cstr(s->arena, word), word.len }, begin);
}

static void
pair_braces(struct scan *s, char mark)
{
    const size_t here = scan_count(s) - 1;

    if (mark == '{' || mark == '(') {
        buf_add(&s->open, &here, sizeof here);
        return;
    }
    if (s->open.len == 0) {
        report(s->errors, s->at, "this '%c' closes nothing", mark);
        return;
    }
    size_t opened;
    s->open.len -= sizeof opened;
    memcpy(&opened, s->open.data + s->open.len, sizeof opened);
    struct token *o = scan_item(s, opened);
    if ((o->mark == '(') != (mark == ')')) {
        report(s->errors, s->at, "this '%c' does not close the '%c' of line %u",
               mark, o->mark, o->at.line);
    }
    o->partner = here;
    scan_item(s, here)->partner = opened;
}

static void
scan_one(struct scan *s)
{
    const char     *begin = s->p;
    struct weir_str text;

    if (*s->p == '"' || *s->p == '\'') {
        if (scan_string(s, &text)) {
            scan_push(s, TOKEN_STRING, 0, text, begin);
        } else {
            skip_line(s);
        }
    } else if (*s->p && strchr("{}()=,", *s->p)) {
        s->p++;
        scan_push(s, TOKEN_MARK, *begin, (struct weir_str){ begin, 1 }, begin);
        if (*begin != '=' && *begin != ',') {
            pair_braces(s, *begin);
        }
    } else {
        scan_word(s);
    }
}

static void
report_open_braces(struct scan *s)
{
    for (size_t i = 0; i < s->open.len; i += sizeof(size_t)) {
        size_t opened;
        memcpy(&opened, s->open.data + i, sizeof opened);
        const struct token *o = scan_item(s, opened);
        report(s->errors, o->at, "the '%c' that opens here is never closed",
               o->mark);
    }
}

static unsigned
count_lines(struct weir_str text)
{
    unsigned n = 0;

    for (size_t i = 0; i < text.len; i++) {
        n += text.data[i] == '\n';
    }
    return n;
}

bool
scan_text(struct arena *a, struct weir_str text, const char *file, bool marked,
          struct conf_errors *errors, struct tokens *out)
{
    const unsigned before = errors->n;
    struct scan    s = { .arena = a,
                         .errors = errors,
                         .text = text.data,
                         .p = text.data,
                         .end = text.data + text.len,
                         .at = { file, 1 },
                         .marked = marked };

    for (;;) {
        skip_blanks(&s);
        if (s.p >= s.end) {
            break;
        }
        if (scan_count(&s) >= SCAN_MAX_TOKENS) {
            report(errors, s.at, "a configuration of more than %d words",
                   SCAN_MAX_TOKENS);
            break;
        }
        scan_one(&s);
    }
    if (errors->n == before) {
        report_open_braces(&s);
    }
    *out = (struct tokens){ .n = scan_count(&s),
                            .items = arena_copy(a, s.tokens.data, s.tokens.len),
                            .prefix = s.prefix,
                            .end = s.at,
                            .lines = count_lines(text) };
    buf_free(&s.tokens);
    buf_free(&s.open);
    return errors->n == before;
}

void
scan_quote(struct buf *out, const char *text)
{
    buf_byte(out, '"');
    for (; *text; text++) {
        const char *escapes = "\nn\rr\tt\"\"\\\\";
        const char *e = escapes;
        while (*e && *e != *text) {
            e += 2;
        }
        if (*e) {
            buf_byte(out, '\\');
        }
        buf_byte(out, *e ? e[1] : *text);
    }
    buf_byte(out, '"');
}
