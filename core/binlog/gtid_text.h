/*
 * gtid_text.h - the pieces of a GTID as text; shared by the events that bring
 * them and the sets that hold them.
 */
#ifndef WEIR_BINLOG_GTID_TEXT_H
#define WEIR_BINLOG_GTID_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/event.h>

enum { GTID_TEXT_MAX = 96, GTID_TAG_MAX = 32, GTID_UUID_TEXT = 36 };

/* Both write without a NUL, and give the end of what they wrote. */
char *gtid_put_u64(char *p, uint64_t v);
char *gtid_put_uuid(char *p, const uint8_t uuid[16]);

/* Empty, or [a-z_][a-z0-9_]{0,31}. */
bool gtid_is_tag(struct weir_str tag);

#endif
