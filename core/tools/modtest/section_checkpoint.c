/*
 * section_checkpoint.c - sinks that keep checkpoints: what is found is what was
 * stored, by slot; forgotten is gone; a lower epoch is refused; what was
 * answered with OK is still there when the process was killed.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/err.h"
#include "base/str.h"
#include "tools/modtest/sections.h"

enum { BLOB = 3000 };

/* All bytes there are, with text before them, so that no two are the same. */
static struct weir_str
blob(struct host *h, const char *text)
{
    char        *data = arena_alloc(&h->arena, BLOB);
    const size_t n = strlen(text);

    memcpy(data, text, n);
    for (size_t i = n; i < BLOB; i++) {
        data[i] = (char)(i % 256);
    }
    return (struct weir_str){ data, BLOB };
}

static const char *
own_id(struct host *h, const char *name)
{
    return arena_printf(&h->arena, "%s-%s", h->id, name);
}

static enum weir_status
store(struct unit *u, struct made_table *t, const char *id, uint32_t slot,
      uint64_t epoch, struct weir_str data)
{
    struct trial *b = trial_new(2, 16384);

    if (t) {
        trial_add(b, &u->h->rows, WEIR_INSERT, t, slot + 1, IMAGE_ORDINARY);
    }
    trial_checkpoint(b, id, slot, epoch, data);
    return unit_write(u, b);
}

static struct unit *
start_as(struct host *h, struct made_table *t, uint32_t lane, uint32_t lanes,
         const char *id, const char *what)
{
    struct unit *u = unit_new(h, lane, lanes);

    if (unit_open(u) != WEIR_OK ||
        unit_restore(u, id, WEIR_ALL_SLOTS) != WEIR_OK ||
        unit_table(u, t) != WEIR_OK) {
        point(false, "%s: start: %s", what, h->said);
        unit_free(&u);
    }
    return u;
}

static void
stop(struct unit **u, struct made_table *t)
{
    if (*u) {
        unit_table_end(*u, t);
    }
    unit_free(u);
}

static void
expect(struct unit *u, const char *id, uint32_t slot, uint64_t epoch,
       struct weir_str want, const char *what)
{
    const struct found_checkpoint *f = unit_found(u, slot);

    point(f && f->epoch == epoch && str_eq(f->data, want) &&
              str_is(f->id, id),
          "restore() finds %s byte for byte, with id and epoch%s", what,
          f ? "" : " (it found nothing)");
}

void
section_restore(struct host *h)
{
    struct made_table    *t = table_make(&h->rows, TABLE_PLAIN);
    const char           *id = own_id(h, "restore");
    const struct weir_str one = blob(h, "one"), two = blob(h, "two");
    struct unit *u = start_as(h, t, 0, 1, id, "checkpoints");

    if (!u) {
        return;
    }
    point(u->nfound == 0, "restore() finds nothing where nothing was stored");
    point(store(u, t, id, 0, h->epoch, one) == WEIR_OK,
          "write() with a checkpoint: %s", h->said);
    stop(&u, t);
    u = start_as(h, t, 0, 1, id, "checkpoints");
    if (!u) {
        return;
    }
    expect(u, id, 0, h->epoch, one, "what write() stored");
    point(u->nfound == 1, "restore() finds each slot once, and no other");
    point(store(u, NULL, id, 0, h->epoch, two) == WEIR_OK,
          "an empty batch moves the checkpoint: %s", h->said);
    point(unit_restore(u, id, 0) == WEIR_OK, "restore() of one slot: %s",
          h->said);
    expect(u, id, 0, h->epoch, two, "what an empty batch stored");
    point(store(u, t, id, 0, h->epoch, one) == WEIR_OK,
          "write() behind restore() of its slot: %s", h->said);
    point(unit_forget(u, id, 0) == WEIR_OK, "forget(): %s", h->said);
    stop(&u, t);
    u = start_as(h, t, 0, 1, id, "checkpoints");
    point(u && u->nfound == 0, "restore() finds nothing that was forgotten");
    point(u && unit_forget(u, id, 0) == WEIR_OK,
          "forget() of what is not there: %s", h->said);
    stop(&u, t);
}

void
section_slots(struct host *h)
{
    struct made_table    *t = table_make(&h->rows, TABLE_PLAIN);
    const char           *id = own_id(h, "slots");
    const struct weir_str data[] = { blob(h, "0"), blob(h, "1"),
                                     blob(h, "2") };

    if (h->batching.max_lanes < 3) {
        skipped("slots of several lanes", "it takes fewer than three");
        return;
    }
    struct unit *u[3] = { NULL };
    for (uint32_t i = 0; i < 3; i++) {
        u[i] = start_as(h, t, i, 3, id, "slots");
        if (!u[i]) {
            return;
        }
    }
    for (uint32_t i = 0; i < 3; i++) {
        point(store(u[i], t, id, i, h->epoch, data[i]) == WEIR_OK,
              "a batch of lane %u of 3: %s", i, h->said);
    }
    for (int i = 0; i < 3; i++) {
        stop(&u[i], t);
    }
    u[0] = start_as(h, t, 0, 3, id, "slots");
    for (uint32_t i = 0; u[0] && i < 3; i++) {
        expect(u[0], id, i, h->epoch, data[i], "each lane's own");
    }
    if (u[0] && unit_forget(u[0], id, 1) == WEIR_OK) {
        unit_restore(u[0], id, WEIR_ALL_SLOTS);
        point(unit_found(u[0], 0) && !unit_found(u[0], 1) &&
                  unit_found(u[0], 2), "forget() of one slot leaves the "
              "others");
    }
    if (u[0]) {
        unit_restore(u[0], own_id(h, "slot"), WEIR_ALL_SLOTS);
        point(u[0]->nfound == 0, "another id's checkpoints are not found");
        for (uint32_t i = 0; i < 3; i++) {
            unit_forget(u[0], id, i);
        }
    }
    stop(&u[0], t);
}

void
section_fence(struct host *h)
{
    struct made_table    *t = table_make(&h->rows, TABLE_PLAIN);
    const char           *id = own_id(h, "fence");
    const struct weir_str old = blob(h, "old"), newer = blob(h, "newer");
    struct unit *u = start_as(h, t, 0, 1, id, "epochs");

    if (!u) {
        return;
    }
    point(store(u, t, id, 0, 7, newer) == WEIR_OK, "write() of epoch 7: %s",
          h->said);
    stop(&u, t);
    u = start_as(h, t, 0, 1, id, "epochs");
    if (!u) {
        return;
    }
    const enum weir_status st = store(u, t, id, 0, 6, old);
    point(st == WEIR_FENCED, "write() of epoch 6 where 7 was seen gives "
          "FENCED (it gave %s)", status_name(st));
    stop(&u, t);
    u = start_as(h, t, 0, 1, id, "epochs");
    if (u) {
        expect(u, id, 0, 7, newer, "the newer owner's, untouched,");
        point(store(u, t, id, 0, 8, old) == WEIR_OK,
              "write() of a higher epoch: %s", h->said);
        unit_restore(u, id, 0);
        expect(u, id, 0, 8, old, "the highest epoch's");
        unit_forget(u, id, 0);
    }
    stop(&u, t);
}

/* In a process that is killed as soon as it has its OK. */
static void
killed_part(struct host *h, struct made_table *t, const char *id,
            struct weir_str data, int answer)
{
    struct unit *u = start_as(h, t, 0, 1, id, "a kill");
    char         said = 'n';

    if (u && store(u, t, id, 0, h->epoch, blob(h, "first")) == WEIR_OK &&
        store(u, t, id, 0, h->epoch, data) == WEIR_OK) {
        said = 'y';
    }
    if (write(answer, &said, 1) != 1) {
        _exit(1);
    }
    kill(getpid(), SIGKILL);
}

void
section_killed(struct host *h)
{
    struct made_table    *t = table_make(&h->rows, TABLE_PLAIN);
    const char           *id = own_id(h, "killed");
    const struct weir_str data = blob(h, "last");
    int                   answer[2];
    char                  said = 'n';

    assert(pipe(answer) == 0);
    const pid_t pid = fork();
    if (pid == 0) {
        killed_part(h, t, id, data, answer[1]);
    }
    close(answer[1]);
    const bool stored = read(answer[0], &said, 1) == 1 && said == 'y';
    close(answer[0]);
    waitpid(pid, NULL, 0);
    if (!point(stored, "two batches in a process that is killed then")) {
        return;
    }
    struct unit *u = start_as(h, t, 0, 1, id, "a start after a kill");
    if (u) {
        expect(u, id, 0, h->epoch, data, "what was OK when it was killed");
        unit_forget(u, id, 0);
    }
    stop(&u, t);
}

void
section_uncommitted(struct host *h)
{
    struct made_table    *t = table_make(&h->rows, TABLE_PLAIN);
    const char           *id = own_id(h, "uncommitted");
    const struct weir_str whole = blob(h, "whole"), part = blob(h, "part");

    if (!h->m->commit || h->batching.share == WEIR_BY_KEY) {
        skipped("close() before commit()", "it has no commit()");
        return;
    }
    struct unit *u = start_as(h, t, 0, 1, id, "commit()");
    if (!u) {
        return;
    }
    point(store(u, t, id, 0, h->epoch, whole) == WEIR_OK,
          "write() and commit(): %s", h->said);
    struct trial *b = trial_new(2, 16384);
    trial_add(b, &h->rows, WEIR_INSERT, t, 900, IMAGE_ORDINARY);
    trial_checkpoint(b, id, 0, h->epoch, part);
    point(unit_write_only(u, b) == WEIR_OK, "write() without commit(): %s",
          h->said);
    unit_let_go(b);
    stop(&u, t);
    u = start_as(h, t, 0, 1, id, "commit()");
    if (u) {
        expect(u, id, 0, h->epoch, whole, "what was committed, no more,");
        unit_forget(u, id, 0);
    }
    stop(&u, t);
}
