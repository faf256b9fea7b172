/*
 * wait_page.c - waits until a worker's page of shared memory says that it has
 * come so far.  `weir -s status` says the same, but each call of it costs what
 * a benchmark on two cores would feel.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/page.h"

/* wait_page FILE gtid GTID | wait_page FILE rows N */
int
main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: wait_page FILE gtid|rows VALUE\n");
        return 2;
    }
    const int fd = open(argv[1], O_RDONLY);
    const struct worker_page *page =
        mmap(NULL, sizeof *page, PROT_READ, MAP_SHARED, fd, 0);
    if (fd == -1 || page == MAP_FAILED) {
        perror(argv[1]);
        return 1;
    }
    const unsigned long long rows = strtoull(argv[3], NULL, 10);
    const bool by_gtid = strcmp(argv[2], "gtid") == 0;
    for (;;) {
        if (by_gtid ? strcmp(page->texts[PAGE_GTID].text, argv[3]) == 0
                    : atomic_load(&page->rows) >= rows) {
            return 0;
        }
        if (atomic_load(&page->state) == PAGE_STOPPED) {
            fprintf(stderr, "stopped: %s\n", page->texts[PAGE_REASON].text);
            return 1;
        }
        nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
    }
}
