/* SPDX-License-Identifier: MIT */
/* The processes below one: all there is on hosts without cgroups, elsewhere for what root moved out
 * of them. Best effort: one that leaves its ancestry
 * where nobody is a subreaper is not found, and a fork bomb may outrun it. */
#pragma once

#include <sys/types.h>

/* Sends `signo` to every process below `root`, not to `root`; SIGKILL is repeated until none is
 * left, for at most about 200 ms. Returns how many there were at the last look. */
unsigned tree_signal(pid_t root, int signo);
