/*
 * test_master.c - the master with children of our own: a checker that reads a
 * toy configuration and workers that behave as their sink is called ("crash",
 * "hang", ...).  So it needs neither modules nor servers.
 *
 * The toy: "bad SENTENCE", "drain MS", "pipeline NAME DIGEST" and
 * "sink NAME DIGEST [TIMEOUT_MS]", one a line.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/generation.h"
#include "base/page.h"
#include "base/str.h"
#include "master/master.h"

#define SECOND INT64_C(1000000)

static char folder[] = "/tmp/weir-master-XXXXXX";
static char conf[64], state[64], log_file[64], pid_file[64];

/* ---- The toy's checker */

static void
parse_line(struct arena *a, const char *line, struct generation *g)
{
    char     name[64], rest[256];
    unsigned digest;
    long     timeout = 60000;

    if (sscanf(line, "bad %255[^\n]", rest) == 1) {
        fprintf(stderr, "%s\n", rest);
        _exit(1);
    } else if (strcmp(line, "die") == 0) {
        abort();
    } else if (sscanf(line, "drain %ld", &timeout) == 1) {
        g->drain_ms = timeout;
    } else if (sscanf(line, "state %255s", rest) == 1) {
        g->state = arena_strdup(a, rest);
    } else if (sscanf(line, "pipeline %63s %u", name, &digest) == 2) {
        g->pipelines[g->npipelines++] = (struct generation_pipeline){
            .name = arena_strdup(a, name),
            .digest = digest,
            .sinks = arena_alloc(a, 64 * sizeof(struct generation_sink)),
        };
    } else if (sscanf(line, "sink %63s %u %ld", name, &digest, &timeout) >=
               2) {
        struct generation_pipeline *p = &g->pipelines[g->npipelines - 1];
        p->sinks[p->nsinks++] = (struct generation_sink){
            .name = arena_strdup(a, name),
            .digest = digest,
            .timeout_ms = timeout,
        };
    }
}

static void
send_fd(int socket, int fd)
{
    union {
        char           room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr first;
    } control = { { 0 } };
    char          byte = 'g';
    struct iovec  part = { &byte, 1 };
    struct msghdr message = { .msg_iov = &part,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = sizeof control };

    control.first = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof fd),
                                      .cmsg_level = SOL_SOCKET,
                                      .cmsg_type = SCM_RIGHTS };
    memcpy(CMSG_DATA(&control.first), &fd, sizeof fd);
    if (sendmsg(socket, &message, 0) != 1) {
        _exit(1);
    }
}

static void
toy_checker(const char *path, const char *prefix, const char *overrides,
            int socket)
{
    struct arena      a = { 0 };
    struct weir_str   text;
    struct weir_err   err;
    struct generation g = { .state = state,
                            .log = log_file,
                            .pid = pid_file,
                            .log_level = WEIR_DEBUG,
                            .drain_ms = 5000 };
    int               fd;

    (void)prefix;
    (void)overrides;
    if (file_read(&a, path, 65536, &text, &err) != WEIR_OK) {
        fprintf(stderr, "%s\n", err.text);
        _exit(1);
    }
    g.text = arena_str(&a, text);
    g.masked = STR("masked\n");
    g.pipelines = arena_alloc(&a, 8 * sizeof *g.pipelines);
    char *rest = (char *)text.data;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        parse_line(&a, line, &g);
    }
    if (generation_write(&g, &fd, &err) != WEIR_OK) {
        fprintf(stderr, "%s\n", err.text);
        _exit(1);
    }
    send_fd(socket, fd);
    _exit(0);
}

/* ---- The toy's workers */

static volatile sig_atomic_t got_quit;

static void
note_quit(int signal)
{
    (void)signal;
    got_quit = 1;
}

static int fds_before; /* what the test itself was started with */

static int
count_fds(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++) {
        n += fcntl(fd, F_GETFD) != -1;
    }
    return n;
}

/* The log, workers.lock and the generation; nothing else of the master's. */
static void
check_fds(int generation_fd)
{
    if (count_fds() != fds_before + 3 || fcntl(generation_fd, F_GETFD) == -1) {
        _exit(77);
    }
}

static void
behave(struct worker_page *page, const char *sink)
{
    page_set_text(page, PAGE_MODULE, STR("toy 1.0"));
    page_set_text(page, PAGE_WRITING, STR("shop.users at 0-1-7"));
    if (str_has_prefix(str_of(sink), "crash")) {
        raise(SIGSEGV);
    } else if (str_has_prefix(str_of(sink), "exit")) {
        _exit(0);
    } else if (str_has_prefix(str_of(sink), "fatal")) {
        page_set_state(page, PAGE_STOPPED, "the target has had enough");
        _exit(3);
    } else if (str_has_prefix(str_of(sink), "hang")) {
        signal(SIGABRT, SIG_IGN);
        for (;;) {
            pause();
        }
    }
    page_set_text(page, PAGE_WRITING, (struct weir_str){ 0 });
}

static void
toy_worker(int generation_fd, const char *pipeline, const char *sink,
           unsigned slot, const char *page_path)
{
    struct worker_page *page;
    struct weir_err     err;

    (void)pipeline;
    (void)slot;
    signal(SIGQUIT, note_quit);
    check_fds(generation_fd);
    if (page_open(page_path, true, &page, &err) != WEIR_OK) {
        _exit(76);
    }
    if (sink) {
        behave(page, sink);
    }
    page_set_state(page, PAGE_RUNNING, NULL);
    const bool is_stubborn = sink && strncmp(sink, "stubborn", 8) == 0;
    while (!got_quit || is_stubborn) {
        clock_sleep(2000);
        page_beat(page);
    }
    page_set_state(page, PAGE_ENDED, NULL);
    _exit(0);
}

/* ---- Helpers */

static struct master_options options = { .path = conf,
                                         .prefix = "/",
                                         .checker = toy_checker,
                                         .worker = toy_worker };
static pid_t master;

static void
write_conf(const char *text)
{
    FILE *f = fopen(conf, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static char *
log_text(void)
{
    static char text[1 << 20];
    FILE       *f = fopen(log_file, "r");
    size_t      n = 0;

    if (f) {
        n = fread(text, 1, sizeof text - 1, f);
        fclose(f);
    }
    text[n] = '\0';
    return text;
}

/* A line that isn't there yet comes through another process: looked for until
 * it is. */
static void
expect_log(const char *part, int seconds)
{
    const int64_t limit = clock_steady() + seconds * SECOND;
    while (!strstr(log_text(), part)) {
        if (clock_steady() > limit) {
            fail_msg("no \"%s\" in:\n%s", part, log_text());
        }
        clock_sleep(2000);
    }
}

static struct worker_page *
open_page(const char *name)
{
    struct worker_page *page;
    struct weir_err     err;
    char                path[160];

    snprintf(path, sizeof path, "%s/run/%s", state, name);
    return page_open(path, false, &page, &err) == WEIR_OK ? page : NULL;
}

static bool
page_is(const char *name, enum page_state wanted)
{
    struct worker_page *page = open_page(name);
    const bool is = page && atomic_load(&page->state) == (int)wanted;
    page_close(page);
    return is;
}

static void
expect_state(const char *name, enum page_state wanted, int seconds)
{
    const int64_t limit = clock_steady() + seconds * SECOND;
    while (!page_is(name, wanted)) {
        if (clock_steady() > limit) {
            fail_msg("%s is not %s; log:\n%s", name, page_state_name(wanted),
                     log_text());
        }
        clock_sleep(2000);
    }
}

static pid_t
page_pid(const char *name)
{
    struct worker_page *page = open_page(name);
    assert_non_null(page);
    const pid_t pid = atomic_load(&page->pid);
    page_close(page);
    return pid;
}

static bool
file_exists(const char *name)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", state, name);
    return access(path, F_OK) == 0;
}

static void
expect_file(const char *path, bool wanted)
{
    const int64_t limit = clock_steady() + 10 * SECOND;
    while ((access(path, F_OK) == 0) != wanted) {
        if (clock_steady() > limit) {
            fail_msg("%s %s", path, wanted ? "is missing" : "is left");
        }
        clock_sleep(2000);
    }
}

static void
start_master(const char *text)
{
    char page[160];

    snprintf(page, sizeof page, "%s/run/shop.source", state);
    unlink(page); /* of one that was killed */
    unlink(log_file);
    write_conf(text);
    master = fork();
    if (master == 0) {
        _exit(master_run(&options));
    }
    expect_state("shop.source", PAGE_RUNNING, 10);
}

static int
end_of(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* A zombie is gone too, where nobody reaps orphans: it has no arguments. */
static bool
is_gone(pid_t pid)
{
    char path[64], byte;
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    const int     fd = open(path, O_RDONLY);
    const ssize_t n = fd == -1 ? 0 : read(fd, &byte, 1);
    close(fd);
    return n <= 0;
}

static int
tell(const char *signal)
{
    return master_signal(&options, signal);
}

static int
make_folder(void **unused)
{
    (void)unused;
    if (!mkdtemp(folder)) {
        return -1;
    }
    snprintf(conf, sizeof conf, "%s/conf", folder);
    snprintf(state, sizeof state, "%s/state", folder);
    snprintf(log_file, sizeof log_file, "%s/log", folder);
    snprintf(pid_file, sizeof pid_file, "%s/pid", folder);
    return 0;
}

static int
remove_folder(void **unused)
{
    char command[128];
    (void)unused;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static int
kill_master(void **unused)
{
    (void)unused;
    if (master > 0 && waitpid(master, NULL, WNOHANG) == 0) {
        kill(master, SIGKILL);
        waitpid(master, NULL, 0);
    }
    master = 0;
    return 0;
}

/* ---- Tests */

#define SHOP "pipeline shop 1\nsink good 2\n"

static void
test_start_stop(void **unused)
{
    (void)unused;
    assert_int_equal(tell("status"), MASTER_NOT_RUNNING);
    start_master(SHOP);
    expect_state("shop.good.sink", PAGE_RUNNING, 10);
    expect_log("read ", 30);
    assert_true(file_exists("running.conf"));
    expect_file(pid_file, true); /* comes after the workers */
    assert_true(file_exists("run/shop.sinks"));
    assert_int_equal(tell("status"), MASTER_OK);
    assert_int_equal(tell("reopen"), MASTER_OK);
    expect_log("log reopened", 30);

    assert_int_equal(master_run(&options), MASTER_FAILED); /* second start */
    assert_int_equal(tell("quit"), MASTER_OK);
    assert_int_equal(end_of(master), 0);
    expect_log("sink shop/good ended", 30);
    assert_false(file_exists("run/shop.source"));
    expect_file(pid_file, false);
    assert_int_equal(tell("stop"), MASTER_NOT_RUNNING);
}

static void
test_ctrl_c(void **unused)
{
    (void)unused;
    start_master(SHOP "sink stubborn 3\ndrain 60000\n");
    expect_state("shop.stubborn.sink", PAGE_RUNNING, 10);
    kill(master, SIGINT);
    expect_log("draining", 30);
    expect_log("sink shop/good ended", 30);
    kill(master, SIGINT);
    assert_int_equal(end_of(master), 0);
    expect_log("stopping", 30);
}

static void
test_drain_deadline(void **unused)
{
    (void)unused;
    start_master(SHOP "sink stubborn 3\ndrain 300\n");
    expect_state("shop.stubborn.sink", PAGE_RUNNING, 10);
    assert_int_equal(tell("quit"), MASTER_OK);
    assert_int_equal(end_of(master), 0);
    expect_log("sink shop/stubborn (toy 1.0) did not end in time", 30);
}

static void
test_crash(void **unused)
{
    (void)unused;
    start_master(SHOP "sink crash 3\n");
    expect_state("shop.crash.sink", PAGE_STOPPED, 30);
    expect_log("sink shop/crash (toy 1.0) died of signal 11 (Segmentation "
               "fault) at shop.users at 0-1-7; it starts again in ", 1);
    expect_log("5 times at shop.users at 0-1-7; it is not started again until "
               "a reload", 30);
    assert_true(page_is("shop.good.sink", PAGE_RUNNING));
    assert_int_equal(tell("status"), MASTER_FAILED);

    /* Exit statuses and all: only this one worker. */
    write_conf(SHOP "sink exit 4\nsink fatal 5\n");
    assert_int_equal(tell("reload"), MASTER_OK);
    assert_false(file_exists("run/shop.crash.sink"));
    expect_log("sink shop/exit (toy 1.0) ended by itself with status 0 at", 10);
    expect_log("sink shop/fatal stopped until a reload: the target has had "
               "enough", 30);
    assert_int_equal(tell("stop"), MASTER_OK);
    assert_int_equal(end_of(master), 0);
}

/* Not 0, between two lives of a worker: that would kill this test's group. */
static pid_t
running_pid(const char *name)
{
    const int64_t limit = clock_steady() + 60 * SECOND;
    pid_t         pid;

    while ((pid = page_pid(name)) <= 0) {
        assert_true(clock_steady() < limit);
        clock_sleep(1000);
    }
    return pid;
}

static void
test_kills_do_not_quarantine(void **unused)
{
    (void)unused;
    start_master(SHOP);
    for (int i = 0; i < 7; i++) {
        expect_state("shop.good.sink", PAGE_RUNNING, 60);
        const pid_t pid = running_pid("shop.good.sink");
        kill(pid, SIGKILL);
        const int64_t limit = clock_steady() + 10 * SECOND;
        while (page_pid("shop.good.sink") == pid) {
            assert_true(clock_steady() < limit);
            clock_sleep(1000);
        }
        if (i == 4) { /* forget the back-off */
            assert_int_equal(tell("reload"), MASTER_OK);
        }
    }
    expect_state("shop.good.sink", PAGE_RUNNING, 60);
    assert_null(strstr(log_text(), "not started again"));
    assert_int_equal(tell("stop"), MASTER_OK);
    assert_int_equal(end_of(master), 0);
}

static void
test_hang(void **unused)
{
    (void)unused;
    start_master(SHOP "sink hang 3 300\n");
    expect_log("sink shop/hang (toy 1.0) hangs at shop.users at 0-1-7: no sign "
               "of life for ", 10);
    /* It ignores SIGABRT: SIGKILL comes 5 s later. */
    expect_log("sink shop/hang (toy 1.0) hung and was ended at shop.users", 10);
    assert_true(page_is("shop.good.sink", PAGE_RUNNING));
    assert_int_equal(tell("stop"), MASTER_OK);
    assert_int_equal(end_of(master), 0);
}

static void
test_reload(void **unused)
{
    (void)unused;
    start_master(SHOP "sink other 3\nsink third 4\n");
    expect_state("shop.good.sink", PAGE_RUNNING, 10);
    expect_state("shop.other.sink", PAGE_RUNNING, 10);
    const pid_t source = page_pid("shop.source");
    const pid_t good = page_pid("shop.good.sink");
    const pid_t other = page_pid("shop.other.sink");

    write_conf(SHOP "sink other 33\nsink fourth 5\npipeline two 6\n");
    assert_int_equal(tell("reload"), MASTER_OK);
    expect_state("shop.other.sink", PAGE_RUNNING, 10);
    expect_state("shop.fourth.sink", PAGE_RUNNING, 10);
    expect_state("two.source", PAGE_RUNNING, 10);
    assert_int_equal(page_pid("shop.source"), source);
    assert_int_equal(page_pid("shop.good.sink"), good);
    assert_int_not_equal(page_pid("shop.other.sink"), other);
    assert_false(file_exists("run/shop.third.sink"));
    expect_log("sink shop/third is no longer in the configuration", 30);
    expect_log("2 workers unchanged, 1 changed or stopped before, 2 new, 1 "
               "removed", 30);

    /* Bad ones change nothing, and say why. */
    write_conf("bad conf:1: no such thing\n" SHOP);
    assert_int_equal(tell("reload"), MASTER_FAILED);
    kill(master, SIGHUP); /* without the test beforehand */
    expect_log("reload refused, everything goes on as before: conf:1: no such "
               "thing", 30);
    write_conf("die\n" SHOP);
    kill(master, SIGHUP);
    expect_log("the configuration test died of signal 6", 30);
    write_conf("state /nowhere/else\n" SHOP);
    kill(master, SIGHUP);
    expect_log("changes from", 30);
    assert_int_equal(page_pid("shop.good.sink"), good);
    assert_int_equal(page_pid("shop.source"), source);

    write_conf(SHOP);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(tell("reload"), MASTER_OK);
    }
    assert_int_equal(page_pid("shop.good.sink"), good);
    assert_false(file_exists("run/two.source"));
    assert_int_equal(tell("quit"), MASTER_OK);
    assert_int_equal(end_of(master), 0);
}

static void
test_master_killed(void **unused)
{
    (void)unused;
    start_master(SHOP "sink stubborn 3\n");
    expect_state("shop.stubborn.sink", PAGE_RUNNING, 10);
    const pid_t worker = page_pid("shop.stubborn.sink");
    kill(master, SIGKILL);
    assert_int_equal(end_of(master), -SIGKILL);
    assert_int_equal(tell("status"), MASTER_NOT_RUNNING);
    /* A start waits until nobody of the old ones is left. */
    start_master(SHOP);
    assert_true(is_gone(worker));
    assert_int_equal(tell("stop"), MASTER_OK);
    assert_int_equal(end_of(master), 0);
}

static void
expect_datagram(int fd, const char *beginning)
{
    char          text[256];
    const ssize_t n = recv(fd, text, sizeof text - 1, 0);
    assert_true(n > 0);
    text[n] = '\0';
    if (strncmp(text, beginning, strlen(beginning)) != 0) {
        fail_msg("\"%s\" instead of \"%s\"", text, beginning);
    }
}

static void
test_notify(void **unused)
{
    struct sockaddr_un   at = { .sun_family = AF_UNIX };
    const struct timeval patience = { .tv_sec = 10 };
    char                 ready[64];

    (void)unused;
    snprintf(at.sun_path, sizeof at.sun_path, "%s/notify", folder);
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setenv("NOTIFY_SOCKET", at.sun_path, 1);
    fds_before++;
    start_master(SHOP);
    fds_before--;
    unsetenv("NOTIFY_SOCKET");
    snprintf(ready, sizeof ready, "READY=1\nMAINPID=%d\n", (int)master);
    expect_datagram(fd, ready);
    assert_int_equal(tell("reload"), MASTER_OK);
    expect_datagram(fd, "RELOADING=1\nMONOTONIC_USEC=");
    expect_datagram(fd, ready);
    assert_int_equal(tell("quit"), MASTER_OK);
    expect_datagram(fd, "STOPPING=1\n");
    assert_int_equal(end_of(master), 0);
    close(fd);
}

int
main(void)
{
    fds_before = count_fds();
#define TEST(name) cmocka_unit_test_teardown(name, kill_master)
    const struct CMUnitTest tests[] = {
        TEST(test_start_stop),
        TEST(test_ctrl_c),
        TEST(test_drain_deadline),
        TEST(test_crash),
        TEST(test_kills_do_not_quarantine),
        TEST(test_hang),
        TEST(test_reload),
        TEST(test_master_killed),
        TEST(test_notify),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
