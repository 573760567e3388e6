/* SPDX-License-Identifier: MIT */
/* The helper's first process: takes the warden's orders, hands each to a worker, keeps the
 * deadlines, and never touches anything of a caller's itself: not a path, not a descriptor. */
#pragma once

/* Serves until the warden is gone, then kills what runs and returns an exit code. */
int dispatch_run(int control);
