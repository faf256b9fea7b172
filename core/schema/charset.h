/*
 * charset.h - collations, by their number in a TABLE_MAP or their name in a
 * definition: which charset they are of, and how its text is read.
 */
#ifndef WEIR_SCHEMA_CHARSET_H
#define WEIR_SCHEMA_CHARSET_H

#include "base/arena.h"
#include "binlog/rows.h"

struct charset {
    struct weir_str  name;     /* "utf8mb4"; empty: not known */
    unsigned         maxlen;   /* bytes of a character at most; 0: not known */
    enum binlog_text text;
    const struct transcoder *coder; /* of TEXT_CODED */
};

enum { COLLATION_BINARY = 63 };

/* Of a collation's number; its name, in `a`, is empty where it isn't known. */
struct charset charset_of_id(struct arena *a, uint64_t id,
                             struct weir_str *collation);
/* Of a collation's name, or a charset's. */
struct charset charset_of_collation(struct weir_str collation);

/* A text's bytes in its column's charset, as they were logged; no data: they
 * are not known. */
struct weir_str charset_bytes(const struct weir_column *column,
                              const struct weir_value *v);

/* `from` in UTF-8, in `a`; false: it is no text in that charset, and `out` is
 * as it was. */
bool charset_text(struct arena *a, const struct charset *charset,
                  struct weir_str from, struct weir_str *out);

#endif
