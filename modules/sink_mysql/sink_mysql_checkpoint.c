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

/* Rows behind this slot are no checkpoints: two_way's marks, one a lane. */
enum { MARKS = 1000000 };

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
add_where(struct text *sql, struct weir_str id, uint64_t slot)
{
    text_put(sql, " WHERE id = ");
    text_bytes(sql, id);
    text_put(sql, " AND slot = ");
    text_u64(sql, slot);
}

/* ---- The table */

static enum weir_status
is_there(struct sink *s, bool *there, struct weir_err *err)
{
    struct result r;
    struct text  *sql = begin_sql(s, "SELECT COUNT(*) FROM "
                                  "information_schema.TABLES WHERE "
                                  "TABLE_NAME = 'weir_checkpoint' AND "
                                  "TABLE_SCHEMA = ");

    text_quote(sql, (struct weir_str){ s->conf->checkpoint,
                                       strlen(s->conf->checkpoint) });
    const enum weir_status st =
        link_query(s, "the checkpoint's table", sql_text(s), &r, err);
    if (st == WEIR_OK) {
        *there = result_next(&r) && result_u64(&r, 0) > 0;
        result_free(&r);
    }
    return st;
}

static enum weir_status
create(struct sink *s, struct weir_err *err)
{
    struct text *sql = begin_sql(s, "CREATE DATABASE IF NOT EXISTS ");

    text_name(sql, (struct weir_str){ s->conf->checkpoint,
                                      strlen(s->conf->checkpoint) });
    enum weir_status st =
        link_run(s, "create the checkpoint's database", sql_text(s), NULL, err);
    if (st != WEIR_OK) {
        return st;
    }
    sql = begin_sql(s, "CREATE TABLE IF NOT EXISTS ");
    text_add(sql, s->store.data, s->store.len);
    text_put(sql, " (id VARBINARY(255) NOT NULL, slot INT UNSIGNED NOT NULL, "
             "epoch BIGINT UNSIGNED NOT NULL, owner BIGINT UNSIGNED NOT NULL, "
             "intent BIGINT UNSIGNED NOT NULL DEFAULT 0, "
             "writes BIGINT UNSIGNED NOT NULL DEFAULT 0, "
             "data LONGBLOB NOT NULL, PRIMARY KEY (id, slot)) ENGINE = InnoDB "
             "COMMENT = 'where Weir stands: not to be changed by hand'");
    return link_run(s, "create the checkpoint's table", sql_text(s), NULL, err);
}

enum weir_status
checkpoint_prepare(struct sink *s, struct weir_err *err)
{
    bool             there = false;
    enum weir_status st = is_there(s, &there, err);

    if (st == WEIR_OK && !there) {
        st = create(s, err);
    }
    return st;
}

/* ---- Reading */

static enum weir_status
fail_fenced(const struct sink *s, uint64_t epoch,
            const struct weir_checkpoint *cp, struct weir_err *err)
{
    return weir_fail(err, WEIR_FENCED,
                     "%s: checkpoint %.*s has a newer owner: its epoch is "
                     "%llu, ours is %llu", s->where, STR_ARG(cp->id),
                     (unsigned long long)epoch, (unsigned long long)cp->epoch);
}

/* Who owns it now; makes the row where there is none. */
static enum weir_status
read_owner(struct sink *s, const struct weir_checkpoint *cp,
           struct weir_err *err)
{
    struct result r;
    struct text  *sql = begin_sql(s, "INSERT IGNORE INTO ");

    text_add(sql, s->store.data, s->store.len);
    text_put(sql, " (id, slot, epoch, owner, data) VALUES (");
    text_bytes(sql, cp->id);
    text_put(sql, ", ");
    text_u64(sql, cp->slot);
    text_put(sql, ", 0, 1, '')");
    enum weir_status st =
        link_run(s, "make the checkpoint's row", sql_text(s), NULL, err);
    if (st != WEIR_OK) {
        return st;
    }
    sql = begin_sql(s, "SELECT owner, epoch FROM ");
    text_add(sql, s->store.data, s->store.len);
    add_where(sql, cp->id, cp->slot);
    st = link_query(s, "read the checkpoint", sql_text(s), &r, err);
    if (st != WEIR_OK) {
        return st;
    }
    s->owner = result_next(&r) ? result_u64(&r, 0) : 0;
    const uint64_t epoch = result_u64(&r, 1);
    result_free(&r);
    if (s->owner == 0) {
        return weir_fail(err, WEIR_RETRY, "%s: the checkpoint's row is gone",
                         s->where);
    }
    return epoch > cp->epoch ? fail_fenced(s, epoch, cp, err) : WEIR_OK;
}

/* A COMMIT that was sent and not answered may still be done, behind our back,
 * by a connection that the server has not given up yet.  A new owner makes it
 * fail, or waits until it is through. */
static enum weir_status
take_over(struct sink *s, struct weir_str id, struct weir_err *err)
{
    uint64_t     owner;
    struct text *sql = begin_sql(s, "UPDATE ");

    if (getrandom(&owner, sizeof owner, 0) != sizeof owner) {
        return weir_fail(err, WEIR_RETRY, "no random number");
    }
    text_add(sql, s->store.data, s->store.len);
    text_put(sql, " SET owner = ");
    text_u64(sql, owner >> 1 | 2);
    text_put(sql, " WHERE id = ");
    text_bytes(sql, id);
    text_put(sql, " AND slot < ");
    text_u64(sql, MARKS);
    return link_run(s, "take the checkpoint over", sql_text(s), NULL, err);
}

enum weir_status
checkpoint_restore(struct sink *s, struct weir_str id, struct weir_err *err)
{
    struct result    r;
    enum weir_status st = s->settled ? WEIR_OK : take_over(s, id, err);

    if (st != WEIR_OK) {
        return st;
    }
    s->settled = true;
    s->owner = 0;
    struct text *sql = begin_sql(s, "SELECT slot, epoch, data FROM ");
    text_add(sql, s->store.data, s->store.len);
    text_put(sql, " WHERE data <> '' AND id = ");
    text_bytes(sql, id);
    text_put(sql, " AND slot < ");
    text_u64(sql, MARKS);
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
    return st;
}

enum weir_status
checkpoint_forget(struct sink *s, struct weir_str id, struct weir_err *err)
{
    struct text *sql = begin_sql(s, "DELETE FROM ");

    text_add(sql, s->store.data, s->store.len);
    text_put(sql, " WHERE id = ");
    text_bytes(sql, id);
    return link_run(s, "remove the checkpoint", sql_text(s), NULL, err);
}

/* ---- Transactions */

static void
add_mark(struct sink *s, const struct weir_checkpoint *cp)
{
    struct text *sql = &s->sql;

    text_put(sql, "; INSERT INTO ");
    text_add(sql, s->store.data, s->store.len);
    text_put(sql, " (id, slot, epoch, owner, data) VALUES (");
    text_bytes(sql, cp->id);
    text_put(sql, ", ");
    text_u64(sql, MARKS + weir_lane(s->in));
    text_put(sql, ", 0, 0, '') ON DUPLICATE KEY UPDATE writes = writes + 1");
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
    return st;
}

enum weir_status
checkpoint_begin(struct sink *s, const struct weir_checkpoint *cp,
                 struct weir_err *err)
{
    enum weir_status st =
        s->owner == 0 ? read_owner(s, cp, err) : WEIR_OK;

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
    const unsigned code = s->link.mysql ? mysql_errno(s->link.mysql) : 0;

    if (code == ER_BAD_NULL_ERROR) {
        link_close(s);
        enum weir_status st = link_open(s, err);
        if (st == WEIR_OK) {
            st = read_owner(s, cp, err);
        }
        return st == WEIR_OK
                   ? weir_fail(err, WEIR_RETRY, "%s: somebody else took "
                               "checkpoint %.*s over", s->where,
                               STR_ARG(cp->id))
                   : st;
    }
    const enum weir_status st = link_fail(s, "commit", err);
    link_close(s);
    /* A deferred refusal isn't of any row that could be named. */
    return st == WEIR_REJECT ? WEIR_RETRY : st;
}

enum weir_status
checkpoint_commit(struct sink *s, const struct weir_checkpoint *cp,
                  struct weir_err *err)
{
    enum weir_status st =
        s->owner == 0 ? read_owner(s, cp, err) : WEIR_OK;

    if (st != WEIR_OK) {
        return st;
    }
    begin_sql(s, "");
    add_checkpoint(s, cp);
    text_put(&s->sql, "; COMMIT");
    s->settled = false;
    if (mysql_real_query(s->link.mysql, s->sql.data, s->sql.len) != 0) {
        return fail_commit(s, cp, err);
    }
    while (mysql_more_results(s->link.mysql)) {
        if (mysql_next_result(s->link.mysql) > 0) {
            return fail_commit(s, cp, err);
        }
    }
    s->settled = true;
    s->link.in_txn = false;
    return WEIR_OK;
}

enum weir_status
checkpoint_intend(struct sink *s, const struct weir_checkpoint *cp,
                  uint64_t seq, bool *again, struct weir_err *err)
{
    struct result    r;
    enum weir_status st =
        s->owner == 0 ? read_owner(s, cp, err) : WEIR_OK;

    if (st != WEIR_OK) {
        return st;
    }
    struct text *sql = begin_sql(s, "SELECT intent FROM ");
    text_add(sql, s->store.data, s->store.len);
    add_where(sql, cp->id, cp->slot);
    st = link_query(s, "read the checkpoint", sql_text(s), &r, err);
    if (st != WEIR_OK) {
        return st;
    }
    *again = result_next(&r) && result_u64(&r, 0) == seq;
    result_free(&r);
    sql = begin_sql(s, "UPDATE ");
    text_add(sql, s->store.data, s->store.len);
    text_put(sql, " SET intent = ");
    text_u64(sql, seq);
    add_where(sql, cp->id, cp->slot);
    text_put(sql, " AND owner = ");
    text_u64(sql, s->owner);
    uint64_t rows = 0;
    st = link_run(s, "note a statement", sql_text(s), &rows, err);
    if (st == WEIR_OK && rows == 0) {
        s->owner = 0;
        return weir_fail(err, WEIR_RETRY, "%s: somebody else took checkpoint "
                         "%.*s over", s->where, STR_ARG(cp->id));
    }
    return st;
}
