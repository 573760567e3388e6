/* SPDX-License-Identifier: MIT */
/* The resolver of core/ports.h: asks the helper for the facts of a request. Few lookups of one user
 * are under way at a time, so that a hung file system of his holds up nobody else. */
#pragma once

#include "core/ports.h"
#include "core/warden.h"
#include "exec/mirror.h"

/* Borrows the mirror; answers to the warden by warden_resolved(). */
struct resolver *resolve_new(struct mirror *m);
/* Answers come only after this. */
void resolve_set_warden(struct resolver *port, struct warden *w);
/* The engine runs the commands of containers: more of them can be looked into. */
void resolve_by_engine(struct resolver *port);
struct resolver *resolve_free(struct resolver *port); /* returns NULL */
