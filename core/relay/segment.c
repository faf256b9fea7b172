/* segment.c - see segment.h; the format is described in frame.h, relay.h. */
#include "relay/segment.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "base/file.h"
#include "base/str.h"

static const char MAGIC[8] = "WEIRRLY1";

enum { /* of a header's fields */
    AT_FORMAT = 8, AT_LEN = 12, AT_PIPELINE = 16, AT_BASE = 32, AT_CREATED = 40,
    AT_BOOT = 48, AT_ORIGIN_LEN = 64, AT_CRC = 68,
};

void
segment_path(char out[static PATH_MAX], const char *dir, uint64_t base)
{
    snprintf(out, PATH_MAX, "%s/%020" PRIu64 ".relay", dir, base);
}

void
segment_spare_path(char out[static PATH_MAX], const char *dir, unsigned number)
{
    snprintf(out, PATH_MAX, "%s/spare.%u", dir, number);
}

static bool
names_parse(const char *name, uint64_t *base, uint64_t *spare)
{
    const struct weir_str s = str_of(name);

    *base = *spare = UINT64_MAX;
    if (s.len == 26 && strcmp(name + 20, ".relay") == 0) {
        return str_u64((struct weir_str){ name, 20 }, base) &&
               *base <= INT64_MAX;
    }
    return str_has_prefix(s, "spare.") &&
           str_u64((struct weir_str){ name + 6, s.len - 6 }, spare) &&
           *spare <= INT_MAX;
}

static int
names_compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

enum weir_status
segment_list(const char *dir, struct segment_names *out, struct weir_err *err)
{
    DIR *d = opendir(dir);
    if (!d) {
        return fail_errno(err, WEIR_RETRY, "opendir %s", dir);
    }
    *out = (struct segment_names){ 0 };
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        uint64_t base, spare;
        if (!names_parse(e->d_name, &base, &spare)) {
            continue;
        }
        if (base != UINT64_MAX) {
            out->bases = xrealloc(out->bases,
                                  (out->nbases + 1) * sizeof *out->bases);
            out->bases[out->nbases++] = base;
        } else {
            out->spares = xrealloc(out->spares,
                                   (out->nspares + 1) * sizeof *out->spares);
            out->spares[out->nspares++] = (unsigned)spare;
        }
    }
    closedir(d);
    if (out->nbases) {
        qsort(out->bases, out->nbases, sizeof *out->bases, names_compare);
    }
    return WEIR_OK;
}

void
segment_names_free(struct segment_names *names)
{
    free(names->bases);
    free(names->spares);
    *names = (struct segment_names){ 0 };
}

void
segment_format(struct segment_header *h, struct buf *out)
{
    h->len = (uint32_t)frame_round(SEGMENT_HEAD + h->origin.len);
    char *p = buf_need(out, h->len);
    memset(p, 0, h->len);
    memcpy(p, MAGIC, sizeof MAGIC);
    put_le32(p + AT_FORMAT, RELAY_FORMAT);
    put_le32(p + AT_LEN, h->len);
    memcpy(p + AT_PIPELINE, h->pipeline_id, 16);
    put_le64(p + AT_BASE, h->base);
    put_le64(p + AT_CREATED, (uint64_t)h->created_usec);
    memcpy(p + AT_BOOT, h->boot_id, 16);
    put_le32(p + AT_ORIGIN_LEN, (uint32_t)h->origin.len);
    if (h->origin.len) {
        memcpy(p + SEGMENT_HEAD, h->origin.data, h->origin.len);
    }
    put_le32(p + AT_CRC, crc32c(0, p, h->len));
    out->len += h->len;
}

static enum weir_status
segment_damaged(const char *path, const char *what, struct weir_err *err)
{
    return weir_fail(err, WEIR_FATAL, "%s: the segment's header is damaged: "
                     "%s", path, what);
}

static enum weir_status
segment_check(const char *path, uint64_t base, char *p, uint32_t len,
              struct weir_err *err)
{
    const uint32_t crc = get_le32(p + AT_CRC);

    put_le32(p + AT_CRC, 0);
    if (crc32c(0, p, len) != crc) {
        return segment_damaged(path, "its checksum is wrong", err);
    }
    if (get_le64(p + AT_BASE) != base) {
        return segment_damaged(path, "it belongs to another offset", err);
    }
    if (get_le32(p + AT_ORIGIN_LEN) > len - SEGMENT_HEAD) {
        return segment_damaged(path, "its origin is too long", err);
    }
    return WEIR_OK;
}

enum weir_status
segment_parse(int fd, const char *path, uint64_t base, struct buf *room,
              struct segment_header *out, struct weir_err *err)
{
    char head[SEGMENT_HEAD];

    const ssize_t n = file_pread(fd, head, sizeof head, 0);
    if (n == -1) {
        return fail_errno(err, WEIR_RETRY, "read %s", path);
    }
    if (n < SEGMENT_HEAD || memcmp(head, MAGIC, sizeof MAGIC) != 0) {
        return segment_damaged(path, "it doesn't begin as one does", err);
    }
    const uint32_t format = get_le32(head + AT_FORMAT);
    if (format != RELAY_FORMAT) {
        return weir_fail(err, WEIR_FATAL,
                         "%s has format %u, this version of weir knows %d",
                         path, format, RELAY_FORMAT);
    }
    const uint32_t len = get_le32(head + AT_LEN);
    if (len < SEGMENT_HEAD || len % FRAME_ALIGN != 0 ||
        len > SEGMENT_MAX_ORIGIN + SEGMENT_HEAD) {
        return segment_damaged(path, "its length can't be", err);
    }
    room->len = 0;
    char         *p = buf_need(room, len);
    const ssize_t got = file_pread(fd, p, len, 0);
    if (got == -1) {
        return fail_errno(err, WEIR_RETRY, "read %s", path);
    }
    if ((size_t)got < len) {
        return segment_damaged(path, "it is cut short", err);
    }
    const enum weir_status st = segment_check(path, base, p, len, err);
    if (st != WEIR_OK) {
        return st;
    }
    room->len = len;
    *out = (struct segment_header){
        .base = base, .len = len,
        .created_usec = (int64_t)get_le64(p + AT_CREATED),
        .origin = { p + SEGMENT_HEAD, get_le32(p + AT_ORIGIN_LEN) },
    };
    memcpy(out->pipeline_id, p + AT_PIPELINE, 16);
    memcpy(out->boot_id, p + AT_BOOT, 16);
    return WEIR_OK;
}

uint32_t
frame_length(const void *head, uint64_t offset)
{
    const uint32_t length = get_le32(head);

    return length >= FRAME_HEAD && length <= FRAME_MAX &&
                   get_le64((const char *)head + 8) == offset
               ? length
               : 0;
}

bool
frame_valid(const void *p, uint32_t length)
{
    return crc32c(0, (const char *)p + 8, length - 8) ==
           get_le32((const char *)p + 4);
}

void
frame_parse(const void *p, uint32_t length, struct frame *out)
{
    const char *c = p;

    out->offset = get_le64(c + 8);
    out->next = out->offset + frame_round(length);
    out->type = (enum frame_type)(uint8_t)c[16];
    out->flags = (uint8_t)c[17];
    out->payload = (struct weir_str){ c + FRAME_HEAD, length - FRAME_HEAD };
}

void
frame_format(char *p, uint32_t length, uint64_t offset, enum frame_type type,
             uint8_t flags)
{
    put_le32(p, length);
    put_le64(p + 8, offset);
    p[16] = (char)type;
    p[17] = (char)flags;
    memset(p + 18, 0, FRAME_HEAD - 18);
}

void
frame_format_number(char out[static FRAME_END_SIZE], uint64_t offset,
                    enum frame_type type, uint64_t number)
{
    frame_format(out, FRAME_END_SIZE, offset, type, 0);
    put_le64(out + FRAME_HEAD, number);
    put_le32(out + 4, crc32c(0, out + 8, FRAME_END_SIZE - 8));
}
