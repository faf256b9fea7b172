/* relay_page.c - see relay_page.h. */
#include "relay/relay_page.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"

enum { RELAY_PAGE_MAGIC = 0x31475052 }; /* "RPG1" */

static enum weir_status
page_size(int fd, const char *path, bool writer, struct weir_err *err)
{
    struct stat st;

    if (fstat(fd, &st) == -1) {
        return fail_errno(err, WEIR_FATAL, "stat %s", path);
    }
    if (st.st_size >= 2 * RELAY_PAGE_SIZE) {
        return WEIR_OK;
    }
    if (!writer) {
        return weir_fail(err, WEIR_DROP,
                         "%s is being made by the source worker", path);
    }
    /* A hole would be a SIGBUS later where the disk is full. */
    errno = posix_fallocate(fd, 0, 2 * RELAY_PAGE_SIZE);
    return errno ? fail_errno(err, WEIR_RETRY, "make %s", path) : WEIR_OK;
}

static enum weir_status
page_map(int fd, const char *path, bool writer, struct relay_page *out,
         struct weir_err *err)
{
    const enum weir_status st = page_size(fd, path, writer, err);
    if (st != WEIR_OK) {
        return st;
    }
    void *shown = mmap(NULL, RELAY_PAGE_SIZE,
                       writer ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED,
                       fd, 0);
    if (shown == MAP_FAILED) {
        return fail_errno(err, WEIR_FATAL, "mmap %s", path);
    }
    void *asleep = mmap(NULL, RELAY_PAGE_SIZE, PROT_READ | PROT_WRITE,
                        MAP_SHARED, fd, RELAY_PAGE_SIZE);
    if (asleep == MAP_FAILED) {
        munmap(shown, RELAY_PAGE_SIZE);
        return fail_errno(err, WEIR_FATAL, "mmap %s", path);
    }
    *out = (struct relay_page){ shown, asleep };
    return WEIR_OK;
}

enum weir_status
relay_page_open(const char *path, bool writer, struct relay_page *out,
                struct weir_err *err)
{
    const int fd = open(path, O_RDWR | O_CLOEXEC | (writer ? O_CREAT : 0),
                        0600);
    if (fd == -1 && errno == ENOENT && !writer) {
        return weir_fail(err, WEIR_DROP,
                         "the source worker has not opened the relay yet "
                         "(%s isn't there)", path);
    }
    if (fd == -1) {
        return fail_errno(err, WEIR_FATAL, "open %s", path);
    }
    const enum weir_status st = page_map(fd, path, writer, out, err);
    close(fd);
    if (st == WEIR_OK && !writer &&
        atomic_load(&out->shown->magic) != RELAY_PAGE_MAGIC) {
        relay_page_close(out);
        return weir_fail(err, WEIR_DROP,
                         "the source worker has not opened the relay yet (%s)",
                         path);
    }
    return st;
}

void
relay_page_close(struct relay_page *page)
{
    if (page->shown) {
        munmap(page->shown, RELAY_PAGE_SIZE);
        munmap(page->asleep, RELAY_PAGE_SIZE);
    }
    *page = (struct relay_page){ 0 };
}

void
relay_page_publish(struct relay_page *page, uint64_t published,
                   uint64_t open_base)
{
    bool somebody = false;

    atomic_store_explicit(&page->shown->open_base, open_base,
                          memory_order_relaxed);
    atomic_store(&page->shown->published, published);
    atomic_fetch_add(&page->shown->publishes, 1);
    atomic_store_explicit(&page->shown->magic, RELAY_PAGE_MAGIC,
                          memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);
    for (int i = 0; i < RELAY_FOLLOWERS; i++) {
        somebody |= atomic_load_explicit(&page->asleep[i],
                                         memory_order_relaxed) != 0;
    }
    if (somebody) {
        syscall(SYS_futex, &page->shown->publishes, FUTEX_WAKE, INT_MAX, NULL,
                NULL, 0);
    }
}

uint64_t
relay_page_published(const struct relay_page *page)
{
    return atomic_load_explicit(&page->shown->published, memory_order_acquire);
}

void
relay_page_wait(struct relay_page *page, unsigned slot, uint64_t seen,
                int64_t usec)
{
    const struct timespec ts = { usec / 1000000, usec % 1000000 * 1000 };

    if (usec <= 0) {
        return;
    }
    atomic_store(&page->asleep[slot], 1);
    atomic_thread_fence(memory_order_seq_cst);
    const uint32_t before = atomic_load(&page->shown->publishes);
    if (relay_page_published(page) <= seen) {
        syscall(SYS_futex, &page->shown->publishes, FUTEX_WAIT, before, &ts,
                NULL, 0);
    }
    atomic_store(&page->asleep[slot], 0);
}
