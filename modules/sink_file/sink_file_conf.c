/* sink_file_conf.c - see sink_file_conf.h. */
#include "sink_file_conf.h"

/* clang-format off */
const struct weir_directive file_directives[] = {
    WEIR_TEMPLATE(struct file_conf, path, .flags = WEIR_REQUIRED | WEIR_PATH,
                  .help = "file of an event, below root"),
    WEIR_STR(struct file_conf, root,
             .help = "folder, absolute; the sink's own `files` if not given"),
    WEIR_FORMAT(struct file_conf, format, .value = "weir",
                .help = "how an event is written"),
    WEIR_BOOL(struct file_conf, fsync, .value = "off",
              .help = "each batch is on the disk before it counts as done"),
    WEIR_INT(struct file_conf, max_files, .value = "10000",
             .help = "more files than that are taken for a mistake in path",
             .min = 1, .max = 10000000),
    WEIR_INT(struct file_conf, gzip, .value = "0", .max = 12,
             .help = "files are PATH.gz, compressed with that level; 0: not"),
    WEIR_SIZE(struct file_conf, rotate_size, .value = "0",
              .help = "files are PATH.000001 and so on, each of about that "
              "size; 0: no limit", .max = INT64_MAX / 2),
    WEIR_MSEC(struct file_conf, rotate_every, .value = "0ms",
              .help = "a part takes events for so long; 0: no limit",
              .max = 3153600000000),
    WEIR_INT(struct file_conf, keep_files, .value = "0",
             .help = "of a file, the last so many parts are kept; 0: all",
             .max = 1000000),
    WEIR_MSEC(struct file_conf, keep, .value = "0ms",
              .help = "parts older than that are removed; 0: none",
              .max = 3153600000000),
    WEIR_SIZE(struct file_conf, keep_size, .value = "0",
              .help = "of a file, so many bytes are kept, in whole parts; 0: "
              "all", .max = INT64_MAX / 2),
    WEIR_END
};
/* clang-format on */

enum weir_status
file_check(const void *conf, struct weir_err *err)
{
    const struct file_conf *c = conf;

    if (c->root && c->root[0] != '/') {
        return weir_fail(err, WEIR_FATAL,
                         "root: \"%s\" is not absolute; write the whole path, "
                         "as in \"/srv/changes\"",
                         c->root);
    }
    if ((c->keep_files || c->keep || c->keep_size) && !c->rotate_size &&
        !c->rotate_every) {
        return weir_fail(err, WEIR_FATAL,
                         "%s removes parts that are done with, and there are "
                         "none without rotate_size or rotate_every",
                         c->keep_files ? "keep_files"
                         : c->keep     ? "keep"
                                       : "keep_size");
    }
    return WEIR_OK;
}
