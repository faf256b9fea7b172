/*
 * ddl.h - follows DDL: what is known of tables before a statement, and the
 * statement, give what is known after it.  What a statement's text does not
 * settle is said to be unknown, never guessed.  Knows no server, no stream.
 */
#ifndef WEIR_SCHEMA_DDL_H
#define WEIR_SCHEMA_DDL_H

#include "base/arena.h"
#include "schema/statement.h"
#include "schema/table.h"

struct ddl_session { /* in which the statement ran */
    enum binlog_flavour flavour;
    unsigned            version; /* 101106 is 10.11.6; 0: not known */
    struct weir_str     schema;
    uint64_t            sql_mode;
    uint32_t            flags2;
    uint16_t            error; /* that it ended with; 0: none */
    struct weir_str     server_collation; /* empty: not known */
};
/* From a QUERY event and a server's version as it says it ("10.11.6-MariaDB").
 * The collation's name is in `a`. */
struct ddl_session ddl_session_of(struct arena *a,
                                  const struct binlog_query *query,
                                  enum binlog_flavour flavour,
                                  const char *server_version);

/* The definition of a table, or NULL.  Without a name: of a schema, of which
 * only `collation` counts. */
typedef const struct definition *(*ddl_lookup)(void *arg,
                                               struct weir_str schema,
                                               struct weir_str name);

struct ddl_change {
    struct weir_str    schema, name; /* no name: the schema itself */
    struct definition *def; /* NULL: gone, or not known any more */
    bool               whole_schema; /* and so are all tables in it */
};
struct ddl_changes {
    size_t             n, room;
    struct ddl_change *items;
    const char        *why; /* NULL: understood.  Else a part of a sentence,
                               and all that the statement names is unknown */
};

/* `s` is what statement_parse() made of `text`; of kind TABLE, TRUNCATE or
 * DATABASE.  All in `a`.  Never fails. */
void ddl_follow(struct arena *a, const struct ddl_session *session,
                struct weir_str text, const struct statement *s,
                ddl_lookup lookup, void *arg, struct ddl_changes *out);

#endif
