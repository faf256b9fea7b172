/*
 * hold.c - proving definitions.  information_schema says what a table is now, at
 * position P; the stream may still be before that.  Until it has reached P,
 * nothing is published; if no DDL named the table on the way, the definition
 * was theirs too.  If one did, or the way is too long, everything since is taken
 * back and read again, with the table's names unknown.  Definitions that DDL
 * changed meanwhile go back with it.  Which ones were refused, and up to where,
 * is kept until there is proof of a later place: what comes again on the way may
 * well make one forget the definition itself.
 */
#include "receive/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"

/* Log files of one server are numbered: "bin.000007". */
int
place_compare(struct weir_str file, uint64_t offset, struct weir_str other,
              uint64_t other_offset)
{
    if (file.len != other.len) {
        return file.len < other.len ? -1 : 1;
    }
    const int c = file.len ? memcmp(file.data, other.data, file.len) : 0;
    if (c != 0) {
        return c;
    }
    return offset < other_offset ? -1 : offset > other_offset;
}

void
hold_until(struct receiver *r, struct weir_str file, uint64_t offset)
{
    struct hold *h = &r->hold;

    if (!h->active) {
        h->active = true;
        h->deadline = clock_steady() + r->set.schema_wait_usec;
        h->file.len = 0;
        h->offset = 0;
        position_copy(&h->before, &r->at);
        if (r->txn.open) {
            h->before.offset = r->txn.start;
        }
    }
    if (place_compare(buf_view(&h->file), h->offset, file, offset) < 0) {
        h->file.len = 0;
        buf_str(&h->file, file);
        h->offset = offset;
    }
}

static void
settle(struct receiver *r)
{
    for (struct known_definition *d = r->definitions; d; d = d->next) {
        d->provisional = false;
    }
    r->hold.active = false;
    hold_forget_refusals(r);
    tables_settle(r);
}

static bool
is_meant(struct weir_str have, struct weir_str name)
{
    return name.len == 0 || str_eq_nocase(have, name);
}

static void
note_refusal(struct receiver *r, const struct known_definition *d)
{
    struct arena   *a = &r->hold.arena;
    struct refusal *f = arena_alloc(a, sizeof *f);

    *f = (struct refusal){
        .next = r->hold.refusals,
        .schema = arena_str(a, d->schema),
        .name = arena_str(a, d->name),
        .file = arena_str(a, buf_view(&r->at.file)),
        .offset = r->at.offset,
        .reason = arena_strdup(a, d->reason),
    };
    r->hold.refusals = f;
}

const char *
hold_refused(const struct receiver *r, struct weir_str schema,
             struct weir_str name)
{
    for (const struct refusal *f = r->hold.refusals; f; f = f->next) {
        if (str_eq(f->schema, schema) && str_eq(f->name, name) &&
            place_compare(buf_view(&r->at.file), r->at.offset, f->file,
                          f->offset) < 0) {
            return f->reason;
        }
    }
    return NULL;
}

void
hold_forget_refusals(struct receiver *r)
{
    r->hold.refusals = NULL;
    arena_free(&r->hold.arena);
}

/* Unproved definitions end as unknown, for this reason.  False: none did. */
static bool
refuse(struct receiver *r, struct weir_str schema, struct weir_str name,
       const char *reason)
{
    bool any = false;

    for (struct known_definition *d = r->definitions; d; d = d->next) {
        if (d->provisional && is_meant(d->schema, schema) &&
            is_meant(d->name, name)) {
            d->def = NULL;
            d->provisional = false;
            d->added = false;
            d->reason = arena_strdup(&d->arena, reason);
            note_refusal(r, d);
            any = true;
        }
    }
    return any;
}

enum weir_status
hold_abandon(struct receiver *r, struct weir_err *err)
{
    const enum weir_status st = relay_cut(r->relay, err);

    if (st != WEIR_OK) {
        return st;
    }
    position_copy(&r->at, &r->hold.before);
    r->hold.active = false;
    r->txn = (struct transaction){ 0 };
    r->halves.len = 0;
    tables_forget_ids(r);
    /* What was not refused is asked for again, and what was followed since is
     * followed again. */
    tables_undo(r);
    return weir_fail(err, WEIR_RETRY,
                     "reading again from the last position that is proved");
}

bool
receiver_reads_again(struct receiver *r)
{
    const bool was = r->reread;

    r->reread = false;
    return was;
}

enum weir_status
hold_conflict(struct receiver *r, struct weir_str schema,
              struct weir_str name, struct weir_str verb, struct weir_err *err)
{
    const bool any =
        refuse(r, schema, name,
               arena_printf(&r->call,
                            "read from information_schema, but a later %.*s "
                            "in the log may have changed the table",
                            STR_ARG(verb)));
    r->reread |= any;
    return any ? hold_abandon(r, err) : WEIR_OK;
}

enum weir_status
hold_check(struct receiver *r, struct weir_err *err)
{
    struct hold *h = &r->hold;

    if (!h->active || r->txn.open) { /* half of one is never published */
        return WEIR_OK;
    }
    if (place_compare(buf_view(&r->at.file), r->at.offset, buf_view(&h->file),
                      h->offset) >= 0) {
        const enum weir_status st = receiver_mark(r, r->at.offset, 0, err);
        if (st != WEIR_OK) {
            return st;
        }
        settle(r);
        relay_commit(r->relay);
        return receiver_publish(r, err);
    }
    if (clock_steady() < h->deadline) {
        return WEIR_OK;
    }
    r->behind = true;
    r->reread |= refuse(r, STR(""), STR(""), arena_printf(
        &r->call, "read from information_schema as of %.*s:%llu, which the "
        "stream had not reached after schema_wait (%lld s)",
        STR_ARG(buf_view(&h->file)), (unsigned long long)h->offset,
        (long long)(r->set.schema_wait_usec / 1000000)));
    return hold_abandon(r, err);
}
