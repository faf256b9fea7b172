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

struct remedy { int error; const char *text; };

/* Of what passes, without a change of anything that is ours. */
const char *
err_remedy(int error)
{
    static const struct remedy remedies[] = {
        { ENOSPC, ERR_NO_ROOM },
        { EDQUOT, "the quota is used up: " ERR_NO_ROOM },
        { EMFILE, "raise the limit of open files (LimitNOFILE of systemd, "
                  "ulimit -n)" },
        { ENFILE, "the machine has no more: raise fs.file-max" },
    };

    for (size_t i = 0; i < sizeof remedies / sizeof *remedies; i++) {
        if (remedies[i].error == error) {
            return remedies[i].text;
        }
    }
    return "";
}

enum weir_status
fail_errno(struct weir_err *err, enum weir_status why, const char *fmt, ...)
{
    const int   saved = errno;
    const char *remedy = err_remedy(saved);
    va_list     ap;

    if (err) {
        va_start(ap, fmt);
        vsnprintf(err->text, sizeof err->text, fmt, ap);
        va_end(ap);
        const size_t n = strlen(err->text);
        snprintf(err->text + n, sizeof err->text - n, ": %s%s%s",
                 strerror(saved), *remedy ? ": " : "", remedy);
    }
    return *remedy && why == WEIR_FATAL ? WEIR_RETRY : why;
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
