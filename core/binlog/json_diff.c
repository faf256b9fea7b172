/*
 * json_diff.c - partial updates of JSON (binlog_row_value_options=PARTIAL_JSON):
 * the document before, and changes to it, become the text of the document
 * after.  Of the document only what stands on a change's path is taken apart;
 * all else is written from its bytes as it is.  What is refused, the server
 * refuses too (MySQL sql-common/json_diff.cc, apply_json_diff).
 */
#include "base/bytes.h"
#include "base/str.h"
#include "binlog/json.h"

enum { DIFF_REPLACE = 0, DIFF_INSERT = 1, DIFF_REMOVE = 2 };

/* Members looked at or moved, of all changes together.  The server logs whole
 * values where changes would be longer, so that honest ones are far below. */
#define WORK_MAX (UINT64_C(1) << 28)

struct node {
    unsigned         type;
    struct json_span span;  /* while it is not opened */
    struct weir_str  key;   /* in its object */
    bool             opened, object;
    size_t           n, room;
    struct node     *items;
};

struct leg { /* of a path */
    bool            is_key, from_end;
    struct weir_str key;
    uint64_t        index;
};

struct patch {
    struct json   j; /* for its reasons; its text in the end */
    struct reader in;
    uint64_t      work;
};

static const char no_place[] = "a change to it is to what it doesn't have";
static const char bad_path[] = "a change to it has a path that can't be read";

/* ---- Nodes */
static struct node *
items_room(struct patch *p, size_t n)
{
    if (n > SIZE_MAX / sizeof(struct node)) {
        return NULL;
    }
    return (struct node *)(void *)value_room(p->j.space,
                                             n * sizeof(struct node));
}

static bool
work(struct patch *p, size_t n)
{
    p->work += n;
    return p->work <= WORK_MAX ||
           json_fail(&p->j, "the changes to it are too many");
}

/* False: it failed.  Scalars stay as they are. */
static bool
node_open(struct patch *p, struct node *node)
{
    struct json_list l;

    if (node->opened || node->type > JSON_LARGE_ARRAY) {
        return true;
    }
    if (!json_list_open(&p->j, node->type, node->span, &l) ||
        !work(p, l.count)) {
        return false;
    }
    node->room = l.count + 4;
    node->items = items_room(p, node->room);
    if (!node->items) {
        return json_fail(&p->j, "it becomes too large");
    }
    for (size_t i = 0; i < l.count; i++) {
        struct node *item = &node->items[i];
        *item = (struct node){ 0 };
        if ((l.object && !json_list_key(&p->j, &l, i, &item->key)) ||
            !json_list_item(&p->j, &l, i, &item->type, &item->span)) {
            return false;
        }
    }
    node->n = l.count;
    node->object = l.object;
    node->opened = true;
    return true;
}

/* A free place at `at`, for one more. */
static struct node *
node_insert(struct patch *p, struct node *node, size_t at)
{
    if (!work(p, node->n - at + 1)) {
        return NULL;
    }
    if (node->n == node->room) {
        const size_t room = 2 * node->room;
        struct node *items = items_room(p, room);
        if (!items || !work(p, node->n)) {
            json_fail(&p->j, "it becomes too large");
            return NULL;
        }
        memcpy(items, node->items, node->n * sizeof *items);
        node->items = items;
        node->room = room;
    }
    memmove(&node->items[at + 1], &node->items[at],
            (node->n - at) * sizeof *node->items);
    node->n++;
    node->items[at] = (struct node){ 0 };
    return &node->items[at];
}

static bool
node_remove(struct patch *p, struct node *node, size_t at)
{
    node->n--;
    memmove(&node->items[at], &node->items[at + 1],
            (node->n - at) * sizeof *node->items);
    return work(p, node->n - at + 1);
}

/* ---- Paths: $.name."any name"[3][last-1] */
static int
hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* \uXXXX, which the server writes for control characters. */
static bool
unescape_number(struct reader *r, char **to)
{
    unsigned u = 0;

    for (int i = 0; i < 4; i++) {
        const int digit = hex_digit((char)read_le(r, 1));
        if (digit < 0) {
            return false;
        }
        u = u << 4 | (unsigned)digit;
    }
    *(*to)++ = (char)u;
    return u < 0x80;
}

static bool
unescape(struct reader *r, char **to)
{
    const char c = (char)read_le(r, 1);

    if (c == 'u') {
        return unescape_number(r, to);
    }
    *(*to)++ = c == 'b'   ? '\b'
               : c == 'f' ? '\f'
               : c == 'n' ? '\n'
               : c == 'r' ? '\r'
               : c == 't' ? '\t'
                          : c;
    return true;
}

static bool
leg_quoted(struct patch *p, struct reader *r, struct leg *leg)
{
    char *to = value_room(p->j.space, reader_left(r));

    if (!to) {
        return json_fail(&p->j, "it becomes too large");
    }
    leg->key.data = to;
    for (;;) {
        const char c = (char)read_le(r, 1);
        if (r->bad || (c == '\\' && !unescape(r, &to))) {
            return json_fail(&p->j, bad_path);
        }
        if (c == '"') {
            break;
        }
        if (c != '\\') {
            *to++ = c;
        }
    }
    leg->key.len = (size_t)(to - leg->key.data);
    return true;
}

static bool
leg_key(struct patch *p, struct reader *r, struct leg *leg)
{
    const uint8_t *from = r->p;

    leg->is_key = true;
    if (r->p < r->end && *r->p == '"') {
        r->p++;
        return leg_quoted(p, r, leg);
    }
    while (r->p < r->end && *r->p != '.' && *r->p != '[') {
        r->p++;
    }
    leg->key = (struct weir_str){ (const char *)from, (size_t)(r->p - from) };
    return leg->key.len > 0 || json_fail(&p->j, bad_path);
}

static bool
leg_number(struct reader *r, uint64_t *out)
{
    const uint8_t *from = r->p;

    for (*out = 0; r->p < r->end && *r->p >= '0' && *r->p <= '9'; r->p++) {
        *out = *out > UINT32_MAX ? *out : *out * 10 + (unsigned)(*r->p - '0');
    }
    return r->p > from;
}

static bool
leg_index(struct patch *p, struct reader *r, struct leg *leg)
{
    bool ok = true;

    if (reader_left(r) >= 4 && memcmp(r->p, "last", 4) == 0) {
        r->p += 4;
        leg->from_end = true;
        if (r->p < r->end && *r->p == '-') {
            r->p++;
            ok = leg_number(r, &leg->index);
        }
    } else {
        ok = leg_number(r, &leg->index);
    }
    return (ok && read_le(r, 1) == ']' && !r->bad) ||
           json_fail(&p->j, bad_path);
}

/* False: it failed, or there is none left. */
static bool
leg_next(struct patch *p, struct reader *r, struct leg *leg)
{
    *leg = (struct leg){ 0 };
    switch (read_le(r, 1)) {
    case '.':
        return leg_key(p, r, leg);
    case '[':
        return leg_index(p, r, leg);
    default:
        return json_fail(&p->j, bad_path);
    }
}

/* ---- Finding */

/* Where a key is, or, false, where it would be: keys stand in order of their
 * lengths, and then of their bytes. */
static bool
find_key(const struct node *node, struct weir_str key, size_t *at)
{
    *at = node->n;
    for (size_t i = node->n; i-- > 0;) {
        const struct weir_str have = node->items[i].key;
        if (str_eq(have, key)) {
            *at = i;
            return true;
        }
        if (have.len > key.len ||
            (have.len == key.len && memcmp(have.data, key.data, key.len) > 0)) {
            *at = i;
        }
    }
    return false;
}

/* The same of a leg; beyond an array's end is its end.  A leg of the other
 * kind than the node has no place: at is SIZE_MAX. */
static bool
find_leg(const struct node *node, const struct leg *leg, size_t *at)
{
    *at = SIZE_MAX;
    if (!node->opened || node->object != leg->is_key) {
        return false;
    }
    if (leg->is_key) {
        return find_key(node, leg->key, at);
    }
    if (leg->from_end) {
        *at = leg->index < node->n ? node->n - 1 - (size_t)leg->index : 0;
        return leg->index < node->n;
    }
    *at = leg->index < node->n ? (size_t)leg->index : node->n;
    return leg->index < node->n;
}

/* What the path leads to but for its last leg, and that one. */
static struct node *
find_parent(struct patch *p, struct node *node, struct reader *path,
            struct leg *last)
{
    if (read_le(path, 1) != '$' || !leg_next(p, path, last)) {
        json_fail(&p->j, bad_path);
        return NULL;
    }
    while (node_open(p, node) && work(p, node->n + 1)) {
        size_t at;
        if (reader_left(path) == 0) {
            return node;
        }
        if (!find_leg(node, last, &at)) {
            json_fail(&p->j, no_place);
            return NULL;
        }
        node = &node->items[at];
        if (!leg_next(p, path, last)) {
            return NULL;
        }
    }
    return NULL;
}

/* ---- Changes */
static bool
change(struct patch *p, struct node *root, uint64_t op, struct weir_str path,
       struct weir_str value)
{
    struct reader      r = reader_of(path.data, path.len);
    struct leg         last;
    size_t             at;
    struct node *const parent = find_parent(p, root, &r, &last);

    if (!parent) {
        return false;
    }
    const bool   found = find_leg(parent, &last, &at);
    struct node *to = NULL;
    if (op == DIFF_INSERT && at != SIZE_MAX && !(found && last.is_key)) {
        to = node_insert(p, parent, at);
    } else if (op != DIFF_INSERT && found) {
        to = &parent->items[at];
    } else {
        return json_fail(&p->j, no_place);
    }
    if (!to || op == DIFF_REMOVE) {
        return to && node_remove(p, parent, at);
    }
    const struct weir_str key = last.is_key ? last.key : (struct weir_str){ 0 };
    *to = (struct node){
        .type = (uint8_t)value.data[0],
        .span = { (const uint8_t *)value.data + 1, value.len - 1 },
        .key = key,
    };
    return true;
}

static bool
change_all(struct patch *p, struct node *root)
{
    while (reader_left(&p->in) > 0) {
        struct weir_str value = { 0 };
        const uint64_t  op = read_le(&p->in, 1);
        const struct weir_str path = read_str(&p->in, read_lenenc(&p->in));
        if (op == DIFF_REPLACE || op == DIFF_INSERT) {
            value = read_str(&p->in, read_lenenc(&p->in));
        }
        if (p->in.bad || op > DIFF_REMOVE ||
            (op != DIFF_REMOVE && value.len == 0)) {
            return json_fail(&p->j, "the changes to it are malformed");
        }
        if (!change(p, root, op, path, value)) {
            return false;
        }
    }
    return true;
}

/* Depth is bounded by json_enter(). */
static bool
node_write(struct json *j, const struct node *node)
{
    if (!node->opened) {
        return json_value(j, node->type, node->span);
    }
    if (!json_enter(j, node->object)) {
        return false;
    }
    for (size_t i = 0; i < node->n; i++) {
        const struct node *item = &node->items[i];
        if ((i > 0 && !json_add(j, ",", 1)) ||
            (node->object && !(json_quoted(j, item->key.data, item->key.len) &&
                               json_add(j, ":", 1))) ||
            !node_write(j, item)) {
            return false;
        }
    }
    return json_leave(j, node->object);
}

bool
json_diff_text(struct weir_str before, struct weir_str changes,
               struct value_space *space, struct weir_str *out,
               struct weir_err *err)
{
    static const uint8_t null[] = { JSON_LITERAL, 0 };
    const uint8_t       *doc =
        before.len > 0 ? (const uint8_t *)before.data : null;
    const size_t len = before.len > 0 ? before.len : sizeof null;
    struct node  root = { .type = doc[0], .span = { doc + 1, len - 1 } };
    struct patch p = { .in = reader_of(changes.data, changes.len) };

    if (!json_begin(&p.j, len + changes.len, space) ||
        !change_all(&p, &root) || !node_write(&p.j, &root)) {
        weir_fail(err, WEIR_REJECT,
                  "JSON of %zu bytes, and %zu bytes of changes: %s",
                  before.len, changes.len, p.j.why);
        return false;
    }
    *out = (struct weir_str){ p.j.text, p.j.len };
    return true;
}
