/* SPDX-License-Identifier: MIT */
/* The warden of one run: clawrden-warden as a child process of its own, outside of the walls. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/err.h"

struct run_warden {
    pid_t pid;
    int pidfd; /* owned */
    int gate;  /* owned: the gate's end of the one connection; -1 once it was given away */
};
#define RUN_WARDEN_INIT ((struct run_warden){.pidfd = -1, .gate = -1})

/* A program of ours: beside this one, in ../libexec/clawrden, ../sbin, or where a build has it.
 * Owned; NULL when it is not there. */
char *run_warden_program(const char *name);

/* Starts it in `dir` (state, audit, log) with `policy`, and waits until it listens; on `api`
 * ("HOST:PORT") too, when that is not NULL. `asks`: false when nobody answers. It gets SIGTERM when
 * we die. */
int run_warden_start(const char *dir, const char *policy, const char *api, bool asks,
                     struct run_warden *ret, struct err *err) MUST_CHECK;

/* SIGTERM, then after a while SIGKILL. True when it left as it should. */
bool run_warden_stop(struct run_warden *w);
