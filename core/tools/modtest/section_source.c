/* section_source.c - run(): in order, stopped when it is told to, refused. */
#include <fcntl.h>
#include <unistd.h>

#include "base/check.h"
#include "base/err.h"
#include "base/str.h"
#include "tools/modtest/answers.h"
#include "tools/modtest/sections.h"

static enum weir_status
run(struct host *h, struct unit *u)
{
    struct weir_err err = { "" };

    calling("run()");
    const enum weir_status st = h->m->run(u->in.self, STR(""), STR(""), 0,
                                          &err);
    calling(NULL);
    if (st < WEIR_OK && !err.text[0]) {
        breach("run() says why it gives %s", status_name(st));
    }
    if (st != WEIR_OK && st != WEIR_RETRY && st != WEIR_FATAL) {
        breach("run() gives OK, RETRY or FATAL (it gave %s)",
               status_name(st));
    }
    return st;
}

static struct unit *
start(struct host *h, size_t stop_after, enum weir_status refuse)
{
    struct unit *u = unit_start(h, "a source");

    if (u) {
        fed = (struct fed){ .stop_after = stop_after, .refuse = refuse };
        assert(pipe2(fed.stop_fd, O_CLOEXEC) == 0);
        u->in.stop_fd = fed.stop_fd[0];
    }
    return u;
}

void
section_run(struct host *h)
{
    struct unit *u = start(h, 5, WEIR_OK);

    if (!u) {
        return;
    }
    enum weir_status st = run(h, u);
    point(st == WEIR_OK && fed.nevents > 0,
          "run() feeds events and ends with OK when it is told to (%s, %zu "
          "events)", status_name(st), fed.nevents);
    unit_free(&u);
    u = start(h, 0, WEIR_OK);
    assert(write(fed.stop_fd[1], "s", 1) == 1);
    st = u ? run(h, u) : WEIR_FATAL;
    point(st == WEIR_OK, "run() ends with OK where it is stopped already "
          "(%s)", status_name(st));
    unit_free(&u);
    u = start(h, 0, WEIR_RETRY);
    st = u ? run(h, u) : WEIR_FATAL;
    point(st == WEIR_RETRY && fed.nevents == 1,
          "run() ends with what weir_feed_binlog() refused with (%s, %zu "
          "events)", status_name(st), fed.nevents);
    unit_free(&u);
}
