/*
 * position.c - places in a server's history: the `start` directive, MariaDB's
 * GTID lists, and the text that messages show.  Asks no server.
 */
#include "source_mysql.h"

#include "instant.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GTID_MAX 65536 /* entries of a list; more is no list of a server's */

void
position_set(struct position *p, struct weir_str gtid, struct weir_str file,
             uint64_t offset)
{
    char *const new_gtid = strndup(gtid.len ? gtid.data : "", gtid.len);
    char *const new_file = strndup(file.len ? file.data : "", file.len);

    if (!new_gtid || !new_file) {
        abort();
    }
    position_clear(p);
    *p = (struct position){ new_gtid, new_file, offset };
}

void
position_clear(struct position *p)
{
    free(p->gtid);
    free(p->file);
    *p = (struct position){ 0 };
}

const char *
position_text(const struct position *p, char *out, size_t room)
{
    if (p->gtid && *p->gtid) {
        snprintf(out, room, "GTID %s", p->gtid);
        if (strlen(p->gtid) + sizeof "GTID " > room && room > 4) {
            memcpy(out + room - 4, "...", 4);
        }
    } else {
        snprintf(out, room, "%s:%" PRIu64, p->file ? p->file : "", p->offset);
    }
    return out;
}

/* ---- Numbers and GTIDs */

/* Digits at *s up to max, moving *s behind them. */
static bool
number_take(struct weir_str *s, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;
    size_t   i = 0;

    for (; i < s->len && s->data[i] >= '0' && s->data[i] <= '9'; i++) {
        const uint64_t digit = (uint64_t)(s->data[i] - '0');
        if (v > (max - digit) / 10) {
            return false;
        }
        v = v * 10 + digit;
    }
    *out = v;
    s->data += i;
    s->len -= i;
    return i > 0;
}

static bool
byte_take(struct weir_str *s, char c)
{
    if (s->len == 0 || *s->data != c) {
        return false;
    }
    s->data++;
    s->len--;
    return true;
}

static bool
gtid_take(struct weir_str *s, struct gtid *out)
{
    uint64_t domain, server, seq;

    if (!number_take(s, UINT32_MAX, &domain) || !byte_take(s, '-') ||
        !number_take(s, UINT32_MAX, &server) || !byte_take(s, '-') ||
        !number_take(s, UINT64_MAX, &seq)) {
        return false;
    }
    *out = (struct gtid){ (uint32_t)domain, (uint32_t)server, seq };
    return true;
}

bool
gtid_list_parse(struct weir_str text, struct gtid_list *out)
{
    size_t room = 1;

    *out = (struct gtid_list){ 0 };
    for (size_t i = 0; i < text.len; i++) {
        room += text.data[i] == ',';
    }
    if (room > GTID_MAX) {
        return false;
    }
    out->items = calloc(room, sizeof *out->items);
    if (!out->items) {
        abort();
    }
    while (text.len > 0) {
        if (!gtid_take(&text, &out->items[out->n])) {
            gtid_list_free(out);
            return false;
        }
        out->n++;
        if (text.len > 0 && (!byte_take(&text, ',') || text.len == 0)) {
            gtid_list_free(out);
            return false;
        }
    }
    return true;
}

void
gtid_list_free(struct gtid_list *list)
{
    free(list->items);
    *list = (struct gtid_list){ 0 };
}

/* ---- The directive */

static enum weir_status
start_parse_gtid(struct weir_str text, struct start *out,
                 struct weir_err *err)
{
    struct gtid_list list;
    unsigned char   *code = NULL;
    size_t           len;

    if (text.len == 0) {
        return weir_fail(err, WEIR_FATAL, "start = \"gtid:\" names no GTID; "
                         "for the beginning there is start = earliest");
    }
    if (!gtid_list_parse(text, &list) && !gtid_code_make(text, &code, &len)) {
        return weir_fail(err, WEIR_FATAL,
                         "start = \"gtid:%.*s\" has neither a list of "
                         "MariaDB's GTIDs (as gtid:0-1-100,1-1-7) nor a set of "
                         "MySQL's (as gtid:UUID:1-100)", STR_ARG(text));
    }
    gtid_list_free(&list);
    free(code);
    *out = (struct start){ .kind = START_GTID, .gtid = text };
    return WEIR_OK;
}

static enum weir_status
start_parse_file(struct weir_str text, struct start *out,
                 struct weir_err *err)
{
    const char *colon = strrchr(text.data, ':');

    *out = (struct start){ .kind = START_FILE };
    if (colon) {
        struct weir_str rest = { colon + 1,
                                 text.len - (size_t)(colon + 1 - text.data) };
        out->file = (struct weir_str){ text.data,
                                       (size_t)(colon - text.data) };
        if (out->file.len > 0 && out->file.len <= 255 &&
            !memchr(out->file.data, '/', out->file.len) &&
            number_take(&rest, INT64_MAX, &out->offset) && rest.len == 0) {
            return out->offset >= 4
                       ? WEIR_OK
                       : weir_fail(err, WEIR_FATAL,
                                   "start = \"file:%.*s\": the first event of "
                                   "a binlog file is at 4", STR_ARG(text));
        }
    }
    return weir_fail(err, WEIR_FATAL,
                     "start = \"file:%.*s\" is not file:NAME:OFFSET, as "
                     "file:bin.000007:4", STR_ARG(text));
}

enum weir_status
start_parse(const char *text, struct start *out, struct weir_err *err)
{
    const size_t len = strlen(text);

    if (strcmp(text, "now") == 0) {
        *out = (struct start){ .kind = START_NOW };
        return WEIR_OK;
    }
    if (strcmp(text, "earliest") == 0) {
        *out = (struct start){ .kind = START_EARLIEST };
        return WEIR_OK;
    }
    if (strncmp(text, "gtid:", 5) == 0) {
        return start_parse_gtid((struct weir_str){ text + 5, len - 5 }, out,
                                err);
    }
    if (strncmp(text, "file:", 5) == 0) {
        return start_parse_file((struct weir_str){ text + 5, len - 5 }, out,
                                err);
    }
    if (strncmp(text, "time:", 5) == 0) {
        *out = (struct start){ .kind = START_TIME };
        return instant_parse(text + 5, &out->usec)
                   ? WEIR_OK
                   : weir_fail(err, WEIR_FATAL,
                               "start = \"%.100s\" has no time of 1970 to "
                               "2105 as time:2026-11-01 00:00:00, which is "
                               "UTC, or with a zone as "
                               "time:2026-11-01T02:00:00+02:00", text);
    }
    return weir_fail(err, WEIR_FATAL,
                     "start = \"%.100s\" is none of now, earliest, "
                     "gtid:0-1-100, file:bin.000007:4 and "
                     "time:2026-11-01 00:00:00", text);
}
