/*
 * rows.h - tables, rows and batches made up: each weir_type, odd names, no key,
 * NULL and absent columns, zero dates, large values.  They stand in memory that
 * can't be written to while the module sees it, nor be read when it is done.
 */
#ifndef WEIR_TOOLS_MODTEST_ROWS_H
#define WEIR_TOOLS_MODTEST_ROWS_H

#include <pthread.h>

#include "base/arena.h"
#include "format/format.h"
#include "module/instance.h"

struct guard { /* pages of their own */
    char  *base;
    size_t size, used;
};
void  guard_init(struct guard *g, size_t size);
void *guard_alloc(struct guard *g, size_t size);
struct weir_str guard_str(struct guard *g, struct weir_str s);
void  guard_seal(struct guard *g);  /* read-only from here on */
void  guard_close(struct guard *g); /* nothing may touch it any more */

struct rows {
    uint64_t            seq;
    size_t              nextra; /* columns that the block's templates name */
    struct weir_str    *extra;
    size_t              big;
    const struct weir_format *formats[16]; /* of the block */
    size_t              nformats;
};

enum table_kind {
    TABLE_PLAIN,  /* id, name */
    TABLE_TYPES,  /* a column of each type */
    TABLE_NO_KEY, /* as plain */
    TABLE_ODD,    /* names with quotes, braces, slashes, UTF-8 */
    TABLE_WIDE,   /* 300 columns */
    TABLE_LATER,  /* plain, a column and a version later */
    TABLE_KINDS
};

struct made_table {
    struct weir_table         pub;
    enum table_kind           kind;
    struct guard              guard;
    const struct weir_table  *shown; /* what the module sees: in the guard */
    void                     *slot;
    bool                      is_known; /* table() said OK */
    size_t                    nformats;
    struct format_table      *formats[16];
};
struct made_table *table_make(struct rows *r, enum table_kind kind);
const char *table_title(enum table_kind kind);
void table_free(struct made_table **t);

/* A batch on its way. */
struct unit;
struct trial {
    struct batch_head head;
    struct unit      *u;
    struct guard      guard;
    size_t            room;
    struct weir_event       **events;
    const struct made_table **tables;
    void            **slots;
    pthread_mutex_t   lock;
    pthread_cond_t    ended;
    unsigned          ndone; /* weir_batch_done() */
    bool              is_over, in_write;
    enum weir_status  outcome;
    struct weir_err   reason;
    size_t            nverdicts, nretry;
    size_t            bytes;
};

enum image { /* what is in a row beside its key */
    IMAGE_ORDINARY, IMAGE_NULL, IMAGE_ABSENT, IMAGE_EXTREME, IMAGE_ZERO,
    IMAGE_EMPTY, IMAGE_BIG, IMAGE_NULL_KEY, IMAGES
};
const char *image_title(enum image image);

/* Room for so many events and bytes of values. */
struct trial *trial_new(size_t events, size_t bytes);
/* An event of row `id`; `t` may be NULL for DDL. */
struct weir_event *trial_add(struct trial *b, struct rows *r, enum weir_op op,
                             const struct made_table *t, int64_t id,
                             enum image image);
/* One image, for who wants no batch. */
const struct weir_value *row_image(struct guard *g, const struct rows *r,
                                   const struct made_table *t, int64_t id,
                                   enum image image);
/* Its checkpoint; `data` is copied. */
void trial_checkpoint(struct trial *b, const char *id, uint32_t slot,
                      uint64_t epoch, struct weir_str data);
void trial_free(struct trial **b);

/* Are they the same value? */
bool value_eq(const struct weir_value *a, const struct weir_value *b);
bool type_has_text(enum weir_type type);

#endif
