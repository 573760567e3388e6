/* SPDX-License-Identifier: MIT */
/* A cgroup (v2) for each command, under one directory of the helper beside its own cgroup: what the
 * command leaves behind is found and killed there. Without v2 there are none, and the helper says
 * so. An empty one is used again; one whose cgroup.kill was ever written never is: on some kernels
 * everything that is cloned into it dies.
 * Commands of a container have theirs below the container's own (its limits hold for them), those
 * of this host below the helper's. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct cgroup_home;

struct cgroup {
    int dir; /* owned */
    unsigned number;
    struct cgroup_home *home;
    struct cgroup *next;
};

/* Finds out what this host allows, once. On false `words` says what is missing. */
bool cgroup_setup(char *words, size_t size);
const char *cgroup_base(void); /* "" without cgroups */
/* Below the helper's, or below `container`, the directory of a container's cgroup. NULL: none can
 * be made. */
struct cgroup *cgroup_get(const char *container);
/* Gives it back; `spent` when something in it was killed. Returns true when processes are left. */
bool cgroup_put(struct cgroup *c, bool spent);
bool cgroup_is_of(const struct cgroup *c, const char *container); /* and that is there still */
void cgroup_path(const struct cgroup *c, char *out, size_t size);
/* These take the directory, so that a worker can do it. */
void cgroup_kill(int dir);
/* False: it could not be told. Whether all of it stands still says its cgroup.events. */
bool cgroup_freeze(int dir, bool on);
void cgroup_signal(int dir, int signo, pid_t except); /* each process in it once */
/* Is `pid` in it, and nobody else? */
bool cgroup_holds(int dir, pid_t pid);
bool cgroup_populated(int dir);
/* At the end: removes what is empty, waiting shortly for what was killed. */
void cgroup_cleanup(void);
