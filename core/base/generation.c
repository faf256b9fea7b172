/* generation.c - see generation.h. */
#include "base/generation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/str.h"

#define FIRST_LINE "weir-generation 1"

enum {
    /* Above the two texts: paths, and a line for each sink. */
    GENERATION_MAX_HEAD = 1 << 20,
    GENERATION_MAX = GENERATION_MAX_HEAD + 2 * GENERATION_MAX_TEXT,
};

static const char *const level_names[] = { "debug", "info", "warn", "error" };

/* ---- Writing */

static void
put_line(struct buf *out, const char *key, const char *value)
{
    if (value) {
        buf_printf(out, "%s %s\n", key, value);
    }
}

static void
put_pipeline(struct buf *out, const struct generation_pipeline *p)
{
    buf_printf(out, "pipeline %s %016llx\n", p->name,
               (unsigned long long)p->digest);
    for (size_t i = 0; i < p->nsinks; i++) {
        const struct generation_sink *s = &p->sinks[i];
        buf_printf(out, "sink %s %016llx\n", s->name,
                   (unsigned long long)s->digest);
        buf_printf(out, "timeout_ms %lld\n", (long long)s->timeout_ms);
        if (s->memory) {
            buf_printf(out, "memory %lld\n", (long long)s->memory);
        }
    }
}

static void
put_generation(struct buf *out, const struct generation *g)
{
    buf_text(out, FIRST_LINE "\n");
    put_line(out, "state", g->state);
    put_line(out, "user", g->user);
    put_line(out, "pid", g->pid);
    put_line(out, "log", g->log);
    put_line(out, "log_level", level_names[g->log_level]);
    put_line(out, "log_format", g->log_json ? "json" : "text");
    put_line(out, "control", g->control);
    put_line(out, "daemon", g->daemon ? "on" : "off");
    buf_printf(out, "drain_ms %lld\n", (long long)g->drain_ms);
    for (size_t i = 0; i < g->npipelines; i++) {
        put_pipeline(out, &g->pipelines[i]);
    }
    buf_printf(out, "masked %zu\n", g->masked.len);
    buf_str(out, g->masked);
    buf_printf(out, "text %zu\n", g->text.len);
    buf_str(out, g->text);
}

enum weir_status
generation_write(const struct generation *g, int *fd, struct weir_err *err)
{
    struct buf text = { 0 };

    const int memfd =
        memfd_create("weir-generation", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memfd == -1) {
        return fail_errno(err, WEIR_FATAL, "memfd_create");
    }
    put_generation(&text, g);
    enum weir_status st =
        file_write(memfd, "a memfd", text.data, text.len, err);
    buf_free(&text);
    if (st == WEIR_OK &&
        fcntl(memfd, F_ADD_SEALS,
              F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) ==
            -1) {
        st = fail_errno(err, WEIR_FATAL, "sealing a memfd");
    }
    if (st != WEIR_OK) {
        close(memfd);
        return WEIR_FATAL;
    }
    *fd = memfd;
    return WEIR_OK;
}

/* ---- Reading */

struct reading {
    struct arena *arena;
    struct weir_str rest;
    bool          with_text;
    struct buf    pipelines, sinks; /* growing, of structs */
};

static bool
next_line(struct reading *r, struct weir_str *key, struct weir_str *value)
{
    const char *end = memchr(r->rest.data, '\n', r->rest.len);
    if (!end) {
        return false;
    }
    const struct weir_str line = { r->rest.data,
                                   (size_t)(end - r->rest.data) };
    const char *space = memchr(line.data, ' ', line.len);
    *key = line;
    *value = (struct weir_str){ end, 0 };
    if (space) {
        key->len = (size_t)(space - line.data);
        *value = (struct weir_str){ space + 1, (size_t)(end - space - 1) };
    }
    r->rest.data = end + 1;
    r->rest.len -= line.len + 1;
    return true;
}

static bool
take_number(struct weir_str value, int64_t *out)
{
    uint64_t v;

    if (!str_u64(value, &v) || v > INT64_MAX) {
        return false;
    }
    *out = (int64_t)v;
    return true;
}

/* "NAME DIGEST" */
static bool
take_named(struct reading *r, struct weir_str value, const char **name,
           uint64_t *digest)
{
    const char *space = memchr(value.data, ' ', value.len);

    if (!space || value.data + value.len - space != 17) {
        return false;
    }
    char  hex[17];
    char *end;
    memcpy(hex, space + 1, 16);
    hex[16] = '\0';
    errno = 0;
    *digest = strtoull(hex, &end, 16);
    *name = arena_cstr(r->arena, (struct weir_str){ value.data,
                                                    (size_t)(space -
                                                             value.data) });
    return *end == '\0' && errno == 0 && space > value.data;
}

/* The sinks read so far belong to the pipeline that was begun last. */
static void
end_pipeline(struct reading *r)
{
    if (r->pipelines.len == 0) {
        return;
    }
    struct generation_pipeline *last =
        (struct generation_pipeline *)(void *)(r->pipelines.data +
                                               r->pipelines.len) - 1;
    last->nsinks = r->sinks.len / sizeof(struct generation_sink);
    last->sinks = arena_copy(r->arena, r->sinks.data, r->sinks.len);
    r->sinks.len = 0;
}

static bool
take_pipeline(struct reading *r, struct weir_str value)
{
    struct generation_pipeline p = { 0 };

    end_pipeline(r);
    if (!take_named(r, value, &p.name, &p.digest)) {
        return false;
    }
    buf_add(&r->pipelines, &p, sizeof p);
    return true;
}

static bool
take_sink(struct reading *r, struct weir_str value)
{
    struct generation_sink s = { 0 };

    if (r->pipelines.len == 0 ||
        r->sinks.len / sizeof s >= GENERATION_MAX_SINKS ||
        !take_named(r, value, &s.name, &s.digest)) {
        return false;
    }
    buf_add(&r->sinks, &s, sizeof s);
    return true;
}

static bool
take_of_sink(struct reading *r, struct weir_str key, struct weir_str value)
{
    if (r->sinks.len == 0) {
        return false;
    }
    struct generation_sink *last =
        (struct generation_sink *)(void *)(r->sinks.data + r->sinks.len) - 1;
    return take_number(value, str_is(key, "memory") ? &last->memory
                                                    : &last->timeout_ms);
}

static bool
take_text(struct reading *r, struct weir_str value, struct weir_str *out)
{
    uint64_t len;

    if (!str_u64(value, &len) || len > r->rest.len) {
        return false;
    }
    if (r->with_text) {
        *out = arena_str(r->arena,
                         (struct weir_str){ r->rest.data, (size_t)len });
    }
    r->rest.data += len;
    r->rest.len -= (size_t)len;
    return true;
}

static bool
take_level(struct weir_str value, enum weir_level *out)
{
    for (int i = 0; i < 4; i++) {
        if (str_is(value, level_names[i])) {
            *out = (enum weir_level)i;
            return true;
        }
    }
    return false;
}

static bool
take_line(struct reading *r, struct weir_str key, struct weir_str value,
          struct generation *g)
{
    const struct { const char *key; const char **out; } texts[] = {
        { "state", &g->state }, { "user", &g->user },
        { "pid", &g->pid }, { "log", &g->log },
        { "control", &g->control },
    };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (str_is(key, texts[i].key)) {
            *texts[i].out = arena_cstr(r->arena, value);
            return value.len > 0;
        }
    }
    if (str_is(key, "log_level")) {
        return take_level(value, &g->log_level);
    }
    if (str_is(key, "log_format")) {
        g->log_json = str_is(value, "json");
        return true;
    }
    if (str_is(key, "daemon")) {
        g->daemon = str_is(value, "on");
        return true;
    }
    if (str_is(key, "drain_ms")) {
        return take_number(value, &g->drain_ms);
    }
    if (str_is(key, "pipeline")) {
        return take_pipeline(r, value);
    }
    if (str_is(key, "sink")) {
        return take_sink(r, value);
    }
    if (str_is(key, "timeout_ms") || str_is(key, "memory")) {
        return take_of_sink(r, key, value);
    }
    if (str_is(key, "masked")) {
        return take_text(r, value, &g->masked);
    }
    return str_is(key, "text") && take_text(r, value, &g->text);
}

static enum weir_status
take_lines(struct reading *r, struct generation *g, struct weir_err *err)
{
    struct weir_str key, value;

    if (!str_has_prefix(r->rest, FIRST_LINE "\n")) {
        return weir_fail(err, WEIR_FATAL,
                         "the generation is not one that this weir reads");
    }
    next_line(r, &key, &value);
    while (r->rest.len > 0) {
        if (!next_line(r, &key, &value) || !take_line(r, key, value, g)) {
            return weir_fail(err, WEIR_FATAL,
                             "the generation has a bad line '%.*s'",
                             (int)(key.len > 40 ? 40 : key.len), key.data);
        }
    }
    end_pipeline(r);
    g->npipelines = r->pipelines.len / sizeof *g->pipelines;
    g->pipelines = arena_copy(r->arena, r->pipelines.data, r->pipelines.len);
    if (!g->state || !g->pid) {
        return weir_fail(err, WEIR_FATAL,
                         "the generation says no state or no pid");
    }
    return WEIR_OK;
}

static enum weir_status
read_all(struct arena *a, int fd, struct weir_str *out, struct weir_err *err)
{
    struct stat st;

    if (fstat(fd, &st) == -1) {
        return fail_errno(err, WEIR_FATAL, "stat of a generation");
    }
    if (st.st_size <= 0 || st.st_size > GENERATION_MAX) {
        return weir_fail(err, WEIR_FATAL,
                         "a generation of %lld bytes can't be",
                         (long long)st.st_size);
    }
    char         *data = arena_take(a, (size_t)st.st_size);
    const ssize_t n = file_pread(fd, data, (size_t)st.st_size, 0);
    if (n == -1) {
        return fail_errno(err, WEIR_FATAL, "read a generation");
    }
    *out = (struct weir_str){ data, (size_t)n };
    return WEIR_OK;
}

enum weir_status
generation_read(struct arena *a, int fd, bool with_text,
                struct generation *out, struct weir_err *err)
{
    struct arena   whole = { 0 };
    struct reading r = { .arena = a, .with_text = with_text };

    *out = (struct generation){ .fd = fd };
    enum weir_status st = read_all(&whole, fd, &r.rest, err);
    if (st == WEIR_OK) {
        st = take_lines(&r, out, err);
    }
    buf_free(&r.pipelines);
    buf_free(&r.sinks);
    arena_free(&whole);
    return st;
}
