/*
 * share.c - which lane an event is for.  By key: the one that the hash of the
 * target's key says, so that all events of a key are written in order, one after
 * the other; an UPDATE that changes it becomes a DELETE and an INSERT.  By
 * transaction: one that is free, behind those whose rows it touches, too.
 */
#include "deliver/internal.h"

#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "deliver/order.h"

enum { SECOND = 1000000 };

static const uint64_t no_key = 7;

/* ---- By key */

static uint64_t
hash_of_table(const struct weir_event *ev)
{
    return ev->table ? order_text(order_text(no_key, ev->table->schema),
                                  ev->table->name)
                     : no_key;
}

/* What the templates make of one image.  False: they can't. */
static bool
hash_templates(const struct view *v, const struct weir_event *ev,
               const struct weir_value *image, struct buf *scratch,
               uint64_t *out)
{
    struct weir_err ignored;
    uint64_t        h = 0;

    for (size_t i = 0; i < v->ntemplates; i++) {
        const struct bound_template *t = &v->templates[i];
        if (!t->orders) {
            continue;
        }
        scratch->len = 0;
        if (t->bad || template_expand(t->t, t->columns, ev->table, image,
                                      scratch, &ignored) != WEIR_OK) {
            return false;
        }
        h = order_text(h, buf_view(scratch));
    }
    *out = h;
    return true;
}

static bool
hash_image(const struct view *v, const struct weir_event *ev,
           const struct weir_value *image, struct buf *scratch, uint64_t *out)
{
    const struct weir_table *t = ev->table;

    if (v->has_order) {
        return hash_templates(v, ev, image, scratch, out);
    }
    uint64_t h = hash_of_table(ev);
    for (uint32_t k = 0; k < t->nkey; k++) {
        h = order_value(h, &image[t->key[k]]);
    }
    *out = h;
    return true;
}

/* What an UPDATE leaves out did not change. */
static const struct weir_value *
whole_after(const struct weir_event *ev, struct arena *a, bool *whole)
{
    struct weir_value *values = NULL;

    *whole = true;
    for (uint32_t i = 0; i < ev->table->ncolumns; i++) {
        if (ev->after[i].type != WEIR_ABSENT) {
            continue;
        }
        if (ev->before[i].type == WEIR_ABSENT) {
            *whole = false;
            continue;
        }
        if (!values) {
            values = arena_copy(a, ev->after,
                                (ev->table->ncolumns + 1) * sizeof *values);
        }
        values[i] = ev->before[i];
    }
    return values ? values : ev->after;
}

/* The hash of where it goes, and of where it came from, if that is another
 * key.  What can't be told is the sink's to refuse. */
static void
hash_both(const struct view *v, const struct weir_event *ev, struct arena *a,
          struct buf *scratch, uint64_t *before, uint64_t *after, bool *whole)
{
    const uint64_t table = hash_of_table(ev);
    bool           has_before = false, has_after = false;

    *whole = true;
    *before = *after = table;
    if (!v || (!ev->before && !ev->after)) {
        return;
    }
    if (ev->after) {
        const struct weir_value *image =
            ev->before ? whole_after(ev, a, whole) : ev->after;
        has_after = hash_image(v, ev, image, scratch, after);
    }
    if (ev->before) {
        has_before = hash_image(v, ev, ev->before, scratch, before);
    }
    *before = has_before ? *before : has_after ? *after : table;
    *after = has_after ? *after : *before;
}

void
share_hash(struct buf *scratch, struct item *item)
{
    struct arena a = { 0 };
    bool         whole;

    if (item->hash == 0) {
        hash_both(item->view, item->ev, &a, scratch, &item->hash, &item->to,
                  &whole);
        item->hash += item->hash == 0;
        item->to += item->to == 0;
        arena_free(&a);
    }
}

void
share_part(struct weir_event *ev, enum row_part part, struct arena *a)
{
    bool whole;

    if (ev->op != WEIR_UPDATE || part == ROW_WHOLE) {
        return;
    }
    if (part == ROW_ARRIVES) {
        ev->op = WEIR_INSERT;
        ev->after = whole_after(ev, a, &whole);
        ev->before = NULL;
    } else {
        ev->op = WEIR_DELETE;
        ev->after = NULL;
    }
    ev->flags &= ~(uint32_t)WEIR_KEY_CHANGED;
}

static uint8_t
lane_of(const struct deliverer *d, uint64_t hash)
{
    return (uint8_t)((hash >> 32) % d->nlanes);
}

static bool
is_had(const struct deliverer *d, uint8_t lane, const struct weir_event *ev)
{
    return ev->seq < d->lanes[lane].has || d->lanes[lane].skips;
}

bool
share_any_had(const struct deliverer *d, uint64_t frame)
{
    bool any = false;

    for (uint32_t k = 0; d->by_key && k < d->nlanes && !any; k++) {
        any = d->lanes[k].has > frame || d->lanes[k].skips;
    }
    return any;
}

/* A DELETE in place of the UPDATE, and an INSERT behind it. */
static void
split(struct deliverer *d, size_t i, uint64_t after_hash, size_t bytes)
{
    struct round      *r = d->round;
    struct weir_event *ev = r->items[i].ev;
    const uint8_t      to = lane_of(d, after_hash);

    struct item *twin = round_add(r);
    *twin = r->items[i];
    twin->ev = arena_copy(&r->arena, ev, sizeof *ev);
    share_part(twin->ev, ROW_ARRIVES, &r->arena);
    twin->ev->flags &= ~(uint32_t)WEIR_FIRST_IN_TXN;
    twin->part = ROW_ARRIVES;
    twin->hash = twin->to = after_hash;
    twin->lane = to;
    twin->half = true;
    share_part(ev, ROW_LEAVES, &r->arena);
    r->items[i].part = ROW_LEAVES;
    r->items[i].to = r->items[i].hash;
    r->lane_n[to]++;
    r->lane_bytes[to] += bytes;
}

bool
share_item(struct deliverer *d, size_t i, size_t bytes)
{
    struct round *r = d->round;
    struct item  *item = &r->items[i];
    uint64_t      before, after;
    bool          whole;

    if (!d->by_key || d->nlanes == 1) {
        r->lane_n[0]++;
        if (!is_had(d, 0, item->ev)) {
            return true;
        }
        round_cut(r, i);
        return false;
    }
    hash_both(item->view, item->ev, &r->arena, &d->scratch, &before, &after,
              &whole);
    const bool moves = lane_of(d, before) != lane_of(d, after);
    if (moves && !whole) {
        r->alone = true; /* only the sink can know the rest of the row */
    }
    item->hash = before + (before == 0);
    item->to = after + (after == 0);
    item->lane = r->alone ? 0 : lane_of(d, before);
    r->lane_n[item->lane]++;
    r->lane_bytes[item->lane] += bytes;
    if (moves && whole) {
        split(d, i, after, bytes);
    }
    /* Of the two, one may be there already. */
    size_t kept = i;
    for (size_t k = i; k < r->n; k++) {
        if (is_had(d, r->items[k].lane, r->items[k].ev)) {
            r->lane_n[r->items[k].lane]--;
        } else {
            r->items[kept] = r->items[k];
            r->items[kept].half = kept > i;
            kept++;
        }
    }
    r->n = kept;
    return kept > i;
}

bool
share_alone(struct deliverer *d)
{
    struct round *r = d->round;

    r->lane_n[0]++;
    if (!is_had(d, 0, r->items[r->n - 1].ev)) {
        return true;
    }
    round_cut(r, r->n - 1);
    return false;
}

/* ---- By transaction */

/* What an image leaves out is as the other one has it. */
static const struct weir_value *
value_of(const struct weir_value *image, const struct weir_value *other,
         uint32_t column)
{
    return image[column].type == WEIR_ABSENT && other ? &other[column]
                                                      : &image[column];
}

/* The target may have another collation than the source: text goes by whatever
 * any of them takes for equal. */
static bool
rule_hash(const struct conflict_rule *rule, const struct weir_value *image,
          const struct weir_value *other, uint64_t *out)
{
    uint64_t h = order_text(1, str_of(rule->name));

    *out = 0;
    for (size_t i = 0; i < rule->n; i++) {
        const struct weir_value *v = value_of(image, other, rule->columns[i]);
        if (v->type == WEIR_NULL) {
            return true; /* conflicts with nothing */
        }
        if (v->type == WEIR_ABSENT) {
            return false;
        }
        if (v->type != WEIR_TEXT) {
            h = order_value(h, v);
        } else if (!order_folded(&h, v->s)) {
            return false;
        }
    }
    *out = h + (h == 0);
    return rule->n > 0;
}

static void
meet(const struct deliverer *d, uint64_t hash, uint64_t *after)
{
    const uint64_t last = conflicts_last(&d->conflicts, hash);

    *after = last > *after ? last : *after;
}

/* Under each rule's name there is what any value touched, and what one did that
 * may be equal to every other. */
static void
apply_rule(struct deliverer *d, struct round *r,
           const struct conflict_rule *rule, const struct weir_value *image,
           const struct weir_value *other, bool touch, uint64_t *after)
{
    const uint64_t name = order_text(2, str_of(rule->name));
    const uint64_t any = order_mix(name + 1), all = order_mix(name + 2);
    uint64_t       hash;

    if (!image) {
        return;
    }
    const bool simple = rule_hash(rule, image, other, &hash);
    if (simple && hash == 0) {
        return;
    }
    if (touch) {
        const uint64_t low = d->ring.low;
        conflicts_touch(&d->conflicts, simple ? hash : all, r->id, low);
        conflicts_touch(&d->conflicts, any, r->id, low);
        return;
    }
    meet(d, all, after);
    meet(d, simple ? hash : any, after);
}

static void
each_conflict(struct deliverer *d, struct round *r, bool touch,
              uint64_t *after)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct view       *v = r->items[i].view;
        const struct weir_event *ev = r->items[i].ev;
        for (size_t k = 0; v && k < v->nrules; k++) {
            apply_rule(d, r, &v->rules[k], ev->before, NULL, touch, after);
            apply_rule(d, r, &v->rules[k], ev->after, ev->before, touch, after);
        }
    }
}

/* The one that has least to do; it stays the same within a transaction. */
static struct lane *
free_lane(struct deliverer *d, bool goes_on)
{
    if (goes_on) {
        return &d->lanes[d->last_lane];
    }
    for (uint32_t i = 0; i < d->nlanes; i++) {
        struct lane *l = &d->lanes[(d->last_lane + 1 + i) % d->nlanes];
        if (!l->first && !l->busy) {
            d->last_lane = l->index;
            return l;
        }
    }
    d->last_lane = (d->last_lane + 1) % d->nlanes;
    return &d->lanes[d->last_lane];
}

/* What was given up is sent again without anything beside it.  A later one may
 * have a lock that an earlier one needs, while it waits for that one's commit;
 * together they might do so each time. */
static bool
is_in_line(struct deliverer *d, const struct round *r)
{
    if (r->first > d->line_until) {
        d->line_until = 0;
    }
    return d->line_until > 0;
}

static void
share_by_transaction(struct deliverer *d, struct round *r)
{
    const bool goes_on = d->open_until == UINT64_MAX;
    uint64_t   after = is_in_line(d, r) ? r->id - 1
                       : goes_on        ? 0
                                        : d->open_until;

    pthread_mutex_lock(&d->lock);
    struct lane *l = free_lane(d, goes_on);
    if (d->nlanes > 1) { /* of a large one, each part */
        each_conflict(d, r, false, &after);
        each_conflict(d, r, true, NULL);
    }
    pthread_mutex_unlock(&d->lock);
    /* Behind one that is larger than a round, all wait for its end. */
    d->open_until = r->open ? UINT64_MAX : goes_on ? r->id : d->open_until;
    struct batch *b = batch_new(d, l, r);
    b->after = after;
    if (b->room < r->n) {
        b->room = r->room;
        b->todo = xrealloc(b->todo, b->room * sizeof *b->todo);
    }
    for (size_t i = 0; i < r->n; i++) {
        b->todo[b->n++] = (uint32_t)i;
    }
}

/* ---- A round's batches */

static bool
is_quiet(struct deliverer *d, const struct lane *l)
{
    pthread_mutex_lock(&d->lock);
    const bool quiet = !l->first && !l->busy;
    pthread_mutex_unlock(&d->lock);
    return quiet;
}

static void
share_by_key(struct deliverer *d, struct round *r)
{
    struct batch *of[MAX_LANES] = { NULL };

    for (uint32_t k = 0; k < d->nlanes; k++) {
        struct lane *l = &d->lanes[k];
        const bool   due = clock_steady() - l->written_at >= SECOND ||
                         r->n == 0;
        if (due && l->skip.gtids && skip_is_passed(d, &l->skip)) {
            skip_free(&l->skip);
        }
        if (r->lane_n[k] == 0 &&
            !(due && r->place > l->written && r->place >= l->has &&
              !l->skip.gtids && is_quiet(d, l))) {
            continue;
        }
        of[k] = batch_new(d, l, r);
        if (of[k]->room < r->lane_n[k]) {
            of[k]->room = r->lane_n[k] * 2;
            of[k]->todo =
                xrealloc(of[k]->todo, of[k]->room * sizeof *of[k]->todo);
        }
        l->written = r->place;
        l->written_at = clock_steady();
    }
    for (size_t i = 0; i < r->n; i++) {
        struct batch *b = of[r->items[i].lane];
        b->todo[b->n++] = (uint32_t)i;
    }
}

void
share_round(struct deliverer *d, struct round *r)
{
    pthread_mutex_lock(&d->lock);
    r->id = ring_push(&d->ring);
    const bool careful = d->careful && r->first <= d->careful_until;
    pthread_mutex_unlock(&d->lock);
    if (d->by_key) {
        share_by_key(d, r);
    } else {
        share_by_transaction(d, r);
    }
    for (struct batch *b = r->batches; b; b = b->sibling) {
        b->one_by_one = careful;
        b->chunk = careful ? 1 : b->n;
        r->left++;
    }
    for (size_t i = 0; i < r->n; i++) {
        if (r->items[i].view) {
            r->items[i].view->last_round = r->id;
        }
    }
}
