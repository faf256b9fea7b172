/*
 * given.c - a definition that a person gave: which frames of the relay it is
 * for.  It is followed through the DDL behind the first one; where the names
 * are known again, or a statement is not understood, it ends, else it is what
 * the source goes on with.  Refused where it can't be, or would be a guess.
 */
#include "receive/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "relay/follow.h"
#include "schema/given.h"

enum { DDL_PREFIX = 16, BEAT_FRAMES = 4096 };

struct walk {
    struct receiver             *r;
    const struct receiver_given *g;
    struct arena                 a, call; /* of all; of one frame */
    struct given                *known, *made;
    const struct definition     *def; /* at this frame */
    bool                         started, ended;
    uint64_t                     since; /* where `def` began to hold */
    uint64_t                     end;   /* behind the last frame */
    unsigned                     statements; /* that were followed */
    const char                  *first;      /* of them */
    const char                  *why;        /* it ended */
    uint64_t                     ended_at;
    bool                         has_map; /* of rows since the last DDL */
    struct buf                   map;     /* a table frame's payload */
};

static bool
is_ours(const struct walk *w, struct weir_str schema, struct weir_str name)
{
    return str_eq_nocase(schema, w->g->schema) &&
           str_eq_nocase(name, w->g->name);
}

/* The stretch up to `to` is over. */
static void
add_stretch(struct walk *w, uint64_t to, bool at_end)
{
    if (w->since == to && !at_end) {
        return;
    }
    struct given *g = arena_alloc(&w->a, sizeof *g);
    *g = (struct given){ .next = w->made,
                         .from = w->since,
                         .to = to,
                         .at_end = at_end,
                         .schema = w->g->schema,
                         .name = w->g->name,
                         .def = w->def };
    w->made = g;
}

static void
end_at(struct walk *w, uint64_t offset, const char *why)
{
    add_stretch(w, offset, false);
    w->ended = true;
    w->ended_at = offset;
    w->why = arena_strdup(&w->a, why);
}

static enum weir_status
check_fit(struct walk *w, const struct table_frame *t, uint64_t version,
          struct weir_err *err)
{
    struct weir_err why;

    if (table_fits(&w->call, t->flavour, &t->map, w->def, &why)) {
        return WEIR_OK;
    }
    if (w->statements) {
        return weir_fail(err, WEIR_REJECT,
                         "followed through %u statements it is not the table "
                         "of the log's version %" PRIu64 ": %s",
                         w->statements, version, why.text);
    }
    return weir_fail(err, WEIR_REJECT, "it is not the table of the log's "
                     "version %" PRIu64 ": %s", version, why.text);
}

static enum weir_status
take_table(struct walk *w, const struct frame *f, struct weir_err *err)
{
    struct table_frame t;

    if ((f->flags & FRAME_EARLIER) ||
        !table_frame_read(&w->call, f->payload, &t) ||
        !str_eq(t.map.schema, w->g->schema) ||
        !str_eq(t.map.name, w->g->name)) {
        return WEIR_OK;
    }
    const bool finds = w->g->from == GIVEN_FIND;
    const bool known =
        t.names_known ||
        (finds && given_find(w->known, w->g->schema, w->g->name, f->offset));
    w->has_map = true;
    w->map.len = 0;
    buf_str(&w->map, f->payload);
    if (!w->started && w->g->from == f->offset && known) {
        return weir_fail(err, WEIR_REJECT, "the names of version %" PRIu64
                         " are known", f->offset);
    }
    if (!w->started && !known && (finds || w->g->from == f->offset)) {
        w->started = true;
        w->since = f->offset;
    }
    if (w->started && !w->ended && known) {
        end_at(w, f->offset, "its names are known from there on");
    }
    return w->started && !w->ended ? check_fit(w, &t, f->offset, err)
                                   : WEIR_OK;
}

/* ---- Statements */

static const struct definition *
lookup(void *arg, struct weir_str schema, struct weir_str name)
{
    const struct walk *w = arg;

    return str_eq(schema, w->g->schema) && str_eq(name, w->g->name) ? w->def
                                                                    : NULL;
}

static bool
concerns_it(const struct walk *w, const struct statement *s)
{
    bool any = s->unsure || (s->kind == STATEMENT_DATABASE &&
                             str_eq_nocase(s->name, w->g->schema));

    for (size_t i = 0; i < s->ntables && !any; i++) {
        any = is_ours(w, s->tables[i].schema, s->tables[i].name);
    }
    return any;
}

static void
take_changes(struct walk *w, const struct frame *f,
             const struct statement *s, const struct ddl_changes *changes)
{
    const struct ddl_change *last = NULL;

    for (size_t i = 0; i < changes->n; i++) {
        const struct ddl_change *c = &changes->items[i];
        if (c->whole_schema ? str_eq_nocase(c->schema, w->g->schema)
                            : is_ours(w, c->schema, c->name)) {
            last = c;
        }
    }
    if (!last && !s->unsure && !changes->why) {
        return;
    }
    w->statements++;
    if (!w->first) {
        w->first = arena_printf(&w->a, "%.*s at %" PRIu64, STR_ARG(s->verb),
                                f->offset);
    }
    if (changes->why || s->unsure || !last || !last->def) {
        end_at(w, f->offset,
               arena_printf(&w->call, "what the %.*s there made of it can't "
                            "be followed", STR_ARG(s->verb)));
        return;
    }
    add_stretch(w, f->offset, false);
    w->since = f->offset;
    w->def = definition_copy(&w->a, last->def);
}

static void
take_ddl(struct walk *w, const struct frame *f)
{
    struct binlog_query query = { 0 };
    struct statement    s = { .kind = STATEMENT_TABLE, .unsure = true,
                              .verb = STR("statement") };
    struct ddl_changes  changes = { 0 };
    struct reader       p = reader_of(f->payload.data, f->payload.len);

    read_bytes(&p, DDL_PREFIX);
    const struct weir_str event = read_str(&p, reader_left(&p));
    const bool read = follow_read(&w->call, event, &query, &s);
    if ((s.kind != STATEMENT_TABLE && s.kind != STATEMENT_DATABASE) ||
        !concerns_it(w, &s)) {
        return;
    }
    w->has_map = false;
    if (!w->started || w->ended) {
        return;
    }
    if (read && !s.unsure) {
        const struct ddl_session session = follow_session(w->r, &query);
        ddl_follow(&w->call, &session, statement_text(&w->call, &query), &s,
                   lookup, w, &changes);
    }
    take_changes(w, f, &s, &changes);
}

/* ---- The relay */

static enum weir_status
seek(const struct walk *w, struct follower *f, struct weir_err *err)
{
    uint64_t         first;
    enum weir_status st = follower_first(f, &first, err);

    if (st != WEIR_OK) {
        return st;
    }
    if (w->g->from == GIVEN_FIND || w->g->from == GIVEN_NOW) {
        const uint64_t at = w->g->needed > first ? w->g->needed : first;
        st = follower_seek(f, at, err);
        return st == WEIR_OK ? follower_seek(f, follower_segment(f), err) : st;
    }
    st = follower_seek(f, w->g->from, err);
    if (st == WEIR_OK && follower_in_gap(f)) {
        st = weir_fail(err, WEIR_REJECT, "there is nothing at %" PRIu64,
                       w->g->from);
    }
    return st;
}

static enum weir_status
walk_relay(struct walk *w, struct weir_err *err)
{
    struct follower *follower;
    struct frame     f;

    /* Slot 0 is nobody's who sleeps: see receiver_resume(). */
    enum weir_status st =
        follower_open(w->r->dir, w->r->page_path, 0, &follower, err);
    if (st != WEIR_OK) {
        return st;
    }
    st = seek(w, follower, err);
    for (unsigned n = 0; st == WEIR_OK; n++) {
        if (n % BEAT_FRAMES == 0 && w->r->set.page) {
            page_beat(w->r->set.page);
        }
        st = follower_next(follower, &f, err);
        if (st != WEIR_OK) {
            break;
        }
        arena_reset(&w->call);
        w->end = f.next;
        if (f.type == FRAME_TABLE) {
            st = take_table(w, &f, err);
        } else if (f.type == FRAME_DDL) {
            take_ddl(w, &f);
        }
    }
    follower_close(&follower);
    return st == WEIR_DROP || (st == WEIR_RETRY && relay_is_new(w->r->relay))
               ? WEIR_OK
               : st;
}

/* No row before needs it: valid for what comes. */
static enum weir_status
begin_at_end(struct walk *w, struct weir_err *err)
{
    struct table_frame                   t;
    const struct receiver_given         *g = w->g;
    const struct known_definition *const have =
        tables_known(w->r, g->schema, g->name);

    if (g->from != GIVEN_FIND && g->from != GIVEN_NOW) {
        return weir_fail(err, WEIR_REJECT, "the frame at %" PRIu64 " is no "
                         "version of it", g->from);
    }
    if (g->from == GIVEN_FIND && have && have->def) {
        return weir_fail(err, WEIR_REJECT, "its names are known, see weirctl "
                         "schema show; to say otherwise from here on: "
                         "--from now");
    }
    w->started = true;
    w->since = w->end;
    arena_reset(&w->call);
    if (w->has_map && table_frame_read(&w->call, buf_view(&w->map), &t)) {
        return check_fit(w, &t, w->since, err);
    }
    return WEIR_OK;
}

/* Of the first stretch. */
static uint64_t
begins_at(const struct walk *w)
{
    uint64_t from = w->since;

    for (const struct given *g = w->made; g; g = g->next) {
        from = g->from < from ? g->from : from;
    }
    return from;
}

/* A definition as of some rows, and the log changed the table behind them: is
 * it meant to be as it was, or as it is? */
static enum weir_status
check_clear(const struct walk *w, struct weir_err *err)
{
    if (w->g->from != GIVEN_FIND || !w->first) {
        return WEIR_OK;
    }
    return weir_fail(
        err, WEIR_REJECT,
        "rows from version %" PRIu64 " on have no names, and the log changed "
        "the table behind them (%s).  If the statement is the table as it was "
        "there, add --from %" PRIu64 "; if it is the table as it is at the "
        "source's position, --from now",
        begins_at(w), w->first, begins_at(w));
}

/* ---- What is kept of it */

static enum weir_status
store(struct walk *w, struct weir_err *err)
{
    struct given **last = &w->made;
    const bool     to_end = !w->ended;

    if (to_end) {
        add_stretch(w, w->end, true);
    }
    while (*last) {
        last = &(*last)->next;
    }
    for (struct given *g = w->known, *next; g; g = next) {
        next = g->next;
        g->at_end = g->at_end && !(to_end && str_eq(g->schema, w->g->schema) &&
                                   str_eq(g->name, w->g->name));
        g->next = NULL;
        if (g->to >= relay_first(w->r->relay)) {
            *last = g;
            last = &g->next;
        }
    }
    return given_write(w->r->set.given, w->made, err);
}

static void
use(struct receiver *r, struct weir_str schema, struct weir_str name,
    const struct definition *def)
{
    tables_forget_one(r, schema, name);
    struct known_definition *d = tables_new(r, schema, name);
    d->def = definition_copy(&d->arena, def);
    d->followed = true;
}

static void
say(const struct walk *w, uint64_t from, char *out)
{
    char through[80] = "", till[300] = "";

    if (w->statements > w->ended) {
        snprintf(through, sizeof through, ", followed through %u statements",
                 w->statements - (w->ended && w->statements ? 1 : 0));
    }
    if (w->ended) {
        snprintf(till, sizeof till, ", up to %" PRIu64 ": %s", w->ended_at,
                 w->why);
    }
    snprintf(out, GIVEN_SENTENCE,
             "%.*s.%.*s is defined from %s%" PRIu64 " on (the source is at "
             "%.*s:%" PRIu64 ")%s%s", STR_ARG(w->g->schema),
             STR_ARG(w->g->name), from == w->end ? "what comes behind "
                                                 : "version ",
             from, STR_ARG(buf_view(&w->r->at.file)), w->r->at.offset, through,
             till);
}

static enum weir_status
define(struct walk *w, struct weir_err *err)
{
    struct receiver            *r = w->r;
    const struct binlog_query   none = { .schema = w->g->schema };
    const struct ddl_session    session = follow_session(r, &none);

    if (!tables_kept(r, w->g->schema, w->g->name)) {
        return weir_fail(err, WEIR_REJECT, "no sink of this pipeline wants "
                         "that table");
    }
    const struct definition *given = NULL;
    enum weir_status st =
        given_statement(&w->a, &session, w->g->statement, w->g->name, lookup,
                        w, &given, err);
    if (st == WEIR_OK) {
        st = given_read(&w->a, r->set.given, &w->known, err);
    }
    w->def = given;
    if (st == WEIR_OK) {
        st = walk_relay(w, err);
    }
    if (st == WEIR_OK && !w->started) {
        st = begin_at_end(w, err);
    }
    return st == WEIR_OK ? check_clear(w, err) : st;
}

enum weir_status
receiver_define(struct receiver *r, const struct receiver_given *given,
                char sentence[static GIVEN_SENTENCE], struct weir_err *err)
{
    struct walk w = { .r = r, .g = given, .end = relay_committed(r->relay) };

    arena_reset(&r->call);
    enum weir_status st = define(&w, err);
    const uint64_t   from = begins_at(&w);
    if (st == WEIR_OK) {
        st = store(&w, err);
    }
    if (st == WEIR_OK) {
        if (!w.ended) {
            use(r, given->schema, given->name, w.def);
        }
        say(&w, from, sentence);
        log_info("%s", sentence);
    }
    buf_free(&w.map);
    arena_free(&w.call);
    arena_free(&w.a);
    return st;
}

enum weir_status
given_resume(struct receiver *r, uint64_t base, uint64_t end,
             struct weir_err *err)
{
    struct arena  a = { 0 };
    struct given *list = NULL;

    const enum weir_status st =
        r->set.given ? given_read(&a, r->set.given, &list, err) : WEIR_OK;
    for (const struct given *g = list; g; g = g->next) {
        const struct given *there = g;
        if (!g->at_end || base >= g->to) {
            continue; /* the segment's header has it, or what came of it */
        }
        if (end < g->to) { /* what was there has been lost since */
            there = given_find(list, g->schema, g->name, end);
        }
        if (there) {
            use(r, there->schema, there->name, there->def);
        }
    }
    arena_free(&a);
    return st;
}
