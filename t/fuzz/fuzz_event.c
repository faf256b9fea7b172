/*
 * fuzz_event.c - any bytes as a stream of events: framing, the events that are
 * not about rows, and what is inside compressed ones.  Checksums are not
 * verified, so that changed bytes come further than that.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "binlog/event.h"
#include "binlog/gtid.h"

enum { INFLATED_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
    struct binlog_stream    s;
    struct binlog_inflater *inflater;
    struct gtid_set        *set;
    struct arena            a;
};

/* What a set prints it reads again as the same. */
static void
check_set(const struct gtid_set *set)
{
    struct buf       text = { 0 }, again = { 0 };
    struct gtid_set *copy = gtid_set_new();

    gtid_set_format(set, &text);
    if (gtid_set_add(copy, buf_view(&text), NULL) != WEIR_OK ||
        !gtid_set_covers(copy, set) || !gtid_set_covers(set, copy)) {
        abort();
    }
    gtid_set_format(copy, &again);
    if (text.len != again.len ||
        (text.len > 0 && memcmp(text.data, again.data, text.len) != 0)) {
        abort();
    }
    gtid_set_intersect(copy, set);
    gtid_set_free(&copy);
    buf_free(&text);
    buf_free(&again);
}

static void
fuzz_gtids(struct fuzz *f, const struct binlog_event *ev)
{
    struct binlog_gtid gtid;
    struct buf         text = { 0 };

    if (binlog_gtid_parse(ev, &gtid, NULL) == WEIR_OK) {
        gtid_set_add(f->set, (struct weir_str){ gtid.text, strlen(gtid.text) },
                     NULL);
    }
    if (binlog_gtid_list_parse(ev, &text, NULL) == WEIR_OK) {
        struct gtid_set *list = gtid_set_new();
        gtid_set_add(list, buf_view(&text), NULL);
        check_set(list);
        gtid_set_free(&list);
    }
    buf_free(&text);
    /* The body as text, too. */
    gtid_set_add(f->set,
                 (struct weir_str){ (const char *)ev->body, ev->body_len },
                 NULL);
}

static void
fuzz_event(struct fuzz *f, const struct binlog_event *ev)
{
    struct binlog_rotate to;
    struct binlog_query  query;
    struct weir_str      text;
    char                 xid[400];
    bool                 one_phase;

    binlog_rotate_parse(ev, &to, NULL);
    binlog_heartbeat_parse(&f->s, ev, &to, NULL);
    binlog_query_parse(ev, &f->a, &query, NULL);
    binlog_xa_parse(ev, &one_phase, xid, sizeof xid, NULL);
    binlog_incident_parse(ev, &text, NULL);
    fuzz_gtids(f, ev);
    arena_reset(&f->a);
}

static void
fuzz_inner(struct fuzz *f, const struct buf *events)
{
    struct binlog_event ev;

    for (size_t at = 0; at < events->len; at += ev.len) {
        if (binlog_event_parse_inner(&f->s, events->data + at,
                                     events->len - at, &ev, NULL) != WEIR_OK) {
            return;
        }
        fuzz_event(f, &ev);
    }
}

static void
fuzz_compressed(struct fuzz *f, const struct binlog_event *ev)
{
    struct buf out = { 0 };

    if (binlog_inflate_rows(f->inflater, ev, INFLATED_MAX, &out, NULL) ==
        WEIR_OK) {
        fuzz_inner(f, &out);
    }
    if (binlog_inflate_payload(f->inflater, ev, INFLATED_MAX, &out, NULL) ==
        WEIR_OK) {
        fuzz_inner(f, &out);
    }
    if (out.len > INFLATED_MAX) {
        abort();
    }
    buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz f = { .inflater = binlog_inflater_new(),
                      .set = gtid_set_new() };

    binlog_stream_init(&f.s);
    f.s.verify = false;
    for (size_t at = 0; size - at >= BINLOG_HEADER;) {
        struct binlog_event ev;
        const size_t        says = get_le32(data + at + 9);
        const size_t        len = says < size - at ? says : size - at;
        if (binlog_event_parse(&f.s, data + at, len, &ev, NULL) != WEIR_OK) {
            break;
        }
        fuzz_event(&f, &ev);
        fuzz_compressed(&f, &ev);
        at += len;
    }
    check_set(f.set);
    gtid_set_free(&f.set);
    binlog_inflater_free(&f.inflater);
    arena_free(&f.a);
    return 0;
}
