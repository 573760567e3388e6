/* SPDX-License-Identifier: MIT */
/* The processes that look at the agent's files. Such a file can hang whoever touches it (FUSE,
 * NFS), so this is never done by the thread that traces; a finder that takes too long is killed,
 * and what it looked for counts as not found out. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "wire/pack.h"

#define FINDERS_MAX 4
#define FINDERS_DEADLINE_MS 3000

struct finders_job {
    uint64_t job;
    pid_t pid;
    const char *execfn;
    struct pack_strings search, operands;
};

/* Behind the fork of the agent and before it may start; afterwards a finder is started again when
 * one is lost. */
int finders_init(void);

bool finders_idle(void); /* one of them is free */
/* Gives it to one that is free: its number. Negative: none could take it. */
int finders_give(const struct finders_job *j);
/* The answer is not wanted any more. */
void finders_drop(int finder);

bool finders_is(pid_t pid); /* it is one of them */

int finders_fd(int finder);     /* to poll for input; -1 none */
unsigned finders_started(void); /* how many in all: another number means other descriptors */
/* Takes an answer: the job, and *ret_body of *ret_len bytes until the next call; 0: none is there;
 * the body is NULL when the finder was lost. */
uint64_t finders_take(int finder, const uint8_t **ret_body, size_t *ret_len);
/* The job whose time is up at `now` (ms), its finder killed and started again; 0: none. */
uint64_t finders_late(uint64_t now);
uint64_t finders_next(void); /* when that may be; UINT64_MAX: nothing is under way */
