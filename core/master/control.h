/*
 * control.h - the master's socket, to which weirctl talks.  One request line,
 * one line in answer, then the connection is closed:
 *
 *     weir 1 version
 *     weir 1 pause PIPELINE SINK [REASON...]
 *     weir 1 resume PIPELINE SINK
 *     weir 1 rewind PIPELINE SINK OFFSET ID
 *     weir 1 adopt PIPELINE SINK ID
 *     weir 1 begin PIPELINE SINK
 *     weir 1 define PIPELINE VERSION ID DATABASE TABLE STATEMENT
 *
 *     ok SENTENCE  |  refused SENTENCE
 *
 * What is asked of a worker is handed on in <state>/PIPELINE.SINK.request, or
 * PIPELINE.request for the source (base/request.h).  Only root and who runs the
 * master are listened to, lines are bounded, and who says nothing for some
 * seconds is left: nobody can make the master wait.
 */
#ifndef WEIR_MASTER_CONTROL_H
#define WEIR_MASTER_CONTROL_H

#include <poll.h>

#include "master/server.h"

enum { CONTROL_CLIENTS = 8, CONTROL_LINE_MAX = 1 << 20,
       CONTROL_FDS = CONTROL_CLIENTS + 1, CONTROL_SENTENCE_MAX = 1384 };

/* `path` NULL: in the run folder.  FATAL: it can't be had, or somebody else
 * listens there. */
enum weir_status control_open(struct server *s, const char *path,
                              struct weir_err *err);
void             control_close(struct server *s);
/* In a child: closes what is the master's. */
void control_let_go(const struct server *s);

/* What to wait for: fills CONTROL_FDS of them. */
void control_poll(const struct server *s, struct pollfd *out);
/* Does what has come, as far as it goes without waiting, and leaves who has
 * been silent for too long; gives the time when that is due next. */
int64_t control_serve(struct server *s, int64_t now);

/* control_request.c.  Does what a line asks for that the user `uid` sent;
 * whether it was done, and what to answer, into CONTROL_SENTENCE_MAX bytes. */
bool control_request(struct server *s, unsigned uid, struct weir_str line,
                     char *sentence);

#endif
