/* template.c - see template.h. */
#include "format/template.h"

#include "base/err.h"
#include "base/str.h"
#include "format/format.h"

enum { NAME_BYTES = 255 /* a file name's, on most file systems */,
       HASH_BYTES = 17 };

/* ---- Reading */

struct parse {
    struct arena         *arena;
    const char           *source;
    struct buf            text; /* literal text so far */
    struct template_part *parts;
    size_t                n;
};

static void
end_text(struct parse *in)
{
    if (in->text.len) {
        in->parts[in->n++] = (struct template_part){
            .kind = PART_TEXT,
            .text = arena_str(in->arena, buf_view(&in->text)),
        };
        in->text.len = 0;
    }
}

/* Of "%Y.%m": every conversion is one of ours, and there is nothing behind the
 * last '%'. */
static bool
is_date_format(struct weir_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] == '%' &&
            (++i == s.len || !s.data[i] || !strchr("YmdHMS%", s.data[i]))) {
            return false;
        }
    }
    return true;
}

/* "created" and "%Y.%m" of "created:%Y.%m"; a ':' alone may be of a name. */
static void
split_name(struct weir_str *name, struct weir_str *date)
{
    const char *at = memmem(name->data, name->len, ":%", 2);

    *date = (struct weir_str){ NULL, 0 };
    if (at) {
        const size_t n = (size_t)(at - name->data);
        *date = (struct weir_str){ at + 1, name->len - n - 1 };
        name->len = n;
    }
}

static enum weir_status
add_name(struct parse *in, struct weir_str name, struct weir_err *err)
{
    struct weir_str date;

    split_name(&name, &date);
    if (!is_date_format(date) || name.len == 0) {
        return weir_fail(err, WEIR_FATAL,
                         "template \"%s\": \"%.*s\" is not a date by its "
                         "parts; they are %%Y, %%m, %%d, %%H, %%M, %%S, as in "
                         "\"{created:%%Y.%%m}\"",
                         in->source, STR_ARG(date));
    }
    end_text(in);
    const enum template_kind kind =
        date.len > 0                ? PART_COLUMN
        : str_is(name, "database") ? PART_DATABASE
        : str_is(name, "table")    ? PART_TABLE
                                   : PART_COLUMN;
    in->parts[in->n++] = (struct template_part){
        .kind = kind,
        .text = arena_str(in->arena, name),
        .date = arena_str(in->arena, date),
    };
    return WEIR_OK;
}

static enum weir_status
read_parts(struct parse *in, struct weir_err *err)
{
    const char *s = in->source;
    while (*s) {
        if ((*s == '{' || *s == '}') && s[1] == *s) {
            buf_byte(&in->text, *s);
            s += 2;
            continue;
        }
        if (*s == '}') {
            return weir_fail(err, WEIR_FATAL,
                             "template \"%s\": the } at \"%.20s\" has no { "
                             "before it; a brace itself is written }}",
                             in->source, s);
        }
        if (*s != '{') {
            buf_byte(&in->text, *s++);
            continue;
        }
        const size_t n = strcspn(s + 1, "{}");
        if (s[1 + n] != '}') {
            return weir_fail(err, WEIR_FATAL,
                             "template \"%s\": the { at \"%.20s\" has no } "
                             "behind it; a brace itself is written {{",
                             in->source, s);
        }
        if (n == 0) {
            return weir_fail(err, WEIR_FATAL,
                             "template \"%s\": {} names no column",
                             in->source);
        }
        const enum weir_status st =
            add_name(in, (struct weir_str){ s + 1, n }, err);
        if (st != WEIR_OK) {
            return st;
        }
        s += n + 2;
    }
    end_text(in);
    return WEIR_OK;
}

static bool
has_parent(struct weir_str s)
{
    for (size_t i = 0; i + 1 < s.len; i++) {
        if (s.data[i] == '.' && s.data[i + 1] == '.') {
            return true;
        }
    }
    return false;
}

static enum weir_status
check_path(const struct weir_template *t, struct weir_err *err)
{
    if (t->nparts == 0) {
        return weir_fail(err, WEIR_FATAL, "template \"\": a path is needed");
    }
    for (size_t i = 0; i < t->nparts; i++) {
        const struct weir_str text = t->parts[i].text;
        if (t->parts[i].kind == PART_TEXT && has_parent(text)) {
            return weir_fail(err, WEIR_FATAL,
                             "template \"%s\": \"..\" may not stand in a path "
                             "that is made of what columns bring",
                             t->source);
        }
    }
    const struct template_part *last = &t->parts[t->nparts - 1];
    if (last->kind == PART_TEXT && last->text.data[last->text.len - 1] == '/') {
        return weir_fail(err, WEIR_FATAL,
                         "template \"%s\": it ends in \"/\", where a file's "
                         "name is needed",
                         t->source);
    }
    return WEIR_OK;
}

enum weir_status
template_parse(struct arena *a, const char *text, unsigned flags,
               const struct weir_template **out, struct weir_err *err)
{
    struct weir_template *t = arena_alloc(a, sizeof *t);
    struct parse          in = {
                 .arena = a,
                 .source = arena_strdup(a, text),
                 .parts = arena_array(a, strlen(text) + 1, sizeof *in.parts),
    };
    enum weir_status st = read_parts(&in, err);
    buf_free(&in.text);
    t->source = in.source;
    t->flags = flags;
    t->nparts = in.n;
    t->parts = in.parts;
    if (st == WEIR_OK && (flags & WEIR_PATH)) {
        st = check_path(t, err);
    }
    if (st == WEIR_OK) {
        *out = t;
    }
    return st;
}

/* ---- Binding */

static uint32_t
column_index(const struct weir_table *table, struct weir_str name)
{
    for (uint32_t i = 0; i < table->ncolumns; i++) {
        if (str_eq(table->columns[i]->name, name)) {
            return i;
        }
    }
    for (uint32_t i = 0; i < table->ncolumns; i++) {
        if (str_eq_nocase(table->columns[i]->name, name)) {
            return i; /* the servers don't tell id from ID either */
        }
    }
    return UINT32_MAX;
}

static enum weir_status
no_such_column(const struct weir_template *t, const struct weir_table *table,
               struct weir_str name, struct weir_err *err)
{
    struct buf names = { 0 };
    for (uint32_t i = 0; i < table->ncolumns && names.len < 200; i++) {
        buf_text(&names, i ? ", " : "");
        buf_str(&names, table->columns[i]->name);
    }
    weir_fail(err, WEIR_REJECT,
              "template \"%s\": %.*s.%.*s has no column %.*s; it has %.*s%s",
              t->source, STR_ARG(table->schema), STR_ARG(table->name),
              STR_ARG(name), STR_ARG(buf_view(&names)),
              names.len < 200 ? "" : ", ...");
    buf_free(&names);
    return WEIR_REJECT;
}

static bool
has_days(const struct weir_column *c)
{
    return c->type == WEIR_DATE || c->type == WEIR_DATETIME ||
           c->type == WEIR_TIMESTAMP;
}

enum weir_status
template_bind(const struct weir_template *t, const struct weir_table *table,
              uint32_t *out, struct weir_err *err)
{
    for (size_t i = 0; i < t->nparts; i++) {
        out[i] = UINT32_MAX;
        if (t->parts[i].kind != PART_COLUMN) {
            continue;
        }
        out[i] = column_index(table, t->parts[i].text);
        if (out[i] == UINT32_MAX) {
            return no_such_column(t, table, t->parts[i].text, err);
        }
        if (t->parts[i].date.len && !has_days(table->columns[out[i]])) {
            return weir_fail(err, WEIR_REJECT,
                             "template \"%s\": column %.*s of %.*s.%.*s is no "
                             "date, so it has no \"%.*s\"",
                             t->source, STR_ARG(t->parts[i].text),
                             STR_ARG(table->schema), STR_ARG(table->name),
                             STR_ARG(t->parts[i].date));
        }
    }
    return WEIR_OK;
}

/* ---- Filling in */

/* Of a path, where its last component begins, and how many bytes of text this
 * component has yet to get: they are never cut. */
struct path {
    size_t component, reserved;
};

static size_t
text_until_slash(const struct weir_template *t, size_t i)
{
    size_t n = 0;
    for (; i < t->nparts; i++) {
        const struct weir_str text = t->parts[i].text;
        if (t->parts[i].kind != PART_TEXT) {
            n += 1 + HASH_BYTES; /* the least that a value takes */
            continue;
        }
        const char *slash = memchr(text.data, '/', text.len);
        if (slash) {
            return n + (size_t)(slash - text.data);
        }
        n += text.len;
    }
    return n;
}

static bool
is_plain(unsigned char c, bool first)
{
    return c >= 0x20 && c != 0x7f && c != '/' && c != '%' && c != '\\' &&
           !(first && c == '.');
}

/* Escapes s at the end of `out`; what is too long ends in a hash of the whole.
 */
static void
add_escaped(struct buf *out, size_t room, struct weir_str s)
{
    const size_t start = out->len;
    size_t       keep = start; /* where a hash would still fit */

    for (size_t i = 0; i < s.len && out->len - start <= room; i++) {
        const unsigned char c = (unsigned char)s.data[i];
        if (is_plain(c, i == 0)) {
            buf_byte(out, (char)c);
        } else {
            buf_printf(out, "%%%02X", c);
        }
        if (out->len - start <= room - HASH_BYTES) {
            keep = out->len;
        }
    }
    if (out->len - start > room) {
        while (keep > start && ((uint8_t)out->data[keep] & 0xc0) == 0x80) {
            keep--; /* not in the middle of a character */
        }
        out->len = keep;
        buf_printf(out, "~%016llx", (unsigned long long)str_hash(0, s));
    }
}

/* Makes what stands in `out` from `start` on a part of a file's name: with
 * "%2F" and its like, so that different values stay different; an empty one is
 * a single "%". */
static void
escape_path(struct buf *out, size_t start, const struct path *path)
{
    const size_t used = start - path->component + path->reserved;
    const size_t left = used < NAME_BYTES ? NAME_BYTES - used : 0;
    const size_t room = left > 1 + HASH_BYTES ? left : 1 + HASH_BYTES;
    bool         plain = out->len > start && out->len - start <= room;

    for (size_t i = start; i < out->len && plain; i++) {
        plain = is_plain((unsigned char)out->data[i], i == start);
    }
    if (plain) {
        return;
    }
    if (out->len == start) {
        buf_byte(out, '%');
        return;
    }
    struct buf raw = { 0 };
    buf_add(&raw, out->data + start, out->len - start);
    out->len = start;
    add_escaped(out, room, buf_view(&raw));
    buf_free(&raw);
}

/* `width` digits, at most 4. */
static void
add_digits(struct buf *out, unsigned n, unsigned width)
{
    char *p = buf_need(out, 4) + width;

    for (unsigned i = 0; i < width; i++) {
        *--p = (char)('0' + n % 10);
        n /= 10;
    }
    out->len += width;
}

/* A zero date stays zero: "0000.00". */
static void
add_date(struct buf *out, struct weir_str format, const struct weir_time *t)
{
    for (size_t i = 0; i < format.len; i++) {
        if (format.data[i] != '%') {
            buf_byte(out, format.data[i]);
            continue;
        }
        switch (format.data[++i]) {
        case 'Y':
            add_digits(out, t->year, 4);
            break;
        case 'm':
            add_digits(out, t->month, 2);
            break;
        case 'd':
            add_digits(out, t->day, 2);
            break;
        case 'H':
            add_digits(out, t->hour, 2);
            break;
        case 'M':
            add_digits(out, t->minute, 2);
            break;
        case 'S':
            add_digits(out, t->second, 2);
            break;
        default:
            buf_byte(out, '%');
        }
    }
}

static enum weir_status
column_text(const struct weir_template *t, struct weir_str date,
            const struct weir_table *table, uint32_t column,
            const struct weir_value *image, struct buf *out,
            struct weir_err *err)
{
    const struct weir_value *v = &image[column];
    if (v->type == WEIR_NULL || v->type == WEIR_ABSENT) {
        return weir_fail(err, WEIR_REJECT,
                         "template \"%s\": column %.*s of %.*s.%.*s is %s in "
                         "this row",
                         t->source, STR_ARG(table->columns[column]->name),
                         STR_ARG(table->schema), STR_ARG(table->name),
                         v->type == WEIR_NULL
                             ? "NULL"
                             : "not in the row image (binlog_row_image=FULL "
                               "would log it)");
    }
    if (date.len) {
        add_date(out, date, &v->t);
    } else {
        format_text(table->columns[column], v, out);
    }
    return WEIR_OK;
}

/* What part i brings, behind all that is in `out`. */
static enum weir_status
add_part(const struct weir_template *t, size_t i, uint32_t column,
         const struct weir_table *table, const struct weir_value *image,
         struct buf *out, struct weir_err *err)
{
    switch (t->parts[i].kind) {
    case PART_TEXT:
        buf_str(out, t->parts[i].text);
        return WEIR_OK;
    case PART_DATABASE:
        buf_str(out, table->schema);
        return WEIR_OK;
    case PART_TABLE:
        buf_str(out, table->name);
        return WEIR_OK;
    case PART_COLUMN:
        return column_text(t, t->parts[i].date, table, column, image, out,
                           err);
    }
    return WEIR_OK;
}

static enum weir_status
expand_path(const struct weir_template *t, const uint32_t *bound,
            const struct weir_table *table, const struct weir_value *image,
            struct buf *out, struct weir_err *err)
{
    struct path      path = { .component = out->len };
    enum weir_status st = WEIR_OK;

    for (size_t i = 0; i < t->nparts && st == WEIR_OK; i++) {
        const struct weir_str text = t->parts[i].text;
        if (t->parts[i].kind == PART_TEXT) {
            buf_str(out, text);
            size_t behind = text.len;
            while (behind > 0 && text.data[behind - 1] != '/') {
                behind--;
            }
            if (behind > 0) {
                path.component = out->len - text.len + behind;
            }
            continue;
        }
        const size_t start = out->len;
        st = add_part(t, i, bound[i], table, image, out, err);
        if (st == WEIR_OK) {
            path.reserved = text_until_slash(t, i + 1);
            escape_path(out, start, &path);
        }
    }
    return st;
}

enum weir_status
template_expand(const struct weir_template *t, const uint32_t *bound,
                const struct weir_table *table, const struct weir_value *image,
                struct buf *out, struct weir_err *err)
{
    const size_t     start = out->len;
    enum weir_status st = WEIR_OK;

    if (t->flags & WEIR_PATH) {
        st = expand_path(t, bound, table, image, out, err);
    } else {
        for (size_t i = 0; i < t->nparts && st == WEIR_OK; i++) {
            st = add_part(t, i, bound[i], table, image, out, err);
        }
    }
    if (st != WEIR_OK) {
        out->len = start;
    }
    return st;
}

/* ---- Globs */

static void
add_glob_text(struct buf *out, struct weir_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] && strchr("*?[]\\", s.data[i])) {
            buf_byte(out, '\\');
        }
        buf_byte(out, s.data[i]);
    }
}

void
template_glob(const struct weir_template *t, const struct weir_table *table,
              struct buf *out, size_t *literal)
{
    const size_t start = out->len;
    bool         star = false;

    *literal = 0;
    for (size_t i = 0; i < t->nparts; i++) {
        switch (t->parts[i].kind) {
        case PART_TEXT:
            add_glob_text(out, t->parts[i].text);
            break;
        case PART_DATABASE:
            add_glob_text(out, table ? table->schema : STR("{database}"));
            break;
        case PART_TABLE:
            add_glob_text(out, table ? table->name : STR("{table}"));
            break;
        case PART_COLUMN:
            star = true;
            buf_byte(out, '*');
            break;
        }
        *literal = star ? *literal : out->len - start;
    }
}
