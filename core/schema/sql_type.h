/*
 * sql_type.h - a column's type as SQL writes it, "decimal(10,2) unsigned": to
 * parts, from parts, and whether it is what a TABLE_MAP says.
 */
#ifndef WEIR_SCHEMA_SQL_TYPE_H
#define WEIR_SCHEMA_SQL_TYPE_H

#include "base/arena.h"
#include "binlog/rows.h"

struct sql_type {
    struct weir_str  base;        /* "decimal", in lower case */
    bool             has_numbers;
    uint64_t         first, second; /* in its parentheses; 0 */
    bool             is_unsigned;
    uint32_t         nmembers;    /* of ENUM and SET */
    struct weir_str *members;
};

/* All in `a`.  False: it is not a type. */
bool sql_type_parse(struct arena *a, struct weir_str text,
                    struct sql_type *out);

/* Whether a column so defined is logged as `c`; `maxlen` is that of a character
 * in its charset, 0 if not known. */
bool sql_type_fits(const struct sql_type *type, const struct binlog_column *c,
                   unsigned maxlen);

/* What the log alone says, by a column that is filled in otherwise.  `maxlen`
 * as above; `detail` is a geometry's kind or a vector's dimensions. */
struct weir_str sql_type_of(struct arena *a, const struct binlog_column *c,
                            unsigned maxlen, uint64_t detail);

/* "enum('a','b')" */
struct weir_str sql_type_members(struct arena *a, const char *base, uint32_t n,
                                 const struct weir_str *members);

#endif
