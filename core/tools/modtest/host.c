/* host.c - the module, its block, its instances and its calls; see host.h. */
#include "tools/modtest/host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/err.h"
#include "base/file.h"
#include "base/str.h"
#include "config/settings.h"
#include "format/template.h"
#include "tools/modtest/answers.h"

/* ---- Calls */

#define MAY(status)  (1u << ((int)(status) + 4))
enum {
    MAY_FAIL = 1u << 3 | 1u << 2 | 1u << 1, /* RETRY, REJECT, FATAL */
};

/* What a call is given to say why, with a border behind it. */
struct reason {
    struct weir_err err;
    char            border[16];
};
static const char border[16] = "not the module's";

static struct reason
reason_init(void)
{
    struct reason r;

    memset(&r, 0, sizeof r);
    memcpy(r.border, border, sizeof border);
    return r;
}

static void
check_words(const struct host *h, const char *call, const char *text)
{
    for (const char *s = text; *s; s++) {
        if ((unsigned char)*s < ' ') {
            breach("%s gives a reason that is one sentence on one line", call);
            break;
        }
    }
    for (size_t i = 0; i < h->nsecrets; i++) {
        if (strstr(text, h->secrets[i])) {
            breach("%s does not say a secret in its reason", call);
        }
    }
}

static enum weir_status
ended(struct host *h, const char *call, enum weir_status st, unsigned may,
      const struct reason *r)
{
    calling(NULL);
    h->said[0] = '\0';
    if (memcmp(r->border, border, sizeof border) != 0 ||
        !memchr(r->err.text, '\0', sizeof r->err.text)) {
        breach("%s keeps its reason within struct weir_err", call);
        return WEIR_FATAL;
    }
    snprintf(h->said, sizeof h->said, "%s", r->err.text);
    if (st < WEIR_FENCED || st > WEIR_DROP) {
        breach("%s gives a weir_status (it gave %d)", call, (int)st);
        return WEIR_FATAL;
    }
    if (!(may & MAY(st))) {
        breach("%s does not give %s", call, status_name(st));
    }
    if (st < WEIR_OK && !h->said[0]) {
        breach("%s says why it gives %s", call, status_name(st));
    }
    check_words(h, call, h->said);
    return st;
}

/* ---- Module and block */

enum weir_status
host_load(struct host *h, struct weir_err *err)
{
    struct loaded_module loaded;

    calling("the load of the file");
    const enum weir_status st =
        module_load(&h->arena, h->opt->module, &loaded, err);
    calling(NULL);
    if (st == WEIR_OK) {
        h->m = loaded.module;
        h->rows.seq = (uint64_t)time(NULL) * 1000000000u;
        h->rows.big = h->opt->big;
        h->id = arena_printf(&h->arena, "modtest/t%lld",
                             (long long)time(NULL));
        h->epoch = 1;
    }
    return st;
}

static void
say_error(void *arg, const char *where, const char *sentence)
{
    struct weir_err *err = arg;
    const size_t     n = strlen(err->text);

    snprintf(err->text + n, sizeof err->text - n, "%s%s: %s", n ? "; " : "",
             where, sentence);
}

static void
add_name(struct host *h, struct weir_str name)
{
    struct rows *r = &h->rows;

    for (size_t i = 0; i < r->nextra; i++) {
        if (str_eq(r->extra[i], name)) {
            return;
        }
    }
    if (r->nextra < 32) {
        r->extra[r->nextra++] = name;
    }
}

/* Columns that templates name have to be in the tables made up; formats are
 * bound to each table, as the server does. */
static void
note_directive(struct host *h, const struct weir_directive *d,
               const void *conf)
{
    const void *field = (const char *)conf + d->offset;

    if (d->kind == WEIR_K_TEMPLATE) {
        const struct weir_template *t =
            *(const struct weir_template *const *)field;
        for (size_t p = 0; t && p < t->nparts; p++) {
            if (t->parts[p].kind == PART_COLUMN) {
                add_name(h, t->parts[p].text);
            }
        }
    } else if (d->kind == WEIR_K_FORMAT && h->rows.nformats < 16) {
        const struct weir_format *f =
            *(const struct weir_format *const *)field;
        if (f) {
            h->rows.formats[h->rows.nformats++] = f;
        }
    }
}

static void
note_conf(struct host *h, const struct settings *s, struct weir_str text,
          const void *conf)
{
    const struct weir_module *m = h->m;
    const size_t n =
        m->directives ? directive_count(m->directives, m->directive_size) : 0;
    const struct span *spans = (const struct span *)(void *)s->secrets.data;

    h->rows.extra = arena_array(&h->arena, 32, sizeof *h->rows.extra);
    for (size_t i = 0; i < n; i++) {
        const struct weir_directive d =
            directive_get(m->directives, m->directive_size, i);
        note_directive(h, &d, conf);
    }
    const size_t nspans = s->secrets.len / sizeof *spans;
    h->secrets = arena_array(&h->arena, nspans + 1, sizeof *h->secrets);
    for (size_t i = 0; i < nspans; i++) {
        size_t begin = spans[i].begin, end = spans[i].end;
        if (text.data[begin] == '"' || text.data[begin] == '\'') {
            begin++;
            end--;
        }
        if (end - begin >= 4) { /* else it is found by chance */
            h->secrets[h->nsecrets++] = arena_cstr(
                &h->arena,
                (struct weir_str){ text.data + begin, end - begin });
        }
    }
}

/* The struct that the module is given stands between pages of nobody's, so that
 * neither writing to it nor reading behind it goes unseen. */
static const void *
sealed_conf(struct host *h, const void *conf)
{
    struct guard g, behind;

    guard_init(&g, h->m->conf_size + 1);
    guard_init(&behind, 1);
    memcpy(g.base, conf, h->m->conf_size);
    guard_seal(&g);
    guard_close(&behind);
    return g.base;
}

static enum weir_status
read_block(struct host *h, struct weir_str *text, struct weir_err *err)
{
    if (!h->opt->conf) {
        *text = str_of(arena_printf(&h->arena, "%s { }\n", h->m->name));
        return WEIR_OK;
    }
    return file_read(&h->arena, h->opt->conf, 1 << 20, text, err);
}

enum weir_status
host_configure(struct host *h, struct weir_err *err)
{
    const struct syntax own = { .name = h->m->name,
                                .directives = h->m->directives,
                                .directive_size = h->m->directive_size,
                                .module = h->m };
    const struct syntax *blocks[] = { &own };
    const struct syntax  root = { .nblocks = 1, .blocks = blocks,
                                  .directive_size = h->m->directive_size };
    struct conf_errors   errors = { .say = say_error, .arg = err };
    struct settings      s = { .arena = &h->arena, .errors = &errors };
    struct tokens        tokens = { 0 };
    struct weir_str      text;

    const char *file = h->opt->conf ? h->opt->conf : "(no conf)";
    err->text[0] = '\0';
    enum weir_status st = read_block(h, &text, err);
    if (st != WEIR_OK) {
        return st;
    }
    if (!scan_text(&h->arena, text, file, false, &errors, &tokens)) {
        return WEIR_FATAL;
    }
    tokens.prefix = tokens.prefix ? tokens.prefix : WEIR_PREFIX;
    struct grammar g = { .arena = &h->arena, .errors = &errors,
                         .tokens = &tokens, .root = &root };
    const struct block *tree = grammar_parse(&g);
    if (errors.n == 0 && tree->nblocks != 1) {
        return weir_fail(err, WEIR_FATAL, "%s: it holds one block, as in "
                         "%s { ... }", file, h->m->name);
    }
    void *conf = arena_alloc(&h->arena, h->m->conf_size + 1);
    if (errors.n == 0) {
        settings_fill(&s, tree->blocks[0], conf);
    }
    if (errors.n == 0) {
        note_conf(h, &s, text, conf);
        h->conf = sealed_conf(h, conf);
    }
    buf_free(&s.secrets);
    return errors.n == 0 ? WEIR_OK : WEIR_FATAL;
}

enum weir_status
host_check(struct host *h)
{
    struct reason    r = reason_init();
    enum weir_status st = WEIR_OK;

    if (h->m->check) {
        calling("check()");
        st = h->m->check(h->conf, &r.err);
        ended(h, "check()", st, MAY(WEIR_OK) | MAY_FAIL, &r);
    }
    return st;
}

/* ---- Instances */

struct unit *
unit_new(struct host *h, uint32_t lane, uint32_t lanes)
{
    struct unit *u = xcalloc(1, sizeof *u);

    instance_init(&u->in, h->m, h->conf, "modtest/it");
    u->h = h;
    u->in.lane = lane;
    u->in.lanes = lanes;
    u->in.dir = h->folder;
    u->in.sink = &answers;
    u->in.feed = &feed_answers;
    u->in.arg = u;
    u->in.scratch = &u->scratch;
    return u;
}

enum weir_status
unit_open(struct unit *u)
{
    struct reason r = reason_init();

    calling("open()");
    enum weir_status st = instance_open(&u->in, &r.err);
    return ended(u->h, "open()", st, MAY(WEIR_OK) | MAY_FAIL, &r);
}

void
unit_free(struct unit **u)
{
    if (*u) {
        calling("close()");
        instance_close(&(*u)->in);
        calling(NULL);
        arena_free(&(*u)->scratch);
        arena_free(&(*u)->kept);
        buf_free(&(*u)->text);
        free(*u);
        *u = NULL;
    }
}

struct unit *
unit_start(struct host *h, const char *what)
{
    struct unit           *u = unit_new(h, 0, 1);
    const enum weir_status st = unit_open(u);

    if (st != WEIR_OK) {
        point(false, "%s: open() gives %s: %s", what, status_name(st),
              h->said);
        unit_free(&u);
    }
    return u;
}

/* ---- Tables, filters, transforms */

enum weir_status
unit_table(struct unit *u, struct made_table *t)
{
    struct reason  r = reason_init();
    const bool     passes = u->h->m->stage != WEIR_SINK;

    u->h->plan = (struct table_plan){ .table = t->shown, .ops = ~0u,
                                      .arena = &u->kept };
    t->slot = NULL;
    calling("table()");
    enum weir_status st =
        instance_table(&u->in, t->shown, &t->slot, &u->h->plan, &r.err);
    st = ended(u->h, "table()", st,
               MAY(WEIR_OK) | MAY_FAIL | (passes ? MAY(WEIR_DROP) : 0), &r);
    t->is_known = st == WEIR_OK;
    return st;
}

void
unit_table_end(struct unit *u, struct made_table *t)
{
    if (t->is_known && u->h->m->table_end) {
        calling("table_end()");
        u->h->m->table_end(u->in.self, t->slot);
        calling(NULL);
    }
    t->is_known = false;
    t->slot = NULL;
}

enum weir_status
unit_filter(struct unit *u, const struct made_table *t,
            const struct weir_event *ev)
{
    struct reason r = reason_init();

    calling("filter()");
    const enum weir_status st =
        u->h->m->filter(u->in.self, t->slot, ev, &r.err);
    return ended(u->h, "filter()", st,
                 MAY(WEIR_OK) | MAY(WEIR_DROP) | MAY_FAIL, &r);
}

enum weir_status
unit_transform(struct unit *u, const struct made_table *t,
               const struct weir_event *ev, struct weir_value *before,
               struct weir_value *after)
{
    struct reason r = reason_init();

    calling("transform()");
    const enum weir_status st = u->h->m->transform(u->in.self, t->slot, ev,
                                                   before, after, &r.err);
    return ended(u->h, "transform()", st,
                 MAY(WEIR_OK) | MAY(WEIR_DROP) | MAY_FAIL, &r);
}

/* ---- Sinks */

static bool
wait_done(struct trial *b, int seconds)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += seconds;
    pthread_mutex_lock(&b->lock);
    while (b->ndone == 0 &&
           pthread_cond_timedwait(&b->ended, &b->lock, &until) == 0) {
    }
    const bool done = b->ndone > 0;
    pthread_mutex_unlock(&b->lock);
    return done;
}

static enum weir_status
pending(struct unit *u, struct trial *b)
{
    struct reason r = reason_init();
    const int     seconds = (u->h->opt->seconds + 1) / 2;

    calling("weir_batch_done(), which never came, of a write()");
    if (!wait_done(b, seconds)) {
        breach("weir_batch_done() follows a PENDING within %d s", seconds);
        return WEIR_FATAL;
    }
    r.err = b->reason;
    return ended(u->h, "weir_batch_done()", b->outcome,
                 MAY(WEIR_OK) | MAY_FAIL | MAY(WEIR_FENCED), &r);
}

enum weir_status
unit_write_only(struct unit *u, struct trial *b)
{
    struct reason           r = reason_init();
    const struct weir_batch before = b->head.pub;

    b->head.in = &u->in;
    b->u = u;
    guard_seal(&b->guard);
    b->in_write = true;
    calling("write()");
    enum weir_status st = u->h->m->write(u->in.self, &b->head.pub, &r.err);
    b->in_write = st == WEIR_PENDING;
    ended(u->h, "write()", st,
          MAY(WEIR_OK) | MAY(WEIR_PENDING) | MAY_FAIL | MAY(WEIR_FENCED), &r);
    if (st == WEIR_PENDING) {
        st = pending(u, b);
        b->in_write = false;
    } else if (b->ndone) {
        breach("weir_batch_done() ends PENDING batches only: write() gave %s",
               status_name(st));
    }
    if (memcmp(&before, &b->head.pub, sizeof before) != 0) {
        breach("write() leaves struct weir_batch as it was");
    }
    return st;
}

void
unit_let_go(struct trial *b)
{
    pthread_mutex_lock(&b->lock);
    b->is_over = true;
    pthread_mutex_unlock(&b->lock);
    guard_close(&b->guard);
    if (b->u) {
        b->u->h->nrejected += (unsigned)b->nverdicts;
        arena_reset(&b->u->scratch);
    }
}

static enum weir_status
commit(struct unit *u, struct trial *last)
{
    struct reason r = reason_init();

    calling("commit()");
    const enum weir_status st =
        u->h->m->commit(u->in.self, &last->head.pub, &r.err);
    return ended(u->h, "commit()", st,
                 MAY(WEIR_OK) | MAY_FAIL | MAY(WEIR_FENCED), &r);
}

enum weir_status
unit_write(struct unit *u, struct trial *b)
{
    enum weir_status st = unit_write_only(u, b);

    if (st == WEIR_OK && u->h->m->commit &&
        u->h->batching.share != WEIR_BY_KEY) {
        st = commit(u, b);
    }
    unit_let_go(b);
    return st;
}

enum weir_status
unit_put(struct unit *u, struct trial *b)
{
    enum weir_status st = unit_write_only(u, b);

    for (int tries = 0; (st == WEIR_RETRY || b->nretry) && tries < 5;
         tries++) {
        const struct timespec pause = { 0, 100000000 };
        note("write() gives RETRY: %s", u->h->said);
        nanosleep(&pause, NULL); /* the server's back-off */
        if (u->h->m->restore) {
            unit_restore(u, u->h->id, b->head.pub.checkpoint.slot);
        }
        b->ndone = 0;
        b->nretry = b->nverdicts = 0;
        st = unit_write_only(u, b);
    }
    if (st == WEIR_OK && u->h->m->commit &&
        u->h->batching.share != WEIR_BY_KEY) {
        st = commit(u, b);
    }
    unit_let_go(b);
    return st;
}

enum weir_status
unit_restore(struct unit *u, const char *id, uint32_t slot)
{
    struct reason r = reason_init();

    u->nfound = 0;
    u->found = arena_array(&u->kept, 64, sizeof *u->found);
    calling("restore()");
    const enum weir_status st =
        u->h->m->restore(u->in.self, str_of(id), slot, &r.err);
    return ended(u->h, "restore()", st,
                 MAY(WEIR_OK) | MAY_FAIL | MAY(WEIR_FENCED), &r);
}

enum weir_status
unit_forget(struct unit *u, const char *id, uint32_t slot)
{
    struct reason r = reason_init();

    calling("forget()");
    const enum weir_status st =
        u->h->m->forget(u->in.self, str_of(id), slot, &r.err);
    return ended(u->h, "forget()", st,
                 MAY(WEIR_OK) | MAY_FAIL | MAY(WEIR_FENCED), &r);
}

void
unit_tick(struct unit *u)
{
    if (u->h->m->tick) {
        calling("tick()");
        u->h->m->tick(u->in.self);
        calling(NULL);
    }
}

const struct found_checkpoint *
unit_found(const struct unit *u, uint32_t slot)
{
    for (size_t i = 0; i < u->nfound; i++) {
        if (u->found[i].slot == slot) {
            return &u->found[i];
        }
    }
    return NULL;
}
