/*
 * page.h - what a worker shows of itself: one file of shared memory each, in
 * <state>/run, made by the master, written by the worker, read by the master
 * (hangs, crash reports) and by `weir -s status`.  Nothing relies on it being
 * true.  Numbers are single atomic words; texts are read under a sequence lock.
 */
#ifndef WEIR_BASE_PAGE_H
#define WEIR_BASE_PAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <weir/module.h>

enum { PAGE_MAGIC = 0x31505257, PAGE_TEXTS = 6 }; /* "WRP1" */

enum page_state {
    PAGE_STARTING,  /* opening, restoring */
    PAGE_CONNECTING,
    PAGE_RUNNING,
    PAGE_WAITING,   /* for its next try: see the reason */
    PAGE_FULL,      /* a source that waits for room in the relay */
    PAGE_STOPPED,   /* until a person changes something: see the reason */
    PAGE_DRAINING,
    PAGE_ENDED,     /* drained, or a source that has read all its files */
    PAGE_PAUSED,    /* drained and held by weirctl: see the reason */
    PAGE_NO_ROOM,   /* as PAGE_WAITING, for a disk of this machine */
};

enum page_text {
    PAGE_REASON,   /* of the state; empty while all is well */
    PAGE_GTID,     /* executed set: read (source) or done (sink) */
    PAGE_FILE,     /* the source's log file of that position */
    PAGE_WRITING,  /* table and position of the batch being written */
    PAGE_MODULE,   /* "redis 0.1.0" */
    PAGE_SERVER,   /* "db2:3306 (10.11.6-MariaDB)"; the source's */
};

struct page_text_field { char text[1024]; };

struct worker_page {
    uint32_t magic, size;
    char     pipeline[65], sink[65]; /* an empty sink: this is the source */

    _Atomic int32_t  pid;
    _Atomic int32_t  state;         /* enum page_state */
    _Atomic int64_t  heartbeat;     /* steady clock, microseconds */
    _Atomic int64_t  started_usec;  /* wall clock */
    _Atomic uint32_t restarts;      /* after crashes; by the master */
    _Atomic uint64_t file_offset;   /* in PAGE_FILE */
    _Atomic uint64_t relay_offset;  /* written to (source) or done (sink) */
    _Atomic int64_t  commit_usec;   /* source's time of the last transaction
                                       done; 0 if none was */
    _Atomic int64_t  lag_usec;      /* of the last one when it was done; 0 when
                                       caught up */
    _Atomic uint64_t transactions, rows, batches, retries, rejects, bytes;
    /* Of rows decoded: read = rows (applied) + the next four, after kill -9
     * too: all five are counted when what stands before them is done, and what
     * is read again after that is counted again, in each. */
    _Atomic uint64_t rows_read, rows_filtered, rows_parked, rows_dead,
        rows_skipped;
    _Atomic uint64_t relay_used, relay_size; /* bytes; the source's */
    _Atomic uint32_t parked_tables;
    _Atomic uint32_t dead_letters;  /* 1 while there are any */
    _Atomic uint32_t caught_up;     /* 1 while there is nothing to do */
    _Atomic uint32_t restored;      /* 1 once a sink's stored position is known */
    _Atomic int32_t  log_errno;     /* why the log can't be written; 0: it can */

    _Atomic uint32_t       sequence; /* odd while a text is being written */
    struct page_text_field texts[PAGE_TEXTS];
};

/* Makes (master) or opens (worker, status) the file and maps it.  The master
 * gives `pipeline` and `sink`, others NULL.  Unmapped by page_close(). */
enum weir_status page_create(const char *path, const char *pipeline,
                             const char *sink, struct worker_page **out,
                             struct weir_err *err);
enum weir_status page_open(const char *path, bool writable,
                           struct worker_page **out, struct weir_err *err);
void             page_close(struct worker_page *page);

/* By the worker only; from any of its threads. */
void page_set_text(struct worker_page *page, enum page_text which,
                   struct weir_str text);
void page_set_state(struct worker_page *page, enum page_state state,
                    const char *reason);
/* PAGE_WAITING, or PAGE_NO_ROOM where the reason tells of a full disk. */
void page_set_waiting(struct worker_page *page, const char *reason);
void page_beat(struct worker_page *page);
/* It was alive at `usec`, of the steady clock. */
void page_beat_at(struct worker_page *page, int64_t usec);

/* By any reader; cut to `room`, with a NUL. */
void page_get_text(const struct worker_page *page, enum page_text which,
                   char *out, size_t room);

const char *page_state_name(enum page_state state); /* "running" */

#endif
