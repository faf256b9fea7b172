/*
 * sink_exec_child.h - a program with its three pipes: lines to it and from it,
 * what it says on standard error into the log, and its end.  Knows no protocol.
 */
#ifndef SINK_EXEC_CHILD_H
#define SINK_EXEC_CHILD_H

#include <sys/types.h>

#include <weir/module.h>

enum { CHILD_LINE = 8192 }; /* of a line from it, at most */

struct child_pipe {
    int    fd; /* -1: closed */
    char   data[CHILD_LINE];
    size_t len, taken; /* the first so many bytes were given as a line */
};

struct child {
    struct weir_instance *in;
    const char           *name; /* of the program */
    pid_t                 pid;  /* 0: there is none */
    int                   input;
    struct child_pipe     output, errors;
};

/* FATAL: there is no such program, or it can't be run. */
enum weir_status child_start(struct child *c, char *const *argv,
                             const char *folder, struct weir_err *err);

/* Until there is a line from it: *line, without its end, until the next call.
 * Meanwhile sends what `rest` has, which moves on.  RETRY: it ended, it closed
 * a pipe, or nothing came until `deadline_ms`.  FATAL: what came is no line.
 * After an error it has to be stopped. */
enum weir_status child_line(struct child *c, struct weir_str *rest,
                            int64_t deadline_ms, struct weir_str *line,
                            struct weir_err *err);
/* Between calls: its errors into the log.  False: it said something unasked, or
 * is no longer there. */
bool child_look(struct child *c);

/* Closes its input, gives it so long to end, then kills it and what it has
 * started; afterwards none of it is left.  What became of it, in words. */
void child_stop(struct child *c, int64_t grace_ms, char *how, size_t room);

int64_t child_now_ms(void); /* of a clock that nobody sets */

#endif
