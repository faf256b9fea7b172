/*
 * generation.h - what the checker hands to the master: one sealed memfd.  Plain
 * lines first, "key value", which is all that the master reads:
 *
 *     weir-generation 1
 *     state /var/lib/weir
 *     user weir              (absent: stay who we are)
 *     pid /run/weir.pid
 *     log /var/log/weir.log  (absent: standard error)
 *     log_level info
 *     log_format text        (or json)
 *     control /run/weir.sock (absent: STATE/run/control)
 *     daemon on
 *     drain_ms 30000
 *     pipeline shop 9f3a...  (digest, hexadecimal; one line for its source)
 *     sink cache 77b0...     (of the pipeline above it)
 *     timeout_ms 60000       (of the sink above it)
 *     memory 4294967296      (the same; absent: no limit)
 *     masked 1198            (bytes of the same without secrets, behind it)
 *     text 1234              (bytes of expanded text, right behind this line)
 *
 * Base only, so that the master may read it.
 */
#ifndef WEIR_BASE_GENERATION_H
#define WEIR_BASE_GENERATION_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/module.h>

#include "base/arena.h"

enum { GENERATION_MAX_SINKS = 64, GENERATION_MAX_TEXT = 16 << 20 };

struct generation_sink {
    const char *name;
    uint64_t    digest;
    int64_t     timeout_ms;
    int64_t     memory; /* bytes; 0: no limit */
};
struct generation_pipeline {
    const char             *name;
    uint64_t                digest;
    size_t                  nsinks;
    struct generation_sink *sinks;
};
struct generation {
    int                         fd; /* sealed; owned by who called _read() */
    const char                 *state, *user, *pid, *log, *control;
    enum weir_level             log_level;
    bool                        log_json;
    bool                        daemon;
    int64_t                     drain_ms;
    size_t                      npipelines;
    struct generation_pipeline *pipelines;
    struct weir_str             text, masked; /* masked: running.conf */
};

/* All in `a`; `text` and `masked` only if wanted.  Moves no file offset:
 * processes share the descriptor. */
enum weir_status generation_read(struct arena *a, int fd, bool with_text,
                                 struct generation *out, struct weir_err *err);
/* A new memfd, written and sealed. */
enum weir_status generation_write(const struct generation *g, int *fd,
                                  struct weir_err *err);

#endif
