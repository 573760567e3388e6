/* SPDX-License-Identifier: MIT */
/* The caller as the kernel shows it: what its command takes over (limits, priority, what it may no
 * longer gain), and what makes it a caller that cannot be served here. Valid only while its pidfd
 * says that it lives: check subject_alive() after reading. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "mirror/phrase.h"

#define SUBJECT_LIMITS 16

struct subject {
    uint64_t permitted, effective, inheritable, ambient; /* capabilities */
    uint64_t bounding;                                   /* capability bounding set */
    uint64_t ignored, caught;                            /* signals, bit 0 is signal 1 */
    bool no_new_privs;
    unsigned filters; /* seccomp filters */
    struct rlimit limits[SUBJECT_LIMITS];
    bool limit_known[SUBJECT_LIMITS];
    int nice;
    int oom_score; /* oom_score_adj */
};

bool subject_alive(int pidfd);
/* /proc/PID/status. 0 or negative errno. */
int subject_read_status(pid_t pid, struct subject *ret);
/* Limits, nice, oom_score_adj; what cannot be read is the helper's own, and of nice 0. */
void subject_read_limits(pid_t pid, struct subject *ret);
/* A root that its securebits keep without capabilities must not get them by a command. */
void subject_bound_root(struct subject *s, uint32_t uid);
/* Refuses a caller that is confined otherwise than the helper: its command would run outside of its
 * walls. 0, or -EPERM with words. */
int subject_check_walls(pid_t pid, const struct subject *s, struct phrase *why);
/* Version 1 clients ignore signals (SIGPIPE) for purposes of their own: only those that shims
 * forward are taken over from one. */
void subject_ignore_forwarded(struct subject *s);
/* What this process has of all that, and its children until they change it: what is the same need
 * not be set. */
void subject_know_limits(void);
/* In the child, before its ids are changed: ignored signals, limits and priority, as far as the
 * kernel lets us; the number of files only raised, as there is still something to open. */
void subject_apply_limits(const struct subject *s);
/* Then, in its user namespace: the bounding set, of which we `have` no more than that, and
 * no_new_privs. */
void subject_apply_bounds(const struct subject *s, uint64_t have);
void subject_drop_bounds(uint64_t caps); /* as far as we have them */
/* Before exec: the number of files. */
void subject_apply_files(const struct subject *s);
