/*
 * arena.h - memory with one end.  Everything taken from an arena is given back
 * together, by arena_reset() or arena_free().  Allocations are zeroed, aligned
 * to 16 bytes and never NULL: out of memory ends the process, which the master
 * starts again at its checkpoint.  Sizes from outside are bounded by the
 * caller first.  An arena belongs to one thread at a time.
 */
#ifndef WEIR_BASE_ARENA_H
#define WEIR_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#include <weir/event.h>

struct arena_block;

struct arena {
    char               *next, *end;
    struct arena_block *blocks, *spare;
    size_t              used; /* bytes handed out since the last reset */
};

/* An arena may also simply be zeroed: { 0 } is an empty one. */
void arena_init(struct arena *a);
/* Everything is given back; blocks of ordinary size are kept for the next use. */
void arena_reset(struct arena *a);
void arena_free(struct arena *a);
/* What was taken since `*mark` was copied from `*a` is given back; there must
 * have been no reset in between. */
void arena_rewind(struct arena *a, const struct arena *mark);

void *arena_alloc(struct arena *a, size_t size);
/* Not zeroed: for what is filled at once. */
void *arena_take(struct arena *a, size_t size);
void *arena_array(struct arena *a, size_t n, size_t size);

/* Copies; the second always has a NUL behind it. */
void           *arena_copy(struct arena *a, const void *data, size_t size);
char           *arena_strdup(struct arena *a, const char *s);
struct weir_str arena_str(struct arena *a, struct weir_str s);
char           *arena_cstr(struct arena *a, struct weir_str s);
char           *arena_printf(struct arena *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

/* malloc() and its like, which end the process instead of returning NULL. */
void *xmalloc(size_t size);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);

#endif
