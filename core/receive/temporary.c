/*
 * temporary.c - temporary tables of sessions whose log has statements.  The flag
 * LOG_EVENT_THREAD_SPECIFIC_F does not tell them from other tables: a default of
 * CONNECTION_ID() has it set for all that is done to its table.  So their names
 * are noted as they are made, with the places between which they are there, since
 * a part of the log may be read again.
 */
#include "receive/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

enum { TEMPORARIES_MAX = 1024 };

static void
release(struct temporary *t)
{
    free(t->schema);
    free(t->name);
    free(t->from_file);
    free(t->to_file);
    free(t);
}

static char *
text_of(struct weir_str s)
{
    char *p = xmalloc(s.len + 1);

    if (s.len > 0) {
        memcpy(p, s.data, s.len);
    }
    p[s.len] = '\0';
    return p;
}

static bool
is_there(const struct receiver *r, const struct temporary *t)
{
    const struct weir_str file = buf_view(&r->at.file);

    return place_compare(str_of(t->from_file), t->from, file, r->at.offset) <=
               0 &&
           (!t->to_file ||
            place_compare(file, r->at.offset, str_of(t->to_file), t->to) < 0);
}

static struct temporary *
find(struct receiver *r, uint32_t thread, const struct statement_table *table)
{
    for (struct temporary *t = r->temporaries; t; t = t->next) {
        if (t->thread == thread && str_eq_nocase(str_of(t->schema),
                                                 table->schema) &&
            str_eq_nocase(str_of(t->name), table->name) && is_there(r, t)) {
            return t;
        }
    }
    return NULL;
}

static void
end(struct receiver *r, struct temporary *t)
{
    free(t->to_file);
    t->to_file = text_of(buf_view(&r->at.file));
    t->to = r->at.offset;
}

static void
add(struct receiver *r, uint32_t thread, const struct statement_table *table)
{
    struct temporary  *t = xcalloc(1, sizeof *t);
    struct temporary **place = &t->next;

    *t = (struct temporary){ .next = r->temporaries,
                             .thread = thread,
                             .schema = text_of(table->schema),
                             .name = text_of(table->name),
                             .from_file = text_of(buf_view(&r->at.file)),
                             .from = r->at.offset };
    r->temporaries = t;
    for (int n = 1; *place && n < TEMPORARIES_MAX; n++) {
        place = &(*place)->next;
    }
    while (*place) { /* older ones, of which most are long gone */
        struct temporary *old = *place;
        *place = old->next;
        release(old);
    }
}

void
temporary_note(struct receiver *r, uint32_t thread, const struct statement *s)
{
    for (size_t i = 0; i < s->ntables; i++) {
        struct temporary *t = find(r, thread, &s->tables[i]);
        if (s->temporary == TEMPORARY_DROP && t) {
            end(r, t);
        } else if (s->temporary == TEMPORARY_CREATE && !t) {
            add(r, thread, &s->tables[i]);
        }
    }
}

/* `from` has become `to`. */
static void
rename_one(struct receiver *r, uint32_t thread,
           const struct statement_table *from,
           const struct statement_table *to)
{
    struct temporary *t = find(r, thread, from);

    if (t) {
        end(r, t);
    }
    if (!find(r, thread, to)) {
        add(r, thread, to);
    }
}

bool
temporary_is(struct receiver *r, uint32_t thread, const struct statement *s)
{
    const bool rename = str_is(s->verb, "rename table");
    const bool other = s->kind == STATEMENT_TRUNCATE ||
                       str_is(s->verb, "alter table") ||
                       str_is(s->verb, "create index") ||
                       str_is(s->verb, "drop index");

    if (s->ntables == 0 || (!rename && !other)) {
        return false;
    }
    for (size_t i = 0; i < s->ntables; i += 2) {
        if ((rename || i == 0) && !find(r, thread, &s->tables[i])) {
            return false;
        }
    }
    for (size_t i = 0; i + 1 < s->ntables && !s->unsure; i += 2) {
        rename_one(r, thread, &s->tables[i], &s->tables[i + 1]);
    }
    return true;
}

void
temporary_end_all(struct receiver *r)
{
    for (struct temporary *t = r->temporaries; t; t = t->next) {
        if (is_there(r, t)) {
            end(r, t);
        }
    }
}

void
temporary_free(struct receiver *r)
{
    while (r->temporaries) {
        struct temporary *t = r->temporaries;
        r->temporaries = t->next;
        release(t);
    }
}
