/* wkt.c - see wkt.h.  WKB: OGC 06-103r4, 8.2; MySQL manual, "Internal Geometry
 * Storage Format". */
#include "format/wkt.h"

#include <math.h>
#include <strings.h>

#include "base/bytes.h"
#include "base/str.h"
#include "format/shortest.h"

enum { SRID_BYTES = 4, HEAD_BYTES = 5, POINT_BYTES = 16, DEPTH = 16 };
enum { LITTLE_ENDIAN = 1 };
enum shape {
    SHAPE_POINT = 1, SHAPE_LINE, SHAPE_POLYGON, SHAPE_POINTS, SHAPE_LINES,
    SHAPE_POLYGONS, SHAPE_COLLECTION
};

struct wkb {
    const char *p, *end;
    struct buf *out;
};

bool
wkt_is_geometry(struct weir_str sql_type)
{
    static const char *const names[] = {
        "geometry", "point", "linestring", "polygon", "multipoint",
        "multilinestring", "multipolygon", "geomcollection",
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const size_t n = strlen(names[i]);
        if (sql_type.len >= n && strncasecmp(sql_type.data, names[i], n) == 0) {
            return true; /* "geometrycollection" too */
        }
    }
    return false;
}

/* How many things of at least `least` bytes follow. */
static bool
read_count(struct wkb *w, size_t least, uint32_t *out)
{
    if ((size_t)(w->end - w->p) < 4) {
        return false;
    }
    *out = get_le32(w->p);
    w->p += 4;
    return *out <= (size_t)(w->end - w->p) / least;
}

static bool
read_double(struct wkb *w)
{
    const uint64_t bits = get_le64(w->p);
    double         d;

    memcpy(&d, &bits, sizeof d);
    w->p += 8;
    if (!isfinite(d)) {
        return false;
    }
    char *at = buf_need(w->out, SHORTEST_ROOM);
    w->out->len += (size_t)(shortest_double(at, d) - at);
    return true;
}

static bool
read_point(struct wkb *w)
{
    if (w->end - w->p < POINT_BYTES || !read_double(w)) {
        return false;
    }
    buf_byte(w->out, ' ');
    return read_double(w);
}

static bool
read_points(struct wkb *w)
{
    uint32_t n;
    bool     good = read_count(w, POINT_BYTES, &n) && n > 0;

    buf_byte(w->out, '(');
    for (uint32_t i = 0; good && i < n; i++) {
        buf_text(w->out, i ? "," : "");
        good = read_point(w);
    }
    buf_byte(w->out, ')');
    return good;
}

static bool
read_rings(struct wkb *w)
{
    uint32_t n;
    bool     good = read_count(w, 4, &n) && n > 0;

    buf_byte(w->out, '(');
    for (uint32_t i = 0; good && i < n; i++) {
        buf_text(w->out, i ? "," : "");
        good = read_points(w);
    }
    buf_byte(w->out, ')');
    return good;
}

static bool read_shape(struct wkb *w, bool named, unsigned depth);

static bool
read_shapes(struct wkb *w, bool named, unsigned depth)
{
    uint32_t n;
    bool     good = read_count(w, HEAD_BYTES, &n);

    if (good && n == 0) {
        buf_text(w->out, " EMPTY");
        return true;
    }
    buf_byte(w->out, '(');
    for (uint32_t i = 0; good && i < n; i++) {
        buf_text(w->out, i ? "," : "");
        good = read_shape(w, named, depth + 1);
    }
    buf_byte(w->out, ')');
    return good;
}

/* Parts of a MULTI... are written without their names. */
static bool
read_shape(struct wkb *w, bool named, unsigned depth)
{
    static const char *const names[] = {
        [SHAPE_POINT] = "POINT", [SHAPE_LINE] = "LINESTRING",
        [SHAPE_POLYGON] = "POLYGON", [SHAPE_POINTS] = "MULTIPOINT",
        [SHAPE_LINES] = "MULTILINESTRING", [SHAPE_POLYGONS] = "MULTIPOLYGON",
        [SHAPE_COLLECTION] = "GEOMETRYCOLLECTION",
    };

    if (w->end - w->p < HEAD_BYTES || w->p[0] != LITTLE_ENDIAN ||
        depth > DEPTH) {
        return false;
    }
    const uint32_t shape = get_le32(w->p + 1);
    w->p += HEAD_BYTES;
    if (shape < SHAPE_POINT || shape > SHAPE_COLLECTION) {
        return false;
    }
    buf_text(w->out, named ? names[shape] : "");
    switch ((enum shape)shape) {
    case SHAPE_POINT:
        buf_byte(w->out, '(');
        if (!read_point(w)) {
            return false;
        }
        buf_byte(w->out, ')');
        return true;
    case SHAPE_LINE:
        return read_points(w);
    case SHAPE_POLYGON:
        return read_rings(w);
    default:
        return read_shapes(w, shape == SHAPE_COLLECTION, depth);
    }
}

bool
wkt_json(struct weir_str bytes, struct buf *out)
{
    const size_t start = out->len;
    struct wkb   w = { .p = bytes.data + SRID_BYTES,
                       .end = bytes.data + bytes.len,
                       .out = out };

    if (bytes.len < SRID_BYTES + HEAD_BYTES) {
        return false;
    }
    buf_byte(out, '"');
    if (!read_shape(&w, true, 0) || w.p != w.end) {
        out->len = start;
        return false;
    }
    buf_byte(out, '"');
    return true;
}
