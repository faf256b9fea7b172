/*
 * weir/module.h - the contract between a module and the server.
 *
 * A module is one shared object that exports one symbol, `weir_module`.  The
 * server makes an instance of it for each config block named after it (a sink:
 * one for each of its lanes).  Calls into one instance may come from different
 * threads, but never two at a time.  Until 1.0 the contract may change with
 * each release; the source stage for longer.  Promises: CHANGES.ABI.
 */
#ifndef WEIR_MODULE_H
#define WEIR_MODULE_H

#include <weir/conf.h>
#include <weir/event.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_ABI_MAJOR 0 /* up when something moves: older modules are refused */
#define WEIR_ABI_MINOR 9 /* up when something is added: newer ones are refused */

#define WEIR_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* ---- Outcomes.  A module says what happened, the server what to do next */
enum weir_status {
    WEIR_OK      = 0,  /* done; of write(): durable, or so after commit() */
    WEIR_PENDING = 1,  /* write() only: weir_batch_done() will follow, once;
                          write() is not called again before */
    WEIR_DROP    = 2,  /* filter(): leave this event out; table() of a filter
                          or transform: all of this table, undecoded */
    WEIR_RETRY   = -1, /* not done, or not known to be: may well work later */
    WEIR_REJECT  = -2, /* will never do for this data, may for other data */
    WEIR_FATAL   = -3, /* will never do until a person changes something */
    WEIR_FENCED  = -4, /* the target has seen a newer owner: end, now */
};

struct weir_err { char text[512]; };

/* Notes the reason and returns `why`.  Who returns an error does not log it. */
enum weir_status weir_fail(struct weir_err *err, enum weir_status why,
                           const char *fmt, ...) WEIR_PRINTF(3, 4);

/* ---- Batches, for sinks */

/* Made and read by the server; a sink only stores it, under (id, slot), in one
 * unit with the data, and answers FENCED where it finds a higher epoch. */
struct weir_checkpoint {
    struct weir_str id; /* "pipeline/sink", as configured */
    uint32_t        slot;
    uint64_t        epoch;
    struct weir_str data;
};
#define WEIR_ALL_SLOTS UINT32_MAX

enum { WEIR_TXN_OPEN = 1 }; /* the next batch goes on in the last transaction */

struct weir_batch { /* grows */
    size_t                          nevents; /* 0: only the checkpoint moves */
    const struct weir_event *const *events;  /* in commit order */
    void *const                    *slots;   /* what table() made for each */
    struct weir_checkpoint          checkpoint;
    uint32_t                        flags;
};

enum weir_guarantee { /* what the server prints, and holds you to */
    WEIR_AT_MOST_ONCE,
    WEIR_AT_LEAST_ONCE,    /* a batch may be written twice */
    WEIR_EFFECTIVELY_ONCE, /* twice is harmless: keyed and versioned by seq */
    WEIR_EXACTLY_ONCE,     /* keeps the checkpoint in one unit with the data */
};

enum weir_share {     /* how events are shared out among lanes */
    WEIR_BY_KEY,      /* batches may end anywhere */
    WEIR_KEEP_TXN,    /* one source transaction at a time, then commit() */
    WEIR_MERGE_TXN,   /* several, then commit() */
};
struct weir_batching { /* grows; comes filled in with the sink's settings */
    enum weir_guarantee guarantee;
    enum weir_share     share;
    int64_t             events, bytes, wait_ms; /* as configured, else default */
    uint32_t            max_lanes;
    bool                resend; /* what failed is learnt after the checkpoint
                                   moved: a start sends the last batch again */
};

/* ---- The module */
struct weir_instance; /* a config block at work */
enum weir_stage { WEIR_SOURCE = 1, WEIR_FILTER, WEIR_TRANSFORM, WEIR_SINK };

struct weir_module {
    uint32_t        size, directive_size; /* as the module was built */
    uint16_t        abi_major, abi_minor;
    enum weir_stage stage;
    const char     *name; /* of the config block */
    const char     *version, *summary;
    size_t          conf_size;
    const struct weir_directive *directives; /* they fill the conf struct */

    /* Config test, unprivileged, in a child of the master: looks at conf,
     * touches nothing.  batching(): what a sink gives and wants, as configured;
     * called before the block's own settings are applied. */
    enum weir_status (*check)(const void *conf, struct weir_err *);
    void (*batching)(const void *conf, struct weir_batching *);

    /* In a worker, after it gave up its privileges.  RETRY is asked again. */
    enum weir_status (*open)(struct weir_instance *, const void *conf,
                             void **self, struct weir_err *);
    void (*close)(void *self); /* after the last batch was done or given up */
    void (*tick)(void *self);  /* between calls, every 100 ms while idle */

    /* Each version of a table, before its first event: prepare what is the
     * same for all its rows, put it into *slot (NULL at first), and call
     * weir_use() and its like.  REJECT parks the table, with the reason. */
    enum weir_status (*table)(void *self, const struct weir_table *,
                              void **slot, struct weir_err *);
    void (*table_end)(void *self, void *slot);

    /* The stage's own call.  Filters and transforms see rows only.  What
     * transform() gets as before and after is made by the server, one value
     * for each column that table() left, those kept filled in; NULL where
     * `in` has none.  A transform whose table() says it all has no call. */
    enum weir_status (*filter)(void *self, void *slot,
                               const struct weir_event *, struct weir_err *);
    enum weir_status (*transform)(void *self, void *slot,
                                  const struct weir_event *in,
                                  struct weir_value *before,
                                  struct weir_value *after, struct weir_err *);
    enum weir_status (*write)(void *self, struct weir_batch *,
                              struct weir_err *);

    /* KEEP_TXN, MERGE_TXN: makes durable all that this instance wrote since its
     * last commit, with `last`'s checkpoint.  Called in source order. */
    enum weir_status (*commit)(void *self, struct weir_batch *last,
                               struct weir_err *);
    /* Sinks that keep checkpoints.  restore(): undo what is beyond the stored
     * checkpoint where that is needed, and weir_found() it; all slots on one
     * instance before any other is opened, one slot after its RETRY.  forget():
     * slots that are no longer used, after the number of lanes changed. */
    enum weir_status (*restore)(void *self, struct weir_str id, uint32_t slot,
                                struct weir_err *);
    enum weir_status (*forget)(void *self, struct weir_str id, uint32_t slot,
                               struct weir_err *);

    /* Sources: feeds what comes behind that position until weir_stop_fd() is
     * readable (OK) or there is no more (OK).  All empty: begins where its own
     * directives say.  RETRY: called again after a while, with the position
     * reached by then.  FATAL: the pipeline stops and says why. */
    enum weir_status (*run)(void *self, struct weir_str gtid_set,
                            struct weir_str file, uint64_t offset,
                            struct weir_err *);
    /* Sources that can ask: describes a table as the server has it now, by
     * weir_define() and its like.  Called from within weir_feed_binlog().
     * REJECT: there is no such table, or it can't be read. */
    enum weir_status (*describe)(void *self, struct weir_str schema,
                                 struct weir_str table, struct weir_err *);
};

#define WEIR_MODULE const struct weir_module weir_module
#define WEIR_HEAD   .size = sizeof(struct weir_module), \
    .directive_size = sizeof(struct weir_directive), \
    .abi_major = WEIR_ABI_MAJOR, .abi_minor = WEIR_ABI_MINOR
extern __attribute__((visibility("default"))) WEIR_MODULE;

/* ---- What the server does for modules */
enum weir_level { WEIR_DEBUG, WEIR_INFO, WEIR_WARN, WEIR_ERROR };
void weir_log(struct weir_instance *, enum weir_level, const char *fmt, ...)
    WEIR_PRINTF(3, 4);
void weir_count(struct weir_instance *, const char *metric, uint64_t n);
int  weir_stop_fd(struct weir_instance *); /* readable: time to end */
const char *weir_name(struct weir_instance *); /* "shop/cache", as in logs */
bool weir_glob(struct weir_str pattern, struct weir_str text);
/* A sink's own folder, 0700, kept between runs; its lane, of how many. */
const char *weir_dir(struct weir_instance *);
uint32_t weir_lane(struct weir_instance *);
uint32_t weir_lanes(struct weir_instance *);

/* In table().  weir_use(): that column is read, WEIR_NONE: none is (if nothing
 * is said: all; what templates and formats read needs no saying).  weir_ops():
 * only these operations, a set of 1u << op. */
#define WEIR_NONE SIZE_MAX
void weir_use(struct weir_instance *, size_t column);
void weir_ops(struct weir_instance *, unsigned ops);
/* In table() of a transform, in order: the columns that it leaves (nothing
 * said: all, as they are), `of` the one that a new one is made from, whose
 * place in the key it takes, or WEIR_NONE.  Names are copied. */
void weir_keep(struct weir_instance *, size_t column, struct weir_str name);
void weir_add(struct weir_instance *, struct weir_str name,
              struct weir_str sql_type, enum weir_type, size_t of);
void weir_rename(struct weir_instance *, struct weir_str schema,
                 struct weir_str table);
/* In table() of a sink with commit(): events with equal values there, under
 * one name, stay in order: unique and foreign keys of the target.  NULLs never
 * conflict, text compares as any collation may, n = 0 is the whole table. */
void weir_conflict(struct weir_instance *, const char *key, size_t n,
                   const uint32_t *columns);

/* In transform() and write(): memory that lives as long as the batch, at most
 * until write() is called with it again, and ready-made text: a value as SQL
 * prints it, a text as its column's charset has it, a template or a format
 * filled in from event i.  REJECT: a NULL or absent column in a template.  An
 * empty body: nothing to write.  weir_raw(): no data if those bytes are
 * not known, as of a text that a transform made, or members of an ENUM or SET;
 * an ENUM's value that is no member is its number, zeroes; what is no text is
 * its own bytes, or what SQL prints. */
void *weir_alloc(struct weir_instance *, size_t);
struct weir_str weir_text(struct weir_instance *, const struct weir_column *,
                          const struct weir_value *);
struct weir_str weir_raw(struct weir_instance *, const struct weir_column *,
                         const struct weir_value *);
enum weir_status weir_expand(struct weir_batch *, size_t i,
                             const struct weir_template *, bool of_before,
                             struct weir_str *out, struct weir_err *);
enum weir_status weir_body(struct weir_batch *, size_t i,
                           const struct weir_format *, struct weir_str *out,
                           struct weir_err *);

/* The names that a template stands for, as a glob: `*` for each column, what is
 * text escaped by `\`.  `table` NULL (in check()): {database} and {table} count
 * as text.  Gives its length, writes up to `room` bytes; *literal: how many of
 * them stand before the first `*`. */
size_t weir_template_glob(const struct weir_template *,
                          const struct weir_table *, char *out, size_t room,
                          size_t *literal);

/* In write(): RETRY or REJECT for one event.  OK from write() then means that all
 * others are written, and (by key) that the checkpoint is not stored: it comes
 * again.  REJECT then means that nothing of the batch is written.  From any
 * thread: ends a PENDING batch. */
void weir_verdict(struct weir_batch *, size_t i, enum weir_status,
                  const char *fmt, ...) WEIR_PRINTF(4, 5);
void weir_batch_done(struct weir_batch *, enum weir_status,
                     const struct weir_err *);
/* In restore(). */
void weir_found(struct weir_instance *, const struct weir_checkpoint *);

/* A file of one line that holds a secret; lives as long as the instance.  Read
 * at each connect, so that a changed password needs no reload. */
enum weir_status weir_secret(struct weir_instance *, const char *path,
                             struct weir_str *out, struct weir_err *);

/* Sources, in run(), in this order.  weir_feed_server(): whom it has reached;
 * `id` tells this server from any other (a uuid), empty if nothing does.
 * FATAL: another server than before.  weir_feed_position(): what follows comes
 * behind here, an empty file name where the source has none.
 * weir_feed_binlog(): one event as it was sent or read, checksum and all;
 * not kept after the call.  RETRY: no room, or the connection has to be made
 * anew: end run() with it.  weir_feed_flush(): nothing more is waiting, so let
 * sinks see what is whole.  What they refuse ends run() with their status. */
enum weir_status weir_feed_server(struct weir_instance *, struct weir_str id,
                                  struct weir_str version, struct weir_err *);
enum weir_status weir_feed_position(struct weir_instance *,
                                    struct weir_str gtid_set,
                                    struct weir_str file, uint64_t offset,
                                    struct weir_err *);
enum weir_status weir_feed_binlog(struct weir_instance *, const void *event,
                                  size_t len, struct weir_err *);
enum weir_status weir_feed_flush(struct weir_instance *, struct weir_err *);

/* Sources that may move from one server to another, by GTID.  In place of
 * weir_feed_server(): `name` is for people ("db2:3306"); `covers`: this server
 * has executed all of the GTID set that run() was given, so that it may be
 * another one than before.  weir_feed_diverged(): it has not, and never will;
 * `executed` is what it has.  Always FATAL, with the transactions and rows that
 * it lacks, as the relay has them. */
enum weir_status weir_feed_host(struct weir_instance *, struct weir_str name,
                                struct weir_str id, struct weir_str version,
                                bool covers, struct weir_err *);
enum weir_status weir_feed_diverged(struct weir_instance *,
                                    struct weir_str name,
                                    struct weir_str executed,
                                    struct weir_err *);

/* In describe(): each column in order, `sql_type` as in "int(10) unsigned";
 * then the columns of the primary key, else of the first unique key without a
 * NULL; last the server's position, read after the definition was. */
void weir_define(struct weir_instance *, struct weir_str name,
                 struct weir_str sql_type, struct weir_str collation,
                 unsigned facets);
void weir_define_key(struct weir_instance *, size_t n,
                     const uint32_t *columns);
/* Of a table all of whose DDL is to be followed: each index in the server's
 * order, by name, `partial` if it is of parts of columns or of expressions; and
 * the collations that new columns and tables have by default. */
void weir_define_index(struct weir_instance *, struct weir_str name,
                       bool unique, bool partial, size_t n,
                       const uint32_t *columns);
void weir_define_defaults(struct weir_instance *, struct weir_str of_table,
                          struct weir_str of_schema);
void weir_define_at(struct weir_instance *, struct weir_str gtid_set,
                    struct weir_str file, uint64_t offset);

#ifdef __cplusplus
}
#endif

#endif
