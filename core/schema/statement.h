/*
 * statement.h - what a logged SQL statement is, and which tables it names.
 * Only as much is read as is needed to tell transaction control, DDL and DML
 * apart; comments of all kinds, quoting and sql_mode are understood, and what
 * isn't is said to be so.
 */
#ifndef WEIR_SCHEMA_STATEMENT_H
#define WEIR_SCHEMA_STATEMENT_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/event.h>

#include "base/arena.h"
#include "binlog/event.h"

enum statement_kind {
    STATEMENT_OTHER, /* SET, GRANT, views, triggers, ...: no table's rows */
    STATEMENT_BEGIN, STATEMENT_COMMIT, STATEMENT_ROLLBACK,
    STATEMENT_SAVEPOINT, STATEMENT_ROLLBACK_TO, STATEMENT_RELEASE,
    STATEMENT_XA_START, STATEMENT_XA_END, STATEMENT_XA_COMMIT,
    STATEMENT_XA_ROLLBACK,
    STATEMENT_TABLE,    /* CREATE, ALTER, DROP, RENAME TABLE, INDEX */
    STATEMENT_TRUNCATE,
    STATEMENT_DATABASE, /* CREATE, ALTER, DROP DATABASE */
    STATEMENT_DML,      /* INSERT, UPDATE, DELETE, ... as a statement */
};

enum statement_temporary {
    TEMPORARY_NONE,
    TEMPORARY_CREATE, TEMPORARY_DROP, /* of kind OTHER, with its tables */
};

struct statement_table { struct weir_str schema, name; };

struct statement {
    enum statement_kind     kind;
    struct weir_str         verb; /* "alter table", in lower case */
    struct weir_str         name; /* of a savepoint; an XID as written */
    size_t                  ntables;
    struct statement_table *tables;
    bool                    unsure; /* may touch tables not in the list */
    bool                    silent; /* ALTER TABLE that takes rows away, or brings
                                       some, without row events */
    bool                    one_phase; /* XA COMMIT ... ONE PHASE */
    enum statement_temporary temporary;
};

enum { /* of sql_mode, as logged */
    SQL_MODE_ANSI_QUOTES = 4,
    SQL_MODE_NO_BACKSLASH_ESCAPES = 0x100000,
};

/* A QUERY event's text in UTF-8: it is logged in the client's charset.  What is
 * no text in that is given as it is. */
struct weir_str statement_text(struct arena *a, const struct binlog_query *q);

/* Never fails.  `schema` is the session's default; all in `a`. */
void statement_parse(struct arena *a, struct weir_str text,
                     struct weir_str schema, uint64_t sql_mode,
                     struct statement *out);

#endif
