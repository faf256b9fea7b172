/*
 * gtid_code.c - MySQL's GTID sets: text, as its server prints it, into the bytes
 * that COM_BINLOG_DUMP_GTID takes.  Knows no server and merges nothing: who
 * wants intervals in order has the server print them first.
 */
#include "source_mysql.h"

#include <stdlib.h>
#include <string.h>

enum {
    UUID_BYTES = 16,
    TAG_MAX = 32,
    INTERVALS_MAX = 1000000, /* more is no set of a server's */
};

struct bytes { unsigned char *data; size_t len, room; };

/* One item is a uuid, a tag if there is one, and intervals. */
struct coder {
    const char   *p, *end;
    struct bytes  out;
    bool          tagged; /* the form with a tag, maybe empty, in each item */
    unsigned char uuid[UUID_BYTES];
    uint64_t      items, intervals, in_item;
    size_t        count_at; /* where in_item belongs */
};

static void
bytes_add(struct bytes *b, const void *data, size_t len)
{
    if (b->len + len > b->room) {
        b->room = (b->len + len) * 2;
        b->data = realloc(b->data, b->room);
        if (!b->data) {
            abort();
        }
    }
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

static void
bytes_add_u64(struct bytes *b, uint64_t v)
{
    unsigned char raw[8];

    put_le(raw, v, sizeof raw);
    bytes_add(b, raw, sizeof raw);
}

/* ---- Reading */

static bool
take(struct coder *c, char wanted)
{
    if (c->p < c->end && *c->p == wanted) {
        c->p++;
        return true;
    }
    return false;
}

/* The server prints a line end behind each comma. */
static void
skip_space(struct coder *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\n')) {
        c->p++;
    }
}

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
take_uuid(struct coder *c)
{
    for (int i = 0; i < UUID_BYTES; i++) {
        if ((i == 4 || i == 6 || i == 8 || i == 10) && !take(c, '-')) {
            return false;
        }
        if (c->end - c->p < 2) {
            return false;
        }
        const int high = hex_digit(c->p[0]), low = hex_digit(c->p[1]);
        if (high < 0 || low < 0) {
            return false;
        }
        c->uuid[i] = (unsigned char)(high << 4 | low);
        c->p += 2;
    }
    return true;
}

static bool
take_number(struct coder *c, uint64_t *out)
{
    const char *from = c->p;
    uint64_t    v = 0;

    for (; c->p < c->end && *c->p >= '0' && *c->p <= '9'; c->p++) {
        if (v > (INT64_MAX - 10) / 10) {
            return false;
        }
        v = v * 10 + (uint64_t)(*c->p - '0');
    }
    *out = v;
    return c->p > from && v > 0;
}

static bool
is_tag_byte(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || c == '_' ||
           (!first && c >= '0' && c <= '9');
}

static size_t
take_tag(struct coder *c, char tag[TAG_MAX])
{
    size_t n = 0;

    while (c->p < c->end && n < TAG_MAX) {
        const char low =
            *c->p >= 'A' && *c->p <= 'Z' ? (char)(*c->p | 0x20) : *c->p;
        if (!is_tag_byte(low, n == 0)) {
            break;
        }
        tag[n++] = low;
        c->p++;
    }
    return n;
}

/* ---- Writing */

static void
item_end(struct coder *c)
{
    if (c->count_at) {
        put_le(c->out.data + c->count_at, c->in_item, 8);
    }
    c->count_at = 0;
}

static void
item_begin(struct coder *c, const char *tag, size_t tag_len)
{
    item_end(c);
    bytes_add(&c->out, c->uuid, UUID_BYTES);
    if (c->tagged) {
        const unsigned char len = (unsigned char)(tag_len << 1);
        bytes_add(&c->out, &len, 1);
        bytes_add(&c->out, tag, tag_len);
    }
    c->count_at = c->out.len;
    c->in_item = 0;
    c->items++;
    bytes_add_u64(&c->out, 0);
}

static bool
take_interval(struct coder *c)
{
    uint64_t first, last;

    if (!take_number(c, &first)) {
        return false;
    }
    last = first;
    if (take(c, '-') && (!take_number(c, &last) || last < first)) {
        return false;
    }
    bytes_add_u64(&c->out, first);
    bytes_add_u64(&c->out, last + 1); /* the end is exclusive */
    c->in_item++;
    return ++c->intervals <= INTERVALS_MAX;
}

/* uuid:1-5:7:tag:1-3 */
static bool
take_server(struct coder *c)
{
    char   tag[TAG_MAX];
    size_t tag_len;

    if (!take_uuid(c)) {
        return false;
    }
    item_end(c); /* of the server before */
    c->in_item = 0;
    bool first = true;
    while (skip_space(c), take(c, ':')) {
        skip_space(c);
        tag_len = take_tag(c, tag);
        if (tag_len > 0) {
            if (!first && c->in_item == 0) {
                return false;
            }
            item_begin(c, tag, tag_len);
            first = false;
            continue;
        }
        if (first) {
            item_begin(c, tag, 0);
            first = false;
        }
        if (!take_interval(c)) {
            return false;
        }
    }
    return c->in_item > 0;
}

/* The head: how many items; marked in its first and last byte, with the number
 * between them, if they have tags (Gtid_set::encode() of sql/rpl_gtid_set.cc).
 */
static void
put_head(struct coder *c)
{
    item_end(c);
    if (c->tagged) {
        c->out.data[0] = 1;
        put_le(c->out.data + 1, c->items, 6);
        c->out.data[7] = 1;
    } else {
        put_le(c->out.data, c->items, 8);
    }
}

static bool
has_tags(struct weir_str text)
{
    for (size_t i = 1; i < text.len; i++) {
        const char low = (char)(text.data[i] | 0x20);
        if (text.data[i - 1] == ':' &&
            ((low >= 'a' && low <= 'z') || text.data[i] == '_')) {
            return true;
        }
    }
    return false;
}

bool
gtid_code_make(struct weir_str text, unsigned char **out, size_t *len)
{
    struct coder c = { .p = text.data, .end = text.data + text.len,
                       .tagged = has_tags(text) };

    bytes_add_u64(&c.out, 0);
    skip_space(&c);
    bool ok = c.p < c.end;
    while (ok && c.p < c.end) {
        ok = take_server(&c);
        skip_space(&c);
        if (ok && c.p < c.end) {
            ok = take(&c, ',');
            skip_space(&c);
            ok = ok && c.p < c.end;
        }
    }
    if (!ok) {
        free(c.out.data);
        return false;
    }
    put_head(&c);
    *out = c.out.data;
    *len = c.out.len;
    return true;
}
