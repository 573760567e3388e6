/* SPDX-License-Identifier: MIT */
/* A job whose command the container's engine starts: the warden speaks to the engine, the worker
 * holds the caller, takes charge of the processes that the engine made, and carries the streams. */
#pragma once

#include "mirror/job.h"

/* After the caller handed over its descriptors, or for one of version 1: tells the warden, waits
 * for the stream and the pid, takes charge of the process. False: j->end says why not. */
bool byengine_await(struct job *j);
/* Starts the pump, which is the job's process from then on. */
bool byengine_launch(struct job *j);
/* Every process of the command, dead. */
void byengine_kill(struct job *j);
/* The pump ended: j->end says how. */
void byengine_ended(struct job *j, int status);
/* A signal for the command, or for all of its group. */
void byengine_signal(const struct job *j, int signo, bool all);
/* It said something: j->news is readable. */
void byengine_news(struct job *j);
void byengine_done(struct job *j);
