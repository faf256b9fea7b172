/*
 * sink_mysql_gather.c - the rows of a batch as few statements.  A row that is
 * touched many times is written once, and rows of one table are written kind by
 * kind, where nothing ties them to others (target.alone: one key, no foreign
 * keys, no triggers); all others in their order.  What doesn't fit this way is
 * left to sink_mysql_batch.c, by REJECT.
 */
#include "sink_mysql.h"

#include <stdlib.h>
#include <string.h>

enum kind { KIND_DELETE, KIND_UPDATE, KIND_INSERT, KIND_NOTHING };

struct entry { /* one row: what was there before the batch, and is after it */
    struct row      row;
    struct weir_str key, codes; /* what it is, and by which bytes */
    uint64_t        hash;
    uint32_t        place; /* among the batch's events */
    int64_t         number;
    enum kind       kind;
};

struct gather {
    struct entry *entries; /* of tables that stand alone */
    size_t        n, room;
    uint32_t     *slots; /* their number, by hash; 0: empty */
    size_t        nslots;
    struct row   *fixed; /* the others, in order */
    size_t        nfixed, fixed_room;
    struct row   *runs; /* what is there of entries, run by run */
    struct text   key;
    bool          may_pack, packed; /* this time; a statement was */
};

struct gather *
gather_new(void)
{
    return calloc(1, sizeof(struct gather));
}

void
gather_free(struct gather *g)
{
    if (g) {
        free(g->entries);
        free(g->slots);
        free(g->fixed);
        free(g->runs);
        text_free(&g->key);
        free(g);
    }
}

static enum weir_status
no_memory(const struct sink *s, struct weir_err *err)
{
    return weir_fail(err, WEIR_RETRY, "%s: no memory for a batch", s->where);
}

static bool
make_room(struct gather *g, size_t events)
{
    const size_t n = events * 2; /* a changed key makes two of one */
    size_t       nslots = 64;

    while (nslots < n * 2) {
        nslots *= 2;
    }
    if (g->room < n) {
        struct entry *entries = realloc(g->entries, n * sizeof *entries);
        if (!entries) {
            return false;
        }
        g->entries = entries;
        struct row *fixed = realloc(g->fixed, n * sizeof *fixed);
        if (!fixed) {
            return false;
        }
        g->fixed = fixed;
        struct row *run = realloc(g->runs, n * sizeof *run);
        if (!run) {
            return false;
        }
        g->runs = run;
        g->room = n;
    }
    if (g->nslots < nslots) {
        uint32_t *slots = realloc(g->slots, nslots * sizeof *slots);
        if (!slots) {
            return false;
        }
        g->slots = slots;
        g->nslots = nslots;
    }
    memset(g->slots, 0, g->nslots * sizeof *g->slots);
    g->n = g->nfixed = 0;
    return true;
}

/* ---- By key */

static const struct weir_value *
key_value(const struct row *r, bool of_before, size_t k)
{
    const uint32_t i = r->t->key[k];

    /* MINIMAL: a key that did not change is in the image before only. */
    return of_before || !r->after || r->after[i].type == WEIR_ABSENT
               ? &r->before[i]
               : &r->after[i];
}

static uint64_t
hash_of(const char *p, size_t len, uint64_t h)
{
    for (size_t i = 0; i < len; i++) {
        h = (h ^ (unsigned char)p[i]) * 0x100000001b3ULL;
    }
    return h ^ h >> 32;
}

/* Into g->key: the key, and behind it the bytes of what is text in a charset of
 * its own.  Gives where those begin. */
static size_t
put_key(struct sink *s, const struct row *r, bool of_before)
{
    struct text  *out = &s->gather->key;
    const size_t  nkey = r->t->nkey;

    out->len = 0;
    for (size_t k = 0; k < nkey; k++) {
        const uint32_t           i = r->t->key[k];
        const struct weir_value *v = key_value(r, of_before, k);
        if (text_no_member(s->in, r->t, i, v)) {
            text_put(out, "0");
        } else {
            text_plain(out, s->in, r->t->table->columns[i], v, true);
        }
        text_put(out, ",");
    }
    const size_t len = out->len;
    for (size_t k = 0; k < nkey; k++) {
        const struct weir_str coded = text_coded(
            s->in, r->t, r->t->key[k], key_value(r, of_before, k));
        if (coded.data) {
            text_bytes(out, coded);
        }
    }
    return len;
}

/* NULL: is it the same row?  Its key is the same text, of other codes. */
static struct entry *
find_entry(struct sink *s, const struct row *r, bool of_before, bool *is_new)
{
    struct gather        *g = s->gather;
    const size_t          len = put_key(s, r, of_before);
    const struct weir_str key = { g->key.data, len };
    const struct weir_str codes = { g->key.data + len, g->key.len - len };
    const uint64_t        h = hash_of(key.data, key.len, r->t->id);
    size_t                i = h & (g->nslots - 1);

    for (; g->slots[i]; i = (i + 1) & (g->nslots - 1)) {
        struct entry *e = &g->entries[g->slots[i] - 1];
        if (e->hash == h && e->row.t->id == r->t->id &&
            same_bytes(e->key, key)) {
            *is_new = false;
            return same_bytes(e->codes, codes) ? e : NULL;
        }
    }
    struct entry *e = &g->entries[g->n++];
    char         *kept = weir_alloc(s->in, g->key.len + 1);
    memcpy(kept, g->key.data, g->key.len);
    *e = (struct entry){
        .row = *r,
        .key = { kept, len },
        .codes = { kept + len, codes.len },
        .hash = h,
        .place = (uint32_t)g->n,
    };
    g->slots[i] = (uint32_t)g->n;
    *is_new = true;
    return e;
}

/* What an image leaves out is as it was before. */
static const struct weir_value *
overlay(struct sink *s, const struct target *t, const struct weir_value *under,
        const struct weir_value *over)
{
    const size_t       n = t->table->ncolumns;
    struct weir_value *v = weir_alloc(s->in, (n + 1) * sizeof *v);

    for (size_t i = 0; i < n; i++) {
        v[i] = over[i].type == WEIR_ABSENT ? under[i] : over[i];
    }
    return v;
}

/* REJECT: it doesn't go on from what the batch made of that row. */
static enum weir_status
touch(struct sink *s, const struct row *r, bool of_before,
      struct weir_err *err)
{
    bool          is_new = false;
    struct entry *e = find_entry(s, r, of_before, &is_new);

    if (!e) {
        return weir_fail(err, WEIR_REJECT, "%s: two codes of one text are keys "
                         "of %.*s", s->where, STR_ARG(r->t->name));
    }
    if (is_new) {
        return WEIR_OK;
    }
    if (e->row.t != r->t) {
        return weir_fail(err, WEIR_REJECT, "%s: two tables of the source write "
                         "one row of %.*s", s->where, STR_ARG(r->t->name));
    }
    const bool there = e->row.after != NULL;
    if (!r->upsert && there != (r->before != NULL)) {
        return weir_fail(err, WEIR_REJECT, "%s: rows of a batch contradict "
                         "each other", s->where);
    }
    e->row.upsert = r->upsert;
    if (r->upsert && !e->row.before) {
        e->row.before = r->before; /* it may have been there after all */
    }
    if (r->after && there && r->before) {
        e->row.after = overlay(s, r->t, e->row.after, r->after);
    } else {
        e->row.after = r->after;
        e->row.anew = r->anew;
    }
    return WEIR_OK;
}

static enum weir_status
take_alone(struct sink *s, const struct row *r, struct weir_err *err)
{
    if (!r->before || !r->after || !row_key_changed(s, r)) {
        return touch(s, r, r->before != NULL, err);
    }
    struct row old = *r, new = *r;
    old.after = NULL;
    new.before = NULL;
    new.after = overlay(s, r->t, r->before, r->after);
    if (!row_is_whole(&new)) {
        return weir_fail(err, WEIR_REJECT, "a key changed in a row that is "
                         "not whole");
    }
    const enum weir_status st = touch(s, &old, true, err);
    return st == WEIR_OK ? touch(s, &new, false, err) : st;
}

/* ---- As statements */

static enum kind
kind_of(const struct sink *s, const struct row *r)
{
    if (!r->after) {
        return r->before ? KIND_DELETE : KIND_NOTHING;
    }
    if (!r->before) {
        return KIND_INSERT;
    }
    return r->upsert && r->t->upsert && row_is_whole(r) && !row_key_changed(s, r)
               ? KIND_INSERT
               : KIND_UPDATE;
}

/* Hits a row that is there, or adds it where that is allowed. */
static enum weir_status
put_one(struct sink *s, const struct row *r, struct weir_err *err)
{
    int64_t hits;

    if (r->upsert && r->before && (!row_is_whole(r) || row_key_changed(s, r))) {
        return weir_fail(err, WEIR_REJECT, "a row to be looked at singly");
    }
    row_update(s, r, &hits);
    enum weir_status st = script_end(s, hits, err);
    if (st == WEIR_OK && r->upsert) {
        row_insert_missing(s, r, &hits);
        st = script_end(s, hits, err);
    }
    return st;
}

/* Some of the rows, which are all inserted: bound if that goes, else as text. */
static enum weir_status
put_inserts(struct sink *s, const struct row *rows, size_t n, size_t *written,
            struct weir_err *err)
{
    int64_t hits;
    size_t  same = 1;

    while (same < n && rows_alike(&rows[0], &rows[same])) {
        same++;
    }
    *written = 0;
    if (s->gather->may_pack) {
        const enum weir_status st = rows_bulk(s, rows, same, written, err);
        if (*written > 0) {
            s->gather->packed = true;
        }
        if (st != WEIR_OK || *written > 0) {
            return st;
        }
    }
    *written = rows_insert(s, rows, same, &hits);
    return script_end(s, hits, err);
}

/* Some of the rows, which are all changed, or all deleted. */
static enum weir_status
put_changes(struct sink *s, const struct row *rows, size_t n, enum kind kind,
            bool pack, size_t *written, struct weir_err *err)
{
    enum weir_status st = WEIR_OK;
    int64_t          hits;

    *written = 0;
    if (pack) {
        st = rows_range(s, rows, n, written, err);
        if (st == WEIR_OK && *written == 0) {
            *written = rows_join(s, rows, n, &hits);
            st = *written > 0 ? script_end(s, hits, err) : WEIR_OK;
        }
        s->gather->packed = s->gather->packed || *written > 0;
    }
    if (st != WEIR_OK || *written > 0) {
        return st;
    }
    if (kind == KIND_DELETE) {
        *written = rows_delete(s, rows, n, &hits);
        return script_end(s, hits, err);
    }
    *written = 1;
    return put_one(s, rows, err);
}

/* A run of rows of one table and kind, as far as they go into statements. */
static enum weir_status
put_run(struct sink *s, const struct row *rows, size_t n, enum kind kind,
        bool alone, struct weir_err *err)
{
    const bool       pack = alone && s->gather->may_pack;
    enum weir_status st = WEIR_OK;

    for (size_t i = 0, done; st == WEIR_OK && i < n; i += done) {
        const struct row *r = &rows[i];
        const bool insert = kind == KIND_INSERT && (!r->upsert || r->t->upsert);
        st = insert ? put_inserts(s, r, n - i, &done, err)
                    : put_changes(s, r, n - i, kind,
                                  pack && kind != KIND_INSERT, &done, err);
    }
    return st;
}

static enum weir_status
put_fixed(struct sink *s, struct weir_err *err)
{
    const struct gather *g = s->gather;
    enum weir_status     st = WEIR_OK;

    for (size_t i = 0, end; st == WEIR_OK && i < g->nfixed; i = end) {
        const struct row *first = &g->fixed[i];
        const enum kind   kind = kind_of(s, first);
        for (end = i + 1; end < g->nfixed && g->fixed[end].t == first->t &&
                          kind_of(s, &g->fixed[end]) == kind;
             end++) {
        }
        st = put_run(s, first, end - i, kind, false, err);
    }
    return st;
}

static int
by_table_and_kind(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    if (x->row.t->id != y->row.t->id) {
        return x->row.t->id < y->row.t->id ? -1 : 1;
    }
    if (x->kind != y->kind) {
        return x->kind < y->kind ? -1 : 1;
    }
    if (x->number != y->number) {
        return x->number < y->number ? -1 : 1;
    }
    return x->place < y->place ? -1 : x->place > y->place;
}

static enum weir_status
put_alone(struct sink *s, struct weir_err *err)
{
    struct gather   *g = s->gather;
    enum weir_status st = WEIR_OK;

    for (size_t i = 0; i < g->n; i++) {
        struct entry *e = &g->entries[i];
        e->kind = kind_of(s, &e->row);
        e->number = row_number(&e->row);
    }
    qsort(g->entries, g->n, sizeof *g->entries, by_table_and_kind);
    for (size_t i = 0, end; st == WEIR_OK && i < g->n; i = end) {
        const struct entry *first = &g->entries[i];
        for (end = i; end < g->n && g->entries[end].kind == first->kind &&
                      g->entries[end].row.t == first->row.t;
             end++) {
            g->runs[end] = g->entries[end].row;
        }
        if (first->kind != KIND_NOTHING) {
            st = put_run(s, &g->runs[i], end - i, first->kind, true, err);
        }
    }
    return st;
}

static enum weir_status
take_all(struct sink *s, struct weir_batch *b, struct weir_err *err)
{
    struct gather   *g = s->gather;
    enum weir_status st = WEIR_OK;

    for (size_t i = 0; st == WEIR_OK && i < b->nevents; i++) {
        if (b->events[i]->op > WEIR_SNAPSHOT) {
            continue; /* a mark */
        }
        const struct row r = row_of_event(s, b, i);
        if (row_odd_enums(s, &r) > 0) {
            st = weir_fail(err, WEIR_REJECT, "a row to be written singly");
        } else if (r.t->alone) {
            st = take_alone(s, &r, err);
        } else {
            g->fixed[g->nfixed++] = r;
        }
    }
    return st == WEIR_OK && g->key.failed ? no_memory(s, err) : st;
}

enum weir_status
gather_write(struct sink *s, struct weir_batch *b, bool *packed,
             struct weir_err *err)
{
    struct gather *g = s->gather;

    g->may_pack = *packed;
    g->packed = *packed = false;
    if (!make_room(g, b->nevents)) {
        return no_memory(s, err);
    }
    enum weir_status st = take_all(s, b, err);
    if (st == WEIR_OK) {
        st = put_alone(s, err);
    }
    if (st == WEIR_OK) {
        st = put_fixed(s, err);
    }
    if (st == WEIR_OK) {
        st = script_flush(s, err);
    }
    *packed = g->packed;
    return st == WEIR_OK ? st : script_cancel(s, st, err);
}
