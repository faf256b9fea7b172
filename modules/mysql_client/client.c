/*
 * client.c - options, TLS, password and results of a connection with
 * libmariadb.  Connects to nothing itself.
 */
#include "client.h"

#include <stdlib.h>
#include <string.h>

/* Plugins that don't give the password away to who asks for it in the clear,
 * which the library would do if a hostile server asked. */
#define AUTH_PLUGINS \
    "mysql_native_password,client_ed25519,caching_sha2_password," \
    "sha256_password,parsec"

const struct weir_name client_tls_names[] = {
    { "off", TLS_OFF }, { "on", TLS_ON }, { "verify", TLS_VERIFY }, { NULL, 0 }
};

bool
client_is_set(const char *text)
{
    return text && *text;
}

/* ---- The configuration */

static enum weir_status
check_file(const struct client_tls *tls, const char *name, const char *path,
           struct weir_err *err)
{
    if (!client_is_set(path)) {
        return WEIR_OK;
    }
    if (tls->mode == TLS_OFF) {
        return weir_fail(err, WEIR_FATAL,
                         "%s has no meaning with tls = off: set tls = verify",
                         name);
    }
    return path[0] == '/'
               ? WEIR_OK
               : weir_fail(err, WEIR_FATAL, "%s = \"%s\" is no path from /",
                           name, path);
}

enum weir_status
client_check_tls(const struct client_tls *tls, bool by_socket,
                 struct weir_err *err)
{
    enum weir_status st = check_file(tls, "tls_ca", tls->ca, err);

    if (st == WEIR_OK) {
        st = check_file(tls, "tls_cert", tls->cert, err);
    }
    if (st == WEIR_OK) {
        st = check_file(tls, "tls_key", tls->key, err);
    }
    if (st != WEIR_OK) {
        return st;
    }
    if (tls->mode == TLS_ON && client_is_set(tls->ca)) {
        return weir_fail(err, WEIR_FATAL, "tls = on verifies nobody, so that "
                         "tls_ca has no meaning: set tls = verify");
    }
    if (client_is_set(tls->cert) != client_is_set(tls->key)) {
        return weir_fail(err, WEIR_FATAL, "tls_cert and tls_key: one of them "
                         "is missing");
    }
    if (tls->mode != TLS_OFF && by_socket) {
        return weir_fail(err, WEIR_FATAL, "tls is for TCP: the unix socket "
                         "leaves this machine by no wire");
    }
    return WEIR_OK;
}

/* ---- Connecting */

/* All is said in both directions, as the defaults differ: off in Connector/C
 * 3.3, on and verified in 3.4. */
static void
set_tls(MYSQL *m, const struct client_tls *tls)
{
    const my_bool enforce = tls->mode != TLS_OFF;
    const my_bool verify = tls->mode == TLS_VERIFY;
    const struct { enum mysql_option option; const char *path; } files[] = {
        { MYSQL_OPT_SSL_CA, tls->ca },
        { MYSQL_OPT_SSL_CERT, tls->cert },
        { MYSQL_OPT_SSL_KEY, tls->key },
    };

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (enforce && client_is_set(files[i].path)) {
            mysql_options(m, files[i].option, files[i].path);
        }
    }
    mysql_options(m, MYSQL_OPT_SSL_ENFORCE, &enforce);
    mysql_options(m, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
}

void
client_options(MYSQL *m, const struct client_tls *tls)
{
    /* An event may be 1 GiB and has a header. */
    const unsigned long biggest = (1UL << 30) + (1UL << 20);
    const my_bool       off = 0;
    const unsigned      infile = 0;

    mysql_options(m, MYSQL_OPT_RECONNECT, &off);
    mysql_options(m, MYSQL_OPT_LOCAL_INFILE, &infile);
    mysql_options(m, MYSQL_OPT_MAX_ALLOWED_PACKET, &biggest);
    mysql_options(m, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    mysql_options(m, MARIADB_OPT_RESTRICTED_AUTH, AUTH_PLUGINS);
    set_tls(m, tls);
    mysql_options4(m, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "weir");
}

enum weir_status
client_password(struct weir_instance *in, const char *password,
                const char *file, char **out, struct weir_err *err)
{
    struct weir_str secret = { "", 0 };

    *out = NULL;
    if (client_is_set(file)) {
        const enum weir_status st = weir_secret(in, file, &secret, err);
        if (st != WEIR_OK) {
            return st;
        }
    } else if (password) {
        secret = (struct weir_str){ password, strlen(password) };
    }
    *out = strndup(secret.data, secret.len);
    return *out ? WEIR_OK
                : weir_fail(err, WEIR_RETRY, "the password: out of memory");
}

void
client_forget(char *password)
{
    if (password) {
        explicit_bzero(password, strlen(password));
    }
    free(password);
}

/* Connector/C 3.3 goes on in the clear where the server offers no TLS and it
 * was not to verify it. */
enum weir_status
client_encrypted(MYSQL *m, struct weir_instance *in,
                 const struct client_tls *tls, const char *where, bool *warned,
                 struct weir_err *err)
{
    if (tls->mode == TLS_OFF) {
        return WEIR_OK;
    }
    if (!mysql_get_ssl_cipher(m)) {
        return weir_fail(err, WEIR_FATAL,
                         "%s speaks no TLS, which tls = %s wants", where,
                         tls->mode == TLS_VERIFY ? "verify" : "on");
    }
    if (tls->mode == TLS_ON && !*warned) {
        *warned = true;
        weir_log(in, WEIR_WARN,
                 "tls = on: what goes to %s is encrypted, but who answers "
                 "there is not verified; tls = verify does that", where);
    }
    return WEIR_OK;
}

/* ---- Results */

bool
result_next(struct result *r)
{
    r->row = r->res ? mysql_fetch_row(r->res) : NULL;
    r->lengths = r->row ? mysql_fetch_lengths(r->res) : NULL;
    return r->row && r->lengths;
}

struct weir_str
result_str(const struct result *r, unsigned cell)
{
    if (!r->row || cell >= r->ncells || !r->row[cell]) {
        return (struct weir_str){ "", 0 };
    }
    return (struct weir_str){ r->row[cell], r->lengths[cell] };
}

bool
result_null(const struct result *r, unsigned cell)
{
    return !r->row || cell >= r->ncells || !r->row[cell];
}

uint64_t
result_u64(const struct result *r, unsigned cell)
{
    const struct weir_str s = result_str(r, cell);
    uint64_t              v = 0;

    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9' ||
            v > (UINT64_MAX - 9) / 10) {
            return 0;
        }
        v = v * 10 + (uint64_t)(s.data[i] - '0');
    }
    return v;
}

void
result_free(struct result *r)
{
    if (r->res) {
        mysql_free_result(r->res);
    }
    *r = (struct result){ 0 };
}
