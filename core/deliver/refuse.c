/* refuse.c - see refuse.h. */
#include "deliver/refuse.h"

#include "base/err.h"
#include "base/log.h"
#include "deliver/internal.h"

enum weir_status
refuse(struct deliverer *d, const struct refused *what, struct weir_err *err)
{
    if (d->set.sink->set.on_reject != CONF_REJECT_SKIP) {
        return weir_fail(err, WEIR_REJECT, "%s", what->reason);
    }
    atomic_fetch_add(&d->set.page->rows_skipped, what->nrows);
    log_warn("skipped: %s", what->reason);
    return WEIR_OK;
}

enum weir_status
refuse_settle(struct deliverer *d, struct weir_err *err)
{
    (void)d;
    (void)err;
    return WEIR_OK;
}

bool
refuse_holds(const struct deliverer *d, const struct view *v)
{
    (void)d;
    (void)v;
    return false;
}
