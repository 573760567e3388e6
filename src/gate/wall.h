/* SPDX-License-Identifier: MIT */
/* The wall around the memory of what waits: /proc/PID/mem of the tree cannot be opened for writing.
 * The other half is the filter, which refuses ptrace and process_vm_writev. */
#pragma once

#include <stdbool.h>

enum wall_mode { WALL_AUTO, WALL_LANDLOCK, WALL_NONE };

/* In the child, after no_new_privs. Returns GATEWIRE_WALL_* flags: what holds now. WALL_AUTO uses
 * Landlock only where /proc is writable. */
unsigned wall_raise(enum wall_mode mode);
