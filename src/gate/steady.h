/* SPDX-License-Identifier: MIT */
/* File systems on which a name or an inode can be looked up without waiting for somebody else: what
 * lies there the tracing thread may look at itself, without a finder. Known by their device before
 * the agent runs, and held open, so that no other file system can get that number. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "wire/pack.h"

/* Where programs, their names and the agent's work usually lie. */
void steady_init(void);
/* Trusted directories, which only root can mount something over. */
void steady_add(const struct pack_strings *dirs);
/* Whether this device is one of them. */
bool steady_has(uint64_t dev);
