/* page.c - see page.h. */
#include "base/page.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

static enum weir_status
map_page(const char *path, int flags, struct worker_page **out,
         struct weir_err *err)
{
    struct stat st;

    const int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd == -1) {
        return fail_errno(err, WEIR_FATAL, "open %s", path);
    }
    /* A hole would be a SIGBUS later where the disk is full. */
    if (flags & O_CREAT) {
        errno = posix_fallocate(fd, 0, (off_t)sizeof(struct worker_page));
        if (errno) {
            const enum weir_status failed =
                fail_errno(err, WEIR_FATAL, "make %s", path);
            close(fd);
            unlink(path);
            return failed;
        }
    }
    if (fstat(fd, &st) == -1 ||
        st.st_size < (off_t)sizeof(struct worker_page)) {
        close(fd);
        return weir_fail(err, WEIR_FATAL, "%s is not a worker's page", path);
    }
    const int protection =
        (flags & O_ACCMODE) == O_RDONLY ? PROT_READ : PROT_READ | PROT_WRITE;
    void *p = mmap(NULL, sizeof(struct worker_page), protection, MAP_SHARED,
                   fd, 0);
    close(fd);
    if (p == MAP_FAILED) {
        return fail_errno(err, WEIR_FATAL, "mmap %s", path);
    }
    *out = p;
    return WEIR_OK;
}

enum weir_status
page_create(const char *path, const char *pipeline, const char *sink,
            struct worker_page **out, struct weir_err *err)
{
    if (unlink(path) == -1 && errno != ENOENT) {
        return fail_errno(err, WEIR_FATAL, "unlink %s", path);
    }
    const enum weir_status st =
        map_page(path, O_RDWR | O_CREAT | O_EXCL, out, err);
    if (st == WEIR_OK) {
        struct worker_page *page = *out;
        page->magic = PAGE_MAGIC;
        page->size = sizeof *page;
        snprintf(page->pipeline, sizeof page->pipeline, "%s", pipeline);
        snprintf(page->sink, sizeof page->sink, "%s", sink);
        page_beat(page);
    }
    return st;
}

enum weir_status
page_open(const char *path, bool writable, struct worker_page **out,
          struct weir_err *err)
{
    const enum weir_status st =
        map_page(path, writable ? O_RDWR : O_RDONLY, out, err);
    if (st == WEIR_OK && ((*out)->magic != PAGE_MAGIC ||
                          (*out)->size != sizeof(struct worker_page))) {
        page_close(*out);
        *out = NULL;
        return weir_fail(err, WEIR_FATAL,
                         "%s was made by another version of weir", path);
    }
    return st;
}

void
page_close(struct worker_page *page)
{
    if (page) {
        munmap(page, sizeof *page);
    }
}

/* A follower's thread and the one that takes signals both say things. */
static pthread_mutex_t text_lock = PTHREAD_MUTEX_INITIALIZER;

void
page_set_text(struct worker_page *page, enum page_text which,
              struct weir_str text)
{
    char        *field = page->texts[which].text;
    const size_t room = sizeof page->texts[which].text - 1;
    const size_t n = text.len < room ? text.len : room;

    pthread_mutex_lock(&text_lock);
    atomic_fetch_add(&page->sequence, 1);
    if (n) {
        memcpy(field, text.data, n);
    }
    field[n] = '\0';
    atomic_fetch_add(&page->sequence, 1);
    pthread_mutex_unlock(&text_lock);
}

void
page_set_state(struct worker_page *page, enum page_state state,
               const char *reason)
{
    page_set_text(page, PAGE_REASON,
                  (struct weir_str){ reason, reason ? strlen(reason) : 0 });
    atomic_store(&page->state, (int32_t)state);
    page_beat(page);
}

void
page_set_waiting(struct worker_page *page, const char *reason)
{
    page_set_state(page, strstr(reason, ERR_NO_ROOM) ? PAGE_NO_ROOM
                                                     : PAGE_WAITING, reason);
}

void
page_beat_at(struct worker_page *page, int64_t usec)
{
    atomic_store_explicit(&page->heartbeat, usec, memory_order_relaxed);
    atomic_store_explicit(&page->log_errno, log_trouble(),
                          memory_order_relaxed);
}

void
page_beat(struct worker_page *page)
{
    page_beat_at(page, clock_steady());
}

void
page_get_text(const struct worker_page *page, enum page_text which, char *out,
              size_t room)
{
    /* A writer killed in the middle leaves an odd number: give up waiting. */
    for (int tries = 0; tries < 1000; tries++) {
        const uint32_t before = atomic_load(&page->sequence);
        snprintf(out, room, "%.*s",
                 (int)sizeof page->texts[which].text - 1,
                 page->texts[which].text);
        if (!(before & 1) && before == atomic_load(&page->sequence)) {
            return;
        }
    }
}

const char *
page_state_name(enum page_state state)
{
    static const char *const names[] = { "starting", "connecting", "running",
                                         "waiting",  "relay full", "stopped",
                                         "draining", "ended",     "paused",
                                         "disk full" };
    return (size_t)state < sizeof names / sizeof *names ? names[state]
                                                        : "unknown";
}
