/* SPDX-License-Identifier: MIT */
/* A command of a version 1 client: its output goes through pipes of ours and is framed for the
 * connection. At most one chunk a stream is held, so a client that does not read stops its command.
 */
#pragma once

#include "mirror/job.h"

/* Starts it with pipes; on failure j->end says why. */
void v1relay_start(struct job *j);
/* Until RELEASE: ack, output, exit frame. */
void v1relay_run(struct job *j);
