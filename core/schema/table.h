/*
 * table.h - definitions of tables: what a sink sees (struct weir_table), what
 * the decoder needs (struct binlog_column), made from a TABLE_MAP with full
 * metadata, or from one and a definition read elsewhere.  Knows no server and
 * no relay; a table frame's payload is made and read here.
 */
#ifndef WEIR_SCHEMA_TABLE_H
#define WEIR_SCHEMA_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/module.h>

#include "base/arena.h"
#include "base/buf.h"
#include "binlog/rows.h"

/* A column as information_schema has it. */
struct definition_column {
    struct weir_str name, sql_type, collation;
    unsigned        facets; /* WEIR_GENERATED, WEIR_INVISIBLE, WEIR_NOT_NULL */
};
struct definition_key { /* an index */
    struct weir_str name; /* "PRIMARY" */
    bool            unique;
    bool            partial; /* of parts of columns, or of expressions */
    uint32_t        ncolumns;
    uint32_t       *columns;
};
struct definition {
    uint32_t                  ncolumns, nkey;
    struct definition_column *columns;
    uint32_t                 *key;
    /* What only following DDL needs (ddl.h). */
    struct weir_str           collation; /* default; empty: not known */
    struct weir_str           schema_collation; /* its schema's; the same */
    bool                      indexes_told;
    uint32_t                  nindexes;
    struct definition_key    *indexes; /* in the server's order */
};

struct table {
    struct weir_table     pub;     /* what modules see; columns and all */
    struct binlog_column *columns; /* pub.ncolumns */
    bool                  names_known;
    const char           *reason;  /* why they are not */
    enum binlog_flavour   flavour;
};

/* Whether the TABLE_MAP brings the names itself (binlog_row_metadata=FULL). */
bool table_map_is_full(const struct binlog_table_map *map);

/*
 * All in `a`, nothing points into `map`.  `def` may be NULL.  Names come from
 * the map where it has them, else from def, else they are "@1", "@2", ... and
 * `names_known` is false with `reason` (copied; given by the caller, who knows
 * why).  With both, def adds what no TABLE_MAP says: UUID, INET4, INET6, JSON
 * and VECTOR of MariaDB, generated columns.  REJECT: def does not fit the map
 * in the number of columns or a column's type (says which), or the map's
 * metadata is malformed or of an unknown column type.
 */
enum weir_status table_make(struct arena *a, enum binlog_flavour flavour,
                            const struct binlog_table_map *map,
                            const struct definition *def, const char *reason,
                            struct table **out, struct weir_err *err);

/* Whether the definition fits the log and, with it, says all that is needed;
 * else why not. */
bool table_fits(struct arena *a, enum binlog_flavour flavour,
                const struct binlog_table_map *map,
                const struct definition *def, struct weir_err *why);

/* Whether a column of a table made without a definition may be of a type that
 * MariaDB's log has no word for: UUID, INET4, INET6, JSON, VECTOR. */
bool table_may_hide(const struct table *t, const char *server_version);
/* Whether one is a time in MariaDB's old format, whose rows can't be read
 * without a definition. */
bool table_is_untold(const struct table *t);

/* A table frame's payload: flavour, the TABLE_MAP's body as received, the
 * definition or the reason for none.  Read back by table_load(), which sets
 * `pub.version` to `version`. */
void table_save(struct buf *out, enum binlog_flavour flavour,
                struct weir_str map_body, const struct definition *def,
                const char *reason);
enum weir_status table_load(struct arena *a, struct weir_str payload,
                            uint64_t version, struct table **out,
                            struct weir_err *err);
/* What such a payload says, which it points into, without a table being made of
 * it; false: malformed. */
struct table_frame {
    struct binlog_table_map  map;
    struct weir_str          body; /* of that */
    enum binlog_flavour      flavour;
    bool                     names_known;
    const char              *reason; /* why not, or NULL */
    const struct definition *def;    /* or NULL */
};
bool table_frame_read(struct arena *a, struct weir_str payload,
                      struct table_frame *out);
/* The definition in such a payload, which it points into; false if it has
 * none, or is malformed. */
bool table_load_definition(struct arena *a, struct weir_str payload,
                           struct weir_str *schema, struct weir_str *name,
                           const struct definition **out);

/* A definition by itself, with whose it is; several stand one behind the other.
 * Loading takes one off *from, into which it points; false: malformed. */
void definition_save(struct buf *out, struct weir_str schema,
                     struct weir_str name, const struct definition *def);
bool definition_load(struct arena *a, struct weir_str *from,
                     struct weir_str *schema, struct weir_str *name,
                     struct definition **out);

/* A copy, all of it in `a`. */
struct definition *definition_copy(struct arena *a,
                                   const struct definition *def);

#endif
