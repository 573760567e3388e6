/* SPDX-License-Identifier: MIT */
/* The person's terminal while an agent has one of its own: what is typed goes in, what it writes
 * comes out, and the modes come back whatever happens to us. */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"

struct run_screen;

/* The terminal of this process, if any of descriptors 0 to 2 is one. NULL without. `std_at`: which
 * of the three are to become the agent's terminal. */
struct run_screen *run_screen_new(bool std_at[3]);
struct run_screen *run_screen_free(struct run_screen *s);
CLEANUP_DEFINE(struct run_screen, run_screen_free)

int run_screen_fd(const struct run_screen *s); /* the real one; borrowed */

/* Starts the relay with the other side of the agent's terminal, which it takes. */
int run_screen_start(struct run_screen *s, int other, struct err *err) MUST_CHECK;

/* What to poll for: the two descriptors, each -1 when there is nothing to wait for. */
struct run_screen_poll {
    int real, other;
    short real_events, other_events;
};
void run_screen_poll(const struct run_screen *s, struct run_screen_poll *ret);
/* Moves what is ready. False when the agent's side has ended. */
bool run_screen_move(struct run_screen *s, short real, short other);
/* Everything that the agent has written before it ended. */
void run_screen_drain(struct run_screen *s);

void run_screen_resize(struct run_screen *s);
/* While a question is put nothing is relayed, and the modes are those for typing. */
void run_screen_pause(struct run_screen *s);
void run_screen_resume(struct run_screen *s);
