/*
 * weirctl.c - a hand on a server: what it is doing, and what it shall do.
 * Options, the commands' names and their help; each command is in a file of its
 * own.
 */
#include "config.h"

#include <dirent.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "format/format.h"
#include "tools/ctl.h"

struct command {
    const char *name, *arguments, *what, *help;
    int (*run)(struct ctl *c);
    int most; /* words behind it */
};

static const struct command commands[] = {
    { "status", "[--json] [--watch]", "what each source and sink is doing",
      "Prints a table for each pipeline, or one JSON object.  What does not run\n"
      "has its reason and what to do below it.  --watch prints it each second.\n"
      "Without a server: where each sink stands, by its checkpoint.\n"
      "Exit status: 0 all runs, 1 something does not, 2 no server runs.\n",
      ctl_status, 0 },
    { "lag", "[--json]", "how far each sink is behind",
      "LAG is how old the last commit was when it was delivered, or how much\n"
      "newer what the source has had since is; BEHIND is in bytes of the\n"
      "relay.\n", ctl_lag, 0 },
    { "pause", "SINK [REASON]", "drain a sink and hold it",
      "The sink ends at a transaction's end and stays so, over reloads and\n"
      "restarts, until it is resumed; status shows the reason.  Meanwhile the\n"
      "relay keeps what it needs, within relay { size }.\n", ctl_pause,
      INT_MAX },
    { "resume", "SINK", "let a paused sink go on", "It goes on where it stopped.\n",
      ctl_resume, 1 },
    { "rewind", "SINK --to GTID|TIME|earliest [--yes]",
      "send transactions again",
      "Goes back in the relay: what came after GTID, or was committed at TIME\n"
      "(\"YYYY-MM-DD HH:MM:SS\", UTC) or later, or all that is there, is sent\n"
      "again.  Says what it will do, and asks; --yes does not.  Refused where\n"
      "the relay does not reach back.  With --json and without --yes it only\n"
      "says what it would do.\n", ctl_rewind, 1 },
    { "adopt", "SINK", "take over what another weir left in a sink's target",
      "What `adopt = on` in the sink's block does, once.\n", ctl_adopt, 1 },
    { "park", "list|show|resume|discard [SINK [TABLE]] [--json]",
      "tables that a sink has put aside",
      "list     which, since when, why, and what to do\n"
      "show     what is kept of one, each event as a JSON object, raw bytes too\n"
      "resume   applies what is kept, in its order; then the table joins the\n"
      "         stream.  Stops where the sink refuses again\n"
      "discard  throws it away; the table goes on with what comes\n"
      "TABLE is DATABASE.TABLE.\n", ctl_park, 3 },
    { "dead", "list|show|replay|discard [SINK [ID|all]] [--json]",
      "single events that a sink has put aside",
      "list     each with its number, reason, attempts\n"
      "show     as JSON objects, raw bytes too; one of them, or all\n"
      "replay   sends them again, but for those whose row has a newer version\n"
      "         by now\n"
      "discard  throws them away\n", ctl_dead, 3 },
    { "relay", "ls|verify|dump [PIPELINE] [--json]", "the segments on disk",
      "ls      each segment: its base, size, times and position\n"
      "verify  reads all of it and checks every CRC; exit status 1: damaged\n"
      "dump    each frame as a JSON object a line, rows decoded\n",
      ctl_relay, 2 },
    { "schema", "show [PIPELINE [GLOB]] | set PIPELINE TABLE [FILE]",
      "tables as the relay describes them",
      "show  tables as the relay last described them; GLOB is of\n"
      "      database.table.\n"
      "set   what TABLE (database.table) is like, where neither the log nor\n"
      "      the server can tell: a CREATE TABLE statement, of FILE or of the\n"
      "      standard input.  It is that of the first rows whose names a sink\n"
      "      lacks (--from VERSION: of those rows; --from now: of what comes),\n"
      "      and followed through the log's DDL from there.  Refused where it\n"
      "      does not fit the log.  Sinks that stopped for want of it go on.\n",
      ctl_schema, 4 },
    { "reload", "", "test the configuration, then change over to it",
      "Waits until all workers are as the new one says; exit status 1: it was\n"
      "refused, and everything goes on as before.\n", ctl_reload, 0 },
    { "version", "", "of this program, and of the server that runs", "",
      ctl_version, 0 },
};
enum { NCOMMANDS = sizeof commands / sizeof *commands };

static const char exits[] =
"Exit status: 0 done, or all is well; 1 it failed, or something does not run;\n"
"2 no server runs; 64 the command line is wrong.\n";

int
ctl_say(int exit_status, const char *fmt, ...)
{
    char    sentence[4096];
    va_list ap;

    fflush(stdout);
    va_start(ap, fmt);
    vsnprintf(sentence, sizeof sentence, fmt, ap);
    va_end(ap);
    str_tame(sentence, strlen(sentence));
    fprintf(stderr, "weirctl: %s\n", sentence);
    return exit_status;
}

const char *
ctl_shown(struct arena *a, struct weir_str text)
{
    char *copy = arena_cstr(a, text);

    str_tame(copy, strlen(copy));
    return copy;
}

/* ---- JSON */

void
ctl_key(struct buf *out, const char *name)
{
    const char last = out->len ? out->data[out->len - 1] : '{';

    buf_text(out, last == '{' || last == '[' ? "\"" : ",\"");
    buf_text(out, name);
    buf_text(out, "\":");
}

void
ctl_text(struct buf *out, const char *name, struct weir_str text)
{
    ctl_key(out, name);
    format_json_string(text, out);
}

void
ctl_uint(struct buf *out, const char *name, uint64_t n)
{
    ctl_key(out, name);
    buf_printf(out, "\"%" PRIu64 "\"", n);
}

void
ctl_int(struct buf *out, const char *name, int64_t n)
{
    ctl_key(out, name);
    buf_printf(out, "%" PRId64, n);
}

void
ctl_time(struct buf *out, const char *name, int64_t usec)
{
    char text[25];

    ctl_key(out, name);
    if (usec == 0) {
        buf_text(out, "null");
        return;
    }
    clock_format(usec, text);
    buf_printf(out, "\"%s\"", text);
}

void
ctl_bool(struct buf *out, const char *name, bool value)
{
    ctl_key(out, name);
    buf_text(out, value ? "true" : "false");
}

void
ctl_print(struct buf *out)
{
    buf_byte(out, '\n');
    fwrite(out->data, 1, out->len, stdout);
    out->len = 0;
}

/* ---- Names */

static bool
is_name(const char *s)
{
    const size_t len = strlen(s);

    return len > 0 && len <= 64 &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                     "0123456789_-") == len;
}

/* Pipelines of the state folder that have `below`, "relay" or a sink. */
static size_t
pipelines_with(struct ctl *c, const char *below, const char **one)
{
    size_t n = 0;

    DIR *folder = opendir(c->state);
    for (struct dirent *e = folder ? readdir(folder) : NULL; e;
         e = readdir(folder)) {
        const char *path = arena_printf(&c->arena, "%s/%s/%s", c->state,
                                        e->d_name, below);
        const char *page =
            arena_printf(&c->arena, "%s/run/%s.%s.sink", c->state, e->d_name,
                         below);
        if (is_name(e->d_name) && strcmp(e->d_name, "run") != 0 &&
            (access(path, F_OK) == 0 || access(page, F_OK) == 0)) {
            *one = arena_strdup(&c->arena, e->d_name);
            n++;
        }
    }
    if (folder) {
        closedir(folder);
    }
    return n;
}

bool
ctl_sink(struct ctl *c, const char **pipeline, const char **sink)
{
    if (c->argc < 1) {
        ctl_say(CTL_USAGE, "which sink?  PIPELINE/SINK");
        return false;
    }
    char *name = arena_strdup(&c->arena, c->argv[0]);
    char *slash = strchr(name, '/');
    if (slash) {
        *slash = '\0';
        *pipeline = name;
        *sink = slash + 1;
        if (is_name(*pipeline) && is_name(*sink)) {
            return true;
        }
    } else if (is_name(name)) {
        const size_t n = pipelines_with(c, name, pipeline);
        *sink = name;
        if (n == 1) {
            return true;
        }
        ctl_say(CTL_USAGE, n ? "%s: more than one pipeline has such a sink: "
                               "PIPELINE/SINK"
                             : "%s: there is no such sink; weirctl status "
                               "lists them", c->argv[0]);
        return false;
    }
    ctl_say(CTL_USAGE, "%.80s is no sink's name: PIPELINE/SINK", c->argv[0]);
    return false;
}

bool
ctl_pipeline(struct ctl *c, const char *name, const char **pipeline)
{
    *pipeline = name;
    if (name) {
        if (!is_name(name)) {
            ctl_say(CTL_USAGE, "%.80s is no pipeline's name", name);
        }
        return is_name(name);
    }
    const size_t n = pipelines_with(c, "relay", pipeline);
    if (n != 1) {
        ctl_say(CTL_USAGE, n ? "there are several pipelines in %s: which one?"
                             : "there is no relay in %s", c->state);
    }
    return n == 1;
}

/* ---- The command line */

static void
print_usage(FILE *out)
{
    fputs("weirctl " PACKAGE_VERSION ": sees and steers a weir\n\n"
          "usage: weirctl [-c FILE | -d STATE] COMMAND\n\n", out);
    for (size_t i = 0; i < NCOMMANDS; i++) {
        fprintf(out, "  %-8s %-38s %s\n", commands[i].name,
                commands[i].arguments, commands[i].what);
    }
    fprintf(out, "\n  -c FILE    the configuration, which says where the state "
                 "folder is\n             (default: %s/weir/weir.conf)\n"
                 "  -d STATE   the state folder itself\n"
                 "  -h         this; weirctl COMMAND --help says more\n\n"
                 "SINK is PIPELINE/SINK, or SINK alone where that is clear.  "
                 "See weirctl(8).\n%s", WEIR_SYSCONFDIR, exits);
}

static _Noreturn void
print_help(const struct command *command)
{
    if (command) {
        printf("usage: weirctl [-c FILE | -d STATE] %s %s\n\n%s\n%s",
               command->name, command->arguments, command->help, exits);
    } else {
        print_usage(stdout);
    }
    exit(CTL_OK);
}

static const struct command *
find_command(const char *name)
{
    const char *names[NCOMMANDS];

    for (size_t i = 0; i < NCOMMANDS; i++) {
        names[i] = commands[i].name;
        if (strcmp(name, names[i]) == 0) {
            return &commands[i];
        }
    }
    const char *nearest = str_nearest(name, names, NCOMMANDS);
    exit(ctl_say(CTL_USAGE, "%.40s: there is no such command%s%s%s; weirctl -h "
                 "lists them", name, nearest ? ", did you mean " : "",
                 nearest ? nearest : "", nearest ? "?" : ""));
}

static const char *
absolute(struct arena *a, const char *path)
{
    char here[PATH_MAX];

    if (path[0] == '/' || !getcwd(here, sizeof here)) {
        return path;
    }
    return arena_printf(a, "%s/%s", here, path);
}

static const struct option options[] = {
    { "help", no_argument, NULL, 'h' },
    { "json", no_argument, NULL, 'j' },
    { "watch", no_argument, NULL, 'w' },
    { "yes", no_argument, NULL, 'y' },
    { "to", required_argument, NULL, 't' },
    { "from", required_argument, NULL, 'f' },
    { "state", required_argument, NULL, 'd' },
    { "config", required_argument, NULL, 'c' },
    { NULL, 0, NULL, 0 },
};

/* What stands behind the options is left in c->argv. */
static bool
parse(int argc, char **argv, struct ctl *c)
{
    const char *conf = WEIR_SYSCONFDIR "/weir/weir.conf";
    bool        help = false;
    int         option;

    opterr = 0;
    while ((option = getopt_long(argc, argv, "hc:d:", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            conf = absolute(&c->arena, optarg);
            break;
        case 'd':
            c->state = absolute(&c->arena, optarg);
            break;
        case 'j':
            c->json = true;
            break;
        case 'w':
            c->watch = true;
            break;
        case 'y':
            c->yes = true;
            break;
        case 't':
            c->to = optarg;
            break;
        case 'f':
            c->from = optarg;
            break;
        case 'h':
            help = true;
            break;
        default:
            exit(ctl_say(CTL_USAGE, "%s is no option of weirctl's, or lacks "
                         "its value; weirctl -h lists them",
                         argv[optind - 1]));
        }
    }
    if (!c->state) {
        c->state = state_guess(&c->arena, conf);
    }
    c->argc = argc - optind;
    c->argv = argv + optind;
    return help;
}

static void
join_reason(struct ctl *c)
{
    struct buf text = { 0 };

    for (int i = 1; i < c->argc; i++) {
        buf_text(&text, i > 1 ? " " : "");
        buf_text(&text, c->argv[i]);
    }
    if (text.len) {
        c->reason = arena_cstr(&c->arena, buf_view(&text));
    }
    buf_free(&text);
}

int
main(int argc, char **argv)
{
    struct ctl      c = { 0 };
    struct weir_err err;

    const bool help = parse(argc, argv, &c);
    if (c.argc == 0) {
        if (help) {
            print_help(NULL);
        }
        print_usage(stderr);
        return CTL_USAGE;
    }
    const struct command *command = find_command(c.argv[0]);
    if (help) {
        print_help(command);
    }
    c.argc--;
    c.argv++;
    if (c.argc > command->most) {
        return ctl_say(CTL_USAGE, "'%.80s' is too much: weirctl %s %s",
                       c.argv[command->most], command->name,
                       command->arguments);
    }
    join_reason(&c);
    const enum weir_status st =
        state_holder(&c.arena, c.state, &c.holder, &err);
    c.is_running = st == WEIR_OK;
    if (st != WEIR_OK && st != WEIR_DROP) {
        return ctl_say(CTL_FAILED, "%s", err.text);
    }
    const int result = command->run(&c);
    arena_free(&c.arena);
    return result;
}
