/*
 * sinkhost.h - the one instance that sinkhost has: the functions of
 * weir/module.h are in sinkhost_calls.c, the script is read in sinkhost.c.
 */
#ifndef SINKHOST_H
#define SINKHOST_H

#include <stdio.h>

#include <weir/module.h>

#include "base/arena.h"
#include "format/format.h"

enum { MAX_EVENTS = 100000, MAX_WORDS = 512, MAX_PARTS = 32 };

struct host_table {
    struct weir_table    pub;
    struct format_table *format;
    void                *slot;
};

struct weir_instance {
    const struct weir_module *module;
    const char               *folder;
    FILE                     *out; /* where answers go */
    void                     *conf, *self;
    bool                      is_open;
    struct arena              lasting, batch;
    const struct weir_format *format;
    struct host_table        *table;
    size_t                    nevents;
    struct weir_event        *events;
    const struct weir_event **list;
    void                    **slots;
};

extern struct weir_instance host;

#endif
