/* tablemap.c - see tablemap.h. */
#include "tools/tablemap.h"

#include <stdlib.h>

static size_t
slot_of(const struct tablemap *m, uint64_t id)
{
    /* Fibonacci hashing; ids are mostly consecutive. */
    size_t i = (size_t)(id * UINT64_C(0x9e3779b97f4a7c15) >> 32);
    for (i &= m->room - 1; m->slots[i] && m->slots[i]->id != id;) {
        i = (i + 1) & (m->room - 1);
    }
    return i;
}

struct mapped_table *
tablemap_find(const struct tablemap *m, uint64_t id)
{
    return m->room ? m->slots[slot_of(m, id)] : NULL;
}

static void
table_free(struct mapped_table *t)
{
    format_table_free(&t->format);
    arena_free(&t->arena);
    free(t);
}

static void
grow(struct tablemap *m)
{
    struct tablemap larger = { .room = m->room ? m->room * 2 : 64, .n = m->n };
    larger.slots = xcalloc(larger.room, sizeof *larger.slots);
    for (size_t i = 0; i < m->room; i++) {
        if (m->slots[i]) {
            larger.slots[slot_of(&larger, m->slots[i]->id)] = m->slots[i];
        }
    }
    free(m->slots);
    *m = larger;
}

struct mapped_table *
tablemap_put(struct tablemap *m, uint64_t id, struct weir_str body)
{
    if (m->n * 2 >= m->room) {
        grow(m);
    }
    struct mapped_table **slot = &m->slots[slot_of(m, id)];
    if (*slot) {
        table_free(*slot);
    } else {
        m->n++;
    }
    *slot = xcalloc(1, sizeof **slot);
    (*slot)->id = id;
    (*slot)->body = arena_str(&(*slot)->arena, body);
    return *slot;
}

void
tablemap_clear(struct tablemap *m)
{
    for (size_t i = 0; i < m->room; i++) {
        if (m->slots[i]) {
            table_free(m->slots[i]);
        }
    }
    free(m->slots);
    *m = (struct tablemap){ 0 };
}
