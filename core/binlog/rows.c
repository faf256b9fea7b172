/*
 * rows.c - rows events: from their head to each row's images, column by
 * column.  What a column's bytes mean is value.c's affair.
 */
#include "binlog/rows.h"

#include "base/bytes.h"
#include "base/err.h"
#include "binlog/table_map.h"
#include "binlog/value.h"

enum {
    ROWS_STATEMENT_END = 1,
    ROWS_PARTIAL_JSON = 1,  /* of a row's value options */
    DUMMY_TABLE = 0xffffff, /* its event only says that the statement ends */
};

static bool
bit_is_set(const uint8_t *bitmap, uint32_t i)
{
    return bitmap[i >> 3] >> (i & 7) & 1;
}

/* What stands behind the last column's bit is of no meaning. */
static uint32_t
count_bits(const uint8_t *bitmap, uint32_t n)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < n / 8; i++) {
        count += (uint32_t)__builtin_popcount(bitmap[i]);
    }
    if (n % 8) {
        count +=
            (uint32_t)__builtin_popcount(bitmap[n / 8] & ((1u << n % 8) - 1));
    }
    return count;
}

static enum weir_op
op_of(enum binlog_type type)
{
    switch (type) {
    case BINLOG_WRITE_V1:
    case BINLOG_WRITE:
        return WEIR_INSERT;
    case BINLOG_DELETE_V1:
    case BINLOG_DELETE:
        return WEIR_DELETE;
    default:
        return WEIR_UPDATE;
    }
}

/* Which of the two images the event's first bitmap is about. */
static void
rows_read_bitmaps(struct binlog_rows *r, struct reader *in)
{
    const size_t   bytes = (r->width + 7) / 8;
    const unsigned first = r->op == WEIR_INSERT ? 1 : 0;
    const unsigned last = r->op == WEIR_DELETE ? 0 : 1;

    for (unsigned i = first; i <= last; i++) {
        r->present[i] = read_bytes(in, bytes);
        r->npresent[i] =
            r->present[i] ? count_bits(r->present[i], r->width) : 0;
    }
}

enum weir_status
binlog_rows_open(struct binlog_rows *r, enum binlog_type type, const void *body,
                 size_t len, const struct binlog_column *columns,
                 uint32_t ncolumns, struct weir_err *err)
{
    struct reader in = reader_of(body, len);

    *r = (struct binlog_rows){ .op = op_of(type),
                               .columns = columns,
                               .ncolumns = ncolumns,
                               .width = ncolumns ? ncolumns + columns->hidden
                                                 : 0,
                               .partial = type == BINLOG_PARTIAL_UPDATE };
    if (!binlog_is_rows(type) || binlog_is_compressed(type)) {
        return weir_fail(err, WEIR_REJECT, "event %s has no rows to be read",
                         binlog_type_name(type));
    }
    const uint64_t id = read_le(&in, 6);
    r->statement_end = read_le(&in, 2) & ROWS_STATEMENT_END;
    if (type >= BINLOG_WRITE) {
        const uint64_t extra = read_le(&in, 2); /* counts itself */
        in.bad = in.bad || extra < 2;
        read_str(&in, extra - 2);
    }
    const uint64_t width = read_lenenc(&in);
    if (!in.bad && id == DUMMY_TABLE) {
        return WEIR_OK; /* start, p and end are all NULL: no rows */
    }
    if (!in.bad && width != r->width) {
        return weir_fail(err, WEIR_REJECT,
                         "event %s has rows of %llu columns, and its table "
                         "has %u",
                         binlog_type_name(type), (unsigned long long)width,
                         r->width);
    }
    rows_read_bitmaps(r, &in);
    if (in.bad) {
        return weir_fail(err, WEIR_REJECT,
                         "event %s with a body of %zu bytes: its head doesn't "
                         "fit into it",
                         binlog_type_name(type), len);
    }
    r->start = r->p = in.p;
    r->end = in.end;
    return WEIR_OK;
}

/* One image on its way. */
struct image {
    const uint8_t *p;
    const uint8_t *changed; /* PARTIAL_UPDATE: a bit for each JSON column */
    uint32_t       json;    /* how many of these came */
};

static enum weir_status
image_fail(const struct binlog_rows *r, uint32_t column, struct weir_err *err)
{
    return weir_wrap(err, WEIR_REJECT, "row %u of its event, column %u",
                     r->next + 1, column + 1);
}

/* Whether the value is a change to a JSON document rather than one. */
static bool
image_has_diff(struct image *im, const struct binlog_column *c)
{
    if (c->type != COLUMN_JSON || !im->changed) {
        return false;
    }
    return bit_is_set(im->changed, im->json++);
}

/* The bytes of column `i` in the row's before image, found by walking over what
 * stands before it: that image was read, so it is well-formed. */
static bool
before_bytes(const struct binlog_rows *r, uint32_t i, struct weir_str *out,
             struct weir_err *err)
{
    const uint8_t *nulls = r->p, *p = r->p + (r->npresent[0] + 7) / 8;
    uint32_t       bit = 0;

    for (uint32_t k = 0; k <= i; k++) {
        const bool there = bit_is_set(r->present[0], k);
        const bool null = there && bit_is_set(nulls, bit);
        bit += there;
        if (k == i && (!there || null)) {
            weir_fail(err, WEIR_REJECT,
                      "it is logged as changes to what it was, and what it "
                      "was is %s",
                      null ? "NULL, which can't be changed so"
                           : "not in the log: set binlog_row_image=FULL on "
                             "the server, or binlog_row_value_options=''");
            return false;
        }
        const uint8_t *from = p;
        if (there && !null) {
            p = value_skip(&r->columns[k], p, r->end, err);
        }
        if (!p) {
            return false;
        }
        const size_t head = r->columns[k].length_size;
        *out = (struct weir_str){ (const char *)from + head,
                                  (size_t)(p - from) - (p > from ? head : 0) };
    }
    return true;
}

/* A JSON value that is logged as changes to the one of the before image. */
static const uint8_t *
diff_value(const struct binlog_rows *r, uint32_t i, const uint8_t *p,
           struct weir_value *v, struct value_space *space,
           struct weir_err *err)
{
    const size_t    head = r->columns[i].length_size;
    const uint8_t  *next = value_skip(&r->columns[i], p, r->end, err);
    struct weir_str before;

    if (!next || !before_bytes(r, i, &before, err)) {
        return NULL;
    }
    const struct weir_str changes = { (const char *)p + head,
                                      (size_t)(next - p) - head };
    v->type = WEIR_JSON;
    return json_diff_text(before, changes, space, &v->s, err) ? next : NULL;
}

static bool
image_value(const struct binlog_rows *r, struct image *im, uint32_t i,
            bool has_diff, struct weir_value *v, struct value_space *space,
            struct weir_err *err)
{
    const struct binlog_column *c = &r->columns[i];

    im->p = !v         ? value_skip(c, im->p, r->end, err)
            : has_diff ? diff_value(r, i, im->p, v, space, err)
                       : value_read(c, im->p, r->end, v, space, err);
    return im->p;
}

/* What stands behind the table's columns; `bit` is the first one's among the
 * bits for NULL. */
static enum weir_status
skip_hidden(const struct binlog_rows *r, const uint8_t *present,
            const uint8_t *nulls, uint32_t bit, struct image *im,
            struct weir_err *err)
{
    for (uint32_t i = r->ncolumns; i < r->width; i++) {
        const bool there = bit_is_set(present, i);
        const bool null = there && bit_is_set(nulls, bit);
        bit += there;
        if (there && !null &&
            !image_value(r, im, i, false, NULL, NULL, err)) {
            return image_fail(r, i, err);
        }
    }
    return WEIR_OK;
}

/* `values` is NULL where nothing of the image is wanted. */
static enum weir_status
image_read(const struct binlog_rows *r, unsigned which, struct image *im,
           const uint8_t *wanted, struct weir_value *values,
           struct value_space *space, struct weir_err *err)
{
    const uint8_t *present = r->present[which];
    const uint8_t *nulls = im->p;
    uint32_t       bit = 0;

    if ((size_t)(r->end - im->p) < (r->npresent[which] + 7) / 8) {
        weir_fail(err, WEIR_REJECT, "its NULL bits end beyond the event");
        return image_fail(r, 0, err);
    }
    im->p += (r->npresent[which] + 7) / 8;
    for (uint32_t i = 0; i < r->ncolumns; i++) {
        const bool use = values && (!wanted || bit_is_set(wanted, i));
        const bool has_diff = image_has_diff(im, &r->columns[i]);
        const bool there = bit_is_set(present, i);
        const bool null = there && bit_is_set(nulls, bit);
        bit += there;
        if (values && (!use || !there || null)) {
            values[i].type = use && null ? WEIR_NULL : WEIR_ABSENT;
        }
        if (there && !null &&
            !image_value(r, im, i, has_diff, use ? &values[i] : NULL, space,
                         err)) {
            return image_fail(r, i, err);
        }
    }
    return skip_hidden(r, present, nulls, bit, im, err);
}

/* Value options, and the bits of JSON columns, of a PARTIAL_UPDATE's row. */
static enum weir_status
partial_open(const struct binlog_rows *r, struct image *im,
             struct weir_err *err)
{
    struct reader in = { im->p, r->end, false };

    if (read_lenenc(&in) & ROWS_PARTIAL_JSON) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < r->ncolumns; i++) {
            n += r->columns[i].type == COLUMN_JSON;
        }
        im->changed = read_bytes(&in, (n + 7) / 8);
        im->json = 0;
    }
    if (in.bad) {
        return weir_fail(err, WEIR_REJECT, "row %u of its event ends beyond it",
                         r->next + 1);
    }
    im->p = in.p;
    return WEIR_OK;
}

static enum weir_status
row_read(struct binlog_rows *r, const uint8_t *wanted,
         struct weir_value *before, struct weir_value *after,
         struct value_space *space, struct weir_err *err)
{
    struct image     im = { .p = r->p };
    enum weir_status st = WEIR_OK;

    if (r->p == r->end) {
        return WEIR_DROP;
    }
    if (r->op != WEIR_INSERT) {
        st = image_read(r, 0, &im, wanted, before, space, err);
    }
    if (st == WEIR_OK && r->partial) {
        st = partial_open(r, &im, err);
    }
    if (st == WEIR_OK && r->op != WEIR_DELETE) {
        st = image_read(r, 1, &im, wanted, after, space, err);
    }
    if (st == WEIR_OK && im.p == r->p) {
        st = weir_fail(err, WEIR_REJECT, "row %u of its event has no bytes",
                       r->next + 1);
    }
    if (st == WEIR_OK) {
        r->p = im.p;
        r->index = r->next++;
    }
    return st;
}

enum weir_status
binlog_rows_next(struct binlog_rows *r, const uint8_t *wanted,
                 struct weir_value *before, struct weir_value *after,
                 struct arena *a, struct weir_err *err)
{
    struct value_space space = { a, a->used + BINLOG_MAX_EVENT };

    return row_read(r, wanted, before, after, &space, err);
}

enum weir_status
binlog_rows_skip(struct binlog_rows *r, uint32_t count, struct weir_err *err)
{
    enum weir_status st = WEIR_OK;

    while (count-- > 0 && st == WEIR_OK) {
        st = row_read(r, NULL, NULL, NULL, NULL, err);
    }
    return st;
}
