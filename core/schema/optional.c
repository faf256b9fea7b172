/*
 * optional.c - see optional.h.  Formats: MySQL rows_event.h,
 * Optional_metadata_field_type; MariaDB took them over.
 */
#include "schema/optional.h"

#include "base/bytes.h"

static struct weir_str *
field_of(struct optional *o, uint64_t type)
{
    switch (type) {
    case 1:
        return &o->signedness;
    case 2:
        return &o->default_charset;
    case 3:
        return &o->charsets;
    case 4:
        return &o->names;
    case 5:
        return &o->set_members;
    case 6:
        return &o->enum_members;
    case 7:
        return &o->geometry;
    case 8:
        return &o->key;
    case 9:
        return &o->key_with_prefix;
    case 10:
        return &o->default_member_charset;
    case 11:
        return &o->member_charsets;
    case 12:
        return &o->visibility;
    case 13:
        return &o->vector;
    default:
        return NULL; /* newer, and not needed to read a row */
    }
}

bool
optional_parse(const struct binlog_table_map *map, struct optional *out)
{
    struct reader r = reader_of(map->optional, map->optional_len);

    *out = (struct optional){ 0 };
    while (reader_left(&r) > 0 && !r.bad) {
        struct weir_str      *to = field_of(out, read_le(&r, 1));
        const struct weir_str value = read_str(&r, read_lenenc(&r));
        if (to && !r.bad) {
            *to = value;
        }
    }
    return !r.bad;
}

bool
optional_bit(struct weir_str bits, size_t i)
{
    return i / 8 < bits.len &&
           (unsigned char)bits.data[i / 8] >> (7 - i % 8) & 1;
}

/* A common one with exceptions by index, else a list of all. */
static void
exception_read(struct collations *c)
{
    struct reader r = { c->p,
                        (const uint8_t *)c->exceptions.data + c->exceptions.len,
                        false };

    c->next_index = UINT64_MAX;
    if (reader_left(&r) > 0) {
        c->next_index = read_lenenc(&r);
        c->next = read_lenenc(&r);
    }
    c->p = r.p;
    c->bad = c->bad || r.bad;
}

struct collations
collations_of(struct weir_str common, struct weir_str list)
{
    struct collations c = { .told = common.data || list.data };

    if (common.data) {
        struct reader r = reader_of(common.data, common.len);
        c.common = read_lenenc(&r);
        c.bad = r.bad;
        c.exceptions = common;
        c.p = r.p;
        exception_read(&c);
    } else if (list.data) {
        c.list = list;
        c.p = (const uint8_t *)list.data;
    }
    return c;
}

uint64_t
collations_next(struct collations *c)
{
    if (!c->told) {
        return UINT64_MAX;
    }
    if (c->list.data) {
        struct reader  r = { c->p, (const uint8_t *)c->list.data + c->list.len,
                             false };
        const uint64_t id = read_lenenc(&r);
        c->p = r.p;
        c->bad = c->bad || r.bad;
        return id;
    }
    uint64_t id = c->common;
    if (c->index == c->next_index) {
        id = c->next;
        exception_read(c);
    }
    c->index++;
    return id;
}
