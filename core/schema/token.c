/* token.c - see token.h. */
#include "schema/token.h"

#include <ctype.h>
#include <string.h>

#include "base/str.h"
#include "schema/statement.h"

static bool
at_text(const struct tokens *t, const char *text)
{
    const size_t n = strlen(text);

    return (size_t)(t->end - t->p) >= n && memcmp(t->p, text, n) == 0;
}

static bool
at_line_comment(const struct tokens *t)
{
    return *t->p == '#' || (at_text(t, "--") && t->end - t->p > 2 &&
                            isspace((unsigned char)t->p[2]));
}

/* Of a server, in 5 or 6 digits; fewer are no version but a number. */
static size_t
version_length(const char *p, const char *end)
{
    size_t n = 0;

    while (n < 6 && p + n < end && isdigit((unsigned char)p[n])) {
        n++;
    }
    return n < 5 ? 0 : n;
}

/* What stands in a comment for one server only is executed by it, so its
 * contents count: a server logs those that it passed over as plain ones
 * (MySQL and MariaDB sql/sql_lex.cc, "replace '!' with ' '"). */
static bool
skip_comment(struct tokens *t)
{
    const size_t left = (size_t)(t->end - t->p);

    if (at_line_comment(t)) {
        const char *line = memchr(t->p, '\n', left);
        t->p = line ? line + 1 : t->end;
    } else if (at_text(t, "/*!") || (at_text(t, "/*M!") && !t->mysql)) {
        t->p += t->p[2] == '!' ? 3 : 4;
        t->p += version_length(t->p, t->end);
    } else if (at_text(t, "/*")) {
        const char *close = memmem(t->p + 2, left - 2, "*/", 2);
        t->broken |= !close;
        t->p = close ? close + 2 : t->end;
    } else if (at_text(t, "*/")) {
        t->p += 2;
    } else {
        return false;
    }
    return true;
}

static void
skip_blank(struct tokens *t)
{
    while (t->p < t->end) {
        if (isspace((unsigned char)*t->p) || *t->p == '\0') {
            t->p++;
        } else if (!skip_comment(t)) {
            break;
        }
    }
}

/* Behind a backslash; `\%` and `\_` stay as they are. */
static size_t
put_escaped(char *out, char c)
{
    static const char from[] = "0bnrtZ", to[] = "\0\b\n\r\t\032";
    const char       *at = c ? strchr(from, c) : NULL;
    size_t            n = 0;

    if (c == '%' || c == '_') {
        out[n++] = '\\';
    }
    out[n++] = at ? to[at - from] : c;
    return n;
}

/* The quote that closes; NULL: there is none.  Sets *plain if what stands
 * between is the text as it is. */
static const char *
find_close(const struct tokens *t, char quote, bool escapes, bool *plain)
{
    *plain = true;
    for (const char *p = t->p + 1; p < t->end; p++) {
        const bool doubled = *p == quote && p + 1 < t->end && p[1] == quote;
        if (*p == quote && !doubled) {
            return p;
        }
        if (doubled || (*p == '\\' && escapes)) {
            *plain = false;
            p++;
        }
    }
    return NULL;
}

static struct weir_str
unescape(struct tokens *t, const char *p, const char *end, char quote)
{
    char  *out = arena_take(t->a, (size_t)(end - p) + 1);
    size_t n = 0;

    for (; p < end; p++) {
        if (*p == quote && p + 1 < end) {
            p++;
        } else if (*p == '\\' && p + 1 < end) {
            n += put_escaped(out + n, *++p);
            continue;
        }
        out[n++] = *p;
    }
    return (struct weir_str){ out, n };
}

static struct weir_str
undouble(struct tokens *t, const char *p, const char *end, char quote)
{
    char  *out = arena_take(t->a, (size_t)(end - p) + 1);
    size_t n = 0;

    for (; p < end; p++) {
        p += *p == quote && p + 1 < end;
        out[n++] = *p;
    }
    return (struct weir_str){ out, n };
}

static void
read_quoted(struct tokens *t, char quote)
{
    const bool name =
        quote == '`' || (quote == '"' && (t->sql_mode & SQL_MODE_ANSI_QUOTES));
    const bool escapes =
        !name && !(t->sql_mode & SQL_MODE_NO_BACKSLASH_ESCAPES);
    bool        plain;
    const char *close = find_close(t, quote, escapes, &plain);
    const char *from = t->p + 1, *end = close ? close : t->end;

    t->broken |= !close;
    t->p = close ? close + 1 : t->end;
    t->kind = name ? TOKEN_QUOTED : TOKEN_STRING;
    t->text = plain     ? (struct weir_str){ from, (size_t)(end - from) }
              : escapes ? unescape(t, from, end, quote)
                        : undouble(t, from, end, quote);
}

static bool
is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || c == '@' ||
           (unsigned char)c >= 0x80;
}

void
token_next(struct tokens *t)
{
    skip_blank(t);
    t->start = t->p;
    if (t->p == t->end) {
        t->kind = TOKEN_END;
        t->text = STR("");
    } else if (*t->p == '`' || *t->p == '"' || *t->p == '\'') {
        read_quoted(t, *t->p);
    } else if (is_word(*t->p)) {
        const char *start = t->p;
        while (t->p < t->end && is_word(*t->p)) {
            t->p++;
        }
        t->kind = TOKEN_WORD;
        t->text = (struct weir_str){ start, (size_t)(t->p - start) };
    } else {
        t->kind = TOKEN_SIGN;
        t->text = (struct weir_str){ t->p++, 1 };
    }
}

void
tokens_init(struct tokens *t, struct arena *a, struct weir_str text,
            uint64_t sql_mode, bool mysql)
{
    *t = (struct tokens){ .a = a,
                          .mysql = mysql,
                          .p = text.data,
                          .end = text.data + text.len,
                          .sql_mode = sql_mode };
    if (text.len == 0) {
        t->p = t->end = "";
    }
    token_next(t);
}

bool
token_is_word(const struct tokens *t, const char *word)
{
    return t->kind == TOKEN_WORD && str_eq_nocase(t->text, str_of(word));
}

bool
token_is_sign(const struct tokens *t, char c)
{
    return t->kind == TOKEN_SIGN && t->text.data[0] == c;
}

bool
token_is_name(const struct tokens *t)
{
    return t->kind == TOKEN_WORD || t->kind == TOKEN_QUOTED;
}

bool
token_take_word(struct tokens *t, const char *word)
{
    if (!token_is_word(t, word)) {
        return false;
    }
    token_next(t);
    return true;
}

bool
token_take_sign(struct tokens *t, char c)
{
    if (!token_is_sign(t, c)) {
        return false;
    }
    token_next(t);
    return true;
}

void
token_skip_words(struct tokens *t, const char *const *words)
{
    for (size_t i = 0; words[i];) {
        i = token_take_word(t, words[i]) ? 0 : i + 1;
    }
}

/* Nothing that a definition depends on. */
static bool
is_harmless(struct weir_str name)
{
    static const char *const prefixes[] = {
        "max_", "innodb_", "gtid_", "wsrep_", "tmp_", "join_", "optimizer_",
        "net_", "sort_", "myisam_", "aria_", "slow_", "long_query_time",
        "lock_wait_timeout", "alter_algorithm", "foreign_key_checks",
        "unique_checks", "old_alter_table", "server_id", "skip_replication",
    };
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        const size_t n = strlen(prefixes[i]);
        if (name.len >= n &&
            str_eq_nocase((struct weir_str){ name.data, n },
                          str_of(prefixes[i]))) {
            return true;
        }
    }
    return false;
}

bool
token_take_set(struct tokens *t, bool *reads)
{
    bool          harmless = true;
    struct tokens look = *t;

    while (token_take_word(&look, "set") &&
           token_take_word(&look, "statement")) {
        bool is_name = true;
        int  depth = 0;
        while (look.kind != TOKEN_END &&
               (depth > 0 || !token_is_word(&look, "for"))) {
            depth += token_is_sign(&look, '(') - token_is_sign(&look, ')');
            harmless &= !is_name || is_harmless(look.text);
            *reads |= is_name && str_eq_nocase(look.text, STR("sql_mode"));
            is_name = depth == 0 && token_is_sign(&look, ',');
            token_next(&look);
        }
        token_next(&look);
        *t = look;
    }
    return harmless;
}
