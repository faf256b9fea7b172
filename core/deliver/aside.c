/* aside.c - tables that are parked, and dead letters: what is there, and what
 * comes to it.  See aside.h. */
#include "deliver/aside.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "deliver/sidelog.h"

/* ---- What there is */

static uint64_t
bytes_of_all(const struct aside *a)
{
    uint64_t n = a->dead.log ? sidelog_bytes(a->dead.log) : 0;

    for (const struct aside_table *t = a->parked; t; t = t->next) {
        n += sidelog_bytes(t->log);
    }
    return n;
}

void
aside_show(const struct deliverer *d)
{
    uint32_t n = 0;

    for (const struct aside_table *t = d->aside->parked; t; t = t->next) {
        n++;
    }
    atomic_store(&d->set.page->parked_tables, n);
    atomic_store(&d->set.page->dead_letters, d->aside->dead.log != NULL);
}

struct aside_table *
aside_find(const struct deliverer *d, struct weir_str schema,
           struct weir_str table)
{
    struct aside_table *t = d->aside->parked;

    while (t && !(str_eq(buf_view(&t->schema), schema) &&
                  str_eq(buf_view(&t->table), table))) {
        t = t->next;
    }
    return t;
}

bool
aside_holds(const struct deliverer *d, struct weir_str schema,
            struct weir_str table, uint64_t frame, uint32_t row)
{
    const struct aside_table *t =
        d->aside->parked ? aside_find(d, schema, table) : NULL;

    return t && (frame > t->frame || (frame == t->frame && row >= t->row));
}

static void
free_table(struct aside_table *t)
{
    sidelog_close(&t->log);
    buf_free(&t->schema);
    buf_free(&t->table);
    free(t->why);
    free(t->dir);
}

void
aside_forget(struct deliverer *d, struct aside_table *t)
{
    struct aside_table **at = &d->aside->parked;

    while (*at && *at != t) {
        at = &(*at)->next;
    }
    if (*at) {
        *at = t->next;
    }
    free_table(t);
    free(t);
    aside_show(d);
}

static enum weir_status
add_table(struct deliverer *d, const char *dir, struct weir_str schema,
          struct weir_str table, struct aside_table **out,
          struct weir_err *err)
{
    struct sidelog *log;

    const enum weir_status st = sidelog_open(dir, schema, table, &log, err);
    if (st != WEIR_OK) {
        return st;
    }
    struct aside_table *t = xcalloc(1, sizeof *t);
    t->log = log;
    t->dir = xstrdup(dir);
    buf_str(&t->schema, schema);
    buf_str(&t->table, table);
    sidelog_first(log, &t->frame, &t->row);
    t->next = d->aside->parked;
    d->aside->parked = t;
    *out = t;
    return WEIR_OK;
}

static enum weir_status
open_dead(struct deliverer *d, bool make, struct weir_err *err)
{
    struct aside_table *t = &d->aside->dead;
    struct weir_str     schema, table;

    if (!t->dir) {
        t->dir = xstrdup(arena_printf(&d->aside->arena, "%s/dead",
                                      d->aside->dir));
    }
    if (t->log) {
        return WEIR_OK;
    }
    enum weir_status st = make ? WEIR_OK
                               : sidelog_names(t->dir, &d->aside->call,
                                               &schema, &table, err);
    if (st == WEIR_OK) {
        st = sidelog_open(t->dir, STR(""), STR(""), &t->log, err);
    }
    return st == WEIR_DROP ? WEIR_OK : st;
}

/* One without a settled event was never parked. */
static enum weir_status
find_parked(struct deliverer *d, const char *name, struct weir_err *err)
{
    struct aside       *a = d->aside;
    struct weir_str     schema, table;
    struct aside_table *t;

    const char *dir = arena_printf(&a->call, "%s/park/%s", a->dir, name);
    if (strstr(name, "%gone")) {
        return sidelog_remove(dir, err);
    }
    const enum weir_status st =
        sidelog_names(dir, &a->call, &schema, &table, err);
    if (st == WEIR_DROP) {
        return sidelog_remove(dir, err);
    }
    return st == WEIR_OK ? add_table(d, dir, schema, table, &t, err) : st;
}

enum weir_status
aside_open(struct deliverer *d, struct weir_err *err)
{
    struct dirent *e;

    if (d->aside) {
        return WEIR_OK;
    }
    d->aside = xcalloc(1, sizeof *d->aside);
    d->aside->dir = d->sink_dir;
    enum weir_status st = open_dead(d, false, err);
    DIR *dir = opendir(arena_printf(&d->aside->call, "%s/park", d->sink_dir));
    while (st == WEIR_OK && dir && (e = readdir(dir))) {
        if (e->d_name[0] != '.') {
            st = find_parked(d, e->d_name, err);
        }
    }
    if (dir) {
        closedir(dir);
    }
    arena_reset(&d->aside->call);
    if (st != WEIR_OK) {
        aside_close(d);
        return st == WEIR_REJECT ? WEIR_FATAL : st;
    }
    aside_show(d);
    return WEIR_OK;
}

void
aside_close(struct deliverer *d)
{
    struct aside *a = d->aside;

    if (!a) {
        return;
    }
    while (a->parked) {
        struct aside_table *t = a->parked;
        a->parked = t->next;
        free_table(t);
        free(t);
    }
    free_table(&a->dead);
    arena_free(&a->arena);
    arena_free(&a->call);
    free(a);
    d->aside = NULL;
}

/* ---- What comes to it */

static enum weir_status
check_room(struct deliverer *d, size_t more, struct weir_err *err)
{
    struct aside  *a = d->aside;
    const uint64_t cap = (uint64_t)d->set.sink->set.aside;
    const uint64_t used = bytes_of_all(a) + more;

    if (used > cap) {
        return weir_fail(err, WEIR_REJECT,
                         "what this sink has put aside takes %llu MiB, all "
                         "that aside allows: mend it (weirctl park list, "
                         "weirctl dead list), or raise aside in the sink's "
                         "block", (unsigned long long)(cap >> 20));
    }
    const bool high = used > cap / 10 * 8;
    if (high && !a->alarmed) {
        log_warn("what this sink has put aside takes %llu %% of aside "
                 "(%llu MiB): at 100 %% the sink stops; see weirctl park list "
                 "and weirctl dead list",
                 (unsigned long long)(used * 100 / cap),
                 (unsigned long long)(cap >> 20));
    }
    a->alarmed = high;
    return WEIR_OK;
}

/* The frames, from the relay: nothing is kept of them in memory. */
static enum weir_status
put_into(struct deliverer *d, struct sidelog *log, const struct refused *what,
         struct weir_err *err)
{
    struct arena *a = &d->aside->call;
    struct frame  body, head, table;

    enum weir_status st =
        follower_read(d->follower, what->frame, a, &body, err);
    if (st == WEIR_OK) {
        st = follower_read(d->follower, what->head, a, &head, err);
    }
    if (st == WEIR_OK && what->table) {
        st = follower_read(d->follower, what->table, a, &table, err);
    }
    if (st == WEIR_OK) {
        const struct side_put put = {
            .frame = what->frame, .row = what->row, .part = what->part,
            .nrows = what->nrows,
            .attempts = what->attempts, .reason = str_of(what->reason),
            .body = &body, .head = &head,
            .table = what->table ? &table : NULL,
            .from = what->frame == d->at.next ? d->at.next_row : 0,
        };
        st = check_room(d, body.payload.len + head.payload.len +
                               put.reason.len, err);
        st = st == WEIR_OK ? sidelog_put(log, &put, err) : st;
    }
    return st;
}

static enum weir_status
park(struct deliverer *d, const struct refused *what, struct weir_err *err)
{
    struct aside            *a = d->aside;
    const struct weir_table *t = &what->view->table->pub;

    struct aside_table *at = aside_find(d, t->schema, t->name);
    const bool          is_new = !at;
    if (is_new) {
        const char *dir =
            arena_printf(&a->call, "%s/park/%s", a->dir,
                         sidelog_folder(&a->call, t->schema, t->name));
        const enum weir_status st =
            add_table(d, dir, t->schema, t->name, &at, err);
        if (st != WEIR_OK) {
            return st;
        }
    }
    const enum weir_status st = put_into(d, at->log, what, err);
    if (st == WEIR_OK || st == WEIR_DROP) {
        what->round->refused.parked += what->nrows;
    }
    if (st == WEIR_OK) {
        sidelog_first(at->log, &at->frame, &at->row);
    }
    if (is_new && (st == WEIR_OK || st == WEIR_DROP)) {
        at->why = xstrdup(what->reason);
    } else if (is_new) {
        aside_forget(d, at);
    }
    return st;
}

enum weir_status
aside_put(struct deliverer *d, const struct refused *what,
          struct weir_err *err)
{
    const enum conf_reject policy =
        (enum conf_reject)d->set.sink->set.on_reject;
    const bool held = what->view &&
                      aside_find(d, what->view->table->pub.schema,
                                 what->view->table->pub.name);
    enum weir_status st = WEIR_OK;

    if (d->aside->applying) {
        return weir_fail(err, WEIR_REJECT, "%s", what->reason);
    }
    if (held || (policy == CONF_REJECT_PARK && what->view)) {
        st = park(d, what, err);
    } else if (policy == CONF_REJECT_PARK) { /* nobody knows of which table */
        st = weir_fail(err, WEIR_REJECT, "%.300s.  It may be about any table, so "
                       "that there is none to park for it; on_reject = "
                       "dead_letter or skip goes on without it", what->reason);
    } else if (policy == CONF_REJECT_DEAD_LETTER) {
        st = open_dead(d, true, err);
        st = st == WEIR_OK ? put_into(d, d->aside->dead.log, what, err) : st;
        if (st == WEIR_OK || st == WEIR_DROP) {
            what->round->refused.dead += what->nrows;
        }
        if (st == WEIR_OK) {
            aside_show(d);
            log_warn("dead letter: %s", what->reason);
        }
    } else {
        what->round->refused.skipped += what->nrows;
        log_warn("skipped: %s", what->reason);
    }
    arena_reset(&d->aside->call);
    return st == WEIR_DROP ? WEIR_OK : st;
}

/* Said once it is durable: who reads of it finds it. */
static void
say_parked(const struct deliverer *d, struct aside_table *t)
{
    const struct weir_str schema = buf_view(&t->schema);
    const struct weir_str table = buf_view(&t->table);

    log_error("table %.*s.%.*s is parked: %s.  Its changes are kept in %s from "
              "here on, and the other tables go on; when that is mended, "
              "weirctl park resume %s %.*s.%.*s",
              STR_ARG(schema), STR_ARG(table), t->why, t->dir, d->name,
              STR_ARG(schema), STR_ARG(table));
    free(t->why);
    t->why = NULL;
    aside_show(d);
}

enum weir_status
aside_settle(struct deliverer *d, struct weir_err *err)
{
    struct aside    *a = d->aside;
    enum weir_status st = a->dead.log ? sidelog_settle(a->dead.log, err)
                                      : WEIR_OK;

    for (struct aside_table *t = a->parked; t && st == WEIR_OK; t = t->next) {
        st = sidelog_settle(t->log, err);
        if (st == WEIR_OK && t->why) {
            say_parked(d, t);
        }
    }
    return st;
}
