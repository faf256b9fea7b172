/*
 * blocks.h - the server's own blocks and their directives, in the same tables
 * that modules have; and all blocks together as a syntax.
 */
#ifndef WEIR_CONFIG_BLOCKS_H
#define WEIR_CONFIG_BLOCKS_H

#include "config/grammar.h"
#include "module/load.h"

struct global_settings {
    const char *state, *user, *pid, *log, *control;
    int64_t     log_level, log_format;
    bool        daemon;
    int64_t     drain_ms;
};

struct pipeline_settings { bool adopt; };

/* The top level, with a block for each module where its stage stands. */
const struct syntax *blocks_syntax(struct arena *a, size_t nmodules,
                                   const struct loaded_module *modules);

#endif
