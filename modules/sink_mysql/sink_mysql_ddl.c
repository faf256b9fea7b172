/*
 * sink_mysql_ddl.c - a statement of the source, alone in its batch.  It commits
 * by itself, so the checkpoint can't be in one unit with it: first it is noted
 * which statement comes, and what the tables that it names were like; then it
 * is run, then the checkpoint moves.  A start in between looks at these tables:
 * where they have changed it was done, and two names that changed places don't
 * change back.  Else it is run again, and "is already so" is an answer.
 */
#include "sink_mysql.h"

#include <mysqld_error.h>

static bool
is_so_already(unsigned code)
{
    switch (code) {
    case ER_DB_CREATE_EXISTS:
    case ER_DB_DROP_EXISTS:
    case ER_TABLE_EXISTS_ERROR:
    case ER_BAD_TABLE_ERROR:
    case ER_NO_SUCH_TABLE:
    case ER_BAD_FIELD_ERROR:
    case ER_DUP_FIELDNAME:
    case ER_DUP_KEYNAME:
    case ER_MULTIPLE_PRI_KEY:
    case ER_CANT_DROP_FIELD_OR_KEY:
        return true;
    default:
        return false;
    }
}

/* ---- The session that it was run in */

/* Bits of sql_mode that both flavours have and mean the same by.  What else a
 * source may have set changes no definition, but for ORACLE. */
#define COMMON_MODES 0xeffc00cfULL
enum { MARIADB_ORACLE = 512, NO_FOREIGN_KEYS = 1 << 26 /* of flags2 */ };

static void
add_session(const struct sink *s, struct text *sql, const struct weir_ddl *d)
{
    const uint64_t modes =
        s->link.mariadb ? COMMON_MODES | MARIADB_ORACLE : COMMON_MODES;

    text_put(sql, "SET SESSION sql_mode = ");
    text_u64(sql, d->sql_mode & modes);
    text_put(sql, d->flags2 & NO_FOREIGN_KEYS ? ", foreign_key_checks = 0"
                                              : ", foreign_key_checks = 1");
    if (d->time_zone.len > 0) {
        text_put(sql, ", time_zone = ");
        text_quote(sql, d->time_zone);
    }
}

/* The default collations of its session.  One that this server doesn't know is
 * left at ours: what a statement says itself is refused if it can't be had. */
static enum weir_status
set_collation(struct sink *s, const char *variable, struct weir_str collation,
              struct weir_err *err)
{
    struct text *sql = &s->sql;

    if (collation.len == 0) {
        return WEIR_OK;
    }
    sql->len = 0;
    text_put(sql, "SET SESSION ");
    text_put(sql, variable);
    text_put(sql, " = ");
    text_quote(sql, collation);
    const enum weir_status st =
        link_run(s, variable, (struct weir_str){ sql->data, sql->len }, NULL,
                 err);
    return st == WEIR_REJECT &&
                   mysql_errno(s->link.mysql) == ER_UNKNOWN_COLLATION
               ? WEIR_OK
               : st;
}

static enum weir_status
enter(struct sink *s, const struct weir_ddl *d, struct weir_err *err)
{
    struct text     *sql = &s->sql;
    enum weir_status st;

    sql->len = 0;
    if (d->schema.len > 0) {
        text_put(sql, "USE ");
        text_name(sql, d->schema);
        st = link_run(s, "USE", (struct weir_str){ sql->data, sql->len }, NULL,
                      err);
        /* Of CREATE DATABASE it is the one that comes. */
        if (st != WEIR_OK && !(st == WEIR_REJECT &&
                               mysql_errno(s->link.mysql) == ER_BAD_DB_ERROR)) {
            return st;
        }
    }
    sql->len = 0;
    add_session(s, sql, d);
    st = link_run(s, "the statement's session",
                  (struct weir_str){ sql->data, sql->len }, NULL, err);
    if (st == WEIR_OK) {
        st = set_collation(s, "collation_server", d->server_collation, err);
    }
    return st == WEIR_OK ? set_collation(s, "collation_connection",
                                         d->connection_collation, err)
                         : st;
}

static enum weir_status
refuse(struct sink *s, const struct weir_ddl *d, const char *why,
       struct weir_err *err)
{
    return weir_fail(err, WEIR_REJECT, "%s: %s; the statement is: %.*s",
                     s->where, why, d->text.len < 250 ? (int)d->text.len : 250,
                     d->text.data);
}

/* Names a statement wherever it is read from: a relay may be fetched again.  The
 * upper half of a note. */
static uint64_t
number_of(const struct weir_event *ev)
{
    const struct weir_str parts[] = { ev->txn->gtid, ev->txn->file,
                                      ev->ddl ? ev->ddl->text
                                              : ev->table->name };
    uint64_t h = 0xcbf29ce484222325ULL;

    for (size_t p = ev->txn->gtid.len > 0 ? 0 : 1; p < 3; p++) {
        if (p == 1 && ev->txn->gtid.len > 0) {
            continue;
        }
        for (size_t i = 0; i < parts[p].len; i++) {
            h = (h ^ (unsigned char)parts[p].data[i]) * 0x100000001b3ULL;
        }
    }
    if (ev->txn->gtid.len == 0) {
        h = (h ^ ev->txn->offset) * 0x100000001b3ULL;
    }
    h ^= h << 32;
    return (h | 1ULL << 32) & ~0xffffffffULL;
}

/* ---- What the tables are like that a statement names */

/* Bytes of it in which names are looked for, whole characters of UTF-8. */
enum { MOST_LOOKED_AT = 2000 };

/* Of tables (and schemas) whose names occur in the text: others may change
 * meanwhile. */
static void
add_named(struct text *sql, const struct weir_ddl *d)
{
    struct weir_str text = d->text;

    if (text.len > MOST_LOOKED_AT) {
        text.len = MOST_LOOKED_AT;
        while (text.len > 0 && (text.data[text.len] & 0xc0) == 0x80) {
            text.len--;
        }
    }
    text_put(sql, " WHERE (TABLE_SCHEMA = ");
    text_quote(sql, d->schema);
    text_put(sql, " OR LOCATE(TABLE_SCHEMA, ");
    text_quote(sql, text);
    text_put(sql, ") > 0) AND LOCATE(TABLE_NAME, ");
    text_quote(sql, text);
    text_put(sql, ") > 0");
}

static enum weir_status
look_at_tables(struct sink *s, const struct weir_ddl *d, uint32_t *out,
               struct weir_err *err)
{
    static const char *const views[][2] = {
        { "TABLES", "TABLE_TYPE, ENGINE, TABLE_COLLATION, CREATE_TIME, "
                    "CREATE_OPTIONS, TABLE_COMMENT" },
        { "COLUMNS", "COLUMN_NAME, ORDINAL_POSITION, COLUMN_TYPE, IS_NULLABLE, "
                     "COLUMN_DEFAULT IS NULL, COLUMN_DEFAULT, COLLATION_NAME, "
                     "EXTRA, COLUMN_COMMENT" },
        { "STATISTICS", "INDEX_NAME, SEQ_IN_INDEX, COLUMN_NAME, NON_UNIQUE, "
                        "SUB_PART, INDEX_TYPE" },
        { "TABLE_CONSTRAINTS", "CONSTRAINT_NAME, CONSTRAINT_TYPE" },
        { "PARTITIONS", "PARTITION_NAME, PARTITION_ORDINAL_POSITION, "
                        "PARTITION_DESCRIPTION" },
    };
    struct text  *sql = &s->sql;
    struct result r;

    /* Not by CRC32(): of two names that change places it stays the same. */
    sql->len = 0;
    text_put(sql, "SELECT BIT_XOR(CAST(CONV(LEFT(SHA2(h, 256), 8), 16, 10) AS "
             "UNSIGNED)) FROM (");
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        text_put(sql, i ? " UNION ALL SELECT" : "SELECT");
        text_put(sql, " CONCAT_WS('|', '");
        text_put(sql, views[i][0]);
        text_put(sql, "', TABLE_SCHEMA, TABLE_NAME, ");
        text_put(sql, views[i][1]);
        text_put(sql, ") AS h FROM information_schema.");
        text_put(sql, views[i][0]);
        add_named(sql, d);
    }
    text_put(sql, ") AS all_of_them");
    const enum weir_status st = place_ask(s, &r, err);
    if (st == WEIR_OK) {
        *out = result_next(&r) ? (uint32_t)result_u64(&r, 0) : 0;
        result_free(&r);
    }
    return st == WEIR_REJECT ? WEIR_RETRY : st;
}

/* One statement: none of its bytes makes it two. */
static enum weir_status
run_statement(struct sink *s, const struct weir_ddl *d, struct weir_err *err)
{
    enum weir_status st = enter(s, d, err);

    if (st == WEIR_OK &&
        mysql_set_server_option(s->link.mysql,
                                MYSQL_OPTION_MULTI_STATEMENTS_OFF) != 0) {
        st = link_fail(s, "one statement at a time", err);
    }
    return st == WEIR_OK ? link_run(s, "apply a statement", d->text, NULL, err)
                         : st;
}

/* With its note: "exists already" would else be taken for done, next time. */
static enum weir_status
refuse_noted(struct sink *s, struct weir_batch *b, struct weir_err *err)
{
    const struct weir_ddl *d = b->events[0]->ddl;
    const struct weir_err  why = *err;
    bool                   again;
    uint64_t               none = 0;
    enum weir_status       st = link_open(s, err);

    if (st == WEIR_OK) {
        st = checkpoint_intend(s, &b->checkpoint, &none, &again, err);
    }
    return st == WEIR_OK
               ? weir_fail(err, WEIR_REJECT,
                           "%.250s; the statement is: %.*s", why.text,
                           d->text.len < 250 ? (int)d->text.len : 250,
                           d->text.data)
               : st;
}

static enum weir_status
apply(struct sink *s, struct weir_batch *b, struct weir_err *err)
{
    const struct weir_event *ev = b->events[0];
    bool                     again = false;
    uint32_t                 now = 0;
    enum weir_status         st = link_open_patient(s, err);

    if (st == WEIR_OK) {
        st = look_at_tables(s, ev->ddl, &now, err);
    }
    uint64_t note = number_of(ev) | now;
    if (st == WEIR_OK) {
        st = checkpoint_intend(s, &b->checkpoint, &note, &again, err);
    }
    if (st == WEIR_OK && again && (uint32_t)note != now) {
        weir_log(s->in, WEIR_INFO, "%s: a statement was applied before the "
                 "last stop: %.*s", s->where,
                 ev->ddl->text.len < 200 ? (int)ev->ddl->text.len : 200,
                 ev->ddl->text.data);
        family_statements(s->family, true);
    } else if (st == WEIR_OK) {
        st = run_statement(s, ev->ddl, err);
        family_statements(s->family, true);
    }
    if (st == WEIR_REJECT && again && is_so_already(mysql_errno(s->link.mysql))) {
        weir_log(s->in, WEIR_INFO, "%s: a statement was applied before the "
                 "last stop: %.200s", s->where, err->text);
        st = WEIR_OK;
    }
    /* The session was the statement's: rows need their own. */
    link_close(s);
    if (st == WEIR_REJECT) {
        return refuse_noted(s, b, err);
    }
    return st == WEIR_OK ? link_open(s, err) : st;
}

/* ---- TRUNCATE */

static enum weir_status
run_on_table(struct sink *s, const char *statement, const struct target *t,
             struct weir_err *err)
{
    struct text *sql = &s->sql;

    sql->len = 0;
    text_put(sql, statement);
    text_add(sql, t->name.data, t->name.len);
    return link_run(s, "truncate", (struct weir_str){ sql->data, sql->len },
                    NULL, err);
}

/* Within a transaction: one that has begun, or one that has to bear a mark. */
static enum weir_status
delete_all(struct sink *s, struct weir_batch *b, struct weir_err *err)
{
    enum weir_status st =
        s->link.in_txn ? WEIR_OK : checkpoint_begin(s, &b->checkpoint, err);

    if (st == WEIR_OK) {
        s->uncommitted = true;
        st = run_on_table(s, "DELETE FROM ", b->slots[0], err);
    }
    return st;
}

/* Twice is once, since it stands alone between rows; but it is not for a Weir
 * that the checkpoint was taken from. */
static enum weir_status
truncate_alone(struct sink *s, struct weir_batch *b, struct weir_err *err)
{
    bool             again;
    uint64_t         note = number_of(b->events[0]);
    enum weir_status st = link_open_patient(s, err);
    if (st == WEIR_OK) {
        st = checkpoint_intend(s, &b->checkpoint, &note, &again, err);
    }
    if (st == WEIR_OK) {
        st = run_on_table(s, "TRUNCATE TABLE ", b->slots[0], err);
    }
    const bool refused = st == WEIR_REJECT &&
                         mysql_errno(s->link.mysql) == ER_TRUNCATE_ILLEGAL_FK;
    link_close(s); /* it was patient: not for what follows */
    if (refused) {
        st = link_open(s, err);
    }
    return st == WEIR_OK && refused ? delete_all(s, b, err) : st;
}

static enum weir_status
truncate_table(struct sink *s, struct weir_batch *b, struct weir_err *err)
{
    if (!b->slots[0]) {
        return WEIR_OK;
    }
    return s->link.in_txn || s->conf->two_way ? delete_all(s, b, err)
                                              : truncate_alone(s, b, err);
}

enum weir_status
ddl_write(struct sink *s, struct weir_batch *b, struct weir_err *err)
{
    const struct weir_event *ev = b->events[0];

    if (ev->op == WEIR_TRUNCATE) {
        return truncate_table(s, b, err);
    }
    switch (s->conf->ddl) {
    case DDL_APPLY:
        /* It would commit what can't be committed yet. */
        return s->link.in_txn
                   ? refuse(s, ev->ddl, "it stands within a transaction that "
                            "is larger than a batch: raise events and bytes",
                            err)
                   : apply(s, b, err);
    case DDL_IGNORE:
        return WEIR_OK;
    default:
        return refuse(s, ev->ddl, "ddl = stop, and the source's definition "
                      "changed: do the same here, then resume", err);
    }
}
