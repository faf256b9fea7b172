/*
 * sink_mysql_script.c - many statements in one packet, one packet on its way
 * while the next is written.  Knows how many rows each has to hit, not why.
 */
#include "sink_mysql.h"

#include <stdlib.h>
#include <string.h>

/* Enough to be worth a packet, and little enough that the target gets to work
 * while the rest is written. */
enum { PACKET = 128 << 10 };

void
script_clear(struct script *sc)
{
    sc->text.len = sc->begin = 0;
    sc->text.failed = false;
    sc->waiting.n = sc->flying.n = 0;
}

void
script_free(struct script *sc)
{
    text_free(&sc->text);
    free(sc->waiting.answers);
    free(sc->flying.answers);
    *sc = (struct script){ 0 };
}

size_t
script_limit(const struct sink *s)
{
    const uint64_t half = s->link.max_packet / 2;

    return half < PACKET ? (size_t)half : PACKET;
}

static bool
expect(struct expected *e, struct answer answer)
{
    if (e->n == e->room) {
        const size_t   room = e->room ? e->room * 2 : 256;
        struct answer *more = realloc(e->answers, room * sizeof *more);
        if (!more) {
            return false;
        }
        e->answers = more;
        e->room = room;
    }
    e->answers[e->n++] = answer;
    return true;
}

static enum weir_status
check_hits(struct sink *s, int64_t hits, struct weir_err *err)
{
    const int64_t hit = (int64_t)mysql_affected_rows(s->link.mysql);

    return hits == ANY_ROWS || hits == hit
               ? WEIR_OK
               : weir_fail(err, WEIR_REJECT, "%s: a statement hit %lld rows, "
                           "not %lld", s->where, (long long)hit,
                           (long long)hits);
}

static enum weir_status
check_shown(struct sink *s, const struct answer *a, struct weir_err *err)
{
    struct result r = { .res = mysql_store_result(s->link.mysql) };

    if (!r.res) {
        return link_fail(s, "look at rows", err);
    }
    r.ncells = mysql_num_fields(r.res);
    const enum weir_status st = rows_look(s, &r, a->rows, (size_t)a->hits, err);
    result_free(&r);
    return st;
}

static enum weir_status
check_answer(struct sink *s, const struct answer *a, struct weir_err *err)
{
    const bool shows = mysql_field_count(s->link.mysql) != 0;

    if (shows != (a->rows != NULL)) {
        weir_fail(err, WEIR_RETRY, "%s: the answer to another statement",
                  s->where);
        link_close(s);
        return WEIR_RETRY;
    }
    return shows ? check_shown(s, a, err) : check_hits(s, a->hits, err);
}

/* Was it a look that failed?  Others were added behind it. */
static void
note_failed(struct sink *s, const struct expected *e, size_t i)
{
    if (i < e->n && e->answers[i].rows) {
        s->looked = e->answers[i].rows->t->id;
    }
}

/* All answers are read, whatever the first of them says: the connection goes
 * on to be used. */
static enum weir_status
read_answers(struct sink *s, struct weir_err *err)
{
    struct expected *e = &s->script.flying;
    enum weir_status worst = WEIR_OK;

    if (e->n == 0) {
        return WEIR_OK;
    }
    int    failed = mysql_read_query_result(s->link.mysql);
    size_t i = 0;
    for (; !failed; i++) {
        struct weir_err  why;
        enum weir_status st =
            i < e->n ? check_answer(s, &e->answers[i], &why)
                     : weir_fail(&why, WEIR_FATAL, "%s: more answers than "
                                 "statements", s->where);
        if (st != WEIR_OK && worst == WEIR_OK) {
            worst = st;
            *err = why;
            note_failed(s, e, i);
        }
        if (!s->link.mysql) {
            e->n = 0;
            return worst;
        }
        if (!mysql_more_results(s->link.mysql)) {
            break;
        }
        failed = mysql_next_result(s->link.mysql) > 0;
    }
    if (failed && worst == WEIR_OK) {
        note_failed(s, e, i);
    }
    if (!failed && i + 1 < e->n) {
        worst = weir_fail(err, WEIR_RETRY, "%s: %zu answers to %zu statements",
                          s->where, i + 1, e->n);
        link_close(s);
    }
    e->n = 0;
    return failed ? link_fail(s, "write rows", err) : worst;
}

static enum weir_status
send_waiting(struct sink *s, struct weir_err *err)
{
    struct script  *sc = &s->script;
    struct expected empty = sc->flying;

    if (sc->text.len > s->link.max_packet - 1) {
        return weir_fail(err, WEIR_REJECT,
                         "%s: a statement of %zu bytes is longer than the "
                         "target's max_allowed_packet (%llu): raise it there",
                         s->where, sc->text.len,
                         (unsigned long long)s->link.max_packet);
    }
    if (mysql_send_query(s->link.mysql, sc->text.data, sc->text.len) != 0) {
        return link_fail(s, "send rows", err);
    }
    sc->flying = sc->waiting;
    sc->waiting = empty;
    sc->waiting.n = 0;
    sc->text.len = sc->begin = 0;
    return WEIR_OK;
}

/* What stands before the statement at work goes alone, if both are too much. */
static enum weir_status
send_before(struct sink *s, struct answer answer, struct weir_err *err)
{
    struct script *sc = &s->script;
    const size_t   n = sc->text.len - sc->begin;
    char          *tail = malloc(n + 1);

    if (!tail) {
        return weir_fail(err, WEIR_RETRY, "%s: no memory", s->where);
    }
    memcpy(tail, sc->text.data + sc->begin, n);
    sc->text.len = sc->begin;
    enum weir_status st = read_answers(s, err);
    if (st == WEIR_OK) {
        st = send_waiting(s, err);
    }
    if (st == WEIR_OK) {
        text_add(&sc->text, tail + 1, n - 1); /* without the ';' before it */
        if (sc->text.failed || !expect(&sc->waiting, answer)) {
            st = weir_fail(err, WEIR_RETRY, "%s: no memory", s->where);
        }
        sc->begin = sc->text.len;
    }
    free(tail);
    return st;
}

static enum weir_status
end_statement(struct sink *s, struct answer answer, struct weir_err *err)
{
    struct script *sc = &s->script;

    if (!sc->text.failed && sc->waiting.n > 0 &&
        sc->text.len >= s->link.max_packet - 1) {
        return send_before(s, answer, err);
    }
    if (sc->text.failed || !expect(&sc->waiting, answer)) {
        return weir_fail(err, WEIR_RETRY, "%s: no memory for a batch", s->where);
    }
    sc->begin = sc->text.len;
    if (sc->text.len < script_limit(s)) {
        return WEIR_OK;
    }
    const enum weir_status st = read_answers(s, err);
    return st == WEIR_OK ? send_waiting(s, err) : st;
}

enum weir_status
script_end(struct sink *s, int64_t rows, struct weir_err *err)
{
    return end_statement(s, (struct answer){ .hits = rows }, err);
}

enum weir_status
script_end_look(struct sink *s, const struct row *rows, size_t n,
                struct weir_err *err)
{
    return end_statement(s, (struct answer){ (int64_t)n, rows }, err);
}

enum weir_status
script_flush(struct sink *s, struct weir_err *err)
{
    enum weir_status st = read_answers(s, err);

    if (st == WEIR_OK && s->script.waiting.n > 0) {
        st = send_waiting(s, err);
        if (st == WEIR_OK) {
            st = read_answers(s, err);
        }
    }
    return st;
}

enum weir_status
script_cancel(struct sink *s, enum weir_status why, struct weir_err *err)
{
    struct weir_err other;

    if (why == WEIR_REJECT && s->link.mysql) {
        const enum weir_status st = read_answers(s, &other);
        if (st != WEIR_OK && st != WEIR_REJECT) {
            why = st;
            *err = other;
        }
    }
    script_clear(&s->script);
    return why;
}
