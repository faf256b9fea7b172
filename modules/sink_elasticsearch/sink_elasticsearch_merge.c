/*
 * sink_elasticsearch_merge.c - `action = update`: the documents of a batch are
 * read, the columns that each row brings are written into them, and they go
 * back whole, versioned as any other.  So other fields stay, a replay is as
 * harmless as with `index`, and what was not touched keeps its bytes.  (A script
 * of the Update API can't carry an external version, does its own reading of
 * numbers, and has to be allowed.)
 */
#include "sink_elasticsearch.h"

#include <stdlib.h>

enum {
    DOCS = 500,        /* of a request, */
    ANSWER = 1 << 26,  /* whose answer may have as many bytes; */
    ALONE = 1 << 28,   /* that of a single one as many */
    MINUTE = 60000000,
};

enum state { STATE_UNKNOWN, STATE_GONE, STATE_THERE };

/* A document, as it is behind the events so far. */
struct entry {
    struct names    names;
    uint64_t        hash;
    enum state      state;
    bool            wanted;  /* has to be read */
    uint64_t        version; /* as it was read; 0: not there */
    struct weir_str source;
};

struct merge {
    struct sink       *s;
    struct weir_batch *b;
    size_t             room; /* of the hash, a power of two */
    struct entry     **hash;
    struct entry     **is, **was; /* of each event; NULL: none */
    size_t             nwanted;
    struct entry     **wanted;
    /* An answer to _mget that is being read. */
    struct entry **asked;
    size_t         nasked, seen, begin;
    bool           found, failed;
    struct text    text;
};

/* ---- Documents of the batch */

static uint64_t
hash_bytes(uint64_t h, struct weir_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        h = (h ^ (unsigned char)s.data[i]) * 0x100000001b3;
    }
    return (h ^ 0xff) * 0x100000001b3;
}

static struct entry *
entry_of(struct merge *m, const struct names *names)
{
    uint64_t h = 0xcbf29ce484222325;

    h = hash_bytes(h, names->index);
    h = hash_bytes(h, names->routing);
    h = hash_bytes(h, names->id);
    for (size_t i = h & (m->room - 1);; i = (i + 1) & (m->room - 1)) {
        struct entry *e = m->hash[i];
        if (!e) {
            e = weir_alloc(m->s->in, sizeof *e);
            *e = (struct entry){ .names = *names, .hash = h };
            m->hash[i] = e;
            return e;
        }
        if (e->hash == h && text_same(e->names.id, names->id) &&
            text_same(e->names.index, names->index) &&
            text_same(e->names.routing, names->routing)) {
            return e;
        }
    }
}

static enum weir_status
find_entries(struct merge *m, size_t i, struct weir_err *err)
{
    const enum weir_op op = m->b->events[i]->op;
    struct names       names;
    enum weir_status   st = WEIR_OK;

    if (op == WEIR_INSERT || op == WEIR_SNAPSHOT || op == WEIR_UPDATE) {
        st = names_of(m->s, m->b, i, false, &names, err);
        m->is[i] = st == WEIR_OK ? entry_of(m, &names) : NULL;
    }
    if (st == WEIR_OK && (op == WEIR_DELETE || op == WEIR_UPDATE)) {
        st = names_of(m->s, m->b, i, true, &names, err);
        m->was[i] = st == WEIR_OK ? entry_of(m, &names) : NULL;
    }
    if (st != WEIR_OK) {
        m->is[i] = m->was[i] = NULL;
        return st;
    }
    if (m->is[i] && !m->is[i]->wanted) {
        m->is[i]->wanted = true;
        m->wanted[m->nwanted++] = m->is[i];
    }
    return WEIR_OK;
}

static enum weir_status
begin(struct merge *m, struct weir_err *err)
{
    const size_t     n = m->b->nevents;
    enum weir_status st = WEIR_OK;

    for (m->room = 16; m->room < 4 * n; m->room *= 2) {
    }
    m->hash = weir_alloc(m->s->in, m->room * sizeof *m->hash);
    m->is = weir_alloc(m->s->in, n * sizeof *m->is);
    m->was = weir_alloc(m->s->in, n * sizeof *m->was);
    m->wanted = weir_alloc(m->s->in, n * sizeof *m->wanted);
    memset(m->hash, 0, m->room * sizeof *m->hash);
    for (size_t i = 0; st == WEIR_OK && i < n; i++) {
        m->is[i] = m->was[i] = NULL;
        st = find_entries(m, i, err);
        if (st == WEIR_REJECT) {
            bulk_refuse(m->s, i, st, err->text);
            st = WEIR_OK;
        }
    }
    return st;
}

/* ---- Reading them */

static struct weir_str
copied(struct merge *m, const char *data, size_t len)
{
    char *copy = weir_alloc(m->s->in, len + 1);

    memcpy(copy, data, len);
    return (struct weir_str){ copy, len };
}

/* {"docs":[{"_id":"1","_version":7,"found":true,"_source":{...}}, ... */
static void
told_docs(void *arg, const struct json_way *way, enum json_kind kind,
          struct weir_str text)
{
    struct merge *m = arg;

    if (way->depth < 2 || !json_is(way, 1, "docs") || m->seen >= m->nasked) {
        return;
    }
    struct entry *e = m->asked[m->seen];
    if (way->depth == 2 && kind == JSON_BEGIN) {
        m->found = false;
        e->state = STATE_GONE;
    } else if (way->depth == 2 && kind == JSON_END) {
        m->failed |= m->found && e->state != STATE_THERE;
        m->seen++;
    } else if (way->depth == 3 && json_is(way, 3, "found")) {
        m->found = text.len == 4;
    } else if (way->depth == 3 && json_is(way, 3, "_version")) {
        char digits[24] = "";
        memcpy(digits, text.data, text.len < 23 ? text.len : 23);
        e->version = strtoull(digits, NULL, 10);
    } else if (way->depth == 3 && json_is(way, 3, "_source")) {
        if (kind == JSON_BEGIN) {
            m->begin = way->offset - 1;
        } else if (kind == JSON_END) {
            e->source = copied(m, m->s->http.reply.data + m->begin,
                               way->offset - m->begin);
            e->state = STATE_THERE;
        }
    } else if (way->depth == 4 && json_is(way, 3, "error") &&
               json_is(way, 4, "type")) {
        m->failed |= !text_same(
            text, (struct weir_str){ "index_not_found_exception", 25 });
    }
}

static void
name_docs(struct merge *m)
{
    struct text *t = &m->text;

    t->len = 0;
    text_put(t, "{\"docs\":[");
    for (size_t i = 0; i < m->nasked; i++) {
        const struct names *n = &m->asked[i]->names;
        text_put(t, i ? ",{\"_index\":" : "{\"_index\":");
        text_quoted(t, n->index);
        text_put(t, ",\"_id\":");
        text_quoted(t, n->id);
        if (n->routing.len) {
            text_put(t, ",\"routing\":");
            text_quoted(t, n->routing);
        }
        text_put(t, "}");
    }
    text_put(t, "]}");
}

static enum weir_status
read_docs(struct merge *m, struct weir_err *err)
{
    struct sink *s = m->s;
    long         code;

    name_docs(m);
    if (m->text.failed) {
        return weir_fail(err, WEIR_RETRY, "_mget of %zu documents: no memory",
                         m->nasked);
    }
    const struct request r = {
        .method = "POST",
        .path = "/_mget",
        .body = text_view(&m->text),
        .reply_most = m->nasked > 1 ? ANSWER : ALONE,
    };
    enum weir_status st = http_ask(&s->http, &r, &code, err);
    if (st == WEIR_OK && code != 200) {
        st = server_refused(s, code, "_mget", err);
        return st == WEIR_REJECT ? WEIR_FATAL : st;
    }
    if (st != WEIR_OK) {
        return st;
    }
    m->seen = 0;
    m->failed = false;
    if (!json_read(text_view(&s->http.reply), told_docs, m) || m->failed ||
        m->seen != m->nasked) {
        return weir_fail(err, WEIR_RETRY, "%s: _mget: %zu of %zu documents "
                         "could be read (_source has to be kept)",
                         http_where(&s->http), m->seen, m->nasked);
    }
    return WEIR_OK;
}

/* Half as many at once where the documents are large. */
static enum weir_status
read_all(struct merge *m, struct weir_err *err)
{
    enum weir_status st = WEIR_OK;
    size_t           most = DOCS;

    for (size_t i = 0; st == WEIR_OK && i < m->nwanted;) {
        m->asked = m->wanted + i;
        m->nasked = m->nwanted - i < most ? m->nwanted - i : most;
        st = read_docs(m, err);
        if (st == WEIR_RETRY && m->s->http.too_long && m->nasked > 1) {
            most = m->nasked / 2;
            st = WEIR_OK;
            continue;
        }
        i += m->nasked;
    }
    return st;
}

/* ---- Writing into them */

static bool
value_of(struct weir_str object, struct weir_str key, struct weir_str *value)
{
    struct weir_str k;

    for (size_t at = 0; json_member(object, &at, &k, value);) {
        if (text_same(k, key)) {
            return true;
        }
    }
    return false;
}

static void
add_member(struct text *t, struct weir_str key, struct weir_str value)
{
    text_put(t, t->len > 1 ? "," : "");
    text_add(t, key.data, key.len);
    text_put(t, ":");
    text_add(t, value.data, value.len);
}

/* `old` with the members of `row` in their place. */
static struct weir_str
merged(struct merge *m, struct weir_str old, struct weir_str row)
{
    const struct weir_str seq = { "\"weir_seq\"", 10 };
    struct text          *t = &m->text;
    struct weir_str       key, value, other;

    t->len = 0;
    text_put(t, "{");
    for (size_t at = 0; json_member(old, &at, &key, &value);) {
        if (m->s->conf->weir_seq && text_same(key, seq)) {
            continue; /* added anew */
        }
        add_member(t, key, value_of(row, key, &other) ? other : value);
    }
    for (size_t at = 0; json_member(row, &at, &key, &value);) {
        if (!value_of(old, key, &other)) {
            add_member(t, key, value);
        }
    }
    text_put(t, "}");
    return t->failed ? (struct weir_str){ "", 0 } : copied(m, t->data, t->len);
}

/* A document is never made of a part of a row.  It is not there in a replay, as
 * it will be deleted further on; or it never was. */
static void
say_missing(struct sink *s, const struct weir_event *ev)
{
    const int64_t now = now_usec();

    weir_count(s->in, "missing", 1);
    s->missing++;
    if (now - s->missing_said < MINUTE) {
        return;
    }
    weir_log(s->in, WEIR_WARN, "%llu changes of parts of rows found no "
             "document to write them into, the last one of %.*s.%.*s; rows "
             "that were not copied before have none",
             (unsigned long long)s->missing, (int)ev->table->schema.len,
             ev->table->schema.data, (int)ev->table->name.len,
             ev->table->name.data);
    s->missing_said = now;
    s->missing = 0;
}

static enum weir_status
write_row(struct merge *m, size_t i, struct weir_err *err)
{
    const struct weir_event *ev = m->b->events[i];
    struct entry            *e = m->is[i];
    const bool               whole = is_whole(ev);
    const bool               moved = m->was[i] && m->was[i] != e;
    struct weir_str          row;

    if (moved && !whole) {
        return weir_fail(err, WEIR_REJECT, "the document of a row moved, and "
                         "the row image doesn't have all its columns; set "
                         "binlog_row_image=FULL on the source");
    }
    if (e->state != STATE_THERE && !whole) {
        say_missing(m->s, ev);
        return WEIR_OK;
    }
    const enum weir_status st = document_of(m->s, m->b, i, &e->names, &row,
                                            err);
    if (st != WEIR_OK) {
        return st;
    }
    e->source = e->state == STATE_THERE ? merged(m, e->source, row) : row;
    e->state = STATE_THERE;
    if (m->text.failed) {
        return weir_fail(err, WEIR_RETRY, "a document: no memory");
    }
    bulk_index(m->s, i, &e->names, ev->seq, e->source);
    return WEIR_OK;
}

static enum weir_status
write_event(struct merge *m, size_t i, struct weir_err *err)
{
    const struct weir_event *ev = m->b->events[i];
    enum weir_status         st = WEIR_OK;

    if (m->is[i] && m->is[i]->version >= ev->seq) {
        st = bulk_older(m->s, ev, m->is[i]->version, err);
    } else if (m->is[i]) {
        st = write_row(m, i, err);
    }
    if (st == WEIR_OK && m->was[i] && m->was[i] != m->is[i]) {
        bulk_leave(m->s, i, &m->was[i]->names, ev->seq);
        if (m->was[i]->version < ev->seq) {
            m->was[i]->state = STATE_GONE;
        }
    }
    return st;
}

enum weir_status
merge_events(struct sink *s, struct weir_batch *b, struct weir_err *err)
{
    struct merge     m = { .s = s, .b = b };
    enum weir_status st = begin(&m, err);

    if (st == WEIR_OK) {
        st = read_all(&m, err);
    }
    for (size_t i = 0; st == WEIR_OK && i < b->nevents; i++) {
        st = write_event(&m, i, err);
        if (st == WEIR_REJECT) {
            bulk_refuse(s, i, st, err->text);
            st = WEIR_OK;
        }
    }
    text_free(&m.text);
    return st;
}
