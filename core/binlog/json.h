/*
 * json.h - within binlog/: MySQL's binary JSON, as json.c writes it as text and
 * json_diff.c takes it apart.  Grammar: MySQL sql-common/json_binary.h.
 */
#ifndef WEIR_BINLOG_JSON_H
#define WEIR_BINLOG_JSON_H

#include "base/bytes.h"
#include "binlog/value.h"

enum json_type {
    JSON_SMALL_OBJECT = 0, JSON_LARGE_OBJECT = 1, JSON_SMALL_ARRAY = 2,
    JSON_LARGE_ARRAY = 3, JSON_LITERAL = 4, JSON_INT16 = 5, JSON_UINT16 = 6,
    JSON_INT32 = 7, JSON_UINT32 = 8, JSON_INT64 = 9, JSON_UINT64 = 10,
    JSON_DOUBLE = 11, JSON_STRING = 12, JSON_OPAQUE = 15,
};

enum { JSON_DEPTH = 100 }; /* the server's own limit */

/* Text on its way. */
struct json {
    char               *text;
    size_t              len, room, limit;
    unsigned            depth;
    struct value_space *space;
    const char         *why; /* it failed */
};

/* A container or value; nothing of it is beyond len. */
struct json_span { const uint8_t *p; size_t len; };

struct json_list { /* an object or array */
    bool             object;
    size_t           width, count;
    struct json_span all;
};

/* Of a document of `len` bytes, or of several of that size together. */
bool json_begin(struct json *j, size_t len, struct value_space *space);
/* All give false once it has failed; the first reason stays. */
bool json_fail(struct json *j, const char *why);
bool json_add(struct json *j, const char *s, size_t n);
bool json_quoted(struct json *j, const char *s, size_t len);
bool json_value(struct json *j, unsigned type, struct json_span s);
bool json_enter(struct json *j, bool object); /* its bracket */
bool json_leave(struct json *j, bool object);

bool json_list_open(struct json *j, unsigned type, struct json_span s,
                    struct json_list *out);
bool json_list_key(struct json *j, const struct json_list *l, size_t i,
                   struct weir_str *out); /* i < count, of an object */
bool json_list_item(struct json *j, const struct json_list *l, size_t i,
                    unsigned *type, struct json_span *out);

/* A length of seven bits in each byte. */
uint64_t json_read_length(struct reader *r);

#endif
