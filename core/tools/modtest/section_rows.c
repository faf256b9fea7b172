/*
 * section_rows.c - filters and transforms: the same row gives the same result,
 * whoever is asked, in whatever order; and the result is a row.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "base/str.h"
#include "tools/modtest/sections.h"

enum { MAX_EVENTS = 64 };

struct outcome {
    enum weir_status   st;
    struct weir_value *before, *after; /* NULL where there is none */
    uint64_t           bytes; /* a hash of all text in them */
};

/* The columns behind a transform: as table() said, else all. */
static size_t
left_columns(const struct table_plan *plan)
{
    return plan->keep_said ? plan->nkept : plan->table->ncolumns;
}

static enum weir_type
left_type(const struct table_plan *plan, size_t i)
{
    if (!plan->keep_said) {
        return plan->table->columns[i]->type;
    }
    return plan->kept[i].added || plan->kept[i].of == WEIR_NONE
               ? plan->kept[i].type
               : plan->table->columns[plan->kept[i].of]->type;
}

/* As the server fills it in before the call. */
static struct weir_value *
filled_in(struct arena *a, const struct table_plan *plan,
          const struct weir_value *from)
{
    const size_t n = left_columns(plan);

    if (!from) {
        return NULL;
    }
    struct weir_value *to = arena_array(a, n + 1, sizeof *to);
    for (size_t i = 0; i < n; i++) {
        const size_t of = plan->keep_said ? plan->kept[i].of : i;
        const bool   is_new = plan->keep_said && plan->kept[i].added;
        to[i] = of == WEIR_NONE || is_new
                    ? (struct weir_value){ .type = WEIR_ABSENT }
                    : from[of];
    }
    return to;
}

static bool
is_utf8(struct weir_str s)
{
    const unsigned char *p = (const unsigned char *)s.data;

    for (size_t i = 0; i < s.len;) {
        const size_t more = p[i] < 0x80            ? 0
                            : (p[i] & 0xe0) == 0xc0 ? 1
                            : (p[i] & 0xf0) == 0xe0 ? 2
                            : (p[i] & 0xf8) == 0xf0 ? 3
                                                    : s.len;
        if (more >= s.len - i) {
            return false;
        }
        for (size_t k = 1; k <= more; k++) {
            if ((p[i + k] & 0xc0) != 0x80) {
                return false;
            }
        }
        i += more + 1;
    }
    return true;
}

static uint64_t
check_row(const struct table_plan *plan, const struct weir_value *row,
          uint64_t hash)
{
    const size_t n = left_columns(plan);

    for (size_t i = 0; row && i < n; i++) {
        const struct weir_value *v = &row[i];
        const enum weir_type     want = left_type(plan, i);
        if (v->type != WEIR_NULL && v->type != WEIR_ABSENT &&
            v->type != want) {
            breach("transform() gives values of their column's type (column "
                   "%zu)", i + 1);
        } else if (type_has_text(v->type)) {
            if ((v->type == WEIR_TEXT || v->type == WEIR_JSON) &&
                !is_utf8(v->s)) {
                breach("transform() gives text in UTF-8 (column %zu)", i + 1);
            }
            hash = str_hash(hash, v->s);
        }
    }
    return hash;
}

static struct outcome
ask(struct unit *u, const struct made_table *t, const struct table_plan *plan,
    const struct weir_event *ev)
{
    struct outcome o = { 0 };

    if (u->h->m->stage == WEIR_FILTER) {
        o.st = unit_filter(u, t, ev);
        return o;
    }
    o.before = filled_in(&u->scratch, plan, ev->before);
    o.after = filled_in(&u->scratch, plan, ev->after);
    o.st = unit_transform(u, t, ev, o.before, o.after);
    if (o.st == WEIR_OK) {
        o.bytes = check_row(plan, o.before, 0);
        o.bytes = check_row(plan, o.after, o.bytes);
    }
    return o;
}

static bool
rows_eq(const struct table_plan *plan, const struct weir_value *a,
        const struct weir_value *b)
{
    const size_t n = left_columns(plan);

    for (size_t i = 0; a && b && i < n; i++) {
        if (!value_eq(&a[i], &b[i])) {
            return false;
        }
    }
    return true;
}

static bool
same(const struct table_plan *plan, const struct outcome *a,
     const struct outcome *b)
{
    return a->st == b->st &&
           (a->st != WEIR_OK || (a->bytes == b->bytes &&
                                 rows_eq(plan, a->before, b->before) &&
                                 rows_eq(plan, a->after, b->after)));
}

static struct trial *
all_rows(struct host *h, const struct made_table *t)
{
    static const enum weir_op ops[] = { WEIR_INSERT, WEIR_UPDATE, WEIR_DELETE,
                                        WEIR_SNAPSHOT };
    struct trial *b = trial_new(MAX_EVENTS, 1 << 20);

    for (int image = 0; image < IMAGES; image++) {
        for (int k = 0; image != IMAGE_BIG && k < 4; k++) {
            trial_add(b, &h->rows, ops[k], t, 7 + image,
                      (enum image)image);
        }
    }
    guard_seal(&b->guard);
    return b;
}

/* Forward, backward, and by another instance. */
static void
try_rows(struct unit *u, struct unit *other, enum table_kind kind)
{
    struct host       *h = u->h;
    struct made_table *t = table_make(&h->rows, kind);
    struct made_table  twin = *t;
    struct outcome     first[MAX_EVENTS], now;
    const unsigned     before = breaches();

    if (unit_table(other, &twin) != WEIR_OK || unit_table(u, t) != WEIR_OK) {
        skipped(table_title(kind), "table() takes all of it out");
        return;
    }
    const struct table_plan plan = h->plan;
    struct trial           *b = all_rows(h, t);
    const size_t            n = b->head.pub.nevents;
    bool                    equal = true, alike = true, stays = true;
    for (size_t i = 0; i < n; i++) {
        first[i] = ask(u, t, &plan, b->events[i]);
    }
    for (size_t i = n; i-- > 0;) {
        now = ask(u, t, &plan, b->events[i]);
        equal = equal && same(&plan, &first[i], &now);
        now = ask(other, &twin, &plan, b->events[i]);
        alike = alike && same(&plan, &first[i], &now);
    }
    for (size_t i = 0; i < n; i++) {
        uint64_t bytes = 0;
        if (h->m->stage == WEIR_TRANSFORM && first[i].st == WEIR_OK) {
            bytes = check_row(&plan, first[i].before, 0);
            bytes = check_row(&plan, first[i].after, bytes);
            stays = stays && bytes == first[i].bytes;
        }
    }
    point(equal, "%s: the same row gives the same result", table_title(kind));
    point(alike, "%s: another instance says the same", table_title(kind));
    point(stays, "%s: values live as long as their batch", table_title(kind));
    point(before == breaches(), "%s: rows of each operation and all values",
          table_title(kind));
    guard_close(&b->guard);
    unit_table_end(u, t);
    unit_table_end(other, &twin);
    arena_reset(&u->scratch);
    arena_reset(&other->scratch);
}

void
section_pure(struct host *h)
{
    if (!h->m->filter && !h->m->transform) {
        skipped("rows", "its table() says it all");
        return;
    }
    struct unit *u = unit_start(h, "rows");
    struct unit *other = u ? unit_start(h, "rows") : NULL;
    for (int k = 0; other && k < TABLE_KINDS; k++) {
        try_rows(u, other, (enum table_kind)k);
    }
    unit_free(&other);
    unit_free(&u);
}
