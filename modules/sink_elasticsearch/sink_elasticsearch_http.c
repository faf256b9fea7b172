/* sink_elasticsearch_http.c - see sink_elasticsearch_http.h. */
#include "sink_elasticsearch.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include <zlib.h>

enum { CONNECT_MS = 10000 };

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
init_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

const char *
http_where(const struct http *http)
{
    return http->conf->url.items[http->url];
}

void
http_turn(struct http *http)
{
    http->url = (http->url + 1) % http->conf->url.n;
}

/* ---- What curl hands over */

static size_t
take_body(char *data, size_t size, size_t n, void *arg)
{
    struct http *http = arg;

    if (http->reply.len + size * n > http->reply_most) {
        http->too_long = true;
        return 0; /* curl ends it with CURLE_WRITE_ERROR */
    }
    text_add(&http->reply, data, size * n);
    return http->reply.failed ? 0 : size * n;
}

static size_t
take_header(char *data, size_t size, size_t n, void *arg)
{
    static const char name[] = "x-elastic-product:";
    struct http      *http = arg;
    size_t            len = size * n, at = sizeof name - 1;

    if (len > at && strncasecmp(data, name, at) == 0) {
        while (at < len && data[at] == ' ') {
            at++;
        }
        while (len > at && (data[len - 1] == '\r' || data[len - 1] == '\n')) {
            len--;
        }
        snprintf(http->product, sizeof http->product, "%.*s", (int)(len - at),
                 data + at);
    }
    return size * n;
}

/* ---- What is the same for all requests */

static enum weir_status
read_secret(struct http *http, struct weir_err *err)
{
    const struct elastic_conf *c = http->conf;
    const char *path = c->password_file  ? c->password_file
                       : c->api_key_file ? c->api_key_file
                                         : c->token_file;

    http->secret = (struct weir_str){ "", 0 };
    if (c->password) {
        http->secret = (struct weir_str){ c->password, strlen(c->password) };
    }
    return path ? weir_secret(http->in, path, &http->secret, err) : WEIR_OK;
}

static bool
add_header(struct http *http, const char *line)
{
    struct curl_slist *more = curl_slist_append(http->headers, line);

    http->headers = more ? more : http->headers;
    return more != NULL;
}

/* Who we are: as a header, or as user and password. */
static bool
set_secret(struct http *http)
{
    const struct elastic_conf *c = http->conf;
    const char *kind = c->api_key_file ? "ApiKey" : "Bearer";
    bool        good = true;

    char *text = malloc(http->secret.len + 32);
    if (!text) {
        return false;
    }
    if (c->user) {
        memcpy(text, http->secret.data, http->secret.len);
        text[http->secret.len] = '\0';
        curl_easy_setopt(http->curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        good = curl_easy_setopt(http->curl, CURLOPT_USERNAME, c->user) == 0 &&
               curl_easy_setopt(http->curl, CURLOPT_PASSWORD, text) == 0;
    } else if (c->api_key_file || c->token_file) {
        sprintf(text, "Authorization: %s ", kind);
        const size_t at = strlen(text);
        memcpy(text + at, http->secret.data, http->secret.len);
        text[at + http->secret.len] = '\0';
        good = add_header(http, text);
    }
    free(text);
    return good;
}

static bool
set_tls(struct http *http)
{
    const struct elastic_conf *c = http->conf;
    CURL                      *curl = http->curl;
    bool                       good = true;

    if (c->ca_file) {
        good = curl_easy_setopt(curl, CURLOPT_CAINFO, c->ca_file) == 0;
    }
    if (c->cert_file && good) {
        good = curl_easy_setopt(curl, CURLOPT_SSLCERT, c->cert_file) == 0 &&
               curl_easy_setopt(curl, CURLOPT_SSLKEY, c->key_file) == 0;
    }
    if (!c->tls_verify) {
        curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    return good;
}

static bool
set_all(struct http *http)
{
    const struct elastic_conf *c = http->conf;
    CURL                      *curl = http->curl;
    const long                 connect_ms =
        c->timeout < CONNECT_MS ? (long)c->timeout : CONNECT_MS;

    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, http->error);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)c->timeout);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, connect_ms);
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, http);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, http);
    if (c->compress) {
        curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "gzip");
    }
    /* "Expect: 100-continue" would cost each bulk a round trip. */
    return add_header(http, "Content-Type: application/x-ndjson") &&
           add_header(http, "Expect:") &&
           (!c->compress || add_header(http, "Content-Encoding: gzip")) &&
           set_tls(http) && set_secret(http) &&
           curl_easy_setopt(curl, CURLOPT_HTTPHEADER, http->headers) == 0;
}

static enum weir_status
make_ready(struct http *http, struct weir_err *err)
{
    if (http->ready) {
        return WEIR_OK;
    }
    pthread_once(&once, init_curl);
    http_close(http);
    const enum weir_status st = read_secret(http, err);
    if (st != WEIR_OK) {
        return st;
    }
    http->curl = curl_easy_init();
    http->ready = http->curl && set_all(http);
    return http->ready ? WEIR_OK
                       : weir_fail(err, WEIR_RETRY, "prepare requests to %s: "
                                   "no memory", http_where(http));
}

bool
http_new_secret(struct http *http)
{
    const struct weir_str before = http->secret;
    struct weir_err       ignored;

    if (read_secret(http, &ignored) != WEIR_OK) {
        http->secret = before;
    }
    if (text_same(before, http->secret)) {
        return false;
    }
    http->ready = false;
    return true;
}

void
http_close(struct http *http)
{
    curl_easy_cleanup(http->curl);
    curl_slist_free_all(http->headers);
    text_free(&http->path);
    text_free(&http->reply);
    text_free(&http->zipped);
    http->curl = NULL;
    http->headers = NULL;
    http->ready = false;
}

/* ---- One request */

/* The fastest level: it saves the network, and the server's cores are dear. */
static bool
zip(struct text *out, struct weir_str body)
{
    enum { GZIP = 15 + 16 };
    z_stream z = { .next_in = (Bytef *)(uintptr_t)body.data,
                   .avail_in = (uInt)body.len };

    out->len = 0;
    if (deflateInit2(&z, 1, Z_DEFLATED, GZIP, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        return false;
    }
    const size_t most = deflateBound(&z, (uLong)body.len);
    if (out->room < most) {
        text_free(out);
        out->data = malloc(most);
        out->room = out->data ? most : 0;
    }
    z.next_out = (Bytef *)out->data;
    z.avail_out = (uInt)out->room;
    const bool good = out->data && deflate(&z, Z_FINISH) == Z_STREAM_END;
    out->len = z.total_out;
    deflateEnd(&z);
    return good;
}

static enum weir_status
set_request(struct http *http, const struct request *r, struct weir_err *err)
{
    struct weir_str body = r->body;

    if (http->conf->compress && body.len > 0) {
        if (!zip(&http->zipped, body)) {
            return weir_fail(err, WEIR_RETRY, "compress a request of %zu "
                             "bytes to %s: no memory", body.len,
                             http_where(http));
        }
        body = text_view(&http->zipped);
    }
    curl_easy_setopt(http->curl, CURLOPT_POSTFIELDSIZE_LARGE,
                     (curl_off_t)body.len);
    curl_easy_setopt(http->curl, CURLOPT_POSTFIELDS, body.len ? body.data : "");
    if (strcmp(r->method, "GET") == 0) {
        curl_easy_setopt(http->curl, CURLOPT_HTTPGET, 1L);
    }
    curl_easy_setopt(http->curl, CURLOPT_CUSTOMREQUEST, r->method);
    http->reply_most = r->reply_most;
    return WEIR_OK;
}

static CURLcode
perform(struct http *http, const struct request *r)
{
    http->path.len = 0;
    text_put(&http->path, http_where(http));
    while (http->path.len && http->path.data[http->path.len - 1] == '/') {
        http->path.len--;
    }
    text_add(&http->path, r->path, strlen(r->path) + 1);
    if (http->path.failed ||
        curl_easy_setopt(http->curl, CURLOPT_URL, http->path.data) != 0) {
        return CURLE_OUT_OF_MEMORY;
    }
    http->reply.len = 0;
    http->too_long = false;
    http->error[0] = '\0';
    return curl_easy_perform(http->curl);
}

/* Nothing was sent: another server may be asked at once. */
static bool
is_unreached(CURLcode code)
{
    return code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST;
}

static enum weir_status
failed(struct http *http, CURLcode code, struct weir_err *err)
{
    const char *why = http->error[0] ? http->error : curl_easy_strerror(code);
    const bool  certificate =
        code == CURLE_PEER_FAILED_VERIFICATION ||
        code == CURLE_SSL_CACERT_BADFILE || code == CURLE_SSL_CERTPROBLEM;
    char        where[256];

    snprintf(where, sizeof where, "%.255s", http_where(http));
    http_turn(http);
    if (certificate) {
        return weir_fail(err, WEIR_FATAL, "%s: TLS: %s; see ca_file, cert_file "
                         "and key_file", where, why);
    }
    if (code == CURLE_WRITE_ERROR) {
        return weir_fail(err, WEIR_RETRY, "%s: an answer of more than %zu "
                         "bytes, which is not one to our request", where,
                         http->reply_most);
    }
    return weir_fail(err, WEIR_RETRY, "%s: %s", where, why);
}

enum weir_status
http_ask(struct http *http, const struct request *r, long *code,
         struct weir_err *err)
{
    enum weir_status st = make_ready(http, err);
    CURLcode         got = CURLE_OK;

    *code = 0;
    if (st == WEIR_OK) {
        st = set_request(http, r, err);
    }
    for (size_t i = 0; st == WEIR_OK && i < http->conf->url.n; i++) {
        got = perform(http, r);
        if (got == CURLE_OK) {
            curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, code);
            return WEIR_OK;
        }
        if (!is_unreached(got)) {
            break;
        }
        if (i + 1 < http->conf->url.n) {
            weir_log(http->in, WEIR_WARN, "%s: %s; trying the next server",
                     http_where(http), http->error);
            http_turn(http);
        }
    }
    return st == WEIR_OK ? failed(http, got, err) : st;
}
