/* SPDX-License-Identifier: MIT */
/* Looks after callers that wait for a person: agents give up without closing anything, and a
 * command that starts after its agent was told that it failed is a fault. */
#pragma once

#include "door/room.h"

void watch_begin(struct session *s);
void watch_forget(struct session *s);
/* Looks at the next of those that wait: each is looked at within WATCH_PERIOD. Called every
 * WATCH_TURN. */
#define WATCH_PERIOD_MS 2000
#define WATCH_TURN_MS 100
void watch_turn(struct room *m);
