/* SPDX-License-Identifier: MIT */
/* All that the gate knows of the programs of its tree: those on their way through an exec, and
 * those that it let go and that have not ended. One table, and the accounts that show whether a
 * start has slipped past it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "gate/image.h"

#define EXECS_MAX 16384
#define EXECS_GOING_MAX 4096 /* on their way; leaves room for those that run */

enum exec_state {
    EXEC_FREE,
    EXEC_QUEUED,  /* a notification whose process has another exec in flight */
    EXEC_GOING,   /* seized and continued: the kernel is loading it */
    EXEC_PASSING, /* traced: it goes on to what lies below a cover */
    EXEC_FINDING, /* stopped; a finder looks at its files */
    EXEC_ASKED,   /* stopped; the warden has the request */
    EXEC_LOOKING, /* stopped; a finder looks again because the warden wants it */
    EXEC_DOOMED,  /* stopped and to be killed, the kernel has not confirmed it */
    EXEC_LEAVING, /* refused, and traced until it has ended by itself */
    EXEC_RUNNING, /* let go */
};

struct exec {
    uint64_t job;
    uint64_t notif; /* of the kernel */
    uint64_t above; /* job of the nearest program above it, 0 none */
    uint64_t dev, ino;
    uint64_t redirected, redirected_dev; /* ino and dev of the shim that is to come, 0 none */
    struct image image;
    char *operands; /* owned (mmap), what the warden asked to resolve; NULL none */
    size_t operands_size;
    enum exec_state state;
    pid_t tid, tgid;
    int pidfd;  /* owned; -1 none */
    int finder; /* which works on it, -1 none */
    uint32_t operands_count;
    bool continued;     /* the kernel was told to go on: it is on the accounts */
    bool held;          /* a person is asked */
    bool limited;       /* it has a time limit, which the warden keeps */
    bool scoped;        /* it has a cgroup of its own */
    bool frozen;        /* it is to stand still, with all below it: still.h */
    bool calm;          /* nothing of it moved at the last look */
    unsigned looks;     /* whether it does */
    bool unreported;    /* let go by a warden that is gone: nobody waits for its end */
    bool stops;         /* it asked to be stopped before its first instruction, for a debugger */
    bool unread;        /* its image could not be read: nothing but killing is possible */
    const char *called; /* by which covered path, of gate/covers; NULL: by its own */
    int cover;          /* EXEC_PASSING: which */
    int pass_fd;        /* the number that the cover's directory gets there; -1 none */
    unsigned passed;    /* covers, one behind the other */
    char name[64];      /* of its executable, for those below */
};

/* Every exec that the kernel was told to continue ends as one of the three. */
struct execs_account {
    uint64_t continued, stopped, failed, died;
};
extern struct execs_account execs_account;

/* NULL when the table is full. */
struct exec *execs_new(enum exec_state s);
void execs_free(struct exec *e);
struct exec *execs_find_job(uint64_t job); /* of any state */
struct exec *execs_find_thread(pid_t tid); /* on its way, not queued */
struct exec *execs_find_going(pid_t tgid); /* in the kernel's hands */
struct exec *execs_find_passing(pid_t tgid);
struct exec *execs_find_queued(pid_t tgid); /* the first that waits its turn */
struct exec *execs_find_running(pid_t tgid);
struct exec *execs_next(const struct exec *after); /* all that are not free; NULL from the start */
bool execs_full(void);
/* Moves it to another state. */
void execs_set(struct exec *e, enum exec_state s);
/* Whether `job` is above `e`, or `e` itself. */
bool execs_is_below(const struct exec *e, uint64_t job);
/* False when a start was not seen: the tree must not live on. */
bool execs_balanced(void);
