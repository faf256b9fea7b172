/*
 * notify.h - tells systemd (or what else set NOTIFY_SOCKET) how far we are, as
 * sd_notify(3) describes it: one datagram, no library.  Nobody there: nothing
 * happens.
 */
#ifndef WEIR_MASTER_NOTIFY_H
#define WEIR_MASTER_NOTIFY_H

void notify_ready(void);
void notify_reloading(void);
/* `seconds`: how long the drain may take, so that nobody kills us before. */
void notify_stopping(int seconds);

#endif
