/*
 * quiet.c - see quiet.h.  A filter of seccomp(2) traps the calls that reach out
 * of a process.  It can't be taken off again.
 */
#include "tools/modtest/quiet.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tools/modtest/report.h"

static const struct { long nr; const char *name; } forbidden[] = {
    { SYS_openat, "opens a file" },
    { SYS_socket, "opens a socket" },
    { SYS_connect, "connects" },
    { SYS_clone, "starts a process or a thread" },
    { SYS_execve, "runs a program" },
    { SYS_unlinkat, "removes a file" },
    { SYS_mkdirat, "makes a folder" },
    { SYS_pipe2, "opens a pipe" },
    { SYS_nanosleep, "sleeps" },
    { SYS_clock_nanosleep, "sleeps" },
#ifdef SYS_clone3
    { SYS_clone3, "starts a process or a thread" },
#endif
#ifdef SYS_open
    { SYS_open, "opens a file" },
    { SYS_creat, "makes a file" },
    { SYS_fork, "starts a process" },
    { SYS_vfork, "starts a process" },
    { SYS_unlink, "removes a file" },
    { SYS_rename, "renames a file" },
    { SYS_mkdir, "makes a folder" },
#endif
    { SYS_renameat, "renames a file" },
};
enum { FORBIDDEN = sizeof forbidden / sizeof forbidden[0] };

static void
trapped(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    for (int i = 0; i < FORBIDDEN; i++) {
        if (forbidden[i].nr == info->si_syscall) {
            breach("check() and batching() touch nothing (one %s)",
                   forbidden[i].name);
        }
    }
    report_end();
    _exit(0);
}

bool
quiet_arm(void)
{
    struct sock_filter code[FORBIDDEN + 3];
    size_t             n = 0;
    struct sigaction   action = { .sa_sigaction = trapped,
                                  .sa_flags = SA_SIGINFO };

    code[n++] = (struct sock_filter)BPF_STMT(
        BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int i = 0; i < FORBIDDEN; i++) {
        code[n++] = (struct sock_filter)BPF_JUMP(
            BPF_JMP | BPF_JEQ | BPF_K, (unsigned)forbidden[i].nr,
            (unsigned char)(FORBIDDEN - i), 0);
    }
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
                                             SECCOMP_RET_ALLOW);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
                                             SECCOMP_RET_TRAP);
    const struct sock_fprog program = { .len = (unsigned short)n,
                                        .filter = code };
    sigaction(SIGSYS, &action, NULL);
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}
