/* ctl_relay.c - weirctl relay ls|verify|dump: the segments on disk, whether a
 * server runs or not. */
#include "tools/ctl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "master/status.h"
#include "relay/origin.h"
#include "tools/frame_json.h"

enum { FLUSH_BYTES = 1 << 16 };

bool
ctl_open_relay(struct ctl *c, const char *pipeline, struct relaylog *out)
{
    struct weir_err err;
    struct arena   *a = &c->arena;

    const char *dir = arena_printf(a, "%s/%s/relay", c->state, pipeline);
    const char *page = arena_printf(a, "%s/run/%s.relay", c->state, pipeline);
    if (relaylog_open(dir, page, out, &err) != WEIR_OK) {
        ctl_say(CTL_FAILED, "%s", err.text);
        return false;
    }
    return true;
}

/* ---- ls */

struct summary {
    struct origin origin;
    int64_t       first_usec, last_usec;
    uint64_t      transactions, frames;
};

static enum weir_status
summarize(struct relaylog *l, struct summary *s, struct weir_err *err)
{
    struct frame       f;
    struct head_fields h;
    enum weir_status   st;

    while ((st = relaylog_next(l, &f, err)) == WEIR_OK) {
        s->frames++;
        if (f.type != FRAME_TXN_HEAD || (f.flags & FRAME_CONTINUED) ||
            !head_parse(&f, &h)) {
            continue;
        }
        s->transactions++;
        s->first_usec = s->first_usec ? s->first_usec : h.commit_usec;
        s->last_usec = h.commit_usec;
    }
    return st == WEIR_DROP ? WEIR_OK : st;
}

static void
list_segment(struct ctl *c, const struct relaylog *l, const struct summary *s,
             struct buf *json)
{
    char from[25] = "-", to[25] = "-", size[24];

    if (c->json) {
        buf_text(json, json->len > 1 ? ",{" : "{");
        ctl_uint(json, "base", l->head.base);
        ctl_uint(json, "bytes", l->size);
        ctl_time(json, "created", l->head.created_usec);
        ctl_uint(json, "transactions", s->transactions);
        ctl_time(json, "first_commit", s->first_usec);
        ctl_time(json, "last_commit", s->last_usec);
        ctl_text(json, "gtid_set", s->origin.gtid_set);
        ctl_text(json, "file", s->origin.file);
        ctl_uint(json, "file_offset", s->origin.file_offset);
        ctl_text(json, "path", str_of(l->path));
        buf_text(json, "}");
        return;
    }
    if (s->first_usec) {
        clock_format(s->first_usec, from);
        clock_format(s->last_usec, to);
    }
    status_bytes(l->size, size);
    printf("%020" PRIu64 "  %10s  %8" PRIu64 "  %-24s  %-24s  %s (%s:%"
           PRIu64 ")\n", l->head.base, size, s->transactions, from, to,
           ctl_shown(&c->arena, s->origin.gtid_set),
           ctl_shown(&c->arena, s->origin.file), s->origin.file_offset);
}

static int
relay_ls(struct ctl *c, struct relaylog *l)
{
    struct buf       json = { 0 };
    struct weir_err  err;
    enum weir_status st = WEIR_OK;

    l->heads_only = true;
    if (c->json) {
        buf_text(&json, "[");
    } else {
        printf("%-20s  %10s  %8s  %-24s  %-24s  %s\n", "BASE", "SIZE", "TXNS",
               "FIRST COMMIT", "LAST COMMIT", "BEGINS BEHIND");
    }
    for (size_t i = 0; st == WEIR_OK && i < l->names.nbases; i++) {
        struct summary s = { 0 };
        st = relaylog_enter(l, i, &err);
        if (st == WEIR_OK) {
            st = origin_parse(&c->arena, l->head.origin, &s.origin, &err);
        }
        if (st == WEIR_OK) {
            st = summarize(l, &s, &err);
        }
        if (st == WEIR_OK) {
            list_segment(c, l, &s, &json);
        }
    }
    if (c->json) {
        buf_text(&json, "]");
        ctl_print(&json);
    }
    buf_free(&json);
    return st == WEIR_OK || st == WEIR_DROP ? CTL_OK
                                            : ctl_say(CTL_FAILED, "%s",
                                                      err.text);
}

/* ---- verify and dump */

static int
relay_verify(struct ctl *c, struct relaylog *l)
{
    uint64_t frames = 0, bad = 0, bytes = 0;
    size_t   segments = 0;

    for (size_t i = 0; i < l->names.nbases; i++) {
        struct weir_err  err;
        struct frame     f;
        enum weir_status st = relaylog_enter(l, i, &err);
        if (st == WEIR_DROP) {
            break;
        }
        segments++;
        while (st == WEIR_OK && (st = relaylog_next(l, &f, &err)) == WEIR_OK) {
            frames++;
            bytes += f.next - f.offset;
        }
        if (st != WEIR_DROP) {
            ctl_say(CTL_FAILED, "%s", err.text);
            bad++;
        }
    }
    if (c->json) {
        struct buf out = { 0 };
        buf_text(&out, "{");
        ctl_bool(&out, "ok", bad == 0);
        ctl_int(&out, "segments", (int64_t)segments);
        ctl_uint(&out, "frames", frames);
        ctl_uint(&out, "bytes", bytes);
        ctl_uint(&out, "damaged_segments", bad);
        buf_text(&out, "}");
        ctl_print(&out);
        buf_free(&out);
    } else {
        printf("%zu segments, %" PRIu64 " frames, %" PRIu64 " bytes: %s\n",
               segments, frames, bytes,
               bad ? "damaged, see above" : "every checksum is right");
    }
    return bad ? CTL_FAILED : CTL_OK;
}

static int
relay_dump(struct relaylog *l)
{
    struct frame_json *j = frame_json_new();
    struct buf         out = { 0 };
    struct weir_err    err;
    int                result = CTL_OK;

    for (size_t i = 0; i < l->names.nbases; i++) {
        struct frame     f;
        enum weir_status st = relaylog_enter(l, i, &err);
        while (st == WEIR_OK && (st = relaylog_next(l, &f, &err)) == WEIR_OK) {
            frame_json_put(j, l, &f, &out);
            buf_byte(&out, '\n');
            if (out.len > FLUSH_BYTES) {
                fwrite(out.data, 1, out.len, stdout);
                out.len = 0;
            }
        }
        if (st != WEIR_DROP) {
            result = ctl_say(CTL_FAILED, "%s", err.text);
        }
    }
    fwrite(out.data, 1, out.len, stdout);
    buf_free(&out);
    frame_json_free(&j);
    return result;
}

int
ctl_relay(struct ctl *c)
{
    struct relaylog l;
    const char     *pipeline;
    int             result;

    if (c->argc < 1) {
        return ctl_say(CTL_USAGE, "relay ls, relay verify or relay dump?");
    }
    const char *what = c->argv[0];
    const bool  known = strcmp(what, "ls") == 0 ||
                       strcmp(what, "verify") == 0 ||
                       strcmp(what, "dump") == 0;
    if (!known) {
        return ctl_say(CTL_USAGE, "relay %.40s: there is ls, verify and dump",
                       what);
    }
    if (!ctl_pipeline(c, c->argc > 1 ? c->argv[1] : NULL, &pipeline)) {
        return CTL_USAGE;
    }
    if (!ctl_open_relay(c, pipeline, &l)) {
        return CTL_FAILED;
    }
    if (what[0] == 'l') {
        result = relay_ls(c, &l);
    } else {
        result = what[0] == 'v' ? relay_verify(c, &l) : relay_dump(&l);
    }
    relaylog_close(&l);
    return result;
}
