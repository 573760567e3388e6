/* SPDX-License-Identifier: MIT */
/* A cgroup of its own for each program with a time limit, where this host lets us make one: then
 * all that it started ends with it, also what has lost its ancestry by a double fork. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Finds out, before the agent starts, whether we may make cgroups (version 2) below our own. */
void scope_init(void);
bool scope_is_there(void);
/* Puts the process into a new one for `job`. 0, or negative errno. */
int scope_enter(uint64_t job, pid_t pid);
void scope_kill(uint64_t job);
/* Stops what is in there, or lets it go on; scope_stands(): all of it stands still. */
void scope_freeze(uint64_t job, bool on);
bool scope_stands(uint64_t job);
/* Whether this process is in there. */
bool scope_holds(uint64_t job, pid_t pid);
/* Its program has ended; what that left behind stays in there. */
void scope_leave(uint64_t job);
void scope_done(void); /* the tree is dead: nothing of ours stays behind */
