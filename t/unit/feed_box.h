/*
 * feed_box.h - a receiver with a relay in a folder of its own, and events made
 * for it: MariaDB's, without checksums, of tables (i INT, b LONGBLOB).
 */
#ifndef WEIR_T_FEED_BOX_H
#define WEIR_T_FEED_BOX_H

#include "base/buf.h"
#include "receive/receiver.h"
#include "relay/relay.h"

struct feed_box {
    char             state[64], dir[96], relay_dir[128], page[128], xa_dir[128];
    char             given[128];
    struct relay    *relay;
    struct receiver *receiver;
    uint32_t         log_pos;
    uint64_t         seq;
    struct worker_page page_in, page_out;
    struct weir_err  err;
    int64_t          segment;
};
extern struct feed_box in;
/* For receiver_settings of the next box_open(). */
extern enum weir_status (*in_describe)(void *arg, struct weir_str schema,
                                       struct weir_str table,
                                       struct weir_err *err);
extern int64_t in_schema_wait;
extern struct weir_list in_assumed;
extern const char *in_gtids; /* where connect_source() says to begin */

void box_up(int64_t segment);
void box_down(void);
/* As a source worker ends and starts. */
void box_close(void);
void box_open(void);
void connect_source(void);

void feed_add(struct buf *b, uint64_t v, int bytes);
enum weir_status feed(uint8_t type, const struct buf *body);
#define FEEDS(type, body) assert_int_equal(feed(type, body), WEIR_OK)
void feed_gtid(uint64_t seq);
void feed_map(uint64_t id, const char *name);
void feed_row(uint64_t id, uint32_t i, size_t size);
void feed_query(const char *text);
enum weir_status feed_xid(void);
void publish(void);

#endif
