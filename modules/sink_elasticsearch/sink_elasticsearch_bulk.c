/*
 * sink_elasticsearch_bulk.c - see sink_elasticsearch_bulk.h.  Each item carries
 * the row's seq as external version: in whatever order and how often items
 * arrive, the latest stays.
 */
#include "sink_elasticsearch.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    LEAST = 16384,   /* a request's limit never falls below */
    ANSWER = 65536,  /* an answer may have, */
    ANSWER_ITEM = 4096, /* and for each item */
    BIG = 1 << 20,   /* a request that a server may not have wanted to read */
    FELLOWS = 1 << 20, /* versions that others who write fields may have added:
                          each of their changes is one more */
};

void
bulk_free(struct bulk *bulk)
{
    text_free(&bulk->body);
    free(bulk->items);
    free(bulk->fates);
    *bulk = (struct bulk){ 0 };
}

/* ---- Filling */

enum weir_status
bulk_begin(struct sink *s, struct weir_batch *b, struct weir_err *err)
{
    struct bulk *bulk = &s->bulk;

    if (bulk->fates_room < b->nevents) {
        struct fate *more = realloc(bulk->fates, b->nevents * sizeof *more);
        if (!more) {
            return weir_fail(err, WEIR_RETRY, "batch of %zu events: no memory",
                             b->nevents);
        }
        bulk->fates = more;
        bulk->fates_room = b->nevents;
    }
    if (b->nevents > 0) {
        memset(bulk->fates, 0, b->nevents * sizeof *bulk->fates);
    }
    if (bulk->limit == 0) {
        bulk->limit = (size_t)s->conf->request;
    }
    bulk->nitems = bulk->ndone = 0;
    bulk->body.len = 0;
    bulk->body.failed = false;
    return WEIR_OK;
}

static void
add_name(struct text *t, const char *before, struct weir_str name)
{
    if (name.len > 0) {
        text_put(t, before);
        text_quoted(t, name);
    }
}

static struct item *
new_item(struct sink *s, size_t event, const struct names *names,
         const char *action, uint64_t version, const char *version_type)
{
    struct bulk *bulk = &s->bulk;
    struct text *t = &bulk->body;

    if (bulk->nitems == bulk->room) {
        const size_t room = bulk->room ? bulk->room * 2 : 1024;
        struct item *more = realloc(bulk->items, room * sizeof *more);
        if (!more) {
            t->failed = true;
            return NULL;
        }
        bulk->items = more;
        bulk->room = room;
    }
    struct item *item = &bulk->items[bulk->nitems++];
    *item = (struct item){
        .event = (uint32_t)event, .from = t->len, .version = version
    };
    text_put(t, action);
    add_name(t, "\"_index\":", names->index);
    add_name(t, ",\"_id\":", names->id);
    add_name(t, ",\"routing\":", names->routing);
    text_put(t, ",\"version\":");
    text_u64(t, version);
    text_put(t, ",\"version_type\":\"");
    text_put(t, version_type);
    text_put(t, "\"");
    return item;
}

void
bulk_index(struct sink *s, size_t event, const struct names *names,
           uint64_t version, struct weir_str document)
{
    struct text *t = &s->bulk.body;
    struct item *item =
        new_item(s, event, names, "{\"index\":{", version, "external");

    if (!item) {
        return;
    }
    add_name(t, ",\"pipeline\":", names->pipeline);
    text_put(t, "}}\n");
    if (!s->conf->weir_seq || document.len < 2) {
        text_add(t, document.data, document.len);
    } else {
        text_add(t, document.data, document.len - 1);
        text_put(t, document.len > 2 ? ",\"weir_seq\":" : "\"weir_seq\":");
        text_u64(t, version);
        text_put(t, "}");
    }
    text_put(t, "\n");
    item->end = t->len;
}

static void
add_delete(struct sink *s, size_t event, const struct names *names,
           uint64_t version, const char *version_type)
{
    struct item *item = new_item(s, event, names, "{\"delete\":{", version,
                                 version_type);

    if (item) {
        text_put(&s->bulk.body, "}}\n");
        item->is_delete = true;
        item->end = s->bulk.body.len;
    }
}

void
bulk_delete(struct sink *s, size_t event, const struct names *names,
            uint64_t version)
{
    add_delete(s, event, names, version, "external");
}

void
bulk_leave(struct sink *s, size_t event, const struct names *names,
           uint64_t version)
{
    add_delete(s, event, names, version - 1, "external_gte");
}

void
bulk_refuse(struct sink *s, size_t event, enum weir_status why,
            const char *reason)
{
    struct fate *fate = &s->bulk.fates[event];

    /* What may work later goes before what will not: it is asked again. */
    if (fate->status == WEIR_RETRY ||
        (fate->status == WEIR_REJECT && why == WEIR_REJECT)) {
        return;
    }
    const size_t len = strlen(reason);
    char        *copy = weir_alloc(s->in, len + 1);
    memcpy(copy, reason, len + 1);
    *fate = (struct fate){ why, copy };
}

/* ---- What became of an item */

struct answer {
    struct sink       *s;
    struct weir_batch *b;
    size_t             from, to; /* items of the request */
    size_t             seen;     /* of them, answered */
    long               status;
    char               type[64], reason[320];
    enum weir_status   result; /* of the whole: OK, FATAL */
    struct weir_err   *err;
};

static void
copy_text(char *out, size_t room, struct weir_str text)
{
    const size_t n = text.len < room ? text.len : room - 1;

    memcpy(out, text.data, n);
    out[n] = '\0';
}

/* The version that the server has: "[7]: version conflict, current version [20]
 * is higher or equal to the one provided [15]" (7 to 9, OpenSearch 1 to 3). */
static uint64_t
current_version(const char *reason)
{
    static const char words[] = "current version [";
    const char       *at = strstr(reason, words);

    return at ? strtoull(at + sizeof words - 1, NULL, 10) : 0;
}

enum weir_status
bulk_older(struct sink *s, const struct weir_event *ev, uint64_t there,
           struct weir_err *err)
{
    const uint64_t slack = s->conf->action == ACTION_UPDATE ? FELLOWS : 0;

    s->bulk.older++;
    if (there <= s->largest + slack || !ev->txn ||
        ev->txn->received_usec <= s->opened_usec) {
        return WEIR_OK;
    }
    return weir_fail(
        err, WEIR_FATAL,
        "%s: a document of %.*s.%.*s has version %llu, and the newest that was "
        "sent is %llu: another Weir writes there, or wrote while the clock was "
        "ahead of now; write to a new index, or remove those documents",
        http_where(&s->http), (int)ev->table->schema.len,
        ev->table->schema.data, (int)ev->table->name.len, ev->table->name.data,
        (unsigned long long)there, (unsigned long long)s->largest);
}

/* The number of open shards is the cluster's, not the row's. */
static bool
is_shard_limit(const struct answer *a)
{
    return strcmp(a->type, "validation_exception") == 0 &&
           strstr(a->reason, "maximum") && strstr(a->reason, "shards open");
}

/* RETRY, REJECT or FATAL of an item that has an error. */
static enum weir_status
item_meaning(const struct answer *a)
{
    if (a->status == 429 || a->status >= 500 || is_shard_limit(a) ||
        strcmp(a->type, "cluster_block_exception") == 0) {
        return WEIR_RETRY;
    }
    if (a->status == 401 || a->status == 403 ||
        strcmp(a->type, "index_not_found_exception") == 0) {
        return WEIR_FATAL;
    }
    return WEIR_REJECT;
}

/* What is shown of the value has no place in a log. */
static void
hide_value(char *reason)
{
    static const char *const shown[] = {
        " Preview of field's value", " The prefix of the first immense term"
    };

    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        char *at = strstr(reason, shown[i]);
        if (at) {
            *at = '\0';
        }
    }
}

static void
item_done(struct answer *a)
{
    struct sink       *s = a->s;
    const struct item *item = &s->bulk.items[a->from + a->seen++];
    char               reason[480];

    if ((a->status >= 200 && a->status < 300) ||
        (a->status == 404 && item->is_delete && !a->type[0])) {
        return;
    }
    if (a->status == 409 && strstr(a->type, "version_conflict")) {
        const enum weir_status met =
            bulk_older(s, a->b->events[item->event],
                       current_version(a->reason), a->err);
        a->result = met == WEIR_OK ? a->result : met;
        return;
    }
    hide_value(a->reason);
    const enum weir_status st = item_meaning(a);
    snprintf(reason, sizeof reason, "%s: %ld %s: %s", http_where(&s->http),
             a->status, a->type, a->reason);
    if (st == WEIR_FATAL) {
        a->result = weir_fail(a->err, st, "%s", reason);
        return;
    }
    s->bulk.throttled += a->status == 429 || a->status == 503;
    bulk_refuse(s, item->event, st, reason);
}

/* {"errors":true,"items":[{"index":{"status":400,"error":{"type":"..."...
 */
static void
told_answer(void *arg, const struct json_way *way, enum json_kind kind,
            struct weir_str text)
{
    struct answer *a = arg;

    if (way->depth < 2 || !json_is(way, 1, "items") || !way->at[2].is_array) {
        return;
    }
    if (way->depth == 2 && kind == JSON_BEGIN) {
        a->status = 0;
        a->type[0] = a->reason[0] = '\0';
    } else if (way->depth == 2 && kind == JSON_END) {
        if (a->from + a->seen < a->to && a->status != 0) {
            item_done(a);
        }
    } else if (way->depth == 4 && kind == JSON_NUMBER &&
               json_is(way, 4, "status") && text.len < 8) {
        char digits[8] = "";
        memcpy(digits, text.data, text.len);
        a->status = strtol(digits, NULL, 10);
    } else if (way->depth == 5 && kind == JSON_TEXT &&
               json_is(way, 4, "error")) {
        if (json_is(way, 5, "type")) {
            copy_text(a->type, sizeof a->type, text);
        } else if (json_is(way, 5, "reason")) {
            copy_text(a->reason, sizeof a->reason, text);
        }
    }
}

/* ---- Sending */

static void
slow_down(struct bulk *bulk, size_t sent)
{
    const size_t half = (sent < bulk->limit ? sent : bulk->limit) / 2;

    bulk->limit = half > LEAST ? half : LEAST;
}

static void
speed_up(struct sink *s)
{
    const size_t most = (size_t)s->conf->request;

    s->bulk.limit += most / 16;
    if (s->bulk.limit > most) {
        s->bulk.limit = most;
    }
}

static enum weir_status
read_answer(struct sink *s, struct weir_batch *b, size_t from, size_t to,
            struct weir_err *err)
{
    struct answer  a = { .s = s, .b = b, .from = from, .to = to, .err = err };
    const uint64_t throttled = s->bulk.throttled;
    const bool     whole =
        json_read(text_view(&s->http.reply), told_answer, &a);

    if (a.result != WEIR_OK) {
        return a.result;
    }
    if (!whole || a.seen != to - from) {
        return weir_fail(err, WEIR_RETRY, "%s: _bulk: half an answer: %zu of "
                         "%zu items", http_where(&s->http), a.seen, to - from);
    }
    s->bulk.ndone = to;
    if (s->bulk.throttled > throttled) {
        slow_down(&s->bulk,
                  s->bulk.items[to - 1].end - s->bulk.items[from].from);
    } else {
        speed_up(s);
    }
    return WEIR_OK;
}

static enum weir_status
post(struct sink *s, size_t from, size_t to, long *code, struct weir_err *err)
{
    static const char *const paths[] = {
        [REFRESH_OFF] = "/_bulk?filter_path=error,items.*.status,"
                        "items.*.error.type,items.*.error.reason",
        [REFRESH_WAIT] = "/_bulk?refresh=wait_for&filter_path=error,"
                         "items.*.status,items.*.error.type,"
                         "items.*.error.reason",
        [REFRESH_ON] = "/_bulk?refresh=true&filter_path=error,items.*.status,"
                       "items.*.error.type,items.*.error.reason",
    };
    struct bulk         *bulk = &s->bulk;
    const size_t         begin = bulk->items[from].from;
    const size_t         len = bulk->items[to - 1].end - begin;
    const struct request r = {
        .method = "POST",
        .path = paths[s->conf->refresh],
        .body = { bulk->body.data + begin, len },
        .reply_most = ANSWER + ANSWER_ITEM * (to - from),
    };

    enum weir_status st = http_ask(&s->http, &r, code, err);
    if (st == WEIR_RETRY && len > BIG) {
        slow_down(bulk, len); /* it may have hung up on what is too large */
    }
    if (st == WEIR_OK && *code == 401 && http_new_secret(&s->http)) {
        st = http_ask(&s->http, &r, code, err);
    }
    weir_count(s->in, "requests", 1);
    weir_count(s->in, "bytes_sent", len);
    return st;
}

/* REJECT: not in this form; in parts, maybe. */
static enum weir_status
send_range(struct sink *s, struct weir_batch *b, size_t from, size_t to,
           struct weir_err *err)
{
    struct bulk *bulk = &s->bulk;
    const size_t len = bulk->items[to - 1].end - bulk->items[from].from;
    long         code = 0;

    enum weir_status st = post(s, from, to, &code, err);
    if (st != WEIR_OK) {
        return st;
    }
    if (code == 200) {
        return read_answer(s, b, from, to, err);
    }
    st = server_refused(s, code, "_bulk", err);
    if (code == 413) {
        slow_down(bulk, len);
        st = WEIR_REJECT;
    } else if (code == 429 || code == 503) {
        slow_down(bulk, len);
        bulk->throttled++;
    }
    return st;
}

/* Where one item makes the server refuse a whole request (an id that is too
 * long, a body that is too large), halves are sent until it stands alone. */
static enum weir_status
send_parts(struct sink *s, struct weir_batch *b, size_t from, size_t to,
           struct weir_err *err)
{
    enum weir_status st = send_range(s, b, from, to, err);

    if (st != WEIR_REJECT) {
        return st;
    }
    if (to - from == 1) {
        bulk_refuse(s, s->bulk.items[from].event, WEIR_REJECT, err->text);
        s->bulk.ndone = to;
        return WEIR_OK;
    }
    const size_t middle = from + (to - from) / 2;
    st = send_parts(s, b, from, middle, err);
    return st == WEIR_OK ? send_parts(s, b, middle, to, err) : st;
}

static void
give_verdicts(struct sink *s, struct weir_batch *b)
{
    for (size_t i = 0; i < b->nevents; i++) {
        const struct fate *fate = &s->bulk.fates[i];
        if (fate->status != WEIR_OK) {
            weir_verdict(b, i, fate->status, "%s", fate->reason);
        }
    }
}

static void
count(struct sink *s, size_t nitems)
{
    weir_count(s->in, "documents", nitems);
    weir_count(s->in, "older", s->bulk.older);
    weir_count(s->in, "throttled", s->bulk.throttled);
    s->bulk.older = s->bulk.throttled = 0;
}

enum weir_status
bulk_send(struct sink *s, struct weir_batch *b, struct weir_err *err)
{
    struct bulk     *bulk = &s->bulk;
    enum weir_status st = WEIR_OK;

    if (bulk->body.failed) {
        text_free(&bulk->body);
        return weir_fail(err, WEIR_RETRY, "batch of %zu events: no memory",
                         b->nevents);
    }
    for (size_t from = 0; st == WEIR_OK && from < bulk->nitems;) {
        size_t to = from + 1;
        while (to < bulk->nitems &&
               bulk->items[to].end - bulk->items[from].from <= bulk->limit) {
            to++;
        }
        st = send_parts(s, b, from, to, err);
        from = to;
    }
    count(s, bulk->ndone);
    /* What was answered before it went wrong is done: else a server that cuts
     * every tenth request would never see the end of a batch of ten. */
    if (st == WEIR_RETRY && bulk->ndone > 0) {
        for (size_t i = bulk->ndone; i < bulk->nitems; i++) {
            bulk_refuse(s, bulk->items[i].event, WEIR_RETRY, err->text);
        }
        st = WEIR_OK;
    }
    if (st == WEIR_OK) {
        give_verdicts(s, b);
    }
    return st;
}
