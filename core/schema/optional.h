/*
 * optional.h - the optional metadata of a TABLE_MAP, field by field.  All but
 * signedness and charsets come with binlog_row_metadata=FULL only.
 */
#ifndef WEIR_SCHEMA_OPTIONAL_H
#define WEIR_SCHEMA_OPTIONAL_H

#include "binlog/rows.h"

struct optional { /* data is NULL where the field is not there */
    struct weir_str signedness, names, set_members, enum_members, geometry,
        vector, key, key_with_prefix, visibility;
    struct weir_str default_charset, charsets; /* of character columns */
    struct weir_str default_member_charset, member_charsets;
};

/* False: malformed. */
bool optional_parse(const struct binlog_table_map *map, struct optional *out);

/* Bit `i`, the most significant first; false beyond the end. */
bool optional_bit(struct weir_str bits, size_t i);

/* Collations, one call for each column in turn. */
struct collations {
    struct weir_str list, exceptions; /* one of them */
    uint64_t        common, next_index, next, index;
    bool            told, bad;
    const uint8_t  *p;
};
struct collations collations_of(struct weir_str common,
                                struct weir_str list);
/* UINT64_MAX: not told. */
uint64_t collations_next(struct collations *c);

#endif
