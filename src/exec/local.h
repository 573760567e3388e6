/* SPDX-License-Identifier: MIT */
/* The executor `local`: commands of callers on this host, started by the helper with the caller's
 * own ids, limits and directory. No sandbox stands around them. */
#pragma once

#include "core/ports.h"
#include "core/warden.h"
#include "exec/mirror.h"

/* Borrows the mirror; reports by warden_started() and warden_ended(). */
struct executor *local_new(struct mirror *m);
void local_set_warden(struct executor *port, struct warden *w);
struct executor *local_free(struct executor *port); /* returns NULL */
/* One sentence for the log at the start: what stands around commands here, and what does not. */
const char *local_describe(const struct executor *port, char *out, size_t size);
