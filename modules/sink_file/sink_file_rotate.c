/* sink_file_rotate.c - see sink_file_rotate.h. */
#include "sink_file_rotate.h"

#include <time.h>

enum { NAME_ROOM = 4096 + PART_ROOM, MAX_PARTS = 999999999 };

bool
rotation_is_on(const struct rotation *r)
{
    return r->size > 0 || r->every_ms > 0;
}

int64_t
rotation_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

enum weir_status
rotation_begin(const struct rotation *r, struct file_set *set, struct file *f,
               struct weir_err *err)
{
    char             name[NAME_ROOM];
    uint64_t         size;
    int64_t          changed;
    uint32_t         part = 0;
    enum weir_status st = WEIR_OK;

    if (!rotation_is_on(r)) {
        return WEIR_OK;
    }
    while (st == WEIR_OK && part < MAX_PARTS) {
        file_part_name(f, ++part, name);
        st = file_set_stat(set, name, &size, &changed, err);
    }
    if (st != WEIR_DROP) {
        return st;
    }
    file_set_part(set, f, part, 0, rotation_now_ms());
    return WEIR_OK;
}

void
rotation_move(const struct rotation *r, struct file_set *set, struct file *f,
              uint64_t bytes)
{
    if (!rotation_is_on(r) || f->length == 0 || f->part >= MAX_PARTS) {
        return;
    }
    const int64_t now = rotation_now_ms();
    if (f->begun_ms > now) {
        f->begun_ms = now; /* the clock was set back */
    }
    const bool is_large = r->size > 0 && f->length + bytes > (uint64_t)r->size;
    const bool is_old = r->every_ms > 0 && now - f->begun_ms >= r->every_ms;
    if (is_large || is_old) {
        file_set_part(set, f, f->part + 1, 0, now);
    }
}

enum weir_status
rotation_retain(const struct rotation *r, struct file_set *set,
                const struct file *f, struct weir_err *err)
{
    const int64_t    now = rotation_now_ms();
    char             name[NAME_ROOM];
    uint64_t         size, sum = f->length;
    int64_t          changed;
    uint32_t         part = f->part, last = 0; /* to be removed */
    enum weir_status st = WEIR_OK;

    while (part > 1) {
        file_part_name(f, part - 1, name);
        st = file_set_stat(set, name, &size, &changed, err);
        if (st != WEIR_OK) {
            break;
        }
        part--;
        sum += size;
        if (last == 0 &&
            ((r->keep_files > 0 && f->part - part >= r->keep_files) ||
             (r->keep_ms > 0 && now - changed * 1000 > r->keep_ms) ||
             (r->keep_bytes > 0 && sum > (uint64_t)r->keep_bytes))) {
            last = part;
        }
    }
    st = st == WEIR_DROP ? WEIR_OK : st;
    for (; st == WEIR_OK && part <= last; part++) {
        file_part_name(f, part, name);
        st = file_set_remove(set, name, err);
    }
    return st;
}
