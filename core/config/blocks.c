/* blocks.c - see blocks.h. */
#include "config/blocks.h"

#include <stdio.h>
#include <string.h>

#include "module/directive.h"

/* A directive whose name is not its field's. */
#define CORE(K, type, T, f, n, ...) \
    { .name = n, .kind = WEIR_K_##K, .offset = WEIR_AT(T, f, type), \
      __VA_ARGS__ }

/* clang-format off */
static const struct weir_name levels[] = {
    { "debug", WEIR_DEBUG }, { "info", WEIR_INFO }, { "warn", WEIR_WARN },
    { "error", WEIR_ERROR }, { NULL, 0 },
};
static const struct weir_name log_formats[] = {
    { "text", 0 }, { "json", 1 }, { NULL, 0 },
};
static const struct weir_name syncs[] = { /* enum relay_sync */
    { "none", 0 }, { "interval", 1 }, { "commit", 2 }, { NULL, 0 },
};
static const struct weir_name fulls[] = {
    { "stop", 0 }, { "detach", 1 }, { NULL, 0 },
};
static const struct weir_name starts[] = {
    { "relay", CONF_START_RELAY }, { "now", CONF_START_NOW }, { NULL, 0 },
};
static const struct weir_name rejects[] = {
    { "park", CONF_REJECT_PARK }, { "dead_letter", CONF_REJECT_DEAD_LETTER },
    { "skip", CONF_REJECT_SKIP }, { NULL, 0 },
};
static const struct weir_name guarantees[] = {
    { "any", -1 },
    { "at-most-once", WEIR_AT_MOST_ONCE },
    { "at-least-once", WEIR_AT_LEAST_ONCE },
    { "effectively-once", WEIR_EFFECTIVELY_ONCE },
    { "exactly-once", WEIR_EXACTLY_ONCE },
    { NULL, 0 },
};

#define G struct global_settings
static const struct weir_directive global_directives[] = {
    WEIR_STR(G, state, .value = WEIR_STATEDIR,
        .help = "the folder for relays, checkpoints and running.conf"),
    WEIR_STR(G, user,
        .help = "whom workers become when weir is started by root"),
    WEIR_STR(G, pid,
        .help = "the file for the master's process id; else STATE/weir.pid"),
    WEIR_STR(G, log,
        .help = "the log file, or stderr; else STATE/weir.log for a daemon "
                "and standard error in the foreground"),
    WEIR_CHOICE(G, log_level, .value = "info", .names = levels,
        .help = "the least that is logged"),
    WEIR_CHOICE(G, log_format, .value = "text", .names = log_formats,
        .help = "a sentence a line, or a JSON object with the same fields"),
    WEIR_STR(G, control,
        .help = "the socket that weirctl talks to; else STATE/run/control"),
    WEIR_BOOL(G, daemon, .value = "on",
        .help = "go to the background; off stays in the foreground"),
    CORE(MSEC, int64_t, G, drain_ms, "drain_timeout", .value = "30s",
        .min = 100, .max = 86400000,
        .help = "how long workers may take to end at a transaction's end"),
    WEIR_END
};

#define P struct pipeline_settings
static const struct weir_directive pipeline_directives[] = {
    WEIR_BOOL(P, adopt, .value = "off",
        .help = "take over what another weir left in the state folder or in "
                "a sink, and go on from there"),
    WEIR_END
};

#define R struct conf_relay
static const struct weir_directive relay_directives[] = {
    WEIR_SIZE(R, size, .value = "4g", .min = 1 << 20, .max = INT64_C(1) << 50,
        .help = "how much is kept for sinks that are behind, at most"),
    CORE(MSEC, int64_t, R, keep_ms, "keep", .value = "24h", .min = 0,
        .max = INT64_C(86400000) * 3650,
        .help = "how long what every sink has is kept, within size"),
    WEIR_SIZE(R, segment, .min = 64 << 10, .max = 1 << 30,
        .help = "a file's size; else 64m, or a quarter of a small relay"),
    WEIR_SIZE(R, max_transaction, .value = "0",
        .help = "how far an open transaction may go beyond size; 0: to the "
                "end of the disk, less a reserve"),
    WEIR_SIZE(R, max_event, .value = "256m", .min = 1 << 20, .max = 1 << 30,
        .help = "the largest event that is taken; memory is bounded by it"),
    WEIR_CHOICE(R, sync, .value = "none", .names = syncs,
        .help = "when the relay is made durable; what was not is fetched "
                "again from the source"),
    WEIR_CHOICE(R, full, .value = "stop", .names = fulls,
        .help = "when what sinks need fills size: stop the source until "
                "there is room, or detach the sink that is behind"),
    CORE(MSEC, int64_t, R, schema_wait_ms, "schema_wait", .value = "60s",
        .min = 1000, .max = 3600000,
        .help = "how long to wait for the stream to reach the position of a "
                "table's definition"),
    WEIR_LIST(R, assume_current_schema,
        .help = "globs of database.table whose columns are taken as the "
                "server has them now, where the log does not name them: "
                "wrong if they were renamed or changed places since"),
    WEIR_LIST(R, tables,
        .help = "globs of database.table that are kept; else those of all "
                "sinks"),
    WEIR_LIST(R, leave_out,
        .help = "globs of database.table: a transaction that begins with a row "
                "of one is left out, as what another weir wrote there"),
    WEIR_END
};

#define S struct conf_sink_settings
static const struct weir_directive sink_directives[] = {
    WEIR_LIST(S, tables,
        .help = "globs of database.table that this sink gets; else all"),
    WEIR_BOOL(S, adopt, .value = "off",
        .help = "take over a target that another weir wrote to, and go on "
                "from there"),
    WEIR_CHOICE(S, start, .value = "relay", .names = starts,
        .help = "where a new sink begins: with all that the relay still has, "
                "or with what comes now"),
    WEIR_CHOICE(S, guarantee, .value = "any", .names = guarantees,
        .help = "refuse the configuration if the module gives less"),
    WEIR_INT(S, events, .min = 1, .max = 1000000,
        .help = "events in a batch, at most; else the module's wish"),
    WEIR_SIZE(S, bytes, .min = 4 << 10, .max = 1 << 30,
        .help = "bytes in a batch, at most; else the module's wish"),
    CORE(MSEC, int64_t, S, wait_ms, "wait", .min = 0, .max = 3600000,
        .help = "wait so long for a batch to fill; else the module's wish, "
                "mostly not at all"),
    WEIR_INT(S, lanes, .value = "1", .min = 1, .max = 64,
        .help = "how many batches are written side by side, each by a "
                "connection of its own"),
    WEIR_SIZE(S, window, .value = "16m", .min = 1 << 20, .max = 1 << 30,
        .help = "memory for what is decoded and not yet written, at most"),
    WEIR_CHOICE(S, on_reject, .value = "park", .names = rejects,
        .help = "what becomes of what the sink will never take: its table is "
                "put aside, the event is, or it is left out"),
    WEIR_SIZE(S, aside, .value = "1g", .min = 1 << 16,
        .max = INT64_MAX / 4,
        .help = "parked tables and dead letters of this sink on disk, at "
                "most; then it stops"),
    CORE(MSEC, int64_t, S, timeout_ms, "timeout", .value = "60s", .min = 100,
        .max = 86400000,
        .help = "a module's call that takes longer hangs: its worker is "
                "killed and started again"),
    WEIR_SIZE(S, memory, .value = "4g", .max = INT64_MAX / 4,
        .help = "of a worker that takes more, not counting files: it is killed "
                "and started again; 0: no limit"),
    WEIR_STR(S, was,
        .help = "this sink's former name, whose checkpoint it takes over"),
    WEIR_END
};

#define Y struct conf_retry
static const struct weir_directive retry_directives[] = {
    CORE(MSEC, int64_t, Y, base_ms, "base", .value = "100ms", .min = 1,
        .max = 3600000, .help = "the wait before the second try; it doubles "
                                "with each, less a random part"),
    CORE(MSEC, int64_t, Y, cap_ms, "cap", .value = "60s", .min = 1,
        .max = 86400000, .help = "the longest wait"),
    WEIR_INT(Y, max, .value = "0", .max = 1000000000,
        .help = "tries in vain before the sink stops (a single event: before "
                "on_reject decides); 0: it tries for ever"),
    WEIR_END
};
#define B struct conf_breaker
static const struct weir_directive breaker_directives[] = {
    WEIR_INT(B, failures, .value = "10", .min = 1, .max = 1000000,
        .help = "failures in a row, times lanes, before nothing is tried for a "
                "while"),
    CORE(MSEC, int64_t, B, open_ms, "open", .value = "60s", .min = 1,
        .max = 86400000, .help = "how long; then one batch is tried"),
    WEIR_END
};
/* clang-format on */

static struct syntax *
new_syntax(struct arena *a, const char *name, const struct weir_directive *d)
{
    struct syntax *s = arena_alloc(a, sizeof *s);

    s->name = name;
    s->directives = d;
    s->directive_size = sizeof *d;
    return s;
}

/* The modules of a stage as blocks of `s`, with `more` behind them. */
static void
add_blocks(struct arena *a, struct syntax *s, enum weir_stage stage,
           size_t nmodules, const struct loaded_module *modules,
           const struct syntax *const *more, size_t nmore)
{
    const struct syntax **blocks =
        arena_array(a, nmodules + nmore + 1, sizeof *blocks);

    s->stage = stage;
    s->blocks = blocks;
    for (size_t i = 0; i < nmodules; i++) {
        const struct weir_module *m = modules[i].module;
        if (m->stage != stage) {
            continue;
        }
        struct syntax *block = new_syntax(a, m->name, m->directives);
        block->directive_size = m->directive_size;
        block->module = m;
        blocks[s->nblocks++] = block;
    }
    for (size_t i = 0; i < nmore; i++) {
        blocks[s->nblocks++] = more[i];
    }
}

const struct syntax *
blocks_syntax(struct arena *a, size_t nmodules,
              const struct loaded_module *modules)
{
    struct syntax *root = new_syntax(a, NULL, global_directives);
    struct syntax *pipeline = new_syntax(a, "pipeline", pipeline_directives);
    struct syntax *source = new_syntax(a, "source", NULL);
    struct syntax *relay = new_syntax(a, "relay", relay_directives);
    struct syntax *filter = new_syntax(a, "filter", NULL);
    struct syntax *transform = new_syntax(a, "transform", NULL);
    struct syntax *sink = new_syntax(a, "sink", sink_directives);

    pipeline->titled = filter->titled = transform->titled = true;
    sink->titled = true;
    add_blocks(a, source, WEIR_SOURCE, nmodules, modules, NULL, 0);
    add_blocks(a, filter, WEIR_FILTER, nmodules, modules, NULL, 0);
    add_blocks(a, transform, WEIR_TRANSFORM, nmodules, modules, NULL, 0);
    add_blocks(a, sink, WEIR_SINK, nmodules, modules,
               (const struct syntax *const[]){
                   filter, transform, new_syntax(a, "retry", retry_directives),
                   new_syntax(a, "breaker", breaker_directives) }, 4);
    add_blocks(a, pipeline, 0, 0, NULL,
               (const struct syntax *const[]){ source, relay, filter,
                                               transform, sink }, 5);
    add_blocks(a, root, 0, 0, NULL,
               (const struct syntax *const[]){ pipeline }, 1);
    return root;
}

bool
conf_help(const char *name)
{
    static const struct {
        const char                  *name, *text;
        const struct weir_directive *directives;
    } helps[] = {
        { "global", "the top level of the configuration\n\n"
                    "  load_module(\"FILE.so\")\n"
                    "      a path, or a file of the module folder\n"
                    "  include(\"GLOB\")\n"
                    "      files in its place; paths start at the main file",
          global_directives },
        { "pipeline", "pipeline NAME { source relay filter... transform... "
                      "sink... }", pipeline_directives },
        { "relay", "relay { ... }, in a pipeline", relay_directives },
        { "sink", "sink NAME { MODULE { ... } filter... transform... }, in a "
                  "pipeline", sink_directives },
        { "retry", "retry { ... }, in a sink", retry_directives },
        { "breaker", "breaker { ... }, in a sink", breaker_directives },
    };

    for (size_t i = 0; i < sizeof helps / sizeof *helps; i++) {
        if (strcmp(helps[i].name, name) == 0) {
            printf("%s\n", helps[i].text);
            directive_help(helps[i].directives, sizeof(struct weir_directive),
                           stdout);
            return true;
        }
    }
    return false;
}
