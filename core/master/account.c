/* account.c - see account.h. */
#include "master/account.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"

enum weir_status
account_find(const char *user, struct account *out, struct weir_err *err)
{
    *out = (struct account){ .uid = geteuid(), .gid = getegid() };
    if (!user) {
        return WEIR_OK;
    }
    errno = 0;
    const struct passwd *entry = getpwnam(user);
    if (!entry) {
        return weir_fail(err, WEIR_FATAL,
                         "user = \"%s\": there is no such user here; add it "
                         "with `adduser --system --group %s`", user, user);
    }
    if (geteuid() != 0) {
        if (entry->pw_uid != geteuid()) {
            log_warn("user = \"%s\" is left out of account: only root can "
                     "start workers as somebody else", user);
        }
        return WEIR_OK;
    }
    snprintf(out->name, sizeof out->name, "%s", user);
    out->uid = entry->pw_uid;
    out->gid = entry->pw_gid;
    out->is_other = entry->pw_uid != 0;
    return WEIR_OK;
}

enum weir_status
account_become(const struct account *account, struct weir_err *err)
{
    if (account->is_other) {
        if (initgroups(account->name, account->gid) == -1 ||
            setgid(account->gid) == -1 || setuid(account->uid) == -1) {
            return fail_errno(err, WEIR_FATAL, "become user %s",
                              account->name);
        }
        if (setuid(0) != -1) {
            return weir_fail(err, WEIR_FATAL,
                             "user %s could become root again",
                             account->name);
        }
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1) {
        return fail_errno(err, WEIR_FATAL, "prctl no_new_privs");
    }
    return WEIR_OK;
}

enum weir_status
account_own(const struct account *account, const char *path,
            struct weir_err *err)
{
    if (account->is_other && lchown(path, account->uid, account->gid) == -1) {
        return fail_errno(err, WEIR_FATAL, "chown %s to %s", path,
                          account->name);
    }
    return WEIR_OK;
}
