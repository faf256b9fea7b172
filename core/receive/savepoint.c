/*
 * savepoint.c - rows that were rolled back to a savepoint.  Mostly they are not
 * in a log; where the transaction changed a table without transactions, too, or
 * made a temporary one, they are, with ROLLBACK TO behind them.  What stands in
 * the relay by then can't be taken out of its middle: so the transaction is read
 * to its end for what has to be left out, and then once more.
 */
#include "receive/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/str.h"

struct savepoint {
    uint64_t row; /* event, that comes next */
    char    *name;
};
struct row_range { uint64_t from, to; };

struct savepoints {
    struct savepoint *set; /* in their order */
    size_t            n, room;
    struct row_range *out; /* rolled back: in order, apart from each other */
    size_t            nout, out_room, at;
    uint64_t          row; /* event of what is kept, that comes next */
    bool              again;
    struct buf        of; /* the transaction that `out` is about */
};

static void
drop_set(struct savepoints *s, size_t n)
{
    while (s->n > n) {
        free(s->set[--s->n].name);
    }
}

static void
forget_out(struct savepoints *s)
{
    s->nout = 0;
    s->of.len = 0;
}

/* The same events come from the same server only. */
static void
put_identity(const struct receiver *r, struct buf *out)
{
    buf_printf(out, "%s %.*s:%llu %.*s", r->txn.gtid,
               STR_ARG(buf_view(&r->at.file)),
               (unsigned long long)r->txn.start,
               STR_ARG(buf_view(&r->server_id)));
}

void
savepoints_begin(struct receiver *r)
{
    struct savepoints *s = r->savepoints;

    if (!s) {
        s = r->savepoints = xcalloc(1, sizeof *s);
    }
    drop_set(s, 0);
    s->row = s->at = 0;
    s->again = false;
    if (s->nout) {
        struct buf is = { 0 };
        put_identity(r, &is);
        if (!str_eq(buf_view(&is), buf_view(&s->of))) {
            forget_out(s);
        }
        buf_free(&is);
    }
}

void
savepoints_end(struct receiver *r)
{
    if (r->savepoints) {
        drop_set(r->savepoints, 0);
        forget_out(r->savepoints);
        r->savepoints->again = false;
    }
}

void
savepoints_free(struct receiver *r)
{
    struct savepoints *s = r->savepoints;

    if (s) {
        savepoints_end(r);
        free(s->set);
        free(s->out);
        buf_free(&s->of);
        free(s);
        r->savepoints = NULL;
    }
}

bool
savepoints_keep_row(struct receiver *r)
{
    struct savepoints *s = r->savepoints;

    if (!s) {
        return true;
    }
    const uint64_t row = s->row++;
    while (s->at < s->nout && s->out[s->at].to <= row) {
        s->at++;
    }
    return !s->again && !(s->at < s->nout && s->out[s->at].from <= row);
}

/* Of names without case, as servers take them; its place, or `n`. */
static size_t
find(const struct savepoints *s, struct weir_str name)
{
    for (size_t i = s->n; i-- > 0;) {
        if (strlen(s->set[i].name) == name.len &&
            strncasecmp(s->set[i].name, name.data, name.len) == 0) {
            return i;
        }
    }
    return s->n;
}

static void
push(struct savepoints *s, struct weir_str name)
{
    if (s->n == s->room) {
        s->room = s->room ? 2 * s->room : 16;
        s->set = xrealloc(s->set, s->room * sizeof *s->set);
    }
    char *copy = xmalloc(name.len + 1);
    memcpy(copy, name.data ? name.data : "", name.len);
    copy[name.len] = '\0';
    s->set[s->n++] = (struct savepoint){ s->row, copy };
}

/* All before it are known to end at or before `to`. */
static void
leave_out(struct savepoints *s, uint64_t from, uint64_t to)
{
    while (s->nout && s->out[s->nout - 1].from >= from) {
        s->nout--;
    }
    if (s->nout && s->out[s->nout - 1].to >= from) {
        s->out[s->nout - 1].to = to;
        return;
    }
    if (s->nout == s->out_room) {
        s->out_room = s->out_room ? 2 * s->out_room : 16;
        s->out = xrealloc(s->out, s->out_room * sizeof *s->out);
    }
    s->out[s->nout++] = (struct row_range){ from, to };
}

/* The rows from that one on were left out when they came. */
static bool
is_left_out(const struct savepoints *s, uint64_t from)
{
    for (size_t i = 0; !s->again && i < s->nout; i++) {
        if (s->out[i].from <= from && s->out[i].to >= s->row) {
            return true;
        }
    }
    return from == s->row;
}

static enum weir_status
roll_back(struct receiver *r, struct weir_str name, struct weir_err *err)
{
    struct savepoints *s = r->savepoints;
    const size_t       i = find(s, name);

    if (i == s->n && s->row == 0) {
        return WEIR_OK; /* nothing was kept that it could be about */
    }
    if (i == s->n) {
        return weir_fail(
            err, WEIR_FATAL,
            "%.*s:%llu: ROLLBACK TO SAVEPOINT %.*s, which is not in the "
            "transaction: what it takes back is not known.  Begin anew behind "
            "it", STR_ARG(buf_view(&r->at.file)),
            (unsigned long long)r->at.offset, STR_ARG(name));
    }
    const uint64_t from = s->set[i].row;
    drop_set(s, i + 1);
    if (is_left_out(s, from)) {
        return WEIR_OK;
    }
    if (!s->again) { /* of an earlier reading, if any: found once more */
        forget_out(s);
        put_identity(r, &s->of);
        s->at = 0;
        s->again = true;
    }
    leave_out(s, from, s->row);
    return WEIR_OK;
}

enum weir_status
savepoints_statement(struct receiver *r, const struct statement *s,
                     struct weir_err *err)
{
    if (!r->txn.open || !r->savepoints) {
        return WEIR_OK;
    }
    const size_t i = find(r->savepoints, s->name);
    if (s->kind == STATEMENT_ROLLBACK_TO) {
        return roll_back(r, s->name, err);
    }
    if (s->kind == STATEMENT_SAVEPOINT) { /* takes the place of its namesake */
        if (i < r->savepoints->n) {
            free(r->savepoints->set[i].name);
            memmove(&r->savepoints->set[i], &r->savepoints->set[i + 1],
                    (--r->savepoints->n - i) * sizeof *r->savepoints->set);
        }
        push(r->savepoints, s->name);
    } else if (i < r->savepoints->n) {
        drop_set(r->savepoints, i);
    }
    return WEIR_OK;
}

enum weir_status
savepoints_settle(struct receiver *r, struct weir_err *err)
{
    if (!r->savepoints || !r->savepoints->again) {
        return WEIR_OK;
    }
    return weir_fail(err, WEIR_RETRY,
                     "transaction %s%sat %.*s:%llu rolled rows back to a "
                     "savepoint: it is read again, without them", r->txn.gtid,
                     r->txn.gtid[0] ? " " : "", STR_ARG(buf_view(&r->at.file)),
                     (unsigned long long)r->txn.start);
}
