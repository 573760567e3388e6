/* SPDX-License-Identifier: MIT */
/* Workers that the dispatcher lends to the warden: each keeps a seat in a container, and the warden
 * talks to it over a socket of their own, so that the dispatcher is not woken for every message.
 * It keeps the worker's cgroup and deadlines, and sees in memory that they share (crew.h) what the
 * worker is doing. The loan ends when the worker gives up its seat, and says so by IDLE. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mirror/crew.h"

#define LOAN_LOOK_MS 250 /* how often deadlines are looked at while there are loans */

/* Gives both ends to their owners; `control` leads to the warden. False: it could not be. */
bool loan_make(struct crew_member *m, int control, pid_t init);
/* May there be one more? */
bool loan_room(void);
/* Is a command of this worker on its way or running? With `job` not 0: that one? */
bool loan_runs(const struct crew_member *m, uint64_t job);
/* Nothing is asked of it just now. */
bool loan_free(const struct crew_member *m);
