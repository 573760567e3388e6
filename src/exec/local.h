/* SPDX-License-Identifier: MIT */
/* The executors that the helper carries out. `local`: commands of callers on this host, with the
 * caller's own ids, limits and directory; no sandbox stands around them. `mirror`: the same for
 * callers in a container, back inside of it, which the engine can do instead (docker/dockexec.h).
 * Neither takes the callers of the other. */
#pragma once

#include "core/ports.h"
#include "core/warden.h"
#include "exec/mirror.h"

struct docker;

/* Borrows the mirror; reports by warden_started() and warden_ended(). */
struct executor *local_new(struct mirror *m, bool inside);
/* The engine starts the commands of `mirror`, and not the helper. Both are borrowed. */
void local_set_engine(struct executor *port, uv_loop_t *loop, struct docker *engine);
void local_set_warden(struct executor *port, struct warden *w);
struct executor *local_free(struct executor *port); /* returns NULL */
/* One sentence for the log at the start: what stands around commands here, and what does not. */
const char *local_describe(const struct executor *port, char *out, size_t size);
