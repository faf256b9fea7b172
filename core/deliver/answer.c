/*
 * answer.c - what a sink module is given when it asks: templates and formats
 * filled in, values as text, and where its outcomes go.
 */
#include "deliver/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "base/log.h"
#include "schema/charset.h"

static struct batch *
batch_of(struct weir_batch *b)
{
    return (struct batch *)((char *)b - offsetof(struct batch, head.pub));
}

static struct weir_str
keep(struct batch *b)
{
    return arena_str(&b->arena, buf_view(&b->scratch));
}

static struct weir_str
answer_text(struct weir_instance *in, const struct weir_column *column,
            const struct weir_value *v, bool raw)
{
    struct buf out;

    if (raw && v->type == WEIR_TEXT) {
        return charset_bytes(column, v);
    }
    if (v->type == WEIR_TEXT || v->type == WEIR_DECIMAL ||
        v->type == WEIR_JSON || v->type == WEIR_BYTES) {
        return v->s;
    }
    struct lane *l = in->arg;
    out = l->text;
    out.len = 0;
    format_text(column, v, &out);
    l->text = out;
    return arena_str(in->scratch, buf_view(&out));
}

static void
answer_found(void *arg, const struct weir_checkpoint *cp)
{
    struct lane      *l = arg;
    struct deliverer *d = l->d;

    if (cp->slot >= MAX_LANES || (!d->asking_all && cp->slot != l->asked)) {
        log_warn("module %s: found a checkpoint for slot %u, which was not "
                 "asked for", d->module->name, cp->slot);
        return;
    }
    struct slot *slot = d->asking_all ? &d->slots[cp->slot] : &l->found;
    slot->blob.len = 0;
    buf_str(&slot->blob, cp->data);
    slot->found = true;
    slot->epoch = cp->epoch;
}

static const struct view *
view_sent(const struct batch *b, size_t i)
{
    const struct view *v = b->round->items[b->todo[b->at + i]].view;

    return v && !v->refused ? v : NULL;
}

static const struct bound_template *
find_template(const struct view *v, const struct weir_template *t)
{
    for (size_t i = 0; i < v->ntemplates; i++) {
        if (v->templates[i].t == t) {
            return &v->templates[i];
        }
    }
    return NULL;
}

/* A column that an UPDATE's after-image leaves out did not change: what the
 * before-image says holds for both. */
static const struct weir_value *
completed(struct batch *b, const struct bound_template *bt,
          const struct weir_event *ev)
{
    struct weir_value *both = NULL;

    for (size_t p = 0; p < bt->t->nparts; p++) {
        const uint32_t c = bt->columns[p];
        if (c == UINT32_MAX || ev->after[c].type != WEIR_ABSENT ||
            ev->before[c].type == WEIR_ABSENT) {
            continue;
        }
        if (!both) {
            const size_t n = ev->table->ncolumns;
            both = arena_copy(&b->arena, ev->after, n * sizeof *both);
        }
        both[c] = ev->before[c];
    }
    return both ? both : ev->after;
}

static enum weir_status
answer_expand(struct weir_batch *pub, size_t i, const struct weir_template *t,
              bool of_before, struct weir_str *out, struct weir_err *err)
{
    struct batch            *b = batch_of(pub);
    const struct weir_event *ev = b->events[i];
    const struct view       *v = view_sent(b, i);

    const struct bound_template *bt = v ? find_template(v, t) : NULL;
    if (!bt) {
        return weir_fail(err, WEIR_REJECT,
                         "\"%s\": the event has no table to fill it in from",
                         t->source);
    }
    if (bt->bad) {
        *err = bt->why;
        return WEIR_REJECT;
    }
    const struct weir_value *image =
        of_before || !ev->after ? ev->before : ev->after;
    if (!of_before && ev->before && ev->after) {
        image = completed(b, bt, ev);
    }
    for (size_t p = 0; p < t->nparts && !image; p++) {
        if (bt->columns[p] != UINT32_MAX) {
            return weir_fail(err, WEIR_REJECT,
                             "\"%s\": the event has no %s image to fill it in "
                             "from", t->source, of_before ? "before" : "after");
        }
    }
    b->scratch.len = 0;
    const enum weir_status st =
        template_expand(t, bt->columns, ev->table, image, &b->scratch, err);
    *out = st == WEIR_OK ? keep(b) : (struct weir_str){ 0 };
    return st;
}

static enum weir_status
answer_body(struct weir_batch *pub, size_t i, const struct weir_format *f,
            struct weir_str *out, struct weir_err *err)
{
    struct batch        *b = batch_of(pub);
    const struct view   *v = view_sent(b, i);
    struct format_table *ft = NULL;

    (void)err;
    for (size_t k = 0; v && k < v->nformats; k++) {
        const size_t of = b->lane->index * v->nformats + k;
        if (v->formats[of].f == f) {
            ft = v->formats[of].ft;
        }
    }
    b->scratch.len = 0;
    format_event(f, ft, b->events[i], &b->scratch);
    *out = keep(b);
    return WEIR_OK;
}

static void
answer_verdict(struct weir_batch *pub, size_t i, enum weir_status status,
               const char *reason)
{
    struct batch *b = batch_of(pub);

    assert(i < b->nsent); /* an event of that batch */
    pthread_mutex_lock(&b->lock);
    if ((b->nverdicts & (b->nverdicts - 1)) == 0) { /* full: twice as many */
        b->verdicts = xrealloc(b->verdicts,
                               (b->nverdicts ? 2 * b->nverdicts : 1) *
                                   sizeof *b->verdicts);
    }
    struct verdict *verdict = &b->verdicts[b->nverdicts++];
    verdict->event = i;
    verdict->status = status == WEIR_RETRY ? WEIR_RETRY : WEIR_REJECT;
    snprintf(verdict->reason, sizeof verdict->reason, "%s", reason);
    pthread_mutex_unlock(&b->lock);
}

void
batch_at_work(struct batch *b, bool at_work)
{
    pthread_mutex_lock(&b->lock);
    b->at_work = at_work;
    b->done = false;
    pthread_mutex_unlock(&b->lock);
}

/* A call too many could end another batch before it is written, so it ends the
 * worker: the next one goes on from the checkpoint. */
static void
answer_done(struct weir_batch *pub, enum weir_status status,
            const struct weir_err *err)
{
    struct batch *b = batch_of(pub);

    pthread_mutex_lock(&b->lock);
    if (!b->at_work || b->done) {
        const struct weir_module *m = b->head.in->module;
        log_error("module %s %s called weir_batch_done() for a batch that was "
                  "done: it is broken, and its worker ends", m->name,
                  m->version);
        abort();
    }
    b->done = true;
    b->outcome = status;
    if (err) {
        b->reason = *err;
    }
    pthread_cond_signal(&b->ended);
    pthread_mutex_unlock(&b->lock);
}

const struct sink_ops answers = {
    .text = answer_text,
    .found = answer_found,
    .expand = answer_expand,
    .body = answer_body,
    .verdict = answer_verdict,
    .done = answer_done,
};
