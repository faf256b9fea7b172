/*
 * sink_mysql.h - what the files of this module share: an instance, its
 * connection, a target table, and SQL text.  The target's answers are hostile:
 * cells may be NULL or missing.
 */
#ifndef SINK_MYSQL_H
#define SINK_MYSQL_H

#include <string.h>

#include "../mysql_client/client.h"

#define STR_ARG(s) (int)(s).len, (s).data /* for "%.*s" */

#define SESSION_MODES \
    "NO_BACKSLASH_ESCAPES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES," \
    "NO_ENGINE_SUBSTITUTION"
#define STRICT_MODES SESSION_MODES ",STRICT_ALL_TABLES"

enum { TXN_KEEP, TXN_MERGE };
enum { CONFLICT_STRICT, CONFLICT_IDEMPOTENT };
enum { COLUMNS_ALL, COLUMNS_MATCHING };
enum { DDL_STOP, DDL_APPLY, DDL_IGNORE };

struct mysql_conf {
    const char *host, *socket, *user, *password, *password_file;
    const char *tls_ca, *tls_cert, *tls_key, *checkpoint;
    int64_t     port, tls, transactions, conflict, columns, ddl;
    int64_t     connect_timeout, timeout;
    bool        split, log_bin, foreign_keys, two_way;
    const struct weir_template *database, *table;
};

static inline bool
same_bytes(struct weir_str a, struct weir_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* ---- sink_mysql_text.c: SQL being written.  One that finds no memory says so
 * when it is sent, not at each byte. */
struct text {
    char  *data;
    size_t len, room;
    bool   failed;
};
void text_free(struct text *t);
void text_add(struct text *t, const char *data, size_t len);
void text_put(struct text *t, const char *literal);
void text_u64(struct text *t, uint64_t n);
/* `name`, with its backticks doubled: the only way a name gets into SQL. */
void text_name(struct text *t, struct weir_str name);
/* 'text' as it is under NO_BACKSLASH_ESCAPES; bytes with _binary before it. */
void text_quote(struct text *t, struct weir_str s);
void text_bytes(struct text *t, struct weir_str s);
/* A value as a literal, text in UTF-8; `exact`: as it compares with what is
 * stored, which matters for FLOAT. */
void text_plain(struct text *t, struct weir_instance *in,
                const struct weir_column *c, const struct weir_value *v,
                bool exact);
struct target;
/* The same, for that column of the target: text in its charset, if that is one of
 * target.charsets. */
void text_value(struct text *t, struct weir_instance *in,
                const struct target *target, size_t column,
                const struct weir_value *v, bool exact);
/* The text's bytes in that charset; no data: it goes in UTF-8. */
struct weir_str text_coded(struct weir_instance *in,
                           const struct target *target, size_t column,
                           const struct weir_value *v);
bool has_empty_member(const struct weir_column *c);
/* Is it what an ENUM holds in place of a value that it did not take?  That reads
 * as '', which may be a member, too. */
bool text_no_member(struct weir_instance *in, const struct target *target,
                    size_t column, const struct weir_value *v);

/* ---- sink_mysql_target.c: a table of the source and the one it goes to */
enum shape { /* of a column there; each of them can what those before it can */
    SHAPE_ODD,     /* takes a value only as a literal */
    SHAPE_LISTED,  /* compares with a value in a list of values */
    SHAPE_CODED,   /* as SHAPE_TEXT, but the digits of a number are no text of
                      what that number is to it */
    SHAPE_TEXT,    /* takes and shows values as text */
    SHAPE_INTEGER,
};
struct target {
    const struct weir_table *table;
    struct weir_str          name;     /* `database`.`table`, quoted */
    struct weir_str         *columns;  /* of each column, quoted; no data: it
                                          isn't written */
    struct weir_str         *charsets; /* of each, if it is the source's, too,
                                          and has several codes for a
                                          character; else no data */
    bool                    *enums; /* are both ENUMs? */
    enum shape              *shapes;
    bool                    *compared; /* strict: its value before is, too */
    bool                    *renewed; /* an UPDATE that doesn't say its value
                                         gives it one there */
    uint32_t                *key, nkey; /* how a row is found; 0: by all */
    bool upsert; /* its key is its only one: ON DUPLICATE KEY hits that row */
    enum shape least; /* of the columns that are compared */
    bool spread; /* a range of its key locks rows of others before it: its index
                    runs down, or its rows are in partitions */
    bool ranges; /* its rows may be written by ranges of their key */
    struct weir_str index; /* its only unique key's name, quoted, if `upsert` */
    bool single; /* one of its unique keys is how rows are found */
    bool alone;  /* and nothing ties it to other rows: their order is free */
    uint32_t id; /* of this instance's targets, from 1: goes by the name, since
                    several tables of the source may go to one */
    uint64_t        statements; /* that had been applied when it was read */
    struct target  *next;
};

struct sink;
/* Looks the target up.  REJECT: it is missing, or lacks a column. */
enum weir_status target_new(struct sink *s, const struct weir_table *table,
                            struct target **out, struct weir_err *err);
void             target_free(struct sink *s, struct target *t);
/* Reads its keys again: a statement may have changed them. */
enum weir_status target_refresh(struct sink *s, struct target *t,
                                struct weir_err *err);

struct place { /* the target's name, unquoted */
    char            database_text[600], table_text[600];
    struct weir_str database, table;
};
/* Into s->sql: "PREFIXcolumn = name", and "..." for both names of a table. */
void place_name(const struct sink *s, struct text *sql, const char *prefix,
                const char *column, struct weir_str name);
void place_where(struct sink *s, const char *prefix, const struct place *p);
/* Asks information_schema what is in s->sql. */
enum weir_status place_ask(struct sink *s, struct result *r,
                           struct weir_err *err);
bool name_same(struct weir_str a, struct weir_str b);
/* Quoted, of its own memory; false: there is none. */
bool name_keep(struct weir_str name, struct weir_str *out);
/* The column of that name, or WEIR_NONE. */
size_t name_column(const struct weir_table *table, struct weir_str name);

/* ---- sink_mysql_keys.c: sets single, upsert, alone, ranges, index.  `told`:
 * weir_conflict() was called before; it may be in table() only. */
enum weir_status keys_read(struct sink *s, struct target *t,
                           const struct place *p, bool told,
                           struct weir_err *err);

/* ---- sink_mysql_link.c: the connection */
struct link {
    MYSQL   *mysql; /* NULL: not connected */
    bool     mariadb, in_txn;
    bool     exact_names; /* "T" and "t" are two tables */
    bool     has_bulk;    /* many rows' values bound to one INSERT */
    bool     has_values;  /* lists of rows that can be joined */
    bool     null_is_now; /* for a TIMESTAMP NOT NULL */
    uint64_t max_packet;
    int64_t  used;     /* seconds, steady */
    int64_t  idle_sec; /* the server closes it then */
};

/* Connected; anew, without a word, if it had nothing to do for long. */
enum weir_status link_open(struct sink *s, struct weir_err *err);
/* A connection of its own for a statement that may take a day; to be closed
 * behind it. */
enum weir_status link_open_patient(struct sink *s, struct weir_err *err);
void             link_close(struct sink *s);
/* What the library's last error means; `what` was tried.  Closes a connection
 * that is of no use any more. */
enum weir_status link_fail(struct sink *s, const char *what,
                           struct weir_err *err);
/* One statement without a result; its rows, where `rows` is given. */
enum weir_status link_run(struct sink *s, const char *what, struct weir_str sql,
                          uint64_t *rows, struct weir_err *err);
enum weir_status link_query(struct sink *s, const char *what,
                            struct weir_str sql, struct result *out,
                            struct weir_err *err);

struct row;

/* ---- sink_mysql_script.c: many statements, sent together while more are
 * written; how many rows each has to hit is checked. */
enum { ANY_ROWS = -1 };
struct answer {
    int64_t           hits; /* rows that the statement has to hit */
    const struct row *rows; /* or that it has to show as they were before */
};
struct expected {
    struct answer *answers; /* of each statement */
    size_t         n, room;
};
struct script {
    struct text     text; /* what was not sent yet */
    size_t          begin; /* of the statement at work */
    struct expected waiting, flying; /* not sent; sent and not answered */
};
void script_clear(struct script *sc);
void script_free(struct script *sc);
/* Bytes after which a statement should end. */
size_t script_limit(const struct sink *s);
/* Ends the statement that was written into script.text, and sends what has
 * become much.  REJECT: the target refused a statement, or one hit another
 * number of rows; which one is not said. */
enum weir_status script_end(struct sink *s, int64_t rows, struct weir_err *err);
/* The same for a SELECT that has to show these rows (rows_look()). */
enum weir_status script_end_look(struct sink *s, const struct row *rows,
                                 size_t n, struct weir_err *err);
/* Until all is answered. */
enum weir_status script_flush(struct sink *s, struct weir_err *err);
/* Sends no more, since `why`; gives that, or what is worse. */
enum weir_status script_cancel(struct sink *s, enum weir_status why,
                               struct weir_err *err);

/* ---- sink_mysql_rows.c: statements that write rows */
struct row { /* what becomes of one row */
    const struct target     *t;
    const struct weir_value *before, *after; /* NULL: wasn't, or isn't, there */
    bool                     upsert; /* may be there already, or be missing */
    bool                     anew; /* inserted: what `after` leaves out is the
                                      target's default, not what was before */
};
/* Where the next statement goes. */
struct text *rows_sql(struct sink *s);
/* Adds one statement for as many of the rows as fit: all are inserted, or all
 * are deleted.  Gives their number. */
size_t rows_insert(struct sink *s, const struct row *rows, size_t n,
                   int64_t *hits);
size_t rows_delete(struct sink *s, const struct row *rows, size_t n,
                   int64_t *hits);
/* One INSERT with as many of the rows as fit, which are alike, at once behind
 * all that was to be sent.  *written: their number; 0, if it is not worth it or
 * the target doesn't take it.  REJECT: one of them was refused. */
enum weir_status rows_bulk(struct sink *s, const struct row *rows, size_t n,
                           size_t *written, struct weir_err *err);
/* Its statement, with `?` for each value; `coded`: those of that column are bytes
 * in its charset. */
void rows_bulk_sql(struct text *sql, const struct row *r, const bool *coded);
/* Is that column in an INSERT of the row? */
bool row_has(const struct row *r, size_t i);
/* May go into one INSERT. */
bool rows_alike(const struct row *a, const struct row *b);
/* Is the whole row known, so that it may be inserted? */
bool row_is_whole(const struct row *r);
bool row_key_changed(const struct sink *s, const struct row *r);
/* Is it found by its key whatever else it holds? */
bool row_by_key_only(const struct sink *s, const struct row *r);
/* Has an UPDATE to write that column? */
bool row_sets(const struct sink *s, const struct row *r, size_t i);
/* How many of its values only a session that isn't strict can write. */
unsigned row_odd_enums(const struct sink *s, const struct row *r);
void row_update(struct sink *s, const struct row *r, int64_t *hits);
/* Behind an UPDATE of the row that may not have hit. */
void row_insert_missing(struct sink *s, const struct row *r, int64_t *hits);
/* "id=7, name='x'", for a message. */
void row_show(struct sink *s, const struct target *t,
              const struct weir_value *image, struct text *out);

/* ---- sink_mysql_alike.c: which rows go into one UPDATE or DELETE */
/* Has that column to be as it was before? */
bool row_compares(const struct sink *s, const struct row *r, size_t i);
/* May the row go together with the first one, and at all? */
bool row_goes_with(const struct sink *s, const struct row *first,
                   const struct row *r);
/* How many of them go together and have room in a statement; sets in `changes`
 * which columns any of them changes. */
size_t rows_count(struct sink *s, const struct row *rows, size_t n,
                  bool *changes);
/* One for each column, false; the batch's. */
bool *row_flags(struct sink *s, const struct target *t);

/* ---- sink_mysql_range.c: rows that are looked at, then written by ranges of
 * their key */
/* The number that its rows go by in order; 0 where they don't. */
int64_t row_number(const struct row *r);
/* Adds statements for as many of the rows as go this way, which are in the order
 * of their numbers; all are changed, or all are deleted.  They have to stay where
 * they are until all is answered.  *written: their number; 0: it is not worth it,
 * or not sure. */
enum weir_status rows_range(struct sink *s, const struct row *rows, size_t n,
                            size_t *written, struct weir_err *err);
/* Are they as they were before?  REJECT: not so, or not surely so. */
enum weir_status rows_look(struct sink *s, struct result *r,
                           const struct row *rows, size_t n,
                           struct weir_err *err);

/* ---- sink_mysql_join.c: adds one statement for as many of the rows as may go
 * in it; all are changed, or all are deleted, none is there twice, and no key
 * changes.  Gives their number: 0, if it is not worth it or not sure. */
size_t rows_join(struct sink *s, const struct row *rows, size_t n,
                 int64_t *hits);

/* ---- sink_mysql_batch.c: rows one by one, which says what is wrong with each;
 * sink_mysql_gather.c: gathered, which is faster and only says that it failed */
struct gather;
struct gather *gather_new(void); /* NULL: no memory */
void           gather_free(struct gather *g);
/* *packed: may rows be joined and bound?  And, behind it, were some?  REJECT:
 * something was refused; if some were, perhaps for that only. */
enum weir_status gather_write(struct sink *s, struct weir_batch *b,
                              bool *packed, struct weir_err *err);
struct row row_of_event(const struct sink *s, const struct weir_batch *b,
                        size_t i);
/* OK, with verdicts for what was refused; RETRY and the like: nothing of it
 * stays. */
enum weir_status batch_write(struct sink *s, struct weir_batch *b,
                             struct weir_err *err);

/* ---- sink_mysql_family.c: the lanes of one sink, by its name */
struct family;
struct family *family_join(const char *name); /* NULL: no memory */
void           family_leave(struct family *f);
/* Who may move the checkpoint: a number that it was taken over with.  0: nobody
 * of this family, or a COMMIT of that one was not answered. */
uint64_t family_owner(struct family *f);
void     family_own(struct family *f, uint64_t owner);
void     family_doubt(struct family *f, uint64_t owner);
/* How many statements of the source were applied: what is known of the target's
 * keys is of that many. */
uint64_t family_statements(struct family *f, bool one_more);
/* How often one of them asked for the checkpoint: what others wrote before and
 * did not commit is written anew behind it. */
uint64_t family_restores(struct family *f, bool one_more);

/* ---- sink_mysql_checkpoint.c.  None of these says REJECT. */
enum weir_status checkpoint_prepare(struct sink *s, struct weir_err *err);
enum weir_status checkpoint_restore(struct sink *s, struct weir_str id,
                                    struct weir_err *err);
/* Begins a transaction, with the mark that tells it from others' if wanted. */
enum weir_status checkpoint_begin(struct sink *s,
                                  const struct weir_checkpoint *cp,
                                  struct weir_err *err);
/* Stores it and commits, or nothing of both. */
enum weir_status checkpoint_commit(struct sink *s,
                                   const struct weir_checkpoint *cp,
                                   struct weir_err *err);
enum weir_status checkpoint_forget(struct sink *s, struct weir_str id,
                                   uint32_t slot, struct weir_err *err);
/* Notes which statement is about to be run outside of transactions: the upper
 * half of *note stands for it, the lower one for what was there before; 0: none.
 * *again: it was noted before, so it may have been run, and *note becomes that
 * note.  Fails if the checkpoint is somebody else's. */
enum weir_status checkpoint_intend(struct sink *s,
                                   const struct weir_checkpoint *cp,
                                   uint64_t *note, bool *again,
                                   struct weir_err *err);

/* ---- sink_mysql_ddl.c: a batch of one statement, or TRUNCATE */
enum weir_status ddl_write(struct sink *s, struct weir_batch *b,
                           struct weir_err *err);

/* ---- An instance */
struct part { /* split: of a transaction, written and to be committed before
                 more of it is: by then it is known what became of refusals */
    bool        due;
    uint32_t    slot;
    uint64_t    epoch;
    struct text id, data;
};
struct sink {
    struct weir_instance    *in;
    const struct mysql_conf *conf;
    struct link              link;
    char                     where[300]; /* "db2:3306", for messages */
    struct text              store, mark; /* our tables, quoted */
    struct text              sql;        /* a statement of our own at work */
    struct script            script;
    struct gather           *gather;
    struct family           *family;
    struct target           *targets;
    uint64_t                 owner; /* that the open transaction ends as */
    uint64_t                 restores; /* that the open transaction is behind */
    struct part              part;
    bool                     uncommitted; /* a write() waits for commit() */
    unsigned                 warnings; /* that the session lets pass; 0: it is
                                          strict */
    uint32_t looked; /* target.id whose rows were looked at last, or where that
                        was refused; 0: none */
    bool                     unverified; /* said that nobody is verified */
    uint32_t                 ntargets;
};

#endif
