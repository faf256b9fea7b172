/*
 * config.h - a configuration generation: read, checked, and turned into
 * structs.  Two steps, in two kinds of process.  The checker reads files into
 * one expanded text, checks it and describes it in a memfd; workers parse that
 * text again, load its modules and run what their block says.  Knows directive
 * tables, not what they are for.
 */
#ifndef WEIR_CONFIG_CONFIG_H
#define WEIR_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <weir/module.h>

#include "base/arena.h"
#include "base/buf.h"

struct conf_use { /* a module's block */
    const struct weir_module *module;
    const void               *conf; /* its filled conf struct */
    const char               *file;
    int                       line;
};

struct conf_stage { /* filter NAME { ... }, transform NAME { ... } */
    const char     *name;
    struct conf_use use; /* its module's stage says which it is */
};

enum conf_start { CONF_START_RELAY, CONF_START_NOW };
enum conf_reject { /* what becomes of what a sink will never take */
    CONF_REJECT_PARK,        /* its table is put aside, to be resumed */
    CONF_REJECT_DEAD_LETTER, /* the event is */
    CONF_REJECT_SKIP,        /* counted, logged, gone */
};
struct conf_retry { /* the block `retry` of a sink */
    int64_t base_ms, cap_ms;
    int64_t max; /* tries in vain; 0: for ever */
};
struct conf_breaker { /* the block `breaker` */
    int64_t failures, open_ms;
};

struct conf_sink_settings { /* core's own directives of a sink block */
    struct weir_list tables; /* globs of database.table; none: all */
    bool             adopt;
    int64_t          start;     /* enum conf_start: where a new sink begins */
    int64_t          guarantee; /* enum weir_guarantee asked for, or -1 */
    int64_t          events, bytes, wait_ms; /* 0: the module's own wish */
    int64_t          lanes;
    int64_t          window;     /* bytes of what is decoded and not done */
    int64_t          on_reject;  /* enum conf_reject */
    int64_t          aside;      /* bytes on disk of what is put aside */
    int64_t          timeout_ms; /* a call that takes longer hangs: 60s */
    int64_t          memory;     /* bytes of its worker's own; 0: no limit */
    const char      *was;        /* its former name, or NULL */
};

struct conf_sink {
    const char               *name;
    struct conf_sink_settings set;
    struct conf_retry         retry;
    struct conf_breaker       breaker;
    size_t                    nstages;
    struct conf_stage        *stages; /* its own, after the pipeline's */
    struct conf_use           use;
    struct weir_batching      batching; /* as it will be used */
    bool                      keeps_checkpoint; /* has restore() */
    uint64_t                  digest;
};

struct conf_relay { /* the block `relay` */
    int64_t          size, keep_ms, segment, max_transaction, max_event;
    int64_t          sync; /* enum relay_sync */
    int64_t          full; /* 0 stop, 1 detach */
    int64_t          schema_wait_ms;
    struct weir_list assume_current_schema; /* globs */
    struct weir_list tables; /* none: the union of the sinks' */
    struct weir_list leave_out; /* transactions that begin there */
};

struct conf_pipeline {
    const char        *name;
    bool               adopt; /* what another Weir left here or in the sinks */
    struct conf_use    source;
    struct conf_relay  relay;
    struct weir_list   tables_kept; /* relay.tables or the union; none: all */
    size_t             nstages;
    struct conf_stage *stages;
    size_t             nsinks;
    struct conf_sink  *sinks;
    uint64_t           digest; /* of what its source worker depends on */
};

struct conf {
    const char     *state, *user, *pid, *log; /* absolute; user, log: or NULL */
    const char     *control;                  /* or NULL */
    enum weir_level log_level;
    bool            log_json;
    bool            daemon;
    int64_t         drain_ms; /* drain_timeout: then SIGKILL */
    size_t          nmodules;
    const struct loaded_module *modules;
    size_t                nlines; /* of the expanded text */
    size_t                npipelines;
    struct conf_pipeline *pipelines;
};

/* Where errors go: one call each, "FILE:LINE: sentence". */
struct conf_errors {
    void (*say)(void *arg, const char *where, const char *sentence);
    void    *arg;
    unsigned n;
    /* What is no error, but will be one if nobody mends it; NULL: not asked. */
    void (*warn)(void *arg, const char *where, const char *sentence);
};

/*
 * Reads `path` with its includes, checks everything, calls each module's
 * check().  `overrides` is the text of -g, or NULL.  FATAL after all errors
 * were said.  Everything lives in `a`.
 */
enum weir_status conf_read(struct arena *a, const char *path,
                           const char *prefix, const char *overrides,
                           struct conf_errors *errors, struct conf **out,
                           struct weir_str *expanded, struct weir_err *err);
/* The expanded text again (it carries its own file and line marks). */
enum weir_status conf_parse(struct arena *a, struct weir_str expanded,
                            struct conf_errors *errors, struct conf **out,
                            struct weir_err *err);
/*
 * The two halves of conf_read(), for who has to give up privileges in between:
 * only the first one reads files of the configuration, only the second one runs
 * code of modules.
 */
enum weir_status conf_expand(struct arena *a, const char *path,
                             const char *prefix, const char *overrides,
                             struct conf_errors *errors,
                             struct weir_str *expanded, struct weir_err *err);
enum weir_status conf_check(struct arena *a, struct weir_str expanded,
                            struct conf_errors *errors, struct conf **out,
                            struct weir_err *err);
/* What `user` says in expanded text that is not checked yet, or NULL. */
const char *conf_user(struct arena *a, struct weir_str expanded);

/* `weir -h global`, pipeline, relay, sink: false if it is none of these. */
bool conf_help(const char *name);

/* The expanded text with secrets as "***", for -T and running.conf. */
void conf_print_masked(const struct conf *c, struct weir_str expanded,
                       struct buf *out);
/* What each sink guarantees, a line each, as -t and the log at start say. */
void conf_print_guarantees(const struct conf *c, struct buf *out);

#endif
