/* directive.c - see directive.h. */
#include "module/directive.h"

#include <inttypes.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"

struct unit { const char *name; int64_t factor; };

static const struct unit size_units[] = {
    { "g", INT64_C(1) << 30 }, { "m", 1 << 20 }, { "k", 1 << 10 }, { "", 1 },
};
static const struct unit time_units[] = {
    { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 },
    { "ms", 1 },
};
enum { SIZE_UNITS = 4, TIME_UNITS = 5 };

size_t
directive_count(const struct weir_directive *table, size_t size)
{
    size_t n = 0;

    while (n < DIRECTIVE_MAX &&
           directive_get(table, size, n).kind != WEIR_K_END) {
        n++;
    }
    return n;
}

struct weir_directive
directive_get(const struct weir_directive *table, size_t size, size_t i)
{
    struct weir_directive d = { 0 };

    memcpy(&d, (const char *)table + i * size,
           size < sizeof d ? size : sizeof d);
    return d;
}

size_t
directive_width(enum weir_kind kind)
{
    switch (kind) {
    case WEIR_K_END:
        return 0;
    case WEIR_K_STR:
    case WEIR_K_TEMPLATE:
    case WEIR_K_FORMAT:
        return sizeof(void *);
    case WEIR_K_LIST:
        return sizeof(struct weir_list);
    case WEIR_K_MAP:
        return sizeof(struct weir_map);
    case WEIR_K_BOOL:
        return sizeof(bool);
    case WEIR_K_INT:
    case WEIR_K_ENUM:
    case WEIR_K_SIZE:
    case WEIR_K_MSEC:
        return sizeof(int64_t);
    }
    return 0;
}

bool
directive_is_number(enum weir_kind kind)
{
    return kind == WEIR_K_BOOL || kind == WEIR_K_INT || kind == WEIR_K_ENUM ||
           kind == WEIR_K_SIZE || kind == WEIR_K_MSEC;
}

void
directive_store(const struct weir_directive *d, void *conf, int64_t value)
{
    if (d->kind == WEIR_K_BOOL) {
        const bool on = value != 0;
        memcpy((char *)conf + d->offset, &on, sizeof on);
    } else {
        memcpy((char *)conf + d->offset, &value, sizeof value);
    }
}

/* ---- Text to number */

static enum weir_status
parse_bool(struct weir_str text, int64_t *out, struct weir_err *err)
{
    static const char *const words[] = { "off", "on",  "no",
                                         "yes", "false", "true" };
    for (int i = 0; i < 6; i++) {
        if (str_is(text, words[i])) {
            *out = i % 2;
            return WEIR_OK;
        }
    }
    return weir_fail(err, WEIR_FATAL, "'%.80s' is neither on nor off",
                     text.data);
}

static enum weir_status
parse_name(const struct weir_directive *d, struct weir_str text, int64_t *out,
           struct weir_err *err)
{
    char        choices[256] = "";
    const char *names[64];
    size_t      n = 0;

    for (; n < 64 && d->names[n].name; n++) {
        names[n] = d->names[n].name;
        if (str_is(text, names[n])) {
            *out = d->names[n].value;
            return WEIR_OK;
        }
        const size_t len = strlen(choices);
        snprintf(choices + len, sizeof choices - len, "%s%s", n ? ", " : "",
                 names[n]);
    }
    const char *near = str_nearest(text.data, names, n);
    return near ? weir_fail(err, WEIR_FATAL,
                            "'%.80s' is not one of %s: did you mean '%s'?",
                            text.data, choices, near)
                : weir_fail(err, WEIR_FATAL, "'%.80s' is not one of %s",
                            text.data, choices);
}

/* Digits, then the unit; false if it is too large or has no digits. */
static bool
split_number(struct weir_str text, bool *negative, uint64_t *value,
             struct weir_str *unit)
{
    size_t n = 0;

    *negative = text.len > 0 && text.data[0] == '-';
    const struct weir_str rest = { text.data + *negative,
                                   text.len - *negative };
    while (n < rest.len && rest.data[n] >= '0' && rest.data[n] <= '9') {
        n++;
    }
    *unit = (struct weir_str){ rest.data + n, rest.len - n };
    return str_u64((struct weir_str){ rest.data, n }, value) &&
           *value <= INT64_MAX;
}

static const struct unit *
find_unit(const struct unit *units, size_t n, struct weir_str name)
{
    for (size_t i = 0; i < n; i++) {
        if (str_is(name, units[i].name)) {
            return &units[i];
        }
    }
    return NULL;
}

static const struct unit *
units_of(enum weir_kind kind, size_t *n)
{
    *n = kind == WEIR_K_SIZE ? SIZE_UNITS : TIME_UNITS;
    return kind == WEIR_K_SIZE ? size_units : time_units;
}

static enum weir_status
parse_quantity(const struct weir_directive *d, struct weir_str text,
               int64_t *out, struct weir_err *err)
{
    const bool      is_size = d->kind == WEIR_K_SIZE;
    struct weir_str unit;
    uint64_t        value = 0;
    bool            negative;
    size_t          n;

    if (!split_number(text, &negative, &value, &unit) || negative) {
        return weir_fail(err, WEIR_FATAL, "'%.80s' is not a %s: write %s",
                         text.data, is_size ? "size" : "time",
                         is_size ? "64k, 8m or 1g" : "250ms, 5s, 2m or 1h");
    }
    if (!is_size && unit.len == 0 && value == 0) {
        *out = 0;
        return WEIR_OK;
    }
    const struct unit *units = units_of(d->kind, &n);
    const struct unit *u = find_unit(units, n, unit);
    if (!u) {
        return weir_fail(err, WEIR_FATAL,
                         unit.len ? "'%.80s' has an unknown unit: write %s"
                                  : "'%.80s' has no unit: write %s",
                         text.data,
                         is_size ? "k, m or g" : "ms, s, m, h or d");
    }
    if (value > (uint64_t)(INT64_MAX / u->factor)) {
        return weir_fail(err, WEIR_FATAL, "'%.80s' is too large", text.data);
    }
    *out = (int64_t)value * u->factor;
    return WEIR_OK;
}

static enum weir_status
parse_int(struct weir_str text, int64_t *out, struct weir_err *err)
{
    struct weir_str unit;
    uint64_t        value = 0;
    bool            negative;

    if (!split_number(text, &negative, &value, &unit) || unit.len > 0) {
        return weir_fail(err, WEIR_FATAL, "'%.80s' is not a whole number",
                         text.data);
    }
    *out = negative ? -(int64_t)value : (int64_t)value;
    return WEIR_OK;
}

static enum weir_status
check_bounds(const struct weir_directive *d, struct weir_str text,
             int64_t value, struct weir_err *err)
{
    struct buf range = { 0 };

    if ((d->min == 0 && d->max == 0) || (value >= d->min && value <= d->max)) {
        return WEIR_OK;
    }
    directive_format(d, d->min, &range);
    buf_text(&range, " to ");
    directive_format(d, d->max, &range);
    weir_fail(err, WEIR_FATAL, "'%.80s' is out of range, which is %.*s",
              text.data, STR_ARG(buf_view(&range)));
    buf_free(&range);
    return WEIR_FATAL;
}

enum weir_status
directive_number(const struct weir_directive *d, struct weir_str text,
                 int64_t *out, struct weir_err *err)
{
    enum weir_status st;

    switch (d->kind) {
    case WEIR_K_BOOL:
        return parse_bool(text, out, err);
    case WEIR_K_ENUM:
        return parse_name(d, text, out, err);
    case WEIR_K_INT:
        st = parse_int(text, out, err);
        break;
    default:
        st = parse_quantity(d, text, out, err);
        break;
    }
    return st == WEIR_OK ? check_bounds(d, text, *out, err) : st;
}

/* ---- Numbers and tables to text */

void
directive_format(const struct weir_directive *d, int64_t value,
                 struct buf *out)
{
    size_t             n, i = 0;
    const struct unit *units = units_of(d->kind, &n);

    if ((d->kind != WEIR_K_SIZE && d->kind != WEIR_K_MSEC) || value <= 0) {
        buf_printf(out, "%" PRId64, value);
        return;
    }
    while (i + 1 < n && value % units[i].factor != 0) {
        i++;
    }
    buf_printf(out, "%" PRId64 "%s", value / units[i].factor, units[i].name);
}

static const char *
kind_text(enum weir_kind kind)
{
    switch (kind) {
    case WEIR_K_STR:
        return "TEXT";
    case WEIR_K_LIST:
        return "{TEXT, ...}";
    case WEIR_K_MAP:
        return "{\"NAME=TEXT\", ...}";
    case WEIR_K_BOOL:
        return "on | off";
    case WEIR_K_INT:
        return "NUMBER";
    case WEIR_K_SIZE:
        return "SIZE (64k, 8m, 1g)";
    case WEIR_K_MSEC:
        return "TIME (250ms, 5s, 2m, 1h)";
    case WEIR_K_TEMPLATE:
        return "TEMPLATE (\"text {column}\")";
    case WEIR_K_FORMAT:
        return "FORMAT (weir, row)";
    case WEIR_K_ENUM:
    case WEIR_K_END:
        break;
    }
    return "";
}

static void
help_one(const struct weir_directive *d, struct buf *line)
{
    buf_printf(line, "  %s = %s", d->name, kind_text(d->kind));
    for (size_t i = 0; d->kind == WEIR_K_ENUM && d->names[i].name; i++) {
        buf_printf(line, "%s%s", i ? " | " : "", d->names[i].name);
    }
    if (d->min != 0 || d->max != 0) {
        buf_text(line, ", ");
        directive_format(d, d->min, line);
        buf_text(line, " to ");
        directive_format(d, d->max, line);
    }
    if (d->flags & WEIR_REQUIRED) {
        buf_text(line, "; required");
    } else if (d->value && *d->value) {
        buf_printf(line, "; default %s", d->value);
    }
    if (d->flags & WEIR_ENV) {
        buf_text(line, "; ${NAME} is a variable of the environment");
    }
    buf_printf(line, "\n      %s\n", d->help ? d->help : "");
}

void
directive_help(const struct weir_directive *table, size_t size, FILE *out)
{
    struct buf   text = { 0 };
    const size_t n = table ? directive_count(table, size) : 0;

    for (size_t i = 0; i < n; i++) {
        const struct weir_directive d = directive_get(table, size, i);
        help_one(&d, &text);
    }
    if (text.len) {
        fwrite(text.data, 1, text.len, out);
    }
    buf_free(&text);
}
