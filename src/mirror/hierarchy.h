/* SPDX-License-Identifier: MIT */
/* The cgroup hierarchies of this host: where each is mounted, and where a process stands in them.
 * Version 1 hierarchies are joined by writing to `tasks` and not to `cgroup.procs`: a process that
 * moves only itself needs no lock that all forks of the machine wait for (docs/decisions.md). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define HIERARCHY_MAX 20
#define HIERARCHY_PATH_MAX 512

/* Reads where they are mounted; once, before workers are made. */
void hierarchy_setup(void);
/* Where version 2 is mounted, or "". */
const char *hierarchy_v2(void);
/* Directory of `pid`'s v2 cgroup. 0; -ENOENT: it stands at the root, or v2 is not mounted. */
int hierarchy_v2_path(pid_t pid, char out[HIERARCHY_PATH_MAX]);
/* Opens `tasks` of each v1 cgroup in which `pid` stands elsewhere than at the root; how many, or a
 * negative errno with *ret_what naming the hierarchy that cannot be joined. */
int hierarchy_open(pid_t pid, int fds[HIERARCHY_MAX], const char **ret_what);
/* Do two processes stand in the same v1 cgroups? */
bool hierarchy_same(pid_t a, pid_t b);
/* Does the limit of `pid`'s cgroup allow so many processes? */
bool hierarchy_pids_allow(pid_t pid, uint64_t count);
void hierarchy_close(int fds[HIERARCHY_MAX], int count);
/* In the child: moves this process. 0 or negative errno. */
int hierarchy_join(const int fds[HIERARCHY_MAX], int count);
