/* SPDX-License-Identifier: MIT */
/* Carries a plan out in a mount namespace that this process has to itself and may change: all
 * becomes read-only, then the steps are laid over it. */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "sandbox/plan.h"

/* `own_pids`: this process is in a pid namespace of its own, so /proc is mounted anew; else the
 * one that is there becomes read-only like all else. /dev becomes a small one with terminals of
 * its own. After a failure the namespace is half made: leave it. */
int view_make(const struct plan *p, bool own_pids, struct err *err) MUST_CHECK;
