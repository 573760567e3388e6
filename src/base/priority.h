/* SPDX-License-Identifier: MIT */
/* Of the calling thread, which hands it down to the threads and programs that it starts. */
#pragma once

/* Before others by `by` (nice(2), 0 to 20), and so the session that we lead, if any. Left as it is
 * without the right to it. */
void priority_raise(unsigned by);
/* Back among all others, in a thread that inherited more. */
void priority_ordinary(void);
