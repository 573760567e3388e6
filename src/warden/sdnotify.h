/* SPDX-License-Identifier: MIT */
/* Tells the service manager how we are (the protocol of sd_notify(3), without its library): lines
 * of NAME=VALUE in one datagram to the socket that NOTIFY_SOCKET names. Where there is none, every
 * call does nothing. Never blocks: what the manager does not take is lost. */
#pragma once

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"

struct sdnotify {
    int fd; /* owned; -1: nobody wants to know */
    struct sockaddr_un to;
    socklen_t to_len;
    uint64_t watchdog; /* ns in which a sign of life is expected; 0: none is */
};

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, and takes them out of the environment: they
 * are not for what we start. */
void sdnotify_init(struct sdnotify *n);
void sdnotify_done(struct sdnotify *n);

void sdnotify_ready(const struct sdnotify *n, const char *status); /* one line; also behind: */
void sdnotify_reloading(const struct sdnotify *n);
void sdnotify_stopping(const struct sdnotify *n);
void sdnotify_alive(const struct sdnotify *n);
