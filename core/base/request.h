/*
 * request.h - what a person asks of a worker, handed on by the master as the
 * file <state>/PIPELINE.SINK.request, of a source <state>/PIPELINE.request (one
 * writer: the master; removed by the worker once it is done for good), and the
 * worker's answer to it, in <state>/PIPELINE/SINK/answer, of a source
 * <state>/PIPELINE/schema.answer.  Both survive crashes of either: a request is
 * done again until its effect is stored, so that a crash leaves the old
 * position or the new one.
 */
#ifndef WEIR_BASE_REQUEST_H
#define WEIR_BASE_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/module.h>

#include "base/arena.h"

enum request_verb {
    REQUEST_NONE,
    REQUEST_REWIND, /* to `offset` in the relay */
    REQUEST_ADOPT,  /* take over what another Weir left in the target */
    REQUEST_PARK_RESUME, /* the table whose folder has that hash: `offset` */
    REQUEST_PARK_DISCARD,
    REQUEST_DEAD_REPLAY, /* the dead letter at `offset`, 0: all of them */
    REQUEST_DEAD_DISCARD,
    REQUEST_DEFINE, /* of a source: a table's definition */
};

struct request {
    enum request_verb verb;
    uint64_t          id;     /* chosen by who asks, to know its answer */
    uint64_t          offset; /* of a rewind; a definition's first version;
                                  or what else it is about */
    struct weir_str   text;   /* of a definition: database, table and CREATE
                                 TABLE, a space between, as request_word() */
};
enum { REQUEST_TEXT_MAX = 1 << 20 };

/* Bytes up to the space, '%' and 127 as "%20", so that the line has no others;
 * and back, in place of the first word of *from, which is taken off.  False:
 * it is malformed. */
struct weir_str request_word(struct arena *a, struct weir_str text);
bool request_unword(struct arena *a, struct weir_str *from,
                    struct weir_str *out);

/* `sink` NULL: of the source. */
const char *request_path(struct arena *a, const char *state,
                         const char *pipeline, const char *sink);
const char *answer_path(struct arena *a, const char *state,
                        const char *pipeline, const char *sink);

/* FATAL: it can't be written; RETRY: there is one that is not done yet. */
enum weir_status request_write(const char *path, const struct request *request,
                               struct weir_err *err);
/* REQUEST_NONE if there is no such file.  REJECT: not a request.  Its text is in
 * `a`. */
enum weir_status request_read(struct arena *a, const char *path,
                              struct request *out, struct weir_err *err);

/* The worker's answer, then the request's end. */
enum weir_status answer_write(const char *request, const char *answer,
                              uint64_t id, bool ok, const char *sentence,
                              struct weir_err *err);
/* False: there is none to `id`. */
bool answer_read(const char *path, uint64_t id, bool *ok, char *sentence,
                 size_t room);

#endif
