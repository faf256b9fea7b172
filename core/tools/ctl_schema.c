/* ctl_schema.c - weirctl schema show, from the segments on disk, and schema set,
 * which the source worker does. */
#include "tools/ctl.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/page.h"
#include "base/request.h"
#include "base/str.h"
#include "schema/given.h"
#include "tools/frame_json.h"

enum { STATEMENT_MAX = REQUEST_TEXT_MAX / 3 - 4096, LOOK = 20000,
       PATIENCE = 90 * 1000000, LIST_MAX = 64 << 10 };

/* ---- show */

struct latest {
    struct latest *next;
    struct table  *table;
    uint64_t       offset;
    bool           given; /* its names were */
};

static void
note(struct ctl *c, const struct frame *f, const struct given *list,
     struct latest **all)
{
    struct table   *t;
    struct weir_err err;
    struct weir_str payload;

    struct arena *a = &c->arena;
    const bool given = !(f->flags & FRAME_EARLIER) &&
                       given_payload(a, list, f->payload, f->offset, &payload);
    if (!given) {
        payload = arena_str(a, f->payload);
    }
    if (table_load(a, payload, f->offset, &t, &err) != WEIR_OK) {
        return;
    }
    struct latest **at = all;
    while (*at && !(str_eq((*at)->table->pub.schema, t->pub.schema) &&
                    str_eq((*at)->table->pub.name, t->pub.name))) {
        at = &(*at)->next;
    }
    if (!*at) {
        *at = arena_alloc(a, sizeof **at);
    }
    (*at)->table = t;
    (*at)->offset = f->offset;
    (*at)->given = given;
}

static void
show(struct ctl *c, const struct latest *t, struct buf *out)
{
    const struct weir_table *pub = &t->table->pub;

    if (c->json) {
        buf_text(out, "{");
        ctl_uint(out, "version", t->offset);
        ctl_bool(out, "given", t->given);
        table_json_put(t->table, out);
        buf_text(out, "}");
        ctl_print(out);
        return;
    }
    struct arena *a = &c->arena;
    printf("%s.%s, version %" PRIu64 "%s%s%s\n", ctl_shown(a, pub->schema),
           ctl_shown(a, pub->name), t->offset,
           t->given ? ", names given by weirctl schema set" : "",
           t->table->names_known ? "" : ", names unknown: ",
           t->table->names_known ? ""
                                 : ctl_shown(a, str_of(t->table->reason)));
    for (uint32_t i = 0; i < pub->ncolumns; i++) {
        bool is_key = false;
        for (uint32_t k = 0; k < pub->nkey; k++) {
            is_key = is_key || pub->key[k] == i;
        }
        printf("    %-30s  %s%s\n", ctl_shown(a, pub->columns[i]->name),
               ctl_shown(a, pub->columns[i]->sql_type), is_key ? "  key" : "");
    }
}

/* Of rows that are still to come. */
static void
show_coming(struct ctl *c, const struct given *g, const struct latest *all)
{
    const struct latest *t = all;

    while (t && !(str_eq(t->table->pub.schema, g->schema) &&
                  str_eq(t->table->pub.name, g->name) &&
                  t->offset >= g->from)) {
        t = t->next;
    }
    if (t || !g->at_end || c->json) {
        return;
    }
    struct arena *a = &c->arena;
    printf("%s.%s, of its next row, names given by weirctl schema set\n",
           ctl_shown(a, g->schema), ctl_shown(a, g->name));
    for (uint32_t i = 0; i < g->def->ncolumns; i++) {
        printf("    %-30s  %s\n", ctl_shown(a, g->def->columns[i].name),
               ctl_shown(a, g->def->columns[i].sql_type));
    }
}

static bool
is_asked_for(struct ctl *c, struct weir_str schema, struct weir_str name)
{
    const char *full = arena_printf(&c->arena, "%.*s.%.*s", STR_ARG(schema),
                                    STR_ARG(name));
    return c->argc < 3 || str_glob(str_of(c->argv[2]), str_of(full));
}

static int
schema_show(struct ctl *c, const char *pipeline)
{
    struct relaylog l;
    struct latest  *all = NULL;
    struct given   *list;
    struct weir_err err;
    struct buf      out = { 0 };
    int             result = CTL_OK;

    if (!ctl_open_relay(c, pipeline, &l)) {
        return CTL_FAILED;
    }
    if (given_read(&c->arena, given_path(&c->arena, c->state, pipeline),
                   &list, &err) != WEIR_OK) {
        result = ctl_say(CTL_FAILED, "%s", err.text);
    }
    l.heads_only = true;
    for (size_t i = 0; i < l.names.nbases; i++) {
        struct frame     f;
        enum weir_status st = relaylog_enter(&l, i, &err);
        while (st == WEIR_OK && (st = relaylog_next(&l, &f, &err)) == WEIR_OK) {
            if (f.type == FRAME_TABLE) {
                note(c, &f, list, &all);
            }
        }
        if (st != WEIR_DROP) {
            result = ctl_say(CTL_FAILED, "%s", err.text);
        }
    }
    for (const struct latest *t = all; t; t = t->next) {
        if (is_asked_for(c, t->table->pub.schema, t->table->pub.name)) {
            show(c, t, &out);
        }
    }
    for (const struct given *g = list; g; g = g->next) {
        if (is_asked_for(c, g->schema, g->name)) {
            show_coming(c, g, all);
        }
    }
    relaylog_close(&l);
    buf_free(&out);
    return result;
}

/* ---- set */

static enum weir_status
read_all(int fd, const char *what, struct buf *out, struct weir_err *err)
{
    ssize_t n = 1;

    while (n > 0 && out->len <= STATEMENT_MAX) {
        n = read(fd, buf_need(out, LIST_MAX), LIST_MAX);
        if (n == -1 && errno == EINTR) {
            n = 1;
        } else if (n > 0) {
            out->len += (size_t)n;
        }
    }
    if (n == -1) {
        return fail_errno(err, WEIR_FATAL, "read %s", what);
    }
    return out->len <= STATEMENT_MAX
               ? WEIR_OK
               : weir_fail(err, WEIR_FATAL, "%s: a statement has at most %d "
                           "bytes", what, STATEMENT_MAX);
}

/* The statement, without what stands behind it. */
static enum weir_status
read_statement(struct ctl *c, const char *path, struct weir_str *out,
               struct weir_err *err)
{
    struct buf text = { 0 };
    const bool is_file = path && strcmp(path, "-") != 0;

    const int fd = is_file ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
    if (fd == -1) {
        return fail_errno(err, WEIR_FATAL, "open %s", path);
    }
    const enum weir_status st =
        read_all(fd, is_file ? path : "standard input", &text, err);
    if (is_file) {
        close(fd);
    }
    while (text.len && (isspace((unsigned char)text.data[text.len - 1]) ||
                        text.data[text.len - 1] == ';')) {
        text.len--;
    }
    *out = arena_str(&c->arena, buf_view(&text));
    buf_free(&text);
    return st == WEIR_OK && out->len == 0
               ? weir_fail(err, WEIR_FATAL, "%s is empty: it has to be the "
                           "table's CREATE TABLE", is_file ? path
                                                           : "the statement")
               : st;
}

/* 0: to be found. */
static bool
read_from(const struct ctl *c, uint64_t *out)
{
    *out = 0;
    if (c->from && strcmp(c->from, "now") == 0) {
        *out = UINT64_MAX;
    } else if (c->from && !str_u64(str_of(c->from), out)) {
        return false;
    }
    return true;
}

/* Sinks that stopped for want of it. */
static void
begin_sinks(struct ctl *c, const char *pipeline, const char *table)
{
    struct weir_str text;
    struct weir_err err;
    char            reason[1200], answer[1500];

    const char *path = arena_printf(&c->arena, "%s/run/%s.sinks", c->state,
                                    pipeline);
    if (file_read(&c->arena, path, LIST_MAX, &text, &err) != WEIR_OK) {
        return;
    }
    char *list = arena_cstr(&c->arena, text);
    for (char *rest = list, *line; (line = strsep(&rest, "\n"));) {
        struct worker_page *page;
        const char         *sink = strchr(line, ' ');
        path = sink ? arena_printf(&c->arena, "%s/run/%s.%s.sink", c->state,
                                   pipeline, sink + 1)
                    : "";
        if (!sink || page_open(path, false, &page, &err) != WEIR_OK) {
            continue;
        }
        page_get_text(page, PAGE_REASON, reason, sizeof reason);
        const bool waits = atomic_load(&page->state) == PAGE_STOPPED &&
                           strstr(reason, "column names are unknown") &&
                           strstr(reason, table);
        page_close(page);
        if (waits &&
            ctl_ask(c, arena_printf(&c->arena, "begin %s%s", pipeline, sink),
                    answer, sizeof answer, &err) == WEIR_OK) {
            printf("%s\n", answer);
        }
    }
}

static int
set_table(struct ctl *c, const char *pipeline, const char *table,
          struct weir_str statement, uint64_t from)
{
    struct weir_err err;
    char            answer[1500];
    bool            ok;

    const char     *dot = strchr(table, '.');
    const uint64_t  id = (uint64_t)clock_nsec();
    const struct weir_str words[] = {
        request_word(&c->arena,
                     (struct weir_str){ table, (size_t)(dot - table) }),
        request_word(&c->arena, str_of(dot + 1)),
        request_word(&c->arena, statement),
    };
    const char *request = arena_printf(
        &c->arena, "define %s %" PRIu64 " %" PRIu64 " %.*s %.*s %.*s",
        pipeline, from, id, STR_ARG(words[0]), STR_ARG(words[1]),
        STR_ARG(words[2]));
    if (ctl_ask(c, request, answer, sizeof answer, &err) != WEIR_OK) {
        return ctl_say(CTL_FAILED, "%s", err.text);
    }
    const char   *path = answer_path(&c->arena, c->state, pipeline, NULL);
    const int64_t until = clock_steady() + PATIENCE;
    while (!answer_read(path, id, &ok, answer, sizeof answer)) {
        if (clock_steady() > until) {
            return ctl_say(CTL_FAILED, "the source of %s has not done it yet: "
                           "it will when it can; weirctl status says what "
                           "keeps it", pipeline);
        }
        clock_sleep(LOOK);
    }
    if (!ok) {
        return ctl_say(CTL_FAILED, "%s: refused: %s", table, answer);
    }
    printf("%s\n", answer);
    begin_sinks(c, pipeline, table);
    return CTL_OK;
}

static int
schema_set(struct ctl *c, const char *pipeline)
{
    struct weir_str statement;
    struct weir_err err;
    uint64_t        from;

    const char *table = c->argc > 2 ? c->argv[2] : "";
    const char *dot = strchr(table, '.');
    if (!dot || dot == table || !dot[1] || c->argc > 4) {
        return ctl_say(CTL_USAGE, "schema set PIPELINE DATABASE.TABLE [FILE] "
                       "[--from VERSION|now]");
    }
    if (!read_from(c, &from)) {
        return ctl_say(CTL_USAGE, "--from %.40s: a version is a number, as "
                       "weirctl schema show has it; or it is now", c->from);
    }
    if (!c->is_running) {
        return ctl_say(CTL_NOT_RUNNING, "no weir runs in %s: start it first",
                       c->state);
    }
    if (read_statement(c, c->argc > 3 ? c->argv[3] : NULL, &statement, &err) !=
        WEIR_OK) {
        return ctl_say(CTL_FAILED, "%s", err.text);
    }
    return set_table(c, pipeline, table, statement, from);
}

int
ctl_schema(struct ctl *c)
{
    const char *pipeline;

    const char *what = c->argc > 0 ? c->argv[0] : "";
    const bool  sets = strcmp(what, "set") == 0;
    if (!sets && strcmp(what, "show") != 0) {
        return ctl_say(CTL_USAGE, "schema show [PIPELINE [GLOB]], or schema "
                       "set PIPELINE DATABASE.TABLE [FILE]");
    }
    if (!ctl_pipeline(c, c->argc > 1 ? c->argv[1] : NULL, &pipeline)) {
        return CTL_USAGE;
    }
    return sets ? schema_set(c, pipeline) : schema_show(c, pipeline);
}
