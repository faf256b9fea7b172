/* section_module.c - what is asked of a module of any stage. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/err.h"
#include "base/str.h"
#include "tools/modtest/quiet.h"
#include "tools/modtest/sections.h"

void
section_load(struct host *h)
{
    struct weir_err err = { "" };

    point(h->m->version[0] && h->m->summary[0],
          "it says its version and what it is for");
    point(!strpbrk(h->m->summary, "\r\n"), "its summary is one line");
    point(h->m->stage != WEIR_SINK || !h->m->forget == !h->m->restore,
          "restore() and forget() come together");
    const enum weir_status st = host_configure(h, &err);
    point(st == WEIR_OK, "its block is read%s%s",
          h->opt->conf ? "" : " with nothing in it",
          st == WEIR_OK ? "" : arena_printf(&h->arena, ": %s", err.text));
    if (st != WEIR_OK && !h->opt->conf) {
        note("give a file with the module's block as the second argument");
    }
}

static bool
names_a_secret(const char *name)
{
    static const char *const words[] = { "password", "passwd", "secret",
                                         "token", "passphrase" };
    const size_t len = strlen(name);

    if (len > 5 && strcmp(name + len - 5, "_file") == 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strstr(name, words[i])) {
            return true;
        }
    }
    return false;
}

static void
check_overlap(const struct weir_module *m, const struct weir_directive *d,
              size_t i)
{
    for (size_t k = 0; k < i; k++) {
        const struct weir_directive other =
            directive_get(m->directives, m->directive_size, k);
        if (d->offset < other.offset + directive_width(other.kind) &&
            other.offset < d->offset + directive_width(d->kind)) {
            breach("directives '%s' and '%s' don't share bytes of the conf "
                   "struct", other.name, d->name);
        }
    }
}

void
section_directives(struct host *h)
{
    const struct weir_module *m = h->m;
    const size_t n =
        m->directives ? directive_count(m->directives, m->directive_size) : 0;

    for (size_t i = 0; i < n; i++) {
        const struct weir_directive d =
            directive_get(m->directives, m->directive_size, i);
        check_overlap(m, &d, i);
        if (strpbrk(d.help, "\r\n")) {
            breach("directive '%s' has help of one line", d.name);
        }
        if (d.kind == WEIR_K_STR && names_a_secret(d.name) &&
            !(d.flags & WEIR_SECRET)) {
            breach("directive '%s' is marked WEIR_SECRET", d.name);
        }
        if (d.flags & (WEIR_ORDER | WEIR_PATH) && d.kind != WEIR_K_TEMPLATE) {
            breach("directive '%s': WEIR_ORDER and WEIR_PATH are of templates",
                   d.name);
        }
    }
    point(breaches() == 0, "%zu directives: no bytes shared, help, secrets "
          "marked", n);
}

static void
check_wishes(struct host *h)
{
    const struct weir_module  *m = h->m;
    const struct weir_batching b = module_batching(m, h->conf, 0, 0, 0);
    const struct weir_batching twin = module_batching(m, h->conf, 0, 0, 0);

    point(b.guarantee <= WEIR_EXACTLY_ONCE && b.share <= WEIR_MERGE_TXN &&
              b.events > 0 && b.bytes > 0 && b.wait_ms >= 0 &&
              b.max_lanes > 0,
          "batching() stays within what there is");
    point(b.guarantee == twin.guarantee && b.share == twin.share &&
              b.events == twin.events && b.bytes == twin.bytes &&
              b.wait_ms == twin.wait_ms && b.max_lanes == twin.max_lanes &&
              b.resend == twin.resend,
          "batching() says the same twice");
    point(b.guarantee != WEIR_EXACTLY_ONCE || (m->restore && m->forget),
          "exactly-once needs restore() and forget()");
    point(b.share == WEIR_BY_KEY || m->commit,
          "sharing by transaction needs commit()");
    point(!b.resend || m->restore, "resend needs restore()");
    note("%s", module_guarantee_name(b.guarantee));
}

void
section_check(struct host *h)
{
    if (!quiet_arm()) {
        skipped("check() touches nothing", "no seccomp here");
    }
    const enum weir_status st = host_check(h);
    point(st == WEIR_OK, "check() takes the block%s%s",
          st == WEIR_OK ? "" : ": ", st == WEIR_OK ? "" : h->said);
    point(host_check(h) == st, "check() says the same twice");
    if (h->m->stage == WEIR_SINK) {
        check_wishes(h);
    }
}

static bool
cycle(struct host *h)
{
    struct unit *u = unit_start(h, "open() and close(), many times");

    if (!u) {
        return false;
    }
    for (int i = 0; i < 3; i++) {
        unit_tick(u);
    }
    unit_free(&u);
    return true;
}

void
section_open(struct host *h)
{
    struct traces before = traces_now();
    struct leak   leak = { { 0 } };

    for (int i = 0; i < LEAK_CYCLES; i++) {
        leak_note(&leak, i);
        if (i == LEAK_WINDOW) { /* libraries have opened what they keep */
            const struct traces first = before;
            before = traces_now();
            before.handlers = first.handlers;
            before.nchildren = first.nchildren;
        }
        if (!cycle(h)) {
            return;
        }
    }
    point(true, "open(), tick() and close(), %d times", LEAK_CYCLES);
    leak_point(&leak, "close()");
    traces_compare(&before, "close()");
    if (h->m->stage == WEIR_SINK && h->batching.max_lanes == 1) {
        return;
    }
    struct unit *a = unit_start(h, "an instance beside another");
    struct unit *b = a ? unit_start(h, "an instance beside another") : NULL;
    unit_free(&a);
    for (int i = 0; b && i < 2; i++) {
        unit_tick(b);
    }
    point(b != NULL, "two instances at a time, one closed before the other");
    unit_free(&b);
}

/* The process may not open a file more. */
void
section_no_fds(struct host *h)
{
    const int     last = fcntl(0, F_DUPFD, 3);
    struct rlimit limit, none;

    close(last);
    getrlimit(RLIMIT_NOFILE, &limit);
    none = limit;
    none.rlim_cur = (rlim_t)last;
    struct unit *u = unit_new(h, 0, 1);
    setrlimit(RLIMIT_NOFILE, &none);
    const enum weir_status st = unit_open(u);
    setrlimit(RLIMIT_NOFILE, &limit);
    point(st == WEIR_OK || st == WEIR_RETRY || st == WEIR_FATAL,
          "open() without a file descriptor left gives OK, RETRY or FATAL");
    unit_free(&u);
    u = unit_start(h, "open() when there are file descriptors again");
    point(u != NULL, "open() when there are file descriptors again");
    unit_free(&u);
}
