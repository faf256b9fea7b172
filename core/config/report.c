/* report.c - see report.h. */
#include "config/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

static void __attribute__((format(printf, 4, 0)))
say_at(const struct conf_errors *errors,
       void (*say)(void *arg, const char *where, const char *sentence),
       struct place at, const char *fmt, va_list ap)
{
    char where[1100], sentence[2048];

    if (!say) {
        return;
    }
    if (at.line) {
        snprintf(where, sizeof where, "%.1024s:%u", at.file, at.line);
    } else {
        snprintf(where, sizeof where, "%.1024s", at.file);
    }
    vsnprintf(sentence, sizeof sentence, fmt, ap);
    str_tame(where, strlen(where));
    str_tame(sentence, strlen(sentence));
    say(errors->arg, where, sentence);
}

void
report(struct conf_errors *errors, struct place at, const char *fmt, ...)
{
    va_list ap;

    errors->n++;
    va_start(ap, fmt);
    say_at(errors, errors->say, at, fmt, ap);
    va_end(ap);
}

void
report_warning(struct conf_errors *errors, struct place at, const char *fmt,
               ...)
{
    va_list ap;

    va_start(ap, fmt);
    say_at(errors, errors->warn, at, fmt, ap);
    va_end(ap);
}
