/*
 * str.h - struct weir_str, text with a length and no NUL, and sets of names.
 */
#ifndef WEIR_BASE_STR_H
#define WEIR_BASE_STR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <weir/event.h>

#define STR(literal) ((struct weir_str){ "" literal, sizeof(literal) - 1 })
/* For printf: "%.*s", STR_ARG(s). */
#define STR_ARG(s) (int)((s).len > 4096 ? 4096 : (s).len), ((s).data ? (s).data : "")

static inline struct weir_str
str_of(const char *s)
{
    return (struct weir_str){ s, s ? strlen(s) : 0 };
}

static inline bool
str_eq(struct weir_str a, struct weir_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool
str_is(struct weir_str a, const char *s)
{
    return str_eq(a, str_of(s));
}

bool str_eq_nocase(struct weir_str a, struct weir_str b);
bool str_has_prefix(struct weir_str s, const char *prefix);

/* A glob: `*` is any run, `?` any one byte, `\` takes the next literally. */
bool str_glob(struct weir_str pattern, struct weir_str text);

/* Decimal digits only, no sign; false if it is anything else or too large. */
bool str_u64(struct weir_str s, uint64_t *out);

/* 64-bit FNV-1a; goes on from `seed`, which is 0 at first. */
uint64_t str_hash(uint64_t seed, struct weir_str s);

/* The one of `names` that was probably meant by `typed`, or NULL. */
const char *str_nearest(const char *typed, const char *const *names, size_t n);

/* Control bytes, C1 as UTF-8 too, become '?': what others named must not steer
 * the terminal of who reads it, nor forge a line.  Tabs stay. */
void str_tame(char *text, size_t len);

/* "3rd" */
const char *str_ordinal(unsigned n, char out[static 16]);

#endif
