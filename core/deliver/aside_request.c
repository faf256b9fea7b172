/*
 * aside_request.c - what a person asks about parked tables and dead letters:
 * done at a start and answered, when lanes stand at one place; else it waits for
 * that.
 */
#include "deliver/aside.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "deliver/dead.h"
#include "deliver/sidelog.h"

/* The rest of the answer is what became of it; the request ends. */
static enum weir_status
answer(struct deliverer *d, bool ok, const char *sentence,
       struct weir_err *err)
{
    if (!ok) {
        return request_refused(d, sentence, err);
    }
    log_info("%s", sentence);
    const enum weir_status st =
        answer_write(d->request_path, d->answer_path, d->request.id, true,
                     sentence, err);
    d->request.verb = REQUEST_NONE;
    return st == WEIR_OK ? st : weir_wrap(err, WEIR_RETRY, "answer");
}

static const char *
folder_of(const struct aside_table *t)
{
    return strrchr(t->dir, '/') + 1;
}

static struct aside_table *
find_parked(const struct deliverer *d, uint64_t hash)
{
    struct aside_table *t = d->aside->parked;

    while (t && str_hash(0, str_of(folder_of(t))) != hash) {
        t = t->next;
    }
    return t;
}

static enum weir_status
remove_table(struct deliverer *d, struct aside_table *t, struct weir_err *err)
{
    const char *dir = arena_printf(&d->aside->call, "%s", t->dir);

    aside_forget(d, t);
    return sidelog_remove(dir, err);
}

static enum weir_status
resume_table(struct deliverer *d, struct aside_table *t, struct weir_err *err)
{
    struct aside_outcome done;
    char                 text[1024];

    const char *name =
        arena_printf(&d->aside->call, "%.*s.%.*s", STR_ARG(buf_view(&t->schema)),
                     STR_ARG(buf_view(&t->table)));
    t->frame = UINT64_MAX; /* holds nothing back, meanwhile */
    enum weir_status st = aside_apply(d, t, NULL, &done, err);
    sidelog_first(t->log, &t->frame, &t->row);
    const struct weir_err    why = *err;
    const unsigned long long n = done.applied;
    if (st == WEIR_REJECT) {
        snprintf(text, sizeof text, "%llu events of %s were applied, then: "
                 "%.600s.  It stays parked with the rest, of which the sink may "
                 "have some already and is sent all again; mend that and resume "
                 "it again, or discard it", n, name, why.text);
        return answer(d, false, text, err);
    }
    if (st == WEIR_OK) {
        st = remove_table(d, t, err);
    }
    if (st != WEIR_OK) {
        return st;
    }
    snprintf(text, sizeof text, "resumed with %s: %llu events that were kept "
             "are applied, without their places in transactions, and it joins "
             "the stream here", name, n);
    return answer(d, true, text, err);
}

static enum weir_status
park_request(struct deliverer *d, struct weir_err *err)
{
    char                text[700];
    struct aside_table *t = find_parked(d, d->request.offset);

    if (!t) { /* weirctl asks for none such: done before a crash */
        return answer(d, true, "that table is not parked any more", err);
    }
    if (d->request.verb == REQUEST_PARK_RESUME) {
        return resume_table(d, t, err);
    }
    snprintf(text, sizeof text, "without the %llu rows that were kept of "
             "%.*s.%.*s: its changes come again from here on, and what it "
             "lacks has to be copied anew",
             (unsigned long long)sidelog_rows(t->log),
             STR_ARG(buf_view(&t->schema)), STR_ARG(buf_view(&t->table)));
    const enum weir_status st = remove_table(d, t, err);
    return st == WEIR_OK ? answer(d, true, text, err) : st;
}

static enum weir_status
remove_if_empty(struct deliverer *d, struct weir_err *err)
{
    struct aside_table *t = &d->aside->dead;
    bool                empty;

    const enum weir_status st = dead_is_empty(t->dir, &empty, err);
    if (st != WEIR_OK || !empty) {
        return st;
    }
    sidelog_close(&t->log);
    aside_show(d);
    return sidelog_remove(t->dir, err);
}

static void
say_replayed(const struct aside_outcome *done, size_t newer, char *out,
             size_t room)
{
    int n = snprintf(out, room, "through with the dead letters: %llu taken, "
                     "%zu left where they are%s",
                     (unsigned long long)done->applied, newer,
                     newer ? ", since a newer version of their row has passed: "
                             "discard them" : "");
    if (done->refused && n > 0 && (size_t)n < room) {
        snprintf(out + n, room - (size_t)n, "; %llu refused again, the first "
                 "since: %s", (unsigned long long)done->refused,
                 done->why.text);
    }
}

/* Does it; what to say of it, in `out`.  *ok: none was refused again. */
static enum weir_status
do_dead(struct deliverer *d, struct dead_list *list, bool *ok, char *out,
        size_t room, struct weir_err *err)
{
    struct aside_outcome done = { 0 };

    *ok = true;
    if (d->request.verb == REQUEST_DEAD_DISCARD) {
        snprintf(out, room, "rid of %zu dead letters", dead_count(list));
        return dead_discard(d->aside->dead.dir, list, err);
    }
    enum weir_status st = dead_check_newer(d, list, err);
    if (st == WEIR_OK) {
        st = aside_apply(d, &d->aside->dead, list, &done, err);
    }
    *ok = done.refused == 0;
    say_replayed(&done, dead_newer(list), out, room);
    return st;
}

static enum weir_status
dead_request(struct deliverer *d, struct weir_err *err)
{
    struct dead_list *list;
    char              text[1024];
    bool              ok = false;

    if (!d->aside->dead.log) {
        return answer(d, false, "there are no dead letters", err);
    }
    enum weir_status st = dead_list_load(d->aside->dead.dir,
                                         d->request.offset, &list, err);
    if (st == WEIR_OK) {
        st = do_dead(d, list, &ok, text, sizeof text, err);
    }
    dead_list_free(&list);
    if (st == WEIR_REJECT) {
        snprintf(text, sizeof text, "%.1000s", err->text);
        ok = false;
        st = WEIR_OK;
    }
    if (st == WEIR_OK) {
        st = remove_if_empty(d, err);
    }
    return st == WEIR_OK ? answer(d, ok, text, err) : st;
}

/* ---- At a start */

/* The sink has what its checkpoint says of a side log, even if that is not
 * noted here yet. */
static enum weir_status
make_good(struct deliverer *d, struct weir_err *err)
{
    const struct weir_str side = d->found.side;
    uint64_t              done;

    if (str_is(side, "dead")) {
        return d->aside->dead.log
                   ? sidelog_set_handled(d->aside->dead.dir,
                                         d->found.side_done, err)
                   : WEIR_OK;
    }
    for (struct aside_table *t = d->aside->parked; t && side.len; t = t->next) {
        if (!str_is(side, t->dir + strlen(d->sink_dir) + 1)) {
            continue;
        }
        const enum weir_status st = sidelog_done(t->dir, &done, err);
        return st == WEIR_OK && done < d->found.side_done
                   ? sidelog_set_done(t->dir, d->found.side_done, err)
                   : st;
    }
    return WEIR_OK;
}

bool
aside_is_asked(const struct deliverer *d)
{
    return d->request.verb >= REQUEST_PARK_RESUME;
}

/* After a crash lanes may stand apart, and each knows only for itself which
 * rows it has. */
static bool
is_level(const struct deliverer *d)
{
    for (uint32_t k = 0; k < d->nfound; k++) {
        if (d->slots[k].found && (d->slots[k].p.next != d->found.next ||
                                  d->slots[k].p.next_row !=
                                      d->found.next_row)) {
            return false;
        }
    }
    return true;
}

enum weir_status
aside_start(struct deliverer *d, struct weir_err *err)
{
    enum weir_status st = make_good(d, err);

    if (st != WEIR_OK || !aside_is_asked(d)) {
        return st;
    }
    if (d->is_new) {
        return answer(d, false, "the sink has no position yet", err);
    }
    d->meet = !is_level(d);
    if (d->meet) {
        log_info("what is asked waits until the lanes, which were left at "
                 "different places, have met");
        d->request.verb = REQUEST_NONE; /* taken up again at that start */
        return WEIR_OK;
    }
    const bool park = d->request.verb == REQUEST_PARK_RESUME ||
                      d->request.verb == REQUEST_PARK_DISCARD;
    st = park ? park_request(d, err) : dead_request(d, err);
    arena_reset(&d->aside->call);
    return st;
}
