/* SPDX-License-Identifier: MIT */
/* Listening sockets: a unix socket of mode 0600, and TCP: on loopback only, but with TLS. */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

#include "base/err.h"

/* A listening, non-blocking fd at `path`, mode 0600. A socket that nobody answers any more is
 * replaced. -EADDRINUSE: somebody answers; -EEXIST: something else is there; ... */
int bind_unix(const char *path, struct err *err) MUST_CHECK;

/* `address`: "HOST:PORT" with a numeric host or "localhost"; port 0 picks one. What others could
 * reach is refused without `tls`, unless `anywhere`. *ret_url gets "http://127.0.0.1:9099", owned
 * by the caller. */
int bind_tcp(const char *address, bool tls, bool anywhere, char **ret_url,
             struct err *err) MUST_CHECK;

/* True for 127.0.0.0/8 and ::1. */
int bind_is_loopback(const struct sockaddr *sa);
