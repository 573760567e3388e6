/* SPDX-License-Identifier: MIT */
/* A seat: a child that a worker keeps in a container, for the commands to come. It stands in the
 * cgroup of the commands, in the container's hierarchies and namespaces and under its filters, and
 * lends its place to one command after the other, which inherits all that: joining nine hierarchies
 * and above all installing a filter anew takes longer than a program that does nothing.
 *
 * It is in the host's pid namespace, so nobody in there sees it, and can be lost at any time: then
 * the next command goes the long way (child.h). It goes by itself when the container ends, when its
 * worker does, and when it was idle for a while. */
#pragma once

#include <stdbool.h>

#include "mirror/job.h"

/* Is there one for this job, in its cgroup and where its container stands now? One that is
 * elsewhere is given up. Looks at j->inside. */
bool seat_fits(const struct job *j);
/* The container that it is in, as it was seen when the seat was made, when `init` is that one's and
 * the seat lives; else NULL. */
const struct inside *seat_inside(pid_t init);
/* Could a command of such a caller start from it? */
bool seat_suits(const struct subject *caller);
/* Does it stand where its container does, alone in this cgroup? */
bool seat_stands(int cgroup);
bool seat_lives(void);
/* Starts the command from it: the pid, or a negative errno; -ESRCH: it is gone and has done
 * nothing. j->plan says the rest, as after child_run(). */
long seat_launch(struct job *j);
/* When the command has ended. Keeps what seat_fits(), or makes one when the job may have it and
 * nothing is left in its cgroup. True: there is one. */
bool seat_keep(struct job *j);
void seat_leave(void);
pid_t seat_pid(void); /* 0: none */
