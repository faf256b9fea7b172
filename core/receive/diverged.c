/*
 * diverged.c - what was read from one server and another one never executed:
 * the relay's transactions that it lacks, and the keys of the rows that they
 * changed, into a file beside the relay.  Row values go there and not into the
 * log.  Bounded: of many transactions and rows, the first are listed.
 */
#include "receive/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/file.h"
#include "base/str.h"
#include "format/format.h"
#include "relay/follow.h"

enum {
    ROWS_MAX = 1000,      /* that are listed */
    LIST_MAX = 1 << 20,   /* bytes of the list */
    HEAD_NUMBERS = 40,    /* bytes of a TXN_HEAD before its lengths */
    SHOWN_GTIDS = 120,    /* bytes of them in the message */
};

struct mariadb_gtid { uint32_t domain, server; uint64_t number; };

struct search {
    struct follower     *follower;
    struct arena         segment, call; /* tables of one segment; one frame */
    uint64_t             base;
    struct seen_table   *tables;
    struct gtid_set     *executed; /* MySQL's */
    struct mariadb_gtid *last;     /* MariaDB's: of each domain and server */
    size_t               nlast;
    bool                 lacking; /* the present transaction is one */
    struct weir_str      gtid;
    struct buf           gtid_text, gtids, list;
    uint64_t             transactions, rows, listed;
};

struct seen_table {
    struct seen_table *next;
    uint64_t           offset;
    struct table      *table;
};

/* ---- What that server has */

static bool
mariadb_parse(struct weir_str text, struct mariadb_gtid *out)
{
    char copy[80], end;

    if (text.len >= sizeof copy) {
        return false;
    }
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    return sscanf(copy, "%" SCNu32 "-%" SCNu32 "-%" SCNu64 "%c",
                  &out->domain, &out->server, &out->number, &end) == 3;
}

/* A set of its own: a gtid_set has one server in each domain, and here it
 * counts which. */
static void
read_executed(struct search *s, struct weir_str text)
{
    size_t room = 1;

    if (memchr(text.data, ':', text.len)) {
        struct weir_err ignored;
        s->executed = gtid_set_new();
        gtid_set_add(s->executed, text, &ignored);
        return;
    }
    for (size_t i = 0; i < text.len; i++) {
        room += text.data[i] == ',';
    }
    s->last = xcalloc(room, sizeof *s->last);
    while (text.len > 0) {
        const char  *comma = memchr(text.data, ',', text.len);
        const size_t len = comma ? (size_t)(comma - text.data) : text.len;
        if (mariadb_parse((struct weir_str){ text.data, len },
                          &s->last[s->nlast])) {
            s->nlast++;
        }
        text.data += comma ? len + 1 : len;
        text.len -= comma ? len + 1 : len;
    }
}

static bool
has_executed(const struct search *s, struct weir_str gtid)
{
    struct mariadb_gtid g;

    if (gtid.len == 0) {
        return true; /* nothing to tell it by */
    }
    if (s->executed) {
        return gtid_set_has(s->executed, gtid);
    }
    for (size_t i = 0; mariadb_parse(gtid, &g) && i < s->nlast; i++) {
        if (s->last[i].domain == g.domain && s->last[i].server == g.server) {
            return s->last[i].number >= g.number;
        }
    }
    return false;
}

/* ---- The relay's frames */

static enum weir_status
find_table(struct search *s, uint64_t offset, struct table **out,
           struct weir_err *err)
{
    struct frame f;

    if (s->base != follower_segment(s->follower)) {
        arena_reset(&s->segment);
        s->tables = NULL;
        s->base = follower_segment(s->follower);
    }
    for (struct seen_table *t = s->tables; t; t = t->next) {
        if (t->offset == offset) {
            *out = t->table;
            return WEIR_OK;
        }
    }
    enum weir_status st =
        follower_read(s->follower, offset, &s->segment, &f, err);
    if (st == WEIR_OK && f.type != FRAME_TABLE) {
        st = weir_fail(err, WEIR_REJECT, "the frame at %llu is no table",
                       (unsigned long long)offset);
    }
    if (st == WEIR_OK) {
        st = table_load(&s->segment, f.payload, offset, out, err);
    }
    if (st == WEIR_OK) {
        struct seen_table *t = arena_alloc(&s->segment, sizeof *t);
        *t = (struct seen_table){ s->tables, offset, *out };
        s->tables = t;
    }
    return st;
}

/* A line: GTID, operation, table, and the key's columns as JSON; all of them
 * where there is no key. */
static void
list_row(struct search *s, const struct table *t, enum weir_op op,
         const struct weir_value *values)
{
    static const char *const ops[] = { "insert", "update", "delete" };
    const struct weir_table *pub = &t->pub;
    const uint32_t n = pub->nkey ? pub->nkey : pub->ncolumns;
    const char    *comma = "";

    if (s->listed == ROWS_MAX || s->list.len > LIST_MAX) {
        return;
    }
    s->listed++;
    buf_str(&s->list, s->gtid);
    buf_text(&s->list, " ");
    buf_text(&s->list, ops[op]);
    buf_text(&s->list, " ");
    buf_str(&s->list, pub->schema);
    buf_text(&s->list, ".");
    buf_str(&s->list, pub->name);
    buf_text(&s->list, " {");
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t c = pub->nkey ? pub->key[i] : i;
        if (values[c].type == WEIR_ABSENT) {
            continue;
        }
        buf_text(&s->list, comma);
        format_json_string(pub->columns[c]->name, &s->list);
        buf_text(&s->list, ":");
        format_json_value(pub->columns[c], &values[c], false, &s->list);
        comma = ",";
    }
    buf_text(&s->list, "}\n");
}

static enum weir_status
take_rows(struct search *s, const struct frame *f, struct weir_err *err)
{
    struct reader      p = reader_of(f->payload.data, f->payload.len);
    struct binlog_rows rows;
    struct table      *t;

    read_le(&p, 8);
    const uint64_t table = read_le(&p, 8);
    read_le(&p, 8);
    const uint8_t *header = read_bytes(&p, BINLOG_HEADER);
    enum weir_status st = header ? find_table(s, table, &t, err)
                                 : weir_fail(err, WEIR_REJECT, "too short");
    if (st == WEIR_OK) {
        st = binlog_rows_open(&rows, (enum binlog_type)header[4], p.p,
                              reader_left(&p), t->columns, t->pub.ncolumns,
                              err);
    }
    if (st != WEIR_OK) {
        return st;
    }
    const uint32_t     n = t->pub.ncolumns;
    struct weir_value *before = arena_array(&s->call, n + 1, sizeof *before);
    struct weir_value *after = arena_array(&s->call, n + 1, sizeof *after);
    while ((st = binlog_rows_next(&rows, NULL, before, after, &s->call,
                                  err)) == WEIR_OK) {
        s->rows++;
        list_row(s, t, rows.op, rows.op == WEIR_INSERT ? after : before);
    }
    return st == WEIR_DROP ? WEIR_OK : st;
}

static void
take_head(struct search *s, const struct frame *f)
{
    struct reader p = reader_of(f->payload.data, f->payload.len);

    read_bytes(&p, HEAD_NUMBERS);
    const uint64_t len = read_le(&p, 2);
    read_bytes(&p, 6);
    const struct weir_str gtid = read_str(&p, len);
    s->lacking = !p.bad && !has_executed(s, gtid);
    if (!s->lacking || (f->flags & FRAME_CONTINUED)) {
        return;
    }
    s->gtid_text.len = 0;
    buf_str(&s->gtid_text, gtid);
    s->gtid = buf_view(&s->gtid_text);
    s->transactions++;
    if (s->gtids.len < LIST_MAX) {
        buf_text(&s->gtids, s->gtids.len ? ", " : "");
        buf_str(&s->gtids, gtid);
    }
}

static void
take_frame(struct search *s, const struct frame *f)
{
    struct weir_err err;

    if (f->type == FRAME_TXN_HEAD) {
        take_head(s, f);
    } else if (s->lacking && f->type == FRAME_DDL) {
        buf_str(&s->list, s->gtid);
        buf_text(&s->list, " a statement that changes tables: see weirctl "
                           "relay dump\n");
    } else if (s->lacking && f->type == FRAME_ROW) {
        arena_reset(&s->call);
        if (take_rows(s, f, &err) != WEIR_OK) {
            buf_str(&s->list, s->gtid);
            buf_text(&s->list, " rows that can't be read: ");
            buf_text(&s->list, err.text);
            buf_text(&s->list, "\n");
        }
    }
}

static enum weir_status
search_relay(struct receiver *r, struct search *s, struct weir_err *err)
{
    struct frame     f;
    uint64_t         first;
    /* Slot 0 is nobody's who sleeps: see receiver_resume(). */
    enum weir_status st =
        follower_open(r->dir, r->page_path, 0, &s->follower, err);

    if (st != WEIR_OK) {
        return st;
    }
    st = follower_first(s->follower, &first, err);
    if (st == WEIR_OK) {
        st = follower_seek(s->follower, first, err);
    }
    while (st == WEIR_OK) {
        st = follower_next(s->follower, &f, err);
        if (st == WEIR_OK) {
            take_frame(s, &f);
        }
    }
    follower_close(&s->follower);
    return st == WEIR_DROP || st == WEIR_RETRY ? WEIR_OK : st;
}

/* ---- What is said of it */

static enum weir_status
write_list(struct receiver *r, struct search *s, struct weir_str name,
           struct weir_err *err)
{
    struct buf out = { 0 };

    buf_text(&out, "# Read from another server, and never executed by ");
    buf_str(&out, name);
    buf_text(&out, ":\n# GTIDs ");
    buf_str(&out, buf_view(&s->gtids));
    buf_text(&out, "\n# The rows that they changed, by their keys as they were "
                   "before:\n");
    buf_str(&out, buf_view(&s->list));
    if (s->listed < s->rows) {
        char more[80];
        snprintf(more, sizeof more, "# and %" PRIu64 " rows more\n",
                 s->rows - s->listed);
        buf_text(&out, more);
    }
    const enum weir_status st =
        file_replace(r->set.diverged, buf_view(&out), 0600, err);
    buf_free(&out);
    return st;
}

static enum weir_status
say(struct receiver *r, const struct search *s, struct weir_str name,
    struct weir_err *err)
{
    const bool long_list = s->gtids.len > SHOWN_GTIDS;

    if (s->transactions == 0) {
        return weir_fail(
            err, WEIR_FATAL,
            "diverged: %.*s has not executed all that was read, and never "
            "will; of what it lacks the relay has nothing. Begin anew: remove "
            "this pipeline's state, and copy its tables", STR_ARG(name));
    }
    return weir_fail(
        err, WEIR_FATAL,
        "diverged: %.*s never executed %llu transactions that were read, with "
        "%llu rows: %.*s%s. Rows are in %.120s. Execute them there, "
        "under these GTIDs; or remove this pipeline's state and copy its "
        "tables anew",
        STR_ARG(name), (unsigned long long)s->transactions,
        (unsigned long long)s->rows,
        long_list ? SHOWN_GTIDS : (int)s->gtids.len,
        s->gtids.data ? s->gtids.data : "", long_list ? "..." : "",
        r->set.diverged);
}

enum weir_status
diverged_feed(void *arg, struct weir_str name, struct weir_str executed,
              struct weir_err *err)
{
    struct receiver *r = arg;
    struct search    s = { 0 };

    read_executed(&s, executed);
    enum weir_status st = search_relay(r, &s, err);
    if (st == WEIR_OK && s.transactions > 0) {
        st = write_list(r, &s, name, err);
    }
    st = st == WEIR_OK ? say(r, &s, name, err)
                       : weir_wrap(err, WEIR_FATAL, "diverged: list");
    arena_free(&s.segment);
    arena_free(&s.call);
    gtid_set_free(&s.executed);
    free(s.last);
    buf_free(&s.gtid_text);
    buf_free(&s.gtids);
    buf_free(&s.list);
    return st;
}
