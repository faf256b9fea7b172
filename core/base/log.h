/*
 * log.h - one line a fact: `time level pid context: sentence`.  The context
 * ("shop/cache", "master") is set once for each process.  The same sentence
 * again within a minute is counted and said once, when another comes or the
 * minute is over.  A logger that can't write stops nobody: see log_trouble().
 */
#ifndef WEIR_BASE_LOG_H
#define WEIR_BASE_LOG_H

#include <stdbool.h>
#include <stdarg.h>

#include <weir/module.h>

/* Opens `path` for appending, or standard error if it is NULL. */
enum weir_status log_open(const char *path, struct weir_err *err);
/* The same file by its path again, after it was rotated away. */
void log_reopen(void);
int  log_fd(void);

void log_level(enum weir_level least);
/* `log_format = json`: one object a line, the same fields as its keys. */
void log_json(bool on);
bool log_level_parse(const char *name, enum weir_level *out);
bool log_enabled(enum weir_level level);
/* Copied.  Called in a worker right after the fork. */
void log_context(const char *context);

void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_vwrite(enum weir_level level, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));
/* Says what was held back; called now and then by main loops. */
void log_flush(void);
/* errno of the line that could not be written last; 0: the last one could.  How
 * many are missing is said where there is room again. */
int log_trouble(void);

#endif
