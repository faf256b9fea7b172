/*
 * transform_columns.c - keeps, drops and renames columns.  All of it is said in
 * table(), once per version of a table: dropped columns are never decoded, and
 * no row costs a call.  Values are not touched.
 */
#include <weir/module.h>

#include <stdlib.h>
#include <string.h>

struct columns_conf {
    struct weir_list keep, drop;
    struct weir_map  rename;
};

struct columns {
    struct weir_instance      *in;
    const struct columns_conf *conf;
};

/* clang-format off */
static const struct weir_directive columns_directives[] = {
    WEIR_LIST(struct columns_conf, keep,
              .help = "globs of database.table.column that stay; none: all"),
    WEIR_LIST(struct columns_conf, drop,
              .help = "globs of database.table.column that go; wins over keep"),
    WEIR_MAP(struct columns_conf, rename,
             .help = "globs of database.table.column, each with a new name"),
    WEIR_END
};
/* clang-format on */

static struct weir_str
str_of(const char *text)
{
    return (struct weir_str){ text, strlen(text) };
}

static enum weir_status
check_glob(const char *directive, const char *glob, struct weir_err *err)
{
    if (strpbrk(glob, ".*")) {
        return WEIR_OK;
    }
    return weir_fail(err, WEIR_FATAL,
                     "%s: \"%s\" matches no column: names are written "
                     "database.table.column, as in \"shop.users.%s\" or "
                     "\"*.%s\"",
                     directive, glob, glob, glob);
}

static enum weir_status
columns_check(const void *conf, struct weir_err *err)
{
    const struct columns_conf *c = conf;
    enum weir_status           st = WEIR_OK;

    for (size_t i = 0; st == WEIR_OK && i < c->keep.n; i++) {
        st = check_glob("keep", c->keep.items[i], err);
    }
    for (size_t i = 0; st == WEIR_OK && i < c->drop.n; i++) {
        st = check_glob("drop", c->drop.items[i], err);
    }
    for (size_t i = 0; st == WEIR_OK && i < c->rename.n; i++) {
        const struct weir_pair *pair = &c->rename.items[i];
        st = check_glob("rename", pair->key, err);
        if (st == WEIR_OK && pair->value[0] == '\0') {
            st = weir_fail(err, WEIR_FATAL,
                           "rename: the new name of \"%s\" is empty; to leave "
                           "a column out, name it in drop",
                           pair->key);
        }
    }
    return st;
}

static enum weir_status
columns_open(struct weir_instance *in, const void *conf, void **self,
             struct weir_err *err)
{
    struct columns *t = malloc(sizeof *t);

    if (!t) {
        return weir_fail(err, WEIR_RETRY, "open the columns: no memory");
    }
    *t = (struct columns){ .in = in, .conf = conf };
    *self = t;
    return WEIR_OK;
}

static void
columns_close(void *self)
{
    free(self);
}

static bool
matches(const struct weir_list *globs, struct weir_str name)
{
    for (size_t i = 0; i < globs->n; i++) {
        if (weir_glob(str_of(globs->items[i]), name)) {
            return true;
        }
    }
    return false;
}

/* Its name behind the transform, or one without data if it is left out. */
static struct weir_str
name_of(const struct columns_conf *c, struct weir_str full,
        struct weir_str column)
{
    if ((c->keep.n > 0 && !matches(&c->keep, full)) ||
        matches(&c->drop, full)) {
        return (struct weir_str){ 0 };
    }
    for (size_t i = 0; i < c->rename.n; i++) {
        if (weir_glob(str_of(c->rename.items[i].key), full)) {
            return str_of(c->rename.items[i].value);
        }
    }
    return column;
}

/* Names[i] for column i, as name_of() gives them; false without memory. */
static bool
find_names(const struct columns_conf *c, const struct weir_table *table,
           struct weir_str *names)
{
    const size_t prefix = table->schema.len + 1 + table->name.len + 1;
    size_t       longest = 0;

    for (uint32_t i = 0; i < table->ncolumns; i++) {
        const size_t len = table->columns[i]->name.len;
        longest = len > longest ? len : longest;
    }
    char *full = malloc(prefix + longest);
    if (!full) {
        return false;
    }
    memcpy(full, table->schema.data, table->schema.len);
    full[table->schema.len] = '.';
    memcpy(full + table->schema.len + 1, table->name.data, table->name.len);
    full[prefix - 1] = '.';
    for (uint32_t i = 0; i < table->ncolumns; i++) {
        const struct weir_str column = table->columns[i]->name;
        memcpy(full + prefix, column.data, column.len);
        names[i] =
            name_of(c, (struct weir_str){ full, prefix + column.len }, column);
    }
    free(full);
    return true;
}

static int
compare_names(const void *left, const void *right)
{
    const struct weir_str *a = left;
    const struct weir_str *b = right;
    const size_t           len = a->len < b->len ? a->len : b->len;
    const int              order = len ? memcmp(a->data, b->data, len) : 0;

    return order ? order : (a->len > b->len) - (a->len < b->len);
}

/* REJECT: none is left, or two have one name.  Sorts `names`. */
static enum weir_status
check_names(const struct weir_table *table, struct weir_str *names,
            struct weir_err *err)
{
    qsort(names, table->ncolumns, sizeof *names, compare_names);
    if (!names[table->ncolumns - 1].data) {
        return weir_fail(err, WEIR_REJECT,
                         "keep and drop leave no column of %.*s.%.*s; name one "
                         "in keep, or leave the table out by a filter",
                         (int)table->schema.len, table->schema.data,
                         (int)table->name.len, table->name.data);
    }
    for (uint32_t i = 1; i < table->ncolumns; i++) {
        if (names[i].data && compare_names(&names[i - 1], &names[i]) == 0) {
            return weir_fail(err, WEIR_REJECT,
                             "rename makes two columns \"%.*s\" in %.*s.%.*s; "
                             "give one of them another name",
                             (int)names[i].len, names[i].data,
                             (int)table->schema.len, table->schema.data,
                             (int)table->name.len, table->name.data);
        }
    }
    return WEIR_OK;
}

static enum weir_status
columns_table(void *self, const struct weir_table *table, void **slot,
              struct weir_err *err)
{
    const struct columns *t = self;
    struct weir_str      *names;

    (void)slot;
    if (table->ncolumns == 0) {
        return WEIR_OK;
    }
    names = calloc(table->ncolumns, 2 * sizeof *names);
    if (!names || !find_names(t->conf, table, names)) {
        free(names);
        return weir_fail(err, WEIR_RETRY, "columns of a table: no memory");
    }
    struct weir_str *sorted = names + table->ncolumns;
    memcpy(sorted, names, table->ncolumns * sizeof *names);
    const enum weir_status st = check_names(table, sorted, err);
    for (uint32_t i = 0; st == WEIR_OK && i < table->ncolumns; i++) {
        if (names[i].data) {
            weir_keep(t->in, i, names[i]);
        }
    }
    free(names);
    return st;
}

WEIR_MODULE = {
    WEIR_HEAD,
    .stage = WEIR_TRANSFORM,
    .name = "columns",
    .version = "0.1.0",
    .summary = "keeps, drops and renames columns",
    .conf_size = sizeof(struct columns_conf),
    .directives = columns_directives,
    .check = columns_check,
    .open = columns_open,
    .close = columns_close,
    .table = columns_table,
};
