/*
 * server.c - what both flavours answer alike: the list of binlogs, a dump by
 * file and offset, and refusals.  Knows no GTID.
 */
#include "source_mysql.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DUMP_NON_BLOCK 1 /* BINLOG_DUMP_NON_BLOCK, sql/rpl_constants.h */

void
put_le(unsigned char *p, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        p[i] = (unsigned char)(v >> 8 * i);
    }
}

enum weir_status
server_first(struct conn *c, struct position *out, struct weir_err *err)
{
    struct result r;
    const enum weir_status st = conn_row(c, "SHOW BINARY LOGS", 1, &r, err);

    if (st == WEIR_OK) {
        position_set(out, (struct weir_str){ "", 0 }, result_str(&r, 0), 4);
        result_free(&r);
    }
    return st;
}

enum weir_status
server_has_file(struct source *src, struct weir_err *err)
{
    struct result    r;
    char             first[256] = "", last[256] = "";
    uint64_t         size = 0;
    bool             found = false;
    const size_t     len = strlen(src->at.file);
    enum weir_status st = conn_query(&src->dump, "SHOW BINARY LOGS", &r, err);

    while (st == WEIR_OK && result_next(&r)) {
        const struct weir_str name = result_str(&r, 0);
        snprintf(last, sizeof last, "%.*s", STR_ARG(name));
        if (!*first) {
            memcpy(first, last, sizeof first);
        }
        if (name.len == len && memcmp(name.data, src->at.file, len) == 0) {
            found = true;
            size = result_u64(&r, 1);
        }
    }
    result_free(&r);
    if (st != WEIR_OK) {
        return st;
    }
    if (!found) {
        return weir_fail(err, WEIR_FATAL,
                         "%s %s binlog %.64s, behind whose offset %" PRIu64
                         " this pipeline is; it has %.64s to %.64s. To go on, "
                         MEND, src->name,
                         len == strlen(first) && strcmp(src->at.file, first) < 0
                             ? "no longer has" : "does not have",
                         src->at.file, src->at.offset, first, last);
    }
    if (src->at.offset > size) {
        return weir_fail(err, WEIR_FATAL,
                         "%s has only %" PRIu64 " bytes of %.64s, and this "
                         "pipeline is at %" PRIu64 ": the server lost its end "
                         "or is another one's copy. To go on, " MEND,
                         src->name, size, src->at.file, src->at.offset);
    }
    if (src->at.offset > UINT32_MAX) {
        return weir_fail(err, WEIR_FATAL,
                         "%s:%" PRIu64 " can't be asked for: a dump by file "
                         "begins within its first 4 GiB; begin by GTID",
                         src->at.file, src->at.offset);
    }
    return WEIR_OK;
}

enum weir_status
server_dump_file(struct source *src, bool to_end, struct weir_err *err)
{
    unsigned char body[10 + 256];
    const size_t  len = strlen(src->at.file);

    if (len > 256) {
        return weir_fail(err, WEIR_FATAL, "binlog name %.64s...: too long",
                         src->at.file);
    }
    put_le(body, src->at.offset, 4);
    put_le(body + 4, to_end ? DUMP_NON_BLOCK : 0, 2); /* no annotate events */
    put_le(body + 6, src->server_id, 4);
    memcpy(body + 10, src->at.file, len);
    return dump_command(&src->dump, COM_BINLOG_DUMP, body, 10 + len, err);
}

enum weir_status
server_collision(struct source *src, struct weir_err *err)
{
    const int64_t now = now_ms();

    if (src->collisions && now - src->collided_ms > 10 * 60 * 1000) {
        src->collisions = 0;
    }
    src->collided_ms = now;
    if (++src->collisions < 3) {
        return weir_fail(err, WEIR_RETRY,
                         "%s cut us off: another replica came with our "
                         "server_id %" PRIu32 "; if that goes on, give one of "
                         "the two another server_id", src->name,
                         src->server_id);
    }
    src->collisions = 0;
    return weir_fail(err, WEIR_FATAL,
                     "%s cut us off three times: another replica has our "
                     "server_id %" PRIu32 " (%s there lists "
                     "them): set server_id in this block to one that nobody "
                     "has", src->name, src->server_id, src->flavour->replicas);
}

enum weir_status
server_refused(struct source *src, const char *reason, struct weir_err *err)
{
    char at[120];

    return weir_fail(err, WEIR_FATAL,
                     "%s refuses to send what comes behind %s: %.230s",
                     src->name, position_text(&src->at, at, sizeof at),
                     reason);
}
