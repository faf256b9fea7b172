/*
 * template.h - text with columns: "user:{id}", "{database}/{table}.jsonl".
 * {database} and {table} are the event's own; any other name is a column.
 * "{{" and "}}" stand for braces.  Read once at the config test, bound to each
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
};
struct weir_template {
    const char                 *source; /* as configured */
    unsigned                    flags;  /* WEIR_ORDER, WEIR_PATH */
    size_t                      nparts;
    const struct template_part *parts;
};

/* FATAL: unbalanced braces, an empty name.  With WEIR_PATH also a template that
 * is absolute behind a column, or has ".." in its text. */
enum weir_status template_parse(struct arena *a, const char *text,
                                unsigned flags,
                                const struct weir_template **out,
                                struct weir_err *err);

/* The columns of a table that it names: out[i] for part i, UINT32_MAX for other
 * kinds.  REJECT: the table has no such column (says which, and its columns). */
enum weir_status template_bind(const struct weir_template *t,
                               const struct weir_table *table, uint32_t *out,
                               struct weir_err *err);

/* Filled in from one image.  With WEIR_PATH what a column, database or table
 * brings can't leave its place: '/', NUL, a leading '.' and what is not
 * printable are written %2F-like, and names are cut to 255 bytes.  REJECT: a
 * NULL or ABSENT column. */
enum weir_status template_expand(const struct weir_template *t,
                                 const uint32_t *bound,
                                 const struct weir_table *table,
                                 const struct weir_value *image,
                                 struct buf *out, struct weir_err *err);

/* Where all columns are `*`: a glob (Redis's SCAN MATCH), with glob characters
 * of the text escaped.  `literal` is how many bytes stand before the first
 * star. */
void template_glob(const struct weir_template *t,
                   const struct weir_table *table, struct buf *out,
                   size_t *literal);

#endif
