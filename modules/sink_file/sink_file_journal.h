/*
 * sink_file_journal.h - the sink's own list of its files, with the checkpoints:
 * how long each file was when its last batch was whole.  Only ever appended to,
 * one record a batch, and now and then replaced by a short one.
 *
 * On disk: "WEIRSF1\n", then records of u32 length, u32 CRC-32 of what follows,
 * and items of that length, all little-endian.  An item is a letter and
 *
 *     F u64 length, u32 n, n bytes of path     a file; numbered from 0
 *     L u32 number, u64 length                 its length now
 *     P u32 number, u32 part, u64 ms, u64 length   it goes on in that part,
 *                                              begun then; parts before it are
 *                                              done with
 *     C u64 epoch, u32 slot, u32 n, id, u32 n, data     a checkpoint
 *     X u32 slot, u32 n, id                    one that is no longer used
 *
 * A record is whole or was never there: one that is cut off at the end of the
 * file is taken away, and so is nothing else.
 */
#ifndef SINK_FILE_JOURNAL_H
#define SINK_FILE_JOURNAL_H

#include "sink_file_bytes.h"
#include "sink_file_set.h"

struct stored {
    struct weir_checkpoint cp; /* its texts are of one malloc, at cp.id.data */
};

struct journal {
    char          *path, *temporary;
    bool           sync;
    int            fd;   /* -1: not read yet */
    uint64_t       size; /* of what is whole */
    uint64_t       compact_at;
    size_t         nstored;
    struct stored *stored;
    struct bytes   record; /* the one at work */
};

enum weir_status journal_init(struct journal *j, const char *folder, bool sync,
                              struct weir_err *err);
void             journal_fini(struct journal *j);

/* Reads it (or begins one) into an empty set.  FATAL: damaged. */
enum weir_status journal_load(struct journal *j, struct file_set *set,
                              struct weir_err *err);
/* NULL: none is stored. */
const struct weir_checkpoint *journal_find(const struct journal *j,
                                           struct weir_str id, uint32_t slot);

/* Before the first byte of new files and parts: that they are ours, and as long
 * as they are.  After any error it has to be loaded again. */
enum weir_status journal_announce(struct journal *j, struct file_set *set,
                                  struct file *touched, struct weir_err *err);
/* What the touched files have now, and the checkpoint, in one record. */
enum weir_status journal_commit(struct journal *j, const struct file *touched,
                                const struct weir_checkpoint *cp,
                                struct weir_err              *err);
/* Between batches: makes it short again, if it has grown long. */
enum weir_status journal_tidy(struct journal *j, const struct file_set *set,
                              struct weir_err *err);
enum weir_status journal_forget(struct journal *j, struct weir_str id,
                                uint32_t slot, struct weir_err *err);

#endif
