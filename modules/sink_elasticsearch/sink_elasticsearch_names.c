/*
 * sink_elasticsearch_names.c - where the document of a row is, and what is in
 * it: made of the templates, the table's key, the format and the join field.
 */
#include "sink_elasticsearch.h"

static struct weir_str
kept(struct sink *s, struct weir_str text)
{
    char *copy = weir_alloc(s->in, text.len + 1);

    memcpy(copy, text.data, text.len);
    return (struct weir_str){ copy, text.len };
}

/* ---- Names */

/* The values of the table's key, with ":" between; ":" and "%" within one are
 * written %3A and %25 where there are several. */
static enum weir_status
key_text(struct sink *s, const struct weir_event *ev, bool of_before,
         struct weir_str *out, struct weir_err *err)
{
    const struct weir_table *t = ev->table;
    struct text             *text = &s->scratch;

    text->len = 0;
    for (uint32_t k = 0; k < t->nkey; k++) {
        const uint32_t           c = t->key[k];
        const struct weir_value *v =
            of_before || !ev->after ? &ev->before[c] : &ev->after[c];
        if (v->type == WEIR_ABSENT && ev->before) {
            v = &ev->before[c]; /* as it was */
        }
        if (v->type == WEIR_ABSENT || v->type == WEIR_NULL) {
            return weir_fail(err, WEIR_REJECT, "the row image has no column "
                             "%.*s, which is of the key",
                             (int)t->columns[c]->name.len,
                             t->columns[c]->name.data);
        }
        const struct weir_str part = weir_text(s->in, t->columns[c], v);
        if (t->nkey == 1) {
            *out = part;
            return WEIR_OK;
        }
        text_add(text, ":", k > 0);
        for (size_t i = 0; i < part.len; i++) {
            const char c1 = part.data[i];
            text_add(text, c1 == ':' ? "%3A" : c1 == '%' ? "%25" : &c1,
                     c1 == ':' || c1 == '%' ? 3 : 1);
        }
    }
    *out = kept(s, text_view(text));
    return text->failed ? weir_fail(err, WEIR_RETRY, "an _id: no memory")
                        : WEIR_OK;
}

static enum weir_status
expand_name(struct weir_batch *b, size_t i, const struct weir_template *t,
            bool of_before, const char *what, struct weir_str *out,
            struct weir_err *err)
{
    if (!t) {
        *out = (struct weir_str){ "", 0 };
        return WEIR_OK;
    }
    const enum weir_status st = weir_expand(b, i, t, of_before, out, err);
    if (st == WEIR_OK && !text_is_utf8(*out)) {
        return weir_fail(err, WEIR_REJECT, "%s: what its template makes of "
                         "this row is not UTF-8", what);
    }
    return st;
}

static enum weir_status
make_id(struct sink *s, const struct weir_str text, struct weir_str *out,
        struct weir_err *err)
{
    char room[ID_BYTES];

    if (text.len == 0) {
        return weir_fail(err, WEIR_REJECT, "the _id of this row is empty, "
                         "which the server does not take");
    }
    const struct weir_str plain = text_id(text, room);
    *out = plain.data == room ? kept(s, plain) : text;
    return WEIR_OK;
}

/* A child is in its parent's shard, which goes by the parent's _id unless
 * `routing` says otherwise. */
static enum weir_status
expand_parent(struct sink *s, struct weir_batch *b, size_t i, bool of_before,
              struct names *out, struct weir_err *err)
{
    struct weir_str  text;
    enum weir_status st = weir_expand(b, i, s->conf->parent, of_before, &text,
                                      err);
    if (st == WEIR_OK) {
        st = make_id(s, text, &out->parent, err);
    }
    if (st == WEIR_OK && !s->conf->routing) {
        out->routing = out->parent;
    }
    return st;
}

enum weir_status
names_of(struct sink *s, struct weir_batch *b, size_t i, bool of_before,
         struct names *out, struct weir_err *err)
{
    const struct elastic_conf *c = s->conf;
    struct weir_str            id;

    enum weir_status st = c->id ? weir_expand(b, i, c->id, of_before, &id, err)
                                : key_text(s, b->events[i], of_before, &id,
                                           err);
    if (st == WEIR_OK) {
        st = make_id(s, id, &out->id, err);
    }
    if (st == WEIR_OK) {
        st = expand_name(b, i, c->index, of_before, "index", &out->index, err);
    }
    if (st == WEIR_OK) {
        st = expand_name(b, i, c->routing, of_before, "routing", &out->routing,
                         err);
    }
    if (st == WEIR_OK) {
        st = expand_name(b, i, c->pipeline, of_before, "pipeline",
                         &out->pipeline, err);
    }
    out->parent = (struct weir_str){ "", 0 };
    return st == WEIR_OK && c->parent
               ? expand_parent(s, b, i, of_before, out, err)
               : st;
}

bool
names_same(const struct names *a, const struct names *b)
{
    return text_same(a->id, b->id) && text_same(a->index, b->index) &&
           text_same(a->routing, b->routing);
}

/* ---- Documents */

bool
is_whole(const struct weir_event *ev)
{
    for (uint32_t i = 0; i < ev->table->ncolumns; i++) {
        if (ev->after[i].type == WEIR_ABSENT) {
            return false;
        }
    }
    return true;
}

struct weir_str
join_name(struct sink *s, const struct weir_table *table, char *room,
          size_t size)
{
    size_t       literal;
    const size_t len =
        weir_template_glob(s->conf->join, table, room, size, &literal);

    return (struct weir_str){ room, len < size ? len : size };
}

/* `document` with the join field at its end. */
static enum weir_status
add_join(struct sink *s, struct weir_batch *b, size_t i,
         const struct names *names, struct weir_str *document,
         struct weir_err *err)
{
    const char      *field = s->conf->join_field;
    struct text     *t = &s->scratch;
    struct weir_str  name;
    enum weir_status st = expand_name(b, i, s->conf->join,
                                      b->events[i]->after == NULL, "join",
                                      &name, err);
    if (st != WEIR_OK) {
        return st;
    }
    t->len = 0;
    text_add(t, document->data, document->len - 1);
    text_put(t, document->len > 2 ? "," : "");
    text_quoted(t, (struct weir_str){ field, strlen(field) });
    text_put(t, names->parent.len ? ":{\"name\":" : ":");
    text_quoted(t, name);
    if (names->parent.len) {
        text_put(t, ",\"parent\":");
        text_quoted(t, names->parent);
        text_put(t, "}");
    }
    text_put(t, "}");
    if (t->failed) {
        return weir_fail(err, WEIR_RETRY, "a document: no memory");
    }
    *document = kept(s, text_view(t));
    return WEIR_OK;
}

enum weir_status
document_of(struct sink *s, struct weir_batch *b, size_t i,
            const struct names *names, struct weir_str *out,
            struct weir_err *err)
{
    enum weir_status st = weir_body(b, i, s->conf->format, out, err);

    if (st != WEIR_OK) {
        return st;
    }
    if (out->len < 3) {
        return weir_fail(err, WEIR_FATAL, "format: it makes no document of a "
                         "row; use row");
    }
    out->len--; /* the line's end */
    return s->conf->join ? add_join(s, b, i, names, out, err) : st;
}
