/* sink_elasticsearch_json.c - see sink_elasticsearch_json.h. */
#include "sink_elasticsearch_json.h"

#include <string.h>

#include <yajl/yajl_parse.h>

struct reader {
    struct json_way way;
    size_t          depth; /* which way.depth follows while it has room */
    yajl_handle     yajl;
    json_told       told;
    void           *arg;
};

bool
json_is(const struct json_way *way, size_t level, const char *key)
{
    return level <= way->depth && !way->at[level].is_array &&
           strncmp(way->at[level].key, key, JSON_KEY) == 0;
}

static int
tell(struct reader *r, enum json_kind kind, struct weir_str text)
{
    if (r->depth <= JSON_LEVELS) {
        r->way.depth = r->depth;
        r->way.offset = yajl_get_bytes_consumed(r->yajl);
        r->told(r->arg, &r->way, kind, text);
    }
    return 1;
}

/* Behind a value that was one of an array's. */
static void
next(struct reader *r)
{
    if (r->depth <= JSON_LEVELS && r->way.at[r->depth].is_array) {
        r->way.at[r->depth].index++;
    }
}

static int
value(struct reader *r, enum json_kind kind, const void *text, size_t len)
{
    tell(r, kind, (struct weir_str){ text, len });
    next(r);
    return 1;
}

static int
on_null(void *arg)
{
    return value(arg, JSON_OTHER, "null", 4);
}

static int
on_boolean(void *arg, int yes)
{
    return value(arg, JSON_OTHER, yes ? "true" : "false", yes ? 4 : 5);
}

static int
on_number(void *arg, const char *text, size_t len)
{
    return value(arg, JSON_NUMBER, text, len);
}

static int
on_string(void *arg, const unsigned char *text, size_t len)
{
    return value(arg, JSON_TEXT, text, len);
}

static int
begin(struct reader *r, bool is_array)
{
    tell(r, JSON_BEGIN, (struct weir_str){ "", 0 });
    r->depth++;
    if (r->depth <= JSON_LEVELS) {
        memset(&r->way.at[r->depth], 0, sizeof r->way.at[r->depth]);
        r->way.at[r->depth].is_array = is_array;
    }
    return 1;
}

static int
end(void *arg)
{
    struct reader *r = arg;

    r->depth--;
    tell(r, JSON_END, (struct weir_str){ "", 0 });
    next(r);
    return 1;
}

static int
on_map(void *arg)
{
    return begin(arg, false);
}

static int
on_array(void *arg)
{
    return begin(arg, true);
}

static int
on_key(void *arg, const unsigned char *text, size_t len)
{
    struct reader *r = arg;

    if (r->depth <= JSON_LEVELS) {
        const size_t n = len < JSON_KEY ? len : JSON_KEY - 1;
        memcpy(r->way.at[r->depth].key, text, n);
        r->way.at[r->depth].key[n] = '\0';
    }
    return 1;
}

bool
json_read(struct weir_str text, json_told told, void *arg)
{
    static const yajl_callbacks calls = {
        .yajl_null = on_null,
        .yajl_boolean = on_boolean,
        .yajl_number = on_number,
        .yajl_string = on_string,
        .yajl_start_map = on_map,
        .yajl_map_key = on_key,
        .yajl_end_map = end,
        .yajl_start_array = on_array,
        .yajl_end_array = end,
    };
    struct reader r = { .told = told, .arg = arg };

    r.yajl = yajl_alloc(&calls, NULL, &r);
    if (!r.yajl) {
        return false;
    }
    yajl_status st =
        yajl_parse(r.yajl, (const unsigned char *)text.data, text.len);
    if (st == yajl_status_ok) {
        st = yajl_complete_parse(r.yajl);
    }
    yajl_free(r.yajl);
    return st == yajl_status_ok;
}

/* ---- Members of an object, as they are written */

static size_t
skip(struct weir_str s, size_t at, const char *these)
{
    while (at < s.len && s.data[at] && strchr(these, s.data[at])) {
        at++;
    }
    return at;
}

/* Behind the string that begins at `at`. */
static size_t
skip_string(struct weir_str s, size_t at)
{
    for (at++; at < s.len && s.data[at] != '"'; at++) {
        at += s.data[at] == '\\';
    }
    return at < s.len ? at + 1 : s.len;
}

static size_t
skip_value(struct weir_str s, size_t at)
{
    size_t depth = 0;

    while (at < s.len) {
        const char c = s.data[at];
        if (c == '"') {
            at = skip_string(s, at);
        } else if (depth == 0 && (c == ',' || c == '}' || c == ']')) {
            return at;
        } else {
            depth += c == '{' || c == '[';
            depth -= c == '}' || c == ']';
            at++;
        }
    }
    return at;
}

bool
json_member(struct weir_str object, size_t *at, struct weir_str *key,
            struct weir_str *value)
{
    static const char blank[] = " \t\r\n";
    size_t            i = skip(object, *at, *at == 0 ? "{ \t\r\n" : ", \t\r\n");

    if (i >= object.len || object.data[i] != '"') {
        return false;
    }
    const size_t end = skip_string(object, i);
    *key = (struct weir_str){ object.data + i, end - i };
    i = skip(object, skip(object, end, blank), ":");
    i = skip(object, i, blank);
    size_t behind = skip_value(object, i);
    *at = behind;
    while (behind > i && strchr(blank, object.data[behind - 1])) {
        behind--;
    }
    *value = (struct weir_str){ object.data + i, behind - i };
    return behind > i;
}
