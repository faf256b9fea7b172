/*
 * format.h - events as text: `weir` (the envelope, see modules/README.md) and
 * `row` (the bare after-image), one JSON object a line.  Writes only; knows no
 * sink.  Numbers exact, binary as base64, UTF-8 as it is.
 */
#ifndef WEIR_FORMAT_FORMAT_H
#define WEIR_FORMAT_FORMAT_H

#include <stdbool.h>

#include <weir/module.h>

#include "base/arena.h"
#include "base/buf.h"

struct weir_format { /* made once for a directive; shared by all tables */
    const char *name; /* "weir", "row" */
    unsigned    style; /* of value.h */
    struct weir_str note; /* more of metadata: `,"name":value`, or nothing */
    /* What a writer prepares for a table is its own affair: */
    const struct format_ops *ops;
};

/* "weir", "row", with options after a colon: "weir:decimals=string".  FATAL,
 * with the known ones, if there is no such format. */
enum weir_status format_find(struct arena *a, const char *text,
                             const struct weir_format **out,
                             struct weir_err *err);

/* What is the same for all events of one version of a table, which outlives
 * it.  Used by one thread at a time. */
struct format_table;
struct format_table *format_table_new(const struct weir_format *f,
                                      const struct weir_table *table);
void                 format_table_free(struct format_table **ft);

/* Appends one event, with a newline behind it, or nothing where the format has
 * nothing to say of it (`row` of a DELETE).  `ft` is NULL where the event has
 * no table. */
void format_event(const struct weir_format *f, struct format_table *ft,
                  const struct weir_event *ev, struct buf *out);

/* A value as SQL prints it (no quotes): "2026-01-02 03:04:05.000", "1.50",
 * bytes as they are.  NULL and ABSENT give nothing. */
void format_text(const struct weir_column *column, const struct weir_value *v,
                 struct buf *out);
/* A value as JSON. */
void format_json_value(const struct weir_column *column,
                       const struct weir_value *v, bool decimals_as_string,
                       struct buf *out);
/* A JSON string of any bytes, quotes and all; invalid UTF-8 is replaced. */
void format_json_string(struct weir_str s, struct buf *out);

#endif
