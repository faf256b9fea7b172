/*
 * sinkhost.c - a server of one module, for tests: loads it, makes tables and
 * events from a script on standard input, and prints what came of each call.
 *
 *     sinkhost MODULE.so FOLDER [DIRECTIVE=VALUE ...] < script
 *
 * A line of the script is one of
 *
 *     check | batching | open | close | tick
 *     restore SLOT | forget SLOT           SLOT may be `all`
 *     table DATABASE NAME KEY COLUMN:TYPE ...
 *     insert V ... | snapshot V ... | delete V ... | update V ... > V ...
 *     truncate | ddl
 *     write EPOCH SLOT DATA                all events since the last one
 *     seq N RECEIVED_USEC                  of the next event; of all from now on
 *     bench BATCHES EVENTS COLUMNS EPOCH   rows 0, 1, ..., DATA is the batch
 *
 * KEY is a column or `-`; TYPE int, text, bytes, double or datetime.  A value
 * is NULL, `-` (absent), @N (N bytes), or text with %20 for a space.  The
 * answer to each line ends with a line "= STATUS" or "= STATUS: REASON", on
 * standard error if SINKHOST_STDERR is set.
 * Knows neither relay nor decoder; templates and formats are the server's own.
 */
#include "sinkhost.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/err.h"
#include "base/str.h"
#include "format/template.h"
#include "module/directive.h"

struct weir_instance host;

/* ---- Directives */

static void
store_pointer(const struct weir_directive *d, const void *value)
{
    memcpy((char *)host.conf + d->offset, &value, sizeof value);
}

static void
store_list(const struct weir_directive *d, char *text)
{
    const char **items = arena_array(&host.lasting, MAX_WORDS, sizeof *items);
    struct weir_pair *pairs =
        arena_array(&host.lasting, MAX_WORDS, sizeof *pairs);
    size_t n = 0;
    char  *at;

    for (char *s = strtok_r(text, ",", &at); s; s = strtok_r(NULL, ",", &at)) {
        assert(n < MAX_WORDS);
        items[n++] = s;
        if (d->kind == WEIR_K_MAP) {
            char *colon = strchr(s, ':');
            assert(colon);
            *colon = '\0';
            pairs[n - 1] = (struct weir_pair){ s, colon + 1 };
        }
    }
    if (d->kind == WEIR_K_MAP) {
        memcpy((char *)host.conf + d->offset, &(struct weir_map){ n, pairs },
               sizeof(struct weir_map));
    } else {
        memcpy((char *)host.conf + d->offset, &(struct weir_list){ n, items },
               sizeof(struct weir_list));
    }
}

static enum weir_status
store_directive(const struct weir_directive *d, const char *value,
                struct weir_err *err)
{
    const struct weir_template *t;
    int64_t                     number;
    enum weir_status            st = WEIR_OK;

    switch (d->kind) {
    case WEIR_K_STR:
        store_pointer(d, value);
        break;
    case WEIR_K_LIST:
    case WEIR_K_MAP:
        store_list(d, arena_strdup(&host.lasting, value));
        break;
    case WEIR_K_TEMPLATE:
        st = template_parse(&host.lasting, value, d->flags, &t, err);
        store_pointer(d, st == WEIR_OK ? t : NULL);
        break;
    case WEIR_K_FORMAT:
        st = format_find(&host.lasting, value, &host.format, err);
        store_pointer(d, host.format);
        break;
    default:
        st = directive_number(d, str_of(value), &number, err);
        if (st == WEIR_OK) {
            directive_store(d, host.conf, number);
        }
    }
    return st;
}

static enum weir_status
configure(char **settings, struct weir_err *err)
{
    const struct weir_module *m = host.module;
    enum weir_status          st = WEIR_OK;

    host.conf = xcalloc(1, m->conf_size + 1);
    for (const struct weir_directive *d = m->directives;
         d && d->kind != WEIR_K_END && st == WEIR_OK; d++) {
        const char  *value = d->value;
        const size_t n = strlen(d->name);
        for (char **s = settings; *s; s++) {
            if (strncmp(*s, d->name, n) == 0 && (*s)[n] == '=') {
                value = *s + n + 1;
            }
        }
        if (value) {
            st = store_directive(d, value, err);
        }
    }
    return st;
}

/* ---- Tables and events */

static enum weir_type
type_of(const char *name)
{
    return strcmp(name, "int") == 0        ? WEIR_INT
           : strcmp(name, "bytes") == 0    ? WEIR_BYTES
           : strcmp(name, "double") == 0   ? WEIR_DOUBLE
           : strcmp(name, "datetime") == 0 ? WEIR_DATETIME
                                           : WEIR_TEXT;
}

static void
end_table(void)
{
    if (host.table && host.module->table_end && host.table->slot) {
        host.module->table_end(host.self, host.table->slot);
    }
    if (host.table) {
        format_table_free(&host.table->format);
    }
    host.table = NULL;
}

static enum weir_status
make_table(char **words, size_t n, struct weir_err *err)
{
    struct arena              *a = &host.lasting;
    struct host_table         *t = arena_alloc(a, sizeof *t);
    const struct weir_column **columns = arena_array(a, n, sizeof *columns);
    uint32_t                  *key = arena_alloc(a, sizeof *key);

    end_table();
    t->pub = (struct weir_table){ .schema = str_of(arena_strdup(a, words[0])),
                                  .name = str_of(arena_strdup(a, words[1])),
                                  .columns = columns,
                                  .key = key };
    for (size_t i = 3; i < n; i++) {
        struct weir_column *column = arena_alloc(a, sizeof *column);
        char               *type = strchr(words[i], ':');
        assert(type);
        *type++ = '\0';
        column->name = str_of(arena_strdup(a, words[i]));
        column->sql_type = str_of(arena_strdup(a, type));
        column->type = type_of(type);
        if (strcmp(words[i], words[2]) == 0) {
            *key = t->pub.ncolumns;
            t->pub.nkey = 1;
        }
        columns[t->pub.ncolumns++] = column;
    }
    host.table = t;
    if (host.format) {
        t->format = format_table_new(host.format, &t->pub);
    }
    return host.module->table
               ? host.module->table(host.self, &t->pub, &t->slot, err)
               : WEIR_OK;
}

static struct weir_str
decoded(const char *text)
{
    char  *out = arena_alloc(&host.batch, strlen(text) + 1);
    size_t n = 0;

    for (; *text; text++) {
        unsigned code;
        if (*text == '%' && sscanf(text + 1, "%2x", &code) == 1) {
            out[n++] = (char)code;
            text += 2;
        } else {
            out[n++] = *text;
        }
    }
    return (struct weir_str){ out, n };
}

static struct weir_value
make_value(enum weir_type type, const char *text)
{
    struct weir_value v = { .type = type };

    if (strcmp(text, "NULL") == 0 || strcmp(text, "-") == 0) {
        v.type = *text == '-' ? WEIR_ABSENT : WEIR_NULL;
    } else if (type == WEIR_INT) {
        v.i = strtoll(text, NULL, 10);
    } else if (type == WEIR_DOUBLE) {
        v.d = strtod(text, NULL);
    } else if (type == WEIR_DATETIME) {
        v.t = (struct weir_time){ .year = (uint16_t)atoi(text),
                                  .month = 2,
                                  .day = 3,
                                  .hour = 4,
                                  .minute = 5 };
    } else if (*text == '@') {
        v.s.len = strtoul(text + 1, NULL, 10);
        char *bytes = arena_alloc(&host.batch, v.s.len + 1);
        memset(bytes, 'x', v.s.len);
        v.s.data = bytes;
    } else {
        v.s = decoded(text);
    }
    return v;
}

static struct weir_txn txn = { .commit_usec = 1000000 };
static uint64_t        seq;

static struct weir_event *
new_event(enum weir_op op)
{
    assert(host.nevents < MAX_EVENTS);
    struct weir_event *ev = &host.events[host.nevents];
    *ev = (struct weir_event){
        .op = op, .seq = ++seq, .txn = &txn, .table = &host.table->pub
    };
    host.slots[host.nevents++] = host.table->slot;
    return ev;
}

static const struct weir_value *
make_image(char **words, size_t n)
{
    const struct weir_table *t = &host.table->pub;

    assert(n == t->ncolumns);
    struct weir_value *values = arena_array(&host.batch, n, sizeof *values);
    for (size_t i = 0; i < n; i++) {
        values[i] = make_value(t->columns[i]->type, words[i]);
    }
    return values;
}

static void
make_event(char **words, size_t n)
{
    static const struct {
        const char  *name;
        enum weir_op op;
    } ops[] = {
        { "insert", WEIR_INSERT },     { "update", WEIR_UPDATE },
        { "delete", WEIR_DELETE },     { "snapshot", WEIR_SNAPSHOT },
        { "truncate", WEIR_TRUNCATE }, { "ddl", WEIR_DDL },
    };
    size_t i = 0;

    while (strcmp(ops[i].name, words[0]) != 0) {
        i++;
        assert(i < sizeof ops / sizeof ops[0]);
    }
    struct weir_event *ev = new_event(ops[i].op);
    if (ev->op == WEIR_UPDATE) {
        const size_t half = (n - 2) / 2;
        ev->before = make_image(words + 1, half);
        ev->after = make_image(words + 2 + half, half);
    } else if (ev->op == WEIR_DELETE) {
        ev->before = make_image(words + 1, n - 1);
    } else if (ev->op == WEIR_INSERT || ev->op == WEIR_SNAPSHOT) {
        ev->after = make_image(words + 1, n - 1);
    }
}

/* ---- Calls */

static enum weir_status
write_batch(uint64_t epoch, uint32_t slot, const char *data,
            struct weir_err *err)
{
    struct weir_batch b = {
        .nevents = host.nevents,
        .events = host.list,
        .slots = host.slots,
        .checkpoint = { { "shop/test", 9 }, slot, epoch, str_of(data) },
    };

    for (size_t i = 0; i < host.nevents; i++) {
        host.list[i] = &host.events[i];
    }
    const enum weir_status st = host.module->write(host.self, &b, err);
    host.nevents = 0;
    arena_reset(&host.batch);
    return st;
}

static double
seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static enum weir_status
bench(char **words, struct weir_err *err)
{
    const long  nbatches = atol(words[1]), nevents = atol(words[2]);
    const long  ncolumns = atol(words[3]);
    static char text[MAX_WORDS][48];
    char       *table[MAX_WORDS] = { text[0], text[1], text[2], text[3] };
    long        id = 0;

    assert(ncolumns + 3 <= MAX_WORDS && nevents <= MAX_EVENTS);
    snprintf(text[0], 48, "shop");
    snprintf(text[1], 48, "bench");
    snprintf(text[2], 48, "id");
    snprintf(text[3], 48, "id:int");
    for (long c = 1; c < ncolumns; c++) {
        snprintf(text[3 + c], 48, "column%ld:%s", c, c % 2 ? "text" : "int");
        table[3 + c] = text[3 + c];
    }
    enum weir_status st = make_table(table, (size_t)ncolumns + 3, err);
    const double     start = seconds();
    for (long k = 0; k < nbatches && st == WEIR_OK; k++) {
        for (long i = 0; i < nevents; i++) {
            struct weir_value *v =
                arena_array(&host.batch, (size_t)ncolumns, sizeof *v);
            for (long c = 0; c < ncolumns; c++) {
                v[c] =
                    c % 2 ? (struct weir_value){ .type = WEIR_TEXT,
                                                 .s = { "some text here", 14 } }
                          : (struct weir_value){ .type = WEIR_INT,
                                                 .i = c ? 123456 : id };
            }
            id++;
            new_event(WEIR_INSERT)->after = v;
        }
        snprintf(text[0], 48, "%ld", k);
        st = write_batch(strtoull(words[4], NULL, 10), 0, text[0], err);
        if (st != WEIR_OK) {
            fprintf(host.out, "stopped %ld\n", k);
        }
    }
    fprintf(host.out, "rate %.0f\n", (double)id / (seconds() - start));
    return st;
}

static uint32_t
slot_of(const char *word)
{
    return strcmp(word, "all") == 0 ? WEIR_ALL_SLOTS : (uint32_t)atoi(word);
}

static enum weir_status
open_module(struct weir_err *err)
{
    const enum weir_status st =
        host.module->open ? host.module->open(&host, host.conf, &host.self, err)
                          : WEIR_OK;
    host.is_open = st == WEIR_OK;
    return st;
}

static void
close_module(void)
{
    end_table();
    if (host.is_open && host.module->close) {
        host.module->close(host.self);
    }
    host.is_open = false;
}

static enum weir_status
call(char **words, size_t n, struct weir_err *err)
{
    const struct weir_module *m = host.module;
    const char               *what = words[0];
    const struct weir_str     id = { "shop/test", 9 };

    if (strcmp(what, "check") == 0) {
        return m->check ? m->check(host.conf, err) : WEIR_OK;
    }
    if (strcmp(what, "batching") == 0) {
        struct weir_batching b = { 0 };
        m->batching(host.conf, &b);
        fprintf(host.out, "guarantee %d\nmax_lanes %u\nresend %d\n",
                (int)b.guarantee, b.max_lanes, b.resend);
        return WEIR_OK;
    }
    if (strcmp(what, "open") == 0) {
        return open_module(err);
    }
    if (strcmp(what, "close") == 0) {
        close_module();
        return WEIR_OK;
    }
    assert(host.is_open);
    if (strcmp(what, "tick") == 0) {
        if (m->tick) {
            m->tick(host.self);
        }
        return WEIR_OK;
    }
    if (strcmp(what, "table") == 0 && n > 3) {
        return make_table(words + 1, n - 1, err);
    }
    if (strcmp(what, "restore") == 0 && n == 2) {
        return m->restore(host.self, id, slot_of(words[1]), err);
    }
    if (strcmp(what, "forget") == 0 && n == 2) {
        return m->forget(host.self, id, slot_of(words[1]), err);
    }
    if (strcmp(what, "write") == 0 && n == 4) {
        return write_batch(strtoull(words[1], NULL, 10), slot_of(words[2]),
                           words[3], err);
    }
    if (strcmp(what, "seq") == 0 && n == 3) {
        seq = strtoull(words[1], NULL, 10) - 1;
        txn.received_usec = strtoll(words[2], NULL, 10);
        return WEIR_OK;
    }
    if (strcmp(what, "bench") == 0 && n == 5) {
        return bench(words, err);
    }
    make_event(words, n);
    return WEIR_OK;
}

static int
run_script(void)
{
    char  *line = NULL;
    size_t room = 0;

    while (getline(&line, &room, stdin) > 0) {
        struct weir_err err = { "" };
        char           *words[MAX_WORDS], *at;
        size_t          n = 0;
        for (char *w = strtok_r(line, " \n", &at); w && n < MAX_WORDS;
             w = strtok_r(NULL, " \n", &at)) {
            words[n++] = w;
        }
        if (n == 0) {
            continue;
        }
        const enum weir_status st = call(words, n, &err);
        fprintf(host.out, "= %s%s%s\n", status_name(st),
                err.text[0] ? ": " : "", err.text);
        fflush(host.out);
    }
    free(line);
    return 0;
}

int
main(int argc, char **argv)
{
    struct weir_err err;

    if (argc < 3) {
        fprintf(stderr, "usage: sinkhost MODULE.so FOLDER [NAME=VALUE ...]\n");
        return 2;
    }
    void *so = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    host.module = so ? dlsym(so, "weir_module") : NULL;
    if (!host.module) {
        fprintf(stderr, "sinkhost: %s\n", dlerror());
        return 2;
    }
    host.folder = argv[2];
    host.out = getenv("SINKHOST_STDERR") ? stderr : stdout;
    host.events = xcalloc(MAX_EVENTS, sizeof *host.events);
    host.list = xcalloc(MAX_EVENTS, sizeof *host.list);
    host.slots = xcalloc(MAX_EVENTS, sizeof *host.slots);
    if (configure(argv + 3, &err) != WEIR_OK) {
        fprintf(host.out, "= FATAL: %s\n", err.text);
        return 1;
    }
    const int status = run_script();
    close_module();
    arena_free(&host.batch);
    arena_free(&host.lasting);
    free(host.conf);
    free(host.events);
    free(host.list);
    free(host.slots);
    dlclose(so);
    return status;
}
