/*
 * table_define.c - what a definition adds to a table, where it fits what the
 * log says.
 */
#include "schema/table_maker.h"

#include "base/str.h"
#include "binlog/table_map.h"

static bool
has_no_text(const struct sql_type *type)
{
    static const char *const texts[] = { "char", "varchar",    "tinytext",
                                         "text", "mediumtext", "longtext",
                                         "enum", "set" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (str_is(type->base, texts[i])) {
            return false;
        }
    }
    return true;
}

static void
define_charset(struct maker *m, uint32_t i)
{
    struct told          *told = &m->told[i];
    const struct weir_str name = m->def->columns[i].collation;

    if (told->charset_told) {
        return;
    }
    if (name.len > 0) {
        told->collation = arena_str(m->a, name);
        told->charset = charset_of_collation(told->collation);
        told->charset_told = true;
    } else if (has_no_text(&told->type)) {
        told->charset = charset_of_collation(STR("binary"));
        told->charset_told = true;
    }
}

/* MariaDB's types that the log calls by another name. */
static void
define_special(struct maker *m, uint32_t i)
{
    static const struct {
        const char *base;
        uint8_t     special;
    } types[] = {
        { "uuid", SPECIAL_UUID },
        { "inet4", SPECIAL_INET4 },
        { "inet6", SPECIAL_INET6 },
    };
    struct binlog_column *c = &m->columns[i];
    struct told          *told = &m->told[i];

    for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
        if (str_is(told->type.base, types[k].base)) {
            c->special = types[k].special;
        }
    }
    if (str_is(told->type.base, "vector") ||
        c->special != SPECIAL_NONE) { /* whatever charset it claims */
        told->charset = charset_of_collation(STR("binary"));
        told->charset_told = true;
    } else if (str_is(told->type.base, "json")) {
        told->charset = charset_of_collation(STR("utf8mb4"));
        told->charset_told = true;
    }
}

static enum weir_status
define_column(struct maker *m, uint32_t i)
{
    const struct definition_column *def = &m->def->columns[i];
    struct binlog_column           *c = &m->columns[i];
    struct told                    *told = &m->told[i];

    if (m->opt.names.data && !str_eq_nocase(def->name, m->pub[i].name)) {
        return maker_column_fail(m, i,
                                 "the definition has another name for it: the "
                                 "table was altered since");
    }
    if (!sql_type_parse(m->a, def->sql_type, &told->type)) {
        return maker_column_fail(m, i, "the definition's type can't be read");
    }
    define_special(m, i);
    define_charset(m, i);
    if (!sql_type_fits(&told->type, c,
                       told->charset_told ? told->charset.maxlen : 0)) {
        return maker_column_fail(m, i,
                                 "the definition's type is not the log's: the "
                                 "table was altered since");
    }
    if (!m->opt.signedness.data) {
        c->is_unsigned = is_numeric(c->type) && told->type.is_unsigned;
    }
    if (is_member(c->type) && !c->members) {
        c->nmembers = told->type.nmembers;
        c->members = told->type.members;
    }
    m->pub[i].facets |= def->facets & (WEIR_GENERATED | WEIR_INVISIBLE);
    m->pub[i].sql_type = arena_str(m->a, def->sql_type);
    return WEIR_OK;
}

enum weir_status
maker_read_definition(struct maker *m)
{
    enum weir_status st = WEIR_OK;

    for (uint32_t i = 0; m->def && i < m->n && st == WEIR_OK; i++) {
        st = define_column(m, i);
    }
    return st;
}
