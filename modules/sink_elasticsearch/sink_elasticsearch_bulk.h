/*
 * sink_elasticsearch_bulk.h - what is to be written, as items of _bulk requests,
 * and what becomes of each.
 */
#ifndef SINK_ELASTICSEARCH_BULK_H
#define SINK_ELASTICSEARCH_BULK_H

#include <weir/module.h>

#include "sink_elasticsearch_text.h"

struct sink;
struct names;

struct item {
    uint32_t event; /* of the batch */
    bool     is_delete;
    size_t   from, end; /* its lines, in the body */
    uint64_t version;
};

/* What is known of an event: the worst of its items. */
struct fate {
    enum weir_status status;
    const char      *reason; /* lives as long as the batch */
};

struct bulk {
    struct text  body;
    struct item *items;
    size_t       nitems, room;
    size_t       ndone; /* of the items: the server said what became of them */
    struct fate *fates; /* of the batch's events */
    size_t       fates_room;
    size_t       limit; /* bytes of a request: goes down when the server has
                           too much to do, and slowly up again */
    uint64_t     older, throttled;
};

enum weir_status bulk_begin(struct sink *s, struct weir_batch *b,
                            struct weir_err *err);
/* An item at the end: its document, one JSON object, or none to delete it. */
void bulk_index(struct sink *s, size_t event, const struct names *names,
                uint64_t version, struct weir_str document);
void bulk_delete(struct sink *s, size_t event, const struct names *names,
                 uint64_t version);
/* Deletes what it was before that version, as the row is elsewhere now.  By
 * another routing that may be the same shard, and then the same document, so
 * what is written there at that version stays, or still can be. */
void bulk_leave(struct sink *s, size_t event, const struct names *names,
                uint64_t version);
/* That event will not be written, for this reason. */
void bulk_refuse(struct sink *s, size_t event, enum weir_status why,
                 const char *reason);
/* The document is as new as that event, or newer: as after a replay.  FATAL:
 * somebody else has written it, as an event that came in while we ran can't meet
 * a version that none of ours has had. */
enum weir_status bulk_older(struct sink *s, const struct weir_event *ev,
                            uint64_t there, struct weir_err *err);
/* Sends all; a verdict for each event that the server did not take. */
enum weir_status bulk_send(struct sink *s, struct weir_batch *b,
                           struct weir_err *err);
void bulk_free(struct bulk *bulk);

#endif
