/*
 * tablemap.h - the tables of a binlog by the numbers that its events give them.
 * A TABLE_MAP comes before each statement and mostly says what the last one
 * with its number said: then what was made of that one is used again.
 */
#ifndef WEIR_TOOLS_TABLEMAP_H
#define WEIR_TOOLS_TABLEMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "binlog/event.h"
#include "format/format.h"
#include "schema/table.h"

struct mapped_table {
    uint64_t             id;
    struct weir_str      body;   /* of its TABLE_MAP */
    struct arena         arena;  /* all that is its own */
    struct weir_str      schema, name;
    bool                 wanted; /* if not, table is NULL */
    bool                 bad;    /* can't be read, which was said */
    uint64_t             failed; /* events with rows that can't be */
    struct table        *table;
    struct format_table *format;
    struct weir_value   *before, *after; /* a row's, used for each */
};

struct tablemap { /* open addressing, a power of two; may be zeroed */
    struct mapped_table **slots;
    size_t                room, n;
};

struct mapped_table *tablemap_find(const struct tablemap *m, uint64_t id);
/* A new one under that id, in place of any other; `body` is copied. */
struct mapped_table *tablemap_put(struct tablemap *m, uint64_t id,
                                  struct weir_str body);
void                 tablemap_clear(struct tablemap *m);

#endif
