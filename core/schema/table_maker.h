/*
 * table_maker.h - a table on its way, within schema/: first what the log says
 * (table_log.c), then what a definition adds (table_define.c), then what
 * follows from both (table.c).
 */
#ifndef WEIR_SCHEMA_TABLE_MAKER_H
#define WEIR_SCHEMA_TABLE_MAKER_H

#include "schema/charset.h"
#include "schema/optional.h"
#include "schema/sql_type.h"
#include "schema/table.h"

struct told { /* of a column, until it is made */
    struct charset  charset;
    struct weir_str collation;
    bool            charset_told;
    uint64_t        detail; /* a geometry's kind, a vector's dimensions */
    struct sql_type type;   /* as defined; empty without a definition */
};

struct maker {
    struct arena                  *a;
    const struct binlog_table_map *map;
    uint32_t                       n; /* columns that are anybody's */
    const struct definition       *def;
    enum binlog_flavour            flavour;
    struct optional                opt;
    struct binlog_column          *columns; /* for the decoder */
    struct weir_column            *pub;     /* for modules */
    struct told                   *told;
    struct weir_err               *err;
};

/* REJECT, with the table's name, or the column's too, in front. */
enum weir_status maker_fail(const struct maker *m, const char *what);
enum weir_status maker_column_fail(const struct maker *m, uint32_t i,
                                   const char *what);

bool is_numeric(uint8_t type); /* has a sign in the metadata */
bool is_member(uint8_t type);  /* ENUM or SET */

/* Both fill columns, pub and told. */
enum weir_status maker_read_log(struct maker *m);
enum weir_status maker_read_definition(struct maker *m);

#endif
