/* report.c - see report.h. */
#include "config/report.h"

#include <stdarg.h>
#include <stdio.h>

static void
tame(char *text)
{
    for (char *p = text; *p; p++) {
        if ((unsigned char)*p < ' ' || *p == 0x7f) {
            *p = '?';
        }
    }
}

void
report(struct conf_errors *errors, struct place at, const char *fmt, ...)
{
    char    where[1100], sentence[2048];
    va_list ap;

    errors->n++;
    if (!errors->say) {
        return;
    }
    if (at.line) {
        snprintf(where, sizeof where, "%.1024s:%u", at.file, at.line);
    } else {
        snprintf(where, sizeof where, "%.1024s", at.file);
    }
    va_start(ap, fmt);
    vsnprintf(sentence, sizeof sentence, fmt, ap);
    va_end(ap);
    tame(where);
    tame(sentence);
    errors->say(errors->arg, where, sentence);
}
