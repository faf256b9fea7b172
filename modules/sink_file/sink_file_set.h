/*
 * sink_file_set.h - the files that a sink writes: found by path, opened below
 * the root, a bounded number of them open at a time.  Knows lengths and lines,
 * not events and not checkpoints.
 */
#ifndef SINK_FILE_SET_H
#define SINK_FILE_SET_H

#include <weir/module.h>

/* What has to be written to a file, in order; not copied. */
struct line {
    struct line    *next;
    struct weir_str text;
};

struct file {
    char        *path; /* below the root, with a NUL */
    size_t       path_len;
    char        *name;          /* of the part that is written to */
    uint32_t     part;          /* 0: it has none, and its name is its path */
    int64_t      begun_ms;      /* of that part, since 1970 */
    bool         moved;         /* to that part, which is not yet noted */
    uint32_t     number;        /* its place in the list */
    uint64_t     length;        /* committed */
    uint64_t     written;       /* of the batch at work, behind that */
    int          fd;            /* -1: not open */
    struct file *newer, *older; /* of those open */
    struct file *next_touched;
    struct line *first, *last;
    bool         touched, rotated; /* by the batch at work */
};

struct file_set {
    int           root;
    const char   *root_path;
    bool          sync;
    size_t        n, room, max;
    size_t        announced; /* the first so many are in the journal */
    struct file **files;     /* by number */
    uint32_t     *buckets;   /* number + 1, or 0; a power of two of them */
    size_t        nbuckets;
    struct file  *newest, *oldest; /* of those open */
    unsigned      nopen;
};

/* RETRY for what may pass, such as a full disk; else FATAL. */
enum weir_status status_of_errno(int error);

/* NULL: there is none. */
struct file *file_set_find(const struct file_set *set, struct weir_str path);
/* FATAL: more than set->max.  REJECT: not a path that stays below the root. */
enum weir_status file_set_add(struct file_set *set, struct weir_str path,
                              uint64_t length, struct file **out,
                              struct weir_err *err);
/* Goes on in that part, of which so much is there. */
void file_set_part(struct file_set *set, struct file *f, uint32_t part,
                   uint64_t length, int64_t begun_ms);
/* "a/b" and "a/b.gz" are "a/b.000007" and "a/b.000007.gz"; `out` has
 * PART_ROOM bytes more than the path. */
enum { PART_ROOM = 16 };
void file_part_name(const struct file *f, uint32_t part, char *out);
/* A part that is done with: *size and *changed (seconds since 1970).  DROP:
 * there is none.  file_set_remove(): it is gone. */
enum weir_status file_set_stat(struct file_set *set, const char *name,
                               uint64_t *size, int64_t *changed,
                               struct weir_err *err);
enum weir_status file_set_remove(struct file_set *set, const char *name,
                                 struct weir_err *err);
/* Closes all and forgets all; keeps the root. */
void file_set_clear(struct file_set *set);

/* How long the file is now; 0 if there is none. */
enum weir_status file_set_size(struct file_set *set, struct weir_str path,
                               uint64_t *out, struct weir_err *err);
/* Cuts what is behind the committed length.  FATAL: it is shorter than that. */
enum weir_status file_set_cut(struct file_set *set, struct file *f,
                              struct weir_err *err);
/* Writes its lines behind the committed length; synced, if the set is. */
enum weir_status file_set_write(struct file_set *set, struct file *f,
                                struct weir_err *err);

#endif
