/*
 * export.c - the functions of weir/module.h: each finds in the instance, or in
 * the batch, whom to ask.  A call at the wrong time (weir_use() outside of
 * table()) is a mistake of the module's and ends the worker by an assertion
 * that names the function.
 */
#include <weir/module.h>

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "module/instance.h"

/* ---- Any stage */

void
weir_log(struct weir_instance *in, enum weir_level level, const char *fmt, ...)
{
    va_list ap;

    (void)in;
    va_start(ap, fmt);
    log_vwrite(level, fmt, ap);
    va_end(ap);
}

void
weir_count(struct weir_instance *in, const char *metric, uint64_t n)
{
    for (size_t i = 0; i < 16; i++) {
        struct counter *c = &in->counters[i];
        if (!c->name) {
            c->name = arena_strdup(&in->arena, metric);
        }
        if (strcmp(c->name, metric) == 0) {
            c->n += n;
            return;
        }
    }
}

int
weir_stop_fd(struct weir_instance *in)
{
    return in->stop_fd;
}

const char *
weir_name(struct weir_instance *in)
{
    return in->name;
}

bool
weir_glob(struct weir_str pattern, struct weir_str text)
{
    return str_glob(pattern, text);
}

const char *
weir_dir(struct weir_instance *in)
{
    struct weir_err err;

    assert(in->dir);
    if (!in->dir_made && file_mkdir(in->dir, 0700, &err) != WEIR_OK) {
        log_error("%s", err.text);
    }
    in->dir_made = true;
    return in->dir;
}

uint32_t
weir_lane(struct weir_instance *in)
{
    return in->lane;
}

uint32_t
weir_lanes(struct weir_instance *in)
{
    return in->lanes;
}

enum weir_status
weir_secret(struct weir_instance *in, const char *path, struct weir_str *out,
            struct weir_err *err)
{
    return file_read_secret(&in->arena, path, out, err);
}

/* ---- In table() */

void
weir_use(struct weir_instance *in, size_t column)
{
    struct table_plan *plan = in->plan;

    assert(plan && (column == WEIR_NONE || column < plan->table->ncolumns));
    if (!plan->used) {
        plan->used = arena_alloc(plan->arena, plan->table->ncolumns / 8 + 1);
    }
    plan->use_said = true;
    if (column != WEIR_NONE) {
        plan->used[column / 8] |= (uint8_t)(1u << column % 8);
    }
}

void
weir_ops(struct weir_instance *in, unsigned ops)
{
    assert(in->plan);
    in->plan->ops = ops;
}

static struct kept_column *
new_kept(struct table_plan *plan)
{
    if (plan->nkept == plan->room) {
        const size_t        room = plan->room ? plan->room * 2 : 16;
        struct kept_column *more =
            arena_array(plan->arena, room, sizeof *more);
        if (plan->nkept) {
            memcpy(more, plan->kept, plan->nkept * sizeof *more);
        }
        plan->kept = more;
        plan->room = room;
    }
    plan->keep_said = true;
    return &plan->kept[plan->nkept++];
}

void
weir_keep(struct weir_instance *in, size_t column, struct weir_str name)
{
    struct table_plan *plan = in->plan;

    assert(plan && column < plan->table->ncolumns);
    *new_kept(plan) = (struct kept_column){
        .name = arena_str(plan->arena, name), .of = column
    };
}

void
weir_add(struct weir_instance *in, struct weir_str name,
         struct weir_str sql_type, enum weir_type type, size_t of)
{
    struct table_plan *plan = in->plan;

    assert(plan && (of == WEIR_NONE || of < plan->table->ncolumns));
    *new_kept(plan) = (struct kept_column){
        .name = arena_str(plan->arena, name),
        .sql_type = arena_str(plan->arena, sql_type),
        .of = of,
        .added = true,
        .type = type,
    };
}

void
weir_rename(struct weir_instance *in, struct weir_str schema,
            struct weir_str table)
{
    assert(in->plan);
    in->plan->schema = arena_str(in->plan->arena, schema);
    in->plan->name = arena_str(in->plan->arena, table);
}

void
weir_conflict(struct weir_instance *in, const char *key, size_t n,
              const uint32_t *columns)
{
    struct table_plan *plan = in->plan;

    assert(plan && key);
    if (plan->nrules == plan->rules_room) {
        const size_t          room = plan->rules_room * 2 + 4;
        struct conflict_rule *more =
            arena_array(plan->arena, room, sizeof *more);
        if (plan->nrules) {
            memcpy(more, plan->rules, plan->nrules * sizeof *more);
        }
        plan->rules = more;
        plan->rules_room = room;
    }
    struct conflict_rule *rule = &plan->rules[plan->nrules++];
    rule->name = arena_strdup(plan->arena, key);
    rule->n = n;
    rule->columns = arena_array(plan->arena, n + 1, sizeof *rule->columns);
    for (size_t i = 0; i < n; i++) {
        assert(columns[i] < plan->table->ncolumns);
        rule->columns[i] = columns[i];
    }
}

/* ---- In transform() and write() */

void *
weir_alloc(struct weir_instance *in, size_t size)
{
    assert(in->scratch);
    return arena_alloc(in->scratch, size);
}

struct weir_str
weir_text(struct weir_instance *in, const struct weir_column *column,
          const struct weir_value *v)
{
    return in->sink->text(in, column, v, false);
}

struct weir_str
weir_raw(struct weir_instance *in, const struct weir_column *column,
         const struct weir_value *v)
{
    return in->sink->text(in, column, v, true);
}

enum weir_status
weir_expand(struct weir_batch *b, size_t i, const struct weir_template *t,
            bool of_before, struct weir_str *out, struct weir_err *err)
{
    assert(i < b->nevents && t);
    return instance_of_batch(b)->sink->expand(b, i, t, of_before, out, err);
}

enum weir_status
weir_body(struct weir_batch *b, size_t i, const struct weir_format *f,
          struct weir_str *out, struct weir_err *err)
{
    assert(i < b->nevents && f);
    return instance_of_batch(b)->sink->body(b, i, f, out, err);
}

void
weir_verdict(struct weir_batch *b, size_t i, enum weir_status status,
             const char *fmt, ...)
{
    char    reason[512];
    va_list ap;

    assert(i < b->nevents);
    va_start(ap, fmt);
    vsnprintf(reason, sizeof reason, fmt, ap);
    va_end(ap);
    instance_of_batch(b)->sink->verdict(b, i, status, reason);
}

void
weir_batch_done(struct weir_batch *b, enum weir_status status,
                const struct weir_err *err)
{
    instance_of_batch(b)->sink->done(b, status, err);
}

void
weir_found(struct weir_instance *in, const struct weir_checkpoint *cp)
{
    assert(in->sink);
    in->sink->found(in->arg, cp);
}

/* ---- Sources */

enum weir_status
weir_feed_server(struct weir_instance *in, struct weir_str id,
                 struct weir_str version, struct weir_err *err)
{
    assert(in->feed);
    return in->feed->server(in->arg, id, version, err);
}

enum weir_status
weir_feed_host(struct weir_instance *in, struct weir_str name,
               struct weir_str id, struct weir_str version, bool covers,
               struct weir_err *err)
{
    assert(in->feed);
    return in->feed->host(in->arg, name, id, version, covers, err);
}

enum weir_status
weir_feed_diverged(struct weir_instance *in, struct weir_str name,
                   struct weir_str executed, struct weir_err *err)
{
    assert(in->feed);
    return in->feed->diverged(in->arg, name, executed, err);
}

enum weir_status
weir_feed_position(struct weir_instance *in, struct weir_str gtid_set,
                   struct weir_str file, uint64_t offset, struct weir_err *err)
{
    assert(in->feed);
    return in->feed->position(in->arg, gtid_set, file, offset, err);
}

enum weir_status
weir_feed_binlog(struct weir_instance *in, const void *event, size_t len,
                 struct weir_err *err)
{
    assert(in->feed);
    return in->feed->binlog(in->arg, event, len, err);
}

enum weir_status
weir_feed_flush(struct weir_instance *in, struct weir_err *err)
{
    assert(in->feed);
    return in->feed->flush(in->arg, err);
}

void
weir_define(struct weir_instance *in, struct weir_str name,
            struct weir_str sql_type, struct weir_str collation,
            unsigned facets)
{
    assert(in->feed);
    in->feed->define(in->arg, name, sql_type, collation, facets);
}

void
weir_define_key(struct weir_instance *in, size_t n, const uint32_t *columns)
{
    assert(in->feed);
    in->feed->define_key(in->arg, n, columns);
}

void
weir_define_index(struct weir_instance *in, struct weir_str name, bool unique,
                  bool partial, size_t n, const uint32_t *columns)
{
    assert(in->feed);
    in->feed->define_index(in->arg, name, unique, partial, n, columns);
}

void
weir_define_defaults(struct weir_instance *in, struct weir_str of_table,
                     struct weir_str of_schema)
{
    assert(in->feed);
    in->feed->define_defaults(in->arg, of_table, of_schema);
}

void
weir_define_at(struct weir_instance *in, struct weir_str gtid_set,
               struct weir_str file, uint64_t offset)
{
    assert(in->feed);
    in->feed->define_at(in->arg, gtid_set, file, offset);
}
