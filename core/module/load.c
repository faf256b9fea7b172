/* load.c - see load.h. */
#include "module/load.h"

#include <dlfcn.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/str.h"
#include "module/directive.h"

static const char *
module_dir(void)
{
    const char *dir = getenv("WEIR_MODULE_DIR");
    return dir && *dir ? dir : WEIR_MODULE_DIR;
}

static const char *
module_path(struct arena *a, const char *name)
{
    return strchr(name, '/') ? arena_strdup(a, name)
                             : arena_printf(a, "%s/%s", module_dir(), name);
}

bool
module_is_installed(const char *file)
{
    char path[PATH_MAX];

    return snprintf(path, sizeof path, "%s/%s", module_dir(), file) <
               (int)sizeof path &&
           access(path, R_OK) == 0;
}

const char *
module_stage_name(enum weir_stage stage)
{
    switch (stage) {
    case WEIR_SOURCE:
        return "source";
    case WEIR_FILTER:
        return "filter";
    case WEIR_TRANSFORM:
        return "transform";
    case WEIR_SINK:
        return "sink";
    }
    return "unknown";
}

/* ---- The file */

static enum weir_status
check_writers(const char *path, const char *what, struct weir_err *err)
{
    struct stat st;

    if (stat(path, &st) == -1) {
        return fail_errno(err, WEIR_FATAL, "module %s", path);
    }
    if (st.st_mode & (S_IWGRP | S_IWOTH)) {
        return weir_fail(err, WEIR_FATAL,
                         "%s %s can be written by others than its owner: "
                         "chmod go-w %s", what, path, path);
    }
    return WEIR_OK;
}

static enum weir_status
check_file(const char *path, struct weir_err *err)
{
    char        dir[PATH_MAX];
    struct stat st;

    if (snprintf(dir, sizeof dir, "%s", path) >= (int)sizeof dir) {
        return weir_fail(err, WEIR_FATAL, "module %.100s...: the path is too "
                         "long", path);
    }
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        return weir_fail(err, WEIR_FATAL, "module %s is not a file", path);
    }
    const enum weir_status status = check_writers(path, "module", err);
    return status == WEIR_OK
               ? check_writers(dirname(dir), "the folder of a module", err)
               : status;
}

static enum weir_status
open_failed(const char *path, struct weir_err *err)
{
    const char *reason = dlerror();
    const char *missing = strstr(reason, "undefined symbol: ");

    if (missing && strstr(missing, " weir_")) {
        return weir_fail(err, WEIR_FATAL,
                         "module %s needs the function %s, which this weir "
                         "does not have: upgrade weir", path,
                         strchr(missing, ':') + 2);
    }
    if (missing) {
        return weir_fail(err, WEIR_FATAL,
                         "module %s lacks a library: %s: link it with that "
                         "library", path, missing);
    }
    return weir_fail(err, WEIR_FATAL, "module %s can't be loaded: %s", path,
                     reason);
}

/* ---- The contract */

static enum weir_status
check_abi(const struct weir_module *m, const char *path, struct weir_err *err)
{
    const unsigned major = WEIR_ABI_MAJOR, minor = WEIR_ABI_MINOR;

    if (m->abi_major > major ||
        (m->abi_major == major && m->abi_minor > minor)) {
        return weir_fail(err, WEIR_FATAL,
                         "module %s is built for ABI %u.%u, this weir has "
                         "%u.%u: upgrade weir", path, m->abi_major,
                         m->abi_minor, major, minor);
    }
    /* Below 1.0 any other number may be another contract: CHANGES.ABI. */
    if (m->abi_major < major || (major == 0 && m->abi_minor < minor)) {
        return weir_fail(err, WEIR_FATAL,
                         "module %s is built for ABI %u.%u, this weir has "
                         "%u.%u: rebuild or upgrade the module", path,
                         m->abi_major, m->abi_minor, major, minor);
    }
    if (m->size > sizeof *m || m->size < offsetof(struct weir_module, open) ||
        m->directive_size > sizeof(struct weir_directive) ||
        m->directive_size < offsetof(struct weir_directive, flags) ||
        (m->abi_minor == minor && m->size != sizeof *m)) {
        return weir_fail(err, WEIR_FATAL,
                         "module %s says ABI %u.%u but was not built with its "
                         "headers (its struct has %u bytes, not %zu): rebuild "
                         "the module, with WEIR_HEAD in it", path,
                         m->abi_major, m->abi_minor, m->size, sizeof *m);
    }
    return WEIR_OK;
}

static const char *
missing_function(const struct weir_module *m)
{
    if (m->open && !m->close) {
        return "close";
    }
    switch (m->stage) {
    case WEIR_SOURCE:
        return m->run ? NULL : "run";
    case WEIR_FILTER:
        return m->filter || m->table ? NULL : "filter";
    case WEIR_TRANSFORM:
        return m->transform || m->table ? NULL : "transform";
    case WEIR_SINK:
        return m->write ? NULL : "write";
    }
    return NULL;
}

static bool
is_name(const char *s)
{
    size_t n = 0;

    for (; s && s[n]; n++) {
        if (!(s[n] >= 'a' && s[n] <= 'z') && s[n] != '_' &&
            !(n > 0 && s[n] >= '0' && s[n] <= '9')) {
            return false;
        }
    }
    return n > 0 && n <= 48;
}

static bool
is_core_word(const char *name)
{
    static const char *const words[] = { "filter", "transform", "retry",
                                         "breaker" };
    bool                     is = false;

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        is = is || strcmp(name, words[i]) == 0;
    }
    return is;
}

static enum weir_status
check_head(const struct weir_module *m, const char *path, struct weir_err *err)
{
    if (m->stage < WEIR_SOURCE || m->stage > WEIR_SINK) {
        return weir_fail(err, WEIR_FATAL,
                         "module %s is for a stage %d, which this weir does "
                         "not know: rebuild the module", path, (int)m->stage);
    }
    if (!is_name(m->name) || is_core_word(m->name)) {
        return weir_fail(err, WEIR_FATAL,
                         "module %s: its name can't be that of a block "
                         "(small letters, digits and '_')", path);
    }
    if (!m->version || !m->summary) {
        return weir_fail(err, WEIR_FATAL,
                         "module %s says no version or no summary", path);
    }
    const char *missing = missing_function(m);
    if (missing) {
        return weir_fail(err, WEIR_FATAL,
                         "module %s is a %s without %s()", path,
                         module_stage_name(m->stage), missing);
    }
    return WEIR_OK;
}

/* ---- Its directives */

static bool
has_choice(const struct weir_directive *d)
{
    return d->names && d->names[0].name;
}

static const char *
directive_fault(const struct weir_module *m, const struct weir_directive *d)
{
    const size_t width = directive_width(d->kind);

    if (width == 0) {
        return "has a kind that this weir does not know";
    }
    if (d->offset > m->conf_size || m->conf_size - d->offset < width) {
        return "lies outside of its conf struct";
    }
    if (!d->help || !*d->help) {
        return "has no help";
    }
    if (d->kind == WEIR_K_ENUM && !has_choice(d)) {
        return "has no names to choose from";
    }
    if (d->min > d->max) {
        return "has bounds that nothing fits";
    }
    if ((d->flags & WEIR_REQUIRED) && d->value) {
        return "is required and has a default";
    }
    return NULL;
}

static enum weir_status
check_directive(const struct weir_module *m, size_t i, const char *path,
                struct weir_err *err)
{
    const struct weir_directive d =
        directive_get(m->directives, m->directive_size, i);
    int64_t value;

    if (!is_name(d.name)) {
        return weir_fail(err, WEIR_FATAL,
                         "module %s: its directive no. %zu has no good name",
                         path, i + 1);
    }
    const char *fault = directive_fault(m, &d);
    if (fault) {
        return weir_fail(err, WEIR_FATAL, "module %s: its directive '%s' %s",
                         path, d.name, fault);
    }
    for (size_t k = 0; k < i; k++) {
        if (strcmp(directive_get(m->directives, m->directive_size, k).name,
                   d.name) == 0) {
            return weir_fail(err, WEIR_FATAL,
                             "module %s has two directives '%s'", path,
                             d.name);
        }
    }
    if (d.value && directive_is_number(d.kind) &&
        directive_number(&d, str_of(d.value), &value, err) != WEIR_OK) {
        return weir_wrap(err, WEIR_FATAL,
                         "module %s: the default of its directive '%s'", path,
                         d.name);
    }
    return WEIR_OK;
}

static enum weir_status
check_directives(const struct weir_module *m, const char *path,
                 struct weir_err *err)
{
    const size_t n =
        m->directives ? directive_count(m->directives, m->directive_size) : 0;

    if (n >= DIRECTIVE_MAX) {
        return weir_fail(err, WEIR_FATAL,
                         "module %s has no WEIR_END behind its directives",
                         path);
    }
    for (size_t i = 0; i < n; i++) {
        const enum weir_status st = check_directive(m, i, path, err);
        if (st != WEIR_OK) {
            return st;
        }
    }
    return WEIR_OK;
}

static enum weir_status
check_module(struct arena *a, void *handle, const char *path,
             struct loaded_module *out, struct weir_err *err)
{
    const struct weir_module *found = dlsym(handle, "weir_module");
    if (!found) {
        return weir_fail(err, WEIR_FATAL,
                         "%s has no weir_module in it: it is a library, but "
                         "no module of weir", path);
    }
    enum weir_status st = check_abi(found, path, err);
    if (st != WEIR_OK) {
        return st;
    }
    /* An older one is shorter: what it lacks is zero. */
    struct weir_module *m = arena_alloc(a, sizeof *m);
    memcpy(m, found, found->size);
    st = check_head(m, path, err);
    if (st == WEIR_OK) {
        st = check_directives(m, path, err);
    }
    *out = (struct loaded_module){ .module = m, .path = path };
    return st;
}

enum weir_status
module_load(struct arena *a, const char *name, struct loaded_module *out,
            struct weir_err *err)
{
    const char *path = module_path(a, name);

    enum weir_status st = check_file(path, err);
    if (st != WEIR_OK) {
        return st;
    }
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        return open_failed(path, err);
    }
    st = check_module(a, handle, path, out, err);
    if (st != WEIR_OK) {
        dlclose(handle);
    }
    return st;
}
