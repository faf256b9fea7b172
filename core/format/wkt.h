/*
 * wkt.h - GEOMETRY as the servers store it (SRID, then WKB) as well-known text:
 * "POINT(1 2)", as search engines take it.  Knows no coordinate systems: x goes
 * before y, as stored.
 */
#ifndef WEIR_FORMAT_WKT_H
#define WEIR_FORMAT_WKT_H

#include <stdbool.h>

#include <weir/event.h>

#include "base/buf.h"

/* Whether a column of that type holds geometries. */
bool wkt_is_geometry(struct weir_str sql_type);

/* Appends it as a JSON string.  False, and nothing appended: the bytes are no
 * geometry, or one of coordinates that are no numbers. */
bool wkt_json(struct weir_str bytes, struct buf *out);

#endif
