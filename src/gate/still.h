/* SPDX-License-Identifier: MIT */
/* A program of the tree stands still, with all that it started, until the warden lets it go on.
 * One with a cgroup of its own is frozen there, the others are stopped by SIGSTOP, parents first,
 * until nothing of them moves; they go on by SIGCONT, children first, so that no shell takes them
 * for stopped by its user. The first program stands for the whole tree.
 * As good as SIGSTOP is: nobody in a tree that stands still can end it, another process of the same
 * user can. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "gate/execs.h"

void still_set(struct exec *e, bool on);
/* Something stands still: signals that would let it go on are not for it. */
bool still_any(void);
/* It ends, or starts another program in its place: what it stopped goes on. */
void still_leave(struct exec *e);
/* Nobody is left who would let it go on. */
void still_lost(void);

/* Looks whether it is so, and tells the warden. */
void still_tick(uint64_t now);
uint64_t still_next(void);
