/*
 * token.h - SQL text as tokens.  Comments of all kinds, quoting and sql_mode are
 * understood; what the tokens mean is the reader's business.
 */
#ifndef WEIR_SCHEMA_TOKEN_H
#define WEIR_SCHEMA_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/event.h>

#include "base/arena.h"

enum token_kind {
    TOKEN_END,
    TOKEN_WORD,   /* bare: a keyword, a name, a number */
    TOKEN_QUOTED, /* a name in quotes */
    TOKEN_STRING,
    TOKEN_SIGN,   /* any other one byte */
};

/* A copy of it is a place to go back to. */
struct tokens {
    struct arena   *a;
    const char     *p, *end;
    uint64_t        sql_mode;
    bool            mysql; /* to which MariaDB's comments are only comments */
    const char     *start; /* of the current one, in the statement */
    enum token_kind kind;
    struct weir_str text;  /* without quotes and escapes; in the statement's
                              text or in `a` */
    bool            broken; /* a quote or comment was never closed */
};

/* Stands at the first token. */
void tokens_init(struct tokens *t, struct arena *a, struct weir_str text,
                 uint64_t sql_mode, bool mysql);
void token_next(struct tokens *t);

bool token_is_word(const struct tokens *t, const char *word);
bool token_is_sign(const struct tokens *t, char c);
bool token_is_name(const struct tokens *t); /* WORD or QUOTED */

/* Past it if it stands there. */
bool token_take_word(struct tokens *t, const char *word);
bool token_take_sign(struct tokens *t, char c);
/* MariaDB: past SET STATEMENT a = 1, ... FOR, if it stands here, any number of
 * times.  False: something that it sets may change what the statement means,
 * *reads if even its text may have been read otherwise. */
bool token_take_set(struct tokens *t, bool *reads);
/* Past any of the words in a NULL-ended list. */
void token_skip_words(struct tokens *t, const char *const *words);

#endif
