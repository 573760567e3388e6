/* SPDX-License-Identifier: MIT */
/* From clone to exec: the child that becomes the command. It shares the worker's memory, so system
 * calls only, nothing is freed, and it never returns.
 *
 * For a container there are two: the first, outside of the pid namespace where nobody in there can
 * see, signal or trace it, does all that takes rights; the second, its sibling in the namespace,
 * has only to execute. The first ends when the second has executed. Where the worker keeps a seat
 * in the container (seat.h) there is one, which inherits from it what the first would do. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mirror/inside.h"
#include "mirror/subject.h"
#include "wire/helper.h"
#include "wire/v2.h"

enum child_stage {
    CHILD_FINE,
    CHILD_FDS,
    CHILD_TERMINAL,
    CHILD_ENTER,
    CHILD_FILTER,
    CHILD_CLONE,
    CHILD_IDS,
    CHILD_CWD,
    CHILD_CWD_CHANGED,
    CHILD_EXEC_OPEN,
    CHILD_EXEC_CHANGED,
    CHILD_EXEC_BUSY,
    CHILD_EXEC,
};

struct child_plan {
    const struct helper_start *start;
    const struct helper_peer *who; /* ids to take, as they are called where it runs */
    const struct subject *subject;
    char **argv, **env;
    uint32_t *groups;
    int conn; /* v2: the descriptors are taken from the message that waits here; else -1 */
    struct v2_fds handover; /* v2: what that message says */
    int fds[3];             /* v1: what becomes 0, 1, 2 */
    int cwd;                /* v2: O_PATH of the caller's directory */
    int program; /* what lies below a cover at start->exec_path, O_PATH; -1: nothing does */
    int slave;   /* the pty to be in the foreground of, or -1 */
    const struct inside *inside; /* the container to enter, or NULL */
    int proc;                    /* O_PATH of the host's /proc */
    bool root;
    /* what the child says, in the shared memory */
    volatile enum child_stage stage;
    volatile int error;
    volatile pid_t pid; /* of the command in a container, as we see it */
    volatile bool took; /* v2: the descriptors, so that what follows on `conn` is for the worker */
};

#define CHILD_FDS_MAX (4 + V2_FDS_MORE_MAX)

_Noreturn void child_run(struct child_plan *p);
/* The child of a seat (seat.h), which is in the container, and its pid namespace, from the start.
 */
_Noreturn void child_run_seated(struct child_plan *p);
/* The message was looked at before (handover.c); its descriptors are taken in the child, so that
 * they are never in the worker's table, where closing one could block. 0 or negative errno. */
int child_take_fds(const struct v2_fds *handover, int conn, int fds[CHILD_FDS_MAX]);
