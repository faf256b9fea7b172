/*
 * view_make.c - what one version of a table takes: the stages' and the sink's
 * table() are called once, and what they say becomes a chain of steps and the
 * set of columns that have to be decoded.
 */
#include "deliver/internal.h"


#include "base/err.h"
#include "base/str.h"

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

/* ---- The stages and the sink */

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

enum weir_status
view_prepare(struct deliverer *d, struct view *v, struct weir_err *err)
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

enum weir_status
view_prepare_name(struct deliverer *d, struct view *v, struct weir_err *err)
{
    struct table_plan *plans =
        arena_array(&v->arena, d->nstages + 1, sizeof *plans);

    const enum weir_status st = through_stages(d, v, plans, err);
    if (st == WEIR_OK && v->wanted) {
        find_directives(d, v);
    }
    return st;
}
