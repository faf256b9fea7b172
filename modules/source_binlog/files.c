/*
 * files.c - which binlog files there are and in which order: the list of the
 * configuration, the index file of a folder, or its files NAME.NNNNNN.  Opens
 * none of them.
 */
#include "source_binlog.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILES_MAX = 1 << 20, DIGITS_MIN = 6 };

const char *
binlog_file_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

bool
binlog_files_find(const struct binlog_files *files, struct weir_str name,
                  size_t *out)
{
    for (size_t i = 0; i < files->n; i++) {
        const char *own = binlog_file_name(files->paths[i]);
        if (strlen(own) == name.len &&
            memcmp(own, name.data, name.len) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

void
binlog_files_free(struct binlog_files *files)
{
    for (size_t i = 0; i < files->n; i++) {
        free(files->paths[i]);
    }
    free(files->paths);
    *files = (struct binlog_files){ 0 };
}

static enum weir_status
add(struct binlog_files *files, const char *dir, const char *name,
    struct weir_err *err)
{
    char path[PATH_MAX];

    const int n = dir ? snprintf(path, sizeof path, "%s/%s", dir, name)
                      : snprintf(path, sizeof path, "%s", name);
    if (n < 0 || (size_t)n >= sizeof path) {
        return weir_fail(err, WEIR_FATAL, "%.200s...: the path is too long",
                         path);
    }
    if (files->n == FILES_MAX) {
        return weir_fail(err, WEIR_FATAL, "%s: more than %d files",
                         dir ? dir : "files", FILES_MAX);
    }
    if ((files->n & (files->n - 1)) == 0) { /* room doubles at 1, 2, 4, ... */
        const size_t room = files->n ? files->n * 2 : 1;
        char       **more = realloc(files->paths, room * sizeof *more);
        if (!more) {
            abort();
        }
        files->paths = more;
    }
    files->paths[files->n] = strdup(path);
    if (!files->paths[files->n]) {
        abort();
    }
    files->n++;
    return WEIR_OK;
}

/* ---- NAME.NNNNNN */

/* Where the digits of a binlog's name begin; NULL: it is none. */
static const char *
digits_of(const char *name)
{
    const char *dot = strrchr(name, '.');

    if (!dot || dot == name || strspn(dot + 1, "0123456789") < DIGITS_MIN ||
        dot[1 + strspn(dot + 1, "0123456789")] != '\0') {
        return NULL;
    }
    return dot + 1;
}

static int
by_number(const void *a, const void *b)
{
    const char *const x = *(char *const *)a, *const y = *(char *const *)b;
    const size_t      nx = strlen(x), ny = strlen(y);

    /* One name before the dot: the longer number is the larger one. */
    return nx != ny ? (nx < ny ? -1 : 1) : strcmp(x, y);
}

static bool
same_base(const char *a, const char *b)
{
    const char *const da = digits_of(a), *const db = digits_of(b);

    return da && db && da - a == db - b &&
           strncmp(a, b, (size_t)(da - a)) == 0;
}

enum weir_status
binlog_files_adjoin(const char *path, const char *next, struct weir_err *err)
{
    const char *const a = binlog_file_name(path);
    const char *const b = binlog_file_name(next);

    if (!same_base(a, b) || strtoull(digits_of(b), NULL, 10) ==
                                strtoull(digits_of(a), NULL, 10) + 1) {
        return WEIR_OK;
    }
    return weir_fail(err, WEIR_FATAL,
                     "%s does not follow %s: what stands in the files between "
                     "would be left out. Put them there, or read what is "
                     "behind the gap as a pipeline of its own", next, path);
}

bool
binlog_files_to_come(const struct binlog_files *files, struct weir_str name)
{
    const char *const last = binlog_file_name(files->paths[files->n - 1]);
    char              next[256];

    if (name.len >= sizeof next) {
        return false;
    }
    memcpy(next, name.data, name.len);
    next[name.len] = '\0';
    return same_base(last, next) && strtoull(digits_of(next), NULL, 10) ==
                                        strtoull(digits_of(last), NULL, 10) + 1;
}

/* ---- A folder */

static enum weir_status
load_index(const char *dir, const char *index, struct binlog_files *out,
           struct weir_err *err)
{
    char path[PATH_MAX], line[PATH_MAX];

    snprintf(path, sizeof path, "%s/%s", dir, index);
    FILE *f = fopen(path, "re");
    if (!f) {
        return weir_fail(err, WEIR_FATAL, "open %s: %s", path,
                         strerror(errno));
    }
    enum weir_status st = WEIR_OK;
    while (st == WEIR_OK && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\r\n")] = '\0';
        /* As the server saw its folder: only the names hold for a copy. */
        if (*binlog_file_name(line)) {
            st = add(out, dir, binlog_file_name(line), err);
        }
    }
    if (st == WEIR_OK && ferror(f)) {
        st = weir_fail(err, WEIR_RETRY, "read %s failed", path);
    }
    fclose(f);
    return st;
}

static enum weir_status
sort_names(const char *dir, struct binlog_files *files, struct weir_err *err)
{
    for (size_t i = 1; i < files->n; i++) {
        if (!same_base(binlog_file_name(files->paths[0]),
                       binlog_file_name(files->paths[i]))) {
            return weir_fail(err, WEIR_FATAL,
                             "%s holds binlogs of two names, %s and %s: say "
                             "which with files = {...}", dir,
                             binlog_file_name(files->paths[0]),
                             binlog_file_name(files->paths[i]));
        }
    }
    if (files->n) {
        qsort(files->paths, files->n, sizeof *files->paths, by_number);
    }
    return WEIR_OK;
}

static enum weir_status
scan_dir(DIR *d, const char *dir, struct binlog_files *out, char *index,
         size_t room, struct weir_err *err)
{
    const struct dirent *entry;
    enum weir_status     st = WEIR_OK;

    while (st == WEIR_OK && (entry = readdir(d))) {
        const char  *name = entry->d_name;
        const size_t len = strlen(name);
        if (len > 6 && strcmp(name + len - 6, ".index") == 0) {
            if (*index) {
                return weir_fail(err, WEIR_FATAL,
                                 "%s holds two index files, %s and %s: say "
                                 "which files with files = {...}", dir, index,
                                 name);
            }
            snprintf(index, room, "%s", name);
        } else if (digits_of(name)) {
            st = add(out, dir, name, err);
        }
    }
    return st;
}

static enum weir_status
load_dir(const char *dir, struct binlog_files *out, struct weir_err *err)
{
    char index[NAME_MAX + 1] = "";
    DIR *d = opendir(dir);

    if (!d) {
        return weir_fail(err, WEIR_FATAL, "open %s: %s", dir,
                         strerror(errno));
    }
    enum weir_status st = scan_dir(d, dir, out, index, sizeof index, err);
    closedir(d);
    if (st != WEIR_OK) {
        return st;
    }
    if (!*index) {
        return sort_names(dir, out, err);
    }
    binlog_files_free(out);
    return load_index(dir, index, out, err);
}

enum weir_status
binlog_files_load(const struct binlog_conf *conf, struct binlog_files *out,
                  struct weir_err *err)
{
    struct binlog_files found = { 0 };
    enum weir_status    st = WEIR_OK;

    if (conf->files.n == 0) {
        st = load_dir(conf->path, &found, err);
    }
    for (size_t i = 0; st == WEIR_OK && i < conf->files.n; i++) {
        st = add(&found, NULL, conf->files.items[i], err);
    }
    if (st == WEIR_OK && found.n == 0) {
        st = weir_fail(err, WEIR_FATAL,
                       "%s holds no binlogs: neither an index file nor files "
                       "NAME.NNNNNN", conf->path);
    }
    if (st != WEIR_OK) {
        binlog_files_free(&found);
        return st;
    }
    binlog_files_free(out);
    *out = found;
    return WEIR_OK;
}
