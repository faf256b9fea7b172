/*
 * sink_verdict.c - a sink that does what a file says, and writes what it took
 * into another: one line an event, "LANE OP KEY VALUE".  For the tests of what
 * the server makes of outcomes.
 *
 * The file of orders: a line each, "WORD KEY [TIMES]": what happens to events of
 * that key (the first column, `*`: any): retry (the batch), later (a verdict
 * RETRY), refuse (a verdict REJECT), bar (that, and REJECT for the batch), reject
 * (the batch), pend (PENDING, done by another thread), fatal, fenced; so many
 * times, or for ever.
 */
#include <weir/module.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum share { KEYS, KEEP, MERGE };

struct verdict_conf {
    const char *orders, *out;
    int64_t     share;
    const struct weir_template *key;
};

struct sink {
    const struct verdict_conf *conf;
    struct weir_instance      *in;
    struct weir_batch         *pending;
    char                       text[1 << 20]; /* not committed yet */
    size_t                     len;
    bool                       barred, judged; /* the batch, events of it */
};

static struct {
    pthread_mutex_t lock;
    char            words[64][3][40];
    int             times[64], n;
    time_t          read;
    long            size;
} orders = { .lock = PTHREAD_MUTEX_INITIALIZER };

static const struct weir_name shares[] = {
    { "keys", KEYS }, { "keep", KEEP }, { "merge", MERGE }, { NULL, 0 },
};

/* clang-format off */
static const struct weir_directive directives[] = {
    WEIR_STR(struct verdict_conf, orders, .flags = WEIR_REQUIRED,
        .help = "file of what to do"),
    WEIR_STR(struct verdict_conf, out, .flags = WEIR_REQUIRED,
        .help = "file of what was written"),
    WEIR_CHOICE(struct verdict_conf, share, .value = "keys", .names = shares,
        .help = "how lanes share"),
    WEIR_TEMPLATE(struct verdict_conf, key, .flags = WEIR_ORDER,
        .help = "the target's key"),
    WEIR_END
};
/* clang-format on */

static void
verdict_batching(const void *conf, struct weir_batching *b)
{
    const struct verdict_conf *c = conf;

    b->max_lanes = 16;
    b->share = c->share == KEEP    ? WEIR_KEEP_TXN
               : c->share == MERGE ? WEIR_MERGE_TXN
                                   : WEIR_BY_KEY;
}

static enum weir_status
verdict_open(struct weir_instance *in, const void *conf, void **self,
             struct weir_err *err)
{
    struct sink *s = calloc(1, sizeof *s);

    if (!s) {
        return weir_fail(err, WEIR_RETRY, "no memory");
    }
    s->conf = conf;
    s->in = in;
    *self = s;
    return WEIR_OK;
}

static enum weir_status
verdict_table(void *self, const struct weir_table *t, void **slot,
              struct weir_err *err)
{
    struct sink *s = self;

    (void)slot, (void)err;
    if (s->conf->share != KEYS && t->nkey) {
        weir_conflict(s->in, "key", t->nkey, t->key);
    }
    return WEIR_OK;
}

static void
read_orders(const char *path)
{
    FILE *in = fopen(path, "r");
    char  line[200];

    if (!in) {
        orders.n = 0;
        return;
    }
    fseek(in, 0, SEEK_END);
    if (ftell(in) != orders.size) {
        orders.size = ftell(in);
        rewind(in);
        for (orders.n = 0; orders.n < 64 && fgets(line, sizeof line, in);) {
            int *times = &orders.times[orders.n];
            *times = -1;
            if (sscanf(line, "%39s %39s %d", orders.words[orders.n][0],
                       orders.words[orders.n][1], times) >= 2) {
                orders.n++;
            }
        }
    }
    fclose(in);
}

/* What is due for a key; the word, or "". */
static const char *
order_for(const char *key)
{
    for (int i = 0; i < orders.n; i++) {
        if (orders.times[i] != 0 && (strcmp(orders.words[i][1], "*") == 0 ||
                                     strcmp(orders.words[i][1], key) == 0)) {
            orders.times[i] -= orders.times[i] > 0;
            return orders.words[i][0];
        }
    }
    return "";
}

static const struct weir_value *
image_of(const struct weir_event *ev)
{
    return ev->after ? ev->after : ev->before;
}

static void
flush_text(struct sink *s)
{
    FILE *out = fopen(s->conf->out, "a");

    if (out) {
        fwrite(s->text, 1, s->len, out);
        fclose(out);
    }
    s->len = 0;
}

static void
put_event(struct sink *s, const struct weir_event *ev)
{
    static const char *const ops[] = { "insert", "update", "delete" };
    const struct weir_value *v = image_of(ev);

    if (ev->op <= WEIR_DELETE && s->len + 200 < sizeof s->text) {
        s->len += (size_t)snprintf(
            s->text + s->len, 200, "%u %s %lld %lld\n", weir_lane(s->in),
            ops[ev->op], (long long)v[0].i, (long long)v[1].i);
    }
}

static void *
end_it(void *arg)
{
    struct sink *s = arg;

    usleep(2000);
    weir_batch_done(s->pending, WEIR_OK, NULL);
    return NULL;
}

/* The events one by one; a word for the batch as a whole ends it. */
static const char *
take_events(struct sink *s, struct weir_batch *b)
{
    const char *all = "";

    s->barred = s->judged = false;
    for (size_t i = 0; i < b->nevents && !*all; i++) {
        char key[40] = "-";
        if (b->events[i]->op <= WEIR_DELETE) {
            snprintf(key, sizeof key, "%lld",
                     (long long)image_of(b->events[i])[0].i);
        }
        const char *word = order_for(key);
        if (strcmp(word, "later") == 0) {
            weir_verdict(b, i, WEIR_RETRY, "not now");
            s->judged = true;
        } else if (strcmp(word, "refuse") == 0 || strcmp(word, "bar") == 0) {
            weir_verdict(b, i, WEIR_REJECT, "never %s", key);
            s->judged = true;
            s->barred = s->barred || *word == 'b';
        } else {
            put_event(s, b->events[i]);
            all = word;
        }
    }
    return s->barred ? "reject" : all;
}

#ifdef RESTORES
static void save_checkpoint(const struct sink *s,
                            const struct weir_checkpoint *cp);
#endif

static enum weir_status
verdict_write(void *self, struct weir_batch *b, struct weir_err *err)
{
    struct sink *s = self;
    const size_t had = s->len;

    pthread_mutex_lock(&orders.lock);
    read_orders(s->conf->orders);
    const char *all = take_events(s, b);
    const bool  fails = *all && strcmp(all, "pend") != 0;
    if (fails) {
        s->len = had;
    } else if (s->conf->share == KEYS) {
        flush_text(s);
#ifdef RESTORES
        if (!s->judged) {
            save_checkpoint(s, &b->checkpoint);
        }
#endif
    }
    pthread_mutex_unlock(&orders.lock);
    if (strcmp(all, "pend") == 0) {
        pthread_t thread;
        s->pending = b;
        if (pthread_create(&thread, NULL, end_it, s) == 0) {
            pthread_detach(thread);
            return WEIR_PENDING;
        }
    }
    if (!fails) {
        return WEIR_OK;
    }
    return weir_fail(err,
                     strcmp(all, "retry") == 0    ? WEIR_RETRY
                     : strcmp(all, "reject") == 0 ? WEIR_REJECT
                     : strcmp(all, "fenced") == 0 ? WEIR_FENCED
                                                  : WEIR_FATAL,
                     "it says %s", all);
}

#ifdef RESTORES
static const char *
checkpoint_path(const struct sink *s, uint32_t slot)
{
    static char path[1024];

    snprintf(path, sizeof path, "%s.checkpoint%u", s->conf->out, slot);
    return path;
}

static void
save_checkpoint(const struct sink *s, const struct weir_checkpoint *cp)
{
    FILE *out = fopen(checkpoint_path(s, cp->slot), "w");

    if (out) {
        fprintf(out, "%llu\n", (unsigned long long)cp->epoch);
        fwrite(cp->data.data, 1, cp->data.len, out);
        fclose(out);
    }
}

static enum weir_status
verdict_commit(void *self, struct weir_batch *b, struct weir_err *err)
{
    struct sink *s = self;

    if (s->conf->share == KEYS) {
        return WEIR_OK; /* done in write() */
    }
    pthread_mutex_lock(&orders.lock);
    const char *word = order_for("commit");
    if (!*word) {
        save_checkpoint(s, &b->checkpoint);
        flush_text(s);
    }
    pthread_mutex_unlock(&orders.lock);
    return *word ? weir_fail(err, WEIR_RETRY, "commit says %s", word)
                 : WEIR_OK;
}

static void
find_slot(struct sink *s, struct weir_str id, uint32_t slot)
{
    static char            data[1 << 16];
    struct weir_checkpoint cp = { .id = id, .slot = slot };
    unsigned long long     epoch;

    FILE *in = fopen(checkpoint_path(s, slot), "r");
    if (in && fscanf(in, "%llu", &epoch) == 1 && fgetc(in) == '\n') {
        cp.epoch = epoch;
        cp.data.data = data;
        cp.data.len = fread(data, 1, sizeof data, in);
        weir_found(s->in, &cp);
    }
    if (in) {
        fclose(in);
    }
}

static enum weir_status
verdict_restore(void *self, struct weir_str id, uint32_t slot,
                struct weir_err *err)
{
    struct sink *s = self;

    (void)err;
    s->len = 0;
    pthread_mutex_lock(&orders.lock);
    if (slot == WEIR_ALL_SLOTS) {
        for (uint32_t k = 0; k < 16; k++) {
            find_slot(s, id, k);
        }
    } else {
        find_slot(s, id, slot);
    }
    pthread_mutex_unlock(&orders.lock);
    return WEIR_OK;
}
#endif

WEIR_MODULE = {
    WEIR_HEAD,
    .stage = WEIR_SINK,
#ifdef RESTORES
    .name = "units",
#else
    .name = "verdict",
#endif
    .version = "1",
    .summary = "does what a file says",
    .conf_size = sizeof(struct verdict_conf),
    .directives = directives,
    .batching = verdict_batching,
    .open = verdict_open,
    .close = free,
    .table = verdict_table,
    .write = verdict_write,
#ifdef RESTORES
    .commit = verdict_commit,
    .restore = verdict_restore,
#endif
};
