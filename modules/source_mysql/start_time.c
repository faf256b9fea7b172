/*
 * start_time.c - where a time is in the server's history: the place of the first
 * transaction that was committed then or later.  Reads heads of logs, then
 * those events of one that may matter; of an event only when and where it is.
 * Feeds nothing.
 */
#include "source_mysql.h"

#include "instant.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { /* sql/log_event.h; libs/mysql/binlog/event/ of MySQL */
    HEADER_BYTES = 19,
    FLAG_ARTIFICIAL = 0x20,
    QUERY = 2,
    ROTATE = 4,
    FORMAT_DESCRIPTION = 15,
    HEARTBEAT = 27,
    GTID = 33,
    ANONYMOUS_GTID = 34,
    HEARTBEAT_V2 = 41,
    GTID_TAGGED = 42,
    MARIADB_GTID = 162,
    QUERY_COMPRESSED = 165,
};

enum {
    SILENT_MS = 10 * 60 * 1000, /* of a server that reads its logs */
    SAY_MS = 10 * 1000,         /* between two lines on how far it is */
    STOP_EVERY = 1024,          /* events between two looks whether to stop */
    FIRST_EVENT = 4,
    CHECKSUM_BYTES = 4,
};

struct event {
    unsigned             type;
    int64_t              usec; /* of its header, whole seconds */
    uint64_t             from; /* where in the file it begins */
    const unsigned char *body; /* and a checksum behind it, if there is one */
    size_t               len;
};

struct log { char name[256]; uint64_t size; };

struct search {
    struct source *src;
    int64_t        usec;  /* the time that is looked for */
    struct log    *logs;
    size_t         nlogs, at; /* the one that is read */
    int64_t        said_ms;
    unsigned       nevents;
    char           file[256]; /* of the event that was read last */
    uint64_t       end;       /* and where it ends there */
    bool           gtids;     /* this file has them */
};

struct head { /* of a log */
    int64_t made, first;    /* 0: not known, no transaction */
    bool    whole;          /* first is in seconds */
};

/* ---- Events */

static uint64_t
get_le(const unsigned char *p, size_t n)
{
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++) {
        v |= (uint64_t)p[i] << 8 * i;
    }
    return v;
}

/* mysql::serialization's numbers: as many more bytes as the first has ones at
 * its low end.  False: it does not fit. */
static bool
number_take(const unsigned char **p, const unsigned char *end, uint64_t *out)
{
    if (*p >= end) {
        return false;
    }
    const unsigned first = *(*p)++;
    const size_t   more =
        first == 0xff ? 8 : (size_t)__builtin_ctz(~first);
    if ((size_t)(end - *p) < more) {
        return false;
    }
    *out = get_le(*p, more);
    if (first != 0xff) {
        *out = *out << (7 - more) | first >> (more + 1);
    }
    *p += more;
    return true;
}

/* Fields come by number, each once, the commit time as number 6 (define_fields()
 * of control_events.h).  0: there is none. */
static int64_t
tagged_usec(const struct event *ev)
{
    enum { UUID = 1, TAG = 3, COMMIT_USEC = 6 };
    const unsigned char *p = ev->body, *end = ev->body + ev->len;
    uint64_t             v, field;
    bool ok = number_take(&p, end, &v) && v == 1 && number_take(&p, end, &v) &&
              number_take(&p, end, &v); /* version, size, needed */

    while (ok && number_take(&p, end, &field) && field <= COMMIT_USEC) {
        for (int i = 0; ok && i < (field == UUID ? 16 : 1); i++) {
            ok = number_take(&p, end, &v);
        }
        if (ok && field == COMMIT_USEC) {
            return v < INT64_MAX ? (int64_t)v : 0;
        }
        if (ok && field == TAG) {
            ok = v <= (uint64_t)(end - p);
            p += ok ? v : 0;
        }
    }
    return 0;
}

/* Behind flags, uuid, number and logical times; its highest bit says that
 * another time follows.  0: 5.7 and older have none. */
static int64_t
gtid_usec(const struct event *ev)
{
    enum { BEFORE = 1 + 16 + 8 + 1 + 8 + 8, BYTES = 7 };

    return ev->len >= BEFORE + BYTES
               ? (int64_t)(get_le(ev->body + BEFORE, BYTES) &
                           ~(UINT64_C(1) << 55))
               : 0;
}

/* Whether a transaction begins with this event, and its commit time: the same
 * as what is written down of it later. */
static bool
begins_transaction(struct search *s, const struct event *ev, int64_t *usec,
                   bool *whole)
{
    *usec = 0;
    switch (ev->type) {
    case GTID:
    case ANONYMOUS_GTID:
        *usec = gtid_usec(ev);
        break;
    case GTID_TAGGED:
        *usec = tagged_usec(ev);
        break;
    case MARIADB_GTID:
        break;
    case QUERY: /* of MySQL 5.6 with gtid_mode OFF */
    case QUERY_COMPRESSED:
        if (s->gtids) {
            return false;
        }
        break;
    default:
        return false;
    }
    s->gtids = ev->type != QUERY && ev->type != QUERY_COMPRESSED;
    *whole = *usec == 0;
    *usec = *whole ? ev->usec : *usec;
    return true;
}

/* Of a time in seconds its own second counts as then: what was committed in the
 * rest of it must not be lost. */
static bool
is_before(const struct search *s, int64_t usec, bool whole)
{
    return usec < (whole ? s->usec - s->usec % 1000000 : s->usec);
}

/* ---- One log, from its beginning */

static enum weir_status
log_open(struct search *s, size_t i, struct weir_err *err)
{
    struct source  *src = s->src;
    struct log     *log = &s->logs[i];

    s->at = i;
    s->gtids = false;
    s->end = FIRST_EVENT;
    snprintf(s->file, sizeof s->file, "%s", log->name);
    position_set(&src->at, (struct weir_str){ "", 0 },
                 (struct weir_str){ log->name, strlen(log->name) },
                 FIRST_EVENT);
    enum weir_status st = conn_open(&src->dump, err);
    if (st == WEIR_OK) {
        st = src->flavour->session(src, err);
    }
    return st == WEIR_OK ? server_dump_file(src, true, err) : st;
}

static enum weir_status
check_stop(struct search *s, struct weir_err *err)
{
    struct pollfd p = { .fd = weir_stop_fd(s->src->in), .events = POLLIN };

    if (++s->nevents % STOP_EVERY == 0 && poll(&p, 1, 0) == 1) {
        s->src->stopping = true;
        return weir_fail(err, WEIR_RETRY, "asked to stop");
    }
    return WEIR_OK;
}

static void
say_progress(struct search *s)
{
    if (now_ms() - s->said_ms < SAY_MS) {
        return;
    }
    s->said_ms = now_ms();
    weir_log(s->src->in, WEIR_INFO,
             "start = \"%s\": still looking for it, at %s:%" PRIu64
             " (log %zu of %zu)", s->src->conf->start, s->file, s->end,
             s->at + 1, s->nlogs);
}

/* The server makes one up at the beginning of each file. */
static void
note_rotate(struct search *s, const struct event *ev)
{
    const size_t before = strlen(s->file);
    size_t       len = ev->len > 8 ? ev->len - 8 : 0;

    /* With a checksum or without one; names only grow by a digit. */
    len -= len >= before + CHECKSUM_BYTES ? CHECKSUM_BYTES : 0;
    if (len == 0 || len >= sizeof s->file) {
        return;
    }
    memcpy(s->file, ev->body + 8, len);
    s->file[len] = '\0';
    s->end = get_le(ev->body, 8);
    for (size_t i = 0; i < s->nlogs; i++) {
        s->at = strcmp(s->logs[i].name, s->file) == 0 ? i : s->at;
    }
}

/* Header positions have 32 bits, and files may have more bytes. */
static void
note_place(struct search *s, struct event *ev, uint32_t log_pos, size_t size)
{
    uint64_t end = (s->end & ~(uint64_t)UINT32_MAX) | log_pos;

    end += end < s->end ? UINT64_C(1) << 32 : 0;
    ev->from = end > size ? end - size : FIRST_EVENT;
    s->end = end;
}

/* Of the last log, as it was when they were listed. */
static bool
is_at_end(const struct search *s)
{
    const struct log *last = &s->logs[s->nlogs - 1];

    return strcmp(last->name, s->file) == 0 && s->end >= last->size;
}

/* The next event of the log's own; `*ended`: there is none yet. */
static enum weir_status
log_next(struct search *s, struct event *ev, bool *ended,
         struct weir_err *err)
{
    for (;;) {
        struct weir_str  packet = { "", 0 };
        enum weir_status st = check_stop(s, err);
        if (st == WEIR_OK) {
            st = dump_read(s->src, SILENT_MS, &packet, err);
        }
        if (st != WEIR_OK) {
            return st;
        }
        const unsigned char *p = (const unsigned char *)packet.data + 1;
        *ended = packet.len > 0 && p[-1] == 0xfe;
        if (*ended) {
            return WEIR_OK;
        }
        if (packet.len < 1 + HEADER_BYTES || p[-1] != 0) {
            return weir_fail(err, WEIR_RETRY, "%s sent a packet of %zu bytes "
                             "that is no event", s->src->name, packet.len);
        }
        say_progress(s);
        *ev = (struct event){ .type = p[4],
                              .usec = (int64_t)get_le(p, 4) * 1000000,
                              .body = p + HEADER_BYTES,
                              .len = packet.len - 1 - HEADER_BYTES };
        const uint32_t log_pos = (uint32_t)get_le(p + 13, 4);
        const bool     made_up =
            log_pos == 0 || (get_le(p + 17, 2) & FLAG_ARTIFICIAL);
        if (made_up && ev->type == ROTATE) {
            note_rotate(s, ev);
            s->gtids = false;
        }
        if (ev->type == HEARTBEAT || ev->type == HEARTBEAT_V2) {
            /* MySQL 5.6 waits for more, however it was asked not to. */
            *ended = is_at_end(s);
            if (*ended) {
                return WEIR_OK;
            }
        } else if (!made_up) {
            note_place(s, ev, log_pos, packet.len - 1);
            return WEIR_OK;
        }
    }
}

/* When it was made, and its first transaction. */
static enum weir_status
head_read(struct search *s, size_t i, struct head *out, struct weir_err *err)
{
    struct event     ev;
    bool             ended = false, found = false;
    enum weir_status st = log_open(s, i, err);

    *out = (struct head){ 0 };
    while (st == WEIR_OK && !found) {
        st = log_next(s, &ev, &ended, err);
        if (st != WEIR_OK || ended || strcmp(s->file, s->logs[i].name) != 0) {
            break; /* a log without transactions */
        }
        if (ev.type == FORMAT_DESCRIPTION) {
            out->made = ev.usec;
        }
        found = begins_transaction(s, &ev, &out->first, &out->whole);
    }
    return st;
}

/* ---- All logs */

static enum weir_status
logs_read(struct search *s, struct weir_err *err)
{
    struct result    r;
    size_t           room = 0;
    enum weir_status st =
        conn_query(&s->src->dump, "SHOW BINARY LOGS", &r, err);

    while (st == WEIR_OK && result_next(&r)) {
        if (s->nlogs == room) {
            room = room * 2 + 64;
            s->logs = realloc(s->logs, room * sizeof *s->logs);
            if (!s->logs) {
                abort();
            }
        }
        struct log *log = &s->logs[s->nlogs++];
        snprintf(log->name, sizeof log->name, "%.*s",
                 STR_ARG(result_str(&r, 0)));
        log->size = result_u64(&r, 1);
    }
    result_free(&r);
    return st == WEIR_OK && s->nlogs == 0
               ? weir_fail(err, WEIR_RETRY, "%s has no binlog", s->src->name)
               : st;
}

static enum weir_status
refuse_future(struct search *s, struct weir_err *err)
{
    struct result    r;
    char             now[INSTANT_TEXT];
    enum weir_status st =
        conn_row(&s->src->dump,
                 "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS UNSIGNED)", 1,
                 &r, err);

    if (st != WEIR_OK) {
        return st;
    }
    const uint64_t usec = result_u64(&r, 0);
    result_free(&r);
    if ((uint64_t)s->usec <= usec) {
        return WEIR_OK;
    }
    return weir_fail(err, WEIR_FATAL,
                     "start = \"%s\" is in the future: it is %s by the clock "
                     "of %s; set start to a time that has been (none of a zone "
                     "is UTC), or to now", s->src->conf->start,
                     instant_format((int64_t)(usec - usec % 1000000), now),
                     s->src->name);
}

/* What was committed in the second in which the oldest log was made may stand
 * in one before it. */
static enum weir_status
refuse_purged(struct search *s, const struct head *oldest,
              struct weir_err *err)
{
    char      from[INSTANT_TEXT];
    int64_t   since = oldest->made + 1000000;
    const int64_t first = oldest->first - oldest->first % 1000000 + 1000000;

    if (s->usec >= since ||
        (oldest->first && is_before(s, oldest->first, oldest->whole))) {
        return WEIR_OK;
    }
    since = oldest->first && first < since ? first : since;
    return weir_fail(err, WEIR_FATAL,
                     "%s no longer has what was committed at start = \"%s\": "
                     "its oldest binlog, %.64s, begins then or later; set "
                     "start to \"time:%.19s\" or a later time, or to earliest "
                     "for all that it has, and copy what was there before",
                     s->src->name, s->src->conf->start, s->logs[0].name,
                     instant_format(since, from));
}

/* The earliest log behind which another was begun at the time or later.  All of
 * them in turn, from the oldest: times go back where a clock was set, and where
 * statements are played back with SET timestamp; a bisection would then miss
 * what comes first. */
static enum weir_status
choose_log(struct search *s, size_t *out, struct weir_err *err)
{
    struct head      head;
    enum weir_status st = head_read(s, 0, &head, err);

    if (st == WEIR_OK) {
        st = refuse_purged(s, &head, err);
    }
    for (*out = 0; st == WEIR_OK && *out + 1 < s->nlogs; ++*out) {
        st = head_read(s, *out + 1, &head, err);
        if (st != WEIR_OK || !is_before(s, head.made, true) ||
            (head.first && !is_before(s, head.first, head.whole))) {
            break;
        }
    }
    return st;
}

/* A server that shuts down ends the stream as one does that has no more. */
static enum weir_status
check_end(const struct search *s, struct weir_err *err)
{
    const struct log *last = &s->logs[s->nlogs - 1];
    bool              listed = false;

    for (size_t i = 0; i < s->nlogs; i++) {
        listed = listed || strcmp(s->logs[i].name, s->file) == 0;
    }
    return !listed || is_at_end(s)
               ? WEIR_OK
               : weir_fail(err, WEIR_RETRY,
                           "%s ended its stream at %.64s:%" PRIu64 ", before "
                           "the end of %.64s", s->src->name, s->file, s->end,
                           last->name);
}

static void
say_found(const struct search *s, uint64_t from, int64_t usec)
{
    char text[INSTANT_TEXT];

    if (usec) {
        weir_log(s->src->in, WEIR_INFO,
                 "start = \"%s\": begins at %s:%" PRIu64 ", with the "
                 "transaction committed at %s", s->src->conf->start, s->file,
                 from, instant_format(usec, text));
    } else {
        weir_log(s->src->in, WEIR_INFO,
                 "start = \"%s\": %s has committed nothing since; begins at "
                 "the end of its log, %s:%" PRIu64, s->src->conf->start,
                 s->src->name, s->file, from);
    }
}

/* From the beginning of that log on. */
static enum weir_status
find_transaction(struct search *s, size_t log, struct weir_err *err)
{
    struct event     ev = { 0 };
    bool             ended = false, whole = false, found = false;
    int64_t          usec = 0;
    enum weir_status st = log_open(s, log, err);

    while (st == WEIR_OK && !found) {
        st = log_next(s, &ev, &ended, err);
        if (st != WEIR_OK || ended) {
            break;
        }
        const bool begins = begins_transaction(s, &ev, &usec, &whole);
        if (begins && !s->gtids) {
            return weir_fail(err, WEIR_FATAL,
                             "start = \"%s\": %s of %s has no GTID events, "
                             "which transactions are told apart by; switch "
                             "gtid_mode on there, or start by file",
                             s->src->conf->start, s->file, s->src->name);
        }
        found = begins && !is_before(s, usec, whole);
    }
    if (st == WEIR_OK && !found) {
        st = check_end(s, err);
    }
    if (st == WEIR_OK) {
        const uint64_t from = found ? ev.from : s->end;
        say_found(s, from, found ? usec : 0);
        position_set(&s->src->at, (struct weir_str){ "", 0 },
                     (struct weir_str){ s->file, strlen(s->file) }, from);
    }
    return st;
}

enum weir_status
start_at_time(struct source *src, int64_t usec, struct weir_err *err)
{
    struct search    s = { .src = src, .usec = usec, .said_ms = now_ms() };
    size_t           log = 0;
    enum weir_status st = refuse_future(&s, err);

    if (st == WEIR_OK) {
        st = logs_read(&s, err);
    }
    if (st == WEIR_OK) {
        st = choose_log(&s, &log, err);
    }
    if (st == WEIR_OK) {
        st = find_transaction(&s, log, err);
    }
    free(s.logs);
    /* A connection that dumps does nothing else any more. */
    if (st == WEIR_OK) {
        st = conn_open(&src->dump, err);
    }
    if (st == WEIR_OK) {
        st = checks_run(src, err);
    }
    return st == WEIR_OK ? src->flavour->verify(src, err) : st;
}
