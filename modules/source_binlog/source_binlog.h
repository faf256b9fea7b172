/*
 * source_binlog.h - what the files of this module share: which files there are
 * (files.c), and events out of one of them (reader.c).
 */
#ifndef SOURCE_BINLOG_H
#define SOURCE_BINLOG_H

#include <weir/module.h>

struct binlog_conf {
    const char      *path;
    struct weir_list files;
    bool             follow;
};

enum { /* sql/log_event.h */
    BINLOG_MAGIC_BYTES = 4,
    BINLOG_HEADER_BYTES = 19,
    BINLOG_AT_TYPE = 4,
    BINLOG_AT_LENGTH = 9,
    BINLOG_AT_LOG_POS = 13,
    BINLOG_AT_FLAGS = 17,
    BINLOG_ROTATE = 4,
    BINLOG_FORMAT = 15,
    BINLOG_ARTIFICIAL = 0x20,
};

/* ---- files.c */

struct binlog_files { size_t n; char **paths; }; /* in the order of reading */

/* Fills *out anew; it stays as it was if that fails. */
enum weir_status binlog_files_load(const struct binlog_conf *conf,
                                   struct binlog_files *out,
                                   struct weir_err *err);
void             binlog_files_free(struct binlog_files *files);
/* By its name without folders. */
bool binlog_files_find(const struct binlog_files *files, struct weir_str name,
                       size_t *out);
const char *binlog_file_name(const char *path);
/* Is that the name of the file that comes behind the last of them? */
bool binlog_files_to_come(const struct binlog_files *files,
                          struct weir_str name);
/* FATAL: there must be others between the two. */
enum weir_status binlog_files_adjoin(const char *path, const char *next,
                                     struct weir_err *err);

/* ---- reader.c */

struct binlog_reader {
    int            fd; /* -1: none */
    const char    *path;
    unsigned char *block;
    size_t         room, begin, end; /* bytes read and not yet given */
    uint64_t       offset;           /* of block[begin] in the file */
};

enum weir_status reader_init(struct binlog_reader *r, struct weir_err *err);
void             reader_fini(struct binlog_reader *r);
enum weir_status reader_open(struct binlog_reader *r, const char *path,
                             struct weir_err *err);
enum weir_status reader_seek(struct binlog_reader *r, uint64_t offset,
                             struct weir_err *err);
/* The next event, whole; it stays until the next call.  PENDING: the file ends
 * here for now; what there is of an event is then reader_left() bytes. */
enum weir_status reader_event(struct binlog_reader *r, struct weir_str *out,
                              struct weir_err *err);
size_t           reader_left(const struct binlog_reader *r);

uint32_t binlog_u32(const unsigned char *p);

#endif
