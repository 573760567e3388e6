/* SPDX-License-Identifier: MIT */
/* The seccomp filters of a container, copied from its init: what they forbid to everything that the
 * engine starts there, they forbid to what we start. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "mirror/phrase.h"

/* Stops `init` for a moment and reads its `count` filters, or takes them from what was read before.
 * They are static: good until the next call. 0, or a negative errno with words. */
int sieve_read(pid_t init, uint64_t start_time, unsigned count, struct phrase *why);
/* In the child, with CAP_SYS_ADMIN or no_new_privs: installs what was read, oldest first. -ESTALE:
 * what was read last is not of this container. */
int sieve_install(pid_t init, uint64_t start_time, unsigned count);
