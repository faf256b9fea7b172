/* test_gather.c - what the mysql sink makes of a batch: which statements, in
 * which order, in which packets.  The server is a list of what was sent. */
#include "unit.h"

#include "sink_mysql.h"

#include <string.h>

enum { NCOLUMNS = 3, MOST = 3000 };
#define NONE INT64_MIN /* not in the image */

/* ---- The server, the client library, the module's other files */

static char         sent[1 << 20]; /* all statements, each with a ';' behind it */
static size_t       nsent, npackets, largest, nanswers, answer;
static int64_t      rows_of[MOST];
static void        *allocated[4 * MOST];
static size_t       nallocated;

static bool         may_pack; /* more than a row in statements of other files */

void *
weir_alloc(struct weir_instance *in, size_t size)
{
    (void)in;
    assert_true(nallocated < sizeof allocated / sizeof *allocated);
    return allocated[nallocated++] = test_calloc(1, size);
}

struct weir_str
weir_text(struct weir_instance *in, const struct weir_column *c,
          const struct weir_value *v)
{
    (void)in;
    (void)c;
    return v->s; /* of a time: what the test says that it is */
}

/* Of a text as the test has it; its bytes are of the length that it says. */
struct weir_str
weir_raw(struct weir_instance *in, const struct weir_column *c,
         const struct weir_value *v)
{
    (void)in;
    (void)c;
    return (struct weir_str){ "\x87\x90\x81\xe0", v->logged };
}

enum weir_status
weir_fail(struct weir_err *err, enum weir_status why, const char *format, ...)
{
    (void)err;
    (void)format;
    return why;
}

enum weir_status
link_fail(struct sink *s, const char *what, struct weir_err *err)
{
    (void)s;
    (void)what;
    (void)err;
    return WEIR_RETRY;
}

size_t
rows_join(struct sink *s, const struct row *rows, size_t n, int64_t *hits)
{
    (void)s;
    (void)rows;
    (void)n;
    (void)hits;
    assert_true(may_pack);
    return 0;
}

enum weir_status
rows_bulk(struct sink *s, const struct row *rows, size_t n, size_t *written,
          struct weir_err *err)
{
    (void)s;
    (void)rows;
    (void)n;
    (void)err;
    assert_true(may_pack);
    *written = 0;
    return WEIR_OK;
}

void
link_close(struct sink *s)
{
    s->link.mysql = NULL;
}

/* ---- What a SELECT shows */

static const char *const *shown; /* cells, row by row; NULL is NULL */
static unsigned           ncells;
static size_t             nshown;

unsigned
mysql_num_fields(MYSQL_RES *res)
{
    (void)res;
    return ncells;
}

MYSQL_RES *
mysql_store_result(MYSQL *m)
{
    return (MYSQL_RES *)(void *)m;
}

bool
result_next(struct result *r)
{
    static size_t at;

    if (!r->row) {
        at = 0;
    }
    r->row = (MYSQL_ROW)(uintptr_t)(shown + at * ncells);
    return at++ < nshown;
}

bool
result_null(const struct result *r, unsigned cell)
{
    return cell >= r->ncells || !r->row[cell];
}

struct weir_str
result_str(const struct result *r, unsigned cell)
{
    const char *text = result_null(r, cell) ? "" : r->row[cell];

    return (struct weir_str){ text, strlen(text) };
}

void
result_free(struct result *r)
{
    (void)r;
}

/* How many rows a statement of ours names: that many it hits; of one by ranges,
 * as many as are shown. */
static int64_t
rows_in(const char *sql, size_t len)
{
    int64_t n = 1;

    if (len > 14 && memcmp(sql, "SELECT ", 7) != 0 &&
        (memcmp(sql, "UPDATE t FORCE", 14) == 0 ||
         memcmp(sql, "DELETE FROM t USING", 14) == 0) &&
        may_pack) {
        return (int64_t)nshown;
    }

    for (size_t i = 0; i + 2 < len; i++) {
        n += memcmp(sql + i, "),(", 3) == 0;
        n += i + 5 < len && memcmp(sql + i, ") OR (", 6) == 0;
    }
    return n;
}

static bool shows[MOST]; /* of the answers: rows */

int
mysql_send_query(MYSQL *m, const char *sql, unsigned long len)
{
    (void)m;
    assert_true(nsent + len + 2 < sizeof sent);
    nanswers = answer = 0;
    for (size_t i = 0; i < len;) {
        const char  *end = memchr(sql + i, ';', len - i);
        const size_t n = end ? (size_t)(end - (sql + i)) : len - i;
        assert_true(nanswers < MOST);
        shows[nanswers] = n > 7 && memcmp(sql + i, "SELECT ", 7) == 0;
        rows_of[nanswers++] = rows_in(sql + i, n);
        memcpy(sent + nsent, sql + i, n);
        nsent += n;
        sent[nsent++] = ';';
        i += n + 1;
    }
    sent[nsent] = '\0';
    npackets++;
    largest = len > largest ? len : largest;
    return 0;
}

my_bool
mysql_read_query_result(MYSQL *m)
{
    (void)m;
    return 0;
}

unsigned
mysql_field_count(MYSQL *m)
{
    (void)m;
    return shows[answer] ? ncells : 0;
}

my_bool
mysql_more_results(MYSQL *m)
{
    (void)m;
    return answer + 1 < nanswers;
}

int
mysql_next_result(MYSQL *m)
{
    (void)m;
    answer++;
    return 0;
}

my_ulonglong
mysql_affected_rows(MYSQL *m)
{
    (void)m;
    return (my_ulonglong)rows_of[answer];
}

static const struct row *of_event; /* what the batch's events are */

struct row
row_of_event(const struct sink *s, const struct weir_batch *b, size_t i)
{
    (void)s;
    (void)b;
    return of_event[i];
}

/* ---- Batches */

static const struct weir_column columns[NCOLUMNS] = {
    { .name = { "id", 2 }, .type = WEIR_INT },
    { .name = { "a", 1 }, .type = WEIR_INT },
    { .name = { "b", 1 }, .type = WEIR_INT },
};
static const struct weir_column *const column_list[NCOLUMNS] = {
    &columns[0], &columns[1], &columns[2],
};
static const uint32_t          key[] = { 0 };
static const struct weir_table table = {
    .ncolumns = NCOLUMNS, .nkey = 1, .columns = column_list, .key = key,
};
static struct weir_str names[NCOLUMNS] = { { "id", 2 }, { "a", 1 }, { "b", 1 } };
static struct weir_str charsets[NCOLUMNS];
static bool            enums[NCOLUMNS];
static bool            compared[NCOLUMNS] = { true, true, true };
static bool            renewed[NCOLUMNS];
static enum shape      shapes[NCOLUMNS] = { SHAPE_INTEGER, SHAPE_INTEGER,
                                            SHAPE_TEXT };
static uint32_t        target_key[] = { 0 };

/* One that stands alone, another of those, and one with a second unique key. */
static struct target t = { .name = { "t", 1 }, .id = 1, .upsert = true,
                           .single = true, .alone = true };
static struct target u = { .name = { "u", 1 }, .id = 2, .upsert = true,
                           .single = true, .alone = true };
static struct target tied = { .name = { "tied", 4 }, .id = 3, .single = true };

static struct mysql_conf conf;
static struct row        rows[MOST];
static struct weir_value values[2 * MOST][NCOLUMNS];
static size_t            nrows, nvalues;
static uint64_t          packet = 1 << 20;

static const struct weir_value *
image(int64_t id, int64_t a, int64_t b)
{
    const int64_t      v[NCOLUMNS] = { id, a, b };
    struct weir_value *out = values[nvalues++];

    for (size_t i = 0; i < NCOLUMNS; i++) {
        out[i].type = v[i] == NONE ? WEIR_ABSENT : WEIR_INT;
        out[i].i = v[i];
    }
    return out;
}

static void
add(const struct target *to, const struct weir_value *before,
    const struct weir_value *after)
{
    rows[nrows++] = (struct row){
        .t = to,
        .before = before,
        .after = after,
        .upsert = conf.conflict == CONFLICT_IDEMPOTENT,
        .anew = !before,
    };
}

static enum weir_status
write_batch(void)
{
    static const struct weir_event  event = { .op = WEIR_UPDATE };
    static const struct weir_event *events[MOST];
    struct weir_err                 err;
    struct sink                     s = { .conf = &conf };
    struct weir_batch               b = { .nevents = nrows, .events = events };
    struct target *const            all[] = { &t, &u, &tied };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        all[i]->table = &table;
        all[i]->columns = names;
        all[i]->charsets = charsets;
        all[i]->enums = enums;
        all[i]->compared = compared;
        all[i]->renewed = renewed;
        all[i]->shapes = shapes;
        all[i]->key = target_key;
        all[i]->nkey = 1;
    }
    for (size_t i = 0; i < nrows; i++) {
        events[i] = &event;
    }
    of_event = rows;
    s.link.max_packet = packet;
    s.link.mysql = (MYSQL *)(void *)&s;
    s.gather = gather_new();
    assert_non_null(s.gather);
    nsent = npackets = largest = 0;
    sent[0] = '\0';
    bool packed = may_pack;
    const enum weir_status st = gather_write(&s, &b, &packed, &err);
    gather_free(s.gather);
    script_free(&s.script);
    while (nallocated > 0) {
        test_free(allocated[--nallocated]);
    }
    nrows = nvalues = 0;
    return st;
}

static void
expect(const char *statements)
{
    assert_int_equal(write_batch(), WEIR_OK);
    assert_string_equal(sent, statements);
}

static int
strict(void **state)
{
    (void)state;
    conf = (struct mysql_conf){ .conflict = CONFLICT_STRICT };
    packet = 1 << 20;
    may_pack = t.ranges = false;
    return 0;
}

static int
ranges(void **state)
{
    (void)strict(state);
    may_pack = t.ranges = true;
    t.index = (struct weir_str){ "PRIMARY", 7 };
    return 0;
}

static int
idempotent(void **state)
{
    (void)strict(state);
    conf.conflict = CONFLICT_IDEMPOTENT;
    return 0;
}

/* ---- A row that is touched many times is written once */

static void
test_touched_often(void **state)
{
    (void)state;
    add(&t, NULL, image(1, 1, 1));
    add(&t, image(1, 1, 1), image(1, 2, 1));
    add(&t, image(1, 2, 1), image(1, 2, 3));
    expect("INSERT INTO t (id,a,b) VALUES (1,2,3);");

    add(&t, image(1, 1, 1), image(1, 2, 1));
    add(&t, image(1, 2, 1), image(1, 3, 4));
    expect("UPDATE t SET a=3,b=4 WHERE id = 1 AND a = 1 AND b = 1;");

    add(&t, image(1, 1, 1), image(1, 2, 1));
    add(&t, image(1, 2, 1), NULL);
    expect("DELETE FROM t WHERE (id = 1 AND a = 1 AND b = 1);");

    add(&t, NULL, image(1, 1, 1));
    add(&t, image(1, 1, 1), NULL);
    expect("");

    add(&t, image(1, 1, 1), NULL);
    add(&t, NULL, image(1, 1, 5));
    expect("UPDATE t SET b=5 WHERE id = 1 AND a = 1 AND b = 1;");
}

/* MINIMAL: an UPDATE's image leaves out what stays, an INSERT's what takes its
 * default. */
static void
test_left_out(void **state)
{
    (void)state;
    add(&t, image(1, NONE, NONE), image(NONE, 2, NONE));
    add(&t, image(1, NONE, NONE), image(NONE, NONE, 3));
    expect("UPDATE t SET a=2,b=3 WHERE id = 1;");

    add(&t, image(1, NONE, NONE), NULL);
    add(&t, NULL, image(1, 5, NONE));
    expect("UPDATE t SET a=5,b=DEFAULT WHERE id = 1;");

    add(&t, NULL, image(1, NONE, NONE));
    add(&t, image(1, NONE, NONE), image(NONE, 2, NONE));
    expect("INSERT INTO t (id,a) VALUES (1,2);");

    /* A key that changes in a row that isn't whole is for one by one. */
    add(&t, image(1, NONE, NONE), image(2, NONE, NONE));
    assert_int_equal(write_batch(), WEIR_REJECT);
    assert_int_equal(nsent, 0);
}

static void
test_renewed(void **state)
{
    (void)state;
    renewed[2] = true; /* ON UPDATE CURRENT_TIMESTAMP */
    add(&t, image(1, 1, 7), image(1, 2, 7));
    add(&t, image(2, NONE, NONE), image(NONE, 3, NONE));
    expect("UPDATE t SET a=2,b=7 WHERE id = 1 AND a = 1 AND b = 7;"
           "UPDATE t SET a=3,b=b WHERE id = 2;");
    renewed[2] = false;
}

/* ---- Order */

static void
test_keys_change_places(void **state)
{
    (void)state;
    add(&t, image(1, 1, 1), image(3, 1, 1));
    add(&t, image(2, 2, 2), image(1, 2, 2));
    add(&t, image(3, 1, 1), image(2, 1, 1));
    expect("UPDATE t SET a=2,b=2 WHERE id = 1 AND a = 1 AND b = 1;"
           "UPDATE t SET a=1,b=1 WHERE id = 2 AND a = 2 AND b = 2;");

    /* Room is made before it is taken: 2 goes where 1 was. */
    add(&t, image(1, 1, 1), NULL);
    add(&t, image(2, 2, 2), image(5, 2, 2));
    expect("DELETE FROM t WHERE (id = 1 AND a = 1 AND b = 1) OR "
           "(id = 2 AND a = 2 AND b = 2);INSERT INTO t (id,a,b) VALUES (5,2,2);");
}

static void
test_kinds_and_tables(void **state)
{
    (void)state;
    add(&u, NULL, image(1, 1, 1));
    add(&t, NULL, image(1, 1, 1));
    add(&t, image(9, 9, 9), NULL);
    add(&u, NULL, image(2, 2, 2));
    add(&t, image(8, 8, 8), image(8, 1, 8));
    add(&t, NULL, image(2, 2, 2));
    add(&t, image(7, 7, 7), NULL);
    expect("DELETE FROM t WHERE (id = 9 AND a = 9 AND b = 9) OR "
           "(id = 7 AND a = 7 AND b = 7);"
           "UPDATE t SET a=1 WHERE id = 8 AND a = 8 AND b = 8;"
           "INSERT INTO t (id,a,b) VALUES (1,1,1),(2,2,2);"
           "INSERT INTO u (id,a,b) VALUES (1,1,1),(2,2,2);");
}

/* With another key, what is free when depends on the order: it is the source's,
 * and each touch is written. */
static void
test_tied(void **state)
{
    (void)state;
    add(&tied, image(1, 1, 1), image(1, 0, 1)); /* a is unique: 1 and 2 swap */
    add(&tied, image(2, 2, 2), image(2, 1, 2));
    add(&tied, image(1, 0, 1), image(1, 2, 1));
    add(&tied, NULL, image(3, 3, 3));
    add(&tied, NULL, image(4, 4, 4));
    add(&tied, image(3, 3, 3), NULL);
    add(&tied, NULL, image(5, 3, 3));
    expect("UPDATE tied SET a=0 WHERE id = 1 AND a = 1 AND b = 1;"
           "UPDATE tied SET a=1 WHERE id = 2 AND a = 2 AND b = 2;"
           "UPDATE tied SET a=2 WHERE id = 1 AND a = 0 AND b = 1;"
           "INSERT INTO tied (id,a,b) VALUES (3,3,3),(4,4,4);"
           "DELETE FROM tied WHERE (id = 3 AND a = 3 AND b = 3);"
           "INSERT INTO tied (id,a,b) VALUES (5,3,3);");
}

/* ---- What doesn't go on from what was made of the row */

static void
test_contradictions(void **state)
{
    (void)state;
    add(&t, NULL, image(1, 1, 1));
    add(&t, NULL, image(1, 2, 2));
    assert_int_equal(write_batch(), WEIR_REJECT);

    add(&t, image(1, 1, 1), NULL);
    add(&t, image(1, 1, 1), image(1, 2, 2));
    assert_int_equal(write_batch(), WEIR_REJECT);

    add(&t, image(1, 1, 1), NULL);
    add(&t, image(1, 1, 1), NULL);
    assert_int_equal(write_batch(), WEIR_REJECT);
}

/* One text and one charset, but other codes: which row that is, only the
 * target's collation knows. */
static void
test_codes(void **state)
{
    struct weir_value one[NCOLUMNS] = { { 0 } }, other[NCOLUMNS] = { { 0 } };

    (void)state;
    one[0] = (struct weir_value){ WEIR_TEXT, 2, { .s = { "\342\211\222", 3 } } };
    other[0] = one[0];
    charsets[0] = (struct weir_str){ "cp932", 5 };
    add(&t, NULL, one);
    add(&t, one, NULL);
    expect("");
    other[0].logged = 4;
    add(&t, NULL, one);
    add(&t, NULL, other);
    assert_int_equal(write_batch(), WEIR_REJECT);
    add(&t, one, other);
    assert_int_equal(write_batch(), WEIR_REJECT);
    add(&t, one, one);
    expect("UPDATE t SET id=id WHERE id = _cp932'\x87\x90';");
    charsets[0] = (struct weir_str){ 0 };
}

static void
test_idempotent(void **state)
{
    (void)state;
    add(&t, NULL, image(1, 1, 1));
    add(&t, NULL, image(1, 2, 2));
    add(&t, image(3, 3, 3), image(3, 4, 4));
    add(&t, NULL, image(2, 5, NONE));
    expect("INSERT INTO t (id,a,b) VALUES (1,2,2),(3,4,4) ON DUPLICATE KEY "
           "UPDATE id=VALUES(id),a=VALUES(a),b=VALUES(b);"
           "INSERT INTO t (id,a) VALUES (2,5) ON DUPLICATE KEY "
           "UPDATE id=VALUES(id),a=VALUES(a),b=VALUES(b);");

    add(&t, image(1, 1, 1), NULL);
    add(&t, image(1, 1, 1), NULL);
    expect("DELETE FROM t WHERE id IN (1);");

    /* It may have been there: only an INSERT that is known to be of this batch
     * makes a DELETE nothing. */
    add(&t, NULL, image(1, 1, 1));
    add(&t, image(1, 1, 1), NULL);
    expect("DELETE FROM t WHERE id IN (1);");
}

/* ---- Looked at, and written by position */

enum { LOOKED = 16 };
static const char *cells[(LOOKED + 1) * NCOLUMNS];

/* Rows that are shown as they were: `step` is between their keys. */
static void
change(int64_t first, int64_t step, bool delete)
{
    static char text[LOOKED + 1][2][24];

    for (size_t i = 0; i < LOOKED + 1; i++) {
        const int64_t id = first + (int64_t)i * step;
        snprintf(text[i][0], sizeof text[i][0], "%lld", (long long)id);
        snprintf(text[i][1], sizeof text[i][1], "%zu", i);
        cells[i * 3] = text[i][0];
        cells[i * 3 + 1] = cells[i * 3 + 2] = text[i][1];
        if (i < LOOKED) {
            add(&t, image(id, (int64_t)i, (int64_t)i),
                delete ? NULL : image(id, (int64_t)i + 50, (int64_t)i));
        }
    }
    shown = cells;
    ncells = NCOLUMNS;
    nshown = LOOKED;
}

static void
test_ranges(void **state)
{
    (void)state;
    change(-3, 1, false);
    expect("SELECT id,a,b FROM t FORCE INDEX (PRIMARY) WHERE id BETWEEN -3 AND "
           "11 OR id IN (12) ORDER BY id FOR UPDATE;"
           "UPDATE t FORCE INDEX (PRIMARY) SET a=ELT(id-(-3)+1,50,51,52,53,54,"
           "55,56,57,58,59,60,61,62,63,64,65) WHERE id BETWEEN -3 AND 11 OR id "
           "IN (12);");
    change(1, 2, false);
    expect("SELECT id,a,b FROM t FORCE INDEX (PRIMARY) WHERE id IN (1,3,5,7,9,"
           "11,13,15,17,19,21,23,25,27,29,31) ORDER BY id FOR UPDATE;"
           "UPDATE t FORCE INDEX (PRIMARY) SET a=ELT(INTERVAL(id,1,3,5,7,9,11,"
           "13,15,17,19,21,23,25,27,29,31),50,51,52,53,54,55,56,57,58,59,60,61,"
           "62,63,64,65) WHERE id IN (1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,"
           "31);");
    change(7, 1, true);
    expect("SELECT id,a,b FROM t FORCE INDEX (PRIMARY) WHERE id BETWEEN 7 AND "
           "21 OR id IN (22) ORDER BY id FOR UPDATE;"
           "DELETE FROM t USING t FORCE INDEX (PRIMARY) WHERE id BETWEEN 7 AND "
           "21 OR id IN (22);");
}

/* Sums of such keys would be none of the server's numbers. */
static void
test_large_keys(void **state)
{
    (void)state;
    change(INT64_MAX - 20, 1, true);
    assert_int_equal(write_batch(), WEIR_OK);
    assert_memory_equal(sent, "DELETE FROM t WHERE (id = ", 26);
}

static void
test_not_as_it_was(void **state)
{
    static const char *const others[] = { "8", "-7", "", "7 ", "70",
                                          "18446744073709551623", NULL };

    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        change(1, 1, false);
        cells[7 * NCOLUMNS + 1] = others[i];
        assert_int_equal(write_batch(), WEIR_REJECT);
    }
    change(1, 1, false);
    nshown--;
    assert_int_equal(write_batch(), WEIR_REJECT);
    change(1, 1, false);
    nshown++;
    assert_int_equal(write_batch(), WEIR_REJECT);
    change(1, 1, false);
    cells[3 * NCOLUMNS] = "99"; /* another row in its place */
    assert_int_equal(write_batch(), WEIR_REJECT);
}

static enum weir_status
look(enum weir_type type, const char *value, const char *cell)
{
    struct weir_err   err;
    struct sink       s = { .conf = &conf };
    struct weir_value before[NCOLUMNS] = { { .type = WEIR_INT, .i = 1 },
                                           { .type = type },
                                           { .type = WEIR_ABSENT } };
    const struct row  row = { .t = &t, .before = before, .after = before };
    struct result     r = { .ncells = 2 };

    before[1].s = (struct weir_str){ value, value ? strlen(value) : 0 };
    cells[0] = "1";
    cells[1] = cell;
    shown = cells;
    ncells = 2;
    nshown = 1;
    return rows_look(&s, &r, &row, 1, &err);
}

static void
test_shown_values(void **state)
{
    (void)state;
    assert_int_equal(look(WEIR_DECIMAL, "1.50", "1.5000"), WEIR_OK);
    assert_int_equal(look(WEIR_DECIMAL, "100", "100.00"), WEIR_OK);
    assert_int_equal(look(WEIR_DECIMAL, "0.00", "0"), WEIR_OK);
    assert_int_equal(look(WEIR_DECIMAL, "100", "10"), WEIR_REJECT);
    assert_int_equal(look(WEIR_DECIMAL, "1.5", "-1.5"), WEIR_REJECT);
    assert_int_equal(look(WEIR_TIME, "01:02:03", "01:02:03.000"), WEIR_OK);
    assert_int_equal(look(WEIR_TIME, "01:02:03.1", "01:02:03"), WEIR_REJECT);
    assert_int_equal(look(WEIR_TEXT, "a", "a"), WEIR_OK);
    assert_int_equal(look(WEIR_TEXT, "a", "A"), WEIR_REJECT);
    assert_int_equal(look(WEIR_TEXT, "1.50", "1.5"), WEIR_REJECT);
    assert_int_equal(look(WEIR_TEXT, "", ""), WEIR_OK);
    assert_int_equal(look(WEIR_TEXT, "", NULL), WEIR_REJECT);
    assert_int_equal(look(WEIR_BYTES, "NULL", NULL), WEIR_REJECT);
    assert_int_equal(look(WEIR_NULL, NULL, NULL), WEIR_OK);
    assert_int_equal(look(WEIR_NULL, NULL, ""), WEIR_REJECT);
}

/* ---- Limits */

static void
test_limits(void **state)
{
    (void)state;
    for (int64_t i = 0; i < MOST; i++) {
        add(&t, NULL, image(i, i, i));
    }
    assert_int_equal(write_batch(), WEIR_OK);
    size_t nstatements = 0;
    for (size_t i = 0; i < nsent; i++) {
        nstatements += sent[i] == ';';
    }
    assert_int_equal(nstatements, 3); /* of 1000 rows each */

    packet = 1024;
    for (int64_t i = 0; i < MOST; i++) {
        if (i % 3 == 0) {
            add(&t, NULL, image(i, i, i));
        } else if (i % 3 == 1) {
            add(&u, image(i, i, i), NULL);
        } else {
            add(&tied, image(i, i, i), image(i, i, 0));
        }
    }
    assert_int_equal(write_batch(), WEIR_OK);
    assert_true(largest < packet);
    assert_true(npackets > 50);
    for (int i = 0; i < MOST; i++) { /* each of them, once */
        char row[60];
        if (i % 3 == 0) {
            snprintf(row, sizeof row, "(%d,%d,%d)", i, i, i);
        } else {
            snprintf(row, sizeof row, "id = %d AND a = %d AND b = %d", i, i, i);
        }
        const char *found = strstr(sent, row);
        assert_non_null(found);
        found = strstr(found + 1, row);
        assert_true(!found || (found[strlen(row)] >= '0' &&
                               found[strlen(row)] <= '9'));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_touched_often, strict),
        cmocka_unit_test_setup(test_left_out, strict),
        cmocka_unit_test_setup(test_renewed, strict),
        cmocka_unit_test_setup(test_keys_change_places, strict),
        cmocka_unit_test_setup(test_kinds_and_tables, strict),
        cmocka_unit_test_setup(test_tied, strict),
        cmocka_unit_test_setup(test_contradictions, strict),
        cmocka_unit_test_setup(test_codes, strict),
        cmocka_unit_test_setup(test_idempotent, idempotent),
        cmocka_unit_test_setup(test_ranges, ranges),
        cmocka_unit_test_setup(test_large_keys, ranges),
        cmocka_unit_test_setup(test_not_as_it_was, ranges),
        cmocka_unit_test_setup(test_shown_values, ranges),
        cmocka_unit_test_setup(test_limits, strict),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
