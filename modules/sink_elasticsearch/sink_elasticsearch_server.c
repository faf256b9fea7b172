/*
 * sink_elasticsearch_server.c - who it is that answers, and what it means when
 * a whole request is refused.
 */
#include "sink_elasticsearch.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { ANSWER = 1 << 20 };

/* ---- Refusals */

struct refusal {
    char type[64], reason[200], cause[160]; /* the innermost */
};

static void
copy(char *out, size_t room, struct weir_str text)
{
    snprintf(out, room, "%.*s", (int)(text.len < room ? text.len : room - 1),
             text.data);
}

static void
told_refusal(void *arg, const struct json_way *way, enum json_kind kind,
             struct weir_str text)
{
    struct refusal *r = arg;

    if (kind != JSON_TEXT || !json_is(way, 1, "error")) {
        return;
    }
    if (way->depth == 1) {
        copy(r->reason, sizeof r->reason, text);
    } else if (way->depth == 2 && json_is(way, 2, "type")) {
        copy(r->type, sizeof r->type, text);
    } else if (way->depth == 2 && json_is(way, 2, "reason")) {
        copy(r->reason, sizeof r->reason, text);
    } else if (way->depth > 2 && json_is(way, 2, "caused_by") &&
               json_is(way, way->depth, "reason")) {
        copy(r->cause, sizeof r->cause, text);
    }
}

/* What is no JSON: a proxy's page, maybe.  Its first line. */
static void
plain_reason(struct weir_str reply, struct refusal *r)
{
    size_t n = 0;

    while (n < reply.len && n < 120 && reply.data[n] >= ' ') {
        n++;
    }
    copy(r->reason, sizeof r->reason, (struct weir_str){ reply.data, n });
}

static enum weir_status
meaning(long code, const struct refusal *r)
{
    if (code == 408 || code == 429 || code >= 500) {
        return WEIR_RETRY;
    }
    /* An index that is blocked for writing, a disk that is full. */
    if (strcmp(r->type, "cluster_block_exception") == 0) {
        return WEIR_RETRY;
    }
    return code == 400 ? WEIR_REJECT : WEIR_FATAL;
}

enum weir_status
server_refused(struct sink *s, long code, const char *what,
               struct weir_err *err)
{
    struct refusal r = { "", "", "" };
    const char    *todo = code == 401 || code == 403
                              ? "; see user, api_key_file and the rights that "
                                "the README lists"
                              : "";

    if (!json_read(text_view(&s->http.reply), told_refusal, &r)) {
        plain_reason(text_view(&s->http.reply), &r);
    }
    const enum weir_status st = meaning(code, &r);
    weir_fail(err, st, "%s: %s: HTTP %ld%s%s%s%s%s%s%s", http_where(&s->http),
              what, code, r.type[0] ? " " : "", r.type,
              r.reason[0] ? ": " : "", r.reason, r.cause[0] ? ": " : "",
              r.cause, todo);
    if (code == 502 || code == 503 || code == 504) {
        http_turn(&s->http);
    }
    return st;
}

/* ---- Who it is */

struct greeting {
    char number[32], distribution[32], tagline[64];
};

static void
told_greeting(void *arg, const struct json_way *way, enum json_kind kind,
              struct weir_str text)
{
    struct greeting *g = arg;

    if (kind != JSON_TEXT) {
        return;
    }
    if (way->depth == 2 && json_is(way, 1, "version")) {
        if (json_is(way, 2, "number")) {
            copy(g->number, sizeof g->number, text);
        } else if (json_is(way, 2, "distribution")) {
            copy(g->distribution, sizeof g->distribution, text);
        }
    } else if (way->depth == 1 && json_is(way, 1, "tagline")) {
        copy(g->tagline, sizeof g->tagline, text);
    }
}

/* {"nodes":{"ID":{"version":"8.19.4"}}} */
static void
told_node(void *arg, const struct json_way *way, enum json_kind kind,
          struct weir_str text)
{
    struct greeting *g = arg;

    if (kind == JSON_TEXT && way->depth == 3 && json_is(way, 1, "nodes") &&
        json_is(way, 3, "version")) {
        copy(g->number, sizeof g->number, text);
    }
}

/* "GET /" may be forbidden, or not be there: then what its headers and its
 * nodes say. */
static enum weir_status
ask_nodes(struct sink *s, struct greeting *g, long *code, struct weir_err *err)
{
    const struct request nodes = {
        .method = "GET",
        .path = "/_nodes/_local?filter_path=nodes.*.version",
        .reply_most = ANSWER,
    };
    const enum weir_status st = http_ask(&s->http, &nodes, code, err);

    if (st == WEIR_OK && *code == 200) {
        json_read(text_view(&s->http.reply), told_node, g);
    }
    return st;
}

static enum weir_status
judge_greeting(struct sink *s, const struct greeting *g, struct weir_err *err)
{
    const bool search = strcasecmp(g->distribution, "opensearch") == 0;
    const bool elastic = strcasecmp(s->http.product, "Elasticsearch") == 0 ||
                         strstr(g->tagline, "You Know, for Search") != NULL;
    char      *minor = NULL;

    s->server = (struct server){
        .kind = search    ? SERVER_OPENSEARCH
                : elastic ? SERVER_ELASTICSEARCH
                          : SERVER_UNKNOWN,
    };
    s->server.major = (unsigned)strtoul(g->number, &minor, 10);
    s->server.minor =
        *minor == '.' ? (unsigned)strtoul(minor + 1, NULL, 10) : 0;
    if (elastic && s->server.major > 0 && s->server.major < 7) {
        return weir_fail(err, WEIR_FATAL, "%s is Elasticsearch %s; this sink "
                         "needs 7.0 or later, or OpenSearch",
                         http_where(&s->http), g->number);
    }
    weir_log(s->in, WEIR_INFO, "%s is %s %s", http_where(&s->http),
             search    ? "OpenSearch"
             : elastic ? "Elasticsearch"
                       : "a server that doesn't say which",
             g->number);
    s->known = true;
    return WEIR_OK;
}

enum weir_status
server_find(struct sink *s, struct weir_err *err)
{
    const struct request root = {
        .method = "GET", .path = "/", .reply_most = ANSWER
    };
    struct greeting  g = { "", "", "" };
    long             code = 0;
    enum weir_status st = s->known ? WEIR_OK : http_ask(&s->http, &root, &code,
                                                        err);
    if (s->known || st != WEIR_OK) {
        return st;
    }
    if (code == 401 || code == 408 || code == 429 || code >= 500) {
        return server_refused(s, code, "who it is", err);
    }
    if (code == 200) {
        json_read(text_view(&s->http.reply), told_greeting, &g);
    } else {
        st = ask_nodes(s, &g, &code, err);
    }
    if (st != WEIR_OK) {
        return st;
    }
    if (code == 200 && !g.number[0]) {
        return weir_fail(err, WEIR_FATAL, "%s: what answers there is neither "
                         "Elasticsearch nor OpenSearch", http_where(&s->http));
    }
    return judge_greeting(s, &g, err);
}
