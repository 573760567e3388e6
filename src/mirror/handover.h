/* SPDX-License-Identifier: MIT */
/* Taking over the conversation with a version 2 shim, up to its descriptors. Each returns false
 * when it failed, and job_fail() has been called. */
#pragma once

#include "mirror/job.h"

bool handover_say_go(struct job *j);
/* Waits for V2_FDS and looks at it without taking it. */
bool handover_await(struct job *j);
/* With a pty: makes its session ours. */
bool handover_take_terminal(struct job *j);
