/*
 * gtid_text.h - what the events that bring GTIDs and the sets that hold them
 * share about their text.
 */
#ifndef WEIR_BINLOG_GTID_TEXT_H
#define WEIR_BINLOG_GTID_TEXT_H

#include <stdbool.h>

#include <weir/event.h>

enum { GTID_TEXT_MAX = 96, GTID_TAG_MAX = 32 };

/* Empty, or [a-z_][a-z0-9_]{0,31}. */
bool gtid_is_tag(struct weir_str tag);

#endif
