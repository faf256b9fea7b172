/* answers.c - see answers.h. */
#include "tools/modtest/answers.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/str.h"
#include "format/template.h"
#include "schema/charset.h"

static struct trial *
trial_of(struct weir_batch *b)
{
    return (struct trial *)((char *)b - offsetof(struct trial, head.pub));
}

static struct unit *
unit_of(struct weir_batch *b)
{
    return instance_of_batch(b)->arg;
}

/* Text for a module goes with its batch. */
static struct weir_str
keep(struct unit *u)
{
    return arena_str(&u->scratch, buf_view(&u->text));
}

static struct weir_str
answer_text(struct weir_instance *in, const struct weir_column *column,
            const struct weir_value *v, bool raw)
{
    struct unit *u = in->arg;

    if (raw && v->type == WEIR_TEXT) {
        return charset_bytes(column, v);
    }
    if (type_has_text(v->type)) {
        return v->s;
    }
    u->text.len = 0;
    format_text(column, v, &u->text);
    return keep(u);
}

static void
answer_found(void *arg, const struct weir_checkpoint *cp)
{
    struct unit *u = arg;

    if (u->nfound == 64 || !u->found) {
        breach("weir_found() is called once for each slot, within restore()");
        return;
    }
    u->found[u->nfound++] = (struct found_checkpoint){
        .slot = cp->slot,
        .epoch = cp->epoch,
        .id = arena_str(&u->kept, cp->id),
        .data = arena_str(&u->kept, cp->data),
    };
}

/* A column that an UPDATE's after-image leaves out did not change. */
static const struct weir_value *
image_for(struct unit *u, const struct weir_event *ev, bool of_before)
{
    if (of_before || !ev->after) {
        return ev->before;
    }
    if (!ev->before) {
        return ev->after;
    }
    const size_t       n = ev->table->ncolumns;
    struct weir_value *both =
        arena_copy(&u->scratch, ev->after, n * sizeof *both);
    for (size_t i = 0; i < n; i++) {
        if (both[i].type == WEIR_ABSENT) {
            both[i] = ev->before[i];
        }
    }
    return both;
}

static enum weir_status
answer_expand(struct weir_batch *b, size_t i, const struct weir_template *t,
              bool of_before, struct weir_str *out, struct weir_err *err)
{
    struct unit             *u = unit_of(b);
    const struct weir_event *ev = b->events[i];

    *out = (struct weir_str){ 0 };
    if (!ev->table) {
        return weir_fail(err, WEIR_REJECT, "\"%s\": the event has no table",
                         t->source);
    }
    uint32_t *bound = arena_array(&u->scratch, t->nparts + 1, sizeof *bound);
    enum weir_status st = template_bind(t, ev->table, bound, err);
    const struct weir_value *image = image_for(u, ev, of_before);
    for (size_t p = 0; st == WEIR_OK && !image && p < t->nparts; p++) {
        if (bound[p] != UINT32_MAX) {
            st = weir_fail(err, WEIR_REJECT, "\"%s\": the event has no %s "
                           "image", t->source, of_before ? "before" : "after");
        }
    }
    if (st == WEIR_OK) {
        u->text.len = 0;
        st = template_expand(t, bound, ev->table, image, &u->text, err);
    }
    if (st == WEIR_OK) {
        *out = keep(u);
    }
    return st;
}

static enum weir_status
answer_body(struct weir_batch *b, size_t i, const struct weir_format *f,
            struct weir_str *out, struct weir_err *err)
{
    struct unit             *u = unit_of(b);
    const struct made_table *t = trial_of(b)->tables[i];
    struct format_table     *ft = NULL;

    (void)err;
    for (size_t k = 0; t && k < t->nformats; k++) {
        if (u->h->rows.formats[k] == f) {
            ft = t->formats[k];
        }
    }
    u->text.len = 0;
    format_event(f, ft, b->events[i], &u->text);
    *out = keep(u);
    return WEIR_OK;
}

static void
answer_verdict(struct weir_batch *pub, size_t i, enum weir_status status,
               const char *reason)
{
    struct trial *b = trial_of(pub);

    (void)i;
    pthread_mutex_lock(&b->lock);
    if (!b->in_write || b->is_over) {
        breach("weir_verdict() is called before its batch is done");
    } else if (status != WEIR_RETRY && status != WEIR_REJECT) {
        breach("weir_verdict() says RETRY or REJECT (it said %s)",
               status_name(status));
    } else if (!*reason) {
        breach("weir_verdict() says why");
    }
    b->nverdicts++;
    b->nretry += status == WEIR_RETRY;
    pthread_mutex_unlock(&b->lock);
}

static void
answer_done(struct weir_batch *pub, enum weir_status status,
            const struct weir_err *err)
{
    struct trial *b = trial_of(pub);

    pthread_mutex_lock(&b->lock);
    if (b->ndone || b->is_over) {
        breach("weir_batch_done() is called once for a batch");
    } else {
        b->outcome = status;
        b->reason = err ? *err : (struct weir_err){ "" };
    }
    b->ndone++;
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

/* ---- Sources */

struct fed fed = { .stop_fd = { -1, -1 } };

static enum weir_status
feed_server(void *arg, struct weir_str id, struct weir_str version,
            struct weir_err *err)
{
    (void)arg;
    (void)id;
    (void)version;
    (void)err;
    fed.has_server = true;
    return WEIR_OK;
}

static enum weir_status
feed_position(void *arg, struct weir_str gtid_set, struct weir_str file,
              uint64_t offset, struct weir_err *err)
{
    (void)arg;
    (void)gtid_set;
    (void)file;
    (void)offset;
    (void)err;
    if (!fed.has_server) {
        breach("weir_feed_position() comes behind weir_feed_server()");
    }
    fed.has_position = true;
    return WEIR_OK;
}

static enum weir_status
feed_binlog(void *arg, const void *event, size_t len, struct weir_err *err)
{
    unsigned sum = 0;

    (void)arg;
    if (!fed.has_position) {
        breach("weir_feed_binlog() comes behind weir_feed_position()");
    }
    for (size_t i = 0; i < len; i++) { /* all of it can be read */
        sum += ((const unsigned char *)event)[i];
    }
    if (len < 19 || (sum == 0 && len)) { /* an event's header */
        breach("weir_feed_binlog() gives whole events (%zu bytes)", len);
    }
    fed.nevents++;
    if (fed.nevents == fed.stop_after && write(fed.stop_fd[1], "s", 1) != 1) {
        note("the stop could not be said");
    }
    return fed.refuse == WEIR_OK
               ? WEIR_OK
               : weir_fail(err, fed.refuse, "no room for now");
}

static enum weir_status
feed_flush(void *arg, struct weir_err *err)
{
    (void)arg;
    (void)err;
    return WEIR_OK;
}

static void
no_define(void *arg, struct weir_str name, struct weir_str sql_type,
          struct weir_str collation, unsigned facets)
{
    (void)arg;
    (void)name;
    (void)sql_type;
    (void)collation;
    (void)facets;
}

static void
no_key(void *arg, size_t n, const uint32_t *columns)
{
    (void)arg;
    (void)n;
    (void)columns;
}

static void
no_index(void *arg, struct weir_str name, bool unique, bool partial, size_t n,
         const uint32_t *columns)
{
    (void)arg;
    (void)name;
    (void)unique;
    (void)partial;
    (void)n;
    (void)columns;
}

static void
no_defaults(void *arg, struct weir_str of_table, struct weir_str of_schema)
{
    (void)arg;
    (void)of_table;
    (void)of_schema;
}

static void
no_define_at(void *arg, struct weir_str gtid_set, struct weir_str file,
             uint64_t offset)
{
    (void)arg;
    (void)gtid_set;
    (void)file;
    (void)offset;
}

const struct feed_ops feed_answers = {
    .server = feed_server,
    .position = feed_position,
    .binlog = feed_binlog,
    .flush = feed_flush,
    .define = no_define,
    .define_key = no_key,
    .define_index = no_index,
    .define_defaults = no_defaults,
    .define_at = no_define_at,
};
