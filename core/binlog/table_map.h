/*
 * table_map.h - column types of a TABLE_MAP: what each takes in a row.  Not
 * what it means: signedness, charset and names are schema/table.c's affair.
 */
#ifndef WEIR_BINLOG_TABLE_MAP_H
#define WEIR_BINLOG_TABLE_MAP_H

#include "binlog/rows.h"

enum column_type { /* as in binlogs: MySQL field_types.h, MariaDB's too */
    COLUMN_TINY = 1, COLUMN_SHORT = 2, COLUMN_LONG = 3, COLUMN_FLOAT = 4,
    COLUMN_DOUBLE = 5, COLUMN_TIMESTAMP = 7, COLUMN_LONGLONG = 8,
    COLUMN_INT24 = 9, COLUMN_DATE = 10, COLUMN_TIME = 11,
    COLUMN_DATETIME = 12, COLUMN_YEAR = 13, COLUMN_VARCHAR = 15,
    COLUMN_BIT = 16, COLUMN_TIMESTAMP2 = 17, COLUMN_DATETIME2 = 18,
    COLUMN_TIME2 = 19, COLUMN_TYPED_ARRAY = 20,
    COLUMN_BLOB_COMPRESSED = 140, COLUMN_VARCHAR_COMPRESSED = 141,
    COLUMN_VECTOR = 242, COLUMN_JSON = 245, COLUMN_DECIMAL = 246,
    COLUMN_ENUM = 247, COLUMN_SET = 248, COLUMN_BLOB = 252,
    COLUMN_VAR_STRING = 253, COLUMN_STRING = 254, COLUMN_GEOMETRY = 255,
};

/*
 * Fills type, meta, nullable, size and length_size of map->ncolumns columns.
 * `meta` is then: bytes at most (strings), bits (BIT), precision << 8 | scale
 * (decimals), digits of the second's fraction (times), else 0.  REJECT: a type
 * that is not known, or metadata that is not its type's.
 */
enum weir_status table_map_columns(const struct binlog_table_map *map,
                                   struct binlog_column *columns,
                                   struct weir_err *err);

#endif
