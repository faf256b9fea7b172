/*
 * given.c - see given.h.  The file: "weirgvn1", { from 8, to 8, at_end 1, a
 * definition as definition_save() writes it } to its end, CRC32C 4.
 */
#include "schema/given.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "base/file.h"
#include "base/str.h"

static const char magic[] = "weirgvn1";
enum { MAGIC = 8, PLACE = 17, CRC = 4, GIVEN_MAX = 64 << 20 };

const char *
given_path(struct arena *a, const char *state, const char *pipeline)
{
    return arena_printf(a, "%s/%s/schema.given", state, pipeline);
}

/* False: malformed. */
static bool
parse(struct arena *a, struct weir_str left, struct given **out)
{
    struct given **at = out;

    while (left.len > 0) {
        struct given      *g = arena_alloc(a, sizeof *g);
        struct definition *def;
        if (left.len < PLACE) {
            return false;
        }
        g->from = get_le64(left.data);
        g->to = get_le64(left.data + 8);
        g->at_end = left.data[16] != 0;
        left = (struct weir_str){ left.data + PLACE, left.len - PLACE };
        if (!definition_load(a, &left, &g->schema, &g->name, &def)) {
            return false;
        }
        g->def = def;
        *at = g;
        at = &g->next;
    }
    return true;
}

enum weir_status
given_read(struct arena *a, const char *path, struct given **out,
           struct weir_err *err)
{
    struct weir_str text;

    *out = NULL;
    if (access(path, F_OK) == -1 && errno == ENOENT) {
        return WEIR_OK;
    }
    const enum weir_status st = file_read(a, path, GIVEN_MAX, &text, err);
    if (st != WEIR_OK) {
        return weir_wrap(err, WEIR_FATAL, "definitions that were given");
    }
    const bool whole = text.len >= MAGIC + CRC &&
                       memcmp(text.data, magic, MAGIC) == 0 &&
                       get_le32(text.data + text.len - CRC) ==
                           crc32c(0, text.data, text.len - CRC);
    const struct weir_str list = { text.data + MAGIC,
                                   whole ? text.len - MAGIC - CRC : 0 };
    if (!whole || !parse(a, list, out)) {
        *out = NULL;
        return weir_fail(err, WEIR_FATAL, "%s is damaged: remove it, and give "
                         "the definitions again (weirctl schema set)", path);
    }
    return WEIR_OK;
}

enum weir_status
given_write(const char *path, const struct given *list, struct weir_err *err)
{
    struct buf out = { 0 };

    buf_add(&out, magic, MAGIC);
    for (const struct given *g = list; g; g = g->next) {
        uint8_t *place = (uint8_t *)buf_need(&out, PLACE);
        put_le64(place, g->from);
        put_le64(place + 8, g->to);
        place[16] = g->at_end;
        out.len += PLACE;
        definition_save(&out, g->schema, g->name, g->def);
    }
    const uint32_t crc = crc32c(0, out.data, out.len);
    put_le32(buf_need(&out, CRC), crc);
    out.len += CRC;
    const enum weir_status st = file_replace(path, buf_view(&out), 0640, err);
    buf_free(&out);
    return st;
}

const struct given *
given_find(const struct given *list, struct weir_str schema,
           struct weir_str name, uint64_t offset)
{
    while (list && !(offset >= list->from && offset < list->to &&
                     str_eq(list->schema, schema) &&
                     str_eq(list->name, name))) {
        list = list->next;
    }
    return list;
}

bool
given_payload(struct arena *a, const struct given *list,
              struct weir_str payload, uint64_t offset, struct weir_str *out)
{
    struct table_frame t;
    struct buf         made = { 0 };

    if (!list || !table_frame_read(a, payload, &t) || t.names_known) {
        return false;
    }
    const struct given *g =
        given_find(list, t.map.schema, t.map.name, offset);
    if (!g) {
        return false;
    }
    table_save(&made, t.flavour, t.body, g->def, NULL);
    *out = arena_str(a, buf_view(&made));
    buf_free(&made);
    return true;
}

/* ---- What a person writes */

enum weir_status
given_statement(struct arena *a, const struct ddl_session *session,
                struct weir_str text, struct weir_str name, ddl_lookup lookup,
                void *arg, const struct definition **out,
                struct weir_err *err)
{
    struct statement   s;
    struct ddl_changes changes;

    statement_parse(a, text, session->schema, session->sql_mode, &s);
    if (s.kind != STATEMENT_TABLE || !str_is(s.verb, "create table") ||
        s.unsure || s.ntables == 0) {
        return weir_fail(err, WEIR_REJECT, "that is no CREATE TABLE "
                         "statement: what SHOW CREATE TABLE prints is one");
    }
    const struct statement_table *made = &s.tables[0];
    if (!str_eq(made->schema, session->schema) || !str_eq(made->name, name)) {
        return weir_fail(err, WEIR_REJECT,
                         "the statement makes %.*s.%.*s, and %.*s.%.*s is "
                         "meant", STR_ARG(made->schema), STR_ARG(made->name),
                         STR_ARG(session->schema), STR_ARG(name));
    }
    ddl_follow(a, session, text, &s, lookup, arg, &changes);
    *out = NULL;
    for (size_t i = 0; i < changes.n; i++) {
        const struct ddl_change *c = &changes.items[i];
        if (str_eq(c->schema, made->schema) && str_eq(c->name, name)) {
            *out = c->def;
        }
    }
    if (changes.why || !*out) {
        return weir_fail(err, WEIR_REJECT, "the statement is not understood: "
                         "%s", changes.why ? changes.why
                                           : "it does not list all columns");
    }
    return WEIR_OK;
}
