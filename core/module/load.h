/*
 * load.h - modules from .so files: found, opened, and checked against our ABI,
 * with a message that says which side to change.  All of <dlfcn.h> is here.
 */
#ifndef WEIR_MODULE_LOAD_H
#define WEIR_MODULE_LOAD_H

#include <weir/module.h>

#include "base/arena.h"

struct loaded_module {
    const struct weir_module *module;
    const char               *path;
};

/* `name` is a path, or a file name in the module directory ($WEIR_MODULE_DIR,
 * else the compiled-in one).  FATAL: not found, writable by others than its
 * owner, not a shared object, no `weir_module` in it, another ABI major, a
 * newer minor, an unknown stage, a function missing that its stage needs, a
 * directive outside of conf_size, with a bad default, or named twice. */
enum weir_status module_load(struct arena *a, const char *name,
                             struct loaded_module *out, struct weir_err *err);

/* Is there such a file in the module directory? */
bool module_is_installed(const char *file);

/* The stage as a config says it: "source", "filter", "transform", "sink". */
const char *module_stage_name(enum weir_stage stage);
/* "exactly-once" */
const char *module_guarantee_name(enum weir_guarantee guarantee);
/* A sink's batching() as it will be: where `asked` is not 0, that counts. */
struct weir_batching module_batching(const struct weir_module *m,
                                     const void *conf, int64_t asked_events,
                                     int64_t asked_bytes,
                                     int64_t asked_wait_ms);
/* What `weir -h sink_redis` prints. */
void module_help(const struct weir_module *m);

#endif
