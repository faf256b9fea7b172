/*
 * settings.h - a block's settings into the struct that its directives describe:
 * the same for modules and for the server's own blocks.
 */
#ifndef WEIR_CONFIG_SETTINGS_H
#define WEIR_CONFIG_SETTINGS_H

#include "config/grammar.h"

struct span { size_t begin, end; }; /* of expanded text */

struct settings {
    struct arena       *arena;
    struct conf_errors *errors;
    struct buf          secrets; /* of struct span: what WEIR_SECRET says */
};

/* `out` is zeroed memory; what is wrong is reported. */
void settings_fill(struct settings *s, const struct block *b, void *out);

/* Where `name` is set in a block, or where the block is. */
struct place settings_place(const struct block *b, const char *name);

#endif
