/* origin.c - see origin.h. */
#include "relay/origin.h"

#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/str.h"

enum { VERSION = 1, MAX_KEPT = 4096 };
enum { TAG_SERVER = 1, TAG_VERSION, TAG_GTID_SET, TAG_FILE, TAG_FILE_OFFSET,
       TAG_KEPT, TAG_DEFINITIONS };

static void
put(struct buf *out, uint8_t tag, struct weir_str s)
{
    char head[5] = { (char)tag };

    put_le32(head + 1, (uint32_t)s.len);
    buf_add(out, head, sizeof head);
    buf_str(out, s);
}

void
origin_format(const struct origin *o, struct buf *out)
{
    char offset[8];

    buf_byte(out, VERSION);
    put(out, TAG_SERVER, o->server);
    put(out, TAG_VERSION, o->version);
    put(out, TAG_GTID_SET, o->gtid_set);
    put(out, TAG_FILE, o->file);
    put_le64(offset, o->file_offset);
    put(out, TAG_FILE_OFFSET, (struct weir_str){ offset, sizeof offset });
    for (size_t i = 0; i < o->kept.n; i++) {
        put(out, TAG_KEPT, str_of(o->kept.items[i]));
    }
    if (o->definitions.len > 0) {
        put(out, TAG_DEFINITIONS, o->definitions);
    }
}

static enum weir_status
take_field(struct arena *a, uint8_t tag, struct weir_str value,
           struct origin *out, const char **kept)
{
    switch (tag) {
    case TAG_SERVER:
        out->server = value;
        break;
    case TAG_VERSION:
        out->version = value;
        break;
    case TAG_GTID_SET:
        out->gtid_set = value;
        break;
    case TAG_FILE:
        out->file = value;
        break;
    case TAG_FILE_OFFSET:
        if (value.len != 8) {
            return WEIR_REJECT;
        }
        out->file_offset = get_le64(value.data);
        break;
    case TAG_DEFINITIONS:
        out->definitions = value;
        break;
    case TAG_KEPT:
        if (out->kept.n == MAX_KEPT) {
            return WEIR_REJECT;
        }
        kept[out->kept.n++] = arena_cstr(a, value);
        break;
    default:
        break;
    }
    return WEIR_OK;
}

enum weir_status
origin_parse(struct arena *a, struct weir_str bytes, struct origin *out,
             struct weir_err *err)
{
    struct reader r = reader_of(bytes.data, bytes.len);
    const char  **kept = arena_array(a, MAX_KEPT, sizeof *kept);

    *out = (struct origin){ .kept.items = kept };
    if (read_le(&r, 1) != VERSION) {
        return weir_fail(err, WEIR_REJECT,
                         "the origin of a relay segment is not of version %d",
                         VERSION);
    }
    while (reader_left(&r) > 0 && !r.bad) {
        const uint8_t         tag = (uint8_t)read_le(&r, 1);
        const struct weir_str value = read_str(&r, read_le(&r, 4));
        if (r.bad || take_field(a, tag, value, out, kept) != WEIR_OK) {
            return weir_fail(err, WEIR_REJECT,
                             "the origin of a relay segment is malformed");
        }
    }
    return WEIR_OK;
}

/* Every name that `narrow` matches, `wide` does too.  Its wildcards are taken
 * as ordinary bytes, which only a `?` of `wide` would get wrong. */
static bool
covers(const char *wide, const char *narrow)
{
    if (strcmp(wide, narrow) == 0) {
        return true;
    }
    return !(strchr(wide, '?') && strpbrk(narrow, "*?")) &&
           str_glob(str_of(wide), str_of(narrow));
}

const char *
origin_lacks(const struct origin *o, struct weir_list globs)
{
    static const char *const everything[] = { "*.*" };

    if (o->kept.n == 0) {
        return NULL;
    }
    if (globs.n == 0) {
        globs = (struct weir_list){ 1, everything };
    }
    for (size_t i = 0; i < globs.n; i++) {
        size_t k = 0;
        while (k < o->kept.n && !covers(o->kept.items[k], globs.items[i])) {
            k++;
        }
        if (k == o->kept.n) {
            return globs.items[i];
        }
    }
    return NULL;
}
