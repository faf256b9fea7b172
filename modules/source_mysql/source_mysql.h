/*
 * source_mysql.h - what the files of this module share: a source, its two
 * connections, positions, and the flavour of its server.  The server's bytes
 * are hostile everywhere: cells may be NULL or missing, lengths are checked.
 */
#ifndef SOURCE_MYSQL_H
#define SOURCE_MYSQL_H

#include "../mysql_client/client.h"

#define STR_ARG(s) (int)(s).len, (s).data /* for "%.*s" */

enum identity { IDENTITY_UID, IDENTITY_SERVER_ID, IDENTITY_NONE };

struct mysql_conf {
    struct weir_list hosts;
    const char *host, *socket, *user, *password, *password_file, *start;
    const char *tls_ca, *tls_cert, *tls_key;
    int64_t     port, server_id, heartbeat, connect_timeout, identity, tls;
};

struct source;

/* connect.c: one connection.  All waiting also waits for weir_stop_fd(); then
 * the call ends with RETRY and source->stopping is set. */
struct conn {
    struct source *src;
    MYSQL         *mysql; /* NULL: not connected */
};

enum weir_status conn_open(struct conn *c, struct weir_err *err);
void             conn_close(struct conn *c);
int              conn_fd(const struct conn *c);
/* `out` NULL: a statement without a result. */
enum weir_status conn_query(struct conn *c, const char *sql,
                            struct result *out, struct weir_err *err);
/* The reason that the library gives for what was just tried. */
enum weir_status conn_fail(struct conn *c, const char *what,
                           struct weir_err *err);
/* 'text', for use in a statement; malloc'd. */
char *conn_quote(struct conn *c, struct weir_str text);

/* What it is encrypted with: "TLSv1.3, TLS_AES_256_GCM_SHA384"; or "". */
const char *conn_cipher(const struct conn *c, char *out, size_t room);
/* The first row of an answer that has to have one. */
enum weir_status conn_row(struct conn *c, const char *sql, unsigned ncells,
                          struct result *out, struct weir_err *err);

/* position.c: places in the server's history. */
struct position { /* owned, never NULL; empty: not known */
    char    *gtid, *file;
    uint64_t offset;
};

enum start_kind {
    START_NOW, START_EARLIEST, START_GTID, START_FILE, START_TIME
};

struct start {
    enum start_kind kind;
    struct weir_str gtid, file; /* into the directive's text */
    uint64_t        offset;
    int64_t         usec; /* since 1970 */
};

struct host { char name[256], label[280]; int64_t port; };

struct gtid { uint32_t domain, server; uint64_t seq; };
struct gtid_list { struct gtid *items; size_t n; };

void position_set(struct position *p, struct weir_str gtid,
                  struct weir_str file, uint64_t offset);
void position_clear(struct position *p);
/* "GTID 0-1-7" or "bin.000007:4", into a buffer of the caller's. */
const char *position_text(const struct position *p, char *out, size_t room);

enum weir_status start_parse(const char *text, struct start *out,
                             struct weir_err *err);
/* MariaDB's form: "0-1-7,1-2-3".  False: it isn't one. */
bool gtid_list_parse(struct weir_str text, struct gtid_list *out);
void gtid_list_free(struct gtid_list *list);

/* gtid_code.c: MySQL's form, "uuid:1-5:tag:1-3,uuid:7", as its server takes it
 * in COM_BINLOG_DUMP_GTID; malloc'd.  False: it isn't one. */
bool gtid_code_make(struct weir_str text, unsigned char **out, size_t *len);

/* The flavour of a server: mariadb.c, mysql.c. */
struct flavour {
    const char *name;
    unsigned    major, minor;  /* the oldest that can be followed */
    bool        json_by_check; /* JSON is LONGTEXT with a CHECK */
    const char *key_order;     /* of information_schema.STATISTICS */
    const char *describe_set;  /* session variables, where it knows them */
    const char *replicas;      /* the statement that lists them */
    /* The statement that shows its end, and the right that this takes. */
    const char *(*status)(const struct source *src);
    const char *(*monitor)(const struct source *src);
    /* What tells this server from others; into `id`, empty if nothing does. */
    enum weir_status (*identify)(struct source *src, char *id, size_t room,
                                 struct weir_err *err);
    /* Its end, or its beginning, as it is now. */
    enum weir_status (*locate)(struct source *src, struct conn *c,
                               enum start_kind kind, struct position *out,
                               struct weir_err *err);
    /* The statement that shows what it is a replica of. */
    const char *(*replication)(const struct source *src);
    /* All that it has executed, into .gtid. */
    enum weir_status (*executed)(struct source *src, struct position *out,
                                 struct weir_err *err);
    /* What of src->at it has not executed, into lacks->gtid; `*by_gtid` false:
     * it would be followed by file and offset, and nothing was compared. */
    enum weir_status (*compare)(struct source *src, bool *by_gtid,
                                struct position *lacks, struct weir_err *err);
    /* FATAL where the server can't go on behind src->at. */
    enum weir_status (*verify)(struct source *src, struct weir_err *err);
    /* Session variables that a dump takes. */
    enum weir_status (*session)(struct source *src, struct weir_err *err);
    /* These, and the dump command. */
    enum weir_status (*dump)(struct source *src, struct weir_err *err);
    /* Why the server refused, or ended, the dump: error 1236. */
    enum weir_status (*explain)(struct source *src, const char *reason,
                                struct weir_err *err);
};
extern const struct flavour flavour_mariadb, flavour_mysql;

struct source {
    struct weir_instance    *in;
    const struct mysql_conf *conf;
    const struct flavour    *flavour;
    struct conn              dump; /* the stream */
    struct conn              ask;  /* describe(), and what to say of errors */
    struct position          at;   /* where the dump begins */
    struct host             *hosts; /* nhosts; 0: the one of host, port */
    size_t                   nhosts, current;
    size_t                   remembered; /* from 1: the one in the file */
    const char              *host; /* the present one */
    int64_t                  port;
    char                     name[280];    /* "db1:3306", for messages */
    char                     version[128]; /* what the server calls itself */
    unsigned                 major, minor; /* its version */
    uint32_t                 server_id;    /* ours */
    bool                     by_gtid; /* this time */
    bool                     by_file; /* the log has transactions without
                                         GTIDs: MySQL sends none by them */
    int64_t                  lost_ms; /* when the stream ended */
    bool                     reached;  /* the server gives its log */
    bool                     fed;      /* and an event of it came */
    bool                     stopping;
    bool                     denied;    /* said what to do about a login */
    bool                     unverified; /* said that nobody is verified */
    bool                     warned;    /* said what the settings lack */
    unsigned                 collisions;
    int64_t                  collided_ms, asked_ms;
};

int64_t now_ms(void); /* monotonic */

/* hosts.c: several servers, one of which is followed. */
enum weir_status host_parse(const char *text, int64_t port, struct host *out,
                            struct weir_err *err);
enum weir_status hosts_check(const struct mysql_conf *conf,
                             struct weir_err *err);
/* Makes src->hosts, and takes the one that was followed last. */
enum weir_status hosts_open(struct source *src, struct weir_err *err);
void             host_use(struct source *src, size_t i);
void             host_remember(struct source *src);
/* Of one of several hosts that has not executed `lacks`: RETRY if it is a
 * replica, which may still get them; else FATAL: diverged. */
enum weir_status host_lacks(struct source *src, const struct position *lacks,
                            struct weir_err *err);

/* server.c: what both flavours answer alike. */
#define MEND \
    "put the missing binlogs back there; or begin anew: remove this " \
    "pipeline's state, so that start applies again, and copy its tables"

void put_le(unsigned char *p, uint64_t v, size_t n);
/* What SHOW BINARY LOGS says of the first of them. */
enum weir_status server_first(struct conn *c, struct position *out,
                              struct weir_err *err);
/* FATAL unless it has the file of src->at, up to its offset. */
enum weir_status server_has_file(struct source *src, struct weir_err *err);
/* `to_end`: it ends the stream where the log ends now, and else waits. */
enum weir_status server_dump_file(struct source *src, bool to_end,
                                  struct weir_err *err);
/* Another replica came with our server_id: FATAL the third time. */
enum weir_status server_collision(struct source *src, struct weir_err *err);
enum weir_status server_refused(struct source *src, const char *reason,
                                struct weir_err *err);

/* checks.c: all that is wrong with settings and rights, each as a line of the
 * log; FATAL sums them up. */
enum weir_status checks_run(struct source *src, struct weir_err *err);

/* start_time.c: sets src->at to the first transaction that was committed at
 * that time or later, or to the end if there is none.  FATAL: the time is in the
 * future, or before the oldest log.  src->dump is connected anew. */
enum weir_status start_at_time(struct source *src, int64_t usec,
                               struct weir_err *err);

/* dump.c */
enum weir_status dump_command(struct conn *c, int command, const void *data,
                              size_t len, struct weir_err *err);
/* Waits for one packet; its bytes stay until the next. */
enum weir_status dump_read(struct source *src, int64_t deadline_ms,
                           struct weir_str *out, struct weir_err *err);
/* Feeds events until it is time to stop (OK) or something is wrong. */
enum weir_status dump_stream(struct source *src, struct weir_err *err);

/* describe.c */
enum weir_status describe_table(struct source *src, struct weir_str schema,
                                struct weir_str table, struct weir_err *err);

#endif
