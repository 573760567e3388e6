/* SPDX-License-Identifier: MIT */
/* Who is calling, from the kernel and from nobody else: the credentials of a connect, of each
 * message, and what /proc says of the process that a pidfd pins. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "core/request.h"

/* ---- a connection ---- */

struct peer_creds {
    pid_t pid;
    uid_t uid;
    gid_t gid;
    int pidfd; /* owned; -1 none */
};

/* The credentials of the connect(2) that made `fd`, with a pidfd of that process. -EPERM with words
 * for a peer of a foreign pid namespace, -ESRCH when the process is gone. */
int peer_connected(int fd, struct peer_creds *ret, struct err *err) MUST_CHECK;
void peer_creds_done(struct peer_creds *c);

/* 0 when the sender of one received message is the process and user of the connect. -EPERM with
 * words: another process writes on an inherited connection, or the same one changed its ids. */
int peer_sender_check(const struct peer_creds *c, const struct ucred *sender,
                      struct err *err) MUST_CHECK;

/* Fills `ret` (its pidfd is taken from `c`) from /proc, and checks behind the reading that the
 * process was there all the time, so that no number was used again. */
int peer_describe(struct peer_creds *c, int fd, struct peer *ret, struct err *err) MUST_CHECK;

/* ---- a process that somebody else spoke for ---- */

/* Fills `ret` for the process that `pidfd` pins (taken over when it succeeds), as the kernel tells,
 * without groups and the parent's name.
 * -EBADF with words: not a pidfd, or of a pid namespace that we cannot see into. */
int peer_pinned(int pidfd, struct peer *ret, struct err *err) MUST_CHECK;
/* What a pidfd pins has not ended. */
bool peer_is_alive(int pidfd);
/* 1 when `pid` is `above` or descends from it, 0 when not, negative when that cannot be told. */
int peer_descends(pid_t pid, pid_t above);
/* The same of the parent of `p`, whose name is put into p->parent on the way. */
int peer_parent_descends(struct peer *p, pid_t above);

/* ---- what it said that may change while it waits ---- */

struct peer_stat { /* /proc/PID/stat */
    char comm[64];
    char state;
    pid_t ppid, sid;
    uint32_t tty;
    uint64_t start_time;
};

/* The text of /proc/PID/stat; the name in it may hold blanks, parentheses, newlines. -EBADMSG. */
int peer_stat_parse(const char *text, size_t len, struct peer_stat *ret) MUST_CHECK;
/* -ESRCH when there is no such process; a zombie is none. */
int peer_stat_read(pid_t pid, struct peer_stat *ret) MUST_CHECK;

/* The v2 path in the text of /proc/PID/cgroup; owned, NULL when there is none. */
char *peer_cgroup_parse(const char *text, size_t len);

struct peer_status { /* /proc/PID/status */
    uid_t uid[4];    /* real, effective, saved, file system */
    gid_t gid[4];
    gid_t *groups; /* owned */
    size_t groups_count;
};
/* -EBADMSG when one of the three lines is missing or malformed. */
int peer_status_parse(const char *text, size_t len, struct peer_status *ret) MUST_CHECK;

/* ---- the API's login by peer credentials ---- */

struct peer_fence {
    pid_t helper;       /* commands descend from it; 0: none */
    const char *cgroup; /* the v2 path whose subtree holds the commands, or NULL */
    bool (*governed)(void *arg, pid_t pid); /* stands below a gate; NULL: there are none */
    void *arg;
};

/* 0 when the peer of `fd` may count as a person of this host. -EPERM with words when it lives in
 * another pid, user or mount namespace than we do, in a commands' cgroup, under the helper, or when
 * that cannot be told. */
int peer_is_outside(int fd, const struct peer_fence *f, struct err *err) MUST_CHECK;
