/*
 * expand.h - files into one text: comments left out, includes put in place,
 * marks (scan.h) where the next line is from elsewhere.  Knows no directive
 * but `include("GLOB")`.
 */
#ifndef WEIR_CONFIG_EXPAND_H
#define WEIR_CONFIG_EXPAND_H

#include "config/report.h"

/* What stands in for a file's name where -g gave the text. */
#define EXPAND_OVERRIDES "-g"

enum { EXPAND_MAX_DEPTH = 10, EXPAND_MAX_BYTES = 16 << 20 };

/* False if anything was reported.  `overrides` may be NULL; `prefix` and `path`
 * are absolute, or relative to the working directory. */
bool expand_files(struct arena *a, const char *path, const char *prefix,
                  const char *overrides, struct conf_errors *errors,
                  struct weir_str *out);

#endif
