/*
 * gtid.h - GTIDs and sets of them, of both flavours, as text and in memory.
 * MariaDB: "0-1-100", and a set is the last one of each domain.  MySQL:
 * "uuid:23" or "uuid:tag:23", and a set is intervals of each uuid and tag.
 * A set takes the flavour of the first thing put into it.
 */
#ifndef WEIR_BINLOG_GTID_H
#define WEIR_BINLOG_GTID_H

#include <stdbool.h>

#include <weir/module.h>

#include "base/buf.h"

struct gtid_set;

struct gtid_set *gtid_set_new(void);
struct gtid_set *gtid_set_copy(const struct gtid_set *set);
void             gtid_set_free(struct gtid_set **set);

/* Adds a set or a single GTID.  REJECT, with the set as it was: not one, or of
 * the other flavour, or more than a million intervals. */
enum weir_status gtid_set_add(struct gtid_set *set, struct weir_str text,
                              struct weir_err *err);
/* As a server takes it; empty for an empty set. */
void gtid_set_format(const struct gtid_set *set, struct buf *out);
bool gtid_set_empty(const struct gtid_set *set);

/* Whether a GTID was executed: MariaDB compares sequence numbers within the
 * domain, whatever the server id. */
bool gtid_set_has(const struct gtid_set *set, struct weir_str gtid);
/* Whether all of `part` is in `set`. */
bool gtid_set_covers(const struct gtid_set *set, const struct gtid_set *part);
/* Takes out of `set` what `other` does not have too: MariaDB's lower of the
 * two in each domain, domains of one only left out. */
void gtid_set_intersect(struct gtid_set *set, const struct gtid_set *other);

#endif
