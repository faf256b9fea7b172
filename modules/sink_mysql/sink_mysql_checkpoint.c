/*
 * sink_mysql_checkpoint.c - the checkpoint's table on the target, and the
 * transactions that carry it.  A row of it is written last in each transaction
 * that moves data, by a statement that fails where somebody else has taken the
 * checkpoint over since it was read.
 */
#include "sink_mysql.h"

#include <mysqld_error.h>
#include <string.h>
#include <sys/random.h>

static struct text *
begin_sql(struct sink *s, const char *text)
{
    s->sql.len = 0;
    text_put(&s->sql, text);
    return &s->sql;
}

static struct weir_str
sql_text(const struct sink *s)
{
    return (struct weir_str){ s->sql.data, s->sql.len };
}

static void
add_where(struct text *sql, struct weir_str id, uint32_t slot)
{
    text_put(sql, " WHERE id = ");
    text_bytes(sql, id);
    if (slot != WEIR_ALL_SLOTS) {
        text_put(sql, " AND slot = ");
        text_u64(sql, slot);
    }
}

/* Nothing that these tables answer is about a row of the source. */
static enum weir_status
not_a_row(enum weir_status st)
{
    return st == WEIR_REJECT ? WEIR_RETRY : st;
}

/* ---- The tables */

static enum weir_status
is_there(struct sink *s, bool *there, struct weir_err *err)
{
    struct result r;
    struct text  *sql = begin_sql(s, "SELECT COUNT(*) FROM "
                                  "information_schema.TABLES WHERE "
                                  "TABLE_NAME IN ('weir_checkpoint', "
                                  "'weir_mark') AND TABLE_SCHEMA = ");

    text_quote(sql, (struct weir_str){ s->conf->checkpoint,
                                       strlen(s->conf->checkpoint) });
    const enum weir_status st =
        link_query(s, "the checkpoint's table", sql_text(s), &r, err);
    if (st == WEIR_OK) {
        *there = result_next(&r) &&
                 result_u64(&r, 0) > (s->conf->two_way ? 1 : 0);
        result_free(&r);
    }
    return st;
}

static enum weir_status
create_database(struct sink *s, struct weir_err *err)
{
    struct text *sql = begin_sql(s, "CREATE DATABASE IF NOT EXISTS ");

    text_name(sql, (struct weir_str){ s->conf->checkpoint,
                                      strlen(s->conf->checkpoint) });
    return link_run(s, "create the checkpoint's database", sql_text(s), NULL,
                    err);
}

static enum weir_status
create_table(struct sink *s, const struct text *name, const char *definition,
             struct weir_err *err)
{
    struct text *sql = begin_sql(s, "CREATE TABLE IF NOT EXISTS ");

    text_add(sql, name->data, name->len);
    text_put(sql, definition);
    return link_run(s, "create the checkpoint's table", sql_text(s), NULL, err);
}

enum weir_status
checkpoint_prepare(struct sink *s, struct weir_err *err)
{
    bool             there = false;
    enum weir_status st = is_there(s, &there, err);

    if (st != WEIR_OK || there) {
        return st;
    }
    st = create_database(s, err);
    if (st == WEIR_OK) {
        st = create_table(
            s, &s->store, " (id VARBINARY(255) NOT NULL, "
            "slot INT UNSIGNED NOT NULL, epoch BIGINT UNSIGNED NOT NULL, "
            "owner BIGINT UNSIGNED NOT NULL, "
            "intent BIGINT UNSIGNED NOT NULL DEFAULT 0, "
            "data LONGBLOB NOT NULL, PRIMARY KEY (id, slot)) ENGINE = InnoDB "
            "COMMENT = 'where Weir stands: not to be changed by hand'", err);
    }
    if (st == WEIR_OK && s->conf->two_way) {
        st = create_table(
            s, &s->mark, " (id VARBINARY(255) NOT NULL, "
            "lane INT UNSIGNED NOT NULL, "
            "writes BIGINT UNSIGNED NOT NULL DEFAULT 0, "
            "PRIMARY KEY (id, lane)) ENGINE = InnoDB "
            "COMMENT = 'transactions that begin here are Weir''s own'", err);
    }
    return st;
}

/* ---- Owning it */

/* A COMMIT that was sent and not answered may still be done, behind our back,
 * by a connection that the server has not given up yet.  A new owner makes it
 * fail, or waits until it is through; so it makes the row where there is none. */
static enum weir_status
take_over(struct sink *s, struct weir_str id, struct weir_err *err)
{
    uint64_t     owner;
    struct text *sql = begin_sql(s, "INSERT INTO ");

    if (getrandom(&owner, sizeof owner, 0) != sizeof owner) {
        return weir_fail(err, WEIR_RETRY, "getrandom: no random number");
    }
    owner = owner >> 1 | 2;
    text_add(sql, s->store.data, s->store.len);
    text_put(sql, " (id, slot, epoch, owner, data) VALUES (");
    text_bytes(sql, id);
    text_put(sql, ", 0, 0, ");
    text_u64(sql, owner);
    text_put(sql, ", '') ON DUPLICATE KEY UPDATE owner = ");
    text_u64(sql, owner);
    const enum weir_status st =
        link_run(s, "take the checkpoint over", sql_text(s), NULL, err);
    if (st == WEIR_OK) {
        family_own(s->family, owner);
    }
    return not_a_row(st);
}

/* What a transaction that begins now is committed as. */
static enum weir_status
claim(struct sink *s, struct weir_str id, struct weir_err *err)
{
    enum weir_status st = WEIR_OK;

    if (family_owner(s->family) == 0) {
        st = take_over(s, id, err);
    }
    s->owner = family_owner(s->family);
    return st;
}

enum weir_status
checkpoint_restore(struct sink *s, struct weir_str id, struct weir_err *err)
{
    struct result    r;
    enum weir_status st = claim(s, id, err);

    if (st != WEIR_OK) {
        return st;
    }
    struct text *sql = begin_sql(s, "SELECT slot, epoch, data FROM ");
    text_add(sql, s->store.data, s->store.len);
    add_where(sql, id, WEIR_ALL_SLOTS);
    text_put(sql, " AND data <> ''");
    st = link_query(s, "read the checkpoint", sql_text(s), &r, err);
    while (st == WEIR_OK && result_next(&r)) {
        const struct weir_checkpoint cp = {
            .id = id,
            .slot = (uint32_t)result_u64(&r, 0),
            .epoch = result_u64(&r, 1),
            .data = result_str(&r, 2),
        };
        weir_found(s->in, &cp);
    }
    result_free(&r);
    return not_a_row(st);
}

enum weir_status
checkpoint_forget(struct sink *s, struct weir_str id, uint32_t slot,
                  struct weir_err *err)
{
    struct text *sql = begin_sql(s, "DELETE FROM ");

    text_add(sql, s->store.data, s->store.len);
    add_where(sql, id, slot);
    return not_a_row(
        link_run(s, "remove the checkpoint", sql_text(s), NULL, err));
}

/* Somebody else owns it: FENCED if that one is newer. */
static enum weir_status
fail_owner(struct sink *s, const struct weir_checkpoint *cp,
           struct weir_err *err)
{
    struct result r;
    uint64_t      epoch = 0;

    family_doubt(s->family, s->owner);
    struct text *sql = begin_sql(s, "SELECT epoch FROM ");
    text_add(sql, s->store.data, s->store.len);
    add_where(sql, cp->id, cp->slot);
    const enum weir_status st =
        link_query(s, "read the checkpoint", sql_text(s), &r, err);
    if (st != WEIR_OK) {
        return not_a_row(st);
    }
    if (result_next(&r)) {
        epoch = result_u64(&r, 0);
    }
    result_free(&r);
    return epoch > cp->epoch
               ? weir_fail(err, WEIR_FENCED,
                           "%s: checkpoint %.*s has a newer owner: its epoch "
                           "is %llu, ours is %llu", s->where, STR_ARG(cp->id),
                           (unsigned long long)epoch,
                           (unsigned long long)cp->epoch)
               : weir_fail(err, WEIR_RETRY,
                           "%s: somebody else took checkpoint %.*s over, or "
                           "wrote it by hand", s->where, STR_ARG(cp->id));
}

/* ---- Transactions */

static void
add_mark(struct sink *s, const struct weir_checkpoint *cp)
{
    struct text *sql = &s->sql;

    text_put(sql, "; INSERT INTO ");
    text_add(sql, s->mark.data, s->mark.len);
    text_put(sql, " (id, lane) VALUES (");
    text_bytes(sql, cp->id);
    text_put(sql, ", ");
    text_u64(sql, weir_lane(s->in));
    text_put(sql, ") ON DUPLICATE KEY UPDATE writes = writes + 1");
}

/* Runs what is in s->sql, some statements, to its end. */
static enum weir_status
run_all(struct sink *s, const char *what, struct weir_err *err)
{
    enum weir_status st = link_run(s, what, sql_text(s), NULL, err);

    while (st == WEIR_OK && mysql_more_results(s->link.mysql)) {
        if (mysql_next_result(s->link.mysql) > 0) {
            st = link_fail(s, what, err);
        }
    }
    return not_a_row(st);
}

enum weir_status
checkpoint_begin(struct sink *s, const struct weir_checkpoint *cp,
                 struct weir_err *err)
{
    enum weir_status st = claim(s, cp->id, err);

    if (st != WEIR_OK) {
        return st;
    }
    begin_sql(s, "BEGIN");
    if (s->conf->two_way) {
        add_mark(s, cp);
    }
    st = run_all(s, "begin a transaction", err);
    s->link.in_txn = st == WEIR_OK;
    return st;
}

/* NULL is no value of `data`, so the statement fails, and with it all behind
 * it, unless the owner and the epoch are what they were. */
static void
add_checkpoint(struct sink *s, const struct weir_checkpoint *cp)
{
    struct text *sql = &s->sql;

    text_put(sql, "INSERT INTO ");
    text_add(sql, s->store.data, s->store.len);
    text_put(sql, " (id, slot, epoch, owner, data) VALUES (");
    text_bytes(sql, cp->id);
    text_put(sql, ", ");
    text_u64(sql, cp->slot);
    text_put(sql, ", ");
    text_u64(sql, cp->epoch);
    text_put(sql, ", ");
    text_u64(sql, s->owner);
    text_put(sql, ", ");
    text_bytes(sql, cp->data);
    text_put(sql, ") ON DUPLICATE KEY UPDATE data = IF(owner = ");
    text_u64(sql, s->owner);
    text_put(sql, " AND epoch <= ");
    text_u64(sql, cp->epoch);
    text_put(sql, ", VALUES(data), NULL), epoch = VALUES(epoch), intent = 0");
}

static enum weir_status
fail_commit(struct sink *s, const struct weir_checkpoint *cp,
            struct weir_err *err)
{
    const unsigned code = mysql_errno(s->link.mysql);

    if (code == ER_BAD_NULL_ERROR) {
        link_close(s); /* takes back what it held, too */
        enum weir_status st = link_open(s, err);
        return st == WEIR_OK ? fail_owner(s, cp, err) : st;
    }
    /* A deferred refusal isn't of any row that could be named. */
    return not_a_row(link_fail(s, "commit", err));
}

enum weir_status
checkpoint_commit(struct sink *s, const struct weir_checkpoint *cp,
                  struct weir_err *err)
{
    enum weir_status st = s->link.in_txn ? WEIR_OK : claim(s, cp->id, err);

    if (st != WEIR_OK) {
        return st;
    }
    begin_sql(s, "");
    add_checkpoint(s, cp);
    text_put(&s->sql, "; COMMIT");
    if (s->sql.failed) {
        return weir_fail(err, WEIR_RETRY, "%s: no memory for the checkpoint",
                         s->where);
    }
    bool failed =
        mysql_real_query(s->link.mysql, s->sql.data, s->sql.len) != 0;
    while (!failed && mysql_more_results(s->link.mysql)) {
        failed = mysql_next_result(s->link.mysql) > 0;
    }
    if (failed) {
        family_doubt(s->family, s->owner);
        return fail_commit(s, cp, err);
    }
    s->link.in_txn = false;
    return WEIR_OK;
}

enum weir_status
checkpoint_intend(struct sink *s, const struct weir_checkpoint *cp,
                  uint64_t *note, bool *again, struct weir_err *err)
{
    struct result    r;
    uint64_t         rows = 0;
    enum weir_status st = claim(s, cp->id, err);

    if (st != WEIR_OK) {
        return st;
    }
    struct text *sql = begin_sql(s, "SELECT intent FROM ");
    text_add(sql, s->store.data, s->store.len);
    add_where(sql, cp->id, cp->slot);
    st = link_query(s, "read the checkpoint", sql_text(s), &r, err);
    if (st != WEIR_OK) {
        return not_a_row(st);
    }
    const uint64_t before = result_next(&r) ? result_u64(&r, 0) : 0;
    result_free(&r);
    *again = before != 0 && before >> 32 == *note >> 32;
    *note = *again ? before : *note;
    sql = begin_sql(s, "UPDATE ");
    text_add(sql, s->store.data, s->store.len);
    text_put(sql, " SET intent = ");
    text_u64(sql, *note);
    add_where(sql, cp->id, cp->slot);
    text_put(sql, " AND owner = ");
    text_u64(sql, s->owner);
    text_put(sql, " AND epoch <= ");
    text_u64(sql, cp->epoch);
    st = link_run(s, "note a statement", sql_text(s), &rows, err);
    if (st == WEIR_OK && rows == 0) {
        return fail_owner(s, cp, err);
    }
    return not_a_row(st);
}
