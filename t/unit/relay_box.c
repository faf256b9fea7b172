/* relay_box.c - see relay_box.h. */
#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/file.h"
#include "relay_box.h"

enum { HEAD_BYTES = 40 }; /* number, attempt, index, rows, size */

int64_t box_clock;

int64_t
box_now(void)
{
    return box_clock;
}

void
box_abort(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fputs("# ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    abort();
}

uint64_t
dice_roll(struct dice *d, uint64_t below)
{
    uint64_t z = d->state += 0x9e3779b97f4a7c15u; /* splitmix64 */

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (z ^ z >> 31) % below;
}

/* ---- Boxes */

static void
box_origin(void *arg, struct buf *out)
{
    (void)arg;
    buf_text(out, "origin of a test");
}

void
box_make(struct box *b, int64_t segment_size, int64_t size)
{
    *b = (struct box){ .settings = { .segment_size = segment_size,
                                     .size = size, .origin = box_origin } };
    snprintf(b->root, sizeof b->root, "%s/weir-relay-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(b->root)) {
        box_abort("mkdtemp %s", b->root);
    }
    snprintf(b->dir, sizeof b->dir, "%s/relay", b->root);
    snprintf(b->page, sizeof b->page, "%s/page", b->root);
    memset(b->settings.pipeline_id, 7, 16);
}

static void
box_each(const struct box *b, void (*each)(const char *path, void *arg),
         void *arg)
{
    char path[512];
    DIR *d = opendir(b->dir);

    for (const struct dirent *e; d && (e = readdir(d)) != NULL;) {
        if (e->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s/%s", b->dir, e->d_name);
            each(path, arg);
        }
    }
    if (d) {
        closedir(d);
    }
}

static void
file_remove(const char *path, void *arg)
{
    (void)arg;
    unlink(path);
}

void
box_empty(struct box *b)
{
    box_each(b, file_remove, NULL);
    unlink(b->page);
}

void
box_remove(struct box *b)
{
    box_empty(b);
    rmdir(b->dir);
    rmdir(b->root);
}

static void
file_copy(const char *path, void *arg)
{
    const struct box *to = arg;
    struct arena      a = { 0 };
    struct weir_str   data;
    struct weir_err   err;
    char              target[512];

    snprintf(target, sizeof target, "%s%s", to->dir, strrchr(path, '/'));
    if (file_read(&a, path, 1 << 30, &data, &err) != WEIR_OK) {
        box_abort("%s", err.text);
    }
    const int fd = open(target, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd == -1 ||
        file_write(fd, target, data.data, data.len, &err) != WEIR_OK) {
        box_abort("write %s", target);
    }
    close(fd);
    arena_free(&a);
}

void
box_copy(const struct box *from, struct box *to)
{
    mkdir(to->dir, 0700);
    box_empty(to);
    box_each(from, file_copy, to);
}

void
box_open(struct box *b)
{
    b->settings.dir = b->dir;
    b->settings.page_path = b->page;
    if (relay_open(&b->settings, &b->relay, &b->err) != WEIR_OK) {
        box_abort("%s", b->err.text);
    }
}

void
box_close(struct box *b, bool clean)
{
    if (relay_close(&b->relay, clean, &b->err) != WEIR_OK) {
        box_abort("%s", b->err.text);
    }
}

struct follower *
box_follow(struct box *b, uint64_t offset)
{
    struct follower *f;

    if (follower_open(b->dir, b->page, 0, &f, &b->err) != WEIR_OK ||
        follower_seek(f, offset, &b->err) != WEIR_OK) {
        box_abort("%s", b->err.text);
    }
    return f;
}

struct follower *
box_follow_first(struct box *b)
{
    struct follower *f;
    uint64_t         first;

    if (follower_open(b->dir, b->page, 0, &f, &b->err) != WEIR_OK) {
        box_abort("%s", b->err.text);
    }
    if (follower_first(f, &first, &b->err) != WEIR_OK) {
        follower_close(&f);
        return NULL;
    }
    if (follower_seek(f, first, &b->err) != WEIR_OK) {
        box_abort("%s", b->err.text);
    }
    return f;
}

/* ---- Transactions */

static size_t
row_size(const struct txn *t, unsigned index)
{
    return t->size + index % 9;
}

static void
row_fill(uint8_t *p, const struct txn *t, unsigned index, size_t size)
{
    const uint64_t seed = t->number * 31 + t->attempt * 7 + index;

    for (size_t i = 0; i < size; i++) {
        p[i] = (uint8_t)(seed * 13 + i * 167 + (i >> 8));
    }
}

static enum frame_type
row_type(const struct txn *t, unsigned index)
{
    return index == 0             ? FRAME_TXN_HEAD
           : index == t->rows + 1 ? FRAME_COMMIT
                                  : FRAME_ROW;
}

static enum weir_status
row_append(struct relay *r, const struct txn *t, unsigned index,
           struct weir_err *err)
{
    static uint8_t *room;
    static size_t   room_size;
    uint8_t         head[HEAD_BYTES];
    uint64_t        offset;
    const size_t    size = row_size(t, index);

    if (size > room_size) {
        room = xrealloc(room, room_size = size);
    }
    put_le64(head, t->number);
    put_le64(head + 8, t->attempt);
    put_le64(head + 16, index);
    put_le64(head + 24, t->rows);
    put_le64(head + 32, t->size);
    row_fill(room, t, index, size);
    const struct iovec parts[] = { { head, sizeof head },
                                   { room, size / 3 },
                                   { room + size / 3, size - size / 3 } };
    return relay_append(r, row_type(t, index), 0, parts, 3, &offset, err);
}

enum weir_status
txn_append(struct relay *r, const struct txn *t, unsigned upto,
           struct weir_err *err)
{
    uint64_t segment;

    for (unsigned i = 0; i < upto && i < t->rows + 2; i++) {
        enum weir_status st = relay_reserve(r, HEAD_BYTES + row_size(t, i), 1,
                                            &segment, err);
        if (st == WEIR_OK) {
            st = row_append(r, t, i, err);
        }
        if (st != WEIR_OK) {
            return st;
        }
    }
    return WEIR_OK;
}

void
txn_write(struct box *b, const struct txn *t)
{
    if (txn_append(b->relay, t, UINT32_MAX, &b->err) != WEIR_OK) {
        box_abort("%s", b->err.text);
    }
    relay_commit(b->relay);
    if (relay_publish(b->relay, &b->err) != WEIR_OK) {
        box_abort("%s", b->err.text);
    }
}

static void
reading_check(struct reading *r, const struct frame *f)
{
    const uint8_t *p = (const uint8_t *)f->payload.data;

    if (f->payload.len < HEAD_BYTES) {
        box_abort("a frame of %zu bytes", f->payload.len);
    }
    const struct txn t = { get_le64(p), get_le64(p + 8),
                           (unsigned)get_le64(p + 24),
                           (size_t)get_le64(p + 32) };
    const unsigned   index = (unsigned)get_le64(p + 16);
    const size_t     size = row_size(&t, index);
    if (t.number != r->next || index != r->index ||
        (index && t.attempt != r->attempt) || f->type != row_type(&t, index) ||
        f->payload.len != HEAD_BYTES + size) {
        box_abort("wanted transaction %llu row %u, got %llu row %u (%d)",
                  (unsigned long long)r->next, r->index,
                  (unsigned long long)t.number, index, (int)f->type);
    }
    uint8_t *want = xmalloc(size);
    row_fill(want, &t, index, size);
    if (memcmp(want, p + HEAD_BYTES, size) != 0) {
        box_abort("transaction %llu row %u is altered",
                  (unsigned long long)t.number, index);
    }
    free(want);
    r->attempt = t.attempt;
    r->index = f->type == FRAME_COMMIT ? 0 : index + 1;
    r->next += f->type == FRAME_COMMIT;
}

enum weir_status
reading_go(struct follower *f, struct reading *r, struct weir_err *err)
{
    struct frame frame;

    while (r->stop_at == 0 || r->next < r->stop_at) {
        const enum weir_status st = follower_next(f, &frame, err);
        if (st != WEIR_OK) {
            return st;
        }
        reading_check(r, &frame);
        r->frames++;
        r->bytes += frame.payload.len;
    }
    return WEIR_OK;
}
