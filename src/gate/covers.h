/* SPDX-License-Identifier: MIT */
/* Tools that the warden has mounted its shim over (mirror/cover): under a gate nobody needs the
 * shim to ask, so what starts through such a mount executes what lies below it instead, and that is
 * what is judged. The agent can neither make nor remove these mounts, and gets what lies below for
 * one exec at a time only. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Room that finders share; before they are there. 0 or negative errno. */
int covers_init(void);
/* All that lies in `socket`, which it closes. 0, or negative: it makes no sense, or is too much. */
int covers_take(int socket);

/* The cover that the program of `pid` was started through; -1: none. */
int covers_find(pid_t pid);
const char *covers_path(int cover); /* as long as we live */
/* What to execute: the name in the directory `*ret_dir` (borrowed), or with *ret_dir -1 the path
 * that a symlink below the cover leads to. */
const char *covers_below(int cover, int *ret_dir);
