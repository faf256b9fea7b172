/* section_sink.c - write(): each operation, each value, again, cut off. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/str.h"
#include "tools/modtest/sections.h"

enum { MANY = 1000 };

bool
restored(struct unit *u, const char *id)
{
    if (!u->h->m->restore) {
        return true;
    }
    const enum weir_status st = unit_restore(u, id, WEIR_ALL_SLOTS);
    return st == WEIR_OK ||
           point(false, "restore() of all slots at a start: %s: %s",
                 status_name(st), u->h->said);
}

struct unit *
start_with(struct host *h, struct made_table *t, const char *what)
{
    struct unit *u = unit_start(h, what);

    if (u && (!restored(u, h->id) || unit_table(u, t) != WEIR_OK)) {
        point(false, "%s: table() or restore(): %s", what, h->said);
        unit_free(&u);
    }
    return u;
}

static void
mark(struct host *h, struct trial *b, uint32_t slot, const char *data)
{
    trial_checkpoint(b, h->id, slot, h->epoch, str_of(data));
}

enum weir_status
put_rows(struct unit *u, struct made_table *t, size_t n, int64_t first,
         uint32_t slot, const char *data)
{
    struct trial *b = trial_new(n, n * 1024);

    for (size_t i = 0; i < n; i++) {
        trial_add(b, &u->h->rows, WEIR_INSERT, t, first + (int64_t)i,
                  IMAGE_ORDINARY);
    }
    mark(u->h, b, slot, data);
    return unit_put(u, b);
}

static bool
well(struct host *h, enum weir_status st, unsigned rejected, const char *what)
{
    const bool fine = st == WEIR_OK && h->nrejected == rejected;

    return point(fine, "write(): %s%s%s%s%s", what, st == WEIR_OK ? "" : ": ",
                 st == WEIR_OK ? "" : status_name(st),
                 st == WEIR_OK ? "" : ": ", st == WEIR_OK ? "" : h->said);
}

/* What may be refused, but for good and with a reason. */
static void
answered(struct host *h, enum weir_status st, const char *what,
         const char *more)
{
    point(st == WEIR_OK || st == WEIR_REJECT, "write(): %s%s%s: %s%s%s", what,
          *more ? ", " : "", more, status_name(st), st == WEIR_OK ? "" : ": ",
          st == WEIR_OK ? "" : h->said);
}

static void
put_one(struct unit *u, struct made_table *t, enum weir_op op,
        const char *what)
{
    struct trial *b = trial_new(1, 4096);

    trial_add(b, &u->h->rows, op, t, 1, IMAGE_ORDINARY);
    mark(u->h, b, 0, what);
    const unsigned rejected = u->h->nrejected;
    well(u->h, unit_put(u, b), rejected, what);
}

static void
put_change_of_key(struct unit *u, struct made_table *t)
{
    struct host       *h = u->h;
    struct trial      *b = trial_new(2, 8192);
    struct weir_event *ev =
        trial_add(b, &h->rows, WEIR_UPDATE, t, 1, IMAGE_ORDINARY);

    ev->after = row_image(&b->guard, &h->rows, t, 2000000, IMAGE_ORDINARY);
    ev->flags |= WEIR_KEY_CHANGED;
    mark(h, b, 0, "key");
    const unsigned rejected = h->nrejected;
    well(h, unit_put(u, b), rejected, "an UPDATE of the key");
}

/* A transaction of two batches. */
static void
put_open(struct unit *u, struct made_table *t)
{
    struct host   *h = u->h;
    const unsigned rejected = h->nrejected;
    enum weir_status st = WEIR_OK;

    for (int i = 0; i < 2 && st == WEIR_OK; i++) {
        struct trial *b = trial_new(4, 16384);
        for (int k = 0; k < 4; k++) {
            struct weir_event *ev = trial_add(b, &h->rows, WEIR_INSERT, t,
                                              10 + i * 4 + k, IMAGE_ORDINARY);
            ev->flags = i == 0 && k == 0   ? WEIR_FIRST_IN_TXN
                        : i == 1 && k == 3 ? WEIR_LAST_IN_TXN
                                           : 0;
        }
        b->head.pub.flags = i == 0 ? WEIR_TXN_OPEN : 0;
        mark(h, b, 0, i ? "whole" : "open");
        st = unit_put(u, b);
    }
    well(h, st, rejected, "a transaction of two batches (WEIR_TXN_OPEN)");
}

void
section_write(struct host *h)
{
    struct made_table *t = table_make(&h->rows, TABLE_PLAIN);
    struct unit       *u = start_with(h, t, "operations");

    if (!u) {
        return;
    }
    unsigned rejected = h->nrejected;
    struct trial *b = trial_new(0, 4096);
    mark(h, b, 0, "empty");
    well(h, unit_put(u, b), rejected, "an empty batch");
    put_one(u, t, WEIR_INSERT, "an INSERT");
    put_one(u, t, WEIR_UPDATE, "an UPDATE");
    put_change_of_key(u, t);
    put_one(u, t, WEIR_DELETE, "a DELETE");
    put_one(u, t, WEIR_DELETE, "a DELETE of a row that is not there");
    put_one(u, t, WEIR_SNAPSHOT, "a row of a snapshot");
    rejected = h->nrejected;
    well(h, put_rows(u, t, MANY, 100, 0, "many"), rejected, "1000 rows");
    put_open(u, t);
    unit_tick(u);
    b = trial_new(1, 4096);
    trial_add(b, &h->rows, WEIR_DDL, t, 0, IMAGE_ORDINARY);
    mark(h, b, 0, "ddl");
    answered(h, unit_put(u, b), "DDL of a table", "");
    b = trial_new(1, 4096);
    trial_add(b, &h->rows, WEIR_DDL, NULL, 0, IMAGE_ORDINARY);
    mark(h, b, 0, "ddl");
    answered(h, unit_put(u, b), "DDL without a table", "");
    for (int op = WEIR_SNAPSHOT_BEGIN; op <= WEIR_TRUNCATE; op++) {
        static const char *const names[] = { "the begin of a snapshot",
                                             "the end of a snapshot",
                                             "TRUNCATE" };
        b = trial_new(1, 4096);
        trial_add(b, &h->rows, (enum weir_op)op, t, 0, IMAGE_ORDINARY);
        mark(h, b, 0, "alone");
        answered(h, unit_put(u, b), names[op - WEIR_SNAPSHOT_BEGIN], "");
    }
    rejected = h->nrejected;
    well(h, put_rows(u, t, 3, 1, 0, "behind"), rejected,
         "rows behind all that");
    unit_table_end(u, t);
    unit_free(&u);
}

/* ---- Values */

static void
try_values(struct unit *u, enum table_kind kind)
{
    static const enum weir_op ops[] = { WEIR_INSERT, WEIR_UPDATE,
                                        WEIR_DELETE };
    struct host       *h = u->h;
    struct made_table *t = table_make(&h->rows, kind);

    if (unit_table(u, t) != WEIR_OK) {
        skipped(table_title(kind), h->said);
        return;
    }
    for (int image = 0; image < IMAGES; image++) {
        enum weir_status st = WEIR_OK;
        if (image == IMAGE_BIG && kind != TABLE_TYPES) {
            continue;
        }
        for (int k = 0; k < 3; k++) {
            struct trial *b = trial_new(
                1, (256 << 10) + (image == IMAGE_BIG ? 2 * h->opt->big : 0));
            trial_add(b, &h->rows, ops[k], t, 5, (enum image)image);
            mark(h, b, 0, "values");
            const enum weir_status one = unit_put(u, b);
            st = one != WEIR_OK && st != WEIR_FATAL ? one : st;
        }
        answered(h, st, table_title(kind), image_title((enum image)image));
    }
    unit_table_end(u, t);
}

void
section_values(struct host *h)
{
    struct unit *u = unit_start(h, "values");

    if (u && restored(u, h->id)) {
        for (int k = 0; k < TABLE_KINDS; k++) {
            try_values(u, (enum table_kind)k);
        }
        note("%u events were refused by a verdict", h->nrejected);
    }
    unit_free(&u);
}

/* ---- Again, and cut off */

void
section_again(struct host *h)
{
    struct made_table *t = table_make(&h->rows, TABLE_PLAIN);
    struct unit       *u = start_with(h, t, "a batch twice");
    const unsigned     rejected = h->nrejected;
    const uint64_t     seq = h->rows.seq;

    if (!u) {
        return;
    }
    enum weir_status st = put_rows(u, t, 10, 1, 0, "once");
    well(h, st, rejected, "a batch");
    unit_table_end(u, t);
    unit_free(&u);
    u = start_with(h, t, "a batch twice");
    if (u && h->batching.guarantee == WEIR_EXACTLY_ONCE &&
        !h->batching.resend) {
        skipped("the same batch again", "it never comes: exactly-once");
    } else if (u) {
        h->rows.seq = seq;
        st = put_rows(u, t, 10, 1, 0, "once");
        well(h, st, rejected, "the same batch again, after a start");
    }
    if (u) {
        unit_table_end(u, t);
    }
    unit_free(&u);
}

/* Ends what connections this process has; how many there were. */
static size_t
cut_connections(void)
{
    size_t n = 0;

    for (int fd = 3; fd < 1024; fd++) {
        struct stat st;
        if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode)) {
            shutdown(fd, SHUT_RDWR);
            n++;
        }
    }
    return n;
}

void
section_cut(struct host *h)
{
    struct made_table *t = table_make(&h->rows, TABLE_PLAIN);
    struct unit       *u = start_with(h, t, "a connection that is cut");

    if (!u) {
        return;
    }
    put_rows(u, t, 3, 1, 0, "before");
    if (cut_connections() == 0) {
        skipped("a connection that is cut", "it has none");
        unit_free(&u);
        return;
    }
    struct trial *b = trial_new(3, 16384);
    for (int i = 0; i < 3; i++) {
        trial_add(b, &h->rows, WEIR_INSERT, t, 50 + i, IMAGE_ORDINARY);
    }
    mark(h, b, 0, "behind");
    const enum weir_status st = unit_write(u, b);
    point(st == WEIR_OK || st == WEIR_RETRY,
          "write() when the connection was cut gives RETRY (or OK): %s%s%s",
          status_name(st), st < 0 ? ": " : "", st < 0 ? h->said : "");
    if (h->m->restore) {
        point(unit_restore(u, h->id, 0) == WEIR_OK,
              "restore() of that slot connects again: %s", h->said);
    }
    const unsigned rejected = h->nrejected;
    well(h, put_rows(u, t, 3, 50, 0, "again"), rejected,
         "the same rows then");
    cut_connections();
    point(true, "close() of a connection that was cut");
    unit_table_end(u, t);
    unit_free(&u);
}

void
section_write_leaks(struct host *h)
{
    struct made_table *t = table_make(&h->rows, TABLE_PLAIN);
    struct unit       *u = start_with(h, t, "many batches");
    struct traces      before = traces_now();
    struct leak        leak = { { 0 } };

    for (int i = 0; u && i < LEAK_CYCLES; i++) {
        leak_note(&leak, i);
        if (i == LEAK_WINDOW) {
            before = traces_now();
        }
        put_rows(u, t, 20, 1, 0, "many");
        unit_tick(u);
    }
    if (u) {
        leak_point(&leak, "write()");
        traces_compare(&before, "write()");
        unit_table_end(u, t);
    }
    unit_free(&u);
}
