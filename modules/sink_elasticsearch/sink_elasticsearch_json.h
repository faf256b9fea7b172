/*
 * sink_elasticsearch_json.h - JSON of the server read in one pass: what comes is
 * told with the way to it.  Knows no answer's meaning.
 */
#ifndef SINK_ELASTICSEARCH_JSON_H
#define SINK_ELASTICSEARCH_JSON_H

#include <weir/module.h>

enum { JSON_LEVELS = 16, JSON_KEY = 24 }; /* what lies deeper is passed over */

enum json_kind { JSON_TEXT, JSON_NUMBER, JSON_OTHER, JSON_BEGIN, JSON_END };

/* The way to what is told: in {"items":[{"index":{"status":200}}]} the number
 * is at depth 4: "items", 0, "index", "status". */
struct json_way {
    size_t depth;
    size_t offset; /* behind what is told, in the text that is read */
    struct {
        char   key[JSON_KEY]; /* cut if longer */
        size_t index;         /* of an array */
        bool   is_array;
    } at[JSON_LEVELS + 1];
};

/* Whether that level's key is this one; the first level is 1. */
bool json_is(const struct json_way *way, size_t level, const char *key);

/* `text` of JSON_TEXT is unescaped, of JSON_NUMBER and JSON_OTHER (true, false,
 * null) as written, else empty. */
typedef void (*json_told)(void *arg, const struct json_way *way,
                          enum json_kind kind, struct weir_str text);

/* False: it isn't one whole JSON value; some of it was told. */
bool json_read(struct weir_str text, json_told told, void *arg);

/* The next member of an object's text, key (with its quotes) and value as
 * written; *at is 0 at first.  False: there is none. */
bool json_member(struct weir_str object, size_t *at, struct weir_str *key,
                 struct weir_str *value);

#endif
