/*
 * buf.h - a byte buffer that grows, on the heap; kept and used again by who
 * fills it often.  Never fails: see arena.h.
 */
#ifndef WEIR_BASE_BUF_H
#define WEIR_BASE_BUF_H

#include <stddef.h>
#include <string.h>

#include <weir/event.h>

struct buf {
    char  *data;
    size_t len, room;
};

void buf_free(struct buf *b);
/* Room for `n` more bytes behind buf_end(). */
void buf_grow(struct buf *b, size_t n);
void buf_printf(struct buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static inline char *
buf_need(struct buf *b, size_t n)
{
    if (b->room - b->len < n) {
        buf_grow(b, n);
    }
    return b->data + b->len;
}

static inline void
buf_add(struct buf *b, const void *data, size_t n)
{
    if (n) {
        memcpy(buf_need(b, n), data, n);
        b->len += n;
    }
}

static inline void
buf_str(struct buf *b, struct weir_str s)
{
    buf_add(b, s.data, s.len);
}

static inline void
buf_text(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

static inline void
buf_byte(struct buf *b, char c)
{
    *buf_need(b, 1) = c;
    b->len++;
}

static inline struct weir_str
buf_view(const struct buf *b)
{
    return (struct weir_str){ b->data, b->len };
}

#endif
