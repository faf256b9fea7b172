/* internal.h - the deliverer as its own files see it. */
#ifndef WEIR_DELIVER_INTERNAL_H
#define WEIR_DELIVER_INTERNAL_H

#include <pthread.h>

#include "base/arena.h"
#include "base/request.h"
#include "base/twoslot.h"
#include "binlog/gtid.h"
#include "binlog/rows.h"
#include "deliver/deliver.h"
#include "format/format.h"
#include "format/template.h"
#include "module/instance.h"
#include "relay/follow.h"
#include "relay/progress.h"
#include "schema/statement.h"
#include "schema/table.h"

enum { MAX_BATCH_EVENTS = 65536 };

/* What one filter or transform does to one version of a table. */
struct step {
    struct weir_instance    *in;
    void                    *slot;
    const struct weir_table *from, *to; /* the same for a filter */
    const uint32_t          *of; /* of `to`'s columns, UINT32_MAX: none; NULL
                                    if all stay as they are */
};

struct bound_template {
    const struct weir_template *t;
    uint32_t                   *columns; /* of the parts; NULL: not yet */
    struct weir_err             why;     /* it could not be bound */
    bool                        bad;
};
struct bound_format {
    const struct weir_format *f;
    struct format_table      *ft;
};

/* A version of a table as this sink sees it.  view.c */
struct view {
    struct view             *next;
    struct arena             arena;
    struct table            *table;
    struct weir_str          payload; /* of its table frame */
    bool                     wanted;
    bool                     name_only; /* for what a statement is about */
    unsigned                 ops;
    uint8_t                 *columns; /* bitmap of what is decoded */
    size_t                   nsteps;
    struct step             *steps;
    const struct weir_table *out; /* what the sink's table() was given */
    void                    *slot; /* and what it made of it */
    size_t                   ntemplates, nformats;
    struct bound_template   *templates;
    struct bound_format     *formats;
    bool                     sink_knows; /* table() said OK: table_end() */
};

struct verdict {
    size_t           event;
    enum weir_status status;
    char             reason[512];
};

struct batch {
    struct batch_head         head; /* first: see instance.h */
    struct arena              arena;
    const struct weir_event **events;
    void                    **slots;
    struct view             **views;
    size_t                    n, room, bytes;
    struct block            **blocks; /* that values point into */
    size_t                    nblocks, blocks_room;
    struct buf                checkpoint;
    struct verdict           *verdicts;
    size_t                    nverdicts;

    /* Of a PENDING batch. */
    pthread_mutex_t  lock;
    pthread_cond_t   ended;
    bool             done;
    enum weir_status outcome;
    struct weir_err  reason;
};

/* Where the stream stands. */
struct place {
    uint64_t         next, head;
    uint32_t         next_row;
    struct gtid_set *gtids;
    struct buf       file;
    uint64_t         file_offset;
    int64_t          commit_usec; /* of the last transaction */
};

struct deliverer {
    struct deliver_settings set;
    char                    name[140]; /* "shop/cache" */
    struct arena            paths;
    const char             *relay_dir, *relay_page, *id_path, *checkpoint_path;
    const char             *request_path, *answer_path, *given_path;
    struct request          request; /* not done yet */
    uint8_t                 pipeline_id[16];
    char                    host[256];

    struct follower      *follower;
    size_t                nstages;
    struct weir_instance *stages;
    struct weir_instance  sink;
    struct twoslot       *local;

    struct view   *views;
    size_t         nviews;
    struct frames *by_frame; /* table frames of this segment: their view */
    uint64_t       segment;

    struct place    at;     /* behind what is in the batch */
    struct buf      stored; /* the checkpoint of what the sink has */
    struct progress found; /* what the sink or the file had; texts in buf */
    struct buf      found_blob;
    bool            has_found;
    uint64_t        epoch, found_epoch;
    uint64_t        first;     /* of the batch */
    uint32_t        first_row;
    uint64_t        seq;       /* largest one given out */
    uint64_t        seq_floor; /* an event must have a larger one */
    struct gtid_set *skip;     /* transactions that the sink has; NULL: none */
    struct buf       skip_file; /* without GTIDs: up to there */
    uint64_t         skip_offset;
    uint64_t         skip_from;  /* none of them before this frame */
    uint64_t         skip_until; /* and all before this one */
    bool             skipping; /* the present transaction is one */
    bool             catching_up; /* none that is not has been met yet */
    bool             from_segment; /* read from a segment's first frame on */
    uint64_t         now; /* where a new sink began, if from now on */
    bool             started, is_new;

    /* The row frame that is being walked. */
    bool               in_frame;
    struct frame       frame;
    struct block      *frame_block;
    struct view       *frame_view;
    struct binlog_rows rows;

    struct weir_txn *txn;       /* in txn_arena */
    struct arena     txn_arena;
    const struct weir_txn *batch_txn; /* its copy in the batch */
    bool             txn_has_events;  /* one of it was given out */

    struct batch batch;
    struct buf   scratch;
    int64_t      saved_at, written_at; /* steady clock */
    uint64_t     saved_offset, written_offset; /* of the relay, then */
    bool         moved;   /* the place did, since the last checkpoint */
    bool         unsaved; /* the file here is behind */
};

/* view.c */
enum weir_status view_of_frame(struct deliverer *d, uint64_t offset,
                               struct view **out, struct weir_err *err);
/* Takes note of a TABLE frame that was read. */
enum weir_status view_note(struct deliverer *d, const struct frame *f,
                           struct weir_err *err);
/* Of the last version of a table seen, or a bare one without columns. */
enum weir_status view_by_name(struct deliverer *d, struct weir_str schema,
                              struct weir_str name, struct view **out,
                              struct weir_err *err);
/* The same for a statement that is only passed on. */
enum weir_status view_of_name(struct deliverer *d, struct weir_str schema,
                              struct weir_str name, struct view **out,
                              struct weir_err *err);
bool view_routed(const struct deliverer *d, struct weir_str schema,
                 struct weir_str name);
void views_new_segment(struct deliverer *d);
/* Between batches: lets go of them all, to be made anew, once there are many
 * more than tables in use: of tables that were altered, or dropped. */
void views_trim(struct deliverer *d);
void views_free(struct deliverer *d);

/* transaction.c: frames around rows; the head at an offset, read if it is not
 * the present one; a copy of the transaction that lives as long as the batch */
enum weir_status transaction_head(struct deliverer *d, const struct frame *f,
                                  struct weir_err *err);
enum weir_status transaction_need(struct deliverer *d, uint64_t head,
                                  struct weir_err *err);
enum weir_status transaction_end(struct deliverer *d, const struct frame *f,
                                 struct weir_err *err);
enum weir_status transaction_heartbeat(struct deliverer *d,
                                       const struct frame *f,
                                       struct weir_err *err);
const struct weir_txn *transaction_of_batch(struct deliverer *d);

/* fill.c */
enum weir_status fill(struct deliverer *d, bool *idle, struct weir_err *err);
/* Over the frames before `to`, without their rows. */
enum weir_status fill_pass(struct deliverer *d, uint64_t to,
                           struct weir_err *err);
struct weir_event *fill_add(struct deliverer *d, struct view *v,
                            const struct frame *f);
void fill_leave_frame(struct deliverer *d);

/* ddl.c: adds an event of its own, or none, or refuses. */
enum weir_status fill_ddl(struct deliverer *d, const struct frame *f,
                          bool *added, struct weir_err *err);

/* write.c */
void             batch_reset(struct deliverer *d);
void             batch_free(struct deliverer *d);
enum weir_status write_batch(struct deliverer *d, struct weir_err *err);
enum weir_status save_checkpoint(struct deliverer *d, struct weir_err *err);
/* Each second, and before much of the relay is held for what is done. */
bool checkpoint_due(const struct deliverer *d, int64_t then,
                    uint64_t offset_then);
/* As long as the sink's `wait` says, since the last batch. */
bool             has_waited(const struct deliverer *d);
void             place_free(struct place *p);

/* start.c */
enum weir_status place_set(struct deliverer *d, uint64_t next,
                           uint32_t next_row, struct weir_str gtids,
                           struct weir_str file, uint64_t offset,
                           struct weir_err *err);

/* request.c */
enum weir_status request_take(struct deliverer *d, struct weir_err *err);
/* REJECT: refused, and nothing has changed but the place in memory. */
enum weir_status request_rewind(struct deliverer *d, struct weir_err *err);
/* Answers, and forgets it. */
enum weir_status request_refused(struct deliverer *d, const char *why,
                                 struct weir_err *err);
/* The place is found: stores it, then answers. */
enum weir_status request_finish(struct deliverer *d, struct weir_err *err);

/* answer.c */
extern const struct sink_ops answers;

#endif
