/*
 * sink_mysql_batch.c - a batch within the target's transaction: gathered first;
 * if anything of that is refused, undone and written row by row, so that each
 * refusal is of one event and all others are written.
 */
#include "sink_mysql.h"

#include <stdio.h>
#include <string.h>

static struct weir_str
literal(const char *text)
{
    return (struct weir_str){ text, strlen(text) };
}

struct row
row_of_event(const struct sink *s, const struct weir_batch *b, size_t i)
{
    const struct weir_event *ev = b->events[i];
    const struct target     *t = b->slots[i];
    const bool snapshot = ev->op == WEIR_SNAPSHOT;

    return (struct row){
        .t = t,
        .before = snapshot ? NULL : ev->before,
        .after = ev->after,
        .anew = ev->op == WEIR_INSERT,
        .upsert = t->nkey > 0 &&
                  (snapshot || s->conf->conflict == CONFLICT_IDEMPOTENT),
    };
}

/* ---- One by one */

static enum weir_status
run_one(struct sink *s, int64_t *hit, struct weir_err *err)
{
    struct script *sc = &s->script;
    uint64_t       rows = 0;

    if (sc->text.failed) {
        return weir_fail(err, WEIR_RETRY, "%s: no memory for a row", s->where);
    }
    if (sc->text.len > s->link.max_packet - 1) {
        return weir_fail(err, WEIR_REJECT,
                         "%s: the row needs a statement of %zu bytes, and "
                         "max_allowed_packet is %llu there: raise it", s->where,
                         sc->text.len, (unsigned long long)s->link.max_packet);
    }
    const struct weir_str  sql = { sc->text.data, sc->text.len };
    const enum weir_status st = link_run(s, "write a row", sql, &rows, err);
    *hit = (int64_t)rows;
    script_clear(sc);
    if (st == WEIR_OK && s->warnings > 0 &&
        mysql_warning_count(s->link.mysql) > s->warnings) {
        return weir_fail(err, WEIR_REJECT, "%s: the target would not keep the "
                         "row as it is", s->where);
    }
    return st;
}

/* What stands in a row's place, for people. */
static void
find_present(struct sink *s, const struct row *r, struct text *out)
{
    struct text   sql = { 0 };
    struct result res;
    struct weir_err ignored;

    if (r->t->nkey == 0) {
        return;
    }
    text_put(&sql, "SELECT * FROM ");
    text_add(&sql, r->t->name.data, r->t->name.len);
    for (size_t k = 0; k < r->t->nkey; k++) {
        const uint32_t i = r->t->key[k];
        text_put(&sql, k ? " AND " : " WHERE ");
        text_add(&sql, r->t->columns[i].data, r->t->columns[i].len);
        text_put(&sql, " = ");
        text_value(&sql, s->in, r->t, i,
                   r->before ? &r->before[i] : &r->after[i], true);
    }
    const struct weir_str text = { sql.data, sql.len };
    if (!sql.failed &&
        link_query(s, "look at a row", text, &res, &ignored) == WEIR_OK) {
        if (result_next(&res)) {
            MYSQL_FIELD *fields = mysql_fetch_fields(res.res);
            for (unsigned c = 0; c < res.ncells && out->len < 200; c++) {
                const struct weir_str v = result_str(&res, c);
                text_put(out, c ? ", " : "");
                text_add(out, fields[c].name, fields[c].name_length);
                text_put(out, "=");
                text_add(out, v.data, v.len < 40 ? v.len : 40);
            }
        }
        result_free(&res);
    }
    text_free(&sql);
}

/* Values may hold anything, and a reason is one line. */
static void
on_one_line(struct text *t)
{
    for (size_t i = 0; i < t->len; i++) {
        if ((unsigned char)t->data[i] < ' ' || t->data[i] == 127) {
            t->data[i] = ' ';
        }
    }
}

static enum weir_status
refuse_missing(struct sink *s, const struct row *r, struct weir_err *err)
{
    struct text ours = { 0 }, theirs = { 0 };

    row_show(s, r->t, r->before, &ours);
    find_present(s, r, &theirs);
    on_one_line(&ours);
    on_one_line(&theirs);
    const enum weir_status st =
        theirs.len > 0
            ? weir_fail(err, WEIR_REJECT, "%s: the row of %.*s differs: the "
                        "source had %.*s; there is %.*s", s->where,
                        STR_ARG(r->t->name), (int)ours.len,
                        ours.data ? ours.data : "", (int)theirs.len,
                        theirs.data)
            : weir_fail(err, WEIR_REJECT, "%s: the row of %.*s is not there: "
                        "the source had %.*s", s->where, STR_ARG(r->t->name),
                        (int)ours.len, ours.data ? ours.data : "");
    text_free(&ours);
    text_free(&theirs);
    return s->link.mysql ? st
                         : weir_fail(err, WEIR_RETRY, "%s: the connection was "
                                     "lost", s->where);
}

static enum weir_status
delete_one(struct sink *s, const struct row *r, struct weir_err *err)
{
    int64_t want, hit;

    script_clear(&s->script);
    rows_delete(s, r, 1, &want);
    const enum weir_status st = run_one(s, &hit, err);
    return st == WEIR_OK && want != ANY_ROWS && hit != want
               ? refuse_missing(s, r, err)
               : st;
}

static enum weir_status
insert_one(struct sink *s, const struct row *r, struct weir_err *err)
{
    int64_t want, hit;

    script_clear(&s->script);
    rows_insert(s, r, 1, &want);
    return run_one(s, &hit, err);
}

static enum weir_status
update_one(struct sink *s, const struct row *r, int64_t *hit,
           struct weir_err *err)
{
    int64_t want;

    script_clear(&s->script);
    row_update(s, r, &want);
    return run_one(s, hit, err);
}

/* Where it may or may not be there: under its old key, under its new one, or
 * missing. */
static enum weir_status
put_row(struct sink *s, const struct row *r, struct weir_err *err)
{
    int64_t    hit = 0;
    struct row plain = *r;

    enum weir_status st = update_one(s, r, &hit, err);
    if (st == WEIR_OK && hit == 0 && r->before && row_key_changed(s, r)) {
        struct row again = *r;
        again.before = NULL;
        st = update_one(s, &again, &hit, err);
    }
    if (st != WEIR_OK || hit > 0) {
        return st;
    }
    if (r->before && !row_is_whole(r)) {
        return refuse_missing(s, r, err);
    }
    plain.upsert = false;
    return insert_one(s, &plain, err);
}

static enum weir_status
write_one(struct sink *s, const struct row *r, struct weir_err *err)
{
    int64_t hit = 0;

    if (!r->after) {
        return delete_one(s, r, err);
    }
    if (r->upsert) {
        return put_row(s, r, err);
    }
    if (!r->before) {
        return insert_one(s, r, err);
    }
    const enum weir_status st = update_one(s, r, &hit, err);
    return st == WEIR_OK && hit != 1 ? refuse_missing(s, r, err) : st;
}

/* ---- Each with a way back, where a refused statement may have done something */

static enum weir_status
set_modes(struct sink *s, const char *sql, struct weir_err *err)
{
    const enum weir_status st =
        link_run(s, "sql_mode", literal(sql), NULL, err);
    return st == WEIR_REJECT ? WEIR_RETRY : st;
}

static enum weir_status
back_to(struct sink *s, const char *sql, struct weir_err *err)
{
    struct weir_err        ignored;
    const enum weir_status st = link_run(s, "undo a row", literal(sql), NULL,
                                         &ignored);
    if (st == WEIR_OK) {
        return WEIR_REJECT; /* as it was */
    }
    *err = ignored;
    return WEIR_RETRY;
}

static enum weir_status
write_guarded(struct sink *s, const struct row *r, struct weir_err *err)
{
    const unsigned   odd = row_odd_enums(s, r);
    enum weir_status st =
        link_run(s, "savepoint", literal("SAVEPOINT weir_row"), NULL, err);

    if (st == WEIR_OK && odd > 0) {
        st = set_modes(s, "SET SESSION sql_mode = '" SESSION_MODES "'", err);
        s->warnings = odd;
    }
    if (st == WEIR_OK) {
        st = write_one(s, r, err);
    }
    s->warnings = 0;
    if (st == WEIR_REJECT) {
        st = back_to(s, "ROLLBACK TO SAVEPOINT weir_row", err);
    }
    if (odd > 0 && (st == WEIR_OK || st == WEIR_REJECT)) {
        struct weir_err        why;
        const enum weir_status after =
            set_modes(s, "SET SESSION sql_mode = '" STRICT_MODES "'", &why);
        if (after != WEIR_OK) {
            *err = why;
            return after;
        }
    }
    return st;
}

static bool
is_row(const struct weir_event *ev)
{
    return ev->op <= WEIR_SNAPSHOT;
}

static enum weir_status
write_singly(struct sink *s, struct weir_batch *b, struct weir_err *err)
{
    enum weir_status st = WEIR_OK;

    for (size_t i = 0; st == WEIR_OK && i < b->nevents; i++) {
        if (!is_row(b->events[i])) {
            continue;
        }
        const struct row r = row_of_event(s, b, i);
        st = (r.t->single || r.t->nkey == 0) && row_odd_enums(s, &r) == 0
                 ? write_one(s, &r, err)
                 : write_guarded(s, &r, err);
        if (st == WEIR_REJECT) {
            weir_verdict(b, i, WEIR_REJECT, "%s", err->text);
            st = WEIR_OK;
        }
    }
    return st;
}

/* ---- The batch */

static enum weir_status
undo(struct sink *s, const struct weir_batch *b, bool begun,
     struct weir_err *err)
{
    const enum weir_status st =
        begun ? link_run(s, "undo", literal("ROLLBACK TO SAVEPOINT weir"), NULL,
                         err)
              : link_run(s, "undo", literal("ROLLBACK"), NULL, err);

    if (st != WEIR_OK) {
        /* Whatever it is, the transaction isn't what it was taken for. */
        return st == WEIR_REJECT ? WEIR_RETRY : st;
    }
    s->link.in_txn = begun;
    return begun ? st : checkpoint_begin(s, &b->checkpoint, err);
}

static enum weir_status
refresh_targets(struct sink *s, const struct weir_batch *b,
                struct weir_err *err)
{
    const uint64_t   statements = family_statements(s->family, false);
    enum weir_status st = WEIR_OK;

    if (statements == 0) {
        return WEIR_OK;
    }
    for (size_t i = 0; st == WEIR_OK && i < b->nevents; i++) {
        struct target *t = b->slots[i];
        if (t && t->statements != statements) {
            st = target_refresh(s, t, err);
        }
    }
    return st == WEIR_REJECT ? WEIR_RETRY : st;
}

/* Behind a look that refused what plain statements took, or that waited in vain
 * for a row: it would go on so. */
static void
look_no_more(struct sink *s)
{
    for (struct target *t = s->targets; t; t = t->next) {
        t->ranges = t->ranges && t->id != s->looked;
    }
}

enum weir_status
batch_write(struct sink *s, struct weir_batch *b, struct weir_err *err)
{
    const bool       begun = s->link.in_txn;
    enum weir_status st = refresh_targets(s, b, err);

    if (st != WEIR_OK) {
        return st;
    }
    st = begun ? link_run(s, "savepoint", literal("SAVEPOINT weir"), NULL, err)
              : checkpoint_begin(s, &b->checkpoint, err);

    bool packed = true;
    s->looked = 0;
    if (st == WEIR_OK) {
        script_clear(&s->script);
        st = gather_write(s, b, &packed, err);
    }
    if (st == WEIR_REJECT && packed) {
        packed = false;
        st = undo(s, b, begun, err);
        if (st == WEIR_OK) {
            st = gather_write(s, b, &packed, err);
        }
        if (st == WEIR_OK) {
            look_no_more(s);
        }
    } else if (st == WEIR_RETRY && s->link.mysql) {
        look_no_more(s);
    }
    if (st == WEIR_REJECT) {
        st = undo(s, b, begun, err);
        if (st == WEIR_OK) {
            st = write_singly(s, b, err);
        }
    }
    return st;
}
