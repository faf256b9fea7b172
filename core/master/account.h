/*
 * account.h - whom workers run as: the configured `user`, if the master was
 * started by root; else who we are.
 */
#ifndef WEIR_MASTER_ACCOUNT_H
#define WEIR_MASTER_ACCOUNT_H

#include <stdbool.h>
#include <sys/types.h>

#include <weir/module.h>

struct account {
    char  name[64];
    uid_t uid;
    gid_t gid;
    bool  is_other; /* than who we are: privileges are to be given up */
};

/* `user` NULL: who we are.  FATAL: there is no such user. */
enum weir_status account_find(const char *user, struct account *out,
                              struct weir_err *err);
/* In a child: gives up root for good, and with it the way back. */
enum weir_status account_become(const struct account *account,
                                struct weir_err *err);
/* Gives a file that the master has just made to the account. */
enum weir_status account_own(const struct account *account, const char *path,
                             struct weir_err *err);

#endif
