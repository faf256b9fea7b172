/*
 * value.h - values and row images as text and as JSON.  What a JSON value looks
 * like for each type is documented in modules/README.md.  Knows no events.
 * Writes in the way of json.h.
 */
#ifndef WEIR_FORMAT_VALUE_H
#define WEIR_FORMAT_VALUE_H

#include <stdbool.h>

#include <weir/event.h>

#include "base/arena.h"
#include "base/buf.h"

enum { VALUE_ROOM = 64 }; /* of any value but text, bytes, JSON, decimals */

enum { /* how values are written where there is a choice; a set */
    STYLE_DECIMALS_AS_STRING = 1,
    STYLE_ZERO_DATES_NULL = 2, /* dates that are no day */
    STYLE_GEOMETRY_WKT = 4,    /* "POINT(1 2)", without the SRID */
};

/* A table's columns, ready for writing: `,"name":` of each. */
struct image_names {
    uint32_t           n;
    const char        *bytes;   /* with 32 more behind the last */
    const uint32_t    *offsets; /* n + 1 */
    size_t             room;    /* of all names and all values of VALUE_ROOM */
    unsigned            style;
    const struct weir_column *const *columns;
};
void image_prepare(struct arena *a, const struct weir_table *table,
                   unsigned style, struct image_names *out);

/* `{"id":1,...}`, without ABSENT columns; `null` if there is no image.  Needs
 * no room at p beforehand. */
char *image_json(const struct image_names *names, struct buf *out, char *p,
                 size_t keep, const struct weir_value *image);

#endif
