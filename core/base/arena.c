/* arena.c - blocks of growing size; see arena.h. */
#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum { ALIGN = 16, FIRST_BLOCK = 4096, LARGEST_BLOCK = 1 << 20 };

struct arena_block {
    struct arena_block *older;
    size_t              size; /* of data */
    _Alignas(16) char   data[];
};

static _Noreturn void
out_of_memory(size_t size)
{
    fprintf(stderr, "weir: out of memory: %zu bytes\n", size);
    abort();
}

void *
xmalloc(size_t size)
{
    void *p = malloc(size ? size : 1);
    if (!p) {
        out_of_memory(size);
    }
    return p;
}

void *
xcalloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1);
    if (!p) {
        out_of_memory(n * size);
    }
    return p;
}

void *
xrealloc(void *p, size_t size)
{
    void *q = realloc(p, size ? size : 1);
    if (!q) {
        out_of_memory(size);
    }
    return q;
}

char *
xstrdup(const char *s)
{
    const size_t n = strlen(s) + 1;
    return memcpy(xmalloc(n), s, n);
}

void
arena_init(struct arena *a)
{
    *a = (struct arena){ 0 };
}

#ifdef WEIR_DEBUG_ARENA
enum { REUSE = 0 }; /* each its own malloc: the sanitizer sees its edges */
#else
enum { REUSE = 1 };
#endif

static size_t
block_size(const struct arena *a, size_t least)
{
    size_t block = a->blocks ? a->blocks->size * 2 : FIRST_BLOCK;

    if (block > LARGEST_BLOCK) {
        block = LARGEST_BLOCK;
    }
    return !REUSE || block < least ? least : block;
}

static void
arena_grow(struct arena *a, size_t size)
{
    struct arena_block *b = a->spare;

    if (b && b->size >= size) {
        a->spare = b->older;
    } else {
        const size_t block = block_size(a, size);
        b = xmalloc(sizeof *b + block);
        b->size = block;
    }
    b->older = a->blocks;
    a->blocks = b;
    a->next = b->data;
    a->end = b->data + b->size;
}

void *
arena_take(struct arena *a, size_t size)
{
    assert(size < SIZE_MAX / 2);
    const size_t least = size ? size : 1; /* never NULL */
    const size_t need = (least + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (!REUSE || (size_t)(a->end - a->next) < need) {
        arena_grow(a, need);
    }
    void *p = a->next;
    a->next += need;
    a->used += need;
    return p;
}

void *
arena_alloc(struct arena *a, size_t size)
{
    return memset(arena_take(a, size), 0, size);
}

void *
arena_array(struct arena *a, size_t n, size_t size)
{
    assert(size == 0 || n <= SIZE_MAX / 4 / size);
    return arena_alloc(a, n * size);
}

void
arena_rewind(struct arena *a, const struct arena *mark)
{
    while (a->blocks != mark->blocks) {
        struct arena_block *b = a->blocks;
        a->blocks = b->older;
        if (!REUSE || b->size > LARGEST_BLOCK) {
            free(b);
        } else {
            b->older = a->spare;
            a->spare = b;
        }
    }
    a->next = mark->next;
    a->end = mark->end;
    a->used = mark->used;
}

void
arena_reset(struct arena *a)
{
    const struct arena empty = { 0 };

    arena_rewind(a, &empty);
}

void
arena_free(struct arena *a)
{
    arena_reset(a);
    while (a->spare) {
        struct arena_block *b = a->spare;
        a->spare = b->older;
        free(b);
    }
    arena_init(a);
}

void *
arena_copy(struct arena *a, const void *data, size_t size)
{
    char *p = arena_take(a, size + 1);
    if (size) {
        memcpy(p, data, size);
    }
    p[size] = '\0';
    return p;
}

char *
arena_strdup(struct arena *a, const char *s)
{
    return arena_copy(a, s, strlen(s));
}

struct weir_str
arena_str(struct arena *a, struct weir_str s)
{
    return (struct weir_str){ arena_copy(a, s.data, s.len), s.len };
}

char *
arena_cstr(struct arena *a, struct weir_str s)
{
    return arena_copy(a, s.data, s.len);
}

char *
arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    const int n = vsnprintf(NULL, 0, fmt, ap);
    assert(n >= 0);
    char *p = arena_take(a, (size_t)n + 1);
    vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return p;
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *p = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return p;
}
