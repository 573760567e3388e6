/* SPDX-License-Identifier: MIT */
/* Who starts the commands of containers: the helper, which enters them, or the engine by its API.
 * Chosen once, at the start; --mirror says which, or leaves it to what this host allows. */
#pragma once

#include <stdbool.h>

#include "base/err.h"

enum entrance { ENTRANCE_NONE, ENTRANCE_NATIVE, ENTRANCE_DOCKER };

/* `wish` as --mirror; `outside`: why the helper cannot enter containers, or ""; `engine`: one is
 * asked which containers there are. `err` gets the reason, also when all is well; -EINVAL: what was
 * wished for cannot be had. */
int entrance_choose(const char *wish, const char *outside, bool engine, bool root,
                    enum entrance *ret, struct err *err) MUST_CHECK;
const char *entrance_name(enum entrance e);
