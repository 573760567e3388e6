/* SPDX-License-Identifier: MIT */
/* From the agent's start to its end: relays the terminal, passes signals on, notices who dies. */
#pragma once

#include "base/cleanup.h"
#include "base/err.h"
#include "cli/run-ask.h"
#include "cli/run-screen.h"
#include "sandbox/enter.h"

struct run_loop {
    struct entered *agent;     /* the gate; borrowed, as all here */
    int warden;                /* its pidfd */
    struct run_screen *screen; /* NULL without a terminal */
    struct run_ask *ask;       /* channel -1: nobody asks here */
    int signals;               /* of run_loop_signals() */
};

/* Signals come through this descriptor from now on (-1 on failure); restored by nobody: the process
 * ends with the run. Before anything is started. */
int run_loop_signals(void);

enum run_loop_end { RUN_LOOP_AGENT, RUN_LOOP_WARDEN };
/* *ret_code: what the agent left with, 128 + signal as a shell says it. Without its warden the tree
 * ends itself: then the code is 125. */
enum run_loop_end run_loop(struct run_loop *l, int *ret_code);
