/* SPDX-License-Identifier: MIT */
/* What a process' cgroups say of the container it lives in. Texts are those of /proc/PID/cgroup; no
 * system calls. A name in a path proves nothing, since a prisoner may be able to name a cgroup of
 * its own like another container: only descent from the cgroups of a container's first process
 * counts. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Is every cgroup of `text` the same as or below that of `init`, wherever init's is not the root?
 * False when init's are all the root. `ret_depth` grows with how special they are. */
bool lineage_below(const char *text, const char *init, size_t *ret_depth);
/* Is a cgroup of `text` the same as or below the path `cgroup` ("/agents/one")? */
bool lineage_in(const char *text, const char *cgroup);

#define LINEAGE_ID_SIZE 65
/* A container's id as engines write it into paths, for a question to the engine or a message: its
 * 64 digits, and the engine's name in *ret_engine ("docker", "podman", "containerd", "cri-o",
 * "kubernetes"). false: there is none. */
bool lineage_hint(const char *text, char ret_id[LINEAGE_ID_SIZE], const char **ret_engine);
