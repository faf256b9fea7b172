/*
 * given.h - definitions that a person gave (weirctl schema set), each for the
 * table frames of one stretch of the relay; and the file that they are kept in.
 * Knows neither who gave them nor how the stretches were found.
 */
#ifndef WEIR_SCHEMA_GIVEN_H
#define WEIR_SCHEMA_GIVEN_H

#include "schema/ddl.h"
#include "schema/table.h"

struct given {
    struct given            *next;
    uint64_t                 from, to; /* offsets in the relay; `to` not */
    bool                     at_end;   /* `to` was the relay's end then */
    struct weir_str          schema, name;
    const struct definition *def;
};

/* "<state>/PIPELINE/schema.given", which the source worker writes. */
const char *given_path(struct arena *a, const char *state,
                       const char *pipeline);
/* All of the file, in `a`; *out NULL if there is none.  FATAL: it can't be
 * read, or is damaged. */
enum weir_status given_read(struct arena *a, const char *path,
                            struct given **out, struct weir_err *err);
enum weir_status given_write(const char *path, const struct given *list,
                             struct weir_err *err);

/* The one for a table frame at `offset`, or NULL. */
const struct given *given_find(const struct given *list,
                               struct weir_str schema, struct weir_str name,
                               uint64_t offset);
/* The payload of a table frame whose names are unknown, with those that were
 * given for it, in `a`.  False: none were, or it has names. */
bool given_payload(struct arena *a, const struct given *list,
                   struct weir_str payload, uint64_t offset,
                   struct weir_str *out);

/* The table that a CREATE TABLE makes.  REJECT: it is none, is not understood,
 * or makes another table than the one that is meant. */
enum weir_status given_statement(struct arena *a,
                                 const struct ddl_session *session,
                                 struct weir_str text, struct weir_str name,
                                 ddl_lookup lookup, void *arg,
                                 const struct definition **out,
                                 struct weir_err *err);

#endif
