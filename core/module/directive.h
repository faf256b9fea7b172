/*
 * directive.h - a module's table of directives: read (whatever version of the
 * headers it was built with), text turned into numbers, shown as help.  Knows
 * neither templates nor formats nor the file that a text came from.
 */
#ifndef WEIR_MODULE_DIRECTIVE_H
#define WEIR_MODULE_DIRECTIVE_H

#include <stdio.h>

#include <weir/module.h>

#include "base/buf.h"

enum { DIRECTIVE_MAX = 256 }; /* in one table */

/* `size` is that of one entry as the table was built; shorter entries are
 * filled up with zeroes. */
size_t directive_count(const struct weir_directive *table, size_t size);
struct weir_directive directive_get(const struct weir_directive *table,
                                    size_t size, size_t i);

/* How many bytes of the conf struct it fills; 0: an unknown kind. */
size_t directive_width(enum weir_kind kind);
/* Is it a bool or an int64_t there? */
bool directive_is_number(enum weir_kind kind);

/* BOOL, INT, ENUM, SIZE, MSEC within their bounds; else FATAL: "'5x' ...". */
enum weir_status directive_number(const struct weir_directive *d,
                                  struct weir_str text, int64_t *out,
                                  struct weir_err *err);
/* A number as it would be written: 64k, 5s, on. */
void directive_format(const struct weir_directive *d, int64_t value,
                      struct buf *out);

/* Stores a number in the conf struct. */
void directive_store(const struct weir_directive *d, void *conf,
                     int64_t value);

/* The table as help, two lines each. */
void directive_help(const struct weir_directive *table, size_t size,
                    FILE *out);

#endif
