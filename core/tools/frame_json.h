/*
 * frame_json.h - a frame of the relay as a JSON object: what it says of the
 * transaction, the table's columns, rows decoded.  Prints what can be read and
 * says in "error" what can't.
 */
#ifndef WEIR_TOOLS_FRAME_JSON_H
#define WEIR_TOOLS_FRAME_JSON_H

#include "schema/table.h"
#include "tools/relaylog.h"

struct head_fields { /* point into the frame */
    uint64_t        source_offset, xid;
    int64_t         commit_usec, received_usec;
    uint32_t        server_id, thread_id;
    struct weir_str gtid, file, server;
};
/* False: malformed. */
bool head_parse(const struct frame *f, struct head_fields *out);

/* `call` is for this frame; tables are kept from one to the next. */
struct frame_json;
struct frame_json *frame_json_new(void);
void               frame_json_free(struct frame_json **j);
void frame_json_put(struct frame_json *j, struct relaylog *l,
                    const struct frame *f, struct buf *out);

/* ,"columns":[...] and what else there is to say of a table. */
void table_json_put(const struct table *t, struct buf *out);

#endif
