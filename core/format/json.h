/*
 * json.h - what JSON needs of text and bytes: strings, base64, JSON inside
 * JSON.  Knows no values and no tables.
 *
 * All append to a buffer in one way: `p` is where to write, in out->data, with
 * room for one byte at least; what is returned is the end of what was written,
 * with at least `keep` bytes of room behind it.  out->len is left to
 * the caller until all is written, and not looked at.
 */
#ifndef WEIR_FORMAT_JSON_H
#define WEIR_FORMAT_JSON_H

#include <weir/event.h>

#include "base/buf.h"

/* Room for `keep` more bytes at p, which may move. */
static inline char *
json_room(struct buf *out, char *p, size_t keep)
{
    if ((size_t)(out->data + out->room - p) < keep) {
        out->len = (size_t)(p - out->data);
        p = buf_need(out, keep);
    }
    return p;
}

/* A string, quotes and all; what is not UTF-8 becomes U+FFFD. */
char *json_string(struct buf *out, char *p, size_t keep, struct weir_str s);
/* A string of base64, as RFC 4648 has it, with its padding. */
char *json_base64(struct buf *out, char *p, size_t keep, struct weir_str s);
/* JSON text as it is, with line ends between its tokens made spaces; what is
 * not JSON (or nested deeper than 256) as a string. */
char *json_embed(struct buf *out, char *p, size_t keep, struct weir_str s);
/* Digits as they are; as a string if so wanted, or if they aren't a number. */
char *json_number(struct buf *out, char *p, size_t keep, struct weir_str s,
                  int as_string);

/* How many bytes of s are one well-formed UTF-8 sequence, 0 if none. */
unsigned json_utf8(const unsigned char *s, size_t left);
/* Whether s is one JSON value; *breaks: it has control characters between its
 * tokens. */
int json_valid(struct weir_str s, int *breaks);

#endif
