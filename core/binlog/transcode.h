/*
 * transcode.h - text of the servers' charsets to UTF-8, but for those that
 * text.h has.  By tables only: those of charsets of several bytes are made with
 * iconv(3) when they are first asked for, so that no value ever passes through
 * it, and characters that the servers see differently are theirs.
 */
#ifndef WEIR_BINLOG_TRANSCODE_H
#define WEIR_BINLOG_TRANSCODE_H

#include <weir/event.h>

struct transcoder;

/* By MySQL's name of a charset.  NULL: there is none such, or this system's
 * iconv doesn't know it.  Lives as long as the process; any thread may ask. */
const struct transcoder *transcoder_of(struct weir_str charset);

/* To `out`, which has room for 3 * len bytes; how much it wrote, or SIZE_MAX:
 * the bytes are no text in that charset. */
size_t transcode(const struct transcoder *t, const char *s, size_t len,
                 char *out);

#endif
