/* SPDX-License-Identifier: MIT */
/* The time between the request and V2_GO: reach the warden, hear the verdict, wait for a person,
 * and keep the place through a restart of the warden. No descriptor is sent, no signal is caught.
 */
#pragma once

#include "shim/shim.h"

/* Connects and sends the request. Returns when it is on its way; else leaves with 125. */
void hold_ask(struct shim *s, struct conn *c);
/* Returns when the helper has taken over (V2_GO). Every other answer ends the process. */
void hold_wait(struct shim *s, struct conn *c);
