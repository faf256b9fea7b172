/*
 * receiver.h - the source worker's work: binlog events, as a source module
 * feeds them, become whole transactions in the relay.  Checks checksums, puts
 * DDL and rows of the tables that are kept into frames, finds table
 * definitions, notes the position.  Knows no server: what it has to ask, it
 * asks through the settings.  One thread.
 */
#ifndef WEIR_RECEIVE_RECEIVER_H
#define WEIR_RECEIVE_RECEIVER_H

#include <stdbool.h>

#include <weir/module.h>

#include "base/buf.h"
#include "base/page.h"
#include "module/instance.h"
#include "relay/relay.h"

struct receiver_settings {
    struct weir_list    kept; /* globs of database.table; none: all */
    struct weir_list    left_out; /* globs: transactions that begin there */
    struct weir_list    assumed; /* globs, whose definitions need no proof */
    int64_t             max_event;        /* bytes, inflated */
    int64_t             max_transaction;  /* of XA; 0: what the disk has */
    const char         *xa_dir;           /* prepared XA transactions */
    int64_t             schema_wait_usec; /* see hold.c */
    int64_t             retain_bytes;
    struct worker_page *page;
    /* Describes a table through receiver_feed_ops' define calls; NULL where
     * the source can't. */
    enum weir_status (*describe)(void *arg, struct weir_str schema,
                                 struct weir_str table, struct weir_err *err);
    /* Lets go of old segments; called twice a second, and whenever the relay
     * has grown by `retain_bytes`.  Sets *full while what sinks still need
     * fills the relay. */
    enum weir_status (*retain)(void *arg, bool *full, struct weir_err *err);
    const char *pipeline; /* its name, for what people may type; or NULL */
    const char *given; /* the file of schema/given.h; NULL: none */
    const char *diverged; /* the file that lists what another server lacks */
    bool  adopt; /* another server may go on where the last one ended */
    void *arg;
};

struct receiver;

struct receiver *receiver_new(const struct receiver_settings *settings);
void             receiver_free(struct receiver **r);

/* relay_settings.origin, with the receiver as its argument. */
void receiver_origin(void *receiver, struct buf *out);
/* Finds out where the relay ends: from the origin and frames of its last
 * segment.  Once, before the first feed. */
enum weir_status receiver_resume(struct receiver *r, struct relay *relay,
                                 const char *dir, const char *page_path,
                                 struct weir_err *err);

/* A table's definition that a person gives, and from which of its rows on. */
enum { GIVEN_SENTENCE = 1000 };
#define GIVEN_FIND 0           /* the first that a sink needs without names */
#define GIVEN_NOW  UINT64_MAX  /* those that come */
struct receiver_given {
    struct weir_str schema, name, statement; /* CREATE TABLE */
    uint64_t        from;   /* a version (offset of a table frame), or above */
    uint64_t        needed; /* offset before which no sink needs anything */
};
/* After receiver_resume(), before the first feed.  Stored when it returns;
 * *sentence says from where on it is valid.  REJECT: refused, with why. */
enum weir_status receiver_define(struct receiver *r,
                                 const struct receiver_given *given,
                                 char sentence[static GIVEN_SENTENCE],
                                 struct weir_err *err);

/* Where a source has to go on; all empty: nothing was ever read. */
void receiver_position(const struct receiver *r, struct buf *gtid_set,
                       struct weir_str *file, uint64_t *offset);
/* Another position for a relay that has none yet: where the sinks are. */
enum weir_status receiver_begin(struct receiver *r, struct weir_str gtid_set,
                                struct weir_str file, uint64_t offset,
                                struct weir_err *err);
/* The connection is gone, or run() has ended: takes the open transaction back
 * and publishes what is whole. */
enum weir_status receiver_disconnected(struct receiver *r,
                                       struct weir_err *err);
/* Whether the last RETRY was to read again from a proved position, with one more
 * definition known to be of no use: there is nothing to wait for.  Once. */
bool             receiver_reads_again(struct receiver *r);
/* Whether the last RETRY was for want of room; and a look whether there is some
 * again, which also lets go of what is done. */
bool             receiver_full(const struct receiver *r);
enum weir_status receiver_look_for_room(struct receiver *r,
                                        struct weir_err *err);

/* What a source instance's calls go to, with the receiver as `arg`. */
extern const struct feed_ops receiver_feed_ops;

#endif
