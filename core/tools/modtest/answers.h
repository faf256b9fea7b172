/*
 * answers.h - what a module is given when it asks the server, and where its
 * outcomes go.
 */
#ifndef WEIR_TOOLS_MODTEST_ANSWERS_H
#define WEIR_TOOLS_MODTEST_ANSWERS_H

#include "tools/modtest/host.h"

extern const struct sink_ops answers;      /* of a sink's calls */
extern const struct feed_ops feed_answers; /* of a source's */

/* What a source has fed so far, and when to stop it. */
struct fed {
    size_t           nevents, stop_after;
    bool             has_server, has_position;
    int              stop_fd[2]; /* a pipe: readable is "stop" */
    enum weir_status refuse;     /* OK: events are taken */
};
extern struct fed fed;

#endif
