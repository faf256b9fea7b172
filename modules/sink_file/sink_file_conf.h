/*
 * sink_file_conf.h - the directives of the sink, and which go together.
 */
#ifndef SINK_FILE_CONF_H
#define SINK_FILE_CONF_H

#include <weir/module.h>

struct file_conf {
    const struct weir_template *path;
    const char                 *root;
    const struct weir_format   *format;
    bool                        fsync;
    int64_t                     max_files, gzip;
    int64_t                     rotate_size, rotate_every;
    int64_t                     keep_files, keep, keep_size;
};

extern const struct weir_directive file_directives[];
enum weir_status file_check(const void *conf, struct weir_err *err);

#endif
