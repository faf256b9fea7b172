/*
 * scan.h - configuration text as tokens, each with its place.  Comments are
 * left out, strings decoded, braces paired.  Knows no directive.
 *
 * A bare word has [A-Za-z0-9_.:/+-] only; all else stands in double or single
 * quotes, on one line, where \" \' \\ \n \r \t mean what they do in C and any
 * other backslash stands for itself.  Comments are # to the end of the line, and
 * between slash and star as in C.
 *
 * Expanded text (expand.h) has marks, which nobody else can write since
 * comments are gone from it: `#line 12 "/etc/weir/x.conf"` says where the next
 * line comes from, `#prefix "/usr"` what relative paths start at.
 */
#ifndef WEIR_CONFIG_SCAN_H
#define WEIR_CONFIG_SCAN_H

#include "config/report.h"

enum { SCAN_MAX_TOKENS = 1 << 20 };

enum token_kind { TOKEN_WORD, TOKEN_STRING, TOKEN_MARK };

struct token {
    enum token_kind kind;
    char            mark; /* one of { } ( ) = , or 0 */
    struct weir_str text; /* decoded, with a NUL behind it if not a mark */
    struct place    at;
    size_t          begin, end; /* in the text, quotes and all */
    size_t          partner;    /* of { } ( ): the index of the other one */
};

struct tokens {
    size_t        n;
    struct token *items;
    const char   *prefix;
    struct place  end;
    unsigned      lines; /* of the text, marks and all */
};

/* `marked`: expanded text.  False if anything was reported.  What `out` holds
 * lives in `a` or points into `file`. */
bool scan_text(struct arena *a, struct weir_str text, const char *file,
               bool marked, struct conf_errors *errors, struct tokens *out);

static inline bool
token_is(const struct tokens *t, size_t i, char mark)
{
    return i < t->n && t->items[i].mark == mark;
}

static inline bool
token_is_text(const struct tokens *t, size_t i)
{
    return i < t->n && t->items[i].mark == 0;
}

/* Appends a string as it is written in a configuration, quotes and all. */
void scan_quote(struct buf *out, const char *text);

#endif
