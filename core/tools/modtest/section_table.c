/* section_table.c - table() and table_end(): tables of all kinds. */
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "tools/modtest/sections.h"

/* What a transform leaves has to be a table. */
static void
check_plan(const struct table_plan *plan)
{
    if (!plan->keep_said) {
        return;
    }
    if (plan->nkept == 0) {
        breach("table() of a transform leaves a column");
    }
    for (size_t i = 0; i < plan->nkept; i++) {
        if (plan->kept[i].name.len == 0) {
            breach("table() of a transform names each column");
        }
        if (plan->kept[i].added && plan->kept[i].type < WEIR_INT) {
            breach("table() of a transform gives each new column a type of "
                   "values");
        }
        for (size_t k = 0; k < i; k++) {
            if (str_eq(plan->kept[i].name, plan->kept[k].name)) {
                breach("table() of a transform leaves no two columns of one "
                       "name (\"%.*s\")", STR_ARG(plan->kept[i].name));
            }
        }
    }
}

static enum weir_status
try_table(struct unit *u, struct made_table *t)
{
    struct host           *h = u->h;
    const unsigned         before = breaches();
    const enum weir_status st = unit_table(u, t);

    if (st == WEIR_OK && h->m->stage == WEIR_TRANSFORM) {
        check_plan(&h->plan);
    }
    const bool fine = t->kind == TABLE_PLAIN
                          ? st == WEIR_OK || st == WEIR_DROP
                          : st == WEIR_OK || st == WEIR_DROP ||
                                st == WEIR_REJECT;
    point(fine && breaches() == before, "table(): %s: %s%s%s",
          table_title(t->kind), status_name(st), st < WEIR_OK ? ": " : "",
          st < WEIR_OK ? h->said : "");
    return st;
}

void
section_tables(struct host *h)
{
    struct made_table *t[TABLE_KINDS];
    struct unit       *u = unit_start(h, "tables");

    if (!u) {
        return;
    }
    for (int k = 0; k < TABLE_KINDS; k++) {
        t[k] = table_make(&h->rows, (enum table_kind)k);
        try_table(u, t[k]);
    }
    /* All at once, and not in the order in which they came. */
    for (int k = 0; k < TABLE_KINDS; k++) {
        struct made_table *one = t[(k * 5 + 2) % TABLE_KINDS];
        unit_table_end(u, one);
        guard_close(&one->guard);
    }
    for (int i = 0; i < 2; i++) {
        unit_tick(u);
    }
    point(true, "table_end() for each, in any order");
    unit_free(&u);
}

void
section_table_leaks(struct host *h)
{
    struct made_table *plain = table_make(&h->rows, TABLE_PLAIN);
    struct made_table *types = table_make(&h->rows, TABLE_TYPES);
    struct unit       *u = unit_start(h, "tables, many times");
    struct traces      before = traces_now();
    struct leak        leak = { { 0 } };

    for (int i = 0; u && i < LEAK_CYCLES; i++) {
        leak_note(&leak, i);
        if (i == LEAK_WINDOW) {
            before = traces_now();
        }
        unit_table(u, plain);
        unit_table(u, types);
        unit_table_end(u, plain);
        unit_table_end(u, types);
        arena_reset(&u->kept);
    }
    if (u) {
        leak_point(&leak, "table_end()");
        traces_compare(&before, "table_end()");
    }
    unit_free(&u);
}
