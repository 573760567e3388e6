/* SPDX-License-Identifier: MIT */
/* What the tracer reads of /proc itself: files that the kernel makes up, which never hang. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "wire/helper.h"

struct procfs_status {
    pid_t tgid, ppid;
    char state;                                 /* of proc(5): R, S, T stopped, t traced, Z ... */
    uint64_t pending, blocked, ignored, caught; /* signals; bit 0 is signal 1 */
};
/* 0, or a negative errno: it is gone. */
int procfs_status(pid_t pid, struct procfs_status *ret);
#define PROCFS_STATUS_MAX 16384 /* groups may be many, and what is needed stands behind them */

/* The ids that file systems look at. */
struct procfs_who {
    pid_t ppid;
    uint32_t uid, gid;
};
/* Of the process that a pidfd pins. False: the kernel does not tell (before Linux 6.13). */
bool procfs_who(int pidfd, struct procfs_who *ret);

/* The texts themselves, in which a program's name is the agent's. `groups` backs ret->groups; the
 * pid stays as it is. -EBADMSG: they make no sense; -E2BIG: too many groups. */
#define PROCFS_GROUPS_MAX 1024
int procfs_status_parse(const char *text, struct procfs_status *ret);
int procfs_ids_parse(const char *text, uint32_t groups[PROCFS_GROUPS_MAX], struct helper_peer *ret);
/* /proc/PID/stat. -ENODATA: it has not ended. */
int procfs_zombie_parse(const char *text, int *ret_status);

/* A signal is pending that will end it as soon as it may go on. */
bool procfs_has_fatal_signal(pid_t pid);

/* How a process that has ended did so, as wait(2) says it. -ENODATA: this kernel does not tell who
 * is not its parent. */
int procfs_end(int pidfd, pid_t pid, int *ret_status);
/* Whether the above is told as well when its parent has waited for it (Linux 6.15). Makes a process
 * to find out. */
bool procfs_end_lasts(void);

/* What descends from `pid`, without `pid`: parents before their children. Until the next call. */
struct procfs_child {
    pid_t pid;
    char state;
};
const struct procfs_child *procfs_below(pid_t pid, size_t *ret_count);
/* The text of /proc/PID/cgroup names this cgroup. */
bool procfs_is_in(pid_t pid, const char *cgroup);
/* Signals everything that descends from `pid`, but not `pid`. */
void procfs_kill_below(pid_t pid, int signo);
