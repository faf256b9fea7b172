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

/* The stage as a config says it: "source", "filter", "transform", "sink". */
const char *module_stage_name(enum weir_stage stage);
/* What `weir -h sink_redis` prints. */
void module_help(const struct weir_module *m);

#endif
