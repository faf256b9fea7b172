/*
 * sink_elasticsearch_sweep.c - TRUNCATE, and the end of a snapshot: each document
 * of a table's indices that is older than a version is deleted at that version.
 * (_delete_by_query knows no external versions: done once more after a crash,
 * it would delete what came since, and leave a version that refuses it for
 * good.)
 */
#include "sink_elasticsearch.h"

#include <stdlib.h>
#include <time.h>

/* A call of write() may not take for ever; the server asks again. */
enum { MAX_SECONDS = 30, GLOB = 1024, ANSWER = 1 << 24 };

struct sweep {
    struct sink *s;
    uint64_t     below;
    struct text  path, scroll;
    struct text  query; /* all documents, or those of a join's name */
    struct text  id, index, routing; /* of the hit that is being read */
    uint64_t     version;
    size_t       hits;
    bool         has_hits; /* the answer is one to a search */
    bool         broken; /* shards failed: not all were looked at */
};

static void
set(struct text *t, struct weir_str s)
{
    t->len = 0;
    text_add(t, s.data, s.len);
}

static void
add_hit(struct sweep *w)
{
    const struct names names = {
        .index = text_view(&w->index),
        .id = text_view(&w->id),
        .routing = text_view(&w->routing),
    };

    w->hits++;
    if (w->version < w->below) {
        bulk_delete(w->s, 0, &names, w->below);
    }
}

/* {"_scroll_id":"...","hits":{"hits":[{"_index":"a","_id":"1","_version":7 */
static void
told_hits(void *arg, const struct json_way *way, enum json_kind kind,
          struct weir_str text)
{
    struct sweep *w = arg;

    if (way->depth == 1 && json_is(way, 1, "_scroll_id")) {
        set(&w->scroll, text);
    } else if (way->depth == 2 && json_is(way, 2, "hits") &&
               kind == JSON_BEGIN) {
        w->has_hits = true;
    } else if (way->depth == 2 && json_is(way, 1, "_shards") &&
               json_is(way, 2, "failed")) {
        w->broken |= !text_same(text, (struct weir_str){ "0", 1 });
    } else if (way->depth == 3 && json_is(way, 2, "hits") &&
               kind == JSON_BEGIN) {
        w->id.len = w->index.len = w->routing.len = 0;
        w->version = 0;
    } else if (way->depth == 3 && json_is(way, 2, "hits") &&
               kind == JSON_END) {
        add_hit(w);
    } else if (way->depth == 4 && json_is(way, 2, "hits")) {
        if (json_is(way, 4, "_index")) {
            set(&w->index, text);
        } else if (json_is(way, 4, "_id")) {
            set(&w->id, text);
        } else if (json_is(way, 4, "_routing")) {
            set(&w->routing, text);
        } else if (json_is(way, 4, "_version")) {
            char digits[24] = "";
            memcpy(digits, text.data, text.len < 23 ? text.len : 23);
            w->version = strtoull(digits, NULL, 10);
        }
    }
}

static enum weir_status
ask(struct sweep *w, const char *method, const char *path,
    struct weir_str body, const char *what, struct weir_err *err)
{
    const struct request r = {
        .method = method, .path = path, .body = body, .reply_most = ANSWER
    };
    long code;

    const enum weir_status st = http_ask(&w->s->http, &r, &code, err);
    if (st != WEIR_OK || code == 200) {
        return st;
    }
    return server_refused(w->s, code, what, err);
}

/* "/name/_search": what an index may be called needs no escaping but for
 * characters that aren't ASCII. */
static void
make_path(struct text *t, struct weir_str index, const char *behind)
{
    static const char hex[] = "0123456789ABCDEF";

    t->len = 0;
    text_put(t, "/");
    for (size_t i = 0; i < index.len; i++) {
        const unsigned char c = (unsigned char)index.data[i];
        const char          code[] = { '%', hex[c >> 4], hex[c & 15] };
        const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                           c == '-' || c == '_' || c == '.' || c == '*';
        text_add(t, plain ? (const char *)&c : code, plain ? 1 : 3);
    }
    text_add(t, behind, strlen(behind) + 1);
}

/* The next of what is there, as items of the bulk. */
static enum weir_status
next_hits(struct sweep *w, bool first, struct weir_err *err)
{
    struct text      body = { 0 };
    enum weir_status st;

    if (first) {
        st = ask(w, "POST", w->path.data, text_view(&w->query), "_search",
                 err);
    } else {
        text_put(&body, "{\"scroll\":\"2m\",\"scroll_id\":");
        text_quoted(&body, text_view(&w->scroll));
        text_put(&body, "}");
        st = body.failed ? weir_fail(err, WEIR_RETRY, "a scroll: no memory")
                         : ask(w, "POST", "/_search/scroll", text_view(&body),
                               "_search/scroll", err);
    }
    text_free(&body);
    w->hits = 0;
    w->has_hits = false;
    if (st == WEIR_OK &&
        (!json_read(text_view(&w->s->http.reply), told_hits, w) ||
         !w->has_hits || w->broken || w->id.failed || w->scroll.failed)) {
        st = weir_fail(err, WEIR_RETRY, "%s: _search of all documents: not all "
                       "shards answered", http_where(&w->s->http));
    }
    return st;
}

static void
end_scroll(struct sweep *w)
{
    struct text     body = { 0 };
    struct weir_err ignored;

    text_put(&body, "{\"scroll_id\":");
    text_quoted(&body, text_view(&w->scroll));
    text_put(&body, "}");
    if (w->scroll.len > 0 && !body.failed) {
        ask(w, "DELETE", "/_search/scroll", text_view(&body), "_search/scroll",
            &ignored);
    }
    text_free(&body);
}

/* Where tables share an index by a join field, only the documents of one. */
static void
make_query(struct sweep *w, const struct weir_table *table)
{
    const struct elastic_conf *c = w->s->conf;
    struct text               *t = &w->query;
    char                       name[GLOB];

    text_put(t, "{\"sort\":[\"_doc\"]");
    if (c->join) {
        text_put(t, ",\"query\":{\"term\":{");
        text_quoted(t, (struct weir_str){ c->join_field,
                                          strlen(c->join_field) });
        text_put(t, ":");
        text_quoted(t, join_name(w->s, table, name, sizeof name));
        text_put(t, "}}");
    }
    text_put(t, "}");
}

static enum weir_status
sweep(struct sweep *w, struct weir_batch *b, struct weir_err *err)
{
    const time_t     until = time(NULL) + MAX_SECONDS;
    enum weir_status st = WEIR_OK;

    for (bool first = true; st == WEIR_OK; first = false) {
        st = bulk_begin(w->s, b, err);
        if (st == WEIR_OK) {
            st = next_hits(w, first, err);
        }
        if (st != WEIR_OK || w->hits == 0) {
            return st;
        }
        st = bulk_send(w->s, b, err);
        if (st == WEIR_OK && w->s->bulk.fates[0].status != WEIR_OK) {
            return WEIR_OK; /* its verdict says the rest */
        }
        if (st == WEIR_OK && time(NULL) > until) {
            st = weir_fail(err, WEIR_RETRY, "%s: emptying indices takes long, "
                           "and goes on", http_where(&w->s->http));
        }
    }
    return st;
}

/* Whether an index is this table's alone, as far as its name says: made of
 * {database} and {table}, and of no column, which could bring a part of another
 * table's name. */
static enum weir_status
may_sweep(struct sink *s, const struct weir_event *ev, struct weir_str index,
          bool varies, struct weir_err *err)
{
    const struct weir_str schema = ev->table->schema, table = ev->table->name;
    char                  bare[GLOB];
    size_t                ignored;
    const size_t n = weir_template_glob(s->conf->index, NULL, bare, sizeof bare,
                                        &ignored);
    const bool named =
        n <= sizeof bare && memchr(bare, '?', n) &&
        text_has(index, schema) && text_has(index, table);

    if (s->conf->truncate == TRUNCATE_ALL || (named && !varies)) {
        return WEIR_OK;
    }
    return weir_fail(err, WEIR_REJECT, "%s of %.*s.%.*s: its index may hold "
                     "other tables too, so nothing was deleted; say truncate = "
                     "all if it holds no others, or truncate = ignore",
                     ev->op == WEIR_TRUNCATE ? "TRUNCATE" : "a snapshot",
                     (int)schema.len, schema.data, (int)table.len, table.data);
}

enum weir_status
sweep_table(struct sink *s, struct weir_batch *b, uint64_t below,
            struct weir_err *err)
{
    const struct weir_event *ev = b->events[0];
    struct sweep             w = { .s = s, .below = below };
    char                     glob[GLOB];
    size_t                   literal = 0;
    const size_t             len = weir_template_glob(s->conf->index, ev->table,
                                                      glob, sizeof glob, &literal);
    const struct weir_str    index = { glob, len };

    if (len > sizeof glob || literal == 0 || memchr(glob, '\\', len)) {
        return weir_fail(err, WEIR_REJECT, "index: it stands for too much to "
                         "be emptied; say truncate = ignore");
    }
    enum weir_status st = may_sweep(s, ev, index, literal < len, err);
    if (st != WEIR_OK) {
        return st;
    }
    make_query(&w, ev->table);
    make_path(&w.path, index, "/_refresh?ignore_unavailable=true");
    st = w.path.failed || w.query.failed
             ? weir_fail(err, WEIR_RETRY, "the path of an index: no memory")
             : ask(&w, "POST", w.path.data, (struct weir_str){ "", 0 },
                   "_refresh", err);
    if (st == WEIR_OK) {
        make_path(&w.path, index, "/_search?scroll=2m&size=2000&version=true"
                  "&_source=false&ignore_unavailable=true"
                  "&allow_partial_search_results=false");
        st = sweep(&w, b, err);
        end_scroll(&w);
    }
    text_free(&w.path);
    text_free(&w.query);
    text_free(&w.scroll);
    text_free(&w.id);
    text_free(&w.index);
    text_free(&w.routing);
    return st;
}
