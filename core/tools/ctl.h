/*
 * ctl.h - what the commands of weirctl share: whom they talk about, how they
 * answer.  Reading needs no master: pages and files say it.
 */
#ifndef WEIR_TOOLS_CTL_H
#define WEIR_TOOLS_CTL_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "master/state.h"
#include "tools/relaylog.h"

/* Exit statuses. */
enum { CTL_OK = 0, CTL_FAILED = 1, CTL_NOT_RUNNING = 2, CTL_USAGE = 64 };

struct ctl {
    struct arena  arena;
    const char   *state; /* the folder */
    bool          json, watch, yes;
    const char   *to;    /* rewind: GTID, time or "earliest" */
    const char   *from;  /* schema set: a version, or "now" */
    const char   *reason;
    int           argc;  /* what stands behind the command */
    char        **argv;
    struct holder holder;
    bool          is_running; /* a master; then `holder` says which */
    int64_t       starting_until; /* 0: not waited for yet */
};

/* To standard error; gives the exit status back. */
int ctl_say(int exit_status, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* What a server or a file named, as a terminal may get it: str_tame(). */
const char *ctl_shown(struct arena *a, struct weir_str text);

/* "PIPELINE/SINK", or SINK alone where one pipeline only has such a sink.
 * False, and said, if there is none. */
bool ctl_sink(struct ctl *c, const char **pipeline, const char **sink);
/* The pipeline that is named, or the only one. */
bool ctl_pipeline(struct ctl *c, const char *name, const char **pipeline);

/* One request to the master, its answer without the first word. */
enum weir_status ctl_ask(struct ctl *c, const char *request, char *answer,
                         size_t room, struct weir_err *err);

/* ,"name":"text" and the like; the comma where one is needed. */
void ctl_key(struct buf *out, const char *name);
void ctl_text(struct buf *out, const char *name, struct weir_str text);
void ctl_uint(struct buf *out, const char *name, uint64_t n); /* a string */
void ctl_int(struct buf *out, const char *name, int64_t n);
void ctl_time(struct buf *out, const char *name, int64_t usec);
void ctl_bool(struct buf *out, const char *name, bool value);
void ctl_print(struct buf *out); /* with a newline; emptied */

/* ctl_status.c */
int ctl_status(struct ctl *c);
int ctl_lag(struct ctl *c);
/* ctl_steer.c */
int ctl_pause(struct ctl *c);
int ctl_resume(struct ctl *c);
int ctl_adopt(struct ctl *c);
int ctl_reload(struct ctl *c);
int ctl_version(struct ctl *c);
/* Its worker has not found out yet where it stands, and what it put aside: waits
 * a moment then, 10 s in all. */
bool ctl_is_starting(struct ctl *c, const char *pipeline, const char *sink);
/* Hands a rewind or a takeover on, and waits for its answer. */
int ctl_hand_on(struct ctl *c, const char *pipeline, const char *sink,
                const char *verb, const char *argument);
/* ctl_rewind.c */
int ctl_rewind(struct ctl *c);
/* ctl_aside.c */
int ctl_park(struct ctl *c);
int ctl_dead(struct ctl *c);
/* ctl_relay.c */
int ctl_relay(struct ctl *c);
/* False, and said, if it can't be read. */
bool ctl_open_relay(struct ctl *c, const char *pipeline,
                    struct relaylog *out);
/* ctl_schema.c */
int ctl_schema(struct ctl *c);

#endif
