/*
 * try.h - what send.c, try.c and judge.c share: one try of a lane's batch after
 * the other, each on the thread that works on that batch.
 */
#ifndef WEIR_DELIVER_TRY_H
#define WEIR_DELIVER_TRY_H

#include "deliver/internal.h"

/* try.c.  What went wrong is shown and logged; waits then.  In vain, and the
 * breaker counts it; else part of what was sent went well.  False: the batch is
 * given up. */
bool try_back_off(struct batch *b, bool in_vain, const struct weir_err *why);
/* Waits until the breaker lets it through, which has to be told then how it
 * went: by one of these, or breaker_untried(). */
bool try_permitted(struct lane *l);
void try_went_well(struct batch *b);
/* The sink answered, whatever it said. */
void try_answered(struct batch *b);
/* The sink as a whole: stops, or (RETRY) begins again at what it has stored. */
void try_ends_lane(struct lane *l, enum weir_status st,
                   const struct weir_err *why);

/* send.c.  What is being sent is the end of the batch. */
bool send_is_last(const struct batch *b);
/* Where a lane stands that has done what is being sent. */
uint64_t send_place(const struct batch *b);
/* commit() of the module, in its turn.  False: given up. */
bool send_commit(struct batch *b);

/* judge.c.  True: go on with what is left. */
bool judge(struct batch *b, enum weir_status st, struct weir_err *err);
/* Of a sink that keeps its checkpoint: was it written after all?  False: the
 * batch is given up. */
bool judge_ask(struct batch *b);
/* Some of it waits for a table that is parked by now; puts that aside. */
bool judge_any_held(const struct batch *b);
bool judge_held(struct batch *b);

#endif
