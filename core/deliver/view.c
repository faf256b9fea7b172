/*
 * view.c - versions of tables: made (view_make.c) when their frame or their name
 * is first met, kept, found again, and let go of.
 */
#include "deliver/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "deliver/aside.h"
#include "schema/given.h"

enum { SPARE_VIEWS = 1024 };

/* Table frames of the present segment: a few, so a list will do until it is
 * long, when the one found last is tried first. */
struct frames {
    size_t   n, room, last;
    size_t   most; /* of any segment so far */
    struct { uint64_t offset; struct view *view; } *items;
};

void
views_new_segment(struct deliverer *d)
{
    if (!d->by_frame) {
        d->by_frame = xcalloc(1, sizeof *d->by_frame);
    }
    if (d->by_frame->n > d->by_frame->most) {
        d->by_frame->most = d->by_frame->n;
    }
    d->by_frame->n = d->by_frame->last = 0;
}

static void
remember(struct deliverer *d, uint64_t offset, struct view *v)
{
    struct frames *f = d->by_frame;

    if (f->n == f->room) {
        f->room = f->room ? f->room * 2 : 64;
        f->items = xrealloc(f->items, f->room * sizeof *f->items);
    }
    f->items[f->n].offset = offset;
    f->items[f->n].view = v;
    f->last = f->n++;
}

bool
view_routed(const struct deliverer *d, struct weir_str schema,
            struct weir_str name)
{
    const struct weir_list *globs = &d->set.sink->set.tables;
    struct buf              full = { 0 };
    bool                    routed = globs->n == 0;

    buf_str(&full, schema);
    buf_byte(&full, '.');
    buf_str(&full, name);
    for (size_t i = 0; i < globs->n && !routed; i++) {
        routed = str_glob(str_of(globs->items[i]), buf_view(&full));
    }
    buf_free(&full);
    return routed;
}

/* ---- Making one */

static void
view_free(struct deliverer *d, struct view *v)
{
    for (size_t i = 0; i < v->nformats * d->nlanes; i++) {
        format_table_free(&v->formats[i].ft);
    }
    for (uint32_t k = 0; k < v->nslots && d->module->table_end; k++) {
        struct lane *l = &d->lanes[k];
        if (l->in.is_open) {
            lane_enter(l);
            d->module->table_end(l->in.self, v->slots[k]);
            lane_leave(l);
        }
    }
    for (size_t i = 0; i < v->nsteps; i++) {
        const struct step *s = &v->steps[i];
        if (s->in->module->table_end && s->in->is_open) {
            s->in->module->table_end(s->in->self, s->slot);
        }
    }
    arena_free(&v->arena);
    free(v);
}

/* One that is refused is kept, too: its first event says so. */
static enum weir_status
keep_or_free(struct deliverer *d, struct view *v, enum weir_status st,
             struct view **out, struct weir_err *err)
{
    if (st != WEIR_OK && v->table) {
        st = weir_wrap(err, st, "table %.*s.%.*s",
                       STR_ARG(v->table->pub.schema),
                       STR_ARG(v->table->pub.name));
    }
    if (st == WEIR_REJECT && v->table) {
        v->refused = arena_copy(&v->arena, err, sizeof *err);
        st = WEIR_OK;
    }
    if (st != WEIR_OK) {
        view_free(d, v);
        return st;
    }
    atomic_store(&v->held, refuse_holds(d, v));
    v->next = d->views;
    d->views = v;
    d->nviews++;
    *out = v;
    return WEIR_OK;
}

static enum weir_status
view_make(struct deliverer *d, struct weir_str payload, uint64_t version,
          struct view **out, struct weir_err *err)
{
    struct view *v = xcalloc(1, sizeof *v);

    v->payload = arena_str(&v->arena, payload);
    v->ops = ~0u;
    enum weir_status st =
        table_load(&v->arena, v->payload, version, &v->table, err);
    if (st == WEIR_OK) {
        v->wanted = view_routed(d, v->table->pub.schema, v->table->pub.name);
        st = v->wanted ? view_prepare(d, v, err) : WEIR_OK;
    }
    return keep_or_free(d, v, st, out, err);
}

static void
drop_views(struct deliverer *d)
{
    while (d->views) {
        struct view *v = d->views;
        d->views = v->next;
        view_free(d, v);
    }
    d->nviews = 0;
}

void
views_forget(struct deliverer *d)
{
    drop_views(d);
    views_new_segment(d);
}

bool
views_are_many(const struct deliverer *d)
{
    const struct frames *f = d->by_frame;

    return f && !d->in_frame &&
           d->nviews > SPARE_VIEWS + 2 * (f->most > f->n ? f->most : f->n);
}

void
views_trim(struct deliverer *d)
{
    if (views_are_many(d) && d->round->n == 0) {
        views_forget(d);
    }
}

void
views_free(struct deliverer *d)
{
    drop_views(d);
    if (d->by_frame) {
        free(d->by_frame->items);
        free(d->by_frame);
        d->by_frame = NULL;
    }
}

/* The same definition again, as each segment repeats it, is the same view; so is
 * that of another table id, which servers give anew whenever they open a table
 * again.  See table_frame.c for where it stands. */
static bool
same_definition(struct weir_str a, struct weir_str b)
{
    enum { ID_AT = 6, ID_BYTES = 6 };

    return a.len == b.len && a.len > ID_AT + ID_BYTES &&
           memcmp(a.data, b.data, ID_AT) == 0 &&
           memcmp(a.data + ID_AT + ID_BYTES, b.data + ID_AT + ID_BYTES,
                  a.len - ID_AT - ID_BYTES) == 0;
}

static struct view *
same_again(struct deliverer *d, struct weir_str payload)
{
    struct view *v = d->views;

    while (v && !same_definition(v->payload, payload)) {
        v = v->next;
    }
    return v;
}

/* With the names that a person gave, if the log has none and somebody did; they
 * are looked for each time: they come while this runs. */
static enum weir_status
with_names(const struct deliverer *d, const struct frame *f, struct arena *a,
           struct weir_str *out, struct weir_err *err)
{
    struct given      *list;
    struct table_frame t;

    *out = f->payload;
    if ((f->flags & FRAME_EARLIER) || !table_frame_read(a, f->payload, &t) ||
        t.names_known || !view_routed(d, t.map.schema, t.map.name)) {
        return WEIR_OK;
    }
    /* Put aside, it stands elsewhere; a row behind it is in the same stretch. */
    const uint64_t at = d->aside && d->aside->applying ? d->aside->row_frame
                                                       : f->offset;
    const enum weir_status st = given_read(a, d->given_path, &list, err);
    if (st == WEIR_OK) {
        given_payload(a, list, f->payload, at, out);
    }
    return st;
}

enum weir_status
view_note(struct deliverer *d, const struct frame *f, struct weir_err *err)
{
    struct arena     a = { 0 };
    struct weir_str  payload;
    enum weir_status st = with_names(d, f, &a, &payload, err);
    struct view     *v = st == WEIR_OK ? same_again(d, payload) : NULL;

    if (st == WEIR_OK && !v) {
        st = view_make(d, payload, f->offset, &v, err);
    }
    if (st == WEIR_OK) {
        remember(d, f->offset, v);
    }
    arena_free(&a);
    return st;
}

enum weir_status
view_of_frame(struct deliverer *d, uint64_t offset, struct view **out,
              struct weir_err *err)
{
    struct frames *f = d->by_frame;
    struct frame   frame;
    struct arena   a = { 0 };

    if (f->n && f->items[f->last].offset == offset) {
        *out = f->items[f->last].view;
        return WEIR_OK;
    }
    for (size_t i = f->n; i-- > 0;) {
        if (f->items[i].offset == offset) {
            f->last = i;
            *out = f->items[i].view;
            return WEIR_OK;
        }
    }
    /* Begun behind it. */
    enum weir_status st = follower_read(d->follower, offset, &a, &frame, err);
    if (st == WEIR_OK && frame.type != FRAME_TABLE) {
        st = weir_fail(err, WEIR_FATAL,
                       "relay: the frame at %llu is not a table's",
                       (unsigned long long)offset);
    }
    if (st == WEIR_OK) {
        st = view_note(d, &frame, err);
    }
    if (st == WEIR_OK) {
        *out = f->items[f->last].view;
    }
    arena_free(&a);
    return st;
}

static struct view *
find_by_name(const struct deliverer *d, struct weir_str schema,
             struct weir_str name)
{
    struct view *v = d->views;

    while (v && !(str_eq(v->table->pub.schema, schema) &&
                  str_eq(v->table->pub.name, name))) {
        v = v->next;
    }
    return v;
}

/* Never seen: enough of a table for its name to be sent on. */
static struct view *
bare_view(struct deliverer *d, struct weir_str schema, struct weir_str name)
{
    struct view *v = xcalloc(1, sizeof *v);

    v->table = arena_alloc(&v->arena, sizeof *v->table);
    v->table->pub.schema = arena_str(&v->arena, schema);
    v->table->pub.name = arena_str(&v->arena, name);
    v->table->names_known = true;
    v->payload = STR("\1bare"); /* like no table frame's */
    v->ops = ~0u;
    v->wanted = view_routed(d, schema, name);
    return v;
}

enum weir_status
view_by_name(struct deliverer *d, struct weir_str schema, struct weir_str name,
             struct view **out, struct weir_err *err)
{
    struct view *v = find_by_name(d, schema, name);

    if (!v || v->name_only) {
        v = bare_view(d, schema, name);
        return keep_or_free(d, v, v->wanted ? view_prepare(d, v, err) : WEIR_OK,
                            out, err);
    }
    *out = v;
    return WEIR_OK;
}

/* Stages are asked, as they may leave the table out; the sink is not, as there
 * are no columns to prepare for. */
enum weir_status
view_of_name(struct deliverer *d, struct weir_str schema, struct weir_str name,
             struct view **out, struct weir_err *err)
{
    enum weir_status st = WEIR_OK;

    *out = find_by_name(d, schema, name);
    if (*out) {
        return WEIR_OK;
    }
    struct view *v = bare_view(d, schema, name);
    v->name_only = true;
    if (v->wanted) {
        st = view_prepare_name(d, v, err);
    }
    return keep_or_free(d, v, st, out, err);
}
