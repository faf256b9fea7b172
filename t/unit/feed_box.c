/* feed_box.c - see feed_box.h. */
#include "unit.h"

#include "feed_box.h"

#include "base/bytes.h"
#include "base/str.h"
#include "log_text.h"
#include "relay/identity.h"

enum { GTID = 162, TABLE_MAP = 19, WRITE_ROWS = 23, XID = 16, QUERY = 2 };

enum weir_status (*in_describe)(void *arg, struct weir_str schema,
                                struct weir_str table, struct weir_err *err);
int64_t in_schema_wait;
struct weir_list in_assumed;
const char *in_gtids = "";
struct feed_box in;

enum weir_status
feed(uint8_t type, const struct buf *body)
{
    struct buf ev = { 0 };
    uint8_t    head[19] = { 0 };

    in.log_pos += (uint32_t)(sizeof head + body->len);
    head[4] = type;
    put_le32(head + 5, 1);
    put_le32(head + 9, (uint32_t)(sizeof head + body->len));
    put_le32(head + 13, in.log_pos);
    buf_add(&ev, head, sizeof head);
    buf_add(&ev, body->data, body->len);
    const enum weir_status st = receiver_feed_ops.binlog(
        in.receiver, ev.data, ev.len, &in.err);
    buf_free(&ev);
    return st;
}

void
feed_add(struct buf *b, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++) {
        buf_byte(b, i < 8 ? (char)(v >> 8 * i) : 0);
    }
}

void
feed_gtid(uint64_t seq)
{
    struct buf b = { 0 };

    feed_add(&b, seq, 8);
    feed_add(&b, 0, 4 + 1 + 6);
    FEEDS(GTID, &b);
    buf_free(&b);
}

void
feed_map(uint64_t id, const char *name)
{
    struct buf b = { 0 };

    feed_add(&b, id, 6);
    feed_add(&b, 0, 2);
    feed_add(&b, 2, 1);
    buf_text(&b, "db");
    feed_add(&b, 0, 1);
    feed_add(&b, strlen(name), 1);
    buf_text(&b, name);
    feed_add(&b, 0, 1);
    feed_add(&b, 2, 1);
    feed_add(&b, 3, 1);   /* INT */
    feed_add(&b, 252, 1); /* BLOB with a length of 4 bytes */
    feed_add(&b, 1, 1);
    feed_add(&b, 4, 1);
    feed_add(&b, 0, 1);
    feed_add(&b, 1, 1); /* signedness */
    feed_add(&b, 1, 1);
    feed_add(&b, 0, 1);
    feed_add(&b, 2, 1); /* default charset: binary */
    feed_add(&b, 1, 1);
    feed_add(&b, 63, 1);
    feed_add(&b, 4, 1); /* names */
    feed_add(&b, 4, 1);
    feed_add(&b, 1, 1);
    buf_text(&b, "i");
    feed_add(&b, 1, 1);
    buf_text(&b, "b");
    FEEDS(TABLE_MAP, &b);
    buf_free(&b);
}

void
feed_row(uint64_t id, uint32_t i, size_t size)
{
    struct buf b = { 0 };

    feed_add(&b, id, 6);
    feed_add(&b, 1, 2);
    feed_add(&b, 2, 1);
    feed_add(&b, 3, 1);
    feed_add(&b, 0, 1);
    feed_add(&b, i, 4);
    feed_add(&b, size, 4);
    memset(buf_need(&b, size + 1), 'x', size);
    b.len += size;
    FEEDS(WRITE_ROWS, &b);
    buf_free(&b);
}

void
feed_query(const char *text)
{
    struct buf b = { 0 };

    feed_add(&b, 0, 8);
    feed_add(&b, 2, 1);
    feed_add(&b, 0, 4);
    buf_text(&b, "db");
    feed_add(&b, 0, 1);
    buf_text(&b, text);
    FEEDS(QUERY, &b);
    buf_free(&b);
}

enum weir_status
feed_xid(void)
{
    struct buf b = { 0 };

    feed_add(&b, 7, 8);
    const enum weir_status st = feed(XID, &b);
    buf_free(&b);
    return st;
}

void
publish(void)
{
    assert_int_equal(receiver_feed_ops.flush(in.receiver, &in.err), WEIR_OK);
}

void
connect_source(void)
{
    struct buf log = log_read("mariadb1011_alltypes.binlog");
    const size_t len = get_le32(log.data + 4 + 9);

    assert_int_equal(receiver_feed_ops.position(in.receiver,
                                                str_of(in_gtids),
                                                STR("bin.000001"), 4, &in.err),
                     WEIR_OK);
    log.data[4 + len - 5] = 0; /* no checksums */
    assert_int_equal(receiver_feed_ops.binlog(in.receiver, log.data + 4, len,
                                              &in.err), WEIR_OK);
    buf_free(&log);
}

void
box_open(void)
{
    char path[160];

    snprintf(path, sizeof path, "%s/p/id", in.state);
    const struct receiver_settings receiver = {
        .max_event = 64 << 20, .retain_bytes = 1 << 20, .page = &in.page_in,
        .xa_dir = in.xa_dir, .given = in.given,
        .assumed = in_assumed, .describe = in_describe, .schema_wait_usec = in_schema_wait,
    };
    in.receiver = receiver_new(&receiver);
    struct relay_settings relay = {
        .dir = in.relay_dir, .page_path = in.page, .segment_size = in.segment,
        .size = 1 << 30, .origin = receiver_origin, .arg = in.receiver,
    };
    assert_int_equal(identity_read(path, relay.pipeline_id, &in.err), WEIR_OK);
    assert_int_equal(relay_open(&relay, &in.relay, &in.err), WEIR_OK);
    assert_int_equal(receiver_resume(in.receiver, in.relay, in.relay_dir,
                                     in.page, &in.err), WEIR_OK);
    connect_source();
}

void
box_close(void)
{
    relay_close(&in.relay, true, &in.err);
    receiver_free(&in.receiver);
}

void
box_up(int64_t segment)
{
    const char *tmp = getenv("TMPDIR");
    uint8_t     id[IDENTITY_BYTES];
    char        path[160];

    memset(&in, 0, sizeof in);
    snprintf(in.state, sizeof in.state, "%s/weir-flow.XXXXXX",
             tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(in.state));
    snprintf(path, sizeof path, "mkdir %s/run %s/p", in.state, in.state);
    assert_int_equal(system(path), 0);
    snprintf(path, sizeof path, "%s/p/id", in.state);
    assert_int_equal(identity_make(path, id, &in.err), WEIR_OK);
    snprintf(in.relay_dir, sizeof in.relay_dir, "%s/p/relay", in.state);
    snprintf(in.given, sizeof in.given, "%s/p/schema.given", in.state);
    snprintf(in.xa_dir, sizeof in.xa_dir, "%s/p/xa.prepared", in.state);
    snprintf(in.page, sizeof in.page, "%s/run/p.relay", in.state);
    in.segment = segment;
    box_open();
}

void
box_down(void)
{
    char command[128];

    box_close();
    snprintf(command, sizeof command, "rm -r %s", in.state);
    assert_int_equal(system(command), 0);
}
