/* identity.c - see identity.h. */
#include "relay/identity.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"

enum { DIGITS = 2 * IDENTITY_BYTES };

enum weir_status
identity_read(const char *path, uint8_t out[static IDENTITY_BYTES],
              struct weir_err *err)
{
    struct arena    a = { 0 };
    struct weir_str text;

    if (access(path, F_OK) == -1 && errno == ENOENT) {
        return weir_fail(err, WEIR_DROP, "%s is not there yet", path);
    }
    enum weir_status st = file_read(&a, path, DIGITS + 2, &text, err);
    for (size_t i = 0; st == WEIR_OK && i < IDENTITY_BYTES; i++) {
        unsigned byte;
        if (text.len < DIGITS || sscanf(text.data + 2 * i, "%2x", &byte) != 1) {
            st = weir_fail(err, WEIR_FATAL,
                           "%s is damaged: put it back from a backup, or empty "
                           "its folder to begin anew", path);
        } else {
            out[i] = (uint8_t)byte;
        }
    }
    arena_free(&a);
    return st;
}

enum weir_status
identity_make(const char *path, uint8_t out[static IDENTITY_BYTES],
              struct weir_err *err)
{
    char text[DIGITS + 2];

    if (getrandom(out, IDENTITY_BYTES, 0) != IDENTITY_BYTES) {
        return fail_errno(err, WEIR_RETRY, "getrandom");
    }
    for (size_t i = 0; i < IDENTITY_BYTES; i++) {
        snprintf(text + 2 * i, 3, "%02x", out[i]);
    }
    text[DIGITS] = '\n';
    return file_replace(path, (struct weir_str){ text, DIGITS + 1 }, 0600,
                        err);
}
