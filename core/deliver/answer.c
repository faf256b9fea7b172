/*
 * answer.c - what a sink module is given when it asks: templates and formats
 * filled in, values as text, and where its outcomes go.
 */
#include "deliver/internal.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "base/log.h"

static struct batch *
batch_of(struct weir_batch *b)
{
    return (struct batch *)((char *)b - offsetof(struct batch, head.pub));
}

static struct deliverer *
deliverer_of(struct weir_instance *in)
{
    return in->arg;
}

static struct weir_str
keep(struct deliverer *d)
{
    return arena_str(&d->batch.arena, buf_view(&d->scratch));
}

static struct weir_str
answer_text(struct weir_instance *in, const struct weir_column *column,
            const struct weir_value *v, bool raw)
{
    struct deliverer *d = deliverer_of(in);

    if (raw && (v->type == WEIR_BYTES || v->type == WEIR_TEXT)) {
        return v->s;
    }
    if (v->type == WEIR_TEXT || v->type == WEIR_DECIMAL ||
        v->type == WEIR_JSON || v->type == WEIR_BYTES) {
        return v->s;
    }
    d->scratch.len = 0;
    format_text(column, v, &d->scratch);
    return keep(d);
}

static void
answer_found(void *arg, const struct weir_checkpoint *cp)
{
    struct deliverer *d = arg;

    if (cp->slot != 0) {
        log_warn("module %s: found a checkpoint for slot %u, which was not "
                 "asked for", d->sink.module->name, cp->slot);
        return;
    }
    d->found_blob.len = 0;
    buf_str(&d->found_blob, cp->data);
    d->has_found = true;
    if (cp->epoch > d->found_epoch) {
        d->found_epoch = cp->epoch;
    }
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
completed(struct deliverer *d, const struct bound_template *bt,
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
            both = arena_copy(&d->batch.arena, ev->after, n * sizeof *both);
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
    struct deliverer        *d = deliverer_of(b->head.in);
    const struct weir_event *ev = b->events[i];
    const struct view       *v = b->views[i];

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
        image = completed(d, bt, ev);
    }
    for (size_t p = 0; p < t->nparts && !image; p++) {
        if (bt->columns[p] != UINT32_MAX) {
            return weir_fail(err, WEIR_REJECT,
                             "\"%s\": the event has no %s image to fill it in "
                             "from", t->source, of_before ? "before" : "after");
        }
    }
    d->scratch.len = 0;
    const enum weir_status st =
        template_expand(t, bt->columns, ev->table, image, &d->scratch, err);
    *out = st == WEIR_OK ? keep(d) : (struct weir_str){ 0 };
    return st;
}

static enum weir_status
answer_body(struct weir_batch *pub, size_t i, const struct weir_format *f,
            struct weir_str *out, struct weir_err *err)
{
    struct batch        *b = batch_of(pub);
    struct deliverer    *d = deliverer_of(b->head.in);
    const struct view   *v = b->views[i];
    struct format_table *ft = NULL;

    (void)err;
    for (size_t k = 0; v && k < v->nformats; k++) {
        if (v->formats[k].f == f) {
            ft = v->formats[k].ft;
        }
    }
    d->scratch.len = 0;
    format_event(f, ft, b->events[i], &d->scratch);
    *out = keep(d);
    return WEIR_OK;
}

static void
answer_verdict(struct weir_batch *pub, size_t i, enum weir_status status,
               const char *reason)
{
    struct batch *b = batch_of(pub);

    pthread_mutex_lock(&b->lock);
    b->verdicts =
        xrealloc(b->verdicts, (b->nverdicts + 1) * sizeof *b->verdicts);
    struct verdict *verdict = &b->verdicts[b->nverdicts++];
    verdict->event = i;
    verdict->status = status == WEIR_RETRY ? WEIR_RETRY : WEIR_REJECT;
    snprintf(verdict->reason, sizeof verdict->reason, "%s", reason);
    pthread_mutex_unlock(&b->lock);
}

static void
answer_done(struct weir_batch *pub, enum weir_status status,
            const struct weir_err *err)
{
    struct batch *b = batch_of(pub);

    pthread_mutex_lock(&b->lock);
    assert(!b->done); /* once, as the contract says */
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
