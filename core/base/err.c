/* err.c - see err.h. */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum weir_status
weir_fail(struct weir_err *err, enum weir_status why, const char *fmt, ...)
{
    va_list ap;

    if (err) {
        va_start(ap, fmt);
        vsnprintf(err->text, sizeof err->text, fmt, ap);
        va_end(ap);
    }
    return why;
}

enum weir_status
weir_wrap(struct weir_err *err, enum weir_status why, const char *fmt, ...)
{
    struct weir_err reason;
    va_list         ap;

    if (!err) {
        return why;
    }
    reason = *err;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    const size_t n = strlen(err->text);
    snprintf(err->text + n, sizeof err->text - n, ": %s", reason.text);
    return why;
}

enum weir_status
fail_errno(struct weir_err *err, enum weir_status why, const char *fmt, ...)
{
    const int saved = errno;
    va_list   ap;

    if (err) {
        va_start(ap, fmt);
        vsnprintf(err->text, sizeof err->text, fmt, ap);
        va_end(ap);
        const size_t n = strlen(err->text);
        snprintf(err->text + n, sizeof err->text - n, ": %s",
                 strerror(saved));
    }
    return why;
}

const char *
status_name(enum weir_status status)
{
    switch (status) {
    case WEIR_OK:
        return "OK";
    case WEIR_PENDING:
        return "PENDING";
    case WEIR_DROP:
        return "DROP";
    case WEIR_RETRY:
        return "RETRY";
    case WEIR_REJECT:
        return "REJECT";
    case WEIR_FATAL:
        return "FATAL";
    case WEIR_FENCED:
        return "FENCED";
    }
    return "an unknown outcome";
}
