/* SPDX-License-Identifier: MIT */
/* Into a container: what its first process (init) shows of it, whether a caller still stands within
 * its walls, and the way in. What init shows is asked of the kernel and bound to its pidfd. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "mirror/hierarchy.h"
#include "mirror/phrase.h"
#include "mirror/subject.h"
#include "wire/helper.h"

#define INSIDE_KINDS 8
#define INSIDE_RANGES 32
#define INSIDE_LABEL_MAX 256

struct inside_ids { /* /proc/PID/uid_map: ours on the right */
    unsigned count;
    struct {
        uint32_t inside, outside, count;
    } range[INSIDE_RANGES];
};

struct inside {
    pid_t init;
    int initfd;          /* borrowed */
    int root;            /* owned, O_PATH of its root directory; -1 none */
    uint64_t start_time; /* of init */
    uint64_t spaces;     /* of setns(2): where init stands elsewhere than we do */
    bool user_space;     /* it has a user namespace of its own */
    struct subject init_status;
    struct inside_ids uids, gids;
    char label[INSIDE_LABEL_MAX]; /* of the security module, or "" */
    bool labelled;                /* and that is not ours */
    bool selinux;                 /* whose label it is */
    struct {
        uint64_t dev, ino;
    } at[INSIDE_KINDS + 1];   /* init's namespaces and its root directory */
    int tasks[HIERARCHY_MAX]; /* owned, when tasks_count > 0 */
    int tasks_count;
};

/* What this host lacks for entering any container, in words; false: nothing is missing. */
bool inside_missing(char *words, size_t size);

/* What it is entered for. Where the engine runs the commands, none of ours is ever in there with
 * memory of the helper's, and so more containers will do. */
enum inside_aim { INSIDE_LOOK, INSIDE_RUN, INSIDE_BY_ENGINE };

struct inside_caller {
    pid_t pid;
    int pidfd; /* borrowed */
    const struct subject *subject;
};

/* Looks at init and compares the caller with it. 0, or a negative errno with words. Free with
 * inside_close() in any case. */
int inside_open(pid_t init, int initfd, const struct inside_caller *caller, enum inside_aim aim,
                struct inside *ret, struct phrase *why);
/* Compares a caller with what was seen of its container before: where a seat is, and what it
 * inherited, does not change when init does. `initfd` pins the same init. As inside_open(). */
int inside_again(const struct inside *known, int initfd, const struct inside_caller *caller,
                 enum inside_aim aim, struct inside *ret, struct phrase *why);
/* A caller with fewer rights than its container's first process: the engine would give its command
 * all of them. 0, or -EPERM with words. */
int inside_check_rights(const struct inside *in, const struct subject *caller, uint32_t uid,
                        struct phrase *why);
/* What a command that does not start from a seat has to join. 0, or a negative errno with words. */
int inside_open_cgroups(struct inside *in, struct phrase *why);
void inside_close(struct inside *in);

/* Ids of the host into those of the container, in place. -ERANGE: one has no number in there. */
int inside_translate(const struct inside *in, struct helper_peer *p, uint8_t *groups_room);

/* ---- going in ---- */

/* For a lookup: the user and mount namespaces only, so that nobody in there sees it. Both leave us
 * in the host's /proc, for paths like "self/fd/3". 0 or negative errno. */
int inside_enter_files(const struct inside *in, int proc);
/* The way back to the host for a process that is to go on: the mount namespace and the root
 * directory that it came from. 0 or negative errno. */
int inside_leave_files(int space, int root, int proc);
/* For a command or a seat: cgroups, all namespaces; its own children are in the pid namespace. */
int inside_enter(const struct inside *in, int proc);
/* The security label that the next exec is to bring; in the host's /proc. */
int inside_set_label(const struct inside *in);
