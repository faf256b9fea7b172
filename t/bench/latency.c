/*
 * latency.c - how soon a committed row is in Redis: one thread inserts one-row
 * transactions at a steady rate and notes when COMMIT was sent and when its OK
 * came, the other one listens for key events.  Prints percentiles in
 * microseconds; a row seen before its OK counts as 0.
 */
#include <hiredis/hiredis.h>
#include <mysql.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct sample {
    int64_t          sent, ok;
    _Atomic int64_t  seen;
};

static struct sample *samples;
static long           count, base = 1000000000;

static int64_t
now_usec(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Messages: pmessage, pattern, "__keyspace@0__:users:N", event. */
static void *
listen_for_keys(void *arg)
{
    redisContext *redis = arg;
    redisReply   *reply;
    long          left = count;

    while (left > 0 && redisGetReply(redis, (void **)&reply) == REDIS_OK) {
        if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 4 &&
            reply->element[2]->str) {
            const char *id = strrchr(reply->element[2]->str, ':');
            const long  i = id ? atol(id + 1) - base : -1;
            if (i >= 0 && i < count && !samples[i].seen) {
                samples[i].seen = now_usec();
                left--;
            }
        }
        freeReplyObject(reply);
    }
    return NULL;
}

static int
by_value(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void
print_percentiles(const char *name, int64_t *values, long n)
{
    qsort(values, (size_t)n, sizeof *values, by_value);
    printf("%s p50 %lld p90 %lld p99 %lld max %lld\n", name,
           (long long)values[n / 2], (long long)values[n * 9 / 10],
           (long long)values[n * 99 / 100], (long long)values[n - 1]);
}

static int
insert_rows(MYSQL *db, long rate)
{
    const int64_t start = now_usec();

    for (long i = 0; i < count; i++) {
        const int64_t due = start + i * 1000000 / rate;
        const int64_t early = due - now_usec();
        if (early > 0) {
            nanosleep(&(struct timespec){ 0, early * 1000 }, NULL);
        }
        char sql[128];
        snprintf(sql, sizeof sql, "INSERT INTO shop.users (id, name) "
                 "VALUES (%ld, 'latency')", base + i);
        samples[i].sent = now_usec();
        if (mysql_query(db, sql)) {
            fprintf(stderr, "insert: %s\n", mysql_error(db));
            return -1;
        }
        samples[i].ok = now_usec();
    }
    return 0;
}

static void
report(void)
{
    int64_t *from_ok = calloc((size_t)count, sizeof *from_ok);
    int64_t *from_sent = calloc((size_t)count, sizeof *from_sent);

    for (long i = 0; i < count; i++) {
        const int64_t late = samples[i].seen - samples[i].ok;
        from_ok[i] = late > 0 ? late : 0;
        from_sent[i] = samples[i].seen - samples[i].sent;
    }
    print_percentiles("ok", from_ok, count);
    print_percentiles("sent", from_sent, count);
    free(from_ok);
    free(from_sent);
}

/* latency SOCKET REDIS-PORT COUNT RATE */
int
main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: latency SOCKET REDIS-PORT COUNT RATE\n");
        return 2;
    }
    count = atol(argv[3]);
    samples = calloc((size_t)count, sizeof *samples);
    MYSQL *db = mysql_init(NULL);
    if (!mysql_real_connect(db, NULL, "root", NULL, NULL, 0, argv[1], 0)) {
        fprintf(stderr, "connect: %s\n", mysql_error(db));
        return 1;
    }
    redisContext *redis = redisConnect("127.0.0.1", atoi(argv[2]));
    if (!redis || redis->err) {
        fprintf(stderr, "redis does not answer\n");
        return 1;
    }
    freeReplyObject(redisCommand(redis, "CONFIG SET notify-keyspace-events Kh"));
    freeReplyObject(redisCommand(redis, "PSUBSCRIBE __keyspace@0__:users:*"));
    pthread_t listener;
    pthread_create(&listener, NULL, listen_for_keys, redis);
    if (insert_rows(db, atol(argv[4]))) {
        return 1;
    }
    pthread_join(listener, NULL);
    report();
    mysql_close(db);
    return 0;
}
