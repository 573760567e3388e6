/* SPDX-License-Identifier: MIT */
/* What the kernel does with the system calls of the governed tree, for ever: exec waits for us, and
 * what would reach around the gate is refused. */
#pragma once

#include <stdbool.h>

/* In the child, single-threaded, after no_new_privs: installs the filter and returns its listener
 * (close-on-exec). -EBUSY: another gate, or something like it, stands above already. Other negative
 * errno: this kernel cannot. `debuggers`: ptrace is possible in the tree. */
int filter_install(bool debuggers);
