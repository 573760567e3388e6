/* SPDX-License-Identifier: MIT */
/* While the command runs: lend it our streams, pass signals and the terminal on, leave as it did.
 */
#pragma once

#include "shim/shim.h"

_Noreturn void run_command(struct shim *s, struct conn *c);
