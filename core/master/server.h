/*
 * server.h - all that the running master knows: its options, the newest
 * generation, the state directory and its children.  Private to this room.
 */
#ifndef WEIR_MASTER_SERVER_H
#define WEIR_MASTER_SERVER_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/generation.h"
#include "master/account.h"
#include "master/checker.h"
#include "master/master.h"
#include "master/state.h"

struct child;

/* The control socket; see control.h, which says what it is for. */
struct control_client {
    int        fd; /* -1: free */
    unsigned   uid;
    int64_t    until; /* steady clock: left then */
    struct buf line;
};
struct control {
    const char           *path; /* NULL: not opened yet */
    int                   fd;
    int64_t               full_until; /* no descriptor is left until then */
    struct control_client clients[8];
};

struct server {
    const struct master_options *options;
    struct account               account;
    struct state                 state;

    struct arena      arena;      /* of `generation` */
    struct generation generation; /* the newest; its fd is passed on */
    struct arena      start;      /* what stays as it was at the start */
    const char       *log; /* or NULL: standard error */

    struct child *children;
    struct buf    paused;  /* pause.h: the file's text */
    struct control control;
    struct arena  call;    /* of one request */
    bool          is_ending;   /* no child is started any more */
    int64_t       grace_until; /* we were stopped ourselves: no hang before */

    struct checker       checker; /* of the reload that is under way */
    struct reload_result reload;
    bool                 is_settling; /* workers of a reload still drain */

    int      ready_fd; /* daemon_ready(), or -1 */
    int      signal_fd;
    sigset_t signals_before;
};

/* In a child, right after the fork: closes and unmaps what is the master's,
 * gives signals back.  `server` as void, for checker_start(). */
void server_let_go(void *server);

#endif
