/* SPDX-License-Identifier: MIT */
/* What is Clawrden's own on this host, so far as it can be found, hidden from a governed tree:
 * state, tokens, logs and policies of this user's wardens and sessions; for root of everybody's. */
#pragma once

#include "base/cleanup.h"
#include "base/err.h"
#include "sandbox/plan.h"

/* To be called when `p` hides the sockets on which somebody listens (places_fill()): a warden that
 * runs is known by its own. `session`: the directory of this one. */
int run_hidden_add(struct plan *p, const char *session, struct err *err) MUST_CHECK;
