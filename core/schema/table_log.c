/*
 * table_log.c - what the optional metadata of a TABLE_MAP says of each column.
 */
#include "schema/table_maker.h"

#include "base/bytes.h"
#include "base/str.h"
#include "binlog/table_map.h"
#include "binlog/text.h"

/* Which columns the list of charsets is of, differs. */
static bool
is_character(uint8_t type, enum binlog_flavour flavour)
{
    switch (type) {
    case COLUMN_STRING:
    case COLUMN_VAR_STRING:
    case COLUMN_VARCHAR:
    case COLUMN_BLOB:
        return true;
    case COLUMN_VECTOR:
        return flavour == FLAVOUR_MYSQL;
    case COLUMN_GEOMETRY:
    case COLUMN_BLOB_COMPRESSED:
    case COLUMN_VARCHAR_COMPRESSED:
        return flavour == FLAVOUR_MARIADB;
    default:
        return false;
    }
}

static enum weir_status
log_names(struct maker *m)
{
    struct reader r = reader_of(m->opt.names.data, m->opt.names.len);

    for (uint32_t i = 0; i < m->map->ncolumns; i++) {
        if (!m->opt.names.data) {
            m->pub[i].name = m->def && i < m->n
                                 ? arena_str(m->a, m->def->columns[i].name)
                                 : str_of(arena_printf(m->a, "@%u", i + 1));
            continue;
        }
        const struct weir_str name = read_str(&r, read_lenenc(&r));
        if (r.bad || name.len == 0 || !text_is_utf8(name.data, name.len)) {
            return maker_fail(m, "the log's column names are malformed");
        }
        m->pub[i].name = arena_str(m->a, name);
    }
    return reader_left(&r) > 0
               ? maker_fail(m, "the log has more names than columns")
               : WEIR_OK;
}

static void
log_signs(struct maker *m)
{
    size_t nth = 0;

    for (uint32_t i = 0; i < m->map->ncolumns; i++) {
        if (is_numeric(m->columns[i].type)) {
            m->columns[i].is_unsigned = optional_bit(m->opt.signedness, nth++);
        }
    }
}

static enum weir_status
log_charsets(struct maker *m)
{
    struct collations text =
        collations_of(m->opt.default_charset, m->opt.charsets);
    struct collations members =
        collations_of(m->opt.default_member_charset, m->opt.member_charsets);

    for (uint32_t i = 0; i < m->map->ncolumns; i++) {
        const uint8_t type = m->columns[i].type;
        uint64_t      id = UINT64_MAX;
        if (is_character(type, m->flavour)) {
            id = collations_next(&text);
        } else if (is_member(type)) {
            id = collations_next(&members);
        }
        if (id != UINT64_MAX) {
            m->told[i].charset = charset_of_id(m->a, id, &m->told[i].collation);
            m->told[i].charset_told = true;
        }
    }
    return text.bad || members.bad
               ? maker_fail(m, "the log's charsets are malformed")
               : WEIR_OK;
}

static enum weir_status
log_details(struct maker *m)
{
    struct reader geometry =
        reader_of(m->opt.geometry.data, m->opt.geometry.len);
    struct reader vector = reader_of(m->opt.vector.data, m->opt.vector.len);

    for (uint32_t i = 0; i < m->map->ncolumns; i++) {
        if (m->columns[i].type == COLUMN_GEOMETRY && m->opt.geometry.data) {
            m->told[i].detail = read_lenenc(&geometry);
        } else if (m->columns[i].type == COLUMN_VECTOR && m->opt.vector.data) {
            m->told[i].detail = read_lenenc(&vector);
        }
        if (m->opt.visibility.data && !optional_bit(m->opt.visibility, i)) {
            m->pub[i].facets |= WEIR_INVISIBLE;
        }
    }
    return geometry.bad || vector.bad
               ? maker_fail(m, "the log's geometries or vectors are malformed")
               : WEIR_OK;
}

/* ---- ENUM and SET */

static bool
members_read(struct maker *m, uint32_t i, struct reader *r)
{
    static const struct charset untold = { .text = TEXT_UTF8 };
    struct binlog_column       *c = &m->columns[i];
    const struct charset       *charset =
        m->told[i].charset_told ? &m->told[i].charset : &untold;
    const uint64_t n = read_lenenc(r);

    if (r->bad || n > reader_left(r) || n > 65535 ||
        (c->type == COLUMN_SET && n > 64)) {
        return false;
    }
    struct weir_str *names = arena_array(m->a, n, sizeof *names);
    for (uint64_t k = 0; k < n; k++) {
        const struct weir_str name = read_str(r, read_lenenc(r));
        if (r->bad) {
            return false;
        }
        names[k] = name;
        if (!charset_text(m->a, charset, name, &names[k])) {
            c->unsupported = "its members are no text in their charset, or "
                             "that is not known";
        }
        names[k] = arena_str(m->a, names[k]);
    }
    c->nmembers = (uint32_t)n;
    c->members = names;
    return true;
}

static enum weir_status
log_members(struct maker *m)
{
    struct reader sets =
        reader_of(m->opt.set_members.data, m->opt.set_members.len);
    struct reader enums =
        reader_of(m->opt.enum_members.data, m->opt.enum_members.len);

    for (uint32_t i = 0; i < m->map->ncolumns; i++) {
        const uint8_t type = m->columns[i].type;
        bool          ok = true;
        if (type == COLUMN_SET && m->opt.set_members.data) {
            ok = members_read(m, i, &sets);
        } else if (type == COLUMN_ENUM && m->opt.enum_members.data) {
            ok = members_read(m, i, &enums);
        }
        if (!ok) {
            return maker_fail(m, "the log's ENUM or SET members are malformed");
        }
    }
    return WEIR_OK;
}

enum weir_status
maker_read_log(struct maker *m)
{
    enum weir_status st = log_names(m);

    if (st == WEIR_OK) {
        st = log_charsets(m);
    }
    if (st == WEIR_OK) {
        st = log_details(m);
    }
    if (st == WEIR_OK) {
        st = log_members(m);
    }
    log_signs(m);
    return st;
}
