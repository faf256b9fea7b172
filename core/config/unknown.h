/*
 * unknown.h - what to say of a name that nobody knows: what was probably meant,
 * or which module would have to be loaded.
 */
#ifndef WEIR_CONFIG_UNKNOWN_H
#define WEIR_CONFIG_UNKNOWN_H

#include "config/grammar.h"

/* Token `at` stands in a block of `syntax`, where a name is expected. */
void unknown_name(const struct grammar *g, const struct syntax *syntax,
                  size_t at);

/* "block 'redis'", "the top level". */
const char *syntax_place(const struct syntax *s);

#endif
