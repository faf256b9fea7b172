/* request.c - see request.h. */
#include "base/request.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/file.h"

enum { FILE_MAX = 2048 };

static const char *const verbs[] = {
    "none", "rewind", "adopt", "park-resume", "park-discard", "dead-replay",
    "dead-discard", "define",
};

const char *
request_path(struct arena *a, const char *state, const char *pipeline,
             const char *sink)
{
    return sink ? arena_printf(a, "%s/%s.%s.request", state, pipeline, sink)
                : arena_printf(a, "%s/%s.request", state, pipeline);
}

const char *
answer_path(struct arena *a, const char *state, const char *pipeline,
            const char *sink)
{
    return sink ? arena_printf(a, "%s/%s/%s/answer", state, pipeline, sink)
                : arena_printf(a, "%s/%s/schema.answer", state, pipeline);
}

struct weir_str
request_word(struct arena *a, struct weir_str text)
{
    static const char digits[] = "0123456789abcdef";
    char             *out = arena_take(a, text.len * 3 + 1);
    size_t            n = 0;

    for (size_t i = 0; i < text.len; i++) {
        const unsigned char c = (unsigned char)text.data[i];
        if (c > ' ' && c != '%' && c != 127) {
            out[n++] = (char)c;
            continue;
        }
        out[n++] = '%';
        out[n++] = digits[c >> 4];
        out[n++] = digits[c & 15];
    }
    return (struct weir_str){ out, n };
}

static int
nibble(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

bool
request_unword(struct arena *a, struct weir_str *from, struct weir_str *out)
{
    const char  *space = memchr(from->data, ' ', from->len);
    const size_t len = space ? (size_t)(space - from->data) : from->len;
    char        *text = arena_take(a, len + 1);
    size_t       n = 0;

    for (size_t i = 0; i < len; i++) {
        text[n++] = from->data[i];
        if (from->data[i] != '%') {
            continue;
        }
        const int high = i + 2 < len ? nibble(from->data[i + 1]) : -1;
        const int low = i + 2 < len ? nibble(from->data[i + 2]) : -1;
        if (high < 0 || low < 0) {
            return false;
        }
        text[n - 1] = (char)(high << 4 | low);
        i += 2;
    }
    from->data += space ? len + 1 : len;
    from->len -= space ? len + 1 : len;
    *out = (struct weir_str){ text, n };
    return n > 0;
}

enum weir_status
request_write(const char *path, const struct request *request,
              struct weir_err *err)
{
    struct buf text = { 0 };

    if (access(path, F_OK) == 0) {
        return weir_fail(err, WEIR_RETRY,
                         "what was asked before is not done yet "
                         "(%s): weirctl status says what keeps it", path);
    }
    buf_printf(&text, "weir-request 1 %s %" PRIu64 " %" PRIu64 " ",
               verbs[request->verb], request->id, request->offset);
    buf_str(&text, request->text);
    buf_byte(&text, '\n');
    const enum weir_status st = file_replace(path, buf_view(&text), 0644, err);
    buf_free(&text);
    return st;
}

enum weir_status
request_read(struct arena *a, const char *path, struct request *out,
             struct weir_err *err)
{
    struct weir_str text;
    char            verb[16];
    int             at = 0;

    *out = (struct request){ 0 };
    if (access(path, F_OK) == -1 && errno == ENOENT) {
        return WEIR_OK;
    }
    enum weir_status st = file_read(a, path, REQUEST_TEXT_MAX + FILE_MAX, &text,
                                    err);
    if (st == WEIR_OK) {
        const int n = sscanf(text.data,
                             "weir-request 1 %15s %" SCNu64 " %" SCNu64 "%n",
                             verb, &out->id, &out->offset, &at);
        for (int i = REQUEST_REWIND; n == 3 && i <= REQUEST_DEFINE; i++) {
            if (strcmp(verb, verbs[i]) == 0) {
                out->verb = (enum request_verb)i;
            }
        }
        if (out->verb == REQUEST_NONE) {
            return weir_fail(err, WEIR_REJECT, "%s is no request", path);
        }
        at += text.data[at] == ' ';
        out->text = (struct weir_str){ text.data + at,
                                       strcspn(text.data + at, "\n") };
    }
    return st;
}

enum weir_status
answer_write(const char *request, const char *answer, uint64_t id, bool ok,
             const char *sentence, struct weir_err *err)
{
    char text[1400];

    const int n = snprintf(text, sizeof text, "%" PRIu64 " %s %.1200s\n", id,
                           ok ? "ok" : "refused", sentence);
    CRASH_POINT("request.answer");
    const enum weir_status st =
        file_replace(answer, (struct weir_str){ text, (size_t)n }, 0640, err);
    CRASH_POINT("request.done");
    if (st == WEIR_OK && unlink(request) == -1 && errno != ENOENT) {
        return fail_errno(err, WEIR_RETRY, "unlink %s", request);
    }
    return st;
}

bool
answer_read(const char *path, uint64_t id, bool *ok, char *sentence,
            size_t room)
{
    struct arena    a = { 0 };
    struct weir_str text;
    struct weir_err err;
    uint64_t        of = 0;
    char            how[16] = "";
    int             at = 0;

    bool found = file_read(&a, path, FILE_MAX, &text, &err) == WEIR_OK &&
                 sscanf(text.data, "%" SCNu64 " %15s %n", &of, how, &at) >= 2 &&
                 of == id;
    if (found) {
        *ok = strcmp(how, "ok") == 0;
        snprintf(sentence, room, "%s", text.data + at);
        sentence[strcspn(sentence, "\n")] = '\0';
    }
    arena_free(&a);
    return found;
}
