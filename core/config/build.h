/*
 * build.h - the parts of making a struct conf out of a tree: conf.c does the
 * whole, pipeline.c one pipeline, digest.c its digests.
 */
#ifndef WEIR_CONFIG_BUILD_H
#define WEIR_CONFIG_BUILD_H

#include "config/blocks.h"
#include "config/settings.h"

/* What conf_parse() gives out is the first field of this. */
struct conf_whole {
    struct conf        conf;
    size_t             nsecrets;
    const struct span *secrets;
};

struct build {
    struct arena       *arena;
    struct conf_errors *errors;
    struct settings     settings;
    struct tokens       tokens;
    bool                check; /* call modules' check() */
    size_t              nfailed;
    const char        **failed; /* see struct grammar */
};

/* Fills `p` from its block; what is wrong is reported. */
void pipeline_build(struct build *b, const struct block *block,
                    struct conf_pipeline *p);

/* Of a pipeline that was built: its own digest and those of its sinks, by what
 * is written, not by spaces, comments, quotes or where it stands. */
void digest_pipeline(const struct tokens *t, const struct block *block,
                     struct conf_pipeline *p);

#endif
