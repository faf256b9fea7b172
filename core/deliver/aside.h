/*
 * aside.h - what this sink has put aside: its parked tables and its dead
 * letters, each in a side log (sidelog.h) under the sink's folder, `park/` and
 * `dead/`; and how they come back, when a person asks for it.  The decoding
 * thread's.
 */
#ifndef WEIR_DELIVER_ASIDE_H
#define WEIR_DELIVER_ASIDE_H

#include "deliver/internal.h"
#include "deliver/refuse.h"

/* Finds what is there.  Once, before anything is delivered. */
enum weir_status aside_open(struct deliverer *d, struct weir_err *err);
void             aside_close(struct deliverer *d);

struct aside_table;
/* NULL: it is not parked. */
struct aside_table *aside_find(const struct deliverer *d,
                               struct weir_str schema, struct weir_str table);
/* That table is parked, from that row of that frame on: what stands before the
 * first event in its side log was the sink's, and is again after a crash. */
bool aside_holds(const struct deliverer *d, struct weir_str schema,
                 struct weir_str table, uint64_t frame, uint32_t row);
enum weir_status aside_put(struct deliverer *d, const struct refused *what,
                           struct weir_err *err);
enum weir_status aside_settle(struct deliverer *d, struct weir_err *err);

/* aside_request.c: at a start, when d->found is known and nothing is on its way.
 * How far a side log was applied, as the sink's checkpoint says, is made good;
 * then what is asked for is done and answered.  RETRY: again, after a while;
 * what was done stays. */
enum weir_status aside_start(struct deliverer *d, struct weir_err *err);
bool             aside_is_asked(const struct deliverer *d);

/* aside_apply.c: a side log through the sink, on lane 0, up to where the stream
 * goes on.  `dead`: only those letters, each for itself; NULL: all that was not
 * yet.  REJECT: refused again, and what stands before it is applied. */
struct dead_list;
struct aside_outcome {
    uint64_t        applied; /* events */
    uint64_t        refused; /* letters, again, */
    struct weir_err why;     /* the first of them since */
};
enum weir_status aside_apply(struct deliverer *d, struct aside_table *t,
                             const struct dead_list *dead,
                             struct aside_outcome *out, struct weir_err *err);

/* What aside*.c share. */
struct aside_table {
    struct aside_table *next;
    char               *dir;
    struct buf          schema, table;
    struct sidelog     *log; /* NULL: dead letters that are not there yet */
    uint64_t            frame; /* of its first event, as put: sidelog.h */
    uint32_t            row;
    bool                alone; /* nothing of it is on its way to the sink */
    char               *why;   /* it was parked, until that is durable and said */
};
struct aside {
    const char         *dir; /* of the sink */
    struct arena        arena, call;
    struct aside_table *parked;
    struct aside_table  dead;
    bool                alarmed;
    bool                applying; /* a side log: what is refused stays there */
    uint64_t            row_frame; /* of the record then, in the relay */
};
void aside_forget(struct deliverer *d, struct aside_table *t);
void aside_show(const struct deliverer *d);

#endif
