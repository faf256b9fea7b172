/*
 * export.c - the function of weir/module.h that asks a template and no
 * instance.  Linked into the server itself, as core/module/export.c is.
 */
#include <weir/module.h>

#include "base/buf.h"
#include "base/str.h"
#include "format/template.h"

size_t
weir_template_glob(const struct weir_template *t,
                   const struct weir_table *table, char *out, size_t room,
                   size_t *literal)
{
    const struct weir_table unknown = { .schema = STR("?"), .name = STR("?") };
    struct buf              b = { 0 };

    template_glob(t, table ? table : &unknown, &b, literal);
    if (b.len && room) {
        memcpy(out, b.data, b.len < room ? b.len : room);
    }
    const size_t len = b.len;
    buf_free(&b);
    return len;
}
