/* source_try.c - a source for the tests of configurations: it never runs. */
#include <weir/module.h>

struct try_conf {
    const char *host;
    int64_t     port;
    const char *password;
    int64_t     deadline;
};

static const struct weir_directive directives[] = {
    WEIR_STR(struct try_conf, host, .flags = WEIR_REQUIRED,
             .help = "the server's address"),
    WEIR_INT(struct try_conf, port, .value = "3306", .min = 1, .max = 65535,
             .help = "the server's port"),
    WEIR_STR(struct try_conf, password, .flags = WEIR_SECRET | WEIR_ENV,
             .help = "a word"),
    WEIR_MSEC(struct try_conf, deadline, .value = "10s", .min = 100,
              .max = 3600000, .help = "how long to wait"),
    WEIR_END
};

static enum weir_status
try_run(void *self, struct weir_str gtid_set, struct weir_str file,
        uint64_t offset, struct weir_err *err)
{
    (void)self, (void)gtid_set, (void)file, (void)offset, (void)err;
    return WEIR_OK;
}

WEIR_MODULE = {
    WEIR_HEAD,
    .stage = WEIR_SOURCE,
    .name = "try",
    .version = "1.2.3",
    .summary = "a source for tests",
    .conf_size = sizeof(struct try_conf),
    .directives = directives,
    .run = try_run,
};
