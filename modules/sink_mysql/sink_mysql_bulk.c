/*
 * sink_mysql_bulk.c - many rows as one INSERT whose values are bound, column by
 * column, where the target is a MariaDB that takes them so (COM_STMT_BULK_
 * EXECUTE): nothing is written as text, and nothing parsed.  Knows no UPDATE
 * and no DELETE, which a server would still run one by one.
 */
#include "sink_mysql.h"

#include <string.h>

/* Below that, preparing costs more than it saves. */
enum { FEWEST = 50, MOST = 5000, MOST_BYTES = 4 << 20 };

struct bound { /* the values of one column */
    union {
        long long *integer;
        double    *real;
        char     **text;
    } v;
    unsigned long *len;
    char          *indicator;
};

enum form { FORM_NONE, FORM_INT, FORM_UINT, FORM_DOUBLE, FORM_TEXT, FORM_BYTES };

/* Text in a charset of its own is bound as bytes. */
static enum form
form_of(const struct weir_value *v, struct weir_str coded)
{
    if (coded.data) {
        return FORM_BYTES;
    }
    switch (v->type) {
    case WEIR_NULL:
    case WEIR_ABSENT:
        return FORM_NONE;
    case WEIR_INT:
        return FORM_INT;
    case WEIR_UINT:
        return FORM_UINT;
    case WEIR_DOUBLE:
        return FORM_DOUBLE;
    case WEIR_BYTES:
        return FORM_BYTES;
    default: /* a DECIMAL, too: digits are what it is read from */
        return FORM_TEXT;
    }
}

static size_t
size_of(const struct weir_value *v, struct weir_str coded)
{
    if (coded.data) {
        return coded.len + 8;
    }
    return v->type == WEIR_TEXT || v->type == WEIR_BYTES ||
                   v->type == WEIR_JSON || v->type == WEIR_DECIMAL
               ? v->s.len + 8
               : 32;
}

/* How many rows there are room for; none, if a column has values of two
 * forms. */
static size_t
count_rows(const struct sink *s, const struct row *rows, size_t n,
           enum form *forms)
{
    const struct target *t = rows->t;
    const size_t         half = (size_t)(s->link.max_packet / 2);
    const size_t         limit = half < MOST_BYTES ? half : MOST_BYTES;
    size_t               size = 0, done = 0;

    for (; done < n && done < MOST; done++) {
        for (size_t i = 0; i < t->table->ncolumns; i++) {
            if (!row_has(&rows[done], i)) {
                continue;
            }
            const struct weir_value *v = &rows[done].after[i];
            const struct weir_str    coded = text_coded(s->in, t, i, v);
            const enum form          form = form_of(v, coded);
            if (form != FORM_NONE && forms[i] != FORM_NONE &&
                form != forms[i]) {
                return 0;
            }
            forms[i] = form == FORM_NONE ? forms[i] : form;
            size += size_of(v, coded);
        }
        if (size > limit) {
            break;
        }
    }
    return done;
}

static void
set_value(struct sink *s, const struct bound *b, size_t row, enum form form,
          const struct target *t, size_t column, const struct weir_value *v)
{
    const struct weir_str coded = text_coded(s->in, t, column, v);
    struct weir_str       text;

    b->indicator[row] = STMT_INDICATOR_NONE;
    switch (form_of(v, coded)) {
    case FORM_NONE:
        b->indicator[row] = STMT_INDICATOR_NULL;
        if (form == FORM_TEXT || form == FORM_BYTES || form == FORM_NONE) {
            b->v.text[row] = NULL;
            b->len[row] = 0;
        }
        break;
    case FORM_INT:
        b->v.integer[row] = v->i;
        break;
    case FORM_UINT:
        memcpy(&b->v.integer[row], &v->u, sizeof v->u);
        break;
    case FORM_DOUBLE:
        b->v.real[row] = v->d;
        break;
    default:
        text = coded.data ? coded
               : v->type == WEIR_TEXT || v->type == WEIR_BYTES ||
                       v->type == WEIR_JSON || v->type == WEIR_DECIMAL
                   ? v->s
                   : weir_text(s->in, t->table->columns[column], v);
        b->v.text[row] = (char *)(text.data ? text.data : "");
        b->len[row] = text.len;
        break;
    }
}

static MYSQL_BIND
bind_column(struct sink *s, const struct row *rows, size_t n, size_t i,
            enum form form)
{
    struct bound b;
    MYSQL_BIND   bind = { 0 };

    b.v.text = weir_alloc(s->in, n * sizeof(long long));
    b.len = weir_alloc(s->in, n * sizeof *b.len);
    b.indicator = weir_alloc(s->in, n);
    for (size_t r = 0; r < n; r++) {
        set_value(s, &b, r, form, rows->t, i, &rows[r].after[i]);
    }
    bind.buffer_type = form == FORM_INT || form == FORM_UINT
                           ? MYSQL_TYPE_LONGLONG
                           : form == FORM_DOUBLE ? MYSQL_TYPE_DOUBLE
                           : form == FORM_BYTES  ? MYSQL_TYPE_BLOB
                                                 : MYSQL_TYPE_STRING;
    bind.is_unsigned = form == FORM_UINT;
    bind.buffer = b.v.text;
    bind.length = b.len;
    bind.u.indicator = b.indicator;
    return bind;
}

/* What the library itself finds fault with is nobody's row. */
static enum weir_status
fail_bulk(struct sink *s, MYSQL_STMT *stmt, struct weir_err *err)
{
    if (mysql_errno(s->link.mysql) != 0) {
        return link_fail(s, "write rows", err);
    }
    weir_fail(err, WEIR_RETRY, "%s: write rows: %s", s->where,
              mysql_stmt_error(stmt));
    link_close(s);
    return WEIR_RETRY;
}

static enum weir_status
run_bulk(struct sink *s, MYSQL_BIND *binds, size_t n, bool upsert,
         struct weir_err *err)
{
    unsigned    size = (unsigned)n;
    MYSQL_STMT *stmt = mysql_stmt_init(s->link.mysql);

    if (!stmt) {
        return weir_fail(err, WEIR_RETRY, "%s: no memory", s->where);
    }
    const bool failed =
        mysql_stmt_prepare(stmt, s->sql.data, s->sql.len) != 0 ||
        mysql_stmt_attr_set(stmt, STMT_ATTR_ARRAY_SIZE, &size) != 0 ||
        mysql_stmt_bind_param(stmt, binds) != 0 ||
        mysql_stmt_execute(stmt) != 0;
    enum weir_status st = failed ? fail_bulk(s, stmt, err) : WEIR_OK;
    if (!failed && !upsert && mysql_stmt_affected_rows(stmt) != n) {
        st = weir_fail(err, WEIR_REJECT, "%s: not all rows were inserted",
                       s->where);
    }
    mysql_stmt_close(stmt);
    return st;
}

enum weir_status
rows_bulk(struct sink *s, const struct row *rows, size_t n, size_t *written,
          struct weir_err *err)
{
    const size_t ncolumns = rows->t->table->ncolumns;

    *written = 0;
    if (!s->link.has_bulk || n < FEWEST) {
        return WEIR_OK;
    }
    enum form *forms = weir_alloc(s->in, (ncolumns + 1) * sizeof *forms);
    memset(forms, 0, (ncolumns + 1) * sizeof *forms);
    const size_t taken = count_rows(s, rows, n, forms);
    if (taken < FEWEST) {
        return WEIR_OK;
    }
    MYSQL_BIND *binds = weir_alloc(s->in, (ncolumns + 1) * sizeof *binds);
    bool       *coded = row_flags(s, rows->t);
    size_t      nbinds = 0;
    for (size_t i = 0; i < ncolumns; i++) {
        if (row_has(rows, i)) {
            coded[i] = forms[i] == FORM_BYTES && rows->t->charsets[i].data;
            binds[nbinds++] = bind_column(s, rows, taken, i, forms[i]);
        }
    }
    if (nbinds == 0) {
        return WEIR_OK;
    }
    s->sql.len = 0;
    rows_bulk_sql(&s->sql, rows, coded);
    if (s->sql.failed) {
        return weir_fail(err, WEIR_RETRY, "%s: no memory", s->where);
    }
    *written = taken;
    const enum weir_status st = script_flush(s, err); /* what comes before */
    return st == WEIR_OK ? run_bulk(s, binds, taken, rows->upsert, err) : st;
}
