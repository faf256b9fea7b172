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
    uint32_t     number;        /* its place in the list */
    uint64_t     length;        /* committed */
    uint64_t     written;       /* of the batch at work, behind that */
    int          fd;            /* -1: not open */
    struct file *newer, *older; /* of those open */
    struct file *next_touched;
    struct line *first, *last;
    bool         touched;
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
