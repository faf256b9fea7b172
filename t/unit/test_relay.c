/*
 * test_relay.c - the relay's promises one by one: torn tails, altered bytes,
 * seeking, retention, where offsets go on.  test_relay_crash.c has them all at
 * once, at random.
 */
#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/str.h"
#include "relay/segment.h"
#include "relay_box.h"

static int64_t
folder_bytes(const struct box *b, const char *part, int *n)
{
    int64_t     sum = 0;
    char        path[512];
    struct stat st;
    DIR        *d = opendir(b->dir);

    *n = 0;
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", b->dir, e->d_name);
        if (strstr(e->d_name, part) && stat(path, &st) == 0) {
            sum += st.st_size;
            ++*n;
        }
    }
    closedir(d);
    return sum;
}

/* Where the last segment is, and how long. */
static int64_t
last_segment(const struct box *b, char path[static PATH_MAX])
{
    struct segment_names names;
    struct weir_err      err;
    struct stat          st;

    assert_int_equal(segment_list(b->dir, &names, &err), WEIR_OK);
    assert_true(names.nbases > 0);
    segment_path(path, b->dir, names.bases[names.nbases - 1]);
    segment_names_free(&names);
    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

static uint64_t
read_on(struct box *b, struct reading r)
{
    struct follower *f = box_follow_first(b);

    if (!f) {
        return r.next;
    }
    const enum weir_status st = reading_go(f, &r, &b->err);
    if (st != WEIR_DROP) {
        fail_msg("%d %s", st, b->err.text);
    }
    assert_int_equal(r.index, 0);
    follower_close(&f);
    return r.next;
}

static uint64_t
read_all(struct box *b, uint64_t from_number)
{
    return read_on(b, (struct reading){ .next = from_number });
}

static void
write_some(struct box *b, uint64_t first, uint64_t n, unsigned rows,
           size_t size)
{
    for (uint64_t i = first; i < first + n; i++) {
        txn_write(b, &(struct txn){ i, 5, rows, size });
    }
}

static void
flip(const char *path, uint64_t at, uint8_t bits)
{
    uint8_t   byte;
    const int fd = open(path, O_RDWR);

    assert_int_not_equal(fd, -1);
    assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= bits;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
}

/* ---- What is there */

static void
a_new_relay(void **state)
{
    struct box       b;
    struct follower *f;
    uint64_t         first;

    (void)state;
    box_make(&b, 0, 0);
    assert_int_equal(follower_open(b.dir, b.page, 0, &f, &b.err), WEIR_RETRY);
    const uint64_t before = (uint64_t)clock_nsec();
    box_open(&b);
    assert_true(relay_is_new(b.relay));
    assert_true(relay_end(b.relay) >= before);
    assert_true(relay_end(b.relay) <= (uint64_t)clock_nsec() + 8);
    f = box_follow(&b, relay_published(b.relay));
    assert_int_equal(follower_first(f, &first, &b.err), WEIR_RETRY);
    struct reading r = { 0 };
    assert_int_equal(reading_go(f, &r, &b.err), WEIR_DROP);
    write_some(&b, 0, 3, 2, 100);
    assert_int_equal(reading_go(f, &r, &b.err), WEIR_DROP);
    assert_int_equal(r.next, 3);
    assert_true(str_is(follower_origin(f), "origin of a test"));
    follower_close(&f);
    box_close(&b, true);
    box_open(&b);
    assert_false(relay_is_new(b.relay));
    assert_int_equal(read_all(&b, 0), 3);
    box_close(&b, true);
    box_remove(&b);
}

static void
large_frames(void **state)
{
    struct box b;

    (void)state;
    box_make(&b, 1 << 20, 0);
    box_open(&b);
    write_some(&b, 0, 1, 3, 20 << 20);
    write_some(&b, 1, 40, 2, (1 << 20) - 100);
    for (size_t i = 0; i < 200; i++) { /* about the edges of buffers */
        write_some(&b, 41 + i, 1, 1, (128 << 10) - 164 + i);
    }
    assert_int_equal(read_all(&b, 0), 241);
    box_close(&b, true);
    box_remove(&b);
}

static void
seek_to_each_offset(void **state)
{
    struct box       b;
    struct frame     frame, again;
    struct arena     a = { 0 };
    static uint64_t  offsets[4000];
    size_t           n = 0;

    (void)state;
    box_make(&b, 8192, 0);
    box_open(&b);
    write_some(&b, 0, 40, 4, 300);
    struct follower *f = box_follow_first(&b), *g = box_follow_first(&b);
    const uint64_t   first = follower_offset(f);
    while (follower_next(f, &frame, &b.err) == WEIR_OK) {
        assert_int_equal(follower_read(g, frame.offset, &a, &again, &b.err),
                         WEIR_OK);
        assert_true(str_eq(frame.payload, again.payload));
        offsets[n++] = frame.offset;
    }
    assert_int_equal(n, 240);
    size_t refused = 0, at = 0;
    for (uint64_t o = first; o < relay_published(b.relay); o += 4) {
        at += at < n && offsets[at] < o;
        const enum weir_status st = follower_seek(g, o, &b.err);
        if (st == WEIR_OK && at < n) { /* frames, ENDs and headers */
            assert_int_equal(follower_next(g, &frame, &b.err), WEIR_OK);
            assert_true(frame.offset == offsets[at]);
        } else if (st != WEIR_OK) {
            assert_int_equal(st, WEIR_REJECT);
            assert_true(at == n || o != offsets[at]);
            assert_int_equal(follower_read(g, o, &a, &again, &b.err),
                             WEIR_REJECT);
            refused++;
        }
    }
    assert_true(refused > 2 * n);
    assert_int_equal(follower_seek(g, first - 1000, &b.err), WEIR_REJECT);
    assert_non_null(strstr(b.err.text, "older than"));
    assert_int_equal(follower_seek(g, relay_published(b.relay) + 8, &b.err),
                     WEIR_REJECT);
    assert_int_equal(follower_seek(g, relay_published(b.relay), &b.err),
                     WEIR_OK);
    write_some(&b, 40, 1, 0, 1);
    assert_int_equal(follower_next(g, &frame, &b.err), WEIR_OK);
    follower_close(&f);
    follower_close(&g);
    arena_free(&a);
    box_close(&b, true);
    box_remove(&b);
}

/* Blocks that somebody holds are left alone. */
static void
held_blocks_stay(void **state)
{
    enum { HELD = 64 };
    struct box      b;
    struct frame    frames[HELD];
    struct block   *blocks[HELD];
    struct reading  r = { 0 };

    (void)state;
    box_make(&b, 4 << 20, 0);
    box_open(&b);
    write_some(&b, 0, 32, 0, 200000);
    struct follower *f = box_follow_first(&b);
    for (int i = 0; i < HELD; i++) {
        assert_int_equal(follower_next(f, &frames[i], &b.err), WEIR_OK);
        blocks[i] = follower_block(f);
        block_ref(blocks[i]);
    }
    struct follower *g = box_follow_first(&b);
    for (int i = 0; i < HELD; i++) {
        struct frame again;
        assert_int_equal(follower_next(g, &again, &b.err), WEIR_OK);
        assert_true(str_eq(again.payload, frames[i].payload));
    }
    follower_close(&f);
    for (int i = 0; i < HELD; i++) {
        assert_true(frames[i].payload.data[20] == 0);
        block_unref(&blocks[i]);
        assert_null(blocks[i]);
    }
    follower_close(&g);
    f = box_follow_first(&b);
    assert_int_equal(reading_go(f, &r, &b.err), WEIR_DROP);
    assert_int_equal(r.next, 32);
    follower_close(&f);
    box_close(&b, true);
    box_remove(&b);
}

/* ---- Damage */

static void
torn_at_each_byte(void **state)
{
    struct box b, torn;
    char       path[PATH_MAX];
    uint64_t   ends[3];

    (void)state;
    box_make(&b, 0, 0);
    box_make(&torn, 0, 0);
    box_open(&b);
    const uint64_t start = relay_end(b.relay);
    for (uint64_t i = 0; i < 3; i++) {
        write_some(&b, i, 1, 1, 40);
        ends[i] = relay_published(b.relay) - start;
    }
    for (uint64_t n = ends[0]; n <= ends[2]; n++) {
        for (int kind = 0; kind < 2; kind++) {
            box_copy(&b, &torn);
            last_segment(&torn, path);
            assert_int_equal(truncate(path, (off_t)n), 0);
            if (kind == 1) { /* the rest of a recycled one, or of a page */
                assert_int_equal(truncate(path, 1 << 16), 0);
            }
            box_open(&torn);
            /* A COMMIT of 106 bytes is whole without its padding. */
            const uint64_t want = n >= ends[2] - 6 ? 3 : n >= ends[1] - 6 ? 2
                                                                          : 1;
            assert_int_equal(read_all(&torn, 0), want);
            write_some(&torn, want, 2, 1, 10);
            assert_int_equal(read_all(&torn, 0), want + 2);
            box_close(&torn, true);
        }
    }
    box_close(&b, true);
    box_remove(&b);
    box_remove(&torn);
}

/* In an ended segment: what stands before it is given, then a sentence. */
static void
each_bit_altered(void **state)
{
    struct box     b;
    char           path[PATH_MAX];
    struct dice    d = { 1 };
    int            harmless = 0;

    (void)state;
    box_make(&b, 0, 0);
    box_open(&b);
    write_some(&b, 0, 3, 1, 30);
    const int64_t size = last_segment(&b, path);
    box_close(&b, true);
    box_open(&b);
    for (int64_t i = 0; i < size; i++) {
        struct reading   r = { 0 };
        struct follower *f;
        uint64_t         first;
        const uint8_t    bit = (uint8_t)(1 << dice_roll(&d, 8));
        flip(path, (uint64_t)i, bit);
        assert_int_equal(follower_open(b.dir, b.page, 3, &f, &b.err), WEIR_OK);
        enum weir_status st = follower_first(f, &first, &b.err);
        if (st == WEIR_OK) {
            st = follower_seek(f, first, &b.err);
        }
        if (st == WEIR_OK) {
            st = reading_go(f, &r, &b.err);
        }
        if (st == WEIR_DROP) {
            assert_int_equal(r.next, 3); /* padding */
            harmless++;
        } else {
            assert_true(st == WEIR_FATAL || st == WEIR_REJECT);
            assert_non_null(strstr(b.err.text, path));
            assert_true(r.frames < 9);
        }
        follower_close(&f);
        flip(path, (uint64_t)i, bit);
    }
    assert_true(harmless <= 9 * 7);
    assert_int_equal(read_all(&b, 0), 3);
    box_close(&b, true);
    box_remove(&b);
}

/* As if the machine had been switched off since: another boot id. */
static void
forget_boot(const struct box *b)
{
    struct segment_names  names;
    struct segment_header h;
    struct weir_err       err;
    char                  path[PATH_MAX];
    struct buf            room = { 0 }, out = { 0 };

    assert_int_equal(segment_list(b->dir, &names, &err), WEIR_OK);
    for (size_t i = 0; i < names.nbases; i++) {
        segment_path(path, b->dir, names.bases[i]);
        const int fd = open(path, O_RDWR);
        assert_int_equal(segment_parse(fd, path, names.bases[i], &room, &h,
                                       &err), WEIR_OK);
        h.boot_id[0] ^= 1;
        out.len = 0;
        segment_format(&h, &out);
        assert_int_equal(pwrite(fd, out.data, out.len, 0), out.len);
        close(fd);
    }
    segment_names_free(&names);
    buf_free(&room);
    buf_free(&out);
}

static void
holes_of_a_power_cut(void **state)
{
    struct box           b, cut;
    struct segment_names names;
    char                 path[PATH_MAX];

    (void)state;
    box_make(&b, 8192, 0);
    box_make(&cut, 8192, 0);
    box_open(&b);
    write_some(&b, 0, 100, 2, 150);
    const uint64_t end = relay_end(b.relay);
    assert_int_equal(segment_list(b.dir, &names, &b.err), WEIR_OK);
    assert_true(names.nbases > 5);
    for (int kind = 0; kind < 4; kind++) {
        const uint64_t base = names.bases[names.nbases / 2];
        box_copy(&b, &cut);
        forget_boot(&cut);
        segment_path(path, cut.dir, base);
        if (kind == 0) {
            flip(path, 4096, 255);
        } else if (kind == 1) {
            flip(path, 3, 255); /* the header */
        } else if (kind == 2) {
            unlink(path);
        }
        box_open(&cut);
        const uint64_t got = read_all(&cut, 0);
        assert_true(kind == 3 ? got == 100 : got > 20 && got < 80);
        assert_true(relay_end(cut.relay) <= end + 64);
        write_some(&cut, got, 1, 1, 10);
        assert_true(relay_end(cut.relay) > end);
        assert_int_equal(read_all(&cut, 0), got + 1);
        box_close(&cut, true);
    }
    /* The same damage without a power cut is nobody's to mend. */
    box_copy(&b, &cut);
    segment_path(path, cut.dir, names.bases[1]);
    flip(path, 3, 255);
    cut.settings.dir = cut.dir;
    cut.settings.page_path = cut.page;
    assert_int_equal(relay_open(&cut.settings, &cut.relay, &cut.err),
                     WEIR_FATAL);
    assert_non_null(strstr(cut.err.text, path));
    segment_names_free(&names);
    box_close(&b, true);
    box_remove(&b);
    box_remove(&cut);
}

static void
another_pipelines_relay(void **state)
{
    struct box b;

    (void)state;
    box_make(&b, 0, 0);
    box_open(&b);
    write_some(&b, 0, 1, 1, 10);
    box_close(&b, true);
    b.settings.pipeline_id[3]++;
    assert_int_equal(relay_open(&b.settings, &b.relay, &b.err), WEIR_FATAL);
    assert_non_null(strstr(b.err.text, "another pipeline"));
    assert_null(b.relay);
    box_remove(&b);
}

/* ---- Where offsets go on */

static void
offsets_only_grow(void **state)
{
    struct box b;

    (void)state;
    box_clock = 1000000000000;
    box_make(&b, 0, 0);
    b.settings.now = box_now;
    box_open(&b);
    assert_true(relay_end(b.relay) == 1000000000000);
    write_some(&b, 0, 1, 1, 10);
    uint64_t end = relay_end(b.relay);
    box_clock += 5000000000;
    box_close(&b, true); /* STOP and END, then on without a jump */
    box_open(&b);
    assert_true(relay_end(b.relay) == end + 64);
    write_some(&b, 1, 1, 1, 10);
    end = relay_end(b.relay);
    box_close(&b, false); /* on at the clock */
    box_open(&b);
    write_some(&b, 2, 1, 1, 10);
    assert_true(relay_end(b.relay) > (uint64_t)box_clock);
    assert_true(relay_end(b.relay) < (uint64_t)box_clock + 1000);
    end = relay_end(b.relay);
    for (int i = 3; i < 9; i++) { /* set back: on where it ended */
        box_clock = 77;
        box_close(&b, i % 2);
        box_open(&b);
        write_some(&b, (uint64_t)i, 1, 1, 10);
        assert_true(relay_end(b.relay) > end);
        assert_true(relay_end(b.relay) < end + 10000);
        end = relay_end(b.relay);
    }
    assert_int_equal(read_all(&b, 0), 9);
    struct follower *f = box_follow(&b, 1001000000000);
    struct reading   r = { .next = 2 }; /* from within the jump */
    assert_int_equal(reading_go(f, &r, &b.err), WEIR_DROP);
    assert_int_equal(r.next, 9);
    follower_close(&f);
    box_close(&b, true);
    box_remove(&b);
}

/* A STOP whose relay was opened again is not believed, whatever was lost. */
static void
a_stop_is_believed_once(void **state)
{
    struct box b;
    char       path[PATH_MAX];

    (void)state;
    box_clock = 1000000000000;
    box_make(&b, 0, 0);
    b.settings.now = box_now;
    box_open(&b);
    write_some(&b, 0, 1, 1, 10);
    box_close(&b, true);
    box_clock += 1000000;
    box_open(&b);
    write_some(&b, 1, 5, 1, 10);
    const uint64_t given = relay_end(b.relay);
    box_close(&b, false);
    forget_boot(&b);
    last_segment(&b, path);
    assert_int_equal(truncate(path, 88), 0);
    box_clock += 1000000;
    box_open(&b);
    assert_int_equal(read_all(&b, 0), 1);
    write_some(&b, 1, 1, 1, 10);
    assert_true(relay_end(b.relay) > given);
    assert_true(relay_end(b.relay) > (uint64_t)box_clock);
    box_close(&b, true);
    box_remove(&b);
}

/* ---- Room */

static void
what_is_needed_stays(void **state)
{
    struct box b;
    int64_t    used;
    int        n;

    (void)state;
    box_clock = 1000000000000;
    box_make(&b, 64 << 10, 1 << 20);
    b.settings.now = box_now;
    b.settings.keep_usec = 60000000;
    box_open(&b);
    write_some(&b, 0, 1, 0, 10);
    const uint64_t needed = relay_first(b.relay);
    write_some(&b, 1, 300, 2, 2000);
    const int64_t all = folder_bytes(&b, ".relay", &n);
    assert_true(all > 2 << 20);
    assert_int_equal(relay_retain(b.relay, needed, &used, &b.err), WEIR_OK);
    assert_true(used > all - 100 && used <= all);
    assert_int_equal(read_all(&b, 0), 301);
    /* Done, but beyond what fits: only as much is kept. */
    assert_int_equal(relay_retain(b.relay, relay_published(b.relay), &used,
                                  &b.err), WEIR_OK);
    assert_int_equal(used, 0);
    assert_true(folder_bytes(&b, "", &n) <= 1 << 20);
    assert_true(folder_bytes(&b, ".relay", &n) > 800000);
    struct follower *f = box_follow_first(&b);
    assert_int_equal(follower_seek(f, needed, &b.err), WEIR_REJECT);
    follower_close(&f);
    /* Within size until it is old. */
    folder_bytes(&b, ".relay", &n);
    const int before = n;
    box_clock += 59000000000;
    relay_retain(b.relay, relay_published(b.relay), &used, &b.err);
    folder_bytes(&b, ".relay", &n);
    assert_int_equal(n, before);
    box_clock += 2000000000;
    relay_retain(b.relay, relay_published(b.relay), &used, &b.err);
    folder_bytes(&b, ".relay", &n);
    assert_int_equal(n, 1);
    folder_bytes(&b, "spare", &n);
    assert_true(n >= 1 && n <= 3);
    box_close(&b, true);
    box_open(&b);
    assert_false(relay_is_new(b.relay));
    box_close(&b, true);
    box_remove(&b);
}

/* What is left in a segment that is written over is never given. */
static void
stale_frames_stay_unseen(void **state)
{
    struct box b, killed;
    int64_t    used;
    int        spares, most = 0;

    (void)state;
    box_make(&b, 16 << 10, 1 << 20);
    box_make(&killed, 16 << 10, 1 << 20);
    box_open(&b);
    for (uint64_t i = 0; i < 300; i++) {
        write_some(&b, i, 1, 3, 300);
        relay_retain(b.relay, relay_published(b.relay), &used, &b.err);
        folder_bytes(&b, "spare", &spares);
        most = spares > most ? spares : most;
        if (i % 7 == 0) {
            struct follower *f = box_follow_first(&b);
            struct frame     frame;
            assert_int_equal(follower_next(f, &frame, &b.err), WEIR_OK);
            /* It may be in the middle of a transaction. */
            const struct reading r = { get_le64(frame.payload.data), 5,
                                       (unsigned)frame.payload.data[16] };
            follower_close(&f);
            box_copy(&b, &killed);
            box_open(&killed);
            assert_int_equal(read_on(&killed, r), i + 1);
            box_close(&killed, true);
        }
    }
    assert_true(most >= 1 && most <= 3);
    box_close(&b, true);
    box_remove(&b);
    box_remove(&killed);
}

static void
a_transaction_too_large(void **state)
{
    struct box b;

    (void)state;
    box_make(&b, 64 << 10, 1 << 20);
    b.settings.max_transaction = 200000;
    box_open(&b);
    write_some(&b, 0, 1, 1, 10);
    const struct txn large = { 1, 1, 100, 5000 };
    assert_int_equal(txn_append(b.relay, &large, UINT32_MAX, &b.err),
                     WEIR_FATAL);
    assert_non_null(strstr(b.err.text, "max_transaction"));
    assert_int_equal(relay_cut(b.relay, &b.err), WEIR_OK);
    write_some(&b, 1, 1, 1, 10);
    assert_int_equal(read_all(&b, 0), 2);
    box_close(&b, true);
    box_remove(&b);
}

static void
waiting_ends(void **state)
{
    struct box b;

    (void)state;
    box_make(&b, 0, 0);
    box_open(&b);
    struct follower *f = box_follow(&b, relay_published(b.relay));
    const int64_t    start = clock_steady();
    follower_wait(f, 20000); /* the time is over */
    assert_true(clock_steady() - start >= 20000);
    write_some(&b, 0, 1, 0, 1);
    follower_wait(f, 100000000); /* there is something already */
    const pid_t child = fork();
    if (child == 0) { /* woken, however late this process comes */
        struct reading r = { 0 };
        while (r.next < 500) {
            if (reading_go(f, &r, &b.err) != WEIR_DROP) {
                _exit(1);
            }
            if (r.next < 500) {
                follower_wait(f, 100000000);
            }
        }
        _exit(0);
    }
    write_some(&b, 1, 499, 0, 1);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(clock_steady() - start < 50000000);
    follower_close(&f);
    box_close(&b, true);
    box_remove(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_relay),
        cmocka_unit_test(large_frames),
        cmocka_unit_test(seek_to_each_offset),
        cmocka_unit_test(held_blocks_stay),
        cmocka_unit_test(torn_at_each_byte),
        cmocka_unit_test(each_bit_altered),
        cmocka_unit_test(holes_of_a_power_cut),
        cmocka_unit_test(another_pipelines_relay),
        cmocka_unit_test(offsets_only_grow),
        cmocka_unit_test(a_stop_is_believed_once),
        cmocka_unit_test(what_is_needed_stays),
        cmocka_unit_test(stale_frames_stay_unseen),
        cmocka_unit_test(a_transaction_too_large),
        cmocka_unit_test(waiting_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
