/*
 * event.c - an event of a round: added to it, taken through the filters and
 * transforms of its view, and finished.  Knows no frames and no lanes.
 */
#include "deliver/internal.h"

#include <string.h>

#include "base/err.h"
#include "base/str.h"

struct weir_event *
event_add(struct deliverer *d, struct view *v, const struct frame *f)
{
    struct round      *r = d->round;
    struct weir_event *ev = arena_alloc(&r->arena, sizeof *ev);

    round_hold(r, d->frame_block);
    ev->seq = f->offset;
    ev->txn = transaction_of_round(d);
    ev->table = v && !v->refused ? v->out : NULL;
    if (!d->txn_has_events) {
        ev->flags |= WEIR_FIRST_IN_TXN;
    }
    d->txn_has_events = true;
    if (r->n == 0 && keeps_parts(d)) {
        r->gtids.len = 0;
        gtid_set_format(d->at.gtids, &r->gtids);
    }
    struct item *item = round_add(r);
    item->ev = ev;
    item->view = v;
    item->frame = f->offset;
    item->head = d->at.head;
    item->table = d->frame_table;
    return ev;
}

static bool
same_value(const struct weir_value *a, const struct weir_value *b)
{
    if (a->type != b->type) {
        return a->type == WEIR_ABSENT || b->type == WEIR_ABSENT;
    }
    switch (a->type) {
    case WEIR_ABSENT:
    case WEIR_NULL:
        return true;
    case WEIR_INT:
    case WEIR_UINT:
        return a->u == b->u;
    case WEIR_DOUBLE:
        return memcmp(&a->d, &b->d, sizeof a->d) == 0;
    case WEIR_DECIMAL:
    case WEIR_TEXT:
    case WEIR_BYTES:
    case WEIR_JSON:
        return str_eq(a->s, b->s);
    default:
        return a->t.year == b->t.year && a->t.month == b->t.month &&
               a->t.day == b->t.day && a->t.hour == b->t.hour &&
               a->t.minute == b->t.minute && a->t.second == b->t.second &&
               a->t.usec == b->t.usec && a->t.negative == b->t.negative;
    }
}

static bool
key_changed(const struct weir_event *ev)
{
    const struct weir_table *t = ev->table;

    if (ev->op != WEIR_UPDATE) {
        return false;
    }
    for (uint32_t k = 0; k < t->nkey; k++) {
        if (!same_value(&ev->before[t->key[k]], &ev->after[t->key[k]])) {
            return true;
        }
    }
    return false;
}

static struct weir_value *
gather(const struct step *s, const struct weir_value *in, struct arena *a)
{
    if (!in) {
        return NULL;
    }
    const uint32_t     n = s->to->ncolumns;
    struct weir_value *out = arena_alloc(a, (n + 1) * sizeof *out);
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t of = s->of ? s->of[i] : i;
        if (of != UINT32_MAX) {
            out[i] = in[of];
        }
    }
    return out;
}

/* What a transform made of a text was not logged, whatever it copied. */
static void
forget_logged(const struct step *s, const struct weir_value *in,
              struct weir_value *out)
{
    for (uint32_t i = 0; in && i < s->to->ncolumns; i++) {
        const uint32_t of = s->of ? s->of[i] : i;
        out[i].logged = of != UINT32_MAX && in[of].type == WEIR_TEXT &&
                        out[i].type == WEIR_TEXT &&
                        in[of].s.data == out[i].s.data &&
                        in[of].s.len == out[i].s.len && in[of].logged;
    }
}

/* An event through filters and transforms; DROP: left out. */
enum weir_status
event_steps(struct deliverer *d, const struct view *v, struct weir_event *ev,
           struct weir_err *err)
{
    for (size_t i = 0; i < v->nsteps; i++) {
        const struct step        *s = &v->steps[i];
        const struct weir_module *m = s->in->module;
        enum weir_status          st = WEIR_OK;
        ev->table = s->from;
        s->in->scratch = &d->round->arena;
        if (m->stage == WEIR_FILTER && m->filter) {
            st = m->filter(s->in->self, s->slot, ev, err);
        } else if (m->stage == WEIR_TRANSFORM && (s->of || m->transform)) {
            struct weir_value *before =
                gather(s, ev->before, &d->round->arena);
            struct weir_value *after = gather(s, ev->after, &d->round->arena);
            if (m->transform) {
                st = m->transform(s->in->self, s->slot, ev, before, after,
                                  err);
                forget_logged(s, ev->before, before);
                forget_logged(s, ev->after, after);
            }
            ev->before = before;
            ev->after = after;
        }
        if (st != WEIR_OK) {
            return st == WEIR_DROP ? st
                                   : weir_wrap(err, st, "%s %s", m->name,
                                               s->in->name);
        }
    }
    ev->table = v->out;
    return WEIR_OK;
}

void
event_finish(struct weir_event *made, const struct weir_event *ev)
{
    const uint32_t flags = made->flags;

    *made = *ev;
    made->flags = flags | (key_changed(ev) ? WEIR_KEY_CHANGED : 0);
}
