/*
 * client.h - what source_mysql and sink_mysql have in common as clients of
 * libmariadb: the options that are said explicitly, TLS, the password, and
 * results.  Compiled into each of them; knows neither binlogs nor rows.
 * The server's bytes are hostile: cells may be NULL or missing.
 */
#ifndef MYSQL_CLIENT_H
#define MYSQL_CLIENT_H

#include <weir/module.h>

#include <mysql.h>

enum tls { TLS_OFF, TLS_ON, TLS_VERIFY };

/* The directive tls: off, on, verify. */
extern const struct weir_name client_tls_names[];

struct client_tls { /* paths: NULL or empty where not given */
    int64_t     mode; /* enum tls */
    const char *ca, *cert, *key;
};

bool client_is_set(const char *text);

/* Checks the directives tls, tls_ca, tls_cert and tls_key with each other;
 * `by_socket`: the server is reached through its unix socket.  FATAL says which
 * of them has to change. */
enum weir_status client_check_tls(const struct client_tls *tls, bool by_socket,
                                  struct weir_err *err);

/* What both connections want alike, before they connect: UTF-8, no silent
 * reconnect, no LOCAL INFILE, no plugin that gives the password away, packets
 * as large as a row can be, TLS. */
void client_options(MYSQL *m, const struct client_tls *tls);

/* The password, from the file (read now) or as given: to be wiped and freed
 * with client_forget().  RETRY: the file can't be read, or no memory. */
enum weir_status client_password(struct weir_instance *in, const char *password,
                                 const char *file, char **out,
                                 struct weir_err *err);
void             client_forget(char *password);

/* Behind a connect.  FATAL where the connection is in the clear and was not to
 * be; warns, unless *warned, where nobody was verified.  `where`: the server,
 * for messages. */
enum weir_status client_encrypted(MYSQL *m, struct weir_instance *in,
                                  const struct client_tls *tls,
                                  const char *where, bool *warned,
                                  struct weir_err *err);

struct result { /* of a query; a row at a time */
    MYSQL_RES     *res;
    MYSQL_ROW      row;
    unsigned long *lengths;
    unsigned       ncells;
};

bool            result_next(struct result *r);
/* NULL and missing cells are empty; a NUL stands behind all. */
struct weir_str result_str(const struct result *r, unsigned cell);
bool            result_null(const struct result *r, unsigned cell);
/* 0: it is no number, or none that 64 bits hold. */
uint64_t        result_u64(const struct result *r, unsigned cell);
void            result_free(struct result *r);

#endif
