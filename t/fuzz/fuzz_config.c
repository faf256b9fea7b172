/*
 * fuzz_config.c - any bytes as the text of a configuration: scanner, grammar,
 * settings and digests.  Modules are made up here, so that nothing is loaded
 * and no file is read.
 */
#include <stdint.h>
#include <string.h>

#include "config/build.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz_conf {
    const char                 *text;
    struct weir_list            list;
    struct weir_map             map;
    bool                        on;
    int64_t                     number, choice, size, time;
    const struct weir_template *template;
    const struct weir_format   *format;
};

/* clang-format off */
static const struct weir_name choices[] = {
    { "one", 1 }, { "two", 2 }, { NULL, 0 },
};
#define F struct fuzz_conf
static const struct weir_directive directives[] = {
    WEIR_STR(F, text, .flags = WEIR_ENV | WEIR_SECRET, .help = "h"),
    WEIR_LIST(F, list, .value = "{a, b}", .help = "h"),
    WEIR_MAP(F, map, .help = "h"),
    WEIR_BOOL(F, on, .help = "h"),
    WEIR_INT(F, number, .flags = WEIR_REQUIRED, .min = -9, .max = 9,
             .help = "h"),
    WEIR_CHOICE(F, choice, .names = choices, .help = "h"),
    WEIR_SIZE(F, size, .value = "1k", .help = "h"),
    WEIR_MSEC(F, time, .value = "1s", .help = "h"),
    WEIR_TEMPLATE(F, template, .flags = WEIR_PATH, .help = "h"),
    WEIR_FORMAT(F, format, .value = "row", .help = "h"),
    WEIR_END
};
#define MODULE(s, n) { WEIR_HEAD, .stage = s, .name = n, .version = "1", \
    .summary = "s", .conf_size = sizeof(F), .directives = directives }
static const struct weir_module modules[] = {
    MODULE(WEIR_SOURCE, "mysql"), MODULE(WEIR_FILTER, "table"),
    MODULE(WEIR_TRANSFORM, "columns"), MODULE(WEIR_SINK, "file"),
};
/* clang-format on */

static void
fuzz_build(struct build *b, const struct block *root)
{
    struct global_settings g = { 0 };

    settings_fill(&b->settings, root, &g);
    for (size_t i = 0; i < root->nblocks; i++) {
        struct conf_pipeline p = { 0 };
        pipeline_build(b, root->blocks[i], &p);
        digest_pipeline(&b->tokens, root->blocks[i], &p);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena         a = { 0 };
    struct conf_errors   errors = { 0 };
    struct loaded_module loaded[4];
    struct build         b = { .arena = &a,
                               .errors = &errors,
                               .settings = { .arena = &a,
                                             .errors = &errors } };

    for (size_t i = 0; i < 4; i++) {
        loaded[i] = (struct loaded_module){ &modules[i], "/modules/x.so" };
    }
    const struct weir_str text =
        arena_str(&a, (struct weir_str){ (const char *)data, size });
    /* With marks and without: the first bit says which. */
    if (scan_text(&a, text, "fuzz", size > 0 && (data[0] & 1), &errors,
                  &b.tokens)) {
        struct grammar g = { .arena = &a,
                             .errors = &errors,
                             .tokens = &b.tokens,
                             .root = blocks_syntax(&a, 4, loaded) };
        fuzz_build(&b, grammar_parse(&g));
    }
    buf_free(&b.settings.secrets);
    arena_free(&a);
    return 0;
}
