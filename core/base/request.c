/* request.c - see request.h. */
#include "base/request.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/err.h"
#include "base/file.h"

enum { FILE_MAX = 2048 };

static const char *const verbs[] = {
    "none", "rewind", "adopt", "park-resume", "park-discard", "dead-replay",
    "dead-discard",
};

const char *
request_path(struct arena *a, const char *state, const char *pipeline,
             const char *sink)
{
    return arena_printf(a, "%s/%s.%s.request", state, pipeline, sink);
}

const char *
answer_path(struct arena *a, const char *state, const char *pipeline,
            const char *sink)
{
    return arena_printf(a, "%s/%s/%s/answer", state, pipeline, sink);
}

enum weir_status
request_write(const char *path, const struct request *request,
              struct weir_err *err)
{
    char text[256];

    if (access(path, F_OK) == 0) {
        return weir_fail(err, WEIR_RETRY,
                         "what was asked of this sink before is not done yet "
                         "(%s): weirctl status says what keeps it", path);
    }
    const int n =
        snprintf(text, sizeof text, "weir-request 1 %s %" PRIu64 " %" PRIu64
                 "\n", verbs[request->verb], request->id, request->offset);
    return file_replace(path, (struct weir_str){ text, (size_t)n }, 0644, err);
}

enum weir_status
request_read(const char *path, struct request *out, struct weir_err *err)
{
    struct arena    a = { 0 };
    struct weir_str text;
    char            verb[16];

    *out = (struct request){ 0 };
    if (access(path, F_OK) == -1 && errno == ENOENT) {
        return WEIR_OK;
    }
    enum weir_status st = file_read(&a, path, FILE_MAX, &text, err);
    if (st == WEIR_OK) {
        const int n = sscanf(text.data,
                             "weir-request 1 %15s %" SCNu64 " %" SCNu64, verb,
                             &out->id, &out->offset);
        for (int i = REQUEST_REWIND; n == 3 && i <= REQUEST_DEAD_DISCARD; i++) {
            if (strcmp(verb, verbs[i]) == 0) {
                out->verb = (enum request_verb)i;
            }
        }
        if (out->verb == REQUEST_NONE) {
            st = weir_fail(err, WEIR_REJECT, "%s is no request", path);
        }
    }
    arena_free(&a);
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
