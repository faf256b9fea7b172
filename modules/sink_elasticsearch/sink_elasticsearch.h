/*
 * sink_elasticsearch.h - an instance of the sink, and what its files know of
 * each other: names of a document, a bulk being filled and sent, the server as
 * it was found.
 */
#ifndef SINK_ELASTICSEARCH_H
#define SINK_ELASTICSEARCH_H

#include <weir/module.h>

#include "sink_elasticsearch_bulk.h"
#include "sink_elasticsearch_http.h"
#include "sink_elasticsearch_json.h"
#include "sink_elasticsearch_text.h"

enum { ACTION_INDEX, ACTION_UPDATE };
enum { TRUNCATE_OWN, TRUNCATE_ALL, TRUNCATE_IGNORE };
enum { REFRESH_OFF, REFRESH_WAIT, REFRESH_ON };
enum { DECIMALS_SCALED, DECIMALS_KEYWORD };
enum { JSON_OBJECT, JSON_FLATTENED };

struct elastic_conf {
    struct weir_list            url;
    const struct weir_template *index, *id, *routing, *pipeline;
    const struct weir_template *join, *parent;
    const char                 *join_field;
    int64_t                     action, truncate, refresh, timeout, request;
    const char                 *user, *password, *password_file;
    const char                 *api_key_file, *token_file;
    const char                 *ca_file, *cert_file, *key_file;
    bool                        tls_verify, compress, weir_seq;
    const struct weir_format   *format;
    /* The index template. */
    bool            template;
    struct weir_map fields, relations;
    int64_t         decimals, json, gc_deletes;
};

enum server_kind { SERVER_UNKNOWN, SERVER_ELASTICSEARCH, SERVER_OPENSEARCH };
struct server {
    enum server_kind kind;
    unsigned         major, minor; /* 0 where it doesn't say */
};

/* Where a document is. */
struct names {
    struct weir_str index, id, routing, pipeline;
    struct weir_str parent; /* its _id; empty: none */
};

struct sink {
    struct weir_instance      *in;
    const struct elastic_conf *conf;
    struct http                http;
    bool                       known; /* the server is one that we know */
    struct server              server;
    struct bulk                bulk;
    int64_t                    opened_usec;
    uint64_t                   largest; /* seq that this instance has sent */
    struct text                scratch;
    uint64_t                   missing; /* said once a minute at most */
    int64_t                    missing_said;
};

int64_t now_usec(void);

/* server.c: asks who answers, once; FATAL if it is nothing we know. */
enum weir_status server_find(struct sink *s, struct weir_err *err);
/* What an answer other than 200 means: the reason that it gives, and RETRY or
 * FATAL, or REJECT of 400. */
enum weir_status server_refused(struct sink *s, long code, const char *what,
                                struct weir_err *err);

/* names.c: of the document that row i of the batch is, or was, in. */
enum weir_status names_of(struct sink *s, struct weir_batch *b, size_t i,
                          bool of_before, struct names *out,
                          struct weir_err *err);
bool names_same(const struct names *a, const struct names *b);
/* What row i is as a document, without weir_seq. */
enum weir_status document_of(struct sink *s, struct weir_batch *b, size_t i,
                             const struct names *names, struct weir_str *out,
                             struct weir_err *err);
/* Whether its row image has all columns. */
bool is_whole(const struct weir_event *ev);
/* What rows of a table are called in the join field. */
struct weir_str join_name(struct sink *s, const struct weir_table *table,
                          char *room, size_t size);

/* merge.c: documents as they are in the server, for the rows of a batch, which
 * are written into them; `action = update`. */
enum weir_status merge_events(struct sink *s, struct weir_batch *b,
                              struct weir_err *err);

/* sweep.c: deletes what is older than that version in the indices of a table,
 * for the only event of the batch. */
enum weir_status sweep_table(struct sink *s, struct weir_batch *b,
                             uint64_t below, struct weir_err *err);

/* mapping.c: the index template of a table, and its fields in indices that
 * there are. */
enum weir_status mapping_put(struct sink *s, const struct weir_table *table,
                             struct weir_err *err);

#endif
