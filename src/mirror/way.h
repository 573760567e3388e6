/* SPDX-License-Identifier: MIT */
/* Follows a path component by component, as the process that calls would, and judges what lies on
 * the way: could this caller have put it there or changed it? May hang on a bad file system:
 * callers stand under a deadline. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mirror/compat.h"
#include "wire/helper.h"

#define WAY_PATH_MAX 4096

struct way {
    int fd;                  /* O_PATH of what was found, owned; -1 when the last part is missing */
    char real[WAY_PATH_MAX]; /* absolute, without symlinks */
    struct compat_statx st;  /* when fd >= 0 */
    bool trusted;
    const char *why; /* when not trusted: words, constant */
    bool by_walls;   /* trusted only because of read_only_counts: the caller owns some of it */
};

struct way_caller {
    const struct helper_peer *peer;
    struct helper_strings search; /* trusted directories, for a caller that is root */
    uint32_t own_uid;             /* the warden's, which is trusted like root */
    /* The caller can neither write through a read-only mount nor around it: what lies there is
     * trusted when the caller or root owns it. Only behind walls that were built so. */
    bool read_only_counts;
    bool (*in_group)(uint32_t gid); /* NULL: only `peer` tells */
};

/* `path` relative to the directory `cwd_fd`, whose real path is `cwd`, unless it is absolute. With
 * `may_miss` what is looked for need not exist, nor the directories before it. 0, or a negative
 * errno (and nothing to close). */
int way_walk(const struct way_caller *c, int cwd_fd, const char *cwd, const char *path,
             bool may_miss, struct way *ret);
void way_done(struct way *w);
/* Set whenever the kernel refuses something; whoever starts a lookup clears it. */
extern bool way_denied;
/* Where our own descriptors are: "/proc/self/fd/". A worker stands in the host's /proc and says
 * "self/fd/", which is right in every root directory. */
extern const char *way_own_fds;
/* NULL: every file system. Else asked about the device of each file that a walk meets, before it is
 * asked anything else: where the answer is no, way_barred is set and the walk fails. */
extern bool (*way_may_touch)(uint64_t dev);
extern bool way_barred;
/* NULL: nothing. Else asked of each file: when a shim is mounted over it, `st` becomes that of what
 * lies below, and the answer is where that leads when it is a symlink, else ""; NULL: it is none.
 */
extern const char *(*way_below)(struct compat_statx *st);
/* The next walk may be in another root directory. */
void way_forget_root(void);
int way_stat(int fd, const char *name, int flags, struct compat_statx *ret);
uint64_t way_dev(const struct compat_statx *st);
