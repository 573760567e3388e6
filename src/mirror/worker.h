/* SPDX-License-Identifier: MIT */
/* A worker: one process that does one thing at a time for the dispatcher, a lookup or a command,
 * and is used again. Whatever a hostile caller makes hang, hangs one worker, which is then killed.
 */
#pragma once

#include <stdint.h>

#include "mirror/packet.h"

/* The process after its fork; `sock` leads to the dispatcher. */
_Noreturn void worker_run(int sock);

/* ---- for the tasks ---- */
struct worker {
    int sock;    /* of the dispatcher */
    int answers; /* of the warden, for what it waits for */
    int signals; /* signalfd of SIGCHLD, and of what a terminal sends to the leader of its session
                  */
    int proc;    /* O_PATH of the host's /proc, where a worker stands */
    int space; /* the host's mount namespace, and O_PATH of its root directory: the way back out of
                  a container */
    int top;
    bool root;
};
/* Both answer by messages; both return true when the worker may be used again. */
bool job_run(struct worker *w, struct packet *start);
void lookup_run(struct worker *w, struct packet *p);
/* The dispatcher is gone: everything ends. */
_Noreturn void worker_leave(void);
