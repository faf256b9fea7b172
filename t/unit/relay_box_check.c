/* relay_box_check.c - what tests of the relay ask of a box; see relay_box.h. */
#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/segment.h"
#include "relay_box.h"

int64_t
box_bytes(const struct box *b, const char *part, int *n)
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

int64_t
box_last_segment(const struct box *b, char path[static PATH_MAX])
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

uint64_t
box_read_on(struct box *b, struct reading r)
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

uint64_t
box_read(struct box *b, uint64_t from_number)
{
    return box_read_on(b, (struct reading){ .next = from_number });
}

void
box_write(struct box *b, uint64_t first, uint64_t n, unsigned rows,
           size_t size)
{
    for (uint64_t i = first; i < first + n; i++) {
        txn_write(b, &(struct txn){ i, 5, rows, size });
    }
}

void
file_flip(const char *path, uint64_t at, uint8_t bits)
{
    uint8_t   byte;
    const int fd = open(path, O_RDWR);

    assert_int_not_equal(fd, -1);
    assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= bits;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
}

void
box_forget_boot(const struct box *b)
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
