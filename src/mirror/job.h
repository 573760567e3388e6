/* SPDX-License-Identifier: MIT */
/* One command in a worker, from START to RELEASE: the hand-over with the shim, the start, what
 * happens while it runs, its end. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "mirror/child.h"
#include "mirror/packet.h"
#include "mirror/worker.h"

struct job {
    struct worker *w;
    uint64_t id;
    int boss;                  /* borrowed: where its orders come from and its reports go to */
    bool lent;                 /* that is the warden, and the cgroup is the worker's home */
    int conn;                  /* owned: the caller's connection */
    int pidfd;                 /* owned: the caller */
    int initfd;                /* owned: the init of its container, or -1 */
    int cgroup;                /* owned unless lent: directory of the command's cgroup, or -1 */
    int slave;                 /* owned: the pty whose session we lead, or -1 */
    struct helper_start start; /* its strings lie in the message, gone after the start */
    const uint8_t *body;       /* that message */
    size_t body_len;
    bool may_seat; /* a seat may be kept for others (seat.h) */
    bool seated;   /* it starts from one */
    bool unseated; /* cgroups and filters were read of its container, for it alone */
    struct subject subject;
    struct inside inside;   /* its container, when initfd >= 0 */
    struct helper_peer who; /* the caller's ids as they are called in there */
    bool tty;               /* by an engine: it makes a terminal for it */
    bool by_engine;         /* `pid` is the pump (mirror/pump.h), the engine runs the command: */
    int stream;             /* owned: the engine's, or -1 */
    int news;               /* owned: what the pump says, or -1 */
    int enginefd;           /* owned: pidfd of the command, or -1 when it has ended */
    pid_t engine_pid;
    struct child_plan plan;
    char name[256]; /* for messages */
    pid_t pid;      /* 0 before the start and after the end */
    int ending;     /* HUP or TERM, when the shim passed one on */
    bool over;      /* it has ended, and is not yet reaped */
    int missed;     /* the signal that came too late for it; see hear_last() */
    pid_t group;    /* what was in the pty's foreground when the shim lost its own */
    bool v1;
    bool reuse;       /* this worker may be used again */
    bool deaf;        /* the descriptors lie on the connection: a kill was faster than the child */
    bool killed;      /* by the warden: what is left at the end dies too */
    bool caller_gone; /* it hung up, or spoke nonsense */
    bool shot;        /* it was killed by SIGKILL of ours */
    bool spent;       /* something was killed in the cgroup */
    bool ended;       /* reported */
    struct helper_end end;
    char text[HELPER_TEXT_MAX];
    uint8_t in[12]; /* of the caller's next message */
    unsigned in_len;
};

/* ---- shared with v1relay ---- */
void job_fail(struct job *j, uint32_t code, const char *words, int err);
bool job_launch(struct job *j); /* after plan was filled; false: j->end says why */
void job_kill_tree(struct job *j);
void job_reap(struct job *j);    /* a signal came */
void job_hang_up(struct job *j); /* the caller is gone */
void job_report_started(struct job *j);
void job_report_ended(struct job *j); /* when j->pid is 0 and it was not yet reported */
/* A message of j->boss: true when it was RELEASE, with its text in j->text. */
bool job_command(struct job *j);
uint64_t job_now(void); /* ms */

#define JOB_LAUNCH_S 5 /* from clone to exec */
