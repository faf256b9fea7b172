/* internal.h - the deliverer as its own files see it. */
#ifndef WEIR_DELIVER_INTERNAL_H
#define WEIR_DELIVER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "base/request.h"
#include "base/twoslot.h"
#include "binlog/gtid.h"
#include "binlog/rows.h"
#include "deliver/breaker.h"
#include "deliver/conflict.h"
#include "deliver/deliver.h"
#include "deliver/refuse.h"
#include "deliver/ring.h"
#include "format/format.h"
#include "format/template.h"
#include "module/instance.h"
#include "relay/follow.h"
#include "relay/progress.h"
#include "schema/statement.h"
#include "schema/table.h"

enum { MAX_LANES = 64 };

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
    bool                        orders; /* WEIR_ORDER */
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
    void                   **slots; /* and what each lane's made of it */
    uint32_t                 nslots; /* of those that said OK: table_end() */
    size_t                   ntemplates, nformats;
    struct bound_template   *templates;
    struct bound_format     *formats; /* nformats for each lane */
    bool                     has_order; /* templates are the target's key */
    size_t                   nrules;
    struct conflict_rule    *rules;
    struct weir_err         *refused; /* by table(): why; NULL: it is not */
    atomic_bool              held;    /* its table is parked */
    uint64_t                 last_round; /* that had an event of it */
};

/* ---- What is on its way (see round.c, lane.c) */

/* An event of a round, and where it came from. */
struct item {
    struct weir_event *ev;
    struct view       *view; /* of a statement also one that table() refused:
                                what it is about, if that is refused too */
    uint64_t           frame, head, table; /* offsets in the relay */
    uint64_t           hash, to; /* of the target's key, before and after; hash
                                    0: not asked for yet */
    uint8_t            lane;
    enum row_part      part;
    bool               half; /* of a key change: the other one is counted */
};

/* Rows of a round that came back; those put aside before a crash, too. */
struct refused_counts { uint64_t parked, dead, skipped; };

/* What was decoded in one go, shared out among lanes as batches.  It ends where
 * its checkpoint stands. */
struct round {
    struct round *next;
    uint64_t      id; /* in the ring */
    struct arena  arena;
    struct item  *items;
    size_t        n, room, bytes;
    struct block **blocks; /* that values point into */
    size_t         nblocks, blocks_room;
    size_t         lane_n[MAX_LANES], lane_bytes[MAX_LANES];
    const struct weir_txn *txn; /* the present one's copy in the arena */
    bool           alone;  /* DDL and its like: lanes drained around it */
    bool           open;   /* ends within a transaction */
    uint64_t       nread, nfiltered;
    struct refused_counts refused;
    struct buf     gtids; /* executed before its first event, if keeps_parts */
    struct buf     checkpoint;
    uint64_t       first, next_offset; /* in the relay */
    uint32_t       first_row;
    uint64_t       place;  /* of its end: offset and row as one number */
    int64_t        commit_usec;
    size_t         held;   /* bytes, counted into the window */
    struct batch  *batches;
    size_t         left;   /* batches not done; under the lock */
    uint64_t       napplied; /* events, when done; the same */
};

struct verdict {
    size_t           event; /* of those being sent */
    enum weir_status status;
    char             reason[512];
};

/* A lane's part of a round. */
struct batch {
    struct batch_head head; /* first: see instance.h */
    struct batch     *next, *sibling; /* in the lane, of the round */
    struct lane      *lane;
    struct round     *round;
    struct arena      arena; /* of the module's own, until it is done */
    struct buf        scratch;
    size_t            room;
    uint32_t         *todo; /* of the round's items, not done yet: */
    size_t            n, at;
    size_t            chunk; /* so many of them at once */
    bool              carried; /* its checkpoint went along */
    uint64_t          after;   /* by transaction: when this one is committed */
    size_t            napplied;
    unsigned          tries; /* in vain, one after another */
    bool              ask;   /* what is stored, before the next one */
    bool              one_by_one;
    bool              in_turn; /* when it was sent, all before was committed */
    bool              tried; /* elsewhere, with that outcome */
    /* What is being sent: */
    size_t                    nsent, sent_room;
    const struct weir_event **events;
    void                    **slots;
    struct verdict           *verdicts;
    size_t                    nverdicts;
    size_t                   *said_at; /* in them, of each sent; +1; 0: none */
    /* What the sink will not have, until the decoding thread has seen to it. */
    size_t          nrefused, refused_at;
    struct verdict *refused; /* of the round's items */

    pthread_mutex_t  lock; /* of all below, and of verdicts */
    pthread_cond_t   ended;
    bool             at_work, done; /* in write(), and weir_batch_done() */
    enum weir_status outcome;
    struct weir_err  reason;
};

enum lane_state { LANE_FINE, LANE_WAITS, LANE_ASKS };

/* What a slot held when it was read. */
struct slot {
    bool            found;
    uint64_t        epoch;
    struct buf      blob;
    struct progress p; /* texts in blob */
};

struct skip { /* transactions that are there already */
    struct gtid_set *gtids;
    struct buf       file; /* without GTIDs: up to there */
    uint64_t         offset;
};

/* A thread that writes, and its instance of the module.  What has no comment is
 * under the deliverer's lock. */
struct lane {
    struct deliverer    *d;
    uint32_t             index;
    struct weir_instance in;
    pthread_mutex_t      calls; /* held during each call into the module */
    pthread_t            thread; /* the decoding thread's */
    bool                 has_thread;
    pthread_cond_t       wake;
    struct batch        *first, *last;
    bool                 busy, end;
    bool                 stuck; /* its first batch was given up */
    int64_t              asked_at; /* to be seen to from then on */
    enum lane_state      state;
    bool                 answered; /* the decoding thread saw to the refused */
    enum weir_status     fate;     /* not OK: the sink stops, or starts again */
    struct weir_err      why;
    _Atomic int64_t      calling;  /* since then, steady; 0: not */
    _Atomic uint64_t     needed;   /* a start would read the relay from here on */
    /* The decoding thread's, while the lane has nothing to do: */
    int64_t     written_at;
    uint64_t    written; /* the place last sent */
    uint64_t    has;     /* events below are there already */
    struct skip skip;    /* the same where the relay does not go back to it */
    bool        skips;   /* the present transaction */
    /* The lane's own while it works: */
    uint64_t    acked;   /* place of the checkpoint in its slot; 0: none */
    struct buf  stored;  /* that checkpoint */
    struct buf  part;    /* the one of a part of a batch */
    struct slot found;   /* restore() of one slot: */
    uint32_t    asked;
    struct buf  text;
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

    struct follower          *follower;
    size_t                    nstages;
    struct weir_instance     *stages;
    const struct weir_module *module;
    const void               *sink_conf;
    const char               *sink_dir;
    struct twoslot           *local;

    /* Lanes. */
    bool             by_key, keeps; /* checkpoints, in the sink */
    uint32_t         nlanes, nwanted;
    uint32_t         nopen; /* whose instances are open */
    struct lane     *lanes; /* MAX_LANES */
    struct round    *round; /* being filled */
    struct round    *oldest, *newest; /* on their way */
    struct round    *spare_rounds;
    struct batch    *spare_batches;
    size_t           window; /* bytes on their way */
    pthread_mutex_t  lock; /* of what follows, and of lanes */
    pthread_cond_t   changed; /* something of it did */
    struct ring      ring;
    struct breaker   breaker;
    bool             cancel, finishing;
    bool             unproved; /* begun again after a failure, nothing written
                                  since */
    struct weir_err  last_why; /* of that */
    /* The decoding thread's again. */
    struct conflicts conflicts;
    uint64_t         open_until; /* rounds of a transaction larger than one */
    uint32_t         last_lane;
    bool             ready;   /* the round waits for room, or for all lanes */
    bool             quiet_first; /* before more is decoded */
    bool             settle_next; /* lanes' slots are made equal */
    bool             held_up; /* waits for lanes, not for the relay */
    uint64_t         stored_offset;
    enum weir_status failed;  /* by what is decoded next */
    struct weir_err  failed_why;
    struct slot      slots[MAX_LANES];
    uint32_t         nfound; /* slots, as slot 0 says */
    uint64_t         slots_end; /* the largest place in them */
    bool             asking_all;
    bool             meet;    /* lanes stand apart, and somebody asked for what
                                 needs them at one place */
    bool             careful; /* one event at a time, to find a culprit */
    uint64_t         careful_until;
    uint64_t         line_until; /* by transaction: one round after the other */

    struct aside  *aside; /* what was put aside: aside.h */
    struct view   *views;
    size_t         nviews;
    struct frames *by_frame; /* table frames of this segment: their view */
    uint64_t       segment;

    struct place    at;     /* behind what is in the batch */
    struct buf      stored; /* the checkpoint of what the sink has */
    struct progress found; /* what the sink or the file had */
    bool            has_found;
    uint64_t        epoch, found_epoch;
    uint64_t        seq;       /* largest one given out */
    uint64_t        seq_floor; /* an event must have a larger one */
    struct skip      skip; /* transactions that the sink has */
    uint64_t         gtids_from; /* the place's set is ahead up to there */
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
    uint64_t           frame_table; /* its TABLE frame, 0: none */
    struct binlog_rows rows;

    struct weir_txn *txn;       /* in txn_arena */
    struct arena     txn_arena;
    bool             txn_has_events;  /* one of it was given out */

    struct buf   scratch;
    int64_t      saved_at, written_at; /* steady clock */
    uint64_t     saved_offset, written_offset; /* of the relay, then */
    bool         moved;   /* the place did, since the last checkpoint */
    bool         unsaved; /* the file here is behind */
    struct weir_err unsaved_why; /* it can't be written; empty: it can */
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
/* Many more than tables in use: of tables that were altered, or dropped. */
bool views_are_many(const struct deliverer *d);
/* With nothing on its way: lets go of them all then, to be made anew. */
void views_trim(struct deliverer *d);
/* With no event of theirs on its way: each is made anew at its next event. */
void views_forget(struct deliverer *d);
void views_free(struct deliverer *d);

/* view_make.c: the stages and the sink are asked; v->wanted may end as false. */
enum weir_status view_prepare(struct deliverer *d, struct view *v,
                              struct weir_err *err);
/* The stages only, for its name. */
enum weir_status view_prepare_name(struct deliverer *d, struct view *v,
                                   struct weir_err *err);

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
const struct weir_txn *transaction_of_round(struct deliverer *d);
bool skip_has(const struct skip *s, const struct weir_txn *txn);
/* None of them can come any more. */
bool skip_is_passed(const struct deliverer *d, const struct skip *s);

/* fill.c */
enum weir_status fill(struct deliverer *d, bool *idle, struct weir_err *err);
/* Over the frames before `to`, without their rows. */
enum weir_status fill_pass(struct deliverer *d, uint64_t to,
                           struct weir_err *err);
/* Of events or bytes. */
bool fill_is_full(const struct deliverer *d);

/* event.c: a new one of the round, of that frame. */
struct weir_event *event_add(struct deliverer *d, struct view *v,
                             const struct frame *f);
/* A decoded row through filters and transforms; DROP: left out. */
enum weir_status event_steps(struct deliverer *d, const struct view *v,
                             struct weir_event *ev, struct weir_err *err);
/* Its flags and table, once it went through. */
void event_finish(struct weir_event *made, const struct weir_event *ev);

/* row.c: into a row frame, of which nothing may be wanted. */
enum weir_status row_take_frame(struct deliverer *d, struct weir_err *err);
/* Its rows, until it or the room ends.  *full: another would have to wait. */
enum weir_status row_walk_frame(struct deliverer *d, bool *full,
                                struct weir_err *err);
void row_leave_frame(struct deliverer *d);

/* ddl.c: adds an event of its own, or none, or refuses. */
enum weir_status fill_ddl(struct deliverer *d, const struct frame *f,
                          bool *added, struct weir_err *err);

/* refuse.c, for what is refused while it is decoded.  DROP: what stands before
 * has to be done first; the same is to be decoded again then. */
enum weir_status refuse_frame(struct deliverer *d, struct view *v,
                              const char *why, struct weir_err *err);
enum weir_status refuse_row(struct deliverer *d, struct view *v,
                            enum row_part part, const char *why,
                            struct weir_err *err);

/* A statement that is for a table which is parked, or can't be had. */
enum weir_status refuse_ddl(struct deliverer *d, struct view *v,
                            const char *why, struct weir_err *err);

/* round.c */
struct round *round_new(struct deliverer *d);
/* Emptied, at the present place. */
void round_reset(struct deliverer *d, struct round *r);
/* Back to so many items. */
void round_cut(struct round *r, size_t n);
struct item *round_add(struct round *r);
void round_hold(struct round *r, struct block *block);
void round_release(struct deliverer *d, struct round **r);
struct batch *batch_new(struct deliverer *d, struct lane *l, struct round *r);
void rounds_free(struct deliverer *d);
/* Its checkpoint, for where the stream stands now. */
void round_close(struct deliverer *d, struct round *r);
/* The checkpoint of a lane that has done all of the round before its item `i`,
 * for a sink that must not be given that part twice. */
void round_part(const struct round *r, size_t i, struct buf *out);
/* Where in the relay a start begins whose checkpoint is the round's. */
uint64_t round_needed(const struct deliverer *d, const struct round *r);
bool keeps_parts(const struct deliverer *d);

/* share.c: which lane an item is for.  May make two of one; false: it is there
 * already, and leaves the round. */
bool share_item(struct deliverer *d, size_t i, size_t bytes);
/* The same for the last item, which is the first lane's, whatever it is. */
bool share_alone(struct deliverer *d);
/* After a start: a lane may have rows of that frame, and another one not. */
bool share_any_had(const struct deliverer *d, uint64_t frame);
/* item->hash and ->to, if they are not known yet. */
void share_hash(struct buf *scratch, struct item *item);
/* That half of an UPDATE, in its place: a DELETE or an INSERT. */
void share_part(struct weir_event *ev, enum row_part part, struct arena *a);
/* A closed round's batches, one for each lane that has something to do. */
void share_round(struct deliverer *d, struct round *r);

/* send.c: a batch to its end, on the lane's thread, or on the decoding one with
 * `once`: false then if it took more than one try; it goes on from there. */
bool batch_work(struct batch *b, bool once);
/* A batch without events, for its checkpoint, now; one try. */
enum weir_status send_empty(struct batch *b, struct weir_err *err);
/* The present round's events on lane 0, with that checkpoint, now; one try.
 * REJECT: some of them, or all. */
enum weir_status send_aside(struct deliverer *d, struct weir_str checkpoint,
                            struct weir_err *err);

/* lane.c */
void lanes_init(struct deliverer *d);
void lanes_free(struct deliverer *d);
/* The first one, which is asked for what all slots hold; then so many. */
enum weir_status lanes_open_first(struct deliverer *d, struct weir_err *err);
enum weir_status lanes_open(struct deliverer *d, uint32_t n,
                            struct weir_err *err);
void lanes_close(struct deliverer *d);
/* Hands its batches over; with one lane and `here`, writes on this thread. */
void lanes_give(struct deliverer *d, struct round *r, bool here);
/* What is not being written is given up, the rest waited for. */
void lanes_cancel(struct deliverer *d);
/* Takes what is done, sees to what was refused.  Not OK: of a lane that can't
 * go on. */
enum weir_status lanes_attend(struct deliverer *d, struct weir_err *err);
bool lanes_quiet(struct deliverer *d);
/* All that a round has events for are at work. */
bool lanes_busy(struct deliverer *d, const struct round *r);
/* Until one of them did something, at most so long. */
void lanes_wait(struct deliverer *d, int64_t usec);
void lanes_tick(struct deliverer *d);
bool lanes_at_work(struct deliverer *d);
/* No more is given: what is queued is written, up to that time. */
void lanes_finish(struct deliverer *d, int64_t until);
bool lanes_stopping(const struct deliverer *d);
/* Around calls into a lane's instance, from any thread. */
void batch_at_work(struct batch *b, bool at_work);
void lane_enter(struct lane *l);
void lane_leave(struct lane *l);

/* write.c */
enum weir_status write_round(struct deliverer *d, bool idle,
                             struct weir_err *err);
void write_done(struct deliverer *d, struct round *r);
/* All slots to the present place, now, with nothing on its way: slot 0 last,
 * which tells how many lanes there are.  What stood before is not sent again. */
enum weir_status write_settle(struct deliverer *d, struct weir_err *err);
enum weir_status save_checkpoint(struct deliverer *d, struct weir_err *err);
/* The file here can't be written, and the sink keeps none: what it is given now
 * would come again after a crash, without end.  Tries again each second. */
bool write_is_held(struct deliverer *d);
/* Each second, and before much of the relay is held for what is done. */
bool checkpoint_due(const struct deliverer *d, int64_t then,
                    uint64_t offset_then);
/* As long as the sink's `wait` says, since the last batch. */
bool             has_waited(const struct deliverer *d);
void             place_free(struct place *p);
void             skip_free(struct skip *s);

/* stored.c: what the sink has stored into d->slots. */
enum weir_status stored_ask(struct deliverer *d, struct weir_err *err);
/* The lowest position of it, else the one here, into `out`.  DROP: none. */
enum weir_status stored_find(struct deliverer *d, struct progress *out,
                             struct weir_err *err);
uint64_t stored_place(const struct progress *p);
/* As far as the sink surely has it, whatever it is asked to send again. */
uint64_t stored_start(const struct deliverer *d, const struct progress *p);

/* place.c: nothing is left out any more. */
void place_clear(struct deliverer *d);
/* Behind what is stored; of a new sink.  DROP: the relay is not there yet. */
enum weir_status place_again(struct deliverer *d, const struct progress *p,
                             struct weir_err *err);
enum weir_status place_first(struct deliverer *d, struct weir_err *err);
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
