/*
 * grammar.h - tokens into a tree of blocks and settings, by libconfuse.  Knows
 * which names a block may have, not what their values mean.
 */
#ifndef WEIR_CONFIG_GRAMMAR_H
#define WEIR_CONFIG_GRAMMAR_H

#include "config/scan.h"

/* What may stand in a block. */
struct syntax {
    const char                  *name;
    bool                         titled; /* pipeline NAME { ... } */
    const struct weir_directive *directives; /* may be NULL */
    size_t                       directive_size;
    const struct weir_module    *module; /* whose block it is, or NULL */
    enum weir_stage              stage;  /* of modules in it, or 0 */
    size_t                       nblocks;
    const struct syntax *const  *blocks;
};

struct setting {
    const struct token        *name;
    bool                       list; /* written with braces */
    size_t                     nvalues;
    const struct token *const *values;
};

struct block {
    const struct syntax *syntax;
    const struct token  *name, *title, *end; /* title NULL where it has none;
                                                all three of the root's, too */
    size_t               nsettings;
    struct setting      *settings; /* as written, doubles and all */
    size_t               nblocks;
    struct block       **blocks;
    bool                 damaged; /* an error was said: something is missing */
};

/* Where a name was not known: says so, and what to do. */
struct grammar {
    struct arena        *arena;
    struct conf_errors  *errors;
    const struct tokens *tokens;
    const struct syntax *root;
    /* Files (sink_redis.so) whose load_module() already failed. */
    size_t               nfailed;
    const char *const   *failed;
};

/* Tokens of load_module("..."), which stand for themselves, are left out. */
struct block *grammar_parse(struct grammar *g);

/* The tokens `i` to the result are a statement: a setting, a block, a call, or
 * what looks most like one. */
size_t grammar_statement_end(const struct tokens *t, size_t i);

#endif
