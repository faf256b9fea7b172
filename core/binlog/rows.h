/*
 * rows.h - row images to values.  Knows column types, not names; what the
 * columns are is told by struct binlog_column (made by schema/table.c from the
 * TABLE_MAP and the definition).  No I/O, no allocation but from the arena.
 */
#ifndef WEIR_BINLOG_ROWS_H
#define WEIR_BINLOG_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/module.h>

#include "base/arena.h"
#include "binlog/event.h"
#include "binlog/transcode.h"

/* The fixed part of a TABLE_MAP, and its optional metadata as raw slices. */
struct binlog_table_map {
    uint64_t        id;
    uint16_t        flags;
    struct weir_str schema, name;
    uint32_t        ncolumns;
    const uint8_t  *types;    /* ncolumns */
    const uint8_t  *metadata; /* by column, 0 to 4 bytes each */
    size_t          metadata_len;
    const uint8_t  *nullable; /* bitmap */
    const uint8_t  *optional; /* type, length, value ... */
    size_t          optional_len;
};
enum weir_status binlog_table_map_parse(const void *body, size_t len,
                                        struct binlog_table_map *out,
                                        struct weir_err *err);
/* The table id of a TABLE_MAP's or rows event's body; UINT64_MAX: too short. */
uint64_t binlog_table_id(const void *body, size_t len);

enum binlog_text { /* how the bytes of a text column become UTF-8 */
    TEXT_UTF8,     /* utf8mb3, utf8mb4, ascii: checked, else REJECT */
    TEXT_LATIN1,   /* MySQL's latin1 is cp1252 */
    TEXT_BINARY,   /* no text at all: WEIR_BYTES */
    TEXT_CODED,    /* another charset, by its transcoder: else REJECT */
    TEXT_UNKNOWN,  /* a charset that nobody here knows: REJECT when wanted */
    TEXT_UNTOLD,   /* neither the log nor a definition says which: WEIR_TEXT
                      where it is valid UTF-8, else WEIR_BYTES */
};

struct binlog_column {
    uint8_t                type;  /* as in the row: STRING's real one split */
    uint16_t               meta;  /* see table_map.h */
    bool                   is_unsigned, nullable; /* signed if nobody says */
    uint32_t               pad;   /* BINARY(n), UUID, INET: n, else 0 */
    enum binlog_text       text;
    const struct transcoder *coder; /* of TEXT_CODED */
    enum weir_type         out;   /* of the values */
    uint32_t               nmembers;
    const struct weir_str *members; /* of ENUM and SET, UTF-8 */
    const char            *unsupported; /* why it can't be read, or NULL */
    uint8_t                special; /* enum binlog_special */
    uint8_t                size; /* of a value, where all have the same */
    uint8_t                length_size; /* else of the length before each */
    uint8_t                hidden; /* the first one's: how many stand behind the
                                      table's columns, which nobody sees */
};
enum binlog_special { SPECIAL_NONE, SPECIAL_UUID, SPECIAL_INET4,
                      SPECIAL_INET6 }; /* become their usual text */

/* A walk over the rows of one event; fields are rows.c's own but the first
 * ones. */
struct binlog_rows {
    enum weir_op op; /* INSERT, UPDATE or DELETE */
    uint32_t     index; /* of the row that was read last, from 0 */
    bool         statement_end;

    const struct binlog_column *columns;
    uint32_t                    ncolumns;
    uint32_t                    width; /* with those that are hidden */
    const uint8_t              *start, *p, *end;
    const uint8_t              *present[2]; /* before, after */
    uint32_t                    npresent[2];
    uint32_t                    next;
    bool                        partial; /* PARTIAL_UPDATE */
};

/* `columns` has the hidden ones, too; `ncolumns` doesn't count them.
 * `body` of a rows event that is not compressed.  REJECT: malformed, or of
 * another number of columns than the table. */
enum weir_status binlog_rows_open(struct binlog_rows *r,
                                  enum binlog_type type, const void *body,
                                  size_t len,
                                  const struct binlog_column *columns,
                                  uint32_t ncolumns, struct weir_err *err);

/*
 * The next row.  before and after have room for ncolumns values each; the one
 * that the operation doesn't have is left alone.  Columns not in the image are
 * ABSENT; so are those whose bit in `wanted` (a bitmap, NULL: all) is not set,
 * which are skipped over undecoded.  Values point into the event's bytes or the
 * arena.  DROP: no more rows.  REJECT: malformed, or a value that can't be
 * given unaltered (the reason names the column's number, from 1); the walk
 * then stands before that row, and binlog_rows_skip() steps over it, unless it
 * is malformed.  A row becomes BINLOG_MAX_EVENT bytes at most.
 */
enum weir_status binlog_rows_next(struct binlog_rows *r, const uint8_t *wanted,
                                  struct weir_value *before,
                                  struct weir_value *after, struct arena *a,
                                  struct weir_err *err);
/* Steps over `count` rows without any decoding.  DROP: there are not so many.
 */
enum weir_status binlog_rows_skip(struct binlog_rows *r, uint32_t count,
                                  struct weir_err *err);

/* The bytes that a text was made from, of a value from there whose `logged` is
 * set; they live as long as it does. */
struct weir_str binlog_logged(const struct weir_value *v);

#endif
