/*
 * checker.h - the child that tests a configuration and hands over what it
 * found, so that a broken file or module can't hurt who asked.  Used by the
 * master at start and at each reload, and by `weir -s`.
 */
#ifndef WEIR_MASTER_CHECKER_H
#define WEIR_MASTER_CHECKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <weir/module.h>

#include "base/buf.h"
#include "master/master.h"

struct checker {
    pid_t      pid;           /* 0: none is at work */
    int        socket;        /* the generation comes this way */
    int        errors;        /* what it says, unless it says it itself */
    bool       is_captured;   /* by `errors` */
    int        generation_fd; /* or -1 */
    struct buf said;
    int64_t    deadline; /* steady clock: killed then */
};

/* `let_go` is called in the child with `arg`: closes what is the caller's own.
 * `capture`: what it prints goes into `said` instead of standard error. */
enum weir_status checker_start(struct checker *c,
                               const struct master_options *o, bool capture,
                               void (*let_go)(void *arg), void *arg,
                               struct weir_err *err);
/* Takes what has arrived, without waiting. */
void checker_read(struct checker *c);
/* After the child was reaped with `status`.  OK: *fd is the generation.  FATAL:
 * the reason is what it said first. */
enum weir_status checker_finish(struct checker *c, int status, int *fd,
                                struct weir_err *err);

/* What it said, line by line; false at the end.  `at` is 0 at first. */
bool checker_line(const struct checker *c, size_t *at, struct weir_str *out);

/* All of it, waiting for the end. */
enum weir_status checker_run(const struct master_options *o, bool capture,
                             int *fd, struct weir_err *err);

#endif
