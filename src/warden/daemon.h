/* SPDX-License-Identifier: MIT */
/* All parts of a warden wired together: opened in an order in which nothing is accepted before it
 * can be judged, recorded and run; closed in the reverse. */
#pragma once

#include "base/cleanup.h"
#include "base/err.h"
#include "warden/config.h"

struct daemon;

/* Opens everything; `c` is borrowed for its life, `fds_max` is the limit of descriptors.
 * -EINVAL: options or policy are wrong; other errors: this host or another warden is in the way. */
int daemon_open(const struct config *c, unsigned long fds_max, struct daemon **ret,
                struct err *err) MUST_CHECK;
/* Serves until SIGTERM or SIGINT and what follows from it. */
void daemon_run(struct daemon *d);
/* Closes all that is open and frees. */
struct daemon *daemon_free(struct daemon *d);
CLEANUP_DEFINE(struct daemon, daemon_free)
