/*
 * sink_mysql_family.c - what the lanes of one sink share: they are threads of
 * one process, and the right to move the checkpoint is theirs together.  Knows
 * no connection.
 */
#include "sink_mysql.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct family {
    struct family *next;
    unsigned       members;
    uint64_t       owner;
    bool           settled;
    uint64_t       statements, restores;
    char           name[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct family  *families;

struct family *
family_join(const char *name)
{
    struct family *f;

    pthread_mutex_lock(&lock);
    for (f = families; f && strcmp(f->name, name) != 0; f = f->next) {
    }
    if (!f) {
        const size_t size = strlen(name) + 1;
        f = calloc(1, sizeof *f + size);
        if (f) {
            memcpy(f->name, name, size);
            f->next = families;
            families = f;
        }
    }
    if (f) {
        f->members++;
    }
    pthread_mutex_unlock(&lock);
    return f;
}

void
family_leave(struct family *f)
{
    pthread_mutex_lock(&lock);
    if (--f->members == 0) {
        struct family **p = &families;
        while (*p != f) {
            p = &(*p)->next;
        }
        *p = f->next;
        free(f);
    }
    pthread_mutex_unlock(&lock);
}

uint64_t
family_owner(struct family *f)
{
    pthread_mutex_lock(&lock);
    const uint64_t owner = f->settled ? f->owner : 0;
    pthread_mutex_unlock(&lock);
    return owner;
}

void
family_own(struct family *f, uint64_t owner)
{
    pthread_mutex_lock(&lock);
    f->owner = owner;
    f->settled = true;
    pthread_mutex_unlock(&lock);
}

/* Of an owner who is none any more it says nothing. */
void
family_doubt(struct family *f, uint64_t owner)
{
    pthread_mutex_lock(&lock);
    if (f->owner == owner) {
        f->settled = false;
    }
    pthread_mutex_unlock(&lock);
}

uint64_t
family_statements(struct family *f, bool one_more)
{
    pthread_mutex_lock(&lock);
    f->statements += one_more;
    const uint64_t n = f->statements;
    pthread_mutex_unlock(&lock);
    return n;
}

uint64_t
family_restores(struct family *f, bool one_more)
{
    pthread_mutex_lock(&lock);
    f->restores += one_more;
    const uint64_t n = f->restores;
    pthread_mutex_unlock(&lock);
    return n;
}
