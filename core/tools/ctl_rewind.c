/*
 * ctl_rewind.c - weirctl rewind: finds in the relay where to go back to, says
 * what that means, asks, and hands it on to the sink's worker, which checks the
 * place again.  It is always the beginning of a transaction.
 */
#include "tools/ctl.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"
#include "base/page.h"
#include "base/str.h"
#include "base/twoslot.h"
#include "relay/origin.h"
#include "relay/progress.h"
#include "tools/frame_json.h"

struct plan {
    const char *pipeline, *sink;
    bool        earliest, by_time, by_gtid;
    int64_t     usec; /* by time */

    struct progress at; /* where the sink stands */
    bool            passed; /* the transaction named was met */
    bool            found;
    uint64_t        oldest; /* transaction that is here whole */
    uint64_t        offset, again; /* its place; transactions from there on */
    char            first[600];    /* the first of them */
    int64_t         first_usec, last_usec;
    char            begins[600];   /* behind what the relay begins */
};

/* ---- What is meant */

/* "2026-11-01 12:00:00", UTC, with a T and a Z if one likes. */
static bool
parse_time(const char *text, int64_t *out)
{
    struct tm tm = { 0 };

    if (strlen(text) < 16 || (text[10] != ' ' && text[10] != 'T')) {
        return false;
    }
    const char *format = text[10] == 'T' ? "%Y-%m-%dT%H:%M" : "%Y-%m-%d %H:%M";
    const char *rest = strptime(text, format, &tm);
    double      seconds = 0;
    int         n = 0;
    if (rest && sscanf(rest, ":%lf%n", &seconds, &n) == 1) {
        rest += n;
    }
    if (!rest || (rest[0] && strcmp(rest, "Z") != 0) || seconds < 0 ||
        seconds > 60) {
        return false;
    }
    *out = (int64_t)timegm(&tm) * 1000000 + (int64_t)(seconds * 1e6 + 0.5);
    return true;
}

static bool
understand(const char *to, struct plan *p)
{
    if (strcmp(to, "earliest") == 0) {
        p->earliest = true;
    } else if (parse_time(to, &p->usec)) {
        p->by_time = true;
    } else {
        bool fits = to[0] != '\0';
        for (const char *c = to; *c; c++) {
            fits = fits && (isalnum((unsigned char)*c) || strchr("-:_", *c));
        }
        p->by_gtid = fits;
    }
    return p->earliest || p->by_time || p->by_gtid;
}

/* A checkpoint is stored each second; the page of a running worker is ahead. */
static uint64_t
newer_position(struct ctl *c, const struct plan *p)
{
    struct worker_page *page;
    struct weir_err     err;
    uint64_t            next = p->at.next;

    const char *path = arena_printf(&c->arena, "%s/run/%s.%s.sink", c->state,
                                    p->pipeline, p->sink);
    if (page_open(path, false, &page, &err) == WEIR_OK) {
        const uint64_t shown = atomic_load(&page->relay_offset);
        next = atomic_load(&page->pid) && shown ? shown : next;
        page_close(page);
    }
    return next;
}

static bool
read_position(struct ctl *c, struct plan *p)
{
    struct weir_str blob;
    struct weir_err err;

    struct arena *a = &c->arena;
    const char   *path = arena_printf(a, "%s/%s/%s/checkpoint", c->state,
                                      p->pipeline, p->sink);
    enum weir_status st = twoslot_read(a, path, &blob, &err);
    if (st == WEIR_OK && blob.len == 0) {
        st = weir_fail(&err, WEIR_REJECT, "%s/%s has not begun yet: there is "
                       "nothing to rewind", p->pipeline, p->sink);
    }
    if (st == WEIR_OK) {
        st = progress_parse(blob, &p->at, &err);
    }
    if (st != WEIR_OK) {
        ctl_say(CTL_FAILED, "%s", err.text);
        return false;
    }
    p->at.next = newer_position(c, p);
    return true;
}

/* ---- The place */

static bool
is_place(const struct plan *p, const struct head_fields *h)
{
    return p->earliest || (p->by_time && h->commit_usec >= p->usec) ||
           (p->by_gtid && p->passed);
}

static void
take(struct plan *p, const struct frame *f, const struct head_fields *h)
{
    if (p->oldest == 0) {
        p->oldest = f->offset;
    }
    if (f->offset >= p->at.next) {
        return; /* the sink has it to come anyway */
    }
    if (!p->found && is_place(p, h)) {
        p->found = true;
        p->offset = f->offset;
        p->first_usec = h->commit_usec;
        snprintf(p->first, sizeof p->first, "%.*s (%.*s:%" PRIu64 ")",
                 STR_ARG(h->gtid), STR_ARG(h->file), h->source_offset);
    }
    if (p->found) {
        p->again++;
        p->last_usec = h->commit_usec;
    }
}

/* A set as text that ends exactly with this GTID. */
static bool
set_ends_with(struct weir_str set, const char *gtid)
{
    const char *p = set.data, *end = p + set.len;

    while (p < end) {
        const char  *comma = memchr(p, ',', (size_t)(end - p));
        const size_t n = (size_t)((comma ? comma : end) - p);
        if (n == strlen(gtid) && strncasecmp(p, gtid, n) == 0) {
            return true;
        }
        p += n + 1;
    }
    return false;
}

static void
note_beginning(struct ctl *c, struct relaylog *l, struct plan *p)
{
    struct origin   o;
    struct weir_err err;

    if (origin_parse(&c->arena, l->head.origin, &o, &err) != WEIR_OK) {
        return;
    }
    snprintf(p->begins, sizeof p->begins, "%.*s (%.*s:%" PRIu64 ")",
             STR_ARG(o.gtid_set), STR_ARG(o.file), o.file_offset);
    p->passed = p->by_gtid && set_ends_with(o.gtid_set, c->to);
}

static enum weir_status
scan(struct ctl *c, struct relaylog *l, struct plan *p, struct weir_err *err)
{
    enum weir_status st = WEIR_OK;

    l->heads_only = true;
    for (size_t i = 0; st == WEIR_OK && i < l->names.nbases; i++) {
        struct frame       f;
        struct head_fields h;
        st = relaylog_enter(l, i, err);
        if (st == WEIR_OK && i == 0) {
            note_beginning(c, l, p);
        }
        while (st == WEIR_OK && (st = relaylog_next(l, &f, err)) == WEIR_OK) {
            if (f.type != FRAME_TXN_HEAD || (f.flags & FRAME_CONTINUED) ||
                !head_parse(&f, &h)) {
                continue;
            }
            take(p, &f, &h);
            if (p->by_gtid && h.gtid.len == strlen(c->to) &&
                strncasecmp(h.gtid.data, c->to, h.gtid.len) == 0) {
                p->passed = true;
            }
        }
        st = st == WEIR_DROP ? WEIR_OK : st;
    }
    return st == WEIR_DROP ? WEIR_OK : st;
}

static bool
find_place(struct ctl *c, struct plan *p)
{
    struct relaylog l;
    struct weir_err err;
    struct arena   *a = &c->arena;

    const char *dir = arena_printf(a, "%s/%s/relay", c->state, p->pipeline);
    const char *page = arena_printf(a, "%s/run/%s.relay", c->state,
                                    p->pipeline);
    enum weir_status st = relaylog_open(dir, page, &l, &err);
    if (st == WEIR_OK) {
        st = scan(c, &l, p, &err);
        relaylog_close(&l);
    }
    if (st != WEIR_OK) {
        ctl_say(CTL_FAILED, "%s", err.text);
        return false;
    }
    return true;
}

/* Whether it can be done; says why not. */
static bool
is_possible(const struct ctl *c, const struct plan *p)
{
    if (p->by_gtid && !p->passed) {
        ctl_say(CTL_FAILED, "%s is not in the relay, which begins behind %s: "
                "what came before is no longer here.  --to earliest goes back "
                "as far as it can", c->to, p->begins);
        return false;
    }
    if (!p->found) {
        ctl_say(CTL_FAILED, "%s/%s has nothing behind %s yet: there is nothing "
                "to send again", p->pipeline, p->sink, c->to);
        return false;
    }
    if (p->by_time && p->offset == p->oldest && p->first_usec > p->usec) {
        char first[25];
        clock_format(p->first_usec, first);
        ctl_say(CTL_FAILED, "the relay does not reach back to %s: it begins "
                "behind %s, and its first transaction is of %s.  --to earliest "
                "goes back as far as it can", c->to, p->begins, first);
        return false;
    }
    return true;
}

/* ---- Asking */

static void
say_plan(struct ctl *c, const struct plan *p)
{
    char first[25], last[25];

    if (c->json) {
        struct buf out = { 0 };
        buf_text(&out, "{");
        ctl_text(&out, "pipeline", str_of(p->pipeline));
        ctl_text(&out, "sink", str_of(p->sink));
        ctl_text(&out, "from_gtid", p->at.gtid_set);
        ctl_text(&out, "from_file", p->at.file);
        ctl_uint(&out, "from_file_offset", p->at.file_offset);
        ctl_text(&out, "first", str_of(p->first));
        ctl_uint(&out, "relay_offset", p->offset);
        ctl_time(&out, "first_commit", p->first_usec);
        ctl_time(&out, "last_commit", p->last_usec);
        ctl_uint(&out, "transactions", p->again);
        buf_text(&out, "}");
        ctl_print(&out);
        buf_free(&out);
        return;
    }
    clock_format(p->first_usec, first);
    clock_format(p->last_usec, last);
    printf("%s/%s\n  stands at   %s (%s:%" PRIu64 ")\n"
           "  begins with %s, relay offset %" PRIu64 "\n"
           "  %" PRIu64 " transactions, committed %s to %s, are sent again\n",
           p->pipeline, p->sink, ctl_shown(&c->arena, p->at.gtid_set),
           ctl_shown(&c->arena, p->at.file), p->at.file_offset,
           ctl_shown(&c->arena, str_of(p->first)), p->offset, p->again, first,
           last);
}

static bool
is_agreed(const struct ctl *c)
{
    char answer[16] = "";

    if (c->yes) {
        return true;
    }
    if (c->json) {
        return false; /* a script says --yes */
    }
    printf("Rewind? [y/N] ");
    fflush(stdout);
    if (!fgets(answer, sizeof answer, stdin)) {
        puts("");
    }
    return answer[0] == 'y' || answer[0] == 'Y';
}

int
ctl_rewind(struct ctl *c)
{
    struct plan p = { 0 };

    if (!c->to || !understand(c->to, &p)) {
        return ctl_say(CTL_USAGE, "rewind SINK --to GTID, \"YYYY-MM-DD "
                       "HH:MM:SS\" (UTC) or earliest");
    }
    if (!ctl_sink(c, &p.pipeline, &p.sink)) {
        return CTL_USAGE;
    }
    if (!read_position(c, &p) || !find_place(c, &p)) {
        return CTL_FAILED;
    }
    if (!is_possible(c, &p)) {
        return CTL_FAILED;
    }
    say_plan(c, &p);
    if (!is_agreed(c)) {
        return ctl_say(CTL_FAILED, "nothing was changed");
    }
    if (!c->is_running) {
        return ctl_say(CTL_NOT_RUNNING, "no weir runs in %s: start it, then "
                       "rewind", c->state);
    }
    return ctl_hand_on(c, p.pipeline, p.sink, "rewind",
                       arena_printf(&c->arena, "%" PRIu64, p.offset));
}
