/* buf.c - see buf.h. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/check.h"

void
buf_free(struct buf *b)
{
    free(b->data);
    *b = (struct buf){ 0 };
}

void
buf_grow(struct buf *b, size_t n)
{
    assert(n < SIZE_MAX / 4 && b->len < SIZE_MAX / 4);
    size_t room = b->room ? b->room * 2 : 256;
    if (room < b->len + n) {
        room = b->len + n;
    }
    b->data = xrealloc(b->data, room);
    b->room = room;
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;

    va_start(ap, fmt);
    va_copy(again, ap);
    const int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    assert(n >= 0);
    vsnprintf(buf_need(b, (size_t)n + 1), (size_t)n + 1, fmt, again);
    va_end(again);
    b->len += (size_t)n;
}
