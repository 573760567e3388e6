/* SPDX-License-Identifier: MIT */
/* The child that becomes the agent: it raises the walls, installs the filter, hands the listener
 * to its parent, and waits for one byte before it runs the command, which is judged like all. */
#pragma once

#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

#include "gate/options.h"

/* Its pid; *ret_sock (owned by the caller) is for agent_listener() and the byte. `mask`: of its
 * signals. Leaves with words when it cannot. */
pid_t agent_start(const struct options *o, const sigset_t *mask, int *ret_sock);
/* The filter's listener, owned; *ret_wall as wall_raise(). Leaves with words when there is none. */
int agent_listener(int sock, uint32_t *ret_wall);
