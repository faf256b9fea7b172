/* rows.c - see rows.h. */
#include "tools/modtest/rows.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "base/str.h"

enum { WIDE = 300, MAX_COLUMNS = 400, SMALL_TABLE = 256 << 10 };

/* ---- Memory */

void
guard_init(struct guard *g, size_t size)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);

    g->size = (size + page - 1) / page * page;
    g->used = 0;
    g->base = mmap(NULL, g->size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert(g->base != MAP_FAILED);
}

void *
guard_alloc(struct guard *g, size_t size)
{
    char *at = g->base + g->used;

    size = (size + 15) / 16 * 16;
    assert(size <= g->size - g->used);
    g->used += size;
    return at;
}

struct weir_str
guard_str(struct guard *g, struct weir_str s)
{
    char *copy = guard_alloc(g, s.len + 1);

    memcpy(copy, s.len ? s.data : "", s.len);
    return (struct weir_str){ copy, s.len };
}

void
guard_seal(struct guard *g)
{
    assert(mprotect(g->base, g->size, PROT_READ) == 0);
}

/* The address stays taken, so that a pointer kept past its time leads to a
 * fault and not to what came after it. */
void
guard_close(struct guard *g)
{
    if (g->base) {
        madvise(g->base, g->size, MADV_DONTNEED);
        assert(mprotect(g->base, g->size, PROT_NONE) == 0);
    }
}

/* ---- Tables */

struct column_text {
    const char    *name, *sql_type;
    enum weir_type type;
    unsigned       facets;
    uint32_t       length, scale;
    const char    *collation;
};

static const struct column_text plain_columns[] = {
    { "id", "bigint", WEIR_INT, WEIR_NOT_NULL, 20, 0, "" },
    { "name", "varchar(255)", WEIR_TEXT, 0, 255, 0, "utf8mb4_general_ci" },
    { "added", "datetime(6)", WEIR_DATETIME, 0, 0, 6, "" },
};
static const struct column_text type_columns[] = {
    { "id", "bigint", WEIR_INT, WEIR_NOT_NULL, 20, 0, "" },
    { "c_int", "int", WEIR_INT, 0, 11, 0, "" },
    { "c_uint", "bigint unsigned", WEIR_UINT, WEIR_UNSIGNED, 20, 0, "" },
    { "c_bit", "bit(64)", WEIR_UINT, 0, 64, 0, "" },
    { "c_double", "double", WEIR_DOUBLE, 0, 0, 0, "" },
    { "c_float", "float", WEIR_DOUBLE, WEIR_FLOAT, 0, 0, "" },
    { "c_decimal", "decimal(65,30)", WEIR_DECIMAL, 0, 65, 30, "" },
    { "c_text", "longtext", WEIR_TEXT, 0, 0, 0, "utf8mb4_bin" },
    { "c_enum", "enum('a','b')", WEIR_TEXT, WEIR_ENUM, 1, 0, "utf8mb4_bin" },
    { "c_set", "set('a','b')", WEIR_TEXT, WEIR_SET, 3, 0, "utf8mb4_bin" },
    { "c_bytes", "longblob", WEIR_BYTES, 0, 0, 0, "" },
    { "c_json", "json", WEIR_JSON, 0, 0, 0, "" },
    { "c_date", "date", WEIR_DATE, 0, 0, 0, "" },
    { "c_time", "time(6)", WEIR_TIME, 0, 0, 6, "" },
    { "c_datetime", "datetime(6)", WEIR_DATETIME, 0, 0, 6, "" },
    { "c_timestamp", "timestamp(6)", WEIR_TIMESTAMP, 0, 0, 6, "" },
};
static const struct column_text odd_columns[] = {
    { "id", "bigint", WEIR_INT, WEIR_NOT_NULL, 20, 0, "" },
    { "a \"quoted\" name", "text", WEIR_TEXT, 0, 0, 0, "utf8mb4_bin" },
    { "{braces}", "text", WEIR_TEXT, 0, 0, 0, "utf8mb4_bin" },
    { "../up", "text", WEIR_TEXT, 0, 0, 0, "utf8mb4_bin" },
    { "`tick`; DROP", "text", WEIR_TEXT, 0, 0, 0, "utf8mb4_bin" },
    { "%s%n\\", "text", WEIR_TEXT, 0, 0, 0, "utf8mb4_bin" },
    { "\xf0\x9f\x90\xac and\ttab\nline", "text", WEIR_TEXT, 0, 0, 0,
      "utf8mb4_bin" },
    { "a_name_of_sixty_four_characters_which_is_the_most_that_mysql_has",
      "text", WEIR_TEXT, 0, 0, 0, "utf8mb4_bin" },
};

static const struct {
    const char               *title, *schema, *name;
    const struct column_text *columns;
    size_t                    n;
} kinds[TABLE_KINDS] = {
    { "a plain table", "shop", "users", plain_columns, 2 },
    { "a column of each type", "shop", "types", type_columns, 16 },
    { "a table without a key", "shop", "no_key", plain_columns, 2 },
    { "odd names", "o\"dd {sch\xc3\xa9ma}", "a/../b %s `*?[", odd_columns, 8 },
    { "300 columns", "shop", "wide", plain_columns, 2 },
    { "a later version of a table", "shop", "users", plain_columns, 3 },
};

const char *
table_title(enum table_kind kind)
{
    return kinds[kind].title;
}

static struct weir_column *
add_column(struct made_table *t, const struct weir_column **list,
           const struct column_text *c)
{
    struct guard       *g = &t->guard;
    struct weir_column *column = guard_alloc(g, sizeof *column);

    *column = (struct weir_column){
        .name = guard_str(g, str_of(c->name)),
        .sql_type = guard_str(g, str_of(c->sql_type)),
        .type = c->type,
        .facets = c->facets,
        .length = c->length,
        .scale = c->scale,
        .collation = guard_str(g, str_of(c->collation)),
    };
    if (c->facets & (WEIR_ENUM | WEIR_SET)) {
        struct weir_str *members = guard_alloc(g, 2 * sizeof *members);
        members[0] = STR("a");
        members[1] = STR("b");
        column->members = members;
        column->nmembers = 2;
    }
    list[t->pub.ncolumns++] = column;
    return column;
}

static bool
has_column(const struct made_table *t, const struct weir_column **list,
           struct weir_str name)
{
    for (uint32_t i = 0; i < t->pub.ncolumns; i++) {
        if (str_eq(list[i]->name, name)) {
            return true;
        }
    }
    return false;
}

static void
add_more(struct made_table *t, const struct weir_column **list,
         const struct rows *r)
{
    char name[16];

    for (int i = 0; t->kind == TABLE_WIDE && i < WIDE - 2; i++) {
        name[0] = 'w';
        name[1] = (char)('0' + i / 100);
        name[2] = (char)('0' + i / 10 % 10);
        name[3] = (char)('0' + i % 10);
        name[4] = '\0';
        add_column(t, list,
                   &(struct column_text){ name, "text", WEIR_TEXT, 0, 0, 0,
                                          "utf8mb4_bin" });
    }
    for (size_t i = 0; i < r->nextra && i < 32; i++) {
        if (!has_column(t, list, r->extra[i])) {
            struct weir_column *column = add_column(
                t, list,
                &(struct column_text){ "", "bigint", WEIR_INT, WEIR_NOT_NULL,
                                       20, 0, "" });
            column->name = guard_str(&t->guard, r->extra[i]);
        }
    }
}

struct made_table *
table_make(struct rows *r, enum table_kind kind)
{
    struct made_table *t = xcalloc(1, sizeof *t);
    struct guard      *g = &t->guard;

    t->kind = kind;
    guard_init(g, SMALL_TABLE);
    t->pub.schema = guard_str(g, str_of(kinds[kind].schema));
    t->pub.name = guard_str(g, str_of(kinds[kind].name));
    t->pub.version = ++r->seq;
    const struct weir_column **list =
        guard_alloc(g, MAX_COLUMNS * sizeof *list);
    for (size_t i = 0; i < kinds[kind].n; i++) {
        add_column(t, list, &kinds[kind].columns[i]);
    }
    add_more(t, list, r);
    t->pub.columns = list;
    uint32_t *key = guard_alloc(g, sizeof *key);
    *key = 0;
    t->pub.key = key;
    t->pub.nkey = kind != TABLE_NO_KEY;
    struct weir_table *shown = guard_alloc(g, sizeof *shown);
    *shown = t->pub;
    t->shown = shown;
    guard_seal(g);
    for (size_t i = 0; i < r->nformats; i++) {
        t->formats[t->nformats++] = format_table_new(r->formats[i], t->shown);
    }
    return t;
}

void
table_free(struct made_table **t)
{
    if (*t) {
        for (size_t i = 0; i < (*t)->nformats; i++) {
            format_table_free(&(*t)->formats[i]);
        }
        guard_close(&(*t)->guard);
        free(*t);
        *t = NULL;
    }
}

/* ---- Values */

const char *
image_title(enum image image)
{
    static const char *const titles[IMAGES] = {
        "ordinary values", "NULL in each column", "columns that are absent",
        "the largest values", "zeroes and zero dates", "empty texts",
        "a large value", "NULL in the key",
    };
    return titles[image];
}

bool
type_has_text(enum weir_type type)
{
    return type == WEIR_DECIMAL || type == WEIR_TEXT || type == WEIR_BYTES ||
           type == WEIR_JSON;
}

static struct weir_str
text_value(const struct weir_column *c, enum image image)
{
    if (c->facets & (WEIR_ENUM | WEIR_SET)) {
        return image == IMAGE_EXTREME && c->facets & WEIR_SET ? STR("a,b")
                                                              : STR("b");
    }
    switch (c->type) {
    case WEIR_DECIMAL:
        return image == IMAGE_EXTREME
                   ? STR("-99999999999999999999999999999999999"
                         ".999999999999999999999999999999")
                   : STR("0.500000000000000000000000000000");
    case WEIR_JSON:
        return image == IMAGE_EXTREME
                   ? STR("{\"a\":[1,null,\"\\u0000 \xf0\x9f\x90\xac\"]}")
                   : STR("{}");
    case WEIR_BYTES:
        return image == IMAGE_EXTREME ? STR("\0\xff\xfe\r\n\0") : STR("bytes");
    default:
        return image == IMAGE_EXTREME
                   ? STR("\xf0\x9f\x90\xac 'quoted' \"twice\" \\ \r\n\t\1 \0 .")
                   : STR("Ada Lovelace");
    }
}

static struct weir_time
time_value(enum weir_type type, enum image image)
{
    if (image == IMAGE_ZERO) {
        return (struct weir_time){ 0 };
    }
    if (type == WEIR_TIME) {
        return image == IMAGE_EXTREME
                   ? (struct weir_time){ .hour = 838, .minute = 59,
                                         .second = 59, .negative = true }
                   : (struct weir_time){ .hour = 1, .usec = 1 };
    }
    struct weir_time t = { .year = 2024, .month = 2, .day = 29 };
    if (image == IMAGE_EXTREME) {
        t = (struct weir_time){ .year = type == WEIR_TIMESTAMP ? 2038 : 9999,
                                .month = type == WEIR_TIMESTAMP ? 1 : 12,
                                .day = type == WEIR_TIMESTAMP ? 19 : 31 };
    }
    if (type != WEIR_DATE) {
        t.hour = 3;
        t.minute = 14;
        t.second = 7;
        t.usec = image == IMAGE_EXTREME ? 999999 : 0;
    }
    return t;
}

static struct weir_value
make_value(struct guard *g, const struct rows *r, const struct weir_column *c,
           enum image image)
{
    struct weir_value v = { .type = c->type };
    const bool        most = image == IMAGE_EXTREME;

    if (image == IMAGE_NULL || image == IMAGE_NULL_KEY) {
        v.type = WEIR_NULL;
    } else if (image == IMAGE_ABSENT) {
        v.type = WEIR_ABSENT;
    } else if (c->type == WEIR_INT) {
        v.i = most ? INT32_MIN : image == IMAGE_ZERO ? 0 : 42;
    } else if (c->type == WEIR_UINT) {
        v.u = most ? UINT64_MAX : image == IMAGE_ZERO ? 0 : 42;
    } else if (c->type == WEIR_DOUBLE) {
        v.d = !most                     ? (image == IMAGE_ZERO ? -0.0 : 0.5)
              : c->facets & WEIR_FLOAT ? 3.402823466e38f
                                        : 1.7976931348623157e308;
    } else if (!type_has_text(c->type)) {
        v.t = time_value(c->type, image);
    } else if (image == IMAGE_BIG && c->type == WEIR_TEXT && !c->facets) {
        char *text = guard_alloc(g, r->big);
        memset(text, 'x', r->big);
        v.s = (struct weir_str){ text, r->big };
    } else if (image != IMAGE_EMPTY ||
               (c->type != WEIR_TEXT && c->type != WEIR_BYTES)) {
        v.s = guard_str(g, text_value(c, image));
    } else {
        v.s = STR("");
    }
    return v;
}

static bool
is_extra(const struct rows *r, const struct weir_column *c)
{
    for (size_t i = 0; i < r->nextra; i++) {
        if (str_eq_nocase(r->extra[i], c->name)) {
            return true;
        }
    }
    return false;
}

const struct weir_value *
row_image(struct guard *g, const struct rows *r, const struct made_table *t,
          int64_t id, enum image image)
{
    const uint32_t     n = t->pub.ncolumns;
    struct weir_value *values = guard_alloc(g, n * sizeof *values);
    bool               is_large = false;

    for (uint32_t i = 0; i < n; i++) {
        const struct weir_column *c = t->pub.columns[i];
        const bool keeps = i == 0 || is_extra(r, c);
        enum image as = keeps && image != IMAGE_NULL_KEY ? IMAGE_ORDINARY
                                                         : image;
        as = as == IMAGE_BIG && is_large ? IMAGE_ORDINARY : as;
        values[i] = make_value(g, r, c, as);
        is_large = is_large || as == IMAGE_BIG;
        if (keeps && values[i].type == WEIR_INT) {
            values[i].i = id;
        }
    }
    return values;
}

static bool
time_eq(struct weir_time a, struct weir_time b)
{
    return a.year == b.year && a.month == b.month && a.day == b.day &&
           a.hour == b.hour && a.minute == b.minute && a.second == b.second &&
           a.usec == b.usec && a.negative == b.negative;
}

bool
value_eq(const struct weir_value *a, const struct weir_value *b)
{
    if (a->type != b->type) {
        return false;
    }
    if (type_has_text(a->type)) {
        return str_eq(a->s, b->s);
    }
    if (a->type == WEIR_NULL || a->type == WEIR_ABSENT) {
        return true;
    }
    if (a->type == WEIR_INT || a->type == WEIR_UINT ||
        a->type == WEIR_DOUBLE) {
        return a->u == b->u;
    }
    return time_eq(a->t, b->t);
}

/* ---- Batches */

struct trial *
trial_new(size_t events, size_t bytes)
{
    struct guard shell;

    /* Stays for ever: a call that comes too late has to find it. */
    guard_init(&shell, sizeof(struct trial) +
                           (events + 2) * sizeof(struct made_table *));
    struct trial *b = guard_alloc(&shell, sizeof *b);
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->ended, NULL);
    b->room = events;
    guard_init(&b->guard, bytes + (events + 1) * 1024 + (64 << 10));
    b->events = guard_alloc(&b->guard, (events + 1) * sizeof *b->events);
    b->slots = guard_alloc(&b->guard, (events + 1) * sizeof *b->slots);
    b->tables = guard_alloc(&shell, (events + 1) * sizeof *b->tables);
    b->head.pub.events = (const struct weir_event *const *)b->events;
    b->head.pub.slots = b->slots;
    return b;
}

static const struct weir_txn *
make_txn(struct guard *g, struct rows *r)
{
    struct weir_txn *txn = guard_alloc(g, sizeof *txn);

    *txn = (struct weir_txn){ .gtid = STR("0-1-100"),
                              .server = STR("modtest"),
                              .file = STR("bin.000001"),
                              .offset = r->seq % 4096,
                              .xid = r->seq,
                              .server_id = 1,
                              .thread_id = 7,
                              .commit_usec = INT64_C(1700000000000000),
                              .received_usec = INT64_C(1700000000000100) };
    return txn;
}

static const struct weir_ddl *
make_ddl(struct guard *g, const struct made_table *t)
{
    struct weir_ddl *ddl = guard_alloc(g, sizeof *ddl);

    *ddl = (struct weir_ddl){
        .kind = t ? STR("alter table") : STR("create database"),
        .schema = STR("shop"),
        .text = t ? STR("ALTER TABLE users COMMENT 'x'")
                  : STR("CREATE DATABASE shop2"),
        .time_zone = STR("SYSTEM"),
        .client_charset = STR("utf8mb4"),
        .connection_collation = STR("utf8mb4_general_ci"),
        .server_collation = STR("utf8mb4_general_ci"),
        .before = t ? t->shown : NULL,
        .after = t ? t->shown : NULL,
    };
    return ddl;
}

struct weir_event *
trial_add(struct trial *b, struct rows *r, enum weir_op op,
          const struct made_table *t, int64_t id, enum image image)
{
    struct guard      *g = &b->guard;
    struct weir_event *ev = guard_alloc(g, sizeof *ev);
    const size_t       i = b->head.pub.nevents;

    assert(i < b->room);
    *ev = (struct weir_event){ .op = op,
                               .seq = ++r->seq,
                               .table = t ? t->shown : NULL,
                               .flags = WEIR_LAST_IN_TXN };
    ev->txn = i ? b->events[0]->txn : make_txn(g, r);
    if (i == 0) {
        ev->flags |= WEIR_FIRST_IN_TXN;
    } else {
        b->events[i - 1]->flags &= ~(unsigned)WEIR_LAST_IN_TXN;
    }
    if (op == WEIR_UPDATE || op == WEIR_DELETE) {
        ev->before = row_image(g, r, t, id, image);
    }
    if (op == WEIR_UPDATE || op == WEIR_INSERT || op == WEIR_SNAPSHOT) {
        ev->after = row_image(g, r, t, id, image);
    }
    if (op == WEIR_DDL || op == WEIR_TRUNCATE) {
        ev->ddl = make_ddl(g, t);
    }
    if (op == WEIR_SNAPSHOT_END) {
        ev->begin = ev->seq - 1;
    }
    b->events[i] = ev;
    b->slots[i] = t ? t->slot : NULL;
    b->tables[i] = t;
    b->head.pub.nevents++;
    return ev;
}

void
trial_checkpoint(struct trial *b, const char *id, uint32_t slot,
                 uint64_t epoch, struct weir_str data)
{
    b->head.pub.checkpoint = (struct weir_checkpoint){
        .id = guard_str(&b->guard, str_of(id)),
        .slot = slot,
        .epoch = epoch,
        .data = guard_str(&b->guard, data),
    };
}

void
trial_free(struct trial **b)
{
    if (*b) {
        guard_close(&(*b)->guard);
        *b = NULL;
    }
}
