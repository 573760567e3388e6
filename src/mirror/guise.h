/* SPDX-License-Identifier: MIT */
/* A worker sees the file system as the caller does, for one lookup: the caller's fsuid, fsgid and
 * groups, and no more capabilities in effect than the caller has. Real, effective and saved ids
 * stay root's, so that the caller may neither signal the worker nor change its limits or priority,
 * as it could those of a process of its own. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "wire/helper.h"

/* `groups` are those of `peer`, `caps` what stays in effect of our own. False: it could not be put
 * on, nothing has changed. */
bool guise_take(const struct helper_peer *peer, const uint32_t *groups, uint64_t caps);
/* Ends the process when it cannot be taken off. */
void guise_drop(void);

/* setgroups(2) for good, for a process that becomes somebody. A user namespace that its owner made
 * without help denies the call, also to root; there, nobody's groups are changed: who shall have
 * none and has none is left as it is. 0 or -1 with errno. */
int guise_set_groups(uint32_t count, const uint32_t *groups);
