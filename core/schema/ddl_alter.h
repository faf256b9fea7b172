/*
 * ddl_alter.h - ALTER TABLE while it is read, within schema/.
 */
#ifndef WEIR_SCHEMA_DDL_ALTER_H
#define WEIR_SCHEMA_DDL_ALTER_H

#include "schema/ddl_draft.h"

struct move { /* of a column that is added, or changed with FIRST or AFTER */
    struct draft_column *column;
    bool                 first;
    struct weir_str      after; /* empty: at the end */
};

struct alter {
    struct draft    *d;
    struct draft     added; /* indexes of the statement */
    size_t           nmoves, moves_room;
    struct move     *moves;
    size_t           nold;
    struct draft_column **old; /* as they were before */
    struct draft_column **now; /* the same, as they have become; NULL: gone */
    struct weir_str  charset, collate, convert_charset, convert_collate;
    struct weir_str  period[2]; /* columns that PERIOD makes NOT NULL */
    bool             convert;
    struct statement_table *renamed;
};

/* ddl_alter.c */
bool alter_fail(struct alter *al, const char *why);
/* What has become of the column that had the name before; NULL: it was not
 * there, or is dropped. */
struct draft_column *alter_find_now(const struct alter *al,
                                    struct weir_str name);
/* IF [NOT] EXISTS of a column that is not found.  False: its name, or another's,
 * has letters that only the server can compare: E with an accent is an e. */
bool alter_pass_over(struct alter *al, struct weir_str name);
/* It is FIRST or AFTER something now, and stands nowhere until all is read. */
bool alter_is_moved(const struct alter *al, const struct draft_column *c);
void alter_drop(struct alter *al, const struct draft_column *c);
bool alter_take_if_exists(struct draft *d);
bool alter_read_place(struct alter *al, struct move *m);
bool alter_add_move(struct alter *al, const struct move *m);
/* Indexes that a column brings go behind those that are there. */
bool alter_read_column(struct alter *al, struct weir_str name,
                       struct draft_column **out);
bool alter_skip_rest(struct alter *al);

/* ddl_change.c: behind the word of that name. */
bool alter_read_drop(struct alter *al);
bool alter_read_change(struct alter *al, bool modify);
bool alter_read_rename(struct alter *al);
bool alter_read_alter(struct alter *al);

#endif
