/* notify.c - see notify.h. */
#include "master/notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

static void
notify_send(const char *text)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };

    const char  *path = getenv("NOTIFY_SOCKET");
    const size_t n = path ? strlen(path) : 0;
    if (n < 2 || n >= sizeof to.sun_path ||
        (path[0] != '/' && path[0] != '@')) {
        return;
    }
    memcpy(to.sun_path, path, n);
    if (path[0] == '@') {
        to.sun_path[0] = '\0'; /* the abstract namespace */
    }
    const int fd =
        socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd == -1) {
        return;
    }
    /* Whether it arrives changes nothing for us. */
    const socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
                                      n);
    ssize_t ignored = sendto(fd, text, strlen(text), MSG_NOSIGNAL,
                             (const struct sockaddr *)&to, len);
    (void)ignored;
    close(fd);
}

void
notify_ready(void)
{
    char text[64];
    snprintf(text, sizeof text, "READY=1\nMAINPID=%d\n", (int)getpid());
    notify_send(text);
}

void
notify_reloading(void)
{
    char text[80];
    /* Without the time systemd takes the reload for failed (253 and later). */
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld\n",
             (long long)clock_steady());
    notify_send(text);
}

void
notify_stopping(int seconds)
{
    char text[80];
    snprintf(text, sizeof text, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%lld\n",
             (long long)seconds * 1000000);
    notify_send(text);
}
