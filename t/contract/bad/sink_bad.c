/*
 * sink_bad.c - a sink that breaks one promise of weir/module.h, the one that
 * its block names: for the tests of what weir-modtest and the server make of
 * it.  Otherwise it keeps its checkpoints in files of its folder, and no rows.
 */
#include <weir/module.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct bad_conf {
    const char *how, *password;
    bool        pending, by_txn;
};

struct bad {
    struct weir_instance  *in;
    const struct bad_conf *conf;
    pthread_t              thread;
    struct weir_batch     *last;
    const struct weir_event *kept;
    char                   waiting[8192]; /* of by_txn: not committed yet */
};

static const struct weir_directive directives[] = {
    WEIR_STR(struct bad_conf, how, .value = "not",
             .help = "the promise that is broken"),
    WEIR_STR(struct bad_conf, password, .flags = WEIR_SECRET,
             .help = "never to be seen"),
    WEIR_BOOL(struct bad_conf, pending, .value = "off",
              .help = "write() gives PENDING"),
    WEIR_BOOL(struct bad_conf, by_txn, .value = "off", .help = "commit()"),
    WEIR_END
};

static int
is(const struct bad_conf *conf, const char *how)
{
    return strcmp(conf->how, how) == 0;
}

/* ---- Its checkpoints */

static const char *
file_of(struct bad *s, struct weir_str id, uint32_t slot, char out[512])
{
    snprintf(out, 512, "%s/%.*s.%u", weir_dir(s->in), (int)id.len, id.data,
             is(s->conf, "one_slot") ? 0 : slot);
    if (is(s->conf, "one_id")) {
        snprintf(out, 512, "%s/it.%u", weir_dir(s->in), slot);
    }
    for (char *p = out + strlen(weir_dir(s->in)) + 1; *p; p++) {
        *p = *p == '/' ? '_' : *p;
    }
    return out;
}

static size_t
load(struct bad *s, struct weir_str id, uint32_t slot, uint64_t *epoch,
     char data[8192])
{
    char   path[512];
    size_t n = 0;
    FILE  *f = fopen(file_of(s, id, slot, path), "r");

    *epoch = 0;
    if (f) {
        n = fread(epoch, sizeof *epoch, 1, f) ? fread(data, 1, 8192, f) : 0;
        fclose(f);
    }
    return n;
}

static void
save(struct bad *s, const struct weir_checkpoint *cp)
{
    char           path[512], beside[520];
    const uint64_t epoch = is(s->conf, "forget_epoch") ? 1 : cp->epoch;

    /* Replaced whole: another thread may end the process. */
    snprintf(beside, sizeof beside, "%s.new",
             file_of(s, cp->id, cp->slot, path));
    FILE *f = fopen(beside, "w");

    if (f) {
        fwrite(&epoch, sizeof epoch, 1, f);
        fwrite(cp->data.data, 1,
               is(s->conf, "cut_checkpoint") ? strnlen(cp->data.data,
                                                       cp->data.len)
                                             : cp->data.len, f);
        fclose(f);
        rename(beside, path);
    }
}

static enum weir_status
bad_restore(void *self, struct weir_str id, uint32_t slot,
            struct weir_err *err)
{
    struct bad *s = self;
    char        data[8192];
    uint64_t    epoch;

    if (is(s->conf, "restore_reject")) {
        return weir_fail(err, WEIR_REJECT, "no such thing");
    }
    for (uint32_t i = 0; i < 8; i++) {
        const size_t n = slot == WEIR_ALL_SLOTS || slot == i
                             ? load(s, id, i, &epoch, data)
                             : 0;
        if (n) {
            const struct weir_checkpoint cp = { id, i, epoch, { data, n } };
            weir_found(s->in, &cp);
            if (is(s->conf, "found_twice")) {
                weir_found(s->in, &cp);
            }
        }
    }
    return WEIR_OK;
}

static enum weir_status
bad_forget(void *self, struct weir_str id, uint32_t slot, struct weir_err *err)
{
    struct bad *s = self;
    char        path[512];

    (void)err;
    for (uint32_t i = 0; i < 8; i++) {
        if ((i == slot || is(s->conf, "forget_all")) &&
            !is(s->conf, "forget_nothing")) {
            unlink(file_of(s, id, i, path));
        }
    }
    return WEIR_OK;
}

/* ---- Before any event */

static enum weir_status
bad_check(const void *conf, struct weir_err *err)
{
    const struct bad_conf *c = conf;

    if (is(c, "check_opens")) {
        close(open("/etc/passwd", O_RDONLY));
    } else if (is(c, "check_forks") && fork() == 0) {
        _exit(0);
    } else if (is(c, "check_exits")) {
        exit(0);
    } else if (is(c, "check_crashes")) {
        raise(SIGSEGV);
    } else if (is(c, "check_writes")) {
        ((struct bad_conf *)(uintptr_t)conf)->pending = true;
    } else if (is(c, "secret")) {
        return weir_fail(err, WEIR_FATAL, "the password %s is no good",
                         c->password);
    } else if (is(c, "no_reason")) {
        return WEIR_FATAL;
    } else if (is(c, "two_lines")) {
        return weir_fail(err, WEIR_FATAL, "one line\nand another");
    } else if (is(c, "long_reason")) {
        memset(err->text, 'x', sizeof err->text);
        return WEIR_FATAL;
    }
    return WEIR_OK;
}

static void
bad_batching(const void *conf, struct weir_batching *b)
{
    static int             calls;
    const struct bad_conf *c = conf;

    b->guarantee = WEIR_EFFECTIVELY_ONCE;
    b->max_lanes = is(c, "no_lanes") ? 0 : 8;
    if (is(c, "batching_varies")) {
        b->events = 100 + calls++;
    }
    if (c->by_txn) {
        b->share = WEIR_MERGE_TXN;
        b->max_lanes = 1;
    }
}

static void *
sleeper(void *arg)
{
    (void)arg;
    for (;;) {
        pause();
    }
    return NULL;
}

static enum weir_status
bad_open(struct weir_instance *in, const void *conf, void **self,
         struct weir_err *err)
{
    const struct bad_conf *c = conf;
    static int             opened;
    struct bad            *s = calloc(1, sizeof *s);

    (void)err;
    s->in = in;
    s->conf = conf;
    *self = s;
    if (is(c, "open_crashes")) {
        raise(SIGSEGV);
    } else if (is(c, "open_exits")) {
        exit(3);
    } else if (is(c, "open_drops")) {
        return WEIR_DROP;
    } else if (is(c, "odd_status")) {
        return (enum weir_status)17;
    } else if (is(c, "leak_fd")) {
        (void)!dup(2);
    } else if (is(c, "leak_thread")) {
        pthread_create(&s->thread, NULL, sleeper, NULL);
    } else if (is(c, "leak_process") && opened == 0 && fork() == 0) {
        for (;;) {
            pause();
        }
    } else if (is(c, "leak_memory")) {
        memset(malloc(100), 1, 100);
    } else if (is(c, "signals")) {
        signal(SIGPIPE, SIG_DFL);
    } else if (is(c, "folder")) {
        (void)!chdir("/");
    } else if (is(c, "only_one") && opened) {
        return weir_fail(err, WEIR_RETRY, "there is another");
    }
    opened++;
    return WEIR_OK;
}

static void
bad_close(void *self)
{
    static int  closed;
    struct bad *s = self;

    closed++;
    if (is(s->conf, "close_hangs")) {
        sleeper(NULL);
    }
    free(s);
}

static void
bad_tick(void *self)
{
    if (is(((struct bad *)self)->conf, "tick_hangs")) {
        sleeper(NULL);
    }
}

static enum weir_status
bad_table(void *self, const struct weir_table *table, void **slot,
          struct weir_err *err)
{
    struct bad *s = self;

    (void)err;
    *slot = malloc(32);
    memset(*slot, 1, 32);
    if (is(s->conf, "table_drops")) {
        free(*slot);
        return WEIR_DROP;
    }
    if (is(s->conf, "table_edits")) {
        ((struct weir_table *)(uintptr_t)table)->nkey = 0;
    }
    if (is(s->conf, "use_beyond")) {
        weir_use(s->in, table->ncolumns);
    }
    if (is(s->conf, "table_crashes") && table->nkey == 0) {
        raise(SIGSEGV);
    }
    return WEIR_OK;
}

static void
bad_table_end(void *self, void *slot)
{
    const struct bad *s = self;

    if (!is(s->conf, "leak_table")) {
        free(slot);
    }
}

/* ---- Events */

struct later { struct weir_batch *b; const char *how; };

static void *
answer(void *arg)
{
    struct later l = *(struct later *)arg;

    free(arg);
    if (strcmp(l.how, "never_done") == 0) {
        return NULL;
    }
    if (strcmp(l.how, "done_pending") == 0) {
        weir_batch_done(l.b, WEIR_PENDING, NULL);
        return NULL;
    }
    weir_batch_done(l.b, WEIR_OK, NULL);
    if (strcmp(l.how, "done_twice") == 0) {
        weir_batch_done(l.b, WEIR_OK, NULL);
    }
    return NULL;
}

static enum weir_status
give_pending(struct bad *s, struct weir_batch *b)
{
    struct later  *l = malloc(sizeof *l);
    pthread_attr_t attr;

    *l = (struct later){ b, s->conf->how };
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_create(&s->thread, &attr, answer, l);
    pthread_attr_destroy(&attr);
    return WEIR_PENDING;
}

static bool
has(const struct weir_batch *b, enum weir_type type)
{
    for (size_t i = 0; i < b->nevents; i++) {
        const struct weir_event *ev = b->events[i];
        for (uint32_t c = 0; ev->after && c < ev->table->ncolumns; c++) {
            if (ev->after[c].type == type) {
                return true;
            }
        }
    }
    return false;
}

/* What it does to a batch; OK: it goes on as a good one would. */
static enum weir_status
misbehave(struct bad *s, struct weir_batch *b, struct weir_err *err)
{
    const struct bad_conf *c = s->conf;

    if (is(c, "write_crashes")) {
        raise(SIGSEGV);
    } else if (is(c, "write_hangs")) {
        sleeper(NULL);
    } else if (is(c, "write_closes_all")) {
        for (int fd = 3; fd < 256; fd++) {
            close(fd);
        }
        sleeper(NULL);
    } else if (is(c, "write_exits")) {
        exit(0);
    } else if (is(c, "null_crashes") && has(b, WEIR_NULL)) {
        raise(SIGBUS);
    } else if (is(c, "empty_crashes") && b->nevents == 0) {
        abort();
    } else if (is(c, "absent_refused") && has(b, WEIR_ABSENT)) {
        return weir_fail(err, WEIR_FATAL, "a value is missing");
    } else if (is(c, "write_drops")) {
        return WEIR_DROP;
    } else if (is(c, "write_retries")) {
        return weir_fail(err, WEIR_RETRY, "maybe later");
    } else if (is(c, "write_edits") && b->nevents) {
        ((struct weir_event *)(uintptr_t)b->events[0])->op = WEIR_DELETE;
    } else if (is(c, "batch_edits")) {
        b->nevents = 0;
    } else if (is(c, "keeps_event")) {
        if (s->kept && s->kept->op == WEIR_DDL) {
            return WEIR_OK;
        }
        s->kept = b->nevents ? b->events[0] : s->kept;
    } else if (is(c, "verdict_beyond")) {
        weir_verdict(b, b->nevents, WEIR_REJECT, "no such event");
    } else if (is(c, "verdict_fatal") && b->nevents) {
        weir_verdict(b, 0, WEIR_FATAL, "that is not for one event");
    } else if (is(c, "verdict_silent") && b->nevents) {
        weir_verdict(b, 0, WEIR_REJECT, "%s", "");
    } else if (is(c, "verdict_late")) {
        if (s->last && s->last->nevents) {
            weir_verdict(s->last, 0, WEIR_REJECT, "too late");
        }
        s->last = b;
    } else if (is(c, "rejects_all") && b->nevents) {
        weir_verdict(b, 0, WEIR_REJECT, "I like no rows");
    } else if (is(c, "done_unasked")) {
        weir_batch_done(b, WEIR_OK, NULL);
    } else if (is(c, "leak_batch")) {
        memset(malloc(100), 1, 100);
    } else if (is(c, "leak_much") && b->nevents) {
        memset(malloc(40 << 20), 1, 40 << 20);
    } else if (is(c, "hoards") && b->nevents) {
        memset(malloc(300 << 20), 1, 300 << 20);
        sleep(20);
    } else if (is(c, "leak_batch_fd")) {
        (void)!dup(2);
    } else if (is(c, "forks") && fork() == 0) {
        sleeper(NULL);
    } else if (is(c, "forks_back") && b->nevents) {
        fork(); /* and both go on */
    } else if (is(c, "forks_and_crashes") && b->nevents) {
        if (fork() == 0) {
            sleeper(NULL);
        }
        raise(SIGSEGV);
    }
    return WEIR_OK;
}

static enum weir_status
bad_write(void *self, struct weir_batch *b, struct weir_err *err)
{
    struct bad                   *s = self;
    const struct weir_checkpoint *cp = &b->checkpoint;
    char                          data[8192];
    uint64_t                      epoch;

    enum weir_status st = misbehave(s, b, err);
    if (st != WEIR_OK) {
        return st;
    }
    load(s, cp->id, cp->slot, &epoch, data);
    if (epoch > cp->epoch && !is(s->conf, "not_fenced")) {
        return weir_fail(err, WEIR_FENCED, "epoch %llu was seen",
                         (unsigned long long)epoch);
    }
    if (!(is(s->conf, "empty_ignored") && b->nevents == 0) &&
        (!s->conf->by_txn || is(s->conf, "commits_early"))) {
        save(s, cp);
    }
    return s->conf->pending ? give_pending(s, b) : WEIR_OK;
}

static enum weir_status
bad_commit(void *self, struct weir_batch *last, struct weir_err *err)
{
    (void)err;
    save(self, &last->checkpoint);
    return WEIR_OK;
}

WEIR_MODULE = {
    WEIR_HEAD,
    .stage = WEIR_SINK,
    .name = "bad",
    .version = "6.6.6",
    .summary = "breaks a promise",
    .conf_size = sizeof(struct bad_conf),
    .directives = directives,
    .check = bad_check,
    .batching = bad_batching,
    .open = bad_open,
    .close = bad_close,
    .tick = bad_tick,
    .table = bad_table,
    .table_end = bad_table_end,
    .write = bad_write,
    .commit = bad_commit,
    .restore = bad_restore,
    .forget = bad_forget,
};
