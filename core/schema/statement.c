/* statement.c - a tokenizer, and one small reader for each verb. */
#include "schema/statement.h"

#include <ctype.h>
#include <string.h>

#include "base/str.h"
#include "binlog/text.h"
#include "schema/charset.h"

enum { MAX_TABLES = 256 };

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_QUOTED, TOKEN_STRING,
                  TOKEN_SIGN };

struct tokens {
    struct arena   *a;
    const char     *p, *end;
    uint64_t        sql_mode;
    const char     *start; /* of the current one, in the statement */
    enum token_kind kind;
    struct weir_str text; /* unquoted */
};

/* Past white space and comments.  What stands in a comment for one server only
 * is executed by it, so its contents count. */
static void
skip_blank(struct tokens *t)
{
    while (t->p < t->end) {
        const size_t left = (size_t)(t->end - t->p);
        if (isspace((unsigned char)*t->p) || *t->p == '\0') {
            t->p++;
        } else if (*t->p == '#' ||
                   (left > 2 && memcmp(t->p, "--", 2) == 0 &&
                    isspace((unsigned char)t->p[2]))) {
            const char *line = memchr(t->p, '\n', left);
            t->p = line ? line + 1 : t->end;
        } else if (left >= 3 && (memcmp(t->p, "/*!", 3) == 0 ||
                                 (left >= 4 && memcmp(t->p, "/*M!", 4) == 0))) {
            t->p += t->p[2] == '!' ? 3 : 4;
            while (t->p < t->end && isdigit((unsigned char)*t->p)) {
                t->p++;
            }
        } else if (left >= 2 && memcmp(t->p, "/*", 2) == 0) {
            const char *close = memmem(t->p + 2, left - 2, "*/", 2);
            t->p = close ? close + 2 : t->end;
        } else if (left >= 2 && memcmp(t->p, "*/", 2) == 0) {
            t->p += 2;
        } else {
            break;
        }
    }
}

static void
read_quoted(struct tokens *t, char quote)
{
    const bool escapes = quote != '`' &&
                         !(t->sql_mode & SQL_MODE_NO_BACKSLASH_ESCAPES);
    char  *out = arena_take(t->a, (size_t)(t->end - t->p) + 1);
    size_t n = 0;

    for (t->p++; t->p < t->end; t->p++) {
        if (*t->p == quote) {
            if (t->p + 1 == t->end || t->p[1] != quote) {
                t->p++;
                break;
            }
            t->p++; /* doubled: one of them */
        } else if (*t->p == '\\' && escapes && t->p + 1 < t->end) {
            t->p++;
        }
        out[n++] = *t->p;
    }
    const bool name =
        quote == '`' || (quote == '"' && (t->sql_mode & SQL_MODE_ANSI_QUOTES));
    t->kind = name ? TOKEN_QUOTED : TOKEN_STRING;
    t->text = (struct weir_str){ out, n };
}

static bool
is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || c == '@' ||
           (unsigned char)c >= 0x80;
}

static void
advance(struct tokens *t)
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

static bool
at_word(const struct tokens *t, const char *word)
{
    return t->kind == TOKEN_WORD && str_eq_nocase(t->text, str_of(word));
}

static bool
at_sign(const struct tokens *t, char c)
{
    return t->kind == TOKEN_SIGN && t->text.data[0] == c;
}

static bool
take_word(struct tokens *t, const char *word)
{
    if (!at_word(t, word)) {
        return false;
    }
    advance(t);
    return true;
}

/* Past any of the words in a NULL-ended list. */
static void
skip_words(struct tokens *t, const char *const *words)
{
    for (size_t i = 0; words[i];) {
        i = take_word(t, words[i]) ? 0 : i + 1;
    }
}

static bool
read_table(struct tokens *t, struct weir_str schema, struct statement *out)
{
    if (t->kind != TOKEN_WORD && t->kind != TOKEN_QUOTED) {
        out->unsure = true;
        return false;
    }
    struct statement_table table = { schema, t->text };
    advance(t);
    if (at_sign(t, '.')) {
        advance(t);
        table.schema = table.name;
        table.name = t->text;
        advance(t);
    }
    if (out->ntables == MAX_TABLES) {
        out->unsure = true;
        return false;
    }
    if (!out->tables) {
        out->tables = arena_array(t->a, MAX_TABLES, sizeof *out->tables);
    }
    table.schema = arena_str(t->a, table.schema);
    table.name = arena_str(t->a, table.name);
    out->tables[out->ntables++] = table;
    return true;
}

static void
read_table_list(struct tokens *t, struct weir_str schema,
                struct statement *out)
{
    while (read_table(t, schema, out) && at_sign(t, ',')) {
        advance(t);
    }
}

static void
read_rename(struct tokens *t, struct weir_str schema, struct statement *out)
{
    static const char *const fill[] = { "if", "exists", "wait", "nowait",
                                        NULL };
    do {
        if (at_sign(t, ',')) {
            advance(t);
        }
        skip_words(t, fill);
        if (!read_table(t, schema, out) || !take_word(t, "to") ||
            !read_table(t, schema, out)) {
            out->unsure = true;
            return;
        }
    } while (at_sign(t, ','));
}

/* ALTER TABLE t ..., RENAME [TO|AS] u: the new name counts too. */
static void
read_alter(struct tokens *t, struct weir_str schema, struct statement *out)
{
    int depth = 0;

    if (!read_table(t, schema, out)) {
        return;
    }
    while (t->kind != TOKEN_END) {
        depth += at_sign(t, '(') ? 1 : at_sign(t, ')') ? -1 : 0;
        const bool rename = depth == 0 && at_word(t, "rename");
        advance(t);
        if (!rename || at_word(t, "column") || at_word(t, "index") ||
            at_word(t, "key")) {
            continue;
        }
        if (!take_word(t, "to") && at_word(t, "as")) {
            advance(t);
        }
        read_table(t, schema, out);
    }
}

static void
read_index_table(struct tokens *t, struct weir_str schema,
                 struct statement *out)
{
    while (t->kind != TOKEN_END && !at_word(t, "on")) {
        advance(t);
    }
    advance(t);
    read_table(t, schema, out);
}

/* Behind CREATE, ALTER, DROP or RENAME. */
static void
read_ddl(struct tokens *t, const char *verb, struct weir_str schema,
         struct statement *out)
{
    static const char *const before[] = { "or", "replace", "online", "offline",
                                          "ignore", "unique", "fulltext",
                                          "spatial", NULL };
    static const char *const behind[] = { "if", "not", "exists", NULL };

    skip_words(t, before);
    if (at_word(t, "temporary")) {
        return; /* never in row events, and gone with its session */
    }
    if (take_word(t, "table") || take_word(t, "tables")) {
        out->kind = STATEMENT_TABLE;
        out->verb = str_of(arena_printf(t->a, "%s table", verb));
        skip_words(t, behind);
        if (strcmp(verb, "rename") == 0) {
            read_rename(t, schema, out);
        } else if (strcmp(verb, "alter") == 0) {
            read_alter(t, schema, out);
        } else if (strcmp(verb, "drop") == 0) {
            read_table_list(t, schema, out);
        } else {
            read_table(t, schema, out);
        }
    } else if (take_word(t, "index")) {
        out->kind = STATEMENT_TABLE;
        out->verb = str_of(arena_printf(t->a, "%s index", verb));
        read_index_table(t, schema, out);
    } else if (take_word(t, "database") || take_word(t, "schema")) {
        out->kind = STATEMENT_DATABASE;
        out->verb = str_of(arena_printf(t->a, "%s database", verb));
        skip_words(t, behind);
        out->name = arena_str(t->a, t->text);
    }
}

static void
read_dml(struct tokens *t, const char *verb, struct weir_str schema,
         struct statement *out)
{
    static const char *const fill[] = { "low_priority", "high_priority",
                                        "delayed", "ignore", "quick", "from",
                                        "into", NULL };
    out->kind = STATEMENT_DML;
    out->verb = str_of(verb);
    if (strcmp(verb, "load") == 0) {
        while (t->kind != TOKEN_END && !at_word(t, "into")) {
            advance(t);
        }
        advance(t);
        take_word(t, "table");
    }
    skip_words(t, fill);
    read_table(t, schema, out);
    /* Of several tables (UPDATE a JOIN b, DELETE a FROM ...) it may be any. */
    out->unsure |= at_sign(t, ',') || at_word(t, "join") ||
                   at_word(t, "inner") || at_word(t, "left") ||
                   at_word(t, "right") || at_word(t, "cross") ||
                   at_word(t, "natural") || at_word(t, "as") ||
                   (strcmp(verb, "delete") == 0 && at_word(t, "from"));
}

static void
read_xa(struct tokens *t, struct statement *out)
{
    if (take_word(t, "start") || take_word(t, "begin")) {
        out->kind = STATEMENT_XA_START;
    } else if (take_word(t, "end")) {
        out->kind = STATEMENT_XA_END;
    } else if (take_word(t, "commit")) {
        out->kind = STATEMENT_XA_COMMIT;
    } else if (take_word(t, "rollback")) {
        out->kind = STATEMENT_XA_ROLLBACK;
    } else {
        return;
    }
    /* The first token was read already; the XID is the rest of the line. */
    const char *one =
        memmem(t->start, (size_t)(t->end - t->start), " ONE PHASE", 10);
    const char *end = one ? one : t->end;
    out->one_phase = one != NULL;
    out->name = arena_str(
        t->a, (struct weir_str){ t->start, (size_t)(end - t->start) });
}

static void
read_statement(struct tokens *t, struct weir_str schema,
               struct statement *out)
{
    static const char *const ddl[] = { "create", "alter", "drop", "rename" };
    static const char *const dml[] = { "insert", "replace", "update",
                                       "delete", "load" };
    int                      depth = 0;

    while (take_word(t, "set")) {
        if (!take_word(t, "statement")) {
            return;
        }
        while (t->kind != TOKEN_END && !at_word(t, "for")) {
            advance(t); /* MariaDB: variables for the one statement behind it */
        }
        advance(t);
    }
    for (size_t i = 0; i < sizeof ddl / sizeof *ddl; i++) {
        if (take_word(t, ddl[i])) {
            read_ddl(t, ddl[i], schema, out);
            return;
        }
    }
    for (size_t i = 0; i < sizeof dml / sizeof *dml; i++) {
        if (take_word(t, dml[i])) {
            read_dml(t, dml[i], schema, out);
            return;
        }
    }
    if (take_word(t, "with")) { /* common table expressions, before DML */
        while (t->kind != TOKEN_END && out->kind == STATEMENT_OTHER) {
            depth += at_sign(t, '(') ? 1 : at_sign(t, ')') ? -1 : 0;
            if (depth > 0 || (!at_word(t, "update") && !at_word(t, "delete"))) {
                advance(t);
                continue;
            }
            read_statement(t, schema, out);
            out->unsure = true;
        }
    } else if (take_word(t, "truncate")) {
        out->kind = STATEMENT_TRUNCATE;
        out->verb = STR("truncate table");
        take_word(t, "table");
        read_table(t, schema, out);
    } else if (take_word(t, "begin") || take_word(t, "start")) {
        out->kind = STATEMENT_BEGIN;
    } else if (take_word(t, "commit")) {
        out->kind = STATEMENT_COMMIT;
    } else if (take_word(t, "savepoint")) {
        out->kind = STATEMENT_SAVEPOINT;
        out->name = arena_str(t->a, t->text);
    } else if (take_word(t, "release")) {
        out->kind = STATEMENT_RELEASE;
    } else if (take_word(t, "rollback")) {
        take_word(t, "work");
        out->kind = STATEMENT_ROLLBACK;
        if (take_word(t, "to")) {
            take_word(t, "savepoint");
            out->kind = STATEMENT_ROLLBACK_TO;
            out->name = arena_str(t->a, t->text);
        }
    } else if (take_word(t, "xa")) {
        read_xa(t, out);
    }
}

struct weir_str
statement_text(struct arena *a, const struct binlog_query *q)
{
    struct weir_str      collation;
    const struct charset cs =
        charset_of_id(a, q->client_charset, &collation);
    struct weir_str text = q->text;

    if (cs.text == TEXT_CODED ||
        (cs.text == TEXT_LATIN1 && !text_is_ascii(text.data, text.len))) {
        charset_text(a, &cs, q->text, &text);
    }
    return text;
}

void
statement_parse(struct arena *a, struct weir_str text, struct weir_str schema,
                uint64_t sql_mode, struct statement *out)
{
    struct tokens t = { .a = a,
                        .p = text.data,
                        .end = text.data + text.len,
                        .sql_mode = sql_mode };

    *out = (struct statement){ .kind = STATEMENT_OTHER };
    if (text.len == 0) {
        return;
    }
    advance(&t);
    while (at_sign(&t, '(')) {
        advance(&t);
    }
    read_statement(&t, schema, out);
}
