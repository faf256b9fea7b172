/*
 * sink_elasticsearch_mapping.c - `template = on`: fields made from a table's
 * columns, as an index template, and in the indices that there are already.
 */
#include "sink_elasticsearch.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum {
    GLOB = 1024,
    ANSWER = 1 << 20,
    SCALED_DIGITS = 18, /* scaled_float keeps a 64-bit integer */
    KEYWORD_CHARS = 8191, /* 32766 bytes of UTF-8 is what Lucene takes */
    SHORT_TEXT = 256,
};

/* ---- Types */

static bool
begins(struct weir_str s, const char *word)
{
    const size_t n = strlen(word);

    return s.len >= n && strncasecmp(s.data, word, n) == 0;
}

static void
add_type(struct text *t, const char *type)
{
    text_put(t, "{\"type\":\"");
    text_put(t, type);
    text_put(t, "\"}");
}

/* OpenSearch has it from 2.8 on, Elasticsearch from 7.10 on. */
static const char *
unsigned_long(const struct server *server)
{
    const unsigned at = server->major * 100 + server->minor;
    const bool has = server->major == 0 ||
                     (server->kind == SERVER_OPENSEARCH ? at >= 208
                                                        : at >= 710);

    return has ? "unsigned_long" : "keyword";
}

static const char *
integer_type(const struct weir_column *c, const struct server *server)
{
    const bool no_sign = (c->facets & WEIR_UNSIGNED) != 0;

    if (begins(c->sql_type, "bit")) {
        return c->length > 63 ? unsigned_long(server) : "long";
    }
    if (begins(c->sql_type, "tinyint")) {
        return no_sign ? "short" : "byte";
    }
    if (begins(c->sql_type, "smallint")) {
        return no_sign ? "integer" : "short";
    }
    if (begins(c->sql_type, "mediumint")) {
        return "integer";
    }
    if (begins(c->sql_type, "year")) {
        return "short";
    }
    if (begins(c->sql_type, "int")) {
        return no_sign ? "long" : "integer";
    }
    return no_sign ? unsigned_long(server) : "long";
}

static void
add_decimal(struct text *t, const struct weir_column *c, int64_t choice)
{
    char text[80];

    if (choice == DECIMALS_KEYWORD || c->length > SCALED_DIGITS) {
        add_type(t, "keyword");
        return;
    }
    uint64_t factor = 1;
    for (uint32_t i = 0; i < c->scale && i < SCALED_DIGITS; i++) {
        factor *= 10;
    }
    snprintf(text, sizeof text,
             "{\"type\":\"scaled_float\",\"scaling_factor\":%llu}",
             (unsigned long long)factor);
    text_put(t, text);
}

static void
add_text(struct text *t, const struct weir_column *c)
{
    char       text[120];
    const bool is_short = (c->facets & (WEIR_ENUM | WEIR_SET)) ||
                          (begins(c->sql_type, "uuid")) ||
                          ((begins(c->sql_type, "char") ||
                            begins(c->sql_type, "varchar")) &&
                           c->length <= SHORT_TEXT);

    if (begins(c->sql_type, "inet")) {
        add_type(t, "ip");
        return;
    }
    snprintf(text, sizeof text,
             is_short ? "{\"type\":\"keyword\",\"ignore_above\":%d}"
                      : "{\"type\":\"text\",\"fields\":{\"keyword\":{\"type\":"
                        "\"keyword\",\"ignore_above\":%d}}}",
             is_short ? (int)KEYWORD_CHARS : (int)SHORT_TEXT);
    text_put(t, text);
}

static void
add_bytes(struct text *t, const struct weir_column *c)
{
    static const char *const shapes[] = {
        "geometry", "linestring", "polygon", "multi", "geom"
    };

    if (begins(c->sql_type, "point")) {
        add_type(t, "geo_point");
        return;
    }
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        if (begins(c->sql_type, shapes[i])) {
            add_type(t, "geo_shape");
            return;
        }
    }
    if (begins(c->sql_type, "vector")) {
        text_put(t, "{\"type\":\"float\",\"index\":false}");
        return;
    }
    add_type(t, "binary");
}

static void
add_time(struct text *t, const struct weir_column *c)
{
    static const char digits[] = "SSSSSS";

    text_put(t, "{\"type\":\"date\",\"format\":\"yyyy-MM-dd HH:mm:ss");
    if (c->scale > 0) {
        text_put(t, ".");
        text_add(t, digits, c->scale < 6 ? c->scale : 6);
    }
    text_put(t, "\"}");
}

static void
add_json(struct text *t, const struct server *server, int64_t choice)
{
    if (choice == JSON_OBJECT) {
        add_type(t, "object");
    } else {
        add_type(t, server->kind == SERVER_OPENSEARCH ? "flat_object"
                                                      : "flattened");
    }
}

/* What `fields` says of the column, if it does. */
static const char *
override(const struct elastic_conf *conf, const struct weir_table *table,
         const struct weir_column *c)
{
    char      name[GLOB];
    const int n = snprintf(name, sizeof name, "%.*s.%.*s.%.*s",
                           (int)table->schema.len, table->schema.data,
                           (int)table->name.len, table->name.data,
                           (int)c->name.len, c->name.data);

    if (n >= (int)sizeof name) {
        return NULL;
    }
    for (size_t i = 0; i < conf->fields.n; i++) {
        const char *key = conf->fields.items[i].key;
        if (weir_glob((struct weir_str){ key, strlen(key) },
                      (struct weir_str){ name, (size_t)n })) {
            return conf->fields.items[i].value;
        }
    }
    return NULL;
}

static void
add_column(struct text *t, const struct sink *s, const struct weir_column *c)
{
    switch (c->type) {
    case WEIR_INT:
    case WEIR_UINT:
        add_type(t, integer_type(c, &s->server));
        return;
    case WEIR_DOUBLE:
        add_type(t, c->facets & WEIR_FLOAT ? "float" : "double");
        return;
    case WEIR_DECIMAL:
        add_decimal(t, c, s->conf->decimals);
        return;
    case WEIR_BYTES:
        add_bytes(t, c);
        return;
    case WEIR_JSON:
        add_json(t, &s->server, s->conf->json);
        return;
    case WEIR_DATE:
        text_put(t, "{\"type\":\"date\",\"format\":\"yyyy-MM-dd\"}");
        return;
    case WEIR_DATETIME:
        add_time(t, c);
        return;
    case WEIR_TIMESTAMP:
        text_put(t, "{\"type\":\"date\",\"format\":"
                    "\"strict_date_optional_time\"}");
        return;
    case WEIR_TIME:
        add_type(t, "keyword");
        return;
    default:
        add_text(t, c);
        return;
    }
}

static void
add_field(struct text *t, const struct sink *s, const struct weir_table *table,
          const struct weir_column *c)
{
    const char *said = override(s->conf, table, c);

    text_quoted(t, c->name);
    text_put(t, ":");
    if (said && said[0] == '{') {
        text_put(t, said);
    } else if (said) {
        text_put(t, "{\"type\":");
        text_quoted(t, (struct weir_str){ said, strlen(said) });
        text_put(t, "}");
    } else {
        add_column(t, s, c);
    }
}

/* "join":{"type":"join","relations":{"customer":["order","invoice"]}} */
static void
add_relations(struct text *t, const struct elastic_conf *conf)
{
    text_quoted(t, (struct weir_str){ conf->join_field,
                                      strlen(conf->join_field) });
    text_put(t, ":{\"type\":\"join\",\"relations\":{");
    for (size_t i = 0; i < conf->relations.n; i++) {
        const struct weir_pair *pair = &conf->relations.items[i];
        const char             *at = pair->value;
        text_put(t, i ? "," : "");
        text_quoted(t, (struct weir_str){ pair->key, strlen(pair->key) });
        text_put(t, ":[");
        for (;;) {
            const size_t n = strcspn(at, ",");
            text_quoted(t, (struct weir_str){ at, n });
            if (!at[n]) {
                break;
            }
            text_put(t, ",");
            at += n + 1;
        }
        text_put(t, "]");
    }
    text_put(t, "}}");
}

/* A table's columns, or what all tables of a join have. */
static void
add_properties(struct text *t, const struct sink *s,
               const struct weir_table *table)
{
    const char *comma = "";

    text_put(t, "{\"properties\":{");
    for (uint32_t i = 0; table && i < table->ncolumns; i++) {
        text_put(t, comma);
        add_field(t, s, table, table->columns[i]);
        comma = ",";
    }
    if (s->conf->weir_seq) {
        text_put(t, comma);
        text_put(t, "\"weir_seq\":{\"type\":\"long\"}");
        comma = ",";
    }
    if (s->conf->join) {
        text_put(t, comma);
        add_relations(t, s->conf);
    }
    text_put(t, "}}");
}

/* ---- Put there */

static enum weir_status
put(struct sink *s, const struct text *path, const struct text *body,
    const char *what, struct weir_err *err)
{
    const struct request r = {
        .method = "PUT",
        .path = path->data,
        .body = text_view(body),
        .reply_most = ANSWER,
    };
    long code;

    if (path->failed || body->failed) {
        return weir_fail(err, WEIR_RETRY, "%s: no memory", what);
    }
    const enum weir_status st = http_ask(&s->http, &r, &code, err);
    return st == WEIR_OK && code != 200 ? server_refused(s, code, what, err)
                                        : st;
}

/* What a path takes as it is; the rest as %2F and its like. */
static void
add_escaped(struct text *t, const char *text, size_t n)
{
    static const char hex[] = "0123456789ABCDEF";

    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)text[i];
        const char          code[] = { '%', hex[c >> 4], hex[c & 15] };
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                           c == '.' || c == '*';
        text_add(t, plain ? text + i : code, plain ? 1 : 3);
    }
}

/* "weir-shop-search-shop-users": of the sink and the table; "weir-join-shop" of
 * an index that tables share, the same whichever sink makes it: a server takes
 * but one template for an index. */
static void
template_path(struct text *t, struct sink *s, const struct weir_table *table,
              struct weir_str pattern)
{
    const char *name = weir_name(s->in);

    text_put(t, "/_index_template/weir-");
    if (s->conf->join) {
        text_put(t, "join-");
        add_escaped(t, pattern.data, pattern.len);
        text_add(t, "", 1);
        return;
    }
    for (size_t i = 0; name[i]; i++) {
        add_escaped(t, name[i] == '/' ? "-" : name + i, 1);
    }
    text_put(t, "-");
    add_escaped(t, table->schema.data, table->schema.len);
    text_put(t, "-");
    add_escaped(t, table->name.data, table->name.len);
    text_add(t, "", 1);
}

static enum weir_status
put_template(struct sink *s, const struct weir_table *table,
             struct weir_str pattern, const struct text *properties,
             struct weir_err *err)
{
    struct text path = { 0 }, body = { 0 };
    char        settings[120];

    template_path(&path, s, table, pattern);
    snprintf(settings, sizeof settings,
             "],\"priority\":100,\"template\":{\"settings\":{"
             "\"index.gc_deletes\":\"%lldms\"},\"mappings\":",
             (long long)s->conf->gc_deletes);
    text_put(&body, "{\"index_patterns\":[");
    text_quoted(&body, pattern);
    text_put(&body, settings);
    text_add(&body, properties->data, properties->len);
    text_put(&body, "}}");
    const enum weir_status st = put(s, &path, &body, "_index_template", err);
    text_free(&path);
    text_free(&body);
    return st;
}

/* A column that is new has to be known to the indices that there are. */
static enum weir_status
put_fields(struct sink *s, struct weir_str pattern,
           const struct text *properties, struct weir_err *err)
{
    struct text path = { 0 };

    text_put(&path, "/");
    add_escaped(&path, pattern.data, pattern.len);
    text_put(&path, "/_mapping?ignore_unavailable=true&allow_no_indices=true");
    text_add(&path, "", 1);
    enum weir_status st = put(s, &path, properties, "_mapping", err);
    text_free(&path);
    return st;
}

/* The index of a join is made at once, so that each table's fields can be added
 * to it before its first document comes. */
static enum weir_status
put_index(struct sink *s, struct weir_str name, struct weir_err *err)
{
    struct text path = { 0 };
    long        code = 0;

    text_put(&path, "/");
    add_escaped(&path, name.data, name.len);
    text_add(&path, "", 1);
    const struct request r = {
        .method = "PUT", .path = path.data, .reply_most = ANSWER
    };
    enum weir_status st =
        path.failed ? weir_fail(err, WEIR_RETRY, "the path of an index: no "
                                "memory")
                    : http_ask(&s->http, &r, &code, err);
    text_free(&path);
    if (st != WEIR_OK || code == 200) {
        return st;
    }
    st = server_refused(s, code, "to make the index", err);
    return strstr(err->text, "resource_already_exists_exception") ? WEIR_OK
                                                                  : st;
}

/* The template of an index that tables share, that index, and the fields of
 * this table in it. */
static enum weir_status
put_join(struct sink *s, const struct weir_table *table, struct weir_str index,
         struct text *properties, struct weir_err *err)
{
    add_properties(properties, s, NULL);
    enum weir_status st = put_template(s, table, index, properties, err);

    if (st == WEIR_OK) {
        st = put_index(s, index, err);
    }
    properties->len = 0;
    add_properties(properties, s, table);
    return st == WEIR_OK ? put_fields(s, index, properties, err) : st;
}

enum weir_status
mapping_put(struct sink *s, const struct weir_table *table,
            struct weir_err *err)
{
    struct text           properties = { 0 };
    char                  glob[GLOB];
    size_t                literal = 0;
    const size_t          len = weir_template_glob(s->conf->index, table, glob,
                                                   sizeof glob, &literal);
    const struct weir_str pattern = { glob, len };

    if (len > sizeof glob || literal == 0) {
        return weir_fail(err, WEIR_REJECT, "index: it stands for too much for "
                         "an index template; say template = off");
    }
    enum weir_status st = server_find(s, err);
    if (st != WEIR_OK) {
        return st;
    }
    if (s->conf->join) {
        st = put_join(s, table, pattern, &properties, err);
    } else {
        add_properties(&properties, s, table);
        st = put_template(s, table, pattern, &properties, err);
        if (st == WEIR_OK) {
            st = put_fields(s, pattern, &properties, err);
        }
    }
    text_free(&properties);
    return st;
}
