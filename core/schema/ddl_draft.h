/*
 * ddl_draft.h - a table while a statement changes it, within schema/: columns
 * and indexes as written, which become a definition when all is read, since
 * defaults may stand behind what they are for.
 */
#ifndef WEIR_SCHEMA_DDL_DRAFT_H
#define WEIR_SCHEMA_DDL_DRAFT_H

#include "schema/ddl.h"
#include "schema/token.h"

enum draft_kind { KIND_INT, KIND_DECIMAL, KIND_REAL, KIND_TIME, KIND_TEXT,
                  KIND_BYTES, KIND_MEMBERS, KIND_PLAIN, KIND_LENGTH };

struct draft_column {
    struct weir_str name;
    unsigned        facets; /* WEIR_GENERATED, WEIR_INVISIBLE, WEIR_NOT_NULL */
    bool            settled; /* sql_type and collation are what they say */
    struct weir_str sql_type, collation;
    /* As written, until it is settled. */
    const char      *base;
    bool             has_length, has_scale, is_unsigned, zerofill;
    uint64_t         length, scale;
    uint32_t         nmembers;
    struct weir_str *members;
    struct weir_str  charset, collate; /* empty: by default */
    bool             binary, national, compressed, json_check;
    bool             null_said;
};

struct draft_index {
    struct weir_str       name; /* empty: to be found */
    bool                  unique, primary, partial;
    bool                  if_not_exists;
    size_t                ncolumns;
    struct weir_str      *names; /* of columns, until they are found */
    struct draft_column **columns;
};

struct draft {
    struct arena             *a;
    const struct ddl_session *session;
    struct tokens            *t;
    const char               *why; /* what was not understood first */
    struct weir_str           collation, schema_collation;
    size_t                    ncolumns, columns_room;
    struct draft_column     **columns;
    bool                      indexes_told;
    bool                      reordered; /* indexes may stand in an order that
                                            the text does not tell */
    size_t                    nindexes, indexes_room;
    struct draft_index      **indexes;
    struct weir_str           period[2]; /* columns of a PERIOD */
    size_t                    nkey; /* if indexes are not told */
    struct draft_column     **key;
};

/* ddl_draft.c.  Those that give a bool give false where they set `why`. */
bool draft_fail(struct draft *d, const char *why);
void draft_from(struct draft *d, const struct definition *def);
struct draft_column *draft_find(const struct draft *d, struct weir_str name);
struct draft_index *draft_find_index(const struct draft *d,
                                     struct weir_str name);
void draft_put(struct draft *d, size_t at, struct draft_column *c);
void draft_remove(struct draft *d, size_t at);
size_t draft_place(const struct draft *d, const struct draft_column *c);
bool draft_add_index(struct draft *d, struct draft_index *index);
void draft_remove_index(struct draft *d, const struct draft_index *index);
/* Settles everything; NULL with `why`. */
struct definition *draft_finish(struct draft *d);

/* ddl_type.c */
bool draft_read_type_attributes(struct draft *d, struct draft_column *c);
bool draft_read_type(struct draft *d, struct draft_column *c);
enum draft_kind draft_kind_of(const char *base);

/* ddl_column.c */
bool draft_read_column(struct draft *d, struct weir_str name,
                       struct draft_column **out);

/* ddl_settle.c */
bool draft_settle_column(struct draft *d, struct draft_column *c);
/* CONVERT TO CHARACTER SET. */
bool draft_convert_column(struct draft *d, struct draft_column *c,
                          struct weir_str collation);

/* ddl_charset.c.  "utf8mb4", "utf8mb4_bin" or both to a collation; a charset's
 * own name where which one is its default can't be known.  Empty: not
 * understood. */
struct weir_str draft_collation(struct draft *d, struct weir_str charset,
                                struct weir_str collate);

/* ddl_table.c */
bool draft_name(struct draft *d, struct weir_str *out);
/* Past "(...)", whatever stands in it. */
bool draft_skip_parentheses(struct draft *d);
/* PERIOD FOR name (from, to), if it stands here; of an application, not of
 * system versioning; and what it does to the columns (empty names: nothing). */
bool draft_is_period(const struct tokens *t);
bool draft_read_period(struct draft *d, struct weir_str *from,
                       struct weir_str *to);
bool draft_apply_period(struct draft *d, const struct weir_str columns[2]);
/* `(`, columns and indexes, `)`. */
bool draft_read_elements(struct draft *d);
/* CONSTRAINT, INDEX, PRIMARY KEY and their like, if one stands here. */
bool draft_read_index_or_check(struct draft *d, bool *was);
/* Behind the word INDEX. */
bool draft_read_index(struct draft *d, struct draft_index *index);
/* One option, of those that CREATE and ALTER share. */
bool draft_read_option(struct draft *d, struct weir_str *charset,
                       struct weir_str *collate);
/* All that stands behind CREATE TABLE's columns. */
bool draft_read_options(struct draft *d);

/* ddl_alter.c: behind the table's name; `renamed` as statement_table. */
bool draft_alter(struct draft *d, struct statement_table *renamed);

#endif
