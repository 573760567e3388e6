/* SPDX-License-Identifier: MIT */
/* The warden above: reached before the agent starts, and again when it went and came back. While
 * there is none, nothing is judged, so nothing starts. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "gate/options.h"

/* Connects, waiting as long as the options say. Leaves with words when it cannot. */
void upstream_connect(const struct options *o);
/* Says hello and waits for the warden's word that the agent may start. `flags`: of the hello. */
void upstream_greet(uint32_t flags);

/* It can be asked. */
bool upstream_is_there(void);
/* The connection is readable, writable or broken. 0, or negative with *ret_why: the tree must end.
 */
int upstream_ready(uint32_t events, const char **ret_why);
/* Tries to come back to it. */
void upstream_tick(uint64_t now);
uint64_t upstream_next(void); /* ms: when to tick at the latest; UINT64_MAX: nothing */

/* Called back: watch the connection from now on. */
extern int (*upstream_watch)(int fd);
