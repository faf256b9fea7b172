/* log_text.c - see log_text.h. */
#include "unit.h"

#include "log_text.h"

#include "base/bytes.h"
#include "base/str.h"

struct buf
log_read(const char *name)
{
    const char *source = getenv("WEIR_SOURCE");
    char        path[1024];
    struct buf  log = { 0 };
    size_t      n;

    snprintf(path, sizeof path, "%s/t/data/%s", source ? source : ".", name);
    FILE *f = fopen(path, "rb");
    if (!f) {
        fail_msg("open %s", path);
    }
    while ((n = fread(buf_need(&log, 65536), 1, 65536, f)) > 0) {
        log.len += n;
    }
    fclose(f);
    return log;
}

static struct binlog_event
event_at(struct binlog_stream *s, struct buf log, size_t at)
{
    struct binlog_event ev = { 0 };
    struct weir_err     err;

    assert_true(log.len - at >= BINLOG_HEADER);
    const size_t len = get_le32(log.data + at + 9);
    assert_true(len <= log.len - at);
    if (binlog_event_parse(s, log.data + at, len, &ev, &err) != WEIR_OK) {
        fail_msg("at %zu: %s", at, err.text);
    }
    return ev;
}

static void
inflate(const struct binlog_event *ev, struct buf *out)
{
    struct binlog_inflater *in = binlog_inflater_new();
    struct weir_err         err;
    enum weir_status        st;

    st = ev->type == BINLOG_TRANSACTION_PAYLOAD
             ? binlog_inflate_payload(in, ev, 1 << 20, out, &err)
             : binlog_inflate_rows(in, ev, 1 << 20, out, &err);
    binlog_inflater_free(&in);
    if (st != WEIR_OK) {
        fail_msg("%s", err.text);
    }
}

struct binlog_event
log_event(struct buf log, enum binlog_type type, int nth,
          struct binlog_stream *s, struct buf *inner)
{
    struct binlog_event ev, in;

    binlog_stream_init(s);
    for (size_t at = BINLOG_MAGIC_BYTES; at < log.len; at += ev.len) {
        ev = event_at(s, log, at);
        if (ev.type == type && nth-- == 0) {
            return ev;
        }
        if (ev.type != BINLOG_TRANSACTION_PAYLOAD || !inner) {
            continue;
        }
        inflate(&ev, inner);
        for (size_t k = 0; k < inner->len; k += in.len) {
            assert_int_equal(binlog_event_parse_inner(
                                 s, inner->data + k, inner->len - k, &in, NULL),
                             WEIR_OK);
            if (in.type == type && nth-- == 0) {
                return in;
            }
        }
    }
    fail_msg("no such %s", binlog_type_name(type));
    return (struct binlog_event){ 0 };
}

static void
put_time(const struct weir_value *v, struct buf *out)
{
    const struct weir_time t = v->t;

    buf_text(out, t.negative ? "-" : "");
    if (v->type != WEIR_TIME) {
        buf_printf(out, "%04u-%02u-%02u", t.year, t.month, t.day);
    }
    if (v->type != WEIR_DATE) {
        buf_printf(out, "%s%02u:%02u:%02u.%06u",
                   v->type == WEIR_TIME ? "" : " ", t.hour, t.minute, t.second,
                   t.usec);
    }
}

void
put_value(const struct weir_value *v, struct buf *out)
{
    switch (v->type) {
    case WEIR_ABSENT:
        buf_text(out, "-");
        break;
    case WEIR_NULL:
        buf_text(out, "NULL");
        break;
    case WEIR_INT:
        buf_printf(out, "%lld", (long long)v->i);
        break;
    case WEIR_UINT:
        buf_printf(out, "%lluu", (unsigned long long)v->u);
        break;
    case WEIR_DOUBLE:
        buf_printf(out, "%.17g", v->d);
        break;
    case WEIR_DECIMAL:
        buf_str(out, v->s);
        break;
    case WEIR_JSON:
    case WEIR_TEXT:
        buf_text(out, v->type == WEIR_JSON ? "json'" : "'");
        buf_str(out, v->s);
        buf_text(out, "'");
        break;
    case WEIR_BYTES:
        buf_text(out, "x'");
        for (size_t i = 0; i < v->s.len; i++) {
            buf_printf(out, "%02x", (unsigned char)v->s.data[i]);
        }
        buf_text(out, "'");
        break;
    default:
        put_time(v, out);
    }
}

static void
put_image(const struct weir_value *values, uint32_t n, struct buf *out)
{
    for (uint32_t i = 0; i < n; i++) {
        buf_text(out, i > 0 ? ", " : " ");
        put_value(&values[i], out);
    }
}

static void
put_rows(const struct table *t, const struct binlog_event *ev, struct buf *out)
{
    static const char *const names[] = { "insert", "update", "delete" };
    struct weir_value       *before = calloc(t->pub.ncolumns, sizeof *before);
    struct weir_value       *after = calloc(t->pub.ncolumns, sizeof *after);
    struct arena             a = { 0 };
    struct binlog_rows       r;
    struct weir_err          err;
    enum weir_status st = binlog_rows_open(&r, ev->type, ev->body, ev->body_len,
                                           t->columns, t->pub.ncolumns, &err);

    assert_int_equal(st, WEIR_OK);
    while ((st = binlog_rows_next(&r, NULL, before, after, &a, &err)) !=
           WEIR_DROP) {
        buf_str(out, t->pub.name);
        if (st != WEIR_OK) {
            buf_printf(out, ": %s\n", err.text);
            assert_int_equal(binlog_rows_skip(&r, 1, &err), WEIR_OK);
            continue;
        }
        buf_printf(out, " %s", names[r.op]);
        if (r.op != WEIR_INSERT) {
            put_image(before, t->pub.ncolumns, out);
        }
        buf_text(out, r.op == WEIR_UPDATE ? " ->" : "");
        if (r.op != WEIR_DELETE) {
            put_image(after, t->pub.ncolumns, out);
        }
        buf_byte(out, '\n');
    }
    arena_free(&a);
    free(before);
    free(after);
}

struct walk {
    struct binlog_stream     s;
    const char              *name;
    const struct definition *def;
    struct arena             a;
    struct table            *tables[64];
    uint64_t                 ids[64];
    int                      n;
    struct buf              *out;
};

static void
walk_table(struct walk *w, const struct binlog_event *ev)
{
    struct binlog_table_map map;
    struct weir_err         err;

    assert_int_equal(binlog_table_map_parse(ev->body, ev->body_len, &map, &err),
                     WEIR_OK);
    if (w->name && !str_is(map.name, w->name)) {
        return;
    }
    assert_true(w->n < 64);
    if (table_make(&w->a, w->s.flavour, &map, w->def, "nobody told",
                   &w->tables[w->n], &err) != WEIR_OK) {
        buf_printf(w->out, "%s\n", err.text);
        return;
    }
    w->ids[w->n++] = map.id;
}

static void
walk_event(struct walk *w, const struct binlog_event *ev)
{
    struct buf          inner = { 0 };
    struct binlog_event in;

    if (ev->type == BINLOG_TABLE_MAP) {
        walk_table(w, ev);
    } else if (ev->type == BINLOG_TRANSACTION_PAYLOAD ||
               (binlog_is_rows(ev->type) && binlog_is_compressed(ev->type))) {
        inflate(ev, &inner);
        for (size_t k = 0; k < inner.len; k += in.len) {
            assert_int_equal(binlog_event_parse_inner(&w->s, inner.data + k,
                                                      inner.len - k, &in, NULL),
                             WEIR_OK);
            walk_event(w, &in);
        }
    } else if (binlog_is_rows(ev->type)) {
        const uint64_t id = binlog_table_id(ev->body, ev->body_len);
        for (int i = w->n; i-- > 0;) {
            if (w->ids[i] == id) {
                put_rows(w->tables[i], ev, w->out);
                break;
            }
        }
    }
    buf_free(&inner);
}

struct weir_str
log_rows(const char *file, const char *name, const struct definition *def,
         struct buf *out)
{
    struct walk         w = { .name = name, .def = def, .out = out };
    struct buf          log = log_read(file);
    struct binlog_event ev;

    binlog_stream_init(&w.s);
    for (size_t at = BINLOG_MAGIC_BYTES; at < log.len; at += ev.len) {
        ev = event_at(&w.s, log, at);
        walk_event(&w, &ev);
    }
    arena_free(&w.a);
    buf_free(&log);
    buf_byte(out, '\0');
    out->len--;
    return buf_view(out);
}
