/* statement.c - one small reader for each verb. */
#include "schema/statement.h"

#include <string.h>

#include "base/str.h"
#include "binlog/text.h"
#include "schema/charset.h"
#include "schema/token.h"

enum { MAX_TABLES = 256 };

static bool
read_table(struct tokens *t, struct weir_str schema, struct statement *out)
{
    if (t->kind != TOKEN_WORD && t->kind != TOKEN_QUOTED) {
        out->unsure = true;
        return false;
    }
    struct statement_table table = { schema, t->text };
    token_next(t);
    if (token_is_sign(t, '.')) {
        token_next(t);
        table.schema = table.name;
        table.name = t->text;
        token_next(t);
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
    while (read_table(t, schema, out) && token_is_sign(t, ',')) {
        token_next(t);
    }
}

static void
read_rename(struct tokens *t, struct weir_str schema, struct statement *out)
{
    static const char *const fill[] = { "if", "exists", NULL };
    do {
        if (token_is_sign(t, ',')) {
            token_next(t);
        }
        token_skip_words(t, fill);
        bool whole = read_table(t, schema, out);
        if (token_take_word(t, "wait")) {
            token_next(t); /* seconds */
        }
        token_take_word(t, "nowait");
        whole = whole && token_take_word(t, "to") &&
                read_table(t, schema, out);
        if (!whole) {
            out->unsure = true;
            return;
        }
    } while (token_is_sign(t, ','));
}

/* DROP PARTITION and its like, IMPORT TABLESPACE. */
static bool
is_silent(const struct tokens *t)
{
    static const char *const verbs[] = { "truncate", "drop", "exchange",
                                         "convert", "discard", "import" };
    struct tokens look = *t;

    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (token_take_word(&look, verbs[i])) {
            return token_is_word(&look, "partition") ||
                   token_is_word(&look, "tablespace") ||
                   (token_is_word(&look, "table") &&
                    strcmp(verbs[i], "convert") == 0);
        }
    }
    return false;
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
        depth += token_is_sign(t, '(') ? 1 : token_is_sign(t, ')') ? -1 : 0;
        const bool rename = depth == 0 && token_is_word(t, "rename");
        out->silent |= depth == 0 && is_silent(t);
        token_next(t);
        if (!rename || token_is_word(t, "column") ||
            token_is_word(t, "index") || token_is_word(t, "key")) {
            continue;
        }
        if (!token_take_word(t, "to") && !token_take_word(t, "as")) {
            token_take_sign(t, '=');
        }
        read_table(t, schema, out);
    }
}

static void
read_index_table(struct tokens *t, struct weir_str schema,
                 struct statement *out)
{
    while (t->kind != TOKEN_END && !token_is_word(t, "on")) {
        token_next(t);
    }
    token_next(t);
    read_table(t, schema, out);
}

/* Never in row events, and gone with its session; but what comes of that session
 * may look as if it were of another table of that name. */
static void
read_temporary(struct tokens *t, const char *verb, struct weir_str schema,
               struct statement *out)
{
    static const char *const fill[] = { "if", "not", "exists", NULL };

    if (!token_take_word(t, "table") && !token_take_word(t, "tables")) {
        return;
    }
    token_skip_words(t, fill);
    out->temporary = strcmp(verb, "drop") == 0 ? TEMPORARY_DROP
                                               : TEMPORARY_CREATE;
    if (out->temporary == TEMPORARY_DROP) {
        read_table_list(t, schema, out);
    } else {
        read_table(t, schema, out);
    }
    out->unsure = false; /* of what matters to row events nothing changes */
}

/* Behind CREATE, ALTER, DROP or RENAME. */
static void
read_ddl(struct tokens *t, const char *verb, struct weir_str schema,
         struct statement *out)
{
    static const char *const before[] = { "or", "replace", "online", "offline",
                                          "ignore", "unique", "fulltext",
                                          "spatial", "vector", NULL };
    static const char *const behind[] = { "if", "not", "exists", NULL };

    token_skip_words(t, before);
    if (token_take_word(t, "temporary")) {
        read_temporary(t, verb, schema, out);
        return;
    }
    if (token_take_word(t, "table") || token_take_word(t, "tables")) {
        out->kind = STATEMENT_TABLE;
        out->verb = str_of(arena_printf(t->a, "%s table", verb));
        token_skip_words(t, behind);
        if (strcmp(verb, "rename") == 0) {
            read_rename(t, schema, out);
        } else if (strcmp(verb, "alter") == 0) {
            read_alter(t, schema, out);
        } else if (strcmp(verb, "drop") == 0) {
            read_table_list(t, schema, out);
        } else {
            read_table(t, schema, out);
        }
    } else if (token_take_word(t, "index")) {
        out->kind = STATEMENT_TABLE;
        out->verb = str_of(arena_printf(t->a, "%s index", verb));
        read_index_table(t, schema, out);
    } else if (token_take_word(t, "database") || token_take_word(t, "schema")) {
        out->kind = STATEMENT_DATABASE;
        out->verb = str_of(arena_printf(t->a, "%s database", verb));
        token_skip_words(t, behind);
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
        while (t->kind != TOKEN_END && !token_is_word(t, "into")) {
            token_next(t);
        }
        token_next(t);
        token_take_word(t, "table");
    }
    token_skip_words(t, fill);
    read_table(t, schema, out);
    /* Of several tables (UPDATE a JOIN b, DELETE a FROM ...) it may be any. */
    out->unsure |= token_is_sign(t, ',') || token_is_word(t, "join") ||
                   token_is_word(t, "inner") || token_is_word(t, "left") ||
                   token_is_word(t, "right") || token_is_word(t, "cross") ||
                   token_is_word(t, "natural") || token_is_word(t, "as") ||
                   (strcmp(verb, "delete") == 0 && token_is_word(t, "from"));
}

static void
read_xa(struct tokens *t, struct statement *out)
{
    if (token_take_word(t, "start") || token_take_word(t, "begin")) {
        out->kind = STATEMENT_XA_START;
    } else if (token_take_word(t, "end")) {
        out->kind = STATEMENT_XA_END;
    } else if (token_take_word(t, "commit")) {
        out->kind = STATEMENT_XA_COMMIT;
    } else if (token_take_word(t, "rollback")) {
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

    token_take_set(t, &out->unsure);
    for (size_t i = 0; i < sizeof ddl / sizeof *ddl; i++) {
        if (token_take_word(t, ddl[i])) {
            read_ddl(t, ddl[i], schema, out);
            return;
        }
    }
    for (size_t i = 0; i < sizeof dml / sizeof *dml; i++) {
        if (token_take_word(t, dml[i])) {
            read_dml(t, dml[i], schema, out);
            return;
        }
    }
    if (token_take_word(t, "with")) { /* common table expressions, before DML */
        while (t->kind != TOKEN_END && out->kind == STATEMENT_OTHER) {
            depth += token_is_sign(t, '(') ? 1 : token_is_sign(t, ')') ? -1 : 0;
            if (depth > 0 || (!token_is_word(t, "update") &&
                              !token_is_word(t, "delete"))) {
                token_next(t);
                continue;
            }
            read_statement(t, schema, out);
            out->unsure = true;
        }
    } else if (token_take_word(t, "truncate")) {
        out->kind = STATEMENT_TRUNCATE;
        out->verb = STR("truncate table");
        token_take_word(t, "table");
        read_table(t, schema, out);
    } else if (token_take_word(t, "begin") || token_take_word(t, "start")) {
        out->kind = STATEMENT_BEGIN;
    } else if (token_take_word(t, "commit")) {
        out->kind = STATEMENT_COMMIT;
    } else if (token_take_word(t, "savepoint")) {
        out->kind = STATEMENT_SAVEPOINT;
        out->name = arena_str(t->a, t->text);
    } else if (token_take_word(t, "release")) {
        out->kind = STATEMENT_RELEASE;
    } else if (token_take_word(t, "rollback")) {
        token_take_word(t, "work");
        out->kind = STATEMENT_ROLLBACK;
        if (token_take_word(t, "to")) {
            token_take_word(t, "savepoint");
            out->kind = STATEMENT_ROLLBACK_TO;
            out->name = arena_str(t->a, t->text);
        }
    } else if (token_take_word(t, "xa")) {
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
    struct tokens t;

    *out = (struct statement){ .kind = STATEMENT_OTHER };
    tokens_init(&t, a, text, sql_mode, false);
    while (token_is_sign(&t, '(')) {
        token_next(&t);
    }
    read_statement(&t, schema, out);
}
