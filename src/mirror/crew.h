/* SPDX-License-Identifier: MIT */
/* The workers: who is idle, who does what until when. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "mirror/cgroup.h"

#define CREW_MAX 664     /* commands, lookups, lent ones, and a few that are idle */
#define CREW_SPARE 2     /* idle workers to have ready */
#define CREW_IDLE_MAX 48 /* idle workers to keep after a rush, those with seats among them */

enum crew_state {
    CREW_NONE,
    CREW_IDLE,
    CREW_LOOKUP,
    CREW_JOB,
    CREW_LENT,  /* the warden talks to it itself (loan.h) */
    CREW_DYING, /* told to leave, or killed; its socket is closed when it is gone */
};

/* What a lent worker does just now, in memory that both see: nobody has to be woken to be told. */
enum crew_phase { CREW_FREE, CREW_LOOKS, CREW_READY, CREW_STARTS, CREW_RUNS, CREW_ENDS };
struct crew_share {
    volatile uint32_t phase; /* the last to be written, and the first to be read */
    volatile uint32_t uid;
    volatile uint64_t job, since; /* monotonic ms */
    volatile bool
        tainted; /* by the dispatcher: its cgroup was killed or stopped, so no seat stays */
};

struct crew_member {
    enum crew_state state;
    pid_t pid;
    int sock;      /* owned */
    pid_t init;    /* of the container that it has its seat in */
    uint32_t uid;  /* of the job's caller */
    pid_t command; /* of the job, leads its group; 0: not started */
    uint64_t job;
    uint64_t deadline;        /* monotonic ms; 0: none */
    struct crew_share *share; /* borrowed */
    struct cgroup *cgroup;    /* of the job, or the one in which it keeps a seat; or NULL */
    bool ended;               /* its job's end is reported */
    bool spent;               /* something was killed in its cgroup */
    bool frozen;              /* its cgroup stands still */
    bool forgotten;           /* the lookup was cancelled */
    bool seated;              /* it keeps a seat in its cgroup (seat.h), or may when its job ends */
};

extern struct crew_member crew[CREW_MAX];
extern unsigned crew_top; /* all from here on are CREW_NONE */

/* An idle one, or a new one; NULL when there can be no more. */
struct crew_member *crew_get(void);
/* How many have a seat in a cgroup of `container`, or may have one. */
unsigned crew_count_seated(const char *container);
/* Makes one; false when there can be no more. */
bool crew_hire(void);
struct crew_member *crew_find(uint64_t job, enum crew_state state);
unsigned crew_count(enum crew_state state);
/* Lets an idle one go. */
void crew_dismiss(struct crew_member *m);
/* Its socket says that it is gone. */
void crew_forget(struct crew_member *m);
