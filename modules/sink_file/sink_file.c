/*
 * sink_file.c - one line an event, in files named by a template, exactly once:
 * the journal (sink_file_journal.h) says how long each file was at the last
 * checkpoint, and restore() cuts them to that.  Knows no format: bodies come
 * ready-made from the server.
 */
#include "sink_file_conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libdeflate.h>

#include "sink_file_journal.h"
#include "sink_file_rotate.h"
#include "sink_file_set.h"

/* Bytes that a name may have, so that with its suffixes it still is one. */
enum { MAX_NAME = 255 - PART_ROOM, RETAIN_MS = 60000 };

struct sink {
    struct weir_instance   *in;
    const struct file_conf *conf;
    char                   *root;
    int                     lock;
    bool                    is_loaded; /* set and journal are as on disk */
    struct file_set         set;
    struct journal          journal;
    struct file            *touched, *last_touched; /* by the batch at work */
    size_t                  nlines, room;
    struct line            *lines;
    struct rotation         rotation;
    int64_t                 retained_ms; /* when old parts were last sought */
    struct libdeflate_compressor *gzip;  /* NULL: not compressed */
};

static void
file_batching(const void *conf, struct weir_batching *batching)
{
    (void)conf;
    batching->guarantee = WEIR_EXACTLY_ONCE;
    batching->max_lanes = 1; /* two lanes may come to write one file */
}

/* ---- Opening */

static enum weir_status
fail_path(struct weir_err *err, const char *call, const char *path,
          const char *advice)
{
    const int error = errno;

    return weir_fail(err, status_of_errno(error), "%s %s: %s%s", call, path,
                     strerror(error), advice);
}

/* One process at a time: the one before may still be on its way out. */
static enum weir_status
lock_folder(struct sink *s, const char *folder, struct weir_err *err)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/sink_file.lock", folder);
    s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->lock == -1) {
        return fail_path(err, "open", path, "");
    }
    if (flock(s->lock, LOCK_EX | LOCK_NB) == -1) {
        return weir_fail(err, WEIR_RETRY,
                         "lock %s: another process writes for this sink", path);
    }
    return WEIR_OK;
}

static enum weir_status
open_root(struct sink *s, const char *folder, struct weir_err *err)
{
    struct stat  ours, root;
    const size_t room = strlen(folder) + sizeof "/files";

    s->root = s->conf->root ? strdup(s->conf->root) : malloc(room);
    if (!s->root) {
        return weir_fail(err, WEIR_RETRY, "open the file sink: no memory");
    }
    if (!s->conf->root) {
        snprintf(s->root, room, "%s/files", folder);
        if (mkdir(s->root, 0750) == -1 && errno != EEXIST) {
            return fail_path(err, "mkdir", s->root, "");
        }
    }
    s->set.root_path = s->root;
    s->set.root = open(s->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->set.root == -1 || fstat(s->set.root, &root) == -1) {
        return fail_path(err, "open root", s->root,
                         errno == ENOENT || errno == EACCES
                             ? "; make it, for the user that Weir runs as"
                             : "");
    }
    if (stat(folder, &ours) == 0 && ours.st_dev == root.st_dev &&
        ours.st_ino == root.st_ino) {
        return weir_fail(err, WEIR_FATAL,
                         "root %s is where the server keeps this sink's "
                         "state; give another folder, or none",
                         s->root);
    }
    return WEIR_OK;
}

static void
file_close(void *self)
{
    struct sink *s = self;

    file_set_clear(&s->set);
    journal_fini(&s->journal);
    if (s->set.root != -1) {
        close(s->set.root);
    }
    if (s->lock != -1) {
        close(s->lock);
    }
    libdeflate_free_compressor(s->gzip);
    free(s->root);
    free(s->lines);
    free(s);
}

static enum weir_status
file_open(struct weir_instance *in, const void *conf, void **self,
          struct weir_err *err)
{
    const struct file_conf *c = conf;
    const char             *folder = weir_dir(in);
    struct sink            *s = calloc(1, sizeof *s);

    if (!s) {
        return weir_fail(err, WEIR_RETRY, "open the file sink: no memory");
    }
    s->in = in;
    s->conf = c;
    s->lock = -1;
    s->set.root = -1;
    s->set.sync = c->fsync;
    s->set.max = (size_t)c->max_files;
    s->rotation = (struct rotation){ .size = c->rotate_size,
                                     .every_ms = c->rotate_every,
                                     .keep_files = c->keep_files,
                                     .keep_ms = c->keep,
                                     .keep_bytes = c->keep_size };
    enum weir_status st = journal_init(&s->journal, folder, c->fsync, err);
    if (st == WEIR_OK && c->gzip > 0 &&
        !(s->gzip = libdeflate_alloc_compressor((int)c->gzip))) {
        st = weir_fail(err, WEIR_RETRY, "open the file sink: no memory");
    }
    if (st == WEIR_OK) {
        st = lock_folder(s, folder, err);
    }
    if (st == WEIR_OK) {
        st = open_root(s, folder, err);
    }
    if (st != WEIR_OK) {
        file_close(s);
        return st;
    }
    *self = s;
    return WEIR_OK;
}

/* ---- The checkpoint */

/* Set and journal as on disk, and each file as long as listed. */
static enum weir_status
load(struct sink *s, struct weir_err *err)
{
    s->is_loaded = false;
    file_set_clear(&s->set);
    enum weir_status st = journal_load(&s->journal, &s->set, err);
    for (size_t i = 0; st == WEIR_OK && i < s->set.n; i++) {
        st = file_set_cut(&s->set, s->set.files[i], err);
    }
    s->is_loaded = st == WEIR_OK;
    return st;
}

static enum weir_status
file_restore(void *self, struct weir_str id, uint32_t slot,
             struct weir_err *err)
{
    struct sink           *s = self;
    const enum weir_status st = load(s, err);

    for (size_t i = 0; st == WEIR_OK && i < s->journal.nstored; i++) {
        const struct weir_checkpoint *cp = &s->journal.stored[i].cp;
        if ((slot == WEIR_ALL_SLOTS || cp->slot == slot) &&
            cp->id.len == id.len && memcmp(cp->id.data, id.data, id.len) == 0) {
            weir_found(s->in, cp);
        }
    }
    return st;
}

static enum weir_status
file_forget(void *self, struct weir_str id, uint32_t slot, struct weir_err *err)
{
    struct sink     *s = self;
    enum weir_status st = s->is_loaded ? WEIR_OK : load(s, err);

    if (st == WEIR_OK) {
        st = journal_forget(&s->journal, id, slot, err);
        s->is_loaded = st == WEIR_OK;
    }
    return st;
}

static enum weir_status
check_epoch(const struct sink *s, const struct weir_checkpoint *cp,
            struct weir_err *err)
{
    const struct weir_checkpoint *stored =
        journal_find(&s->journal, cp->id, cp->slot);

    if (stored && stored->epoch > cp->epoch) {
        return weir_fail(err, WEIR_FENCED,
                         "%s was written by a newer owner: its epoch is %llu, "
                         "ours is %llu",
                         s->journal.path, (unsigned long long)stored->epoch,
                         (unsigned long long)cp->epoch);
    }
    return WEIR_OK;
}

/* ---- A batch: first all lines by file, then the files */

static void
begin_lines(struct sink *s)
{
    for (struct file *f = s->touched; f; f = f->next_touched) {
        f->touched = false;
    }
    s->touched = s->last_touched = NULL;
    s->nlines = 0;
}

/* An event is at most in two files. */
static enum weir_status
make_room(struct sink *s, size_t nevents, struct weir_err *err)
{
    if (s->room < nevents * 2) {
        struct line *more = realloc(s->lines, nevents * 2 * sizeof *more);
        if (!more) {
            return weir_fail(err, WEIR_RETRY, "batch of %zu events: no memory",
                             nevents);
        }
        s->lines = more;
        s->room = nevents * 2;
    }
    return WEIR_OK;
}

/* The path with what compressing adds to it.  REJECT: it would be too long. */
static enum weir_status
add_suffix(struct sink *s, struct weir_str *path, struct weir_err *err)
{
    size_t name = 0;

    while (name < path->len && path->data[path->len - 1 - name] != '/') {
        name++;
    }
    if (!s->gzip && !rotation_is_on(&s->rotation)) {
        return WEIR_OK;
    }
    if (name > MAX_NAME) {
        return weir_fail(err, WEIR_REJECT,
                         "the name that path gives has %zu bytes, and may have "
                         "%d where parts are numbered or compressed",
                         name, (int)MAX_NAME);
    }
    if (s->gzip) {
        char *text = weir_alloc(s->in, path->len + 3);
        memcpy(text, path->data, path->len);
        memcpy(text + path->len, ".gz", 3);
        *path = (struct weir_str){ text, path->len + 3 };
    }
    return WEIR_OK;
}

static enum weir_status
find_file(struct sink *s, struct weir_str path, struct file **out,
          struct weir_err *err)
{
    uint64_t size = 0;

    *out = file_set_find(&s->set, path);
    if (*out) {
        return WEIR_OK;
    }
    /* What stands in a file that is new to us stays there. */
    enum weir_status st = rotation_is_on(&s->rotation)
                              ? WEIR_OK
                              : file_set_size(&s->set, path, &size, err);
    if (st == WEIR_OK) {
        st = file_set_add(&s->set, path, size, out, err);
    }
    return st == WEIR_OK ? rotation_begin(&s->rotation, &s->set, *out, err)
                         : st;
}

static enum weir_status
add_line(struct sink *s, struct weir_str path, struct weir_str text,
         struct weir_err *err)
{
    struct file     *f;
    enum weir_status st = add_suffix(s, &path, err);

    if (st == WEIR_OK) {
        st = find_file(s, path, &f, err);
    }
    if (st != WEIR_OK) {
        return st;
    }
    if (!f->touched) {
        f->touched = true;
        f->rotated = false;
        f->first = f->last = NULL;
        f->written = 0;
        f->next_touched = NULL;
        *(s->last_touched ? &s->last_touched->next_touched : &s->touched) = f;
        s->last_touched = f;
    }
    struct line *line = &s->lines[s->nlines++];
    *line = (struct line){ .text = text };
    *(f->last ? &f->last->next : &f->first) = line;
    f->last = line;
    return WEIR_OK;
}

/* An event without rows (TRUNCATE, DDL) is written where path needs none; a
 * change that moves a row to another file is written to both. */
static enum weir_status
add_event(struct sink *s, struct weir_batch *b, size_t i, struct weir_err *err)
{
    const struct weir_event *ev = b->events[i];
    const bool               has_rows = ev->before || ev->after;
    struct weir_str          body, path, old;

    if (!ev->table) {
        weir_count(s->in, "events_of_no_file", 1);
        return WEIR_OK;
    }
    enum weir_status st = weir_body(b, i, s->conf->format, &body, err);
    if (st != WEIR_OK || body.len == 0) {
        return st;
    }
    st = weir_expand(b, i, s->conf->path, !ev->after && ev->before, &path, err);
    if (st == WEIR_REJECT && !has_rows) {
        weir_count(s->in, "events_of_no_file", 1);
        return WEIR_OK;
    }
    if (st == WEIR_OK) {
        st = add_line(s, path, body, err);
    }
    if (st != WEIR_OK || !ev->before || !ev->after) {
        return st;
    }
    struct weir_err ignored;
    if (weir_expand(b, i, s->conf->path, true, &old, &ignored) != WEIR_OK ||
        (old.len == path.len && memcmp(old.data, path.data, old.len) == 0)) {
        return WEIR_OK;
    }
    return add_line(s, old, body, err);
}

/* Before anything is written: what can't be refused then must be so now, for a
 * batch that is in the files takes the checkpoint with it. */
static enum weir_status
add_events(struct sink *s, struct weir_batch *b, struct weir_err *err)
{
    struct weir_err  reason;
    size_t           nrejected = 0;
    enum weir_status st = make_room(s, b->nevents, err);

    for (size_t i = 0; st == WEIR_OK && i < b->nevents; i++) {
        st = add_event(s, b, i, &reason);
        if (st == WEIR_REJECT) {
            weir_verdict(b, i, WEIR_REJECT, "%s", reason.text);
            *err = nrejected++ == 0 ? reason : *err;
            st = WEIR_OK;
        } else if (st != WEIR_OK) {
            *err = reason;
        }
    }
    return st == WEIR_OK && nrejected > 0 ? WEIR_REJECT : st;
}

static uint64_t
bytes_of(const struct file *f)
{
    uint64_t sum = 0;

    for (const struct line *l = f->first; l; l = l->next) {
        sum += l->text.len;
    }
    return sum;
}

/* The lines of a batch as one member of a gzip file: a file that is cut to the
 * length of an earlier batch ends with a whole member. */
static enum weir_status
pack(struct sink *s, struct file *f, struct weir_err *err)
{
    const size_t len = bytes_of(f);
    const size_t bound = libdeflate_gzip_compress_bound(s->gzip, len);
    char        *in = weir_alloc(s->in, len + 1);
    char        *out = weir_alloc(s->in, bound);
    size_t       at = 0;

    for (const struct line *l = f->first; l; l = l->next) {
        memcpy(in + at, l->text.data, l->text.len);
        at += l->text.len;
    }
    const size_t packed =
        libdeflate_gzip_compress(s->gzip, in, len, out, bound);
    if (packed == 0) {
        return weir_fail(err, WEIR_FATAL,
                         "compress %zu bytes for %s: %zu "
                         "bytes were not enough",
                         len, f->name, bound);
    }
    f->last = f->first;
    *f->first = (struct line){ .text = { out, packed } };
    return WEIR_OK;
}

static enum weir_status
prepare_files(struct sink *s, struct weir_err *err)
{
    enum weir_status st = WEIR_OK;

    for (struct file *f = s->touched; st == WEIR_OK && f; f = f->next_touched) {
        const uint32_t part = f->part;
        st = s->gzip ? pack(s, f, err) : WEIR_OK;
        if (st == WEIR_OK) {
            rotation_move(&s->rotation, &s->set, f, bytes_of(f));
            f->rotated = f->part != part;
        }
    }
    return st;
}

static enum weir_status
write_files(struct sink *s, const struct weir_checkpoint *cp,
            struct weir_err *err)
{
    enum weir_status st = prepare_files(s, err);

    if (st == WEIR_OK) {
        st = journal_announce(&s->journal, &s->set, s->touched, err);
    }
    for (struct file *f = s->touched; st == WEIR_OK && f; f = f->next_touched) {
        st = file_set_write(&s->set, f, err);
    }
    if (st == WEIR_OK) {
        st = journal_commit(&s->journal, s->touched, cp, err);
    }
    if (st != WEIR_OK) {
        s->is_loaded = false;
        return st;
    }
    for (struct file *f = s->touched; f; f = f->next_touched) {
        f->length += f->written;
        f->written = 0;
    }
    return WEIR_OK;
}

/* Old parts: of files that have a new one, and now and then of all, since they
 * grow old by themselves.  What can't be removed is no reason to stop. */
static void
retain(struct sink *s)
{
    const struct rotation *r = &s->rotation;
    const bool      has_limit = r->keep_files || r->keep_ms || r->keep_bytes;
    struct weir_err err;

    if (!has_limit || !s->is_loaded) {
        return;
    }
    const int64_t now = rotation_now_ms();
    const bool    all = r->keep_ms &&
                     (now - s->retained_ms > RETAIN_MS || now < s->retained_ms);
    for (size_t i = 0; all && i < s->set.n; i++) {
        s->set.files[i]->rotated = false;
        if (rotation_retain(r, &s->set, s->set.files[i], &err) != WEIR_OK) {
            weir_log(s->in, WEIR_WARN, "%s; tried again later", err.text);
        }
    }
    s->retained_ms = all ? now : s->retained_ms;
    for (struct file *f = s->touched; f; f = f->next_touched) {
        if (f->rotated && rotation_retain(r, &s->set, f, &err) != WEIR_OK) {
            weir_log(s->in, WEIR_WARN, "%s; tried again later", err.text);
        }
    }
}

static void
file_tick(void *self)
{
    retain(self);
}

static enum weir_status
file_write(void *self, struct weir_batch *b, struct weir_err *err)
{
    struct sink     *s = self;
    struct weir_err  tidy;
    enum weir_status st = WEIR_OK;

    begin_lines(s);
    if (!s->is_loaded) {
        st = load(s, err);
    }
    if (st == WEIR_OK) {
        st = check_epoch(s, &b->checkpoint, err);
    }
    if (st == WEIR_OK) {
        st = add_events(s, b, err);
    }
    if (st == WEIR_OK) {
        st = write_files(s, &b->checkpoint, err);
    }
    if (st == WEIR_OK) {
        retain(s);
    }
    begin_lines(s);
    /* The batch is written, whether there is room for a short journal or not */
    if (st == WEIR_OK && journal_tidy(&s->journal, &s->set, &tidy) != WEIR_OK) {
        weir_log(s->in, WEIR_WARN, "%s; tried again later", tidy.text);
    }
    return st;
}

WEIR_MODULE = {
    WEIR_HEAD,
    .stage = WEIR_SINK,
    .name = "file",
    .version = "0.1.0",
    .summary = "one line an event, in files named by a template",
    .conf_size = sizeof(struct file_conf),
    .directives = file_directives,
    .check = file_check,
    .batching = file_batching,
    .open = file_open,
    .close = file_close,
    .tick = file_tick,
    .write = file_write,
    .restore = file_restore,
    .forget = file_forget,
};
