/*
 * sink_elasticsearch_text.h - text that grows, JSON strings in it, and what may
 * be a document's id.  Knows no events and no server.
 */
#ifndef SINK_ELASTICSEARCH_TEXT_H
#define SINK_ELASTICSEARCH_TEXT_H

#include <string.h>

#include <weir/event.h>

enum { ID_BYTES = 512 }; /* one longer _id fails its whole bulk request */

/* Grows as it is written to; `failed` once memory was refused: what is in it
 * is worth nothing then. */
struct text {
    char  *data;
    size_t len, room;
    bool   failed;
};

void text_free(struct text *t);
void text_add(struct text *t, const void *data, size_t len);
void text_u64(struct text *t, uint64_t n);
/* Quotes and all; `s` has to be UTF-8. */
void text_quoted(struct text *t, struct weir_str s);

static inline void
text_put(struct text *t, const char *literal)
{
    text_add(t, literal, strlen(literal));
}

static inline struct weir_str
text_view(const struct text *t)
{
    return (struct weir_str){ t->data, t->len };
}

static inline bool
text_same(struct weir_str a, struct weir_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool text_has(struct weir_str s, struct weir_str part);
bool text_is_utf8(struct weir_str s);

/* The _id of a row: `s` itself if the server takes it; else "~x" and its bytes
 * as hexadecimal digits, or where they are too many "~h" and their SHA-256.
 * What begins like one of these is written so too, so that no two rows have one
 * id.  `room` has ID_BYTES. */
struct weir_str text_id(struct weir_str s, char *room);

#endif
