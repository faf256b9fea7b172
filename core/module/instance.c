/* instance.c - the life of an instance; see instance.h. */
#include "module/instance.h"

#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/err.h"
#include "base/log.h"

void
instance_init(struct weir_instance *in, const struct weir_module *m,
              const void *conf, const char *name)
{
    *in = (struct weir_instance){ .module = m,
                                  .conf = conf,
                                  .name = name,
                                  .pid = getpid(),
                                  .stop_fd = -1,
                                  .lanes = 1 };
}

enum weir_status
instance_open(struct weir_instance *in, struct weir_err *err)
{
    assert(!in->is_open);
    if (in->module->open) {
        const enum weir_status st =
            in->module->open(in, in->conf, &in->self, err);
        if (st != WEIR_OK) {
            return st;
        }
    }
    in->is_open = true;
    return WEIR_OK;
}

void
instance_close(struct weir_instance *in)
{
    if (in->is_open && in->module->close) {
        in->module->close(in->self);
    }
    in->is_open = false;
    in->self = NULL;
    for (size_t i = 0; i < 16 && in->counters[i].name; i++) {
        log_debug("%s %s: %llu", in->module->name, in->counters[i].name,
                  (unsigned long long)in->counters[i].n);
    }
    arena_free(&in->arena);
}

enum weir_status
instance_table(struct weir_instance *in, const struct weir_table *table,
               void **slot, struct table_plan *plan, struct weir_err *err)
{
    if (!in->module->table) {
        return WEIR_OK;
    }
    in->plan = plan;
    const enum weir_status st = in->module->table(in->self, table, slot, err);
    in->plan = NULL;
    return st;
}

void
instance_returned(const struct weir_instance *in, const char *call)
{
    if (getpid() != in->pid) {
        log_error("module %s %s forked a process that came back from %s: that "
                  "process is ended", in->module->name, in->module->version,
                  call);
        _exit(1);
    }
}
