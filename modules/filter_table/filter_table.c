/*
 * filter_table.c - leaves out tables by name, and operations.  All of it is
 * decided in table(), once per version of a table: what is left out is never
 * decoded, and no row costs a call.
 */
#include <weir/module.h>

#include <stdlib.h>
#include <string.h>

struct filter_conf {
    struct weir_list include, exclude, operations;
};

struct filter {
    struct weir_instance     *in;
    const struct filter_conf *conf;
    unsigned                  ops; /* set of 1u << op */
};

/* clang-format off */
static const struct weir_directive filter_directives[] = {
    WEIR_LIST(struct filter_conf, include,
              .help = "globs of database.table that pass; none given: all"),
    WEIR_LIST(struct filter_conf, exclude,
              .help = "globs of database.table that don't; wins over include"),
    WEIR_LIST(struct filter_conf, operations,
              .help = "of insert, update, delete; none given: all"),
    WEIR_END
};
/* clang-format on */

/* TRUNCATE goes with delete, rows of a snapshot with insert; a change of a
 * definition takes no row away and brings none, so it passes always. */
static const struct {
    const char *name;
    unsigned    ops;
} operations[] = {
    { "insert", 1u << WEIR_INSERT | 1u << WEIR_SNAPSHOT },
    { "update", 1u << WEIR_UPDATE },
    { "delete", 1u << WEIR_DELETE | 1u << WEIR_TRUNCATE },
};

static const unsigned always =
    1u << WEIR_DDL | 1u << WEIR_SNAPSHOT_BEGIN | 1u << WEIR_SNAPSHOT_END;

static unsigned
ops_of(const char *name)
{
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        if (strcmp(operations[i].name, name) == 0) {
            return operations[i].ops;
        }
    }
    return 0;
}

static enum weir_status
check_globs(const char *directive, const struct weir_list *globs,
            struct weir_err *err)
{
    for (size_t i = 0; i < globs->n; i++) {
        if (!strpbrk(globs->items[i], ".*")) {
            return weir_fail(err, WEIR_FATAL,
                             "%s: \"%s\" matches no table: names are written "
                             "database.table, as in \"shop.%s\" or \"*.%s\"",
                             directive, globs->items[i], globs->items[i],
                             globs->items[i]);
        }
    }
    return WEIR_OK;
}

static enum weir_status
filter_check(const void *conf, struct weir_err *err)
{
    const struct filter_conf *c = conf;

    for (size_t i = 0; i < c->operations.n; i++) {
        if (!ops_of(c->operations.items[i])) {
            return weir_fail(err, WEIR_FATAL,
                             "operations: there is no \"%s\": they are insert, "
                             "update, delete",
                             c->operations.items[i]);
        }
    }
    const enum weir_status st = check_globs("include", &c->include, err);
    return st == WEIR_OK ? check_globs("exclude", &c->exclude, err) : st;
}

static enum weir_status
filter_open(struct weir_instance *in, const void *conf, void **self,
            struct weir_err *err)
{
    const struct filter_conf *c = conf;
    struct filter            *f = malloc(sizeof *f);

    if (!f) {
        return weir_fail(err, WEIR_RETRY, "open the table filter: no memory");
    }
    *f = (struct filter){ .in = in, .conf = c, .ops = always };
    for (size_t i = 0; i < c->operations.n; i++) {
        f->ops |= ops_of(c->operations.items[i]);
    }
    *self = f;
    return WEIR_OK;
}

static void
filter_close(void *self)
{
    free(self);
}

static bool
matches(const struct weir_list *globs, struct weir_str name)
{
    for (size_t i = 0; i < globs->n; i++) {
        const char *glob = globs->items[i];
        if (weir_glob((struct weir_str){ glob, strlen(glob) }, name)) {
            return true;
        }
    }
    return false;
}

static enum weir_status
filter_table(void *self, const struct weir_table *table, void **slot,
             struct weir_err *err)
{
    const struct filter *f = self;
    const size_t         len = table->schema.len + 1 + table->name.len;
    char                *text = malloc(len);

    (void)slot;
    if (!text) {
        return weir_fail(err, WEIR_RETRY, "filter a table: no memory");
    }
    memcpy(text, table->schema.data, table->schema.len);
    text[table->schema.len] = '.';
    memcpy(text + table->schema.len + 1, table->name.data, table->name.len);

    const struct weir_str name = { text, len };
    const bool            passes =
        (f->conf->include.n == 0 || matches(&f->conf->include, name)) &&
        !matches(&f->conf->exclude, name);
    free(text);
    if (!passes) {
        return WEIR_DROP;
    }
    if (f->conf->operations.n > 0) {
        weir_ops(f->in, f->ops);
    }
    return WEIR_OK;
}

WEIR_MODULE = {
    WEIR_HEAD,
    .stage = WEIR_FILTER,
    .name = "table",
    .version = "0.1.0",
    .summary = "by names of tables, and by operation",
    .conf_size = sizeof(struct filter_conf),
    .directives = filter_directives,
    .check = filter_check,
    .open = filter_open,
    .close = filter_close,
    .table = filter_table,
};
