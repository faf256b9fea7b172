/*
 * frame.h - the relay's format on disk.  All integers little-endian, every
 * frame 8-byte aligned in its segment and in the relay (a segment's file is
 * named by its base offset, 20 digits and ".relay", and byte n of the file is
 * offset base + n).
 *
 * A segment:  header, frames, and an END frame once another one follows.
 * A frame:    FRAME_HEAD bytes of head, payload, zeroes up to the next 8.
 *
 *   0 u32 length   of head and payload, without the padding
 *   4 u32 crc      CRC32C of bytes 8 to length
 *   8 u64 offset   its own, so that a stale frame of a recycled segment is
 *                  never taken for a new one
 *  16 u8  type     enum frame_type
 *  17 u8  flags    enum frame_flags
 *  18 u16, 20 u32  zero, and not looked at
 *
 * Unknown types are skipped, unless FRAME_MUST is set.  Payloads, all without
 * padding between fields; `head` and `table` are offsets of frames in the same
 * segment (both are repeated where a transaction goes on in a new segment):
 *
 *   HEAD       u64 source_offset, i64 commit_usec, i64 received_usec, u64 xid
 *              (0: not known), u32 server_id, u32 thread_id, u16 gtid_len,
 *              u16 file_len, u16 server_len, u16 0, gtid, file, server
 *   TABLE      schema/table.h
 *   ROW        u64 head, u64 table, u64 source_offset, event (header and body,
 *              inflated, without a checksum)
 *   DDL        u64 head, u64 source_offset, event: a QUERY, in the same form
 *   COMMIT     u64 head, u64 source_offset (of what comes behind)
 *   ROTATE     u64 source_offset, file: the source's next log file
 *   HEARTBEAT  i64 usec, u64 source_offset, u32 gtid_set_len, u32 file_len,
 *              gtid_set, file: all up to there has been read
 *   SNAPSHOT   reserved
 *   END        u64 base of the next segment, for people to read
 *   STOP       i64 usec: the relay was closed cleanly here
 *   ASIDE      in side logs only: deliver/sidelog.h
 */
#ifndef WEIR_RELAY_FRAME_H
#define WEIR_RELAY_FRAME_H

#include <stdint.h>

#include <weir/module.h>

enum {
    FRAME_HEAD = 24,
    FRAME_ALIGN = 8,
    RELAY_FORMAT = 1,
};

enum frame_type {
    FRAME_TXN_HEAD = 1, FRAME_TABLE, FRAME_ROW, FRAME_DDL, FRAME_SNAPSHOT,
    FRAME_ROTATE, FRAME_HEARTBEAT, FRAME_COMMIT, FRAME_END, FRAME_STOP,
    FRAME_ASIDE,
};

enum frame_flags {
    FRAME_CONTINUED = 1, /* a TXN_HEAD or TABLE repeated in a new segment */
    FRAME_MUST = 2,      /* who doesn't know the type has to stop */
    FRAME_EARLIER = 4,   /* a TABLE as it was when its rows were prepared (XA) */
    FRAME_HELD = 8,      /* a COMMIT or HEARTBEAT that does not end
                            anything by itself: what came so far is whole when
                            another frame that ends something is there, too */
};

struct frame { /* points into a block of the follower's, see follow.h */
    uint64_t        offset, next; /* its own, and the one behind it */
    enum frame_type type;
    uint8_t         flags;
    struct weir_str payload;
};

#endif
