/*
 * report.h - what a section of weir-modtest finds out, told to the process that
 * runs it: points of the test, notes, and which of the module's functions is
 * being called.  Knows nothing of modules.
 */
#ifndef WEIR_TOOLS_MODTEST_REPORT_H
#define WEIR_TOOLS_MODTEST_REPORT_H

#include <stdbool.h>

/* Shared by a section's process and the one that runs it, which reads it when
 * the section has died. */
struct report_page {
    char call[64]; /* "write()", or empty */
    int  stage;    /* of the module, known once it was loaded */
    char title[160];
};

/* In a section: where its lines go. */
void report_to(int fd, struct report_page *page);

/* A point of the test; gives `pass` back.  Any thread. */
bool point(bool pass, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* A point that can't be tried here, and why. */
void skipped(const char *what, const char *why);
/* A line for people, behind the point it explains. */
void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* A promise that was broken: a failed point.  Any thread. */
void breach(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
unsigned breaches(void); /* failed points so far */
/* The section came to its end. */
void report_end(void);

/* Names the function that is called from here on; NULL: none. */
void calling(const char *function);

#endif
