/*
 * xa.c - what becomes of a prepared XA transaction.
 *
 * The file goes only after the relay has the commit on disk: the relay itself
 * is not synced, so that a power cut may take its end, and then the server
 * sends XA COMMIT again.  A mark in the file says at which place it was
 * committed; where the executed position has that, the file is done with.
 */
#include "receive/xa.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "receive/xa_file.h"

struct xa_table { /* of a group: as written to, or read from, its file */
    struct buf payload;
    uint64_t   segment, frame; /* where it stands in the relay */
};

struct xa_done { /* committed, and its file still there */
    char      *path;
    struct buf mark;
};

struct xa {
    char            *dir;
    struct xa_writer writer;
    struct xa_table *tables;
    uint32_t         ntables, tables_room, last;
    struct buf       left_out; /* the table that was named last */
    struct xa_done  *done;
    size_t           ndone, done_room;
};

struct xa *
xa_new(const char *dir, int64_t max_transaction)
{
    struct xa *x = xcalloc(1, sizeof *x);

    x->dir = xstrdup(dir);
    xa_writer_init(&x->writer, x->dir,
                   max_transaction > 0 ? (uint64_t)max_transaction : 0);
    return x;
}

static void
forget_tables(struct xa *x)
{
    for (uint32_t i = 0; i < x->ntables; i++) {
        buf_free(&x->tables[i].payload);
    }
    x->ntables = x->last = 0;
    x->left_out.len = 0;
}

void
xa_discard(struct receiver *r)
{
    xa_writer_discard(&r->xa->writer);
    forget_tables(r->xa);
}

void
xa_free(struct xa **pointer)
{
    struct xa *x = *pointer;

    if (!x) {
        return;
    }
    xa_writer_free(&x->writer);
    forget_tables(x);
    for (size_t i = 0; i < x->ndone; i++) {
        free(x->done[i].path);
        buf_free(&x->done[i].mark);
    }
    buf_free(&x->left_out);
    free(x->done);
    free(x->tables);
    free(x->dir);
    free(x);
    *pointer = NULL;
}

/* ---- Gathering a group */

static struct xa_table *
add_table(struct xa *x, struct weir_str payload)
{
    if (x->ntables == x->tables_room) {
        x->tables_room = x->tables_room ? 2 * x->tables_room : 16;
        x->tables = xrealloc(x->tables, x->tables_room * sizeof *x->tables);
    }
    struct xa_table *t = &x->tables[x->ntables++];
    *t = (struct xa_table){ 0 };
    buf_str(&t->payload, payload);
    return t;
}

/* The number of a table's definition in the file, where it is put first. */
static enum weir_status
number_table(struct xa *x, struct weir_str payload, struct weir_err *err)
{
    if (x->last < x->ntables &&
        str_eq(buf_view(&x->tables[x->last].payload), payload)) {
        return WEIR_OK;
    }
    for (x->last = 0; x->last < x->ntables; x->last++) {
        if (str_eq(buf_view(&x->tables[x->last].payload), payload)) {
            return WEIR_OK;
        }
    }
    add_table(x, payload);
    return xa_writer_put(&x->writer, XA_RECORD_TABLE, NULL, 0, payload.data,
                         payload.len, err);
}

static enum weir_status
gather_failed(const struct receiver *r, enum weir_status st,
              struct weir_err *err)
{
    return weir_wrap(err, st, "%.*s:%llu: XA transaction",
                     STR_ARG(buf_view(&r->at.file)),
                     (unsigned long long)r->at.offset);
}

enum weir_status
xa_row(struct receiver *r, const struct known_table *t,
       const struct binlog_event *ev, struct weir_err *err)
{
    uint8_t    head[4 + BINLOG_HEADER];
    struct xa *x = r->xa;

    enum weir_status st = number_table(x, buf_view(&t->payload), err);
    if (st == WEIR_OK) {
        put_le32(head, x->last);
        transaction_copy_header(ev, head + 4);
        st = xa_writer_put(&x->writer, XA_RECORD_ROW, head, sizeof head,
                           ev->body, ev->body_len, err);
    }
    r->txn.rows++;
    return st == WEIR_OK ? st : gather_failed(r, st, err);
}

enum weir_status
xa_statement(struct receiver *r, const struct binlog_event *ev,
             struct weir_err *err)
{
    uint8_t head[BINLOG_HEADER];

    transaction_copy_header(ev, head);
    const enum weir_status st =
        xa_writer_put(&r->xa->writer, XA_RECORD_STATEMENT, head, sizeof head,
                      ev->body, ev->body_len, err);
    return st == WEIR_OK ? st : gather_failed(r, st, err);
}

enum weir_status
xa_left_out(struct receiver *r, const struct known_table *t,
            struct weir_err *err)
{
    const size_t n = strlen(t->schema) + 1;
    char *const  both = arena_printf(&r->call, "%s %s", t->schema, t->name);
    struct weir_str text = { both, n + strlen(t->name) };

    both[n - 1] = '\0';
    const struct weir_str before = buf_view(&r->xa->left_out);
    if (text.len == before.len && str_eq(text, before)) {
        return WEIR_OK; /* the usual case: one event after another */
    }
    r->xa->left_out.len = 0;
    buf_str(&r->xa->left_out, text);
    const enum weir_status st =
        xa_writer_put(&r->xa->writer, XA_RECORD_LEFT_OUT, NULL, 0, text.data,
                      text.len, err);
    return st == WEIR_OK ? st : gather_failed(r, st, err);
}

/* ---- Appending it */

static enum weir_status
damaged(const char *path, struct weir_err *err)
{
    return weir_fail(err, WEIR_FATAL,
                     "%s, which keeps a prepared XA transaction, is damaged: "
                     "check the disk.  Copy the tables that it changed anew "
                     "and begin behind it", path);
}

/* Its rows were let go of when it was prepared. */
static enum weir_status
check_left_out(struct receiver *r, struct weir_str both, struct weir_err *err)
{
    const char *nul = both.len ? memchr(both.data, '\0', both.len) : NULL;

    if (!nul) {
        return weir_fail(err, WEIR_REJECT, "no name");
    }
    const struct weir_str schema = { both.data, (size_t)(nul - both.data) };
    const struct weir_str name = { nul + 1, both.len - schema.len - 1 };
    return tables_kept(r, schema, name)
               ? weir_fail(err, WEIR_FATAL,
                           "an XA transaction changed %.*s.%.*s and was "
                           "prepared before that table was kept, so that its "
                           "rows are not here.  Take the table out again, or "
                           "copy it anew and begin behind the XA COMMIT",
                           STR_ARG(schema), STR_ARG(name))
               : WEIR_OK;
}

static enum weir_status
append_record(struct receiver *r, const struct frame *f, struct weir_err *err)
{
    struct xa      *x = r->xa;
    struct weir_str event = f->payload;

    switch ((enum xa_record)f->type) {
    case XA_RECORD_TABLE:
        add_table(x, f->payload);
        return WEIR_OK;
    case XA_RECORD_LEFT_OUT:
        return check_left_out(r, f->payload, err);
    case XA_RECORD_STATEMENT:
        return event.len < BINLOG_HEADER
                   ? weir_fail(err, WEIR_REJECT, "too short")
                   : transaction_put_ddl(r, event, err);
    case XA_RECORD_ROW:
        break;
    default:
        return weir_fail(err, WEIR_REJECT, "unknown record");
    }
    if (event.len < 4 + BINLOG_HEADER || get_le32(event.data) >= x->ntables) {
        return weir_fail(err, WEIR_REJECT, "no such table");
    }
    struct xa_table *t = &x->tables[get_le32(event.data)];
    event.data += 4;
    event.len -= 4;
    const struct row_table table = {
        .payload = buf_view(&t->payload), .segment = &t->segment,
        .frame = &t->frame, .flags = FRAME_EARLIER,
    };
    return transaction_put_row(r, &table, event, err);
}

/* All records but the last; `name` of its XID, NULL: it was never kept. */
static enum weir_status
append_group(struct receiver *r, struct xa_reader *in, const char *name,
             struct weir_err *err)
{
    struct frame f;
    char         is[NAME_MAX + 1];
    bool         whole = in->size == 0;

    forget_tables(r->xa);
    enum weir_status st = WEIR_OK;
    while (st == WEIR_OK && !whole) {
        st = xa_reader_next(in, &f, err);
        if (st == WEIR_OK && (int)f.type == XA_RECORD_PREPARED) {
            whole = name && xa_file_name(f.payload, is) &&
                    strcmp(name, is) == 0;
            st = whole ? st : WEIR_REJECT;
        } else if (st == WEIR_OK) {
            st = append_record(r, &f, err);
        }
    }
    if (st == WEIR_DROP && !name && in->at == in->size) {
        st = WEIR_OK;
    }
    forget_tables(r->xa);
    return st == WEIR_DROP || st == WEIR_REJECT ? damaged(in->path, err) : st;
}

enum weir_status
xa_append_open(struct receiver *r, struct weir_err *err)
{
    struct xa_writer *w = &r->xa->writer;
    struct xa_reader  in;

    if (xa_writer_is_empty(w)) {
        return WEIR_OK;
    }
    enum weir_status st = xa_writer_finish(w, err);
    if (st != WEIR_OK) {
        return st;
    }
    st = xa_reader_open(&in, w->path, err);
    if (st == WEIR_OK) {
        st = append_group(r, &in, NULL, err);
        xa_reader_close(&in);
    }
    xa_discard(r);
    return st == WEIR_DROP ? damaged(w->path, err) : st;
}

/* ---- What is done with */

/* GTID, file, offset: where the transaction that is open ends. */
static void
make_mark(const struct receiver *r, struct buf *out)
{
    out->len = 0;
    buf_printf(out, "%s\n%.*s\n%" PRIu64, r->txn.gtid,
               STR_ARG(buf_view(&r->at.file)), r->at.offset);
}

static bool
is_executed(const struct receiver *r, struct weir_str mark)
{
    const char *end = mark.data + mark.len;
    const char *one = mark.len ? memchr(mark.data, '\n', mark.len) : NULL;
    const char *two = one ? memchr(one + 1, '\n', (size_t)(end - one - 1))
                          : NULL;
    uint64_t    offset;

    if (!two || !str_u64((struct weir_str){ two + 1,
                                            (size_t)(end - two - 1) },
                         &offset)) {
        return false;
    }
    const struct weir_str gtid = { mark.data, (size_t)(one - mark.data) };
    const struct weir_str file = { one + 1, (size_t)(two - one - 1) };
    return gtid.len ? gtid_set_has(r->at.gtids, gtid)
                    : place_compare(buf_view(&r->at.file), r->at.offset, file,
                                    offset) >= 0;
}

static void
note_done(struct xa *x, const char *path, struct weir_str mark)
{
    if (x->ndone == x->done_room) {
        x->done_room = x->done_room ? 2 * x->done_room : 16;
        x->done = xrealloc(x->done, x->done_room * sizeof *x->done);
    }
    struct xa_done *d = &x->done[x->ndone++];
    *d = (struct xa_done){ .path = xstrdup(path) };
    buf_str(&d->mark, mark);
}

/* Whether its commit was read, and was not taken back since. */
static bool
is_done(const struct receiver *r, const char *path)
{
    for (size_t i = 0; i < r->xa->ndone; i++) {
        const struct xa_done *d = &r->xa->done[i];
        if (strcmp(d->path, path) == 0 && is_executed(r, buf_view(&d->mark))) {
            return true;
        }
    }
    return false;
}

enum weir_status
xa_tick(struct receiver *r, struct weir_err *err)
{
    struct xa *x = r->xa;

    if (x->ndone == 0 || r->hold.active) {
        return WEIR_OK;
    }
    const enum weir_status st = relay_sync(r->relay, err);
    for (size_t i = 0; st == WEIR_OK && i < x->ndone; i++) {
        struct xa_done *d = &x->done[i];
        CRASH_POINT("xa.remove");
        /* Else it was taken back, and its COMMIT comes again. */
        if (is_executed(r, buf_view(&d->mark)) && unlink(d->path) == -1 &&
            errno != ENOENT) {
            return fail_errno(err, WEIR_RETRY, "unlink %s", d->path);
        }
        free(d->path);
        buf_free(&d->mark);
        *d = x->done[--x->ndone];
        i--;
    }
    return st;
}

/* ---- What the stream says */

static enum weir_status
path_of(const struct receiver *r, struct weir_str xid,
        char name[static NAME_MAX + 1], char path[static PATH_MAX],
        struct weir_err *err)
{
    const int n = xa_file_name(xid, name)
                      ? snprintf(path, PATH_MAX, "%s/%s", r->xa->dir, name)
                      : -1;

    return n < 0 || n >= PATH_MAX
               ? weir_fail(err, WEIR_FATAL, "%.*s:%llu: %.*s is no XID",
                           STR_ARG(buf_view(&r->at.file)),
                           (unsigned long long)r->at.offset, STR_ARG(xid))
               : WEIR_OK;
}

/* That it is prepared again means that the one before has ended. */
static enum weir_status
make_way(struct receiver *r, const char *path, struct weir_err *err)
{
    if (!is_done(r, path)) {
        return WEIR_OK;
    }
    if (r->hold.active) { /* its commit may have to be read again */
        return hold_conflict(r, STR(""), STR(""), STR("XA PREPARE"), err);
    }
    const enum weir_status st = receiver_publish(r, err);
    return st == WEIR_OK ? xa_tick(r, err) : st;
}

enum weir_status
xa_prepare(struct receiver *r, const char *xid, struct weir_err *err)
{
    char name[NAME_MAX + 1], path[PATH_MAX];

    if (r->txn.skip) {
        return transaction_commit(r, err);
    }
    enum weir_status st = path_of(r, str_of(xid), name, path, err);
    if (st == WEIR_OK) {
        st = make_way(r, path, err);
    }
    if (st == WEIR_OK) {
        st = xa_writer_keep(&r->xa->writer, str_of(xid), name, err);
        forget_tables(r->xa);
    }
    return st == WEIR_OK ? transaction_commit(r, err)
                         : weir_wrap(err, st, "XA PREPARE %s", xid);
}

static enum weir_status
unknown(const struct receiver *r, struct weir_str xid, const char *path,
        struct weir_err *err)
{
    const enum weir_status st = file_mkdir(r->xa->dir, 0700, err);
    if (st != WEIR_OK) {
        return st;
    }
    return weir_fail(
        err, WEIR_FATAL,
        "%.*s:%llu: XA COMMIT %.*s, which was prepared before this pipeline's "
        "beginning: what it changed is not known.  Copy the tables that it "
        "changed anew and begin behind it; or, if it changed none that matter "
        "here, make the empty file %s, which says so",
        STR_ARG(buf_view(&r->at.file)), (unsigned long long)r->at.offset,
        STR_ARG(xid), path);
}

enum weir_status
xa_commit(struct receiver *r, struct weir_str xid, struct weir_err *err)
{
    char             name[NAME_MAX + 1], path[PATH_MAX];
    struct xa_reader in;
    struct buf       mark = { 0 };

    if (r->txn.skip) {
        return transaction_commit(r, err);
    }
    enum weir_status st = path_of(r, xid, name, path, err);
    if (st != WEIR_OK) {
        return st;
    }
    st = is_done(r, path) ? WEIR_DROP : xa_reader_open(&in, path, err);
    if (st != WEIR_OK) {
        return st == WEIR_DROP ? unknown(r, xid, path, err) : st;
    }
    /* Else the PREPARE's GTID may be in no frame when the file is gone. */
    st = receiver_mark(r, r->txn.start, r->hold.active ? FRAME_HELD : 0, err);
    if (st == WEIR_OK) {
        st = append_group(r, &in, name, err);
    }
    xa_reader_close(&in);
    make_mark(r, &mark);
    if (st == WEIR_OK && in.size > 0) { /* else it may be another user's */
        st = xa_mark_write(path, buf_view(&mark), err);
    }
    if (st == WEIR_OK) {
        CRASH_POINT("xa.marked");
        note_done(r->xa, path, buf_view(&mark));
        st = transaction_commit(r, err);
    } else {
        weir_wrap(err, st, "XA COMMIT %.*s", STR_ARG(xid));
    }
    buf_free(&mark);
    return st;
}

enum weir_status
xa_rollback(struct receiver *r, struct weir_str xid, struct weir_err *err)
{
    char name[NAME_MAX + 1], path[PATH_MAX];

    if (r->txn.skip) {
        return transaction_commit(r, err);
    }
    enum weir_status st = path_of(r, xid, name, path, err);
    if (st != WEIR_OK) {
        return st;
    }
    CRASH_POINT("xa.rollback");
    if (!is_done(r, path) && unlink(path) == -1 && errno != ENOENT) {
        return fail_errno(err, WEIR_RETRY, "unlink %s", path);
    }
    return transaction_commit(r, err);
}

/* ---- After a start */

enum weir_status
xa_resume(struct receiver *r, struct weir_err *err)
{
    struct xa     *x = r->xa;
    struct buf     mark = { 0 };
    char           path[PATH_MAX];
    unsigned       kept = 0;
    struct dirent *e;

    DIR *dir = opendir(x->dir);
    if (!dir) {
        return errno == ENOENT
                   ? WEIR_OK
                   : fail_errno(err, WEIR_RETRY, "open %s", x->dir);
    }
    enum weir_status st = WEIR_OK;
    while (st == WEIR_OK && (e = readdir(dir))) {
        const int n = snprintf(path, sizeof path, "%s/%s", x->dir, e->d_name);
        if (e->d_name[0] == '.' || strcmp(e->d_name, "new") == 0 || n < 0 ||
            (size_t)n >= sizeof path) {
            continue;
        }
        st = xa_mark_read(path, &mark, err);
        if (st == WEIR_OK && is_executed(r, buf_view(&mark))) {
            note_done(x, path, buf_view(&mark));
        } else {
            kept++;
        }
    }
    closedir(dir);
    buf_free(&mark);
    if (kept > 0) {
        log_info("%u prepared XA transaction%s wait%s for XA COMMIT or XA "
                 "ROLLBACK", kept, kept == 1 ? "" : "s", kept == 1 ? "s" : "");
    }
    return st == WEIR_OK ? xa_tick(r, err) : st;
}
