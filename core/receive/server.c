/*
 * server.c - whose log the stream is.  Another server than before is refused,
 * unless it has executed all that was read, or adopt = on says so.
 */
#include "receive/internal.h"

#include <stdio.h>

#include "base/err.h"
#include "base/log.h"
#include "base/str.h"

static bool
is_other(const struct receiver *r, struct weir_str id)
{
    return r->server_id.len && id.len &&
           !str_eq(buf_view(&r->server_id), id);
}

static void
take(struct receiver *r, struct weir_str id, struct weir_str version)
{
    if (is_other(r, id)) {
        r->moved = true;
        hold_forget_refusals(r); /* places are the old one's */
    }
    r->server_id.len = r->server_version.len = 0;
    buf_str(&r->server_id, id);
    buf_str(&r->server_version, version);
}

enum weir_status
server_feed(void *arg, struct weir_str id, struct weir_str version,
            struct weir_err *err)
{
    struct receiver *r = arg;

    if (is_other(r, id) && r->set.adopt) {
        log_warn("goes on with another server, as adopt = on says: %.*s",
                 STR_ARG(id));
    } else if (is_other(r, id)) {
        return weir_fail(
            err, WEIR_FATAL,
            "another server answers: \"%.*s\" (version %.*s), and what was "
            "read so far came from \"%.*s\".  If its log continues the old "
            "one's, set adopt = on in the pipeline once; else begin anew with "
            "an empty state directory",
            STR_ARG(id), STR_ARG(version), STR_ARG(buf_view(&r->server_id)));
    }
    take(r, id, version);
    return WEIR_OK;
}

enum weir_status
server_feed_host(void *arg, struct weir_str name, struct weir_str id,
                 struct weir_str version, bool covers, struct weir_err *err)
{
    struct receiver *r = arg;
    char             text[400];

    if (!covers) {
        const enum weir_status st = server_feed(r, id, version, err);
        if (st != WEIR_OK) {
            return st;
        }
    } else if (is_other(r, id)) {
        log_info("goes on with another server, which has executed all that "
                 "was read: %.*s, \"%.*s\" in place of \"%.*s\"",
                 STR_ARG(name), STR_ARG(id),
                 STR_ARG(buf_view(&r->server_id)));
    }
    take(r, id, version);
    const int n = snprintf(text, sizeof text, "%.*s (%.*s)",
                           name.len < 200 ? (int)name.len : 200, name.data,
                           version.len < 150 ? (int)version.len : 150,
                           version.data);
    page_set_text(r->set.page, PAGE_SERVER,
                  (struct weir_str){ text, (size_t)n });
    return WEIR_OK;
}

/* A segment's header says whose log it has. */
enum weir_status
server_settle(struct receiver *r, struct weir_err *err)
{
    if (!r->moved) {
        return WEIR_OK;
    }
    const enum weir_status st = relay_break(r->relay, err);
    r->moved = st != WEIR_OK;
    return st;
}
