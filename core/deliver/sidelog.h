/*
 * sidelog.h - what a sink will not have, kept: raw frames, with the table frame
 * and transaction head that explain them, in a relay of their own (relay/), so
 * that what reads a relay reads it.  One folder for each parked table, and one
 * for dead letters.  Knows no sink, and nothing of keys.  One thread, one
 * writing process.
 *
 * For each event that is put there:  HEAD, TABLE and the ROW or DDL frame, each
 * once for a segment, its own `head` and `table` offsets set to where those now
 * stand; then
 *   ASIDE  u64 frame, u32 row, u32 nrows: as in deliver/refuse.h; u64 body:
 *          where the copy of the ROW or DDL frame stands, i64 usec: when,
 *          u32 attempts, u32 reason_len, u32 from: of all rows, those before
 *          this one had been taken, u32 part: of a row that changes its key,
 *          refuse.h; reason
 * and, where all before it is settled, a HEARTBEAT.  What stands behind the last
 * one when the log is opened again was never there.  A file `done` holds the
 * offset up to which the log has been applied.
 */
#ifndef WEIR_DELIVER_SIDELOG_H
#define WEIR_DELIVER_SIDELOG_H

#include <stdbool.h>

#include "base/arena.h"
#include "deliver/refuse.h"
#include "relay/frame.h"

struct sidelog;

/* The folder's name for a table: plain letters, whatever the names hold. */
const char *sidelog_folder(struct arena *a, struct weir_str schema,
                           struct weir_str table);
/* The page that says how far it is published. */
const char *sidelog_page(struct arena *a, const char *dir);

/* Opens or makes it.  `schema` and `table` are kept in it, for people. */
enum weir_status sidelog_open(const char *dir, struct weir_str schema,
                              struct weir_str table, struct sidelog **out,
                              struct weir_err *err);
void             sidelog_close(struct sidelog **s);

struct side_put {
    uint64_t            frame;
    uint32_t            row, nrows, attempts, from;
    enum row_part       part;
    struct weir_str     reason;
    const struct frame *body, *head, *table; /* as in the relay; table: or
                                                NULL */
};
/* Once only: DROP, and nothing is written, if that row of that frame, or all of
 * the frame, is there; of a row whose one half is there, the other one is put.
 * RETRY: no room on the disk; nothing was put. */
enum weir_status sidelog_put(struct sidelog *s, const struct side_put *put,
                             struct weir_err *err);
/* Makes durable what was put. */
enum weir_status sidelog_settle(struct sidelog *s, struct weir_err *err);
uint64_t         sidelog_bytes(const struct sidelog *s);
/* Its lowest row of the lowest frame; UINT64_MAX: it is empty. */
void sidelog_first(const struct sidelog *s, uint64_t *frame, uint32_t *row);
/* Rows that it holds, applied ones too. */
uint64_t         sidelog_rows(const struct sidelog *s);

/* ---- Reading: by the writing process, or any other */

struct side_record {
    uint64_t        at, next; /* of its ASIDE frame, and behind it */
    uint64_t        frame;
    uint32_t        row, nrows, attempts, from;
    enum row_part   part;
    int64_t         usec;
    struct weir_str reason;
    uint64_t        body; /* offset */
};

struct follower;
/* DROP: there is no such log. */
enum weir_status sidelog_read(const char *dir, struct follower **out,
                              struct weir_err *err);
/* The next event that was put there, from the follower's place on; DROP: no
 * more.  Texts live until the next call. */
enum weir_status sidelog_next(struct follower *f, struct side_record *out,
                              struct weir_err *err);
/* Names that it was opened with; in `a`. */
enum weir_status sidelog_names(const char *dir, struct arena *a,
                               struct weir_str *schema, struct weir_str *table,
                               struct weir_err *err);
/* 0: nothing of it yet. */
enum weir_status sidelog_done(const char *dir, uint64_t *out,
                              struct weir_err *err);
enum weir_status sidelog_set_done(const char *dir, uint64_t done,
                                  struct weir_err *err);
/* Single records, by the offset behind them: `handled`, a line each. */
enum weir_status sidelog_set_handled(const char *dir, uint64_t next,
                                     struct weir_err *err);
/* All of it, for good; closed before. */
enum weir_status sidelog_remove(const char *dir, struct weir_err *err);

#endif
