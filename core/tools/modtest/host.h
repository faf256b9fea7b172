/*
 * host.h - a server of one module: loads it as the server does, reads its
 * block, makes instances, and calls each of its functions with the general
 * promises checked: a status that the function may give, a reason where there
 * must be one, nothing that is the server's written to.  Knows no particular
 * test.
 */
#ifndef WEIR_TOOLS_MODTEST_HOST_H
#define WEIR_TOOLS_MODTEST_HOST_H

#include <pthread.h>

#include "module/directive.h"
#include "module/instance.h"
#include "module/load.h"
#include "tools/modtest/report.h"
#include "tools/modtest/rows.h"

struct options {
    const char *module, *conf; /* files; conf may be NULL */
    const char *work;          /* a folder of ours */
    int         seconds;       /* that a section may take */
    size_t      big;           /* bytes of the largest value */
};

struct host {
    const struct options     *opt;
    struct arena              arena;
    const struct weir_module *m;
    const void               *conf; /* read-only memory */
    bool                      required_missing;
    size_t                    nsecrets;
    const char              **secrets; /* words that may never be said */
    struct weir_batching      batching;
    struct rows               rows;
    const char               *folder; /* a sink's own */
    const char               *id; /* of its checkpoints: new for each run */
    uint64_t                  epoch;
    unsigned                  nrejected; /* events, by verdict or as a batch */
    char                      said[512]; /* the reason of the last call */
    struct table_plan         plan; /* of the last unit_table() */
};

/* The file, the contract, its directives: FATAL as the server says it. */
enum weir_status host_load(struct host *h, struct weir_err *err);
/* The block of opt->conf, or an empty one. */
enum weir_status host_configure(struct host *h, struct weir_err *err);

/* ---- Instances */
struct found_checkpoint {
    uint32_t        slot;
    uint64_t        epoch;
    struct weir_str id, data;
};

struct unit {
    struct weir_instance     in;
    struct host             *h;
    struct arena             scratch, kept;
    struct buf               text;
    size_t                   nfound;
    struct found_checkpoint *found; /* of the last unit_restore() */
};

struct unit *unit_new(struct host *h, uint32_t lane, uint32_t lanes);
enum weir_status unit_open(struct unit *u);
void unit_free(struct unit **u); /* with close(), if it is open */
/* New and open; NULL, and a failed point, if it can't be. */
struct unit *unit_start(struct host *h, const char *what);

enum weir_status host_check(struct host *h);

/* ---- Tables */
enum weir_status unit_table(struct unit *u, struct made_table *t);
void unit_table_end(struct unit *u, struct made_table *t);

/* ---- Filters and transforms */
enum weir_status unit_filter(struct unit *u, const struct made_table *t,
                             const struct weir_event *ev);
enum weir_status unit_transform(struct unit *u, const struct made_table *t,
                                const struct weir_event *ev,
                                struct weir_value *before,
                                struct weir_value *after);

/* ---- Sinks */

/* write(), and commit() where there is one, until both are done for.  The
 * batch is over then: its memory can't be read any more. */
enum weir_status unit_write(struct unit *u, struct trial *b);
/* write() alone. */
enum weir_status unit_write_only(struct unit *u, struct trial *b);
void             unit_let_go(struct trial *b);
/* As the server goes on: RETRY is restored and written again, a few times. */
enum weir_status unit_put(struct unit *u, struct trial *b);
enum weir_status unit_restore(struct unit *u, const char *id, uint32_t slot);
enum weir_status unit_forget(struct unit *u, const char *id, uint32_t slot);
void             unit_tick(struct unit *u);

/* What was found for a slot, or NULL. */
const struct found_checkpoint *unit_found(const struct unit *u, uint32_t slot);

/* ---- The process around it */
struct traces { /* what an instance may not leave behind */
    size_t   nfds, nthreads, nchildren;
    uint64_t handlers; /* a hash of what signals do, umask and folder */
};
struct traces traces_now(void);
/* Memory is measured in windows of cycles: what grows in each of them leaks,
 * what grows in one may be a cache of the library's. */
enum { LEAK_WINDOW = 15, LEAK_WINDOWS = 4, LEAK_CYCLES = 60 };
struct leak { uint64_t at[LEAK_WINDOWS]; };
void leak_note(struct leak *l, int cycle); /* before each cycle, from 0 */
/* After LEAK_CYCLES: a point. */
void leak_point(const struct leak *l, const char *what);
/* A point for each, and for processes that were left. */
void traces_compare(const struct traces *before, const char *what);

#endif
