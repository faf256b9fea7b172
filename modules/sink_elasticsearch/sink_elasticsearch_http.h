/*
 * sink_elasticsearch_http.h - requests over one connection that is kept: which
 * of the servers, TLS, who we are, gzip, time-outs.  Knows HTTP, and nothing of
 * what is asked and answered.
 */
#ifndef SINK_ELASTICSEARCH_HTTP_H
#define SINK_ELASTICSEARCH_HTTP_H

#include <curl/curl.h>

#include <weir/module.h>

#include "sink_elasticsearch_text.h"

struct elastic_conf;

struct http {
    struct weir_instance      *in;
    const struct elastic_conf *conf;
    CURL                      *curl;
    struct curl_slist         *headers;
    size_t                     url;       /* of those configured, at work */
    bool                       ready;     /* curl has all that is the same */
    struct weir_str            secret;    /* as last read */
    struct text                path;      /* of the request */
    struct text                zipped;
    struct text                reply;
    size_t                     reply_most;
    bool                       too_long; /* the last answer was longer */
    char                       product[32]; /* X-elastic-product, if any */
    char                       error[CURL_ERROR_SIZE];
};

struct request {
    const char     *method;
    const char     *path; /* "/_bulk?..." */
    struct weir_str body;
    size_t          reply_most; /* bytes; a longer answer is an error */
};

/* OK: an answer came, whole, `*code` is its status, http->reply its body.
 * RETRY: none, or half of one, and the next request goes to the next of the
 * servers.  A server that can't be reached is passed over at once.  FATAL:
 * certificates or secrets that will not do. */
enum weir_status http_ask(struct http *http, const struct request *r,
                          long *code, struct weir_err *err);

/* The server at work, for messages. */
const char *http_where(const struct http *http);

/* The next request goes to the next of the servers. */
void http_turn(struct http *http);

/* Reads the secret again; true if it is another than before. */
bool http_new_secret(struct http *http);

void http_close(struct http *http);

#endif
