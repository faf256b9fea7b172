/*
 * relay_box.h - a relay in a folder of its own, and transactions whose every
 * byte follows from their number, so that who reads them knows what was lost,
 * repeated, torn or mixed.
 */
#ifndef WEIR_T_RELAY_BOX_H
#define WEIR_T_RELAY_BOX_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "relay/follow.h"
#include "relay/relay.h"

struct box {
    char                  root[64], dir[96], page[96];
    struct relay_settings settings;
    struct relay         *relay;
    struct weir_err       err;
};

struct dice { uint64_t state; };
uint64_t dice_roll(struct dice *d, uint64_t below);

extern int64_t box_clock; /* of boxes with a clock that can be set */
int64_t        box_now(void);

void box_make(struct box *b, int64_t segment_size, int64_t size);
void box_remove(struct box *b);
void box_empty(struct box *b); /* its relay and page, not the folder */
/* All files of its relay, as they are now. */
void box_copy(const struct box *from, struct box *to);

/* These abort with a sentence where they can't do it. */
void box_open(struct box *b);
void box_close(struct box *b, bool clean);
struct follower *box_follow(struct box *b, uint64_t offset);
/* From the oldest frame on; NULL where there is none. */
struct follower *box_follow_first(struct box *b);

/* Frames of transaction `number`: HEAD, `rows` ROWs of about `size` bytes (each
 * says number, attempt, index), COMMIT.  `attempt` tells one that was cut from
 * one that was not. */
struct txn {
    uint64_t number, attempt;
    unsigned rows;
    size_t   size;
};
enum weir_status txn_append(struct relay *r, const struct txn *t,
                            unsigned upto, struct weir_err *err);
void             txn_write(struct box *b, const struct txn *t);

/* Reads on until DROP or an error, which it returns; aborts where a frame is
 * not the one that has to come.  `next` is the next transaction's number, and
 * what follows from it. */
struct reading {
    uint64_t next, attempt;
    unsigned index; /* in the open transaction */
    uint64_t frames, bytes;
    uint64_t stop_at; /* transactions, 0: none */
};
enum weir_status reading_go(struct follower *f, struct reading *r,
                            struct weir_err *err);

/* `n` transactions with attempt 5, each of them published. */
void box_write(struct box *b, uint64_t first, uint64_t n, unsigned rows,
               size_t size);
/* All that is there, from transaction `from` on; the number of the one that
 * comes next.  Fails where something is wrong. */
uint64_t box_read(struct box *b, uint64_t from);
uint64_t box_read_on(struct box *b, struct reading r);
/* Of the files whose name has `part` in it, and how many there are. */
int64_t box_bytes(const struct box *b, const char *part, int *n);
/* Its length. */
int64_t box_last_segment(const struct box *b, char path[static PATH_MAX]);
/* As if the machine had been switched off since: another boot id. */
void box_forget_boot(const struct box *b);
void file_flip(const char *path, uint64_t at, uint8_t bits);

_Noreturn void box_abort(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));

#endif
