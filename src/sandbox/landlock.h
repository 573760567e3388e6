/* SPDX-License-Identifier: MIT */
/* Landlock: walls that a process builds around itself without any privilege. */
#pragma once

#include "base/cleanup.h"
#include "base/err.h"
#include "sandbox/plan.h"

/* The kernel's ABI, 1 or more; 0 when it has none or it is switched off. */
int landlock_abi(void);

#define LANDLOCK_ABI_SCOPES 6 /* from here on: abstract unix sockets and signals */

/* From now on this process, and what it starts, reaches neither abstract unix sockets nor processes
 * outside of itself by signals. Needs LANDLOCK_ABI_SCOPES; leaves mount(2) alone, which rules on
 * files would not. Needs no_new_privs. */
int landlock_scope(struct err *err) MUST_CHECK;

/* From now on only what the plan makes writable, and devices below /dev, can be written; with
 * scopes as above where the kernel has them. What is hidden or fixed inside of something writable
 * is not: Landlock has no exceptions. Blank directories are the host's own, writable. */
int landlock_writes(const struct plan *p, struct err *err) MUST_CHECK;
