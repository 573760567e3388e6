/* SPDX-License-Identifier: MIT */
/* A worker: one process that does one thing at a time for the dispatcher, a lookup or a command,
 * and is used again. Whatever a hostile caller makes hang, hangs one worker, which is then killed.
 */
#pragma once

#include <stdint.h>

#include "mirror/crew.h"
#include "mirror/packet.h"

/* The process after its fork; `sock` leads to the dispatcher, who sees `share`. */
_Noreturn void worker_run(int sock, struct crew_share *share);

/* ---- for the tasks ---- */
struct worker {
    int sock;    /* of the dispatcher */
    int answers; /* of the warden, for what it waits for */
    int line;    /* of the warden, while this worker is lent to it (loan.h), or -1 */
    int home;    /* directory of the cgroup that its seat is in, while it is lent, or -1 */
    char home_path[600];
    struct crew_share *share;
    int signals; /* signalfd of SIGCHLD, and of what a terminal sends to the leader of its session
                  */
    int proc;    /* O_PATH of the host's /proc, where a worker stands */
    int space; /* the host's mount namespace, and O_PATH of its root directory: the way back out of
                  a container */
    int top;
    bool root;
};
/* Both answer by messages, to where the order came `from`: the dispatcher or the line. True: the
 * worker may be used again. */
bool job_run(struct worker *w, struct packet *start, int from);
void lookup_run(struct worker *w, struct packet *p, int from);
/* What a lent worker does from now on, for the dispatcher to see. */
void worker_does(struct worker *w, enum crew_phase phase);
/* The end of the loan: it keeps no seat any more; `spent`: nor may anybody use its cgroup. */
void worker_return(struct worker *w, bool spent);
/* The dispatcher is gone: everything ends. */
_Noreturn void worker_leave(void);
