/*
 * inflate.c - compressed parts of binlogs: MariaDB's deflated events and
 * columns, MySQL's zstd payloads.  Each has a limit that is known before the
 * first byte comes out.
 */
#include "binlog/inflate.h"

#include <pthread.h>
#include <stdlib.h>

#include <libdeflate.h>
#include <zstd.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/err.h"
#include "binlog/event.h"

enum {
    DEFLATE_MOST = 1032, /* bytes that one deflated byte can become */
    COLUMN_RAW = 0x08,   /* no zlib header (MariaDB sql/field_comp.cc) */
};

static pthread_key_t  inflater_key;
static pthread_once_t inflater_once = PTHREAD_ONCE_INIT;

static void
inflater_end(void *d)
{
    libdeflate_free_decompressor(d);
}

/* Of the thread that calls exit(); the others' end with them. */
static void
inflater_at_exit(void)
{
    inflater_end(pthread_getspecific(inflater_key));
    pthread_setspecific(inflater_key, NULL);
}

static void
inflater_make_key(void)
{
    const int failed = pthread_key_create(&inflater_key, inflater_end);
    assert(failed == 0);
    atexit(inflater_at_exit);
}

static struct libdeflate_decompressor *
inflater_of_thread(void)
{
    pthread_once(&inflater_once, inflater_make_key);
    struct libdeflate_decompressor *d = pthread_getspecific(inflater_key);
    if (!d) {
        d = libdeflate_alloc_decompressor();
        assert(d);
        pthread_setspecific(inflater_key, d);
    }
    return d;
}

/* "1aaa0nnn", n bytes of size, big-endian, deflated bytes; a, the algorithm, is
 * 0, which is zlib (MariaDB sql/log_event.cc, binlog_buf_compress()). */
static bool
deflated_open(struct weir_str s, uint8_t known_bits, uint64_t *size,
              struct weir_str *deflated)
{
    struct reader  r = reader_of(s.data, s.len);
    const uint64_t head = read_le(&r, 1);
    const size_t   n = head & 7;

    if ((head & ~(uint64_t)known_bits) != 0x80 || n == 0) {
        return false;
    }
    *size = read_be(&r, n);
    *deflated = (struct weir_str){ (const char *)r.p, reader_left(&r) };
    return !r.bad && *size <= (uint64_t)deflated->len * DEFLATE_MOST;
}

enum weir_status
inflate_event_size(struct weir_str part, size_t max, size_t *size,
                   struct weir_err *err)
{
    uint64_t        n;
    struct weir_str deflated;

    if (!deflated_open(part, 7, &n, &deflated)) {
        return weir_fail(err, WEIR_REJECT,
                         "its compressed part of %zu bytes is malformed",
                         part.len);
    }
    if (n > max) {
        return weir_fail(err, WEIR_REJECT,
                         "its compressed part becomes %llu bytes, and %zu are "
                         "allowed",
                         (unsigned long long)n, max);
    }
    *size = (size_t)n;
    return WEIR_OK;
}

enum weir_status
inflate_event(struct weir_str part, char *out, size_t size,
              struct weir_err *err)
{
    uint64_t        n;
    struct weir_str in;

    if (!deflated_open(part, 7, &n, &in) ||
        libdeflate_zlib_decompress(inflater_of_thread(), in.data, in.len, out,
                                   size, NULL) != LIBDEFLATE_SUCCESS) {
        return weir_fail(err, WEIR_REJECT,
                         "its compressed part of %zu bytes can't be inflated "
                         "to %zu bytes",
                         part.len, size);
    }
    return WEIR_OK;
}

enum weir_status
inflate_column_size(struct weir_str value, size_t *size,
                    struct weir_str *plain, struct weir_err *err)
{
    uint64_t        n;
    struct weir_str deflated;

    *plain = (struct weir_str){ 0 };
    *size = 0;
    if (value.len == 0) {
        *plain = value;
        return WEIR_OK;
    }
    if (value.data[0] == 0) { /* too short to be worth it */
        *plain = (struct weir_str){ value.data + 1, value.len - 1 };
        return WEIR_OK;
    }
    if (!deflated_open(value, 7 | COLUMN_RAW, &n, &deflated) ||
        n > BINLOG_MAX_EVENT) {
        return weir_fail(err, WEIR_REJECT,
                         "its compressed value of %zu bytes is malformed",
                         value.len);
    }
    *size = (size_t)n;
    return WEIR_OK;
}

enum weir_status
inflate_column(struct weir_str value, char *out, size_t size,
               struct weir_err *err)
{
    struct libdeflate_decompressor *d = inflater_of_thread();
    enum libdeflate_result          res = LIBDEFLATE_BAD_DATA;
    uint64_t                        n;
    struct weir_str                 in;

    if (deflated_open(value, 7 | COLUMN_RAW, &n, &in)) {
        res = value.data[0] & COLUMN_RAW
                  ? libdeflate_deflate_decompress(d, in.data, in.len, out,
                                                  size, NULL)
                  : libdeflate_zlib_decompress(d, in.data, in.len, out, size,
                                               NULL);
    }
    return res == LIBDEFLATE_SUCCESS
               ? WEIR_OK
               : weir_fail(err, WEIR_REJECT,
                           "its compressed value of %zu bytes can't be "
                           "inflated to %zu bytes",
                           value.len, size);
}

/* ---- Events */
struct binlog_inflater {
    ZSTD_DCtx *zstd; /* one for all payloads: making one costs more than most
                        payloads do */
};

struct binlog_inflater *
binlog_inflater_new(void)
{
    struct binlog_inflater *in = xcalloc(1, sizeof *in);
    in->zstd = ZSTD_createDCtx();
    assert(in->zstd);
    return in;
}

void
binlog_inflater_free(struct binlog_inflater **in)
{
    if (*in) {
        ZSTD_freeDCtx((*in)->zstd);
        free(*in);
        *in = NULL;
    }
}

/* Table id, flags, width and bitmaps stay as they are. */
static size_t
rows_plain_part(const struct binlog_event *ev, enum binlog_type plain)
{
    struct reader r = reader_of(ev->body, ev->body_len);

    read_bytes(&r, 8);
    if (plain >= BINLOG_WRITE) {
        const uint64_t extra = read_le(&r, 2);
        if (extra < 2) {
            return 0;
        }
        read_str(&r, extra - 2);
    }
    const uint64_t width = read_lenenc(&r);
    if (width > BINLOG_MAX_COLUMNS) {
        return 0;
    }
    const bool update = plain == BINLOG_UPDATE || plain == BINLOG_UPDATE_V1;
    read_str(&r, (width + 7) / 8 * (update ? 2 : 1));
    return r.bad ? 0 : (size_t)(r.p - ev->body);
}

enum weir_status
binlog_inflate_rows(struct binlog_inflater *in, const struct binlog_event *ev,
                    size_t max, struct buf *out, struct weir_err *err)
{
    (void)in;
    if (ev->type < BINLOG_WRITE_COMPRESSED_V1 ||
        ev->type > BINLOG_DELETE_COMPRESSED) {
        return weir_fail(err, WEIR_REJECT, "event %s is not compressed rows",
                         binlog_type_name(ev->type));
    }
    const unsigned type =
        ev->type >= BINLOG_WRITE_COMPRESSED
            ? BINLOG_WRITE + (ev->type - BINLOG_WRITE_COMPRESSED)
            : BINLOG_WRITE_V1 + (ev->type - BINLOG_WRITE_COMPRESSED_V1);
    const size_t plain = rows_plain_part(ev, type);
    if (plain == 0) {
        return weir_fail(err, WEIR_REJECT,
                         "event %s of %zu bytes: its head doesn't fit into it",
                         binlog_type_name(ev->type), ev->len);
    }
    const size_t          head = BINLOG_HEADER + plain;
    const struct weir_str part = { (const char *)ev->body + plain,
                                   ev->body_len - plain };
    const size_t          limit =
        max < BINLOG_MAX_EVENT ? max : BINLOG_MAX_EVENT;
    size_t                size;

    enum weir_status st = head > limit
                              ? weir_fail(err, WEIR_REJECT,
                                          "its head alone has %zu bytes", head)
                              : inflate_event_size(part, limit - head, &size,
                                                   err);
    if (st == WEIR_OK) {
        out->len = 0;
        char *p = buf_need(out, head + size);
        memcpy(p, ev->data, head);
        p[4] = (char)type;
        put_le32(p + 9, (uint32_t)(head + size));
        st = inflate_event(part, p + head, size, err);
        out->len = head + size;
    }
    return st == WEIR_OK
               ? st
               : weir_wrap(err, st, "event %s", binlog_type_name(ev->type));
}

enum { /* fields of TRANSACTION_PAYLOAD: type, length, value */
    PAYLOAD_END = 0, PAYLOAD_SIZE = 1, PAYLOAD_ALGORITHM = 2,
    PAYLOAD_ZSTD = 0, PAYLOAD_NONE = 255,
};

static bool
payload_open(const struct binlog_event *ev, uint64_t *algorithm,
             struct weir_str *payload)
{
    struct reader r = reader_of(ev->body, ev->body_len);
    uint64_t      size = UINT64_MAX;

    *algorithm = PAYLOAD_NONE;
    for (;;) {
        const uint64_t field = read_lenenc(&r);
        if (r.bad) {
            return false;
        }
        if (field == PAYLOAD_END) {
            break;
        }
        const struct weir_str value = read_str(&r, read_lenenc(&r));
        struct reader         number = reader_of(value.data, value.len);
        if (field == PAYLOAD_SIZE) {
            size = read_lenenc(&number);
        } else if (field == PAYLOAD_ALGORITHM) {
            *algorithm = read_lenenc(&number);
        }
        if (number.bad) {
            return false;
        }
    }
    if (size != UINT64_MAX && size != reader_left(&r)) {
        return false;
    }
    *payload = read_str(&r, reader_left(&r));
    return !r.bad;
}

/* The uncompressed size that an event names can't be trusted (MySQL
 * control_events.h): it grows as it comes, up to `max`. */
static enum weir_status
payload_inflate(ZSTD_DCtx *zstd, struct weir_str payload, size_t max,
                struct buf *out, struct weir_err *err)
{
    ZSTD_inBuffer in = { payload.data, payload.len, 0 };
    size_t        left = 1;

    ZSTD_DCtx_reset(zstd, ZSTD_reset_session_only);
    while (in.pos < in.size || left != 0) {
        if (out->len == max) {
            return weir_fail(err, WEIR_REJECT,
                             "its payload of %zu bytes becomes more than the "
                             "%zu that are allowed",
                             payload.len, max);
        }
        buf_need(out, out->len + 4096 <= max ? 4096 : max - out->len);
        const size_t   room = out->room < max ? out->room : max;
        ZSTD_outBuffer to = { out->data, room, out->len };
        const size_t   from = in.pos;
        left = ZSTD_decompressStream(zstd, &to, &in);
        if (ZSTD_isError(left)) {
            return weir_fail(err, WEIR_REJECT,
                             "its payload of %zu bytes can't be decompressed: "
                             "%s",
                             payload.len, ZSTD_getErrorName(left));
        }
        const bool stuck = in.pos == from && to.pos == out->len;
        out->len = to.pos;
        if (left != 0 && (stuck || (in.pos == in.size && to.pos < room))) {
            return weir_fail(err, WEIR_REJECT,
                             "its payload of %zu bytes ends too early",
                             payload.len);
        }
    }
    return WEIR_OK;
}

enum weir_status
binlog_inflate_payload(struct binlog_inflater *in,
                       const struct binlog_event *ev, size_t max,
                       struct buf *out, struct weir_err *err)
{
    uint64_t         algorithm;
    struct weir_str  payload;
    enum weir_status st = WEIR_OK;

    out->len = 0;
    if (ev->type != BINLOG_TRANSACTION_PAYLOAD ||
        !payload_open(ev, &algorithm, &payload)) {
        return weir_fail(err, WEIR_REJECT,
                         "event %s of %zu bytes: it holds no payload that can "
                         "be read",
                         binlog_type_name(ev->type), ev->len);
    }
    if (algorithm == PAYLOAD_ZSTD) {
        st = payload_inflate(in->zstd, payload, max, out, err);
    } else if (algorithm != PAYLOAD_NONE) {
        st = weir_fail(err, WEIR_REJECT,
                       "its payload is compressed with algorithm %llu, which "
                       "is not known",
                       (unsigned long long)algorithm);
    } else if (payload.len > max) {
        st = weir_fail(err, WEIR_REJECT,
                       "its payload has %zu bytes, and %zu are allowed",
                       payload.len, max);
    } else {
        buf_str(out, payload);
    }
    return st == WEIR_OK
               ? st
               : weir_wrap(err, st, "event %s", binlog_type_name(ev->type));
}
