/*
 * dead.h - dead letters one by one: which are left, and of which a newer version
 * has passed since, so that they must not be sent again.  The proof is the
 * relay: what came behind the letter's frame is read again and compared by key;
 * where the relay no longer reaches back so far, there is none.
 */
#ifndef WEIR_DELIVER_DEAD_H
#define WEIR_DELIVER_DEAD_H

#include "deliver/internal.h"

struct dead_list;

/* Those not handled yet; `which` is the offset of one, 0: all.  REJECT: there
 * is no such letter. */
enum weir_status dead_list_load(const char *dir, uint64_t which,
                                struct dead_list **out, struct weir_err *err);
void             dead_list_free(struct dead_list **l);
size_t           dead_count(const struct dead_list *l);
/* Finds those that a newer version stands in the way of.  REJECT: the relay
 * does not reach back far enough to tell. */
enum weir_status dead_check_newer(struct deliverer *d, struct dead_list *l,
                                  struct weir_err *err);
size_t           dead_newer(const struct dead_list *l);
/* Its record at `at` is to be sent. */
bool             dead_is_meant(const struct dead_list *l, uint64_t at);
enum weir_status dead_discard(const char *dir, const struct dead_list *l,
                              struct weir_err *err);
enum weir_status dead_is_empty(const char *dir, bool *empty,
                               struct weir_err *err);

#endif
