/* SPDX-License-Identifier: MIT */
/* Unix sockets on which somebody listens: a way out of a sandbox, because a read-only file system
 * does not keep anybody from connecting to one. */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "sandbox/plan.h"

/* The next listening socket with a path in `text` (of /proc/net/unix, `len` bytes), from *at on:
 * its length, *ret borrowed and not terminated; 0 at the end. What is malformed is passed over. */
size_t sockets_next(const char *text, size_t len, size_t *at, const char **ret);

/* Adds a PLAN_HIDDEN for each that is there now and really is a socket. */
int sockets_hide(struct plan *p, struct err *err) MUST_CHECK;
