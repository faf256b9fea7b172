/*
 * gtid.c - sets of GTIDs.  A set is a flat, sorted array: one entry for each
 * domain (MariaDB), or for each run of numbers of a server and tag (MySQL).
 * Text is read whole before a set is touched.
 */
#include "binlog/gtid.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/str.h"
#include "binlog/event.h"
#include "binlog/gtid_text.h"
#include "binlog/text.h"

enum { RANGES_MAX = 1000000 };

/* MariaDB: `name` is the domain, big-endian, and `last` the sequence number.
 * MySQL: it is the uuid with the tag behind, and first..last the numbers. */
struct range {
    unsigned char name[16 + GTID_TAG_MAX];
    uint32_t      server; /* MariaDB's; not part of the order */
    uint64_t      first, last;
};

struct gtid_set {
    enum binlog_flavour flavour;
    size_t              n, room;
    struct range       *ranges;
};

bool
gtid_is_tag(struct weir_str tag)
{
    if (tag.len > GTID_TAG_MAX) {
        return false;
    }
    for (size_t i = 0; i < tag.len; i++) {
        const char c = tag.data[i];
        const bool letter = (c >= 'a' && c <= 'z') || c == '_';
        if (!letter && (i == 0 || c < '0' || c > '9')) {
            return false;
        }
    }
    return true;
}

struct gtid_set *
gtid_set_new(void)
{
    return xcalloc(1, sizeof(struct gtid_set));
}

struct gtid_set *
gtid_set_copy(const struct gtid_set *set)
{
    struct gtid_set *copy = gtid_set_new();

    copy->flavour = set->flavour;
    copy->n = copy->room = set->n;
    copy->ranges = xmalloc(set->n * sizeof *set->ranges);
    if (set->n > 0) {
        memcpy(copy->ranges, set->ranges, set->n * sizeof *set->ranges);
    }
    return copy;
}

void
gtid_set_free(struct gtid_set **set)
{
    if (*set) {
        free((*set)->ranges);
        free(*set);
        *set = NULL;
    }
}

bool
gtid_set_empty(const struct gtid_set *set)
{
    return set->n == 0;
}

static void
set_push(struct gtid_set *set, const struct range *r)
{
    if (set->n == set->room) {
        set->room = set->room ? set->room * 2 : 4;
        set->ranges = xrealloc(set->ranges, set->room * sizeof *set->ranges);
    }
    set->ranges[set->n++] = *r;
}

static int
name_order(const struct range *a, const struct range *b)
{
    return memcmp(a->name, b->name, sizeof a->name);
}

static int
range_order(const void *x, const void *y)
{
    const struct range *a = x, *b = y;
    const int           order = name_order(a, b);

    return order ? order : (a->first > b->first) - (a->first < b->first);
}

/* Sorts, and makes one of ranges that touch.  In a domain the higher sequence
 * number stays. */
static void
set_normalise(struct gtid_set *set)
{
    size_t n = 0;

    if (set->n < 2) {
        return;
    }
    qsort(set->ranges, set->n, sizeof *set->ranges, range_order);
    for (size_t i = 1; i < set->n; i++) {
        struct range       *to = &set->ranges[n];
        const struct range *r = &set->ranges[i];
        if (name_order(to, r) != 0 ||
            (set->flavour == FLAVOUR_MYSQL && r->first > to->last + 1)) {
            set->ranges[++n] = *r;
        } else if (r->last > to->last) {
            to->last = r->last;
            to->server = r->server;
        }
    }
    set->n = n + 1;
}

/* ---- Reading */
struct cursor { const char *p, *end; };

static bool
cursor_take(struct cursor *c, char wanted)
{
    if (c->p < c->end && *c->p == wanted) {
        c->p++;
        return true;
    }
    return false;
}

static void
cursor_skip_space(struct cursor *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\t' ||
                             *c->p == '\r')) {
        c->p++;
    }
}

static bool
cursor_number(struct cursor *c, uint64_t max, uint64_t *out)
{
    const char *from = c->p;

    while (c->p < c->end && *c->p >= '0' && *c->p <= '9') {
        c->p++;
    }
    return str_u64((struct weir_str){ from, (size_t)(c->p - from) }, out) &&
           *out <= max;
}

static bool
mariadb_read(struct cursor *c, struct gtid_set *out)
{
    struct range r = { .first = 0 };
    uint64_t     domain, server;

    if (!cursor_number(c, UINT32_MAX, &domain) || !cursor_take(c, '-') ||
        !cursor_number(c, UINT32_MAX, &server) || !cursor_take(c, '-') ||
        !cursor_number(c, UINT64_MAX, &r.last)) {
        return false;
    }
    for (int i = 0; i < 4; i++) {
        r.name[i] = (unsigned char)(domain >> (24 - 8 * i));
    }
    r.server = (uint32_t)server;
    set_push(out, &r);
    return true;
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
uuid_read(struct cursor *c, unsigned char uuid[16])
{
    for (int i = 0; i < 16; i++) {
        if ((i == 4 || i == 6 || i == 8 || i == 10) && !cursor_take(c, '-')) {
            return false;
        }
        if (c->end - c->p < 2) {
            return false;
        }
        const int high = hex_digit(c->p[0]), low = hex_digit(c->p[1]);
        if (high < 0 || low < 0) {
            return false;
        }
        uuid[i] = (unsigned char)(high << 4 | low);
        c->p += 2;
    }
    return true;
}

/* Tags are the same in capitals. */
static bool
tag_read(struct cursor *c, struct range *r)
{
    char  *tag = (char *)r->name + 16;
    size_t n = 0;

    memset(tag, 0, GTID_TAG_MAX);
    while (c->p < c->end && *c->p != ':' && *c->p != ',' && *c->p != ' ' &&
           *c->p != '\n') {
        if (n == GTID_TAG_MAX) {
            return false;
        }
        tag[n++] = *c->p >= 'A' && *c->p <= 'Z' ? (char)(*c->p | 0x20) : *c->p;
        c->p++;
    }
    return n > 0 && gtid_is_tag((struct weir_str){ tag, n });
}

static bool
mysql_read(struct cursor *c, struct gtid_set *out)
{
    struct range r = { .first = 0 };
    bool         open = true; /* an interval has to come yet */

    if (!uuid_read(c, r.name)) {
        return false;
    }
    while (cursor_skip_space(c), cursor_take(c, ':')) {
        cursor_skip_space(c);
        if (c->p < c->end && (*c->p < '0' || *c->p > '9')) {
            if (!tag_read(c, &r)) {
                return false;
            }
            open = true;
            continue;
        }
        if (!cursor_number(c, INT64_MAX - 1, &r.first) || r.first == 0) {
            return false;
        }
        r.last = r.first;
        if (cursor_take(c, '-') &&
            (!cursor_number(c, INT64_MAX - 1, &r.last) || r.last < r.first)) {
            return false;
        }
        set_push(out, &r);
        if (out->n > RANGES_MAX) {
            return false;
        }
        open = false;
    }
    return !open;
}

/* A MySQL GTID begins with eight hexadecimal digits and a dash, which a
 * MariaDB one does too if its domain has eight digits; but it has a colon. */
static bool
text_read(struct weir_str text, struct gtid_set *out)
{
    struct cursor c = { text.data, text.data + text.len };

    out->flavour = text.len > 0 && memchr(text.data, ':', text.len)
                       ? FLAVOUR_MYSQL
                       : FLAVOUR_MARIADB;
    cursor_skip_space(&c);
    while (c.p < c.end) {
        const bool ok = out->flavour == FLAVOUR_MYSQL ? mysql_read(&c, out)
                                                      : mariadb_read(&c, out);
        if (!ok || out->n > RANGES_MAX) {
            return false;
        }
        cursor_skip_space(&c);
        if (c.p == c.end) {
            return true;
        }
        if (!cursor_take(&c, ',')) {
            return false;
        }
        cursor_skip_space(&c);
        if (c.p == c.end) {
            return false;
        }
    }
    return out->n > 0;
}

/* ---- Looking up */

/* The first entry that is not before `r`. */
static size_t
set_find(const struct gtid_set *set, const struct range *r)
{
    size_t low = 0, high = set->n;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (range_order(&set->ranges[middle], r) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The entry that `r` begins in or, MySQL's, right behind; or NULL. */
static struct range *
set_entry(const struct gtid_set *set, const struct range *r)
{
    size_t i = set_find(set, r);

    if (i == set->n || range_order(&set->ranges[i], r) != 0) {
        if (i == 0) {
            return NULL;
        }
        i--;
    }
    struct range *found = &set->ranges[i];
    if (name_order(found, r) != 0) {
        return NULL;
    }
    return set->flavour == FLAVOUR_MARIADB || r->first <= found->last + 1
               ? found
               : NULL;
}

static bool
set_has_range(const struct gtid_set *set, const struct range *r)
{
    const struct range *found = set_entry(set, r);
    return found && r->first <= found->last && r->last <= found->last;
}

/* What comes most often: the next transaction.  False if it takes more. */
static bool
set_extend(struct gtid_set *set, const struct range *r)
{
    struct range *found = set_entry(set, r);

    if (!found) {
        return false;
    }
    const struct range *next = found + 1;
    if (set->flavour == FLAVOUR_MYSQL && next < set->ranges + set->n &&
        name_order(next, r) == 0 && r->last >= next->first - 1) {
        return false;
    }
    if (r->last > found->last) {
        found->last = r->last;
        found->server = r->server;
    }
    return true;
}

static enum weir_status
add_fail(const struct gtid_set *set, const struct gtid_set *read,
         struct weir_str text, struct weir_err *err)
{
    const int shown = text.len > 120 ? 120 : (int)text.len;
    const char *what =
        read->n > RANGES_MAX ? "has more than a million intervals"
        : set && set->flavour == FLAVOUR_MYSQL
            ? "is MariaDB's, and this is a set of MySQL's GTIDs"
        : set ? "is MySQL's, and this is a set of MariaDB's GTIDs"
              : "is not a GTID nor a set of them";

    return weir_fail(err, WEIR_REJECT, "\"%.*s%s\" %s", shown, text.data,
                     (size_t)shown < text.len ? "..." : "", what);
}

static void
set_merge(struct gtid_set *set, const struct gtid_set *more)
{
    set->flavour = more->flavour;
    if (more->n == 1 && set_extend(set, more->ranges)) {
        return;
    }
    for (size_t i = 0; i < more->n; i++) {
        set_push(set, &more->ranges[i]);
    }
    set_normalise(set);
}

enum weir_status
gtid_set_add(struct gtid_set *set, struct weir_str text, struct weir_err *err)
{
    struct gtid_set  read = { .n = 0 };
    enum weir_status st = WEIR_OK;

    if (text.len == 0) {
        return WEIR_OK; /* an empty set */
    }
    const bool ok = text_read(text, &read);
    if (!ok || set->n + read.n > RANGES_MAX) {
        read.n += ok ? set->n : 0;
        st = add_fail(NULL, &read, text, err);
    } else if (set->n > 0 && set->flavour != read.flavour) {
        st = add_fail(set, &read, text, err);
    } else {
        set_merge(set, &read);
    }
    free(read.ranges);
    return st;
}

bool
gtid_set_has(const struct gtid_set *set, struct weir_str gtid)
{
    struct gtid_set read = { .n = 0 };
    const bool      has = text_read(gtid, &read) &&
                     gtid_set_covers(set, &read);

    free(read.ranges);
    return has;
}

bool
gtid_set_covers(const struct gtid_set *set, const struct gtid_set *part)
{
    if (part->n > 0 && set->flavour != part->flavour) {
        return false;
    }
    for (size_t i = 0; i < part->n; i++) {
        if (!set_has_range(set, &part->ranges[i])) {
            return false;
        }
    }
    return true;
}

/* What both entries have; they are of one name. */
static void
push_common(struct gtid_set *out, const struct range *a, const struct range *b)
{
    struct range common = a->last <= b->last ? *a : *b;

    if (out->flavour == FLAVOUR_MYSQL) {
        common.first = a->first > b->first ? a->first : b->first;
    }
    if (common.first <= common.last) {
        set_push(out, &common);
    }
}

void
gtid_set_intersect(struct gtid_set *set, const struct gtid_set *other)
{
    struct gtid_set out = { .flavour = set->flavour };
    size_t          i = 0, j = 0;

    while (set->flavour == other->flavour && i < set->n && j < other->n) {
        const struct range *a = &set->ranges[i], *b = &other->ranges[j];
        const int           order = name_order(a, b);
        if (order == 0) {
            push_common(&out, a, b);
        }
        if (order < 0 || (order == 0 && a->last <= b->last)) {
            i++;
        } else {
            j++;
        }
    }
    free(set->ranges);
    *set = out;
}

static void
mariadb_format(const struct range *r, struct buf *out)
{
    char  text[GTID_TEXT_MAX];
    char *p = text_put_u64(text, (uint64_t)r->name[0] << 24 |
                                     (uint64_t)r->name[1] << 16 |
                                     (uint64_t)r->name[2] << 8 | r->name[3]);
    *p++ = '-';
    p = text_put_u64(p, r->server);
    *p++ = '-';
    p = text_put_u64(p, r->last);
    buf_add(out, text, (size_t)(p - text));
}

/* `before` is the entry that was written last, or NULL. */
static void
mysql_format(const struct range *before, const struct range *r,
             struct buf *out)
{
    char       text[GTID_TEXT_MAX];
    const bool same_uuid = before && memcmp(before->name, r->name, 16) == 0;
    const bool same_tag = same_uuid && name_order(before, r) == 0;

    if (!same_uuid) {
        buf_add(out, text, (size_t)(text_put_uuid(text, r->name) - text));
    }
    if (!same_tag && r->name[16] != 0) {
        buf_byte(out, ':');
        buf_add(out, r->name + 16, strnlen((const char *)r->name + 16,
                                           GTID_TAG_MAX));
    }
    text[0] = ':';
    char *p = text_put_u64(text + 1, r->first);
    if (r->last > r->first) {
        *p++ = '-';
        p = text_put_u64(p, r->last);
    }
    buf_add(out, text, (size_t)(p - text));
}

void
gtid_set_format(const struct gtid_set *set, struct buf *out)
{
    for (size_t i = 0; i < set->n; i++) {
        const struct range *r = &set->ranges[i];
        const struct range *before = i > 0 ? r - 1 : NULL;
        if (set->flavour == FLAVOUR_MARIADB) {
            if (before) {
                buf_byte(out, ',');
            }
            mariadb_format(r, out);
        } else {
            if (before && memcmp(before->name, r->name, 16) != 0) {
                buf_byte(out, ',');
            }
            mysql_format(before, r, out);
        }
    }
}
