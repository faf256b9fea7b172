/*
 * sink_elasticsearch.c - rows as documents of Elasticsearch or OpenSearch, by
 * _bulk, each with its seq as external version: whatever is sent again, late or
 * out of order, the latest stays.  Directives, and events made into items; how
 * these are sent and what became of them: sink_elasticsearch_bulk.c.
 */
#include "sink_elasticsearch.h"

#include <stdlib.h>
#include <strings.h>
#include <time.h>

enum { MAX_LANES = 16, GLOB = 1024 };

static const struct weir_name action_names[] = {
    { "index", ACTION_INDEX }, { "update", ACTION_UPDATE }, { NULL, 0 }
};
static const struct weir_name truncate_names[] = {
    { "own", TRUNCATE_OWN }, { "all", TRUNCATE_ALL },
    { "ignore", TRUNCATE_IGNORE }, { NULL, 0 }
};
static const struct weir_name refresh_names[] = {
    { "off", REFRESH_OFF }, { "wait_for", REFRESH_WAIT },
    { "on", REFRESH_ON }, { NULL, 0 }
};
static const struct weir_name decimals_names[] = {
    { "scaled_float", DECIMALS_SCALED }, { "keyword", DECIMALS_KEYWORD },
    { NULL, 0 }
};
static const struct weir_name json_names[] = {
    { "object", JSON_OBJECT }, { "flattened", JSON_FLATTENED }, { NULL, 0 }
};

/* clang-format off */
static const struct weir_directive elastic_directives[] = {
    WEIR_LIST(struct elastic_conf, url, .flags = WEIR_REQUIRED,
              .help = "servers of one cluster, as in \"http://127.0.0.1:9200\""),
    WEIR_TEMPLATE(struct elastic_conf, index, .flags = WEIR_REQUIRED,
                  .help = "index of a row, as in \"{database}-{table}\""),
    WEIR_TEMPLATE(struct elastic_conf, id, .flags = WEIR_ORDER,
                  .help = "_id of a row; without it, the table's key"),
    WEIR_TEMPLATE(struct elastic_conf, routing,
                  .help = "what chooses the shard; without it the _id does"),
    WEIR_TEMPLATE(struct elastic_conf, pipeline,
                  .help = "ingest pipeline that documents go through"),
    WEIR_TEMPLATE(struct elastic_conf, join,
                  .help = "what its rows are in a join field, as in "
                  "\"{table}\""),
    WEIR_TEMPLATE(struct elastic_conf, parent,
                  .help = "join: _id of a row's parent, as in "
                  "\"{customer_id}\""),
    WEIR_STR(struct elastic_conf, join_field, .value = "join",
             .help = "join: the field's name"),
    WEIR_CHOICE(struct elastic_conf, action, .value = "index",
                .names = action_names, .help = "index writes whole rows; "
                "update writes their columns into the documents there are"),
    WEIR_FORMAT(struct elastic_conf, format,
                .value = "row:zero_dates=null,geometry=wkt",
                .help = "how a row is written"),
    WEIR_BOOL(struct elastic_conf, weir_seq, .value = "off",
              .help = "adds the row's version to each document"),
    WEIR_CHOICE(struct elastic_conf, truncate, .value = "own",
                .names = truncate_names, .help = "TRUNCATE empties indices "
                "that {table} names; all: any; ignore: none"),
    WEIR_CHOICE(struct elastic_conf, refresh, .value = "off",
                .names = refresh_names,
                .help = "whether a batch is to be seen by searches at once"),
    WEIR_SIZE(struct elastic_conf, request, .value = "10m", .min = 65536,
              .max = 1 << 30, .help = "a _bulk request is no larger"),
    WEIR_MSEC(struct elastic_conf, timeout, .value = "60s", .min = 1,
              .max = 3600000, .help = "a request without an answer is given "
              "up, and sent again"),
    WEIR_BOOL(struct elastic_conf, compress, .value = "off",
              .help = "gzip, for servers that are far"),
    WEIR_STR(struct elastic_conf, user, .flags = WEIR_ENV,
             .help = "user, with a password"),
    WEIR_STR(struct elastic_conf, password, .flags = WEIR_SECRET | WEIR_ENV,
             .help = "its password; better in a file"),
    WEIR_STR(struct elastic_conf, password_file, .flags = WEIR_FILE,
             .help = "file of one line"),
    WEIR_STR(struct elastic_conf, api_key_file, .flags = WEIR_FILE,
             .help = "file of one line: an API key, as base64"),
    WEIR_STR(struct elastic_conf, token_file, .flags = WEIR_FILE,
             .help = "file of one line: a bearer token"),
    WEIR_STR(struct elastic_conf, ca_file, .flags = WEIR_FILE,
             .help = "certificates that sign the server's; without it the "
             "system's"),
    WEIR_STR(struct elastic_conf, cert_file, .flags = WEIR_FILE,
             .help = "our own certificate"),
    WEIR_STR(struct elastic_conf, key_file, .flags = WEIR_FILE,
             .help = "its key"),
    WEIR_BOOL(struct elastic_conf, tls_verify, .value = "on",
              .help = "off takes whatever certificate the server shows"),
    WEIR_BOOL(struct elastic_conf, template, .value = "off",
              .help = "makes an index template for each table"),
    WEIR_MAP(struct elastic_conf, fields,
             .help = "template: fields of columns that match, as a type or "
             "JSON, as in \"*.bio=text\""),
    WEIR_MAP(struct elastic_conf, relations,
             .help = "template, join: who is whose parent, as in "
             "\"customer=order,invoice\""),
    WEIR_CHOICE(struct elastic_conf, decimals, .value = "scaled_float",
                .names = decimals_names, .help = "template: DECIMAL"),
    WEIR_CHOICE(struct elastic_conf, json, .value = "object",
                .names = json_names, .help = "template: JSON columns"),
    WEIR_MSEC(struct elastic_conf, gc_deletes, .value = "1h", .min = 0,
              .max = 604800000, .help = "template: how long the index knows "
              "what was deleted"),
    WEIR_END
};
/* clang-format on */

/* ---- Config */

static enum weir_status
check_url(const char *url, struct weir_err *err)
{
    const char *host = strncasecmp(url, "http://", 7) == 0    ? url + 7
                       : strncasecmp(url, "https://", 8) == 0 ? url + 8
                                                              : NULL;

    if (!host || !*host || *host == '/') {
        return weir_fail(err, WEIR_FATAL, "url: \"%s\": write it as "
                         "\"http://host:9200\" or \"https://host:9200\"", url);
    }
    if (strchr(host, '@')) {
        return weir_fail(err, WEIR_FATAL, "url: a password has no place in "
                         "it, everybody sees it; use user and password_file");
    }
    if (strpbrk(host, "?# \t")) {
        return weir_fail(err, WEIR_FATAL, "url: \"%s\": a host, a port and a "
                         "path, and nothing behind them", url);
    }
    return WEIR_OK;
}

static enum weir_status
check_secrets(const struct elastic_conf *c, struct weir_err *err)
{
    const int ways = (c->user != NULL) + (c->api_key_file != NULL) +
                     (c->token_file != NULL);
    const int words = (c->password != NULL) + (c->password_file != NULL);

    if (ways > 1) {
        return weir_fail(err, WEIR_FATAL, "user, api_key_file, token_file: "
                         "give only one of them");
    }
    if (words != (c->user != NULL)) {
        return weir_fail(err, WEIR_FATAL, "user goes with one of password and "
                         "password_file");
    }
    if ((c->cert_file != NULL) != (c->key_file != NULL)) {
        return weir_fail(err, WEIR_FATAL, "cert_file and key_file: give both");
    }
    return WEIR_OK;
}

static enum weir_status
check_join(const struct elastic_conf *c, struct weir_err *err)
{
    char   glob[GLOB];
    size_t literal = 0;

    if (!c->join) {
        return c->parent || c->relations.n
                   ? weir_fail(err, WEIR_FATAL, "parent and relations go with "
                               "join, as in join = \"order\"")
                   : WEIR_OK;
    }
    if (weir_template_glob(c->join, NULL, glob, sizeof glob, &literal) !=
        literal) {
        return weir_fail(err, WEIR_FATAL, "join: names a column; it is the "
                         "name of all rows of a table");
    }
    if (c->template && c->relations.n == 0) {
        return weir_fail(err, WEIR_FATAL, "join with template = on: say who is "
                         "whose parent, as in relations = "
                         "{\"customer=order\"}");
    }
    if (c->template && weir_template_glob(c->index, NULL, glob, sizeof glob,
                                          &literal) != literal) {
        return weir_fail(err, WEIR_FATAL, "join with template = on: index may "
                         "name no column, as parents and children have to be "
                         "in one");
    }
    return WEIR_OK;
}

static enum weir_status
elastic_check(const void *conf, struct weir_err *err)
{
    const struct elastic_conf *c = conf;
    char                       glob[GLOB];
    size_t                     literal = 0, len;
    enum weir_status           st = check_secrets(c, err);

    if (st == WEIR_OK) {
        st = check_join(c, err);
    }
    for (size_t i = 0; st == WEIR_OK && i < c->url.n; i++) {
        st = check_url(c->url.items[i], err);
    }
    if (st != WEIR_OK) {
        return st;
    }
    if (c->url.n == 0) {
        return weir_fail(err, WEIR_FATAL, "url: name a server");
    }
    if (c->id) {
        len = weir_template_glob(c->id, NULL, glob, sizeof glob, &literal);
        if (literal == len) {
            return weir_fail(err, WEIR_FATAL, "id: names no column, so every "
                             "row would be one document; say which, as in "
                             "\"{id}\"");
        }
    }
    len = weir_template_glob(c->index, NULL, glob, sizeof glob, &literal);
    if (len == 0 || (literal == 0 && (c->template || c->truncate !=
                                                         TRUNCATE_IGNORE))) {
        return weir_fail(err, WEIR_FATAL, "index: begins with a column, so it "
                         "could be any index; begin it with text, as in "
                         "\"{table}-...\", or say truncate = ignore and "
                         "template = off");
    }
    return WEIR_OK;
}

static void
elastic_batching(const void *conf, struct weir_batching *batching)
{
    (void)conf;
    batching->guarantee = WEIR_EFFECTIVELY_ONCE;
    batching->events = 10000;
    batching->bytes = 5 << 20;
    batching->wait_ms = 200;
    batching->max_lanes = MAX_LANES;
}

/* ---- Life */

int64_t
now_usec(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static enum weir_status
elastic_open(struct weir_instance *in, const void *conf, void **self,
             struct weir_err *err)
{
    struct sink *s = calloc(1, sizeof *s);

    if (!s) {
        return weir_fail(err, WEIR_RETRY, "open the sink: no memory");
    }
    s->in = in;
    s->conf = conf;
    s->http.in = in;
    s->http.conf = conf;
    s->opened_usec = now_usec();
    /* Lanes begin at different servers. */
    s->http.url = weir_lane(in) % s->conf->url.n;
    if (!s->conf->tls_verify) {
        weir_log(in, WEIR_WARN, "tls_verify = off: whoever answers at %s is "
                 "believed", s->conf->url.items[0]);
    }
    *self = s;
    return WEIR_OK;
}

static void
elastic_close(void *self)
{
    struct sink *s = self;

    http_close(&s->http);
    bulk_free(&s->bulk);
    text_free(&s->scratch);
    free(s);
}

/* ---- Tables */

static bool
has_upper(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (text[i] >= 'A' && text[i] <= 'Z') {
            return true;
        }
    }
    return false;
}

static bool
has_column(const struct weir_table *table, const char *name)
{
    for (uint32_t i = 0; i < table->ncolumns; i++) {
        if (text_same(table->columns[i]->name,
                      (struct weir_str){ name, strlen(name) })) {
            return true;
        }
    }
    return false;
}

static enum weir_status
elastic_table(void *self, const struct weir_table *table, void **slot,
              struct weir_err *err)
{
    struct sink *s = self;
    char         glob[GLOB];
    size_t       literal = 0;
    const size_t len =
        weir_template_glob(s->conf->index, table, glob, sizeof glob, &literal);

    (void)slot;
    /* Without columns it is for TRUNCATE only, before any row was seen. */
    if (!s->conf->id && table->nkey == 0 && table->ncolumns > 0) {
        return weir_fail(err, WEIR_REJECT, "%.*s.%.*s has no primary key to "
                         "make an _id of; say which columns tell its rows "
                         "apart, as in id = \"{a}-{b}\"",
                         (int)table->schema.len, table->schema.data,
                         (int)table->name.len, table->name.data);
    }
    if (has_upper(glob, len < sizeof glob ? len : sizeof glob)) {
        return weir_fail(err, WEIR_REJECT, "index: \"%.*s\" has capital "
                         "letters, which an index may not have; name it "
                         "otherwise for this table", (int)len, glob);
    }
    if (s->conf->weir_seq && has_column(table, "weir_seq")) {
        return weir_fail(err, WEIR_REJECT, "%.*s.%.*s has a column weir_seq of "
                         "its own; say weir_seq = off",
                         (int)table->schema.len, table->schema.data,
                         (int)table->name.len, table->name.data);
    }
    if (s->conf->join && has_column(table, s->conf->join_field)) {
        return weir_fail(err, WEIR_REJECT, "%.*s.%.*s has a column %s of its "
                         "own; give the join field another name: join_field",
                         (int)table->schema.len, table->schema.data,
                         (int)table->name.len, table->name.data,
                         s->conf->join_field);
    }
    return s->conf->template && table->ncolumns > 0 ? mapping_put(s, table, err)
                                                    : WEIR_OK;
}

/* ---- Events */

static enum weir_status
index_row(struct sink *s, struct weir_batch *b, size_t i,
          const struct names *names, struct weir_err *err)
{
    const struct weir_event *ev = b->events[i];
    struct weir_str          body;

    if (!is_whole(ev)) {
        return weir_fail(err, WEIR_REJECT, "the row image doesn't have all "
                         "columns, and a document made of some would lose the "
                         "others; set binlog_row_image=FULL on the source, or "
                         "action = update");
    }
    const enum weir_status st = document_of(s, b, i, names, &body, err);
    if (st != WEIR_OK) {
        return st;
    }
    bulk_index(s, i, names, ev->seq, body);
    return WEIR_OK;
}

static enum weir_status
update_row(struct sink *s, struct weir_batch *b, size_t i, struct weir_err *err)
{
    const struct weir_event *ev = b->events[i];
    struct names             is, was;

    enum weir_status st = names_of(s, b, i, false, &is, err);
    if (st == WEIR_OK) {
        st = names_of(s, b, i, true, &was, err);
    }
    if (st == WEIR_OK) {
        st = index_row(s, b, i, &is, err);
    }
    if (st == WEIR_OK && !names_same(&is, &was)) {
        bulk_leave(s, i, &was, ev->seq);
    }
    return st;
}

static enum weir_status
add_event(struct sink *s, struct weir_batch *b, size_t i, struct weir_err *err)
{
    struct names     names;
    enum weir_status st;

    switch (b->events[i]->op) {
    case WEIR_INSERT:
    case WEIR_SNAPSHOT:
        st = names_of(s, b, i, false, &names, err);
        return st == WEIR_OK ? index_row(s, b, i, &names, err) : st;
    case WEIR_UPDATE:
        return update_row(s, b, i, err);
    case WEIR_DELETE:
        st = names_of(s, b, i, true, &names, err);
        if (st == WEIR_OK) {
            bulk_delete(s, i, &names, b->events[i]->seq);
        }
        return st;
    default:
        return WEIR_OK; /* no row: a change of a definition, a mark */
    }
}

static enum weir_status
add_events(struct sink *s, struct weir_batch *b, struct weir_err *err)
{
    enum weir_status st = WEIR_OK;

    for (size_t i = 0; st == WEIR_OK && i < b->nevents; i++) {
        st = add_event(s, b, i, err);
        if (st == WEIR_REJECT) {
            bulk_refuse(s, i, st, err->text);
            st = WEIR_OK;
        }
    }
    return st;
}

/* ---- Batches */

static enum weir_status
mark(struct sink *s, struct weir_batch *b, struct weir_err *err)
{
    const struct weir_event *ev = b->events[0];

    if (ev->op == WEIR_TRUNCATE && s->conf->truncate != TRUNCATE_IGNORE) {
        return sweep_table(s, b, ev->seq, err);
    }
    if (ev->op == WEIR_SNAPSHOT_END) {
        return sweep_table(s, b, ev->begin, err);
    }
    return WEIR_OK;
}

static bool
is_mark(const struct weir_batch *b)
{
    return b->nevents == 1 && b->events[0]->op >= WEIR_SNAPSHOT_BEGIN;
}

static enum weir_status
elastic_write(void *self, struct weir_batch *b, struct weir_err *err)
{
    struct sink     *s = self;
    enum weir_status st;

    if (b->nevents == 0) {
        return WEIR_OK;
    }
    st = server_find(s, err);
    if (st != WEIR_OK) {
        return st;
    }
    if (b->events[b->nevents - 1]->seq > s->largest) {
        s->largest = b->events[b->nevents - 1]->seq;
    }
    if (is_mark(b)) {
        return mark(s, b, err);
    }
    st = bulk_begin(s, b, err);
    if (st == WEIR_OK) {
        st = s->conf->action == ACTION_UPDATE ? merge_events(s, b, err)
                                              : add_events(s, b, err);
    }
    return st == WEIR_OK ? bulk_send(s, b, err) : st;
}

WEIR_MODULE = {
    WEIR_HEAD,
    .stage = WEIR_SINK,
    .name = "elasticsearch",
    .version = "0.1",
    .summary = "rows as documents of Elasticsearch or OpenSearch",
    .conf_size = sizeof(struct elastic_conf),
    .directives = elastic_directives,
    .check = elastic_check,
    .batching = elastic_batching,
    .open = elastic_open,
    .close = elastic_close,
    .table = elastic_table,
    .write = elastic_write,
};
