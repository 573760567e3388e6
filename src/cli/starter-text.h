/* SPDX-License-Identifier: MIT */
/* A shipped policy with a workspace put in. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

/* The text of share/policies/`name` for `workspace` (real) in `out`, read by the policy's own
 * parser before it is given; `gated`: for `clawrden run`, where walls
 * stand as well; `path` is what the words of a failure call it. *ret_rules: how many it
 * has. -EINVAL with words, also for a workspace whose name a policy would read as a pattern. */
int starter_text_fill(const char *name, const char *workspace, bool gated, const char *path,
                      struct buf *out, size_t *ret_rules, struct err *err) MUST_CHECK;
