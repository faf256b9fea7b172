/*
 * file.h - whole files and whole writes.  Errors name the call and the path:
 * "rename /a/b: No space left on device".
 */
#ifndef WEIR_BASE_FILE_H
#define WEIR_BASE_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <weir/module.h>

#include "base/arena.h"

/* All of a file, with a NUL behind it; FATAL if it is larger than `max`. */
enum weir_status file_read(struct arena *a, const char *path, size_t max,
                           struct weir_str *out, struct weir_err *err);

/* A file of ours that holds one line, such as a password: without its line
 * end.  FATAL also if others than its owner and root may read it. */
enum weir_status file_read_secret(struct arena *a, const char *path,
                                  struct weir_str *out, struct weir_err *err);

/* All or an error; goes on after a signal and after a short write. */
enum weir_status file_write(int fd, const char *path, const void *data,
                            size_t len, struct weir_err *err);
enum weir_status file_pwrite(int fd, const char *path, const void *data,
                             size_t len, uint64_t at, struct weir_err *err);
/* Up to len bytes; fewer only at the end of the file. -1: errno. */
ssize_t file_pread(int fd, void *data, size_t len, uint64_t at);

/* Replaced whole: written beside it, synced, renamed, the folder synced. */
enum weir_status file_replace(const char *path, struct weir_str data,
                              mode_t mode, struct weir_err *err);

/* Makes a folder and its parents; one that is there is fine. */
enum weir_status file_mkdir(const char *path, mode_t mode,
                            struct weir_err *err);
enum weir_status file_sync_dir(const char *path, struct weir_err *err);

#endif
