/* sink_redis_tls.c - all of OpenSSL; see sink_redis_tls.h. */
#include "sink_redis_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct tls {
    SSL_CTX    *context;
    SSL        *ssl;
    BIO_METHOD *method;
    char        why[200];
};

/* The oldest error that OpenSSL has noted is the cause; the rest goes. */
static const char *
reason(char *out, size_t room)
{
    const unsigned long code = ERR_get_error();
    const char         *text = code ? ERR_reason_error_string(code) : NULL;

    snprintf(out, room, "%s", text ? text : "no reason given");
    ERR_clear_error();
    return out;
}

/* ---- The socket, by recv() and send(): OpenSSL's own way to it raises SIGPIPE
 * where the other side is gone. */

static int
bio_read(BIO *bio, char *data, int len)
{
    const int     fd = (int)(intptr_t)BIO_get_data(bio);
    const ssize_t n = recv(fd, data, (size_t)len, MSG_DONTWAIT);

    BIO_clear_retry_flags(bio);
    if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
        BIO_set_retry_read(bio);
    }
    return (int)n;
}

static int
bio_write(BIO *bio, const char *data, int len)
{
    const int     fd = (int)(intptr_t)BIO_get_data(bio);
    const ssize_t n = send(fd, data, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);

    BIO_clear_retry_flags(bio);
    if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
        BIO_set_retry_write(bio);
    }
    return (int)n;
}

static long
bio_ctrl(BIO *bio, int command, long n, void *p)
{
    (void)bio;
    (void)n;
    (void)p;
    return command == BIO_CTRL_FLUSH;
}

static bool
attach(struct tls *tls, int fd)
{
    tls->method =
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    if (!tls->method || !BIO_meth_set_read(tls->method, bio_read) ||
        !BIO_meth_set_write(tls->method, bio_write) ||
        !BIO_meth_set_ctrl(tls->method, bio_ctrl)) {
        return false;
    }
    BIO *bio = BIO_new(tls->method);
    if (!bio) {
        return false;
    }
    BIO_set_data(bio, (void *)(intptr_t)fd);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls->ssl, bio, bio);
    return true;
}

/* ---- A connection */

static bool
is_address(const char *host)
{
    unsigned char bytes[16];

    return inet_pton(AF_INET, host, bytes) == 1 ||
           inet_pton(AF_INET6, host, bytes) == 1;
}

static enum weir_status
load_files(struct tls *tls, const struct tls_conf *c, struct weir_err *err)
{
    char why[120];

    if (c->verify &&
        (c->ca ? SSL_CTX_load_verify_locations(tls->context, c->ca, NULL) != 1
               : SSL_CTX_set_default_verify_paths(tls->context) != 1)) {
        return weir_fail(err, WEIR_FATAL, "tls_ca: read %s: %s",
                         c->ca ? c->ca : "the system's certificates",
                         reason(why, sizeof why));
    }
    if (c->cert &&
        SSL_CTX_use_certificate_chain_file(tls->context, c->cert) != 1) {
        return weir_fail(err, WEIR_FATAL, "tls_cert: read %s: %s", c->cert,
                         reason(why, sizeof why));
    }
    if (c->key && SSL_CTX_use_PrivateKey_file(tls->context, c->key,
                                              SSL_FILETYPE_PEM) != 1) {
        return weir_fail(err, WEIR_FATAL, "tls_key: read %s: %s", c->key,
                         reason(why, sizeof why));
    }
    return WEIR_OK;
}

static bool
set_peer(struct tls *tls, const struct tls_conf *c)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(tls->ssl);
    const bool         address = is_address(c->host);

    if (!address && SSL_set_tlsext_host_name(tls->ssl, c->host) != 1) {
        return false;
    }
    if (!c->verify) {
        return true;
    }
    SSL_set_verify(tls->ssl, SSL_VERIFY_PEER, NULL);
    return address ? X509_VERIFY_PARAM_set1_ip_asc(param, c->host) == 1
                   : X509_VERIFY_PARAM_set1_host(param, c->host, 0) == 1;
}

enum weir_status
tls_new(const struct tls_conf *conf, int fd, struct tls **out,
        struct weir_err *err)
{
    struct tls      *tls = calloc(1, sizeof *tls);
    enum weir_status st = WEIR_OK;

    ERR_clear_error();
    if (!tls || !(tls->context = SSL_CTX_new(TLS_client_method()))) {
        free(tls);
        return weir_fail(err, WEIR_RETRY, "begin TLS: no memory");
    }
    SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
    SSL_CTX_set_mode(tls->context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    st = load_files(tls, conf, err);
    if (st == WEIR_OK) {
        tls->ssl = SSL_new(tls->context);
        if (!tls->ssl || !attach(tls, fd) || !set_peer(tls, conf)) {
            char why[120];
            st = weir_fail(err, WEIR_RETRY, "begin TLS: %s",
                           reason(why, sizeof why));
        }
    }
    if (st != WEIR_OK) {
        tls_free(&tls);
    }
    *out = tls;
    return st;
}

void
tls_free(struct tls **tls)
{
    if (!*tls) {
        return;
    }
    SSL_free((*tls)->ssl);
    SSL_CTX_free((*tls)->context);
    BIO_meth_free((*tls)->method);
    free(*tls);
    *tls = NULL;
}

enum weir_status
tls_handshake(struct tls *tls, const char *where, short *events,
              struct weir_err *err)
{
    errno = 0;
    ERR_clear_error();
    const int n = SSL_connect(tls->ssl);
    const int error = errno;

    if (n == 1) {
        return WEIR_OK;
    }
    switch (SSL_get_error(tls->ssl, n)) {
    case SSL_ERROR_WANT_READ:
        *events = POLLIN;
        return WEIR_PENDING;
    case SSL_ERROR_WANT_WRITE:
        *events = POLLOUT;
        return WEIR_PENDING;
    case SSL_ERROR_SSL: {
        const long verified = SSL_get_verify_result(tls->ssl);
        if (verified != X509_V_OK) {
            return weir_fail(err, WEIR_FATAL,
                             "connect to %s: its certificate is refused: %s; "
                             "see host and tls_ca",
                             where, X509_verify_cert_error_string(verified));
        }
        return weir_fail(err, WEIR_FATAL,
                         "connect to %s by TLS: %s; does that port speak TLS?",
                         where, reason(tls->why, sizeof tls->why));
    }
    default:
        ERR_clear_error();
        return weir_fail(err, WEIR_RETRY, "connect to %s by TLS: %s", where,
                         error ? strerror(error) : "it closed the connection");
    }
}

/* What a call gave, as recv() and send() say it. */
static ssize_t
outcome(struct tls *tls, int n)
{
    const int error = errno;

    switch (SSL_get_error(tls->ssl, n)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SSL:
        reason(tls->why, sizeof tls->why);
        errno = EPROTO;
        return -1;
    default:
        ERR_clear_error();
        errno = error;
        return error ? -1 : 0;
    }
}

ssize_t
tls_recv(struct tls *tls, void *data, size_t len)
{
    errno = 0;
    ERR_clear_error();
    const int n = SSL_read(tls->ssl, data, len > 1 << 30 ? 1 << 30 : (int)len);

    return n > 0 ? n : outcome(tls, n);
}

ssize_t
tls_send(struct tls *tls, const void *data, size_t len)
{
    errno = 0;
    ERR_clear_error();
    const int n = SSL_write(tls->ssl, data, len > 1 << 30 ? 1 << 30 : (int)len);

    if (n > 0) {
        return n;
    }
    const ssize_t how = outcome(tls, n);
    if (how == 0) {
        errno = EPIPE;
    }
    return -1;
}

const char *
tls_why(const struct tls *tls)
{
    return tls->why;
}
