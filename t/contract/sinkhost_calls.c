/* sinkhost_calls.c - what a module may call; see sinkhost.h. */
#include "sinkhost.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/err.h"
#include "base/file.h"
#include "base/str.h"
#include "format/template.h"

void
weir_log(struct weir_instance *in, enum weir_level level, const char *fmt, ...)
{
    va_list ap;

    (void)in;
    fprintf(host.out, "log %d ", (int)level);
    va_start(ap, fmt);
    vfprintf(host.out, fmt, ap);
    va_end(ap);
    fputc('\n', host.out);
}

void
weir_count(struct weir_instance *in, const char *metric, uint64_t n)
{
    (void)in;
    fprintf(host.out, "count %s %llu\n", metric, (unsigned long long)n);
}

int
weir_stop_fd(struct weir_instance *in)
{
    (void)in;
    return -1;
}

bool
weir_glob(struct weir_str pattern, struct weir_str text)
{
    return str_glob(pattern, text);
}

const char *
weir_dir(struct weir_instance *in)
{
    return in->folder;
}

const char *
weir_name(struct weir_instance *in)
{
    (void)in;
    return "shop/test";
}

uint32_t
weir_lane(struct weir_instance *in)
{
    (void)in;
    return 0;
}

uint32_t
weir_lanes(struct weir_instance *in)
{
    (void)in;
    return 1;
}

enum weir_status
weir_secret(struct weir_instance *in, const char *path, struct weir_str *out,
            struct weir_err *err)
{
    return file_read_secret(&in->lasting, path, out, err);
}

void
weir_use(struct weir_instance *in, size_t column)
{
    (void)in;
    if (column == WEIR_NONE) {
        fputs("use none\n", host.out);
    } else {
        fprintf(host.out, "use %zu\n", column);
    }
}

void
weir_ops(struct weir_instance *in, unsigned ops)
{
    (void)in;
    fprintf(host.out, "ops %u\n", ops);
}

void
weir_keep(struct weir_instance *in, size_t column, struct weir_str name)
{
    (void)in;
    fprintf(host.out, "keep %zu %.*s\n", column, STR_ARG(name));
}

void *
weir_alloc(struct weir_instance *in, size_t size)
{
    return arena_alloc(&in->batch, size);
}

static struct weir_str
kept(struct buf *b)
{
    const struct weir_str copy = arena_str(&host.batch, buf_view(b));

    buf_free(b);
    return copy;
}

struct weir_str
weir_text(struct weir_instance *in, const struct weir_column *column,
          const struct weir_value *v)
{
    struct buf b = { 0 };

    (void)in;
    format_text(column, v, &b);
    return kept(&b);
}

struct weir_str
weir_raw(struct weir_instance *in, const struct weir_column *column,
         const struct weir_value *v)
{
    return weir_text(in, column, v);
}

/* As the server does: what an UPDATE leaves out is as it was before. */
static const struct weir_value *
image_of(const struct weir_event *ev, bool of_before)
{
    if (of_before || !ev->after || !ev->before) {
        return of_before || !ev->after ? ev->before : ev->after;
    }
    const size_t       n = ev->table->ncolumns;
    struct weir_value *both =
        arena_copy(&host.batch, ev->after, n * sizeof *both);
    for (size_t i = 0; i < n; i++) {
        if (both[i].type == WEIR_ABSENT) {
            both[i] = ev->before[i];
        }
    }
    return both;
}

enum weir_status
weir_expand(struct weir_batch *b, size_t i, const struct weir_template *t,
            bool of_before, struct weir_str *out, struct weir_err *err)
{
    const struct weir_event *ev = b->events[i];
    uint32_t                 bound[MAX_PARTS];
    struct weir_value        none[MAX_WORDS] = { 0 };
    struct buf               text = { 0 };

    assert(t->nparts <= MAX_PARTS);
    const struct weir_value *image = image_of(ev, of_before);
    enum weir_status         st = template_bind(t, ev->table, bound, err);
    if (st == WEIR_OK) {
        st = template_expand(t, bound, ev->table, image ? image : none, &text,
                             err);
    }
    *out = kept(&text);
    return st;
}

enum weir_status
weir_body(struct weir_batch *b, size_t i, const struct weir_format *f,
          struct weir_str *out, struct weir_err *err)
{
    struct buf text = { 0 };

    (void)err;
    format_event(f, host.table->format, b->events[i], &text);
    *out = kept(&text);
    return WEIR_OK;
}

void
weir_verdict(struct weir_batch *b, size_t i, enum weir_status status,
             const char *fmt, ...)
{
    va_list ap;

    assert(i < b->nevents);
    fprintf(host.out, "verdict %zu %s: ", i, status_name(status));
    va_start(ap, fmt);
    vfprintf(host.out, fmt, ap);
    va_end(ap);
    fputc('\n', host.out);
}

void
weir_found(struct weir_instance *in, const struct weir_checkpoint *cp)
{
    (void)in;
    fprintf(host.out, "found %u %llu %.*s\n", cp->slot,
            (unsigned long long)cp->epoch, STR_ARG(cp->data));
}
