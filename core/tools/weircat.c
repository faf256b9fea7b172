/*
 * weircat.c - binlog files in, JSON lines out: what mysqlbinlog is to SQL.  No
 * configuration, no server.  What can be read is printed; what can't be is said
 * on standard error, and the exit status is 1.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/str.h"
#include "tools/logfile.h"
#include "tools/printer.h"

enum { FLUSH_BYTES = 512 << 10, EXIT_USAGE = 2 };

struct cat {
    struct logfile  file;
    struct printer *printer;
    struct buf     *out; /* the printer's */
    bool            failed;
};

static const char usage[] =
    "usage: weircat [-f weir|row] [--database GLOB] [--table GLOB] FILE...\n"
    "Prints the changes that binlog files of MySQL or MariaDB hold, one JSON\n"
    "object a line.  A FILE of - is standard input.\n"
    "\n"
    "  -f, --format FORMAT  weir (default): an envelope with position,\n"
    "                       operation, both images; row: the bare row after\n"
    "                       the change.  weir:decimals=string writes DECIMAL\n"
    "                       in quotes.\n"
    "  -d, --database GLOB  only databases of that name\n"
    "  -t, --table GLOB     only tables of that name\n"
    "  -h, --help           this\n"
    "  -V, --version        the version\n"
    "\n"
    "Column names are in the log if the server has binlog_row_metadata=FULL;\n"
    "else they are @1, @2 and so on.  Exit status: 0, or 1 if something could\n"
    "not be read, which is then said on standard error, or 2 for wrong\n"
    "options.\n";

static void
flush_output(struct cat *c)
{
    struct weir_err err;
    if (c->out == NULL || c->out->len == 0) {
        return;
    }
    if (file_write(STDOUT_FILENO, "standard output", c->out->data,
                   c->out->len, &err) != WEIR_OK) {
        fprintf(stderr, "weircat: %s\n", err.text);
        exit(EXIT_FAILURE);
    }
    c->out->len = 0;
}

static void
output_ready(void *arg, struct buf *out)
{
    struct cat *c = arg;
    c->out = out;
    if (out->len >= FLUSH_BYTES) {
        flush_output(c);
    }
}

static void
before_wait(void *arg)
{
    flush_output(arg);
}

static void
say(struct cat *c, bool lost, const char *text)
{
    flush_output(c); /* so that both are in order where they meet */
    char line[1200];
    snprintf(line, sizeof line, "%s", text);
    str_tame(line, strlen(line));
    fprintf(stderr, "weircat: %s\n", line);
    c->failed = c->failed || lost;
}

/* With the event's place in front. */
static void
complain(void *arg, bool lost, const char *text)
{
    struct cat *c = arg;
    char        line[1024];
    snprintf(line, sizeof line, "%s: offset %llu: %s", c->file.path,
             (unsigned long long)c->file.offset, text);
    say(c, lost, line);
}

static void
print_file(struct cat *c, const char *path)
{
    struct weir_err  err;
    const uint8_t   *data;
    size_t           len;
    enum weir_status st = logfile_open(&c->file, path, &err);

    printer_begin(c->printer, c->file.name);
    while (st == WEIR_OK) {
        st = logfile_next(&c->file, &data, &len, &err);
        if (st != WEIR_OK) {
            break;
        }
        st = printer_event(c->printer, data, len, c->file.offset, &err);
        if (st != WEIR_OK) {
            complain(c, true, err.text);
        }
    }
    printer_end(c->printer);
    if (st == WEIR_FATAL || st == WEIR_RETRY) {
        say(c, true, err.text);
    }
    logfile_close(&c->file);
}

static void
set_format(struct arena *a, const char *text, struct weir_format *out)
{
    const struct weir_format *f;
    struct weir_err           err;
    if (format_find(a, text, &f, &err) != WEIR_OK) {
        fprintf(stderr, "weircat: %s\n", err.text);
        exit(EXIT_USAGE);
    }
    *out = *f;
}

static void
read_options(int argc, char **argv, struct arena *a,
             struct printer_settings *set)
{
    static const struct option options[] = {
        { "format", required_argument, NULL, 'f' },
        { "database", required_argument, NULL, 'd' },
        { "table", required_argument, NULL, 't' },
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },
        { NULL, 0, NULL, 0 },
    };
    int o;
    set_format(a, "weir", &set->format);
    while ((o = getopt_long(argc, argv, "f:d:t:hV", options, NULL)) != -1) {
        switch (o) {
        case 'f':
            set_format(a, optarg, &set->format);
            break;
        case 'd':
            set->database = str_of(optarg);
            break;
        case 't':
            set->table = str_of(optarg);
            break;
        case 'h':
            fputs(usage, stdout);
            exit(EXIT_SUCCESS);
        case 'V':
            puts("weircat " PACKAGE_VERSION);
            exit(EXIT_SUCCESS);
        default:
            fputs("weircat -h lists the options\n", stderr);
            exit(EXIT_USAGE);
        }
    }
    if (optind == argc) {
        fputs(usage, stderr);
        exit(EXIT_USAGE);
    }
}

int
main(int argc, char **argv)
{
    struct arena            a = { 0 };
    struct cat              c = { 0 };
    struct printer_settings set = {
        .complain = complain,
        .ready = output_ready,
        .arg = &c,
    };
    read_options(argc, argv, &a, &set);
    c.file.before_wait = before_wait;
    c.file.arg = &c;
    c.printer = printer_new(&set);
    for (int i = optind; i < argc; i++) {
        print_file(&c, argv[i]);
    }
    flush_output(&c);
    printer_free(&c.printer);
    buf_free(&c.file.block);
    arena_free(&a);
    return c.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
