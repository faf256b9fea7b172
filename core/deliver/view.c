/*
 * view.c - versions of tables.  For each one that is wanted, the stages' and
 * the sink's table() are called once, and what they say becomes a chain of
 * steps and the set of columns that have to be decoded.
 */
#include "deliver/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
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

/* ---- What a transform leaves */

static struct weir_column *
kept_column(struct view *v, const struct weir_table *from,
            const struct kept_column *kept)
{
    struct weir_column *column = arena_alloc(&v->arena, sizeof *column);

    if (kept->of != WEIR_NONE) {
        *column = *from->columns[kept->of];
    }
    column->name = kept->name;
    if (kept->added) {
        column->sql_type = kept->sql_type;
        column->type = kept->type;
        column->nmembers = 0;
    }
    return column;
}

/* The key in terms of the new columns; none if one of its columns is gone. */
static void
carry_key(struct view *v, const struct weir_table *from, struct weir_table *to,
          const uint32_t *of)
{
    uint32_t *key = arena_array(&v->arena, from->nkey + 1, sizeof *key);

    for (uint32_t k = 0; k < from->nkey; k++) {
        uint32_t i = 0;
        while (i < to->ncolumns && of[i] != from->key[k]) {
            i++;
        }
        if (i == to->ncolumns) {
            to->nkey = 0;
            to->key = NULL;
            return;
        }
        key[k] = i;
    }
    to->nkey = from->nkey;
    to->key = key;
}

static const struct weir_table *
transformed(struct view *v, struct step *s, const struct table_plan *plan)
{
    const struct weir_table *from = s->from;

    if (!plan->keep_said && !plan->name.data) {
        return from;
    }
    struct weir_table *to = arena_alloc(&v->arena, sizeof *to);
    *to = *from;
    if (plan->name.data) {
        to->schema = plan->schema;
        to->name = plan->name;
    }
    if (!plan->keep_said) {
        return to;
    }
    const size_t               n = plan->nkept;
    const struct weir_column **columns =
        arena_array(&v->arena, n + 1, sizeof *columns);
    uint32_t *of = arena_array(&v->arena, n + 1, sizeof *of);
    for (size_t i = 0; i < n; i++) {
        columns[i] = kept_column(v, from, &plan->kept[i]);
        of[i] = plan->kept[i].of == WEIR_NONE ? UINT32_MAX
                                              : (uint32_t)plan->kept[i].of;
    }
    to->ncolumns = (uint32_t)n;
    to->columns = columns;
    carry_key(v, from, to, of);
    s->of = of;
    return to;
}

/* ---- Templates and formats of the sink's block */

static void
bind_template(struct view *v, const struct weir_directive *dir,
              const struct weir_template *t)
{
    struct bound_template *b = &v->templates[v->ntemplates++];

    b->t = t;
    b->columns = arena_array(&v->arena, t->nparts + 1, sizeof *b->columns);
    b->bad = template_bind(t, v->out, b->columns, &b->why) != WEIR_OK;
    b->orders = (dir->flags & WEIR_ORDER) != 0;
    v->has_order = v->has_order || b->orders;
}

/* A writer is used by one thread at a time, so each lane has its own. */
static void
bind_formats(struct deliverer *d, struct view *v, size_t n)
{
    const struct weir_module *m = d->module;

    v->formats = arena_array(&v->arena, n * d->nlanes + 1, sizeof *v->formats);
    for (uint32_t lane = 0; lane < d->nlanes; lane++) {
        struct bound_format *b = &v->formats[lane * v->nformats];
        for (size_t i = 0; i < n; i++) {
            const struct weir_directive *dir = &m->directives[i];
            const void *field = (const char *)d->sink_conf + dir->offset;
            if (dir->kind == WEIR_K_FORMAT &&
                *(const struct weir_format *const *)field) {
                b->f = *(const struct weir_format *const *)field;
                b->ft = format_table_new(b->f, v->out);
                b++;
            }
        }
        v->nformats = (size_t)(b - &v->formats[lane * v->nformats]);
    }
}

static void
find_directives(struct deliverer *d, struct view *v)
{
    const struct weir_module *m = d->module;
    size_t                    n = 0;

    for (const struct weir_directive *dir = m->directives;
         dir && dir->kind != WEIR_K_END; dir++) {
        n++;
    }
    v->templates = arena_array(&v->arena, n + 1, sizeof *v->templates);
    for (size_t i = 0; i < n; i++) {
        const struct weir_directive *dir = &m->directives[i];
        const void *field = (const char *)d->sink_conf + dir->offset;
        if (dir->kind == WEIR_K_TEMPLATE &&
            *(const struct weir_template *const *)field) {
            bind_template(v, dir, *(const struct weir_template *const *)field);
        }
    }
    bind_formats(d, v, n);
}

/* ---- Which columns have to be decoded */

static void
set_bit(uint8_t *map, size_t i)
{
    map[i / 8] |= (uint8_t)(1u << i % 8);
}

static bool
has_bit(const uint8_t *map, size_t i)
{
    return map[i / 8] >> i % 8 & 1;
}

/* What the sink itself reads of `out`. */
static void
used_by_sink(struct view *v, const struct table_plan *plan, uint8_t *used)
{
    for (uint32_t i = 0; i < v->out->ncolumns; i++) {
        if (!plan->use_said || v->nformats > 0 ||
            (plan->used && has_bit(plan->used, i))) {
            set_bit(used, i);
        }
    }
    for (size_t t = 0; t < v->ntemplates; t++) {
        const struct bound_template *b = &v->templates[t];
        for (size_t p = 0; p < b->t->nparts && !b->bad; p++) {
            if (b->columns[p] != UINT32_MAX) {
                set_bit(used, b->columns[p]);
            }
        }
    }
    for (uint32_t k = 0; k < v->out->nkey; k++) {
        set_bit(used, v->out->key[k]);
    }
    for (size_t r = 0; r < v->nrules; r++) {
        for (size_t i = 0; i < v->rules[r].n; i++) {
            set_bit(used, v->rules[r].columns[i]);
        }
    }
}

/* From what is read behind a step to what is read before it. */
static uint8_t *
used_before(struct view *v, const struct step *s, const uint8_t *behind,
            const struct table_plan *plan)
{
    uint8_t   *used = arena_alloc(&v->arena, s->from->ncolumns / 8 + 1);
    const bool has_call = s->in->module->filter || s->in->module->transform;

    for (uint32_t i = 0; i < s->to->ncolumns; i++) {
        const uint32_t of = s->of ? s->of[i] : i;
        if (of != UINT32_MAX && has_bit(behind, i)) {
            set_bit(used, of);
        }
    }
    for (uint32_t i = 0; has_call && i < s->from->ncolumns; i++) {
        if (!plan->use_said || (plan->used && has_bit(plan->used, i))) {
            set_bit(used, i);
        }
    }
    return used;
}

/* ---- Making one */

static void
plan_init(struct table_plan *plan, const struct weir_table *table,
          struct arena *a)
{
    *plan = (struct table_plan){ .table = table, .ops = ~0u, .arena = a };
}

static enum weir_status
through_stages(struct deliverer *d, struct view *v, struct table_plan *plans,
               struct weir_err *err)
{
    const struct weir_table *table = &v->table->pub;

    v->steps = arena_array(&v->arena, d->nstages + 1, sizeof *v->steps);
    for (size_t i = 0; i < d->nstages; i++) {
        struct step *s = &v->steps[v->nsteps];
        *s = (struct step){ .in = &d->stages[i], .from = table };
        plan_init(&plans[v->nsteps], table, &v->arena);
        const enum weir_status st = instance_table(
            s->in, table, &s->slot, &plans[v->nsteps], err);
        if (st == WEIR_DROP) {
            v->wanted = false;
            return WEIR_OK;
        }
        if (st != WEIR_OK) {
            return weir_wrap(err, st, "%s %s",
                             s->in->module->name, s->in->name);
        }
        v->ops &= plans[v->nsteps].ops;
        s->to = s->in->module->stage == WEIR_TRANSFORM
                    ? transformed(v, s, &plans[v->nsteps])
                    : table;
        table = s->to;
        v->nsteps++;
    }
    v->out = table;
    return WEIR_OK;
}

/* Each lane's instance prepares it; what the first one says of it counts. */
static enum weir_status
ask_sink(struct deliverer *d, struct view *v, struct table_plan *plan,
         struct weir_err *err)
{
    enum weir_status st = WEIR_OK;

    v->slots = arena_array(&v->arena, d->nlanes + 1, sizeof *v->slots);
    for (uint32_t k = 0; st == WEIR_OK && k < d->nlanes; k++) {
        struct table_plan other;
        struct lane      *l = &d->lanes[k];
        plan_init(k ? &other : plan, v->out, &v->arena);
        lane_enter(l);
        st = instance_table(&l->in, v->out, &v->slots[k], k ? &other : plan,
                            err);
        lane_leave(l);
        v->nslots += st == WEIR_OK;
    }
    return st;
}

/* By transaction: what it says of order; nothing said, the whole table. */
static void
find_rules(struct deliverer *d, struct view *v, struct table_plan *plan)
{
    if (d->by_key) {
        return;
    }
    v->nrules = plan->nrules;
    v->rules = plan->rules;
    if (v->nrules == 0) {
        const struct weir_table *t = v->out;
        v->nrules = 1;
        v->rules = arena_alloc(&v->arena, sizeof *v->rules);
        v->rules->name = arena_printf(&v->arena, "\1%.*s.%.*s",
                                      STR_ARG(t->schema), STR_ARG(t->name));
        v->rules->columns = NULL;
    }
}

static enum weir_status
names_unknown(const struct deliverer *d, const struct view *v,
              struct weir_err *err)
{
    const struct weir_table *t = &v->table->pub;

    return weir_fail(
        err, WEIR_REJECT,
        "its column names are unknown: %s.  To go on with these rows, give the "
        "table as it was: weirctl schema set %s %.*s.%.*s FILE, with its CREATE "
        "TABLE (version %llu); or leave it out of this sink.  "
        "For what comes: binlog_row_metadata=FULL on the server",
        v->table->reason, d->set.pipeline->name, STR_ARG(t->schema),
        STR_ARG(t->name), (unsigned long long)t->version);
}

static enum weir_status
prepare(struct deliverer *d, struct view *v, struct weir_err *err)
{
    struct table_plan *plans =
        arena_array(&v->arena, d->nstages + 1, sizeof *plans);
    struct table_plan  last;

    enum weir_status st = through_stages(d, v, plans, err);
    if (st != WEIR_OK || !v->wanted) {
        return st;
    }
    if (!v->table->names_known) {
        return names_unknown(d, v, err);
    }
    find_directives(d, v);
    st = ask_sink(d, v, &last, err);
    if (st == WEIR_DROP) {
        v->wanted = false;
        return WEIR_OK;
    }
    if (st != WEIR_OK) {
        return st;
    }
    v->ops &= last.ops;
    find_rules(d, v, &last);
    uint8_t *used = arena_alloc(&v->arena, v->out->ncolumns / 8 + 1);
    used_by_sink(v, &last, used);
    for (size_t i = v->nsteps; i-- > 0;) {
        used = used_before(v, &v->steps[i], used, &plans[i]);
    }
    v->columns = used;
    return WEIR_OK;
}

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
        st = v->wanted ? prepare(d, v, err) : WEIR_OK;
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
        drop_views(d);
        views_new_segment(d);
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
        return keep_or_free(d, v, v->wanted ? prepare(d, v, err) : WEIR_OK,
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
        struct table_plan *plans =
            arena_array(&v->arena, d->nstages + 1, sizeof *plans);
        st = through_stages(d, v, plans, err);
    }
    if (st == WEIR_OK && v->wanted) {
        find_directives(d, v);
    }
    return keep_or_free(d, v, st, out, err);
}
