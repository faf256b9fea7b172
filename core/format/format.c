/* format.c - the formats there are, and their options. */
#include "format/format.h"

#include "base/str.h"
#include "format/formats.h"

static const struct format_ops *const formats[] = {
    &format_weir,
    &format_row,
};

static enum weir_status
set_option(struct weir_format *f, struct weir_str option, const char *text,
           struct weir_err *err)
{
    static const struct {
        const char *name;
        unsigned    style;
        bool        on;
    } options[] = {
        { "decimals=string", STYLE_DECIMALS_AS_STRING, true },
        { "decimals=number", STYLE_DECIMALS_AS_STRING, false },
        { "zero_dates=null", STYLE_ZERO_DATES_NULL, true },
        { "zero_dates=text", STYLE_ZERO_DATES_NULL, false },
        { "geometry=wkt", STYLE_GEOMETRY_WKT, true },
        { "geometry=base64", STYLE_GEOMETRY_WKT, false },
    };

    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (str_is(option, options[i].name)) {
            f->style = options[i].on ? f->style | options[i].style
                                     : f->style & ~options[i].style;
            return WEIR_OK;
        }
    }
    return weir_fail(err, WEIR_FATAL,
                     "format \"%s\": there is no option \"%.*s\"; known are "
                     "decimals=number (the default) and decimals=string, "
                     "zero_dates=text (the default) and zero_dates=null, "
                     "geometry=base64 (the default) and geometry=wkt",
                     text, STR_ARG(option));
}

/* Up to the next `end`, which is taken away with it. */
static struct weir_str
take_until(struct weir_str *rest, char end)
{
    const char    *at = memchr(rest->data, end, rest->len);
    const size_t   n = at ? (size_t)(at - rest->data) : rest->len;
    struct weir_str part = { rest->data, n };
    rest->data += n + (at != NULL);
    rest->len -= n + (at != NULL);
    return part;
}

enum weir_status
format_find(struct arena *a, const char *text, const struct weir_format **out,
            struct weir_err *err)
{
    struct weir_str       rest = str_of(text);
    const bool            has_options = strchr(text, ':') != NULL;
    const struct weir_str name = take_until(&rest, ':');

    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (!str_is(name, formats[i]->name)) {
            continue;
        }
        struct weir_format *f = arena_alloc(a, sizeof *f);
        f->name = formats[i]->name;
        f->ops = formats[i];
        while (has_options) {
            const bool             last = !memchr(rest.data, ',', rest.len);
            const struct weir_str  option = take_until(&rest, ',');
            const enum weir_status st = set_option(f, option, text, err);
            if (st != WEIR_OK) {
                return st;
            }
            if (last) {
                break;
            }
        }
        *out = f;
        return WEIR_OK;
    }
    return weir_fail(err, WEIR_FATAL,
                     "there is no format \"%.*s\"; known are weir and row",
                     STR_ARG(name));
}

struct format_table *
format_table_new(const struct weir_format *f, const struct weir_table *table)
{
    struct format_table *ft = xcalloc(1, sizeof *ft);
    ft->table = table;
    image_prepare(&ft->arena, table, f->style, &ft->names);
    return ft;
}

void
format_table_free(struct format_table **ft)
{
    if (*ft == NULL) {
        return;
    }
    buf_free(&(*ft)->head);
    buf_free(&(*ft)->tail);
    buf_free(&(*ft)->txn_text);
    arena_free(&(*ft)->arena);
    free(*ft);
    *ft = NULL;
}

void
format_event(const struct weir_format *f, struct format_table *ft,
             const struct weir_event *ev, struct buf *out)
{
    f->ops->event(f, ft, ev, out);
}

/* ---- row: the bare after-image */

static void
row_event(const struct weir_format *f, struct format_table *ft,
          const struct weir_event *ev, struct buf *out)
{
    (void)f;
    const bool has_row = ev->op == WEIR_INSERT || ev->op == WEIR_UPDATE ||
                         ev->op == WEIR_SNAPSHOT;
    if (!has_row || ft == NULL || ev->after == NULL) {
        return;
    }
    char *p = image_json(&ft->names, out, buf_need(out, 1), 1, ev->after);
    *p++ = '\n';
    out->len = (size_t)(p - out->data);
}

const struct format_ops format_row = { "row", row_event };
