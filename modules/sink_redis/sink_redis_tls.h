/*
 * sink_redis_tls.h - TLS over a connected socket that doesn't block: OpenSSL,
 * and nowhere else.  Does no waiting: says what to wait for.
 */
#ifndef SINK_REDIS_TLS_H
#define SINK_REDIS_TLS_H

#include <sys/types.h>

#include <weir/module.h>

struct tls_conf {
    bool        verify;          /* the chain, and that it is `host`'s */
    const char *host;            /* a name or an address */
    const char *ca, *cert, *key; /* files; NULL: the system's, none */
};

struct tls;

/* No I/O on the socket yet, which stays the caller's.  FATAL: a file that
 * can't be used. */
enum weir_status tls_new(const struct tls_conf *conf, int fd, struct tls **out,
                         struct weir_err *err);
void             tls_free(struct tls **tls);

/* OK: done.  PENDING: again when `*events` of poll() are there.  RETRY: the
 * connection is gone.  FATAL: no TLS, or not who it should be. */
enum weir_status tls_handshake(struct tls *tls, const char *where,
                               short *events, struct weir_err *err);

/* As recv() and send() that never block: 0 is the end, -1 says why in errno;
 * EPROTO: in tls_why(). */
ssize_t     tls_recv(struct tls *tls, void *data, size_t len);
ssize_t     tls_send(struct tls *tls, const void *data, size_t len);
const char *tls_why(const struct tls *tls);

#endif
