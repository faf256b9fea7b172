/*
 * xa_file.h - one prepared XA transaction in a file of its own, named by its
 * XID, until its XA COMMIT or XA ROLLBACK comes.  Knows the file and no stream:
 * what the records mean is for who writes and reads them.  One thread.
 *
 * A file: XA_MARK_ROOM bytes for a mark that says where the group was
 * committed (u32 length, u32 CRC32C, text), then records in the form of relay
 * frames (relay/frame.h), each with its own offset in the file, of the types
 * below; PREPARED is the last.  An empty file is a group without anything, as a
 * person may make one.
 */
#ifndef WEIR_RECEIVE_XA_FILE_H
#define WEIR_RECEIVE_XA_FILE_H

#include <limits.h>
#include <stdbool.h>

#include "base/buf.h"
#include "relay/frame.h"

enum xa_record {
    XA_RECORD_TABLE = 1, /* a table frame's payload; numbered from 0 */
    XA_RECORD_ROW,       /* u32 table, event */
    XA_RECORD_STATEMENT, /* event: a QUERY */
    XA_RECORD_LEFT_OUT,  /* "schema\0table": rows of it were not kept */
    XA_RECORD_PREPARED,  /* the XID */
};

enum { XA_MARK_ROOM = 1024 };

/* The file name for an XID in the servers' form, "X'6f',X'',1", into out:
 * letters and digits, whatever the XID's bytes are.  False: it is none. */
bool xa_file_name(struct weir_str xid, char out[static NAME_MAX + 1]);

struct xa_writer {
    const char *dir;
    char        path[PATH_MAX]; /* of the file that is not whole yet */
    int         fd;             /* -1: none */
    uint64_t    end;            /* of what is in the file, and in `out` */
    uint64_t    max;            /* of a group; 0: what the disk has */
    struct buf  out;            /* not written yet */
};

void xa_writer_init(struct xa_writer *w, const char *dir, uint64_t max);
/* Throws away what is not whole. */
void xa_writer_discard(struct xa_writer *w);
void xa_writer_free(struct xa_writer *w);
/* FATAL if the group becomes larger than `max`, RETRY where the disk refuses or
 * has less than a twentieth left. */
enum weir_status xa_writer_put(struct xa_writer *w, enum xa_record type,
                               const void *head, size_t head_len,
                               const void *data, size_t len,
                               struct weir_err *err);
/* The group is whole: on disk, under its name, in the place of an older one. */
enum weir_status xa_writer_keep(struct xa_writer *w, struct weir_str xid,
                                const char *name, struct weir_err *err);
/* Written, to be read at once from w->path; nothing is synced. */
enum weir_status xa_writer_finish(struct xa_writer *w, struct weir_err *err);
bool             xa_writer_is_empty(const struct xa_writer *w);

struct xa_reader {
    int         fd;
    const char *path;
    uint64_t    at, size;
    struct buf  room;
};

/* DROP: there is no such file. */
enum weir_status xa_reader_open(struct xa_reader *r, const char *path,
                                struct weir_err *err);
/* The next record, which points into the reader's room; DROP at the end of
 * what is whole. */
enum weir_status xa_reader_next(struct xa_reader *r, struct frame *out,
                                struct weir_err *err);
void             xa_reader_close(struct xa_reader *r);

/* The mark, which is not synced; the text is at most XA_MARK_ROOM - 8 bytes.
 * Reading gives an empty one where there is none, or none that is whole. */
enum weir_status xa_mark_write(const char *path, struct weir_str text,
                               struct weir_err *err);
enum weir_status xa_mark_read(const char *path, struct buf *out,
                              struct weir_err *err);

#endif
