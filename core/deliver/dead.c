/* dead.c - see dead.h. */
#include "deliver/dead.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/file.h"
#include "base/str.h"
#include "deliver/aside.h"
#include "deliver/sidelog.h"

enum { HANDLED_LINE = 21, HANDLED_MAX = 256 << 20 };

struct letter {
    struct side_record r; /* without its reason */
    bool               handled, chosen, newer;
    uint64_t           keys[2]; /* before, after; 0: none */
    size_t             nrows;
    uint64_t           table;   /* hash of its name; 0: of no table */
    char              *name;    /* for what is found in DDL */
};

struct dead_list {
    struct letter *letters; /* in the order of the log */
    size_t         n, room;
};

static int
by_next(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* The offsets behind letters that are handled, sorted. */
static enum weir_status
read_handled(const char *dir, uint64_t **out, size_t *n, struct weir_err *err)
{
    struct arena    a = { 0 };
    struct weir_str text = { NULL, 0 };

    *out = NULL;
    *n = 0;
    const char *path = arena_printf(&a, "%s/handled", dir);
    enum weir_status st =
        access(path, F_OK) == 0 ? file_read(&a, path, HANDLED_MAX, &text, err)
                                : WEIR_OK;
    if (st == WEIR_OK) {
        *out = xcalloc(text.len / HANDLED_LINE + 1, sizeof **out);
    }
    for (size_t at = 0; st == WEIR_OK && at + HANDLED_LINE <= text.len;
         at += HANDLED_LINE) {
        uint64_t next;
        if (str_u64((struct weir_str){ text.data + at, HANDLED_LINE - 1 },
                    &next)) {
            (*out)[(*n)++] = next;
        }
    }
    if (*n > 0) {
        qsort(*out, *n, sizeof **out, by_next);
    }
    arena_free(&a);
    return st;
}

static struct letter *
add(struct dead_list *l)
{
    if (l->n == l->room) {
        l->room = l->room ? 2 * l->room : 64;
        l->letters = xrealloc(l->letters, l->room * sizeof *l->letters);
    }
    struct letter *one = &l->letters[l->n++];
    memset(one, 0, sizeof *one);
    return one;
}

enum weir_status
dead_list_load(const char *dir, uint64_t which, struct dead_list **out,
               struct weir_err *err)
{
    struct dead_list  *l = xcalloc(1, sizeof *l);
    struct follower   *f;
    struct side_record r;
    uint64_t          *handled;
    size_t             nhandled, chosen = 0;

    *out = l;
    enum weir_status st = read_handled(dir, &handled, &nhandled, err);
    if (st == WEIR_OK) {
        st = sidelog_read(dir, &f, err);
    }
    if (st != WEIR_OK) {
        free(handled);
        return st == WEIR_DROP ? WEIR_OK : st;
    }
    while ((st = sidelog_next(f, &r, err)) == WEIR_OK) {
        struct letter *one = add(l);
        one->r = r;
        one->r.reason = STR("");
        one->handled = nhandled && bsearch(&r.next, handled, nhandled,
                                           sizeof *handled, by_next);
        one->chosen = !one->handled && (which == 0 || which == r.at);
        chosen += one->chosen;
    }
    free(handled);
    follower_close(&f);
    if (st == WEIR_DROP) {
        st = which && chosen == 0
                 ? weir_fail(err, WEIR_REJECT, "there is no dead letter %llu "
                             "(any more)", (unsigned long long)which)
                 : WEIR_OK;
    }
    return st;
}

void
dead_list_free(struct dead_list **pointer)
{
    struct dead_list *l = *pointer;

    for (size_t i = 0; l && i < l->n; i++) {
        free(l->letters[i].name);
    }
    if (l) {
        free(l->letters);
    }
    free(l);
    *pointer = NULL;
}

size_t
dead_count(const struct dead_list *l)
{
    size_t n = 0;

    for (size_t i = 0; i < l->n; i++) {
        n += l->letters[i].chosen;
    }
    return n;
}

size_t
dead_newer(const struct dead_list *l)
{
    size_t n = 0;

    for (size_t i = 0; i < l->n; i++) {
        n += l->letters[i].chosen && l->letters[i].newer;
    }
    return n;
}

bool
dead_is_meant(const struct dead_list *l, uint64_t at)
{
    size_t low = 0, high = l->n;

    while (low < high) { /* they stand in the order of the log */
        const size_t middle = low + (high - low) / 2;
        if (l->letters[middle].r.at < at) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < l->n && l->letters[low].r.at == at &&
           l->letters[low].chosen && !l->letters[low].newer;
}

enum weir_status
dead_discard(const char *dir, const struct dead_list *l, struct weir_err *err)
{
    enum weir_status st = WEIR_OK;

    for (size_t i = 0; i < l->n && st == WEIR_OK; i++) {
        if (l->letters[i].chosen) {
            st = sidelog_set_handled(dir, l->letters[i].r.next, err);
        }
    }
    return st;
}

enum weir_status
dead_is_empty(const char *dir, bool *empty, struct weir_err *err)
{
    struct dead_list *l;

    const enum weir_status st = dead_list_load(dir, 0, &l, err);
    *empty = st == WEIR_OK && dead_count(l) == 0;
    dead_list_free(&l);
    return st;
}

/* ---- Keys */

static uint64_t
hash_table(struct weir_str schema, struct weir_str name)
{
    return str_hash(str_hash(1, schema), name) | 1;
}

/* Of one image: of the target's key where the sink says what that is, else of
 * the table's, else of the table.  0: it can't be told, and may be any. */
static uint64_t
hash_image(struct deliverer *d, const struct view *v,
           const struct weir_event *ev, const struct weir_value *image)
{
    const struct weir_table *t = ev->table;
    struct weir_err          ignored;
    bool                     ordered = false;
    struct buf              *out = &d->scratch;

    out->len = 0;
    for (size_t i = 0; i < v->ntemplates; i++) {
        const struct bound_template *b = &v->templates[i];
        if (!(b->t->flags & WEIR_ORDER)) {
            continue;
        }
        ordered = true;
        if (b->bad || template_expand(b->t, b->columns, t, image, out,
                                      &ignored) != WEIR_OK) {
            return 0;
        }
        buf_byte(out, '\0');
    }
    for (uint32_t k = 0; !ordered && k < t->nkey; k++) {
        const uint32_t c = t->key[k];
        if (image[c].type == WEIR_ABSENT) {
            return 0;
        }
        buf_byte(out, image[c].type == WEIR_NULL);
        if (image[c].type != WEIR_NULL) {
            format_text(t->columns[c], &image[c], out);
        }
        buf_byte(out, '\0');
    }
    return str_hash(2, buf_view(out)) | 1;
}

/* Calls `each` for the rows of a row frame that the stages let through. */
typedef void each_row(void *arg, struct deliverer *d, const struct view *v,
                      const struct weir_event *ev);

static enum weir_status
walk_rows(struct deliverer *d, const struct frame *f, uint64_t frame,
          uint32_t only, each_row *each, void *arg, struct weir_err *err)
{
    struct reader p = reader_of(f->payload.data, f->payload.len);
    struct view  *v;

    read_le(&p, 8);
    const uint64_t table = read_le(&p, 8);
    read_le(&p, 8);
    const uint8_t *header = read_bytes(&p, BINLOG_HEADER);
    enum weir_status st = header ? view_of_frame(d, table, &v, err)
                                 : WEIR_DROP;
    if (st != WEIR_OK || !v->wanted || v->refused) {
        return st == WEIR_DROP ? WEIR_OK : st;
    }
    st = binlog_rows_open(&d->rows, (enum binlog_type)header[4], p.p,
                          reader_left(&p), v->table->columns,
                          v->table->pub.ncolumns, err);
    while (st == WEIR_OK) {
        struct arena *a = &d->round->arena;
        const size_t  size = (v->table->pub.ncolumns + 1) *
                            sizeof(struct weir_value);
        struct weir_value *before =
            d->rows.op != WEIR_INSERT ? arena_take(a, size) : NULL;
        struct weir_value *after =
            d->rows.op != WEIR_DELETE ? arena_take(a, size) : NULL;
        st = binlog_rows_next(&d->rows, v->columns, before, after, a, err);
        struct weir_event ev = { .op = d->rows.op, .before = before,
                                 .after = after,
                                 .seq = frame + d->rows.index };
        if (st == WEIR_OK &&
            (only == REFUSED_ALL_ROWS || only == d->rows.index)) {
            ev.txn = d->txn;
            if (event_steps(d, v, &ev, err) == WEIR_OK) {
                each(arg, d, v, &ev);
            }
        }
        arena_reset(a);
    }
    return st == WEIR_DROP || st == WEIR_REJECT ? WEIR_OK : st;
}

/* ---- The letters' own keys */

static void
note_key(void *arg, struct deliverer *d, const struct view *v,
         const struct weir_event *ev)
{
    struct letter *one = arg;

    /* A frame of several rows has no key, and is any row's then. */
    const bool again = one->nrows++ > 0;
    one->keys[0] = ev->before && !again && one->r.part != ROW_ARRIVES
                       ? hash_image(d, v, ev, ev->before) : 0;
    one->keys[1] = ev->after && !again && one->r.part != ROW_LEAVES
                       ? hash_image(d, v, ev, ev->after) : 0;
}

static enum weir_status
read_letter(struct deliverer *d, struct letter *one, struct weir_err *err)
{
    struct arena  a = { 0 };
    struct frame  f;
    struct view  *v;

    enum weir_status st = follower_read(d->follower, one->r.body, &a, &f, err);
    if (st == WEIR_OK && f.type == FRAME_ROW && f.payload.len >= 16) {
        st = view_of_frame(d, get_le64(f.payload.data + 8), &v, err);
        if (st == WEIR_OK) {
            const struct weir_table *t = &v->table->pub;
            one->table = hash_table(t->schema, t->name);
            one->name = strndup(t->name.data, t->name.len);
            st = transaction_need(d, get_le64(f.payload.data), err);
        }
        if (st == WEIR_OK) {
            st = walk_rows(d, &f, one->r.frame, one->r.row, note_key, one,
                           err);
        }
    }
    arena_free(&a);
    return st;
}

static enum weir_status
read_letters(struct deliverer *d, struct dead_list *l, struct weir_err *err)
{
    struct follower *stream = d->follower, *own;

    enum weir_status st = sidelog_read(d->aside->dead.dir, &own, err);
    if (st != WEIR_OK) {
        return st;
    }
    d->follower = own;
    views_new_segment(d);
    for (size_t i = 0; i < l->n && st == WEIR_OK; i++) {
        if (l->letters[i].chosen) {
            st = read_letter(d, &l->letters[i], err);
        }
    }
    d->follower = stream;
    d->txn = NULL;
    d->at.head = 0;
    views_new_segment(d);
    follower_close(&own);
    return st;
}

/* ---- What came since */

/* Which halves of it were not sent to the sink: among the letters itself. */
static unsigned
parts_of(const struct dead_list *l, uint64_t seq)
{
    unsigned parts = 0;

    for (size_t i = 0; i < l->n; i++) {
        const struct letter *one = &l->letters[i];
        if (!one->handled && one->r.row != REFUSED_ALL_ROWS &&
            one->r.frame + one->r.row == seq) {
            parts |= one->r.part ? one->r.part : ROW_LEAVES | ROW_ARRIVES;
        }
    }
    return parts;
}

/* By what of it is not in `kept`; `unsure`: it may be any. */
static bool
is_newer(const struct letter *one, const uint64_t keys[2], bool unsure,
         unsigned kept)
{
    bool same = (unsure || (!one->keys[0] && !one->keys[1])) &&
                kept != (ROW_LEAVES | ROW_ARRIVES);

    for (unsigned k = 0; k < 4 && !same; k++) {
        same = one->keys[k / 2] && one->keys[k / 2] == keys[k % 2] &&
               !(kept & (k % 2 ? ROW_ARRIVES : ROW_LEAVES));
    }
    return same;
}

static void
compare(void *arg, struct deliverer *d, const struct view *v,
        const struct weir_event *ev)
{
    struct dead_list        *l = arg;
    const struct weir_table *t = &v->table->pub;
    const uint64_t           table = hash_table(t->schema, t->name);
    uint64_t keys[2] = { ev->before ? hash_image(d, v, ev, ev->before) : 0,
                         ev->after ? hash_image(d, v, ev, ev->after) : 0 };
    const bool unsure = (ev->before && !keys[0]) || (ev->after && !keys[1]);

    for (size_t i = 0; i < l->n; i++) {
        struct letter *one = &l->letters[i];
        if (!one->chosen || one->newer || one->table != table ||
            ev->seq <= one->r.frame + (one->r.row == REFUSED_ALL_ROWS
                                           ? 0 : one->r.row)) {
            continue;
        }
        one->newer = is_newer(one, keys, unsure, 0) &&
                     is_newer(one, keys, unsure, parts_of(l, ev->seq));
    }
}

/* A statement that may have emptied the table, or made another of it. */
static void
compare_ddl(struct dead_list *l, const struct frame *f)
{
    for (size_t i = 0; i < l->n; i++) {
        struct letter *one = &l->letters[i];
        if (one->chosen && one->name && f->offset > one->r.frame &&
            (memmem(f->payload.data, f->payload.len, one->name,
                    strlen(one->name)) ||
             memmem(f->payload.data, f->payload.len, "DATABASE", 8) ||
             memmem(f->payload.data, f->payload.len, "database", 8))) {
            one->newer = true;
        }
    }
}

enum weir_status
dead_check_newer(struct deliverer *d, struct dead_list *l,
                 struct weir_err *err)
{
    uint64_t     first, from = UINT64_MAX;
    struct frame f;

    for (size_t i = 0; i < l->n; i++) {
        if (l->letters[i].chosen && l->letters[i].r.frame < from) {
            from = l->letters[i].r.frame;
        }
    }
    if (from == UINT64_MAX) {
        return WEIR_OK;
    }
    enum weir_status st = read_letters(d, l, err);
    if (st == WEIR_OK) {
        st = follower_first(d->follower, &first, err);
        st = st == WEIR_DROP ? WEIR_RETRY : st;
    }
    if (st == WEIR_OK && first > from) {
        return weir_fail(err, WEIR_REJECT,
                         "the relay begins behind %llu now, so that nobody can "
                         "tell whether a newer version of the row has passed "
                         "since: copy the row anew, then discard the letter",
                         (unsigned long long)from);
    }
    if (st == WEIR_OK) {
        st = follower_seek(d->follower, from, err);
    }
    while (st == WEIR_OK && follower_offset(d->follower) < d->found.next) {
        st = follower_next(d->follower, &f, err);
        if (st == WEIR_OK && f.type == FRAME_ROW && f.payload.len >= 16) {
            d->segment = follower_segment(d->follower);
            st = transaction_need(d, get_le64(f.payload.data), err);
            st = st == WEIR_OK ? walk_rows(d, &f, f.offset, REFUSED_ALL_ROWS,
                                           compare, l, err) : st;
        } else if (st == WEIR_OK && f.type == FRAME_DDL) {
            compare_ddl(l, &f);
        }
        page_beat(d->set.page);
    }
    d->txn = NULL;
    d->at.head = 0;
    views_new_segment(d);
    return st == WEIR_DROP ? WEIR_OK : st;
}
