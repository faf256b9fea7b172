/*
 * sink_redis.h - an instance of the sink, and the unit that all it writes goes
 * through: MULTI ... EXEC, fenced by WATCH of the checkpoint.
 */
#ifndef SINK_REDIS_H
#define SINK_REDIS_H

#include <weir/module.h>

#include "sink_redis_row.h"
#include "sink_redis_wire.h"

enum { TRUNCATE_SCAN, TRUNCATE_IGNORE };
enum { KEY_ROOM = 512, MAX_LANES = 16 };

enum {
    COMMAND_HASH,
    COMMAND_JSON,
    COMMAND_STRING,
    COMMAND_STREAM, /* from here on events are appended, rows not kept */
    COMMAND_PUBLISH,
};
enum { TLS_OFF, TLS_ON, TLS_VERIFY };

struct redis_conf {
    const char                 *host, *socket, *user, *password;
    const char                 *password_file, *checkpoint;
    const char                 *tls_ca, *tls_cert, *tls_key;
    const char                 *column, *null;
    int64_t                     port, db, truncate, timeout, command, tls;
    int64_t                     ttl, max_len, ids;
    const struct weir_template *key;
    const struct weir_format   *format, *document;
};

extern const struct weir_directive redis_directives[];
enum weir_status redis_check(const void *conf, struct weir_err *err);

static inline bool
appends(const struct redis_conf *c)
{
    return c->command >= COMMAND_STREAM;
}

struct sink {
    struct weir_instance    *in;
    const struct redis_conf *conf;
    struct wire              wire;
    char                     key[KEY_ROOM]; /* of the checkpoint */
    bool                     watches;       /* that key, on this connection */
    uint64_t                 epoch;         /* stored there when it was read */
    uint64_t                 own_epoch;     /* of the last batch, or 0 */
    size_t                   ncommands;     /* of the unit at work */
    size_t                   owners_room;
    uint32_t                *owners;    /* the event that each is for */
    bool                     is_script; /* the unit is one, of append.c */
    /* A TRUNCATE at work, if it takes several calls. */
    uint64_t scan_seq;
    char     scan_cursor[24];
};

/* Connects and logs in; nothing is watched yet. */
enum weir_status unit_connect(struct sink *s, struct weir_err *err);
/* The checkpoint's key of a slot; `out` has KEY_ROOM bytes. */
enum weir_status unit_key(struct sink *s, struct weir_str id, uint32_t slot,
                          char *out, struct weir_err *err);
/* Connected, and watching that checkpoint from now on. */
enum weir_status unit_watch(struct sink *s, struct weir_str id, uint32_t slot,
                            struct weir_err *err);
/* Reads what is stored for a slot and tells the server, if anything is. */
enum weir_status unit_read_slot(struct sink *s, struct weir_str id,
                                uint32_t slot, struct weir_err *err);

enum weir_status unit_begin(struct sink *s, size_t max_commands,
                            struct weir_err *err);
/* Commands from that one on are for this event. */
void unit_own(struct sink *s, size_t from, uint32_t event);
void unit_checkpoint(struct sink *s, const struct weir_checkpoint *cp);
void unit_add_epoch(struct sink *s, const struct weir_checkpoint *cp);
/* OK: written; an event that Redis refused has its verdict.  REJECT: a script
 * refused all of it.  Anything else: not written, or not known to be, and the
 * connection is closed, but for a unit that was beaten by somebody else's. */
enum weir_status unit_end(struct sink *s, struct weir_batch *b,
                          struct weir_err *err);
/* FENCED if the stored epoch is higher than ours, else RETRY. */
enum weir_status unit_beaten(const struct sink            *s,
                             const struct weir_checkpoint *cp,
                             struct weir_err              *err);

/* A whole batch of events that are appended to streams or published: all of
 * it, with the checkpoint, or nothing.  REJECT: the events that can't be have
 * their verdicts. */
enum weir_status append_batch(struct sink *s, struct weir_batch *b,
                              struct weir_err *err);
/* What the script said, in the reply to EXEC. */
enum weir_status append_answer(struct sink *s, struct weir_batch *b,
                               struct weir_err *err);

/* Removes all keys that the key of the batch's only event can stand for.
 * RETRY also where there is more to do than fits one call. */
enum weir_status truncate_table(struct sink *s, struct weir_batch *b,
                                struct weir_err *err);

#endif
