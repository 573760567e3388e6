/* SPDX-License-Identifier: MIT */
/* Closes descriptors on threads of its own: closing what a caller sent (a socket with SO_LINGER, a
 * file of its FUSE mount) may block whoever closes it for as long as the caller likes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

#define DISPOSER_THREADS_MAX 4
#define DISPOSER_QUEUE_MAX 4096

struct disposer;

/* Starts no thread before there is something to close. */
struct disposer *disposer_new(void);
/* Detaches: threads that are stuck end with the process. Returns NULL. */
struct disposer *disposer_free(struct disposer *d);
CLEANUP_DEFINE(struct disposer, disposer_free)

/* Takes ownership of the descriptor. Never blocks. */
void disposer_put(struct disposer *d, int fd);
/* True when so much waits that nobody else should be let in. */
bool disposer_full(struct disposer *d);
size_t disposer_pending(struct disposer *d);
