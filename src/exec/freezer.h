/* SPDX-License-Identifier: MIT */
/* A container as cgroups, where no engine stops or ends it: the freezer of version 1 and
 * cgroup.freeze of version 2, and signals to everything in there. The path comes from the warden's
 * own options or from the first process that an engine reports; nothing that a prisoner says leads
 * here. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

#define FREEZER_DIRS_MAX 16

/* Directories, owned. */
struct freezer {
    char *v1, *v2;                /* that can stop it; NULL: not there */
    char *dirs[FREEZER_DIRS_MAX]; /* in which its processes are found */
    size_t dirs_count;
};

/* The cgroup of this path in every hierarchy where it is; the root is none. `root` NULL:
 * /sys/fs/cgroup. -ENOENT: in none. */
int freezer_at_path(struct freezer *f, const char *root, const char *path, struct err *err);
/* Those of a text like /proc/PID/cgroup's: only the freezer's and version 2's count. */
int freezer_of_text(struct freezer *f, const char *root, const char *text, struct err *err);
void freezer_done(struct freezer *f);

/* Asks for it; freezer_is() says when it is so. -EOPNOTSUPP: nothing can stop it. */
int freezer_set(const struct freezer *f, bool on, struct err *err);
/* Everything in it stands still. */
bool freezer_is(const struct freezer *f);
/* It was told to stand still, by whomever. */
bool freezer_wanted(const struct freezer *f);

/* To each process in it and below; 0 only counts. Returns how many there are. */
size_t freezer_signal(const struct freezer *f, int signo);

/* The same for the processes whose user namespace, or one around it, belongs to `owner` and is not
 * ours. */
size_t freezer_signal_userns(uid_t owner, int signo);
