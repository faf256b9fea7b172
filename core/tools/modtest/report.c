/* report.c - see report.h. */
#include "tools/modtest/report.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int                 report_fd = -1;
static struct report_page *report_page;
static atomic_uint         failed;

void
report_to(int fd, struct report_page *page)
{
    report_fd = fd;
    report_page = page;
}

/* One line, whole: a pipe takes so many bytes at once from any thread. */
static void __attribute__((format(printf, 2, 0)))
say(const char *kind, const char *fmt, va_list ap)
{
    char      line[1024];
    const int head = snprintf(line, sizeof line, "%s", kind);

    int n = vsnprintf(line + head, sizeof line - (size_t)head - 1, fmt, ap);
    n = n < (int)sizeof line - head - 2 ? n : (int)sizeof line - head - 2;
    for (int i = head; i < head + n; i++) {
        line[i] = line[i] == '\n' || line[i] == '#' ? ' ' : line[i];
    }
    while (n > 0 && (line[head + n - 1] == ' ' || line[head + n - 1] == ':')) {
        n--; /* a reason that is empty */
    }
    line[head + n] = '\n';
    if (write(report_fd, line, (size_t)(head + n) + 1) == -1) {
        _exit(2); /* who reads it is gone */
    }
}

bool
point(bool pass, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(pass ? "ok " : "not ok ", fmt, ap);
    va_end(ap);
    failed += !pass;
    return pass;
}

void
breach(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say("not ok ", fmt, ap);
    va_end(ap);
    failed++;
}

void
note(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say("note ", fmt, ap);
    va_end(ap);
}

static void __attribute__((format(printf, 2, 3)))
say_line(const char *kind, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(kind, fmt, ap);
    va_end(ap);
}

void
skipped(const char *what, const char *why)
{
    say_line("skip ", "%s\t%s", what, why);
}

void
report_end(void)
{
    say_line("end ", "%s", "");
}

unsigned
breaches(void)
{
    return failed;
}

void
calling(const char *function)
{
    if (report_page) {
        snprintf(report_page->call, sizeof report_page->call, "%s",
                 function ? function : "");
    }
}
