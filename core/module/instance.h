/*
 * instance.h - a config block at work: what stands behind a module's opaque
 * struct weir_instance, and the functions of weir/module.h (export.c), which
 * find in it whom to ask.  Knows neither the relay nor the source's session:
 * those hang in as the function tables below.
 */
#ifndef WEIR_MODULE_INSTANCE_H
#define WEIR_MODULE_INSTANCE_H

#include <stdbool.h>
#include <sys/types.h>

#include <weir/module.h>

#include "base/arena.h"
#include "base/buf.h"

/* What a module says in table(): collected here, read by who called it. */
struct table_plan {
    const struct weir_table *table;
    bool      use_said;
    uint8_t  *used;     /* bitmap of table->ncolumns: weir_use() */
    unsigned  ops;      /* set of 1u << op; all at first */
    bool      keep_said; /* weir_keep() or weir_add() was called */
    size_t    nkept, room;
    struct kept_column {
        struct weir_str name, sql_type;
        size_t          of; /* or WEIR_NONE */
        bool            added;
        enum weir_type  type; /* of an added one */
    } *kept;
    struct weir_str schema, name; /* weir_rename(); data NULL: as it is */
    size_t          nrules, rules_room; /* weir_conflict() */
    struct conflict_rule {
        const char *name;
        size_t      n;
        uint32_t   *columns;
    } *rules;
    struct arena   *arena;        /* for the copies */
};

/* What a source's calls go to: receive/session.c. */
struct feed_ops {
    enum weir_status (*server)(void *arg, struct weir_str id,
                               struct weir_str version, struct weir_err *err);
    enum weir_status (*host)(void *arg, struct weir_str name,
                             struct weir_str id, struct weir_str version,
                             bool covers, struct weir_err *err);
    enum weir_status (*diverged)(void *arg, struct weir_str name,
                                 struct weir_str executed,
                                 struct weir_err *err);
    enum weir_status (*position)(void *arg, struct weir_str gtid_set,
                                 struct weir_str file, uint64_t offset,
                                 struct weir_err *err);
    enum weir_status (*binlog)(void *arg, const void *event, size_t len,
                               struct weir_err *err);
    enum weir_status (*flush)(void *arg, struct weir_err *err);
    void (*define)(void *arg, struct weir_str name, struct weir_str sql_type,
                   struct weir_str collation, unsigned facets);
    void (*define_key)(void *arg, size_t n, const uint32_t *columns);
    void (*define_index)(void *arg, struct weir_str name, bool unique,
                         bool partial, size_t n, const uint32_t *columns);
    void (*define_defaults)(void *arg, struct weir_str of_table,
                            struct weir_str of_schema);
    void (*define_at)(void *arg, struct weir_str gtid_set,
                      struct weir_str file, uint64_t offset);
};

/* What a sink's calls go to: deliver/. */
struct sink_ops {
    struct weir_str (*text)(struct weir_instance *in,
                            const struct weir_column *column,
                            const struct weir_value *v, bool raw);
    void (*found)(void *arg, const struct weir_checkpoint *cp);
    enum weir_status (*expand)(struct weir_batch *b, size_t i,
                               const struct weir_template *t, bool of_before,
                               struct weir_str *out, struct weir_err *err);
    enum weir_status (*body)(struct weir_batch *b, size_t i,
                             const struct weir_format *f,
                             struct weir_str *out, struct weir_err *err);
    void (*verdict)(struct weir_batch *b, size_t i, enum weir_status status,
                    const char *reason);
    void (*done)(struct weir_batch *b, enum weir_status status,
                 const struct weir_err *err);
};

struct weir_instance {
    const struct weir_module *module;
    const void               *conf;
    void                     *self;
    pid_t                     pid;  /* the process that it is of */
    const char               *name; /* "shop/cache", for logs */
    struct arena              arena;
    bool                      is_open;
    int                       stop_fd;
    uint32_t                  lane, lanes;
    const char               *dir; /* of a sink */
    bool                      dir_made;
    struct counter { const char *name; uint64_t n; } counters[16];
    struct table_plan        *plan;    /* during table() */
    struct arena             *scratch; /* weir_alloc(): the batch's */
    const struct feed_ops    *feed;
    const struct sink_ops    *sink;
    void                     *arg; /* of the two */
};

/* `name`, `dir` and `conf` are not copied. */
void instance_init(struct weir_instance *in, const struct weir_module *m,
                   const void *conf, const char *name);
/* open(); any of its statuses.  instance_close() takes one never opened. */
enum weir_status instance_open(struct weir_instance *in, struct weir_err *err);
void             instance_close(struct weir_instance *in);

/* table() with a plan to be filled in; OK at once if the module has none. */
enum weir_status instance_table(struct weir_instance *in,
                                const struct weir_table *table, void **slot,
                                struct table_plan *plan, struct weir_err *err);

/* Behind a call into a module: a process that the module forked, and that came
 * back from the call as if it were the worker, ends here. */
void instance_returned(const struct weir_instance *in, const char *call);

/* Every batch handed to write() stands in one of these, by which weir_expand()
 * and its like find the instance. */
struct batch_head {
    struct weir_instance *in;
    struct weir_batch     pub;
};
static inline struct weir_instance *
instance_of_batch(struct weir_batch *b)
{
    return ((struct batch_head *)((char *)b -
                                  offsetof(struct batch_head, pub)))->in;
}

#endif
