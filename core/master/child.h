/*
 * child.h - one worker as the master sees it: when it is to run, whether it
 * still does, and what to do when it doesn't.  Nothing here waits: everything
 * is a state and a time, and child_tick() does what has become due.
 *
 *     HELD -> DUE -> RUNNING -> ENDING -> gone, or DUE with its new block
 *              ^        | crash, hang
 *              +--------+-> RESTING, until a reload
 *
 * and from anywhere, once it has ended: PAUSED, until it is resumed.
 */
#ifndef WEIR_MASTER_CHILD_H
#define WEIR_MASTER_CHILD_H

#include "base/page.h"
#include "master/server.h"

enum child_state {
    CHILD_HELD,    /* waits until others of its pipeline have drained */
    CHILD_DUE,     /* starts at `at` */
    CHILD_RUNNING,
    CHILD_ENDING,  /* was told to; killed at `at` */
    CHILD_RESTING, /* not started again until a reload */
    CHILD_PAUSED,  /* held until somebody resumes it */
};

struct child {
    struct child       *next;
    struct arena        arena;
    const char         *pipeline, *sink; /* sink NULL: the source */
    const char         *what;            /* "sink shop/cache", for the log */
    unsigned            slot; /* of a sink, once it may start */
    uint64_t            digest, running_digest;
    int64_t             timeout_ms; /* older heartbeats are a hang */
    int64_t             memory;     /* bytes of its own, at most; 0: no limit */
    bool                is_wanted;  /* by the newest generation */
    const char         *page_path;
    struct worker_page *page;

    enum child_state state;
    pid_t            pid; /* 0: not running */
    int64_t          at;
    int64_t          started;  /* steady clock */
    bool             is_hung;  /* told to abort; killed at `at` */
    int64_t          took;     /* bytes, too many: killed; else 0 */
    int64_t          looked;   /* at its memory, steady clock */
    unsigned         failures; /* in a row */
    unsigned         crashes;  /* at `position`, in a row */
    char             position[1024];
    char             paused[500]; /* why it is held; empty: it is not */
};

/* Held, not wanted, without a slot; with a page. */
enum weir_status child_new(struct server *s, const char *pipeline,
                           const char *sink, struct child **out,
                           struct weir_err *err);
/* Unmaps and removes its page; the child must not be running. */
void child_free(struct child **c);

/* To its end: SIGQUIT or SIGTERM now, SIGKILL after `ms`. */
void child_end(struct child *c, int signal, int64_t ms);
/* It may start now, whatever has happened before, unless it is paused. */
void child_renew(struct child *c);
/* waitpid() gave `status` for it. */
void child_reaped(struct server *s, struct child *c, int status);
/* Does what is due at `now`, and gives the time when something will be. */
int64_t child_tick(struct server *s, struct child *c, int64_t now);

#endif
