/*
 * template.h - text with columns: "user:{id}", "{database}/{table}.jsonl".
 * {database} and {table} are the event's own; any other name is a column.
 * "{created:%Y.%m}" is a date by its parts.  "{{" and "}}" stand for braces.
 * Read once at the config test, bound to each
 * version of a table.
 */
#ifndef WEIR_FORMAT_TEMPLATE_H
#define WEIR_FORMAT_TEMPLATE_H

#include <weir/module.h>

#include "base/arena.h"
#include "base/buf.h"

enum template_kind { PART_TEXT, PART_DATABASE, PART_TABLE, PART_COLUMN };
struct template_part {
    enum template_kind kind;
    struct weir_str    text; /* the text, or the column's name */
    struct weir_str    date; /* of a column: "%Y.%m"; empty: as SQL prints it */
};
struct weir_template {
    const char                 *source; /* as configured */
    unsigned                    flags;  /* WEIR_ORDER, WEIR_PATH */
    size_t                      nparts;
    const struct template_part *parts;
};

/* FATAL: unbalanced braces, an empty name, an unknown part of a date.  With WEIR_PATH also a template that
 * is empty, has ".." in its text or ends in '/'. */
enum weir_status template_parse(struct arena *a, const char *text,
                                unsigned flags,
                                const struct weir_template **out,
                                struct weir_err *err);

/* The columns of a table that it names: out[i] for part i, UINT32_MAX for other
 * kinds.  A name in other letter case is found where there is none in the same.
 * REJECT: the table has no such column (says which, and its columns), or one
 * that is no date where its parts are wanted. */
enum weir_status template_bind(const struct weir_template *t,
                               const struct weir_table *table, uint32_t *out,
                               struct weir_err *err);

/* Filled in from one image, behind what is in `out`.  With WEIR_PATH what a
 * column, database or table brings can't leave its place: '/', '\\', '%', a
 * leading '.' and control characters are written %2F-like, an empty value is
 * "%", and of what would make a name longer than 255 bytes the rest is replaced
 * by "~" and a hash of the whole.  REJECT: a NULL or ABSENT column; `out` is as
 * it was. */
enum weir_status template_expand(const struct weir_template *t,
                                 const uint32_t *bound,
                                 const struct weir_table *table,
                                 const struct weir_value *image,
                                 struct buf *out, struct weir_err *err);

/* Where all columns are `*`: a glob (Redis's SCAN MATCH), with glob characters
 * of the text escaped.  Without a table {database} and {table} stand as they
 * are.  `literal` is how many bytes stand before the first
 * star. */
void template_glob(const struct weir_template *t,
                   const struct weir_table *table, struct buf *out,
                   size_t *literal);

#endif
